//! reqwest's blocking client.

use std::time::Duration;

use reqwest::Certificate;
use reqwest::blocking::Client;

fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    rust_peers::run(|url, ca| {
        let mut client = Client::builder()
            .user_agent("reqwest")
            .timeout(Duration::from_secs(20));
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).unwrap();
            client = client.tls_certs_only([Certificate::from_pem(&pem).unwrap()]);
        }
        let client = client.build().unwrap();
        let url = url.to_owned();
        move |number| {
            let reply = client
                .post(&url)
                .header("X-API-KEY", rust_peers::API_KEY)
                .header("Idempotency-Key", rust_peers::key())
                .json(&rust_peers::body(number))
                .send()
                .unwrap();
            assert_eq!(reply.status(), 201);
            reply.json().unwrap()
        }
    });
}
