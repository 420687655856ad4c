//! ureq's errors in words for a person.

use std::fmt;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use super::current::{Current, Phase};
use super::exchange::Kind;
use super::fault::Fault;

/// What an error of ureq means in the exchange under way.
pub fn explain(error: ureq::Error, current: &Current) -> Fault {
    let phase = current.phase.get();
    match error {
        ureq::Error::Other(error) => match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(error) => malformed(&error),
        },
        ureq::Error::Rustls(error) => tls_failed(&error, current),
        ureq::Error::Tls(error) => Fault::new(Kind::Tls, format!("TLS failed: {error}")),
        ureq::Error::Io(error) => match error.get_ref().and_then(|it| it.downcast_ref()) {
            Some(error) => tls_failed(error, current),
            None if error.kind() == io::ErrorKind::UnexpectedEof => closed(current),
            None => current.socket_failed(&error),
        },
        ureq::Error::ConnectProxyFailed(reason) => no_tunnel(&reason),
        ureq::Error::LargeResponseHeader(_, most) => Fault::new(
            Kind::InvalidResponse,
            format!("the reply's head is longer than {most} bytes"),
        ),
        error if phase == Phase::Tunnel => Fault::new(
            Kind::Network,
            format!("its answer to CONNECT is not HTTP: {error}"),
        ),
        error if phase < Phase::Send || !current.sent.get() => {
            Fault::new(Kind::InvalidRequest, format!("cannot be sent: {error}"))
        }
        error => malformed(&error),
    }
}

fn malformed(error: &dyn fmt::Display) -> Fault {
    Fault::new(Kind::Network, format!("the reply is not HTTP: {error}"))
}

/// `reason`: ureq's, which ends in the status twice, `…503/503`, or has none.
fn no_tunnel(reason: &str) -> Fault {
    let status = reason.rsplit('/').next().map(str::parse::<u16>);
    let reason = match status {
        Some(Ok(407)) => "it answered 407: check the user and password in `proxy`".to_owned(),
        Some(Ok(status)) => format!("it refused the tunnel with {status}"),
        _ => "it broke off its answer to CONNECT".to_owned(),
    };
    Fault::new(Kind::Network, reason)
}

fn closed(current: &Current) -> Fault {
    let reason = match current.phase.get() {
        Phase::Tunnel => "the connection was closed before it answered CONNECT",
        Phase::Handshake => "the connection was closed in the TLS handshake",
        _ if current.status.get().is_some() => {
            "the connection was closed before the reply was complete"
        }
        _ => "the connection was closed before a reply came",
    };
    Fault::new(Kind::Network, reason)
}

fn tls_failed(error: &rustls::Error, current: &Current) -> Fault {
    // An alert may still be a word on the handshake: with TLS 1.3 the client has done its part by then.
    let is_alert = matches!(error, rustls::Error::AlertReceived(_));
    if current.sent.get() && (current.reused.get() || !is_alert) {
        return Fault::new(Kind::Network, format!("TLS broke off: {error}"));
    }
    let reason = match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            let option = current.option();
            format!(
                "this port does not speak TLS but, it seems, plain http; check the scheme and port of `{option}`"
            )
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(why))
            if why.to_string().contains("CaUsedAsEndEntity") =>
        {
            "the server shows an authority's certificate as its own; give it one without CA:TRUE, signed by that \
             authority, which `ca_file` then names"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::Other(_),
        ) => format!("{error}; if the server's authority is your own, name it in `ca_file`"),
        _ => error.to_string(),
    };
    Fault::new(Kind::Tls, format!("TLS failed: {reason}"))
}
