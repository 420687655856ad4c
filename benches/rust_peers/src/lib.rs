//! The loop of a peer, as benches/peer.c has it for those in C: "COUNT PAUSE_MS" on stdin, a line of JSON on stdout.

use std::io::BufRead;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

pub const API_KEY: &str = "app_bench.0123456789abcdef0123456789abcdef";

/// `begin` takes the event's URL and a PEM file to trust, and gives what sends an event: its number in, its reply out.
pub fn run<F: FnMut(u64) -> Value>(begin: impl FnOnce(&str, Option<&str>) -> F) {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, base_url, ca @ ..] = arguments.as_slice() else {
        panic!("usage: URL [CA_FILE] < rounds");
    };
    let (start, start_cpu) = (Instant::now(), cpu());
    let url = format!("{base_url}/v1/metrics/words-written/event");
    let mut event = begin(&url, ca.first().map(String::as_str));
    let mut number = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut numbers = line.split_whitespace().map(|it| it.parse::<u64>().unwrap());
        let count = numbers.next().unwrap_or(0);
        let pause = Duration::from_millis(numbers.next().unwrap_or(0));
        let (wall, before) = (Instant::now(), cpu());
        for _ in 0..count {
            if !pause.is_zero() {
                sleep(pause);
            }
            let reply = event(number);
            assert!(reply["eventId"].is_string(), "not the reply expected");
            number += 1;
        }
        let (end, end_cpu) = (Instant::now(), cpu());
        let answer = json!({
            "wall_ns": (end - wall).as_nanos() as u64,
            "cpu_ns": (end_cpu - before).as_nanos() as u64,
            "since_start_ns": (end - start).as_nanos() as u64,
            "since_start_cpu_ns": (end_cpu - start_cpu).as_nanos() as u64,
        });
        println!("{answer}");
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub fn body(number: u64) -> Value {
    json!({"user": {"id": (1_000_000 + number).to_string()}, "value": 750, "attributes": {"genre": "poem"}})
}

/// Of `ca`, and nothing else.
pub fn roots(ca: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
