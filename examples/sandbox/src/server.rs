//! Listening: each connection is served by hyper, over a stream that can fail on demand.

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, Control, Stream};
use crate::dots::{self, AsWritten};
use crate::page::Site;
use crate::service::{self, Service};

/// Serves until `stop` is dropped or sent.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    resolve_dots: bool,
    service: Service,
    site: Site,
    mut stop: oneshot::Receiver<()>,
) {
    let router = service::router(&service, &site);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: some will be free soon.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        // Small replies must not wait for an acknowledgement; a failure only costs time.
        let _ = stream.set_nodelay(true);
        service.lock().books.ledger.connections += 1;
        let router = router.clone();
        match tls.clone() {
            None => drop(tokio::spawn(converse(stream, resolve_dots, router))),
            Some(tls) => drop(tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    converse(stream, resolve_dots, router).await;
                }
            })),
        }
    }
}

async fn converse(stream: impl Stream, resolve_dots: bool, router: Router) {
    let control = Control::default();
    let io = TokioIo::new(Connection::new(stream, control.clone()));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(control.clone());
        if resolve_dots && let Some(resolved) = dots::resolved(request.uri()) {
            let written = std::mem::replace(request.uri_mut(), resolved);
            request.extensions_mut().insert(AsWritten(written));
        }
        router.call(request)
    });
    // How a connection ends is the client's business, or that of a fault.
    let _ = http1::Builder::new().serve_connection(io, service).await;
}
