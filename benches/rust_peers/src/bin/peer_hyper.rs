//! hyper with its pool of connections, on a runtime of one thread that each call blocks on.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    rust_peers::run(|url, ca| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let roots = ca.map_or_else(RootCertStore::empty, rust_peers::roots);
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let url = url.to_owned();
        move |number| {
            let request = Request::post(&url)
                .header("user-agent", "hyper")
                .header("content-type", "application/json")
                .header("x-api-key", rust_peers::API_KEY)
                .header("idempotency-key", rust_peers::key())
                .body(Full::<Bytes>::from(rust_peers::body(number).to_string()))
                .unwrap();
            runtime.block_on(async {
                let reply = client.request(request).await.unwrap();
                assert_eq!(reply.status(), 201);
                let reply = reply.into_body().collect().await.unwrap().to_bytes();
                serde_json::from_slice(&reply).unwrap()
            })
        }
    });
}
