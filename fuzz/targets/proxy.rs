//! Which proxy stands before which server, against NO_PROXY read once more, entry by entry, as curl's manual has it.
#![no_main]

use std::net::IpAddr;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trophy::transport::fuzzing::{route, target};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    option: Option<&'a str>,
    proxy: &'a str,
    no_proxy: &'a str,
    host: Host<'a>,
    port: u16,
    tls: bool,
}

#[derive(Arbitrary, Debug)]
enum Host<'a> {
    Name(&'a str),
    V4([u8; 4]),
    V6([u8; 16]),
}

fuzz_target!(|input: Input<'_>| {
    let host = match input.host {
        Host::Name(name) => name.to_owned(),
        Host::V4(bytes) => IpAddr::from(bytes).to_string(),
        Host::V6(bytes) => IpAddr::from(bytes).to_string(),
    };
    let server = (input.tls, host.as_str(), input.port);
    // The proxy's own URL is arbitrary: taken or refused.
    if let Some(Some(name)) = route(input.option, &[("ALL_PROXY", input.proxy)], server) {
        assert!(
            !name.contains('@'),
            "a proxy's password in its name: {name}"
        );
    }
    // Only hosts that a URL can name are asked about.
    let in_url = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    if target(&format!("http://{in_url}/")).is_none_or(|(_, named, _)| named != host) {
        return;
    }
    let set = [
        ("ALL_PROXY", "http://proxy.test:1"),
        ("NO_PROXY", input.no_proxy),
    ];
    let through = route(None, &set, server)
        .expect("that proxy is one")
        .is_some();
    assert_eq!(
        through,
        !goes_straight(input.no_proxy, &host, input.port),
        "{:?} {host}",
        input.no_proxy
    );
});

fn goes_straight(no_proxy: &str, host: &str, port: u16) -> bool {
    let name = host.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name.parse::<IpAddr>().ok();
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.octets()[0] == 127,
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.octets()[0] == 127,
            None => address.segments() == [0, 0, 0, 0, 0, 0, 0, 1],
        },
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    };
    is_loopback
        || no_proxy
            .split([',', ' '])
            .any(|entry| is_meant(entry, name, address, port))
}

fn is_meant(entry: &str, name: &str, address: Option<IpAddr>, port: u16) -> bool {
    let mut entry = entry.to_ascii_lowercase();
    // `[v6]:port` or `name:port`; an address of version 6 without brackets has no port.
    let colons = entry.matches(':').count();
    if colons == 1 || entry.contains("]:") {
        let at = entry.rfind(':').expect("there is one");
        if colons == 1 || entry[..at].ends_with(']') {
            if entry[at + 1..].parse::<u16>() != Ok(port) {
                return false;
            }
            entry.truncate(at);
        }
    }
    let entry = entry.trim_matches(|it| it == '[' || it == ']');
    if entry == "*" {
        return true;
    }
    let Some(address) = address else {
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        return !domain.is_empty() && (name == domain || name.ends_with(&format!(".{domain}")));
    };
    let Some((network, bits)) = entry.split_once('/') else {
        return entry.parse() == Ok(address);
    };
    let bits_of = |address: IpAddr| -> Vec<bool> {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect()
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let (ours, theirs) = (bits_of(address), bits_of(network));
    let bits = bits as usize;
    ours.len() == theirs.len() && bits <= ours.len() && ours[..bits] == theirs[..bits]
}
