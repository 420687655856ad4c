//! TLS by rustls: whom it trusts, and the stream it makes of a connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore};

use super::Kind;
use super::current::{Current, Fault, Phase};
use super::socket::Socket;

/// Whom the client trusts. Made once: sessions are resumed through it.
pub struct Tls {
    roots: Option<RootCertStore>,
    /// Built by the first https request, since the built-in roots take their time.
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    /// Trusts the certificates in `ca_file`, or Mozilla's where there is none.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        Ok(Self {
            roots: ca_file.map(read_roots).transpose()?,
            config: OnceLock::new(),
        })
    }

    pub fn for_child(&self) -> Self {
        Self {
            roots: self.roots.clone(),
            config: OnceLock::new(),
        }
    }

    pub fn handshake(&self, host: &str, wire: Wire, current: &Current) -> Result<Wire, Fault> {
        current.phase.set(Phase::Handshake);
        let config = self.config.get_or_init(|| self.build());
        let config = config
            .as_ref()
            .map_err(|error| Fault::new(Kind::Tls, error.clone()))?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Fault::new(Kind::Tls, format!("the host name: {error}")))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(|e| failed(&e))?;
        let mut stream = Box::new(TlsStream {
            session,
            wire,
            outgoing: Vec::new(),
        });
        stream.handshake(current)?;
        Ok(Wire::Tls(stream))
    }

    fn build(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = self.roots.clone().unwrap_or_else(|| RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        });
        // A provider of our own: the process-wide default is the host program's.
        let provider = CryptoProvider {
            key_provider: &NoKeys,
            ..ring::default_provider()
        };
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
            .map(Arc::new)
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

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn read_roots(file: &Path) -> Result<RootCertStore, String> {
    let shown = file.display();
    let pem =
        std::fs::read(file).map_err(|error| format!("`ca_file`: cannot read {shown}: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("`ca_file`: {shown} is not PEM: {error}"))?;
    let mut roots = RootCertStore::empty();
    // A bundle of many may hold an oddity; one at least must be of use.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(format!("`ca_file`: {shown} holds no PEM certificate"));
    }
    Ok(roots)
}

fn failed(error: &Error) -> Fault {
    Fault::new(
        Kind::Tls,
        format!("TLS failed: {error}; if the server's authority is your own, name it in `ca_file`"),
    )
}

/// A way to the server: a socket, or TLS upon a way (twice so through an https proxy).
#[derive(Debug)]
pub enum Wire {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

impl Wire {
    /// See [`Socket::read`].
    pub fn read(&mut self, buffer: &mut [u8], current: &Current) -> Result<Option<usize>, Fault> {
        match self {
            Wire::Plain(socket) => socket.read(buffer, current),
            Wire::Tls(stream) => stream.read(buffer, current),
        }
    }

    /// Takes some of it, at least a byte, to be written at the latest by [`Self::flush`]. None: there is
    /// no room yet, which is said only where the exchange does not wait.
    pub fn write(&mut self, bytes: &[u8], current: &Current) -> Result<Option<usize>, Fault> {
        match self {
            Wire::Plain(socket) => socket.write(bytes, current),
            Wire::Tls(stream) => stream.write(bytes, current),
        }
    }

    /// Writes all that was taken. False: there is no room yet, as above.
    pub fn flush(&mut self, current: &Current) -> Result<bool, Fault> {
        match self {
            Wire::Plain(_) => Ok(true),
            Wire::Tls(stream) => stream.flush(current),
        }
    }

    /// False if TLS holds the peer's farewell, or bytes that nobody asked for.
    pub fn is_clean(&mut self) -> bool {
        match self {
            Wire::Plain(_) => true,
            Wire::Tls(stream) => {
                let state = stream.session.process_new_packets();
                state.is_ok_and(|it| !it.peer_has_closed() && it.plaintext_bytes_to_read() == 0)
                    && stream.wire.is_clean()
            }
        }
    }

    pub fn socket(&self) -> &Socket {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Tls(stream) => stream.wire.socket(),
        }
    }
}

pub struct TlsStream {
    session: ClientConnection,
    wire: Wire,
    /// Records on their way: gathered, so that they go out in one write.
    outgoing: Vec<u8>,
}

impl TlsStream {
    /// Waits, as everything does before a connection is there.
    fn handshake(&mut self, current: &Current) -> Result<(), Fault> {
        while self.session.is_handshaking() {
            self.flush(current)?;
            if self.session.is_handshaking() {
                self.receive(current)?;
            }
        }
        self.flush(current).map(drop)
    }

    fn read(&mut self, buffer: &mut [u8], current: &Current) -> Result<Option<usize>, Fault> {
        loop {
            match self.session.reader().read(buffer) {
                Ok(amount) => return Ok(Some(amount)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.receive(current)? {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(current.socket_failed(&error)),
            }
            // An answer to a key update, say.
            self.flush(current)?;
        }
    }

    fn write(&mut self, bytes: &[u8], current: &Current) -> Result<Option<usize>, Fault> {
        if !self.flush(current)? {
            return Ok(None);
        }
        let taken = self
            .session
            .writer()
            .write(bytes)
            .map_err(|error| current.socket_failed(&error))?;
        self.flush(current)?;
        Ok(Some(taken))
    }

    fn flush(&mut self, current: &Current) -> Result<bool, Fault> {
        while self.session.wants_write() {
            self.session
                .write_tls(&mut self.outgoing)
                .map_err(|error| current.socket_failed(&error))?;
        }
        let mut written = 0;
        while written < self.outgoing.len() {
            match self.wire.write(&self.outgoing[written..], current) {
                Ok(Some(amount)) => written += amount,
                Ok(None) => {
                    self.outgoing.drain(..written);
                    return Ok(false);
                }
                Err(fault) => {
                    self.outgoing.clear();
                    return Err(fault);
                }
            }
        }
        self.outgoing.clear();
        self.wire.flush(current)
    }

    /// Reads records; false: none has come yet. An end of the stream without TLS's own end is an error:
    /// somebody may have cut it.
    fn receive(&mut self, current: &Current) -> Result<bool, Fault> {
        let mut incoming = Incoming(&mut self.wire, current);
        let amount = match self.session.read_tls(&mut incoming) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            amount => amount?,
        };
        if let Err(error) = self.session.process_new_packets() {
            // The alert that tells the server why; it may be gone already.
            let _ = self.flush(current);
            return Err(failed(&error));
        }
        if amount == 0 && self.session.is_handshaking() {
            return Err(Fault::new(
                Kind::Network,
                "the connection was closed in the TLS handshake",
            ));
        }
        Ok(true)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

struct Incoming<'a>(&'a mut Wire, &'a Current);

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer, self.1)? {
            Some(amount) => Ok(amount),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
