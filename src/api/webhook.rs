//! The signature check of a webhook: base64 of HMAC-SHA256 over the raw body (`X-Trophy-Signature`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::error::{Error, Status};

/// Whether `signature` is that of `body` under `secret`. Compares in constant time.
pub fn verify(body: &[u8], signature: &str, secret: &str) -> Result<(), Error> {
    if secret.is_empty() {
        return Err(Error::invalid(
            "secret: is empty; give the webhook's secret from the dashboard",
        ));
    }
    let wrong = || {
        Error::new(
            Status::InvalidSignature,
            "signature: it is not that of this body under this secret; \
             pass the raw bytes of the body and the X-Trophy-Signature header as they came",
        )
    };
    let tag = STANDARD.decode(signature.trim()).map_err(|_| wrong())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, body, &tag).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SECRET: &str = "Jefe";
    const TAG: [u8; 32] = [
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75,
        0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
        0x38, 0x43,
    ];

    #[test]
    fn the_vector_of_rfc_4231_is_accepted() {
        assert!(verify(BODY, &STANDARD.encode(TAG), SECRET).is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        let signature = STANDARD.encode(TAG);
        for (body, signature, secret) in [
            (&BODY[1..], signature.as_str(), SECRET),
            (BODY, &signature, "jefe"),
            (BODY, &STANDARD.encode(&TAG[..31]), SECRET),
            (BODY, "", SECRET),
            (BODY, "not base64!", SECRET),
        ] {
            let error = verify(body, signature, secret).unwrap_err();
            assert_eq!(error.status, Status::InvalidSignature);
        }
    }
}
