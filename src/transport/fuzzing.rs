//! A door for the fuzz targets of `fuzz/`, which is there with `cfg(fuzzing)` only: where a URL leads, and through
//! which proxy.

use super::proxy::{self, Routes};
use super::url::Target;

/// Of a URL: TLS or not, host, port.
pub fn target(url: &str) -> Option<(bool, String, u16)> {
    let target = Target::parse(url).ok()?;
    Some((target.tls, target.host, target.port))
}

/// As `host:port`, the proxy before a server. The outer `None`: it is refused.
pub fn route(
    option: Option<&str>,
    environment: &[(&str, &str)],
    server: (bool, &str, u16),
) -> Option<Option<String>> {
    let find = |name: &str| {
        let found = environment.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| std::ffi::OsString::from(*value))
    };
    let routes = Routes::new(option, find).ok()?;
    let (tls, host, port) = server;
    let proxy = routes.proxy_for(tls, host, port).ok()?;
    Some(proxy.map(proxy::Route::name))
}
