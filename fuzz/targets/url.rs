//! Where a URL leads, against the crate `url` (browsers' rules) and libcurl: a URL that is taken here leads to the
//! same host and port there, or is refused there. Otherwise a check of one could be passed and the connection of
//! another go elsewhere.
#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::net::IpAddr;
use std::ptr;

use libfuzzer_sys::fuzz_target;
use trophy::options::BaseUrl;
use trophy::transport::fuzzing::target;

#[link(name = "curl")]
unsafe extern "C" {
    fn curl_url() -> *mut c_void;
    fn curl_url_cleanup(url: *mut c_void);
    fn curl_url_set(url: *mut c_void, part: c_int, text: *const c_char, flags: c_uint) -> c_int;
    fn curl_url_get(
        url: *const c_void,
        part: c_int,
        text: *mut *mut c_char,
        flags: c_uint,
    ) -> c_int;
    fn curl_free(text: *mut c_void);
}

const WHOLE: c_int = 0;
const HOST: c_int = 5;
const PORT: c_int = 6;
const DEFAULT_PORT: c_uint = 1;

fuzz_target!(|text: &str| {
    let Some((tls, host, port)) = target(text) else {
        // What a base URL may be is a URL.
        let with_path = format!("{}/users", text.trim_end_matches('/'));
        assert!(
            BaseUrl::parse(text).is_err() || target(&with_path).is_some(),
            "{text}"
        );
        return;
    };
    assert!(!host.is_empty() && port > 0);
    let ours = (same_host(&host), port);
    if let Ok(url) = url::Url::parse(text) {
        let theirs = (
            same_host(url.host_str().unwrap_or_default()),
            url.port_or_known_default().unwrap_or(0),
        );
        // Browsers take more for an address than the system does: `0x`, say.
        let is_browsers_own =
            matches!(url.host(), Some(url::Host::Ipv4(_))) && ours.0.parse::<IpAddr>().is_err();
        assert!(
            ours == theirs || is_browsers_own,
            "url: {text}: {ours:?} {theirs:?}"
        );
        assert_eq!(tls, url.scheme() == "https");
    }
    if let Some(theirs) = by_curl(text) {
        assert_eq!(ours, theirs, "curl: {text}");
    }
});

/// A host as it is compared: lower case, an address in its one form, of which there are short and hexadecimal ones too
/// (`10.1`, `0x7f.1`), that the system's look-up knows.
fn same_host(host: &str) -> String {
    let bare = host
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => by_system(bare.strip_suffix('.').unwrap_or(bare))
            .map_or_else(|| bare.to_ascii_lowercase(), |address| address.to_string()),
    }
}

fn by_system(host: &str) -> Option<std::net::Ipv4Addr> {
    #[repr(C)]
    struct Address([u8; 4]);
    unsafe extern "C" {
        fn inet_aton(text: *const c_char, out: *mut Address) -> c_int;
    }
    let host = CString::new(host).ok()?;
    let mut address = Address([0; 4]);
    // SAFETY: text that ends in NUL, and room for an address.
    let is_one = unsafe { inet_aton(host.as_ptr(), &mut address) } != 0;
    is_one.then(|| address.0.into())
}

fn by_curl(text: &str) -> Option<(String, u16)> {
    let text = CString::new(text).ok()?;
    // SAFETY: a handle of curl's that is freed at the end, and texts that end in NUL.
    unsafe {
        let url = curl_url();
        let get = |part, flags| {
            let mut out = ptr::null_mut();
            if curl_url_get(url, part, &mut out, flags) != 0 {
                return None;
            }
            let copy = CStr::from_ptr(out).to_string_lossy().into_owned();
            curl_free(out.cast());
            Some(copy)
        };
        let found = match curl_url_set(url, WHOLE, text.as_ptr(), 0) {
            0 => get(HOST, 0).zip(get(PORT, DEFAULT_PORT)),
            _ => None,
        };
        curl_url_cleanup(url);
        let (host, port) = found?;
        Some((same_host(&host), port.parse().ok()?))
    }
}
