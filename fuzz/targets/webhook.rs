//! Webhook bodies and signatures, against another HMAC: accepted is what is signed, and nothing else.
#![no_main]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use trophy_fuzz::*;

#[derive(Arbitrary, Debug)]
enum Signature<'a> {
    Right,
    /// The right one with a byte changed.
    Changed(u8, u8),
    Any(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    signature: Signature<'a>,
    secret: &'a [u8],
    body: &'a [u8],
}

const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 1;
const INVALID_SIGNATURE: i32 = 40;

fuzz_target!(|input: Input<'_>| {
    let secret = c_text(input.secret);
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.to_bytes()).expect("a key may have any length");
    mac.update(input.body);
    let right = STANDARD.encode(mac.finalize().into_bytes());
    let signature = match input.signature {
        Signature::Right => c_text(right.as_bytes()),
        Signature::Changed(at, to) => {
            let mut changed = right.clone().into_bytes();
            let at = usize::from(at) % changed.len();
            changed[at] = to;
            c_text(&changed)
        }
        Signature::Any(bytes) => c_text(bytes),
    };
    let mut json = std::ptr::null_mut();
    // SAFETY: text that ends in NUL, and so many bytes.
    let (status, json) = unsafe {
        let (body, length) = (input.body.as_ptr(), input.body.len());
        let status =
            trophy_webhook_verify(body, length, signature.as_ptr(), secret.as_ptr(), &mut json);
        (status, taken_json(status, json))
    };
    let is_right = signature.to_str().is_ok_and(|it| it.trim() == right);
    let is_usable = signature.to_str().is_ok() && secret.to_str().is_ok() && !secret.is_empty();
    match status {
        OK => {
            assert!(is_right && is_usable);
            let as_json = std::str::from_utf8(input.body).ok();
            assert!(json == "null" || as_json == Some(&json), "{json}");
        }
        INVALID_SIGNATURE => assert!(!is_right),
        INVALID_ARGUMENT => assert!(!is_usable),
        other => panic!("status {other}"),
    }
});
