//! Whom TLS trusts: the certificates of `ca_file`, or of the system, or else Mozilla's.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use rustls::{Error, RootCertStore};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// More than any list of authorities; a device would never end.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The error names the option at fault.
pub fn config(ca_file: Option<&Path>, has_system_roots: bool) -> Result<TlsConfig, String> {
    let roots = match (ca_file, has_system_roots) {
        (Some(file), _) => {
            let certificates = read_ca_file(file)
                .map_err(|why| format!("`ca_file`: {}: {why}", file.display()))?;
            specific(&certificates)
        }
        (None, true) => {
            specific(&system_roots().map_err(|why| format!("`tls_roots`: \"system\": {why}"))?)
        }
        (None, false) => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .build())
}

/// One of our own: the process-wide default is the host program's. A function by itself, or the compiler sees no
/// more that ring's keys are not used.
#[inline(never)]
fn provider() -> CryptoProvider {
    CryptoProvider {
        key_provider: &NoKeys,
        ..ring::default_provider()
    }
}

/// The client shows no certificate, so what would sign for one need not be linked: 70 KB.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no client certificates".to_owned()))
    }
}

fn specific(certificates: &[CertificateDer<'_>]) -> RootCerts {
    let certificates = certificates.iter();
    certificates
        .map(|it| Certificate::from_der(it).to_owned())
        .into()
}

/// All that is in the file, or none: whoever names an authority relies on it.
fn read_ca_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_small_file(file)?;
    let pem = without_byte_order_marks(&pem);
    let sections = count(&pem, b"-----BEGIN ");
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("is not sound PEM: {error}"))?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| {
            let number = index + 1;
            format!("its certificate number {number} cannot be used: {error}")
        })?;
    }
    match certificates.len() {
        0 => Err("holds no PEM certificate".to_owned()),
        found if found < sections => Err(format!(
            "of its {sections} PEM sections only {found} can be read as certificates; \
             leave the others out"
        )),
        _ => Ok(certificates),
    }
}

#[cfg(not(feature = "system-roots"))]
fn system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    Err("this build of the library does not read the system's certificates (SMALL=1, or cargo's feature \
         \"system-roots\" turned off); leave the option at \"builtin\", or give `ca_file`"
        .to_owned())
}

#[cfg(feature = "system-roots")]
fn system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        let shown = file.display().to_string();
        read_small_file(Path::new(&file))
            .map_err(|why| format!("{shown}, which SSL_CERT_FILE names: {why}"))?;
    }
    let found = rustls_native_certs::load_native_certs();
    if let Some(error) = found.errors.first() {
        return Err(format!("the system's certificates cannot be read: {error}"));
    }
    // A store of hundreds holds oddities, which are not of our user's making.
    let (_, ignored) =
        RootCertStore::empty().add_parsable_certificates(found.certs.iter().cloned());
    if ignored == found.certs.len() {
        return Err("the system has no certificate that can be used".to_owned());
    }
    if ignored > 0 {
        crate::host::log::warn(|| {
            format!("tls_roots: {ignored} certificates of the system cannot be used")
        });
    }
    Ok(found.certs)
}

/// Waits for nothing, as a FIFO would let it, and ends.
fn read_small_file(path: &Path) -> Result<Vec<u8>, String> {
    let cannot_read = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(cannot_read)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot_read)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("is longer than {MOST_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Editors put them before the text, and `cat` into it; the section behind one would be passed over.
fn without_byte_order_marks(pem: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut rest = pem;
    let mut clean = Vec::with_capacity(pem.len());
    while let Some(at) = rest.windows(MARK.len()).position(|it| it == MARK) {
        clean.extend_from_slice(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    clean.extend_from_slice(rest);
    clean
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|it| *it == part).count()
}
