//! A sandbox that runs inside this process, on a thread of its own.

use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::ledger::Observer;
use crate::limits::Rates;
use crate::page::Site;
use crate::service::{Service, State};
use crate::{control, server, tls, world_file};

#[derive(Clone, Debug)]
pub struct Options {
    pub host: String,
    /// 0 is any free port.
    pub port: u16,
    /// A world file's JSON; the default world if `None`.
    pub world: Option<Value>,
    /// Another admin key beside the world's own.
    pub admin_key: Option<String>,
    pub rates: Rates,
    pub tls: bool,
    /// Read `..` and `%2E%2E` in a path as URL parsers do: as one step up.
    pub resolve_dots: bool,
    /// Hears of each request and each event that counts.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            world: None,
            admin_key: None,
            rates: Rates::default(),
            tls: false,
            resolve_dots: false,
            observer: None,
        }
    }
}

/// Runs until it is dropped.
pub struct Sandbox {
    service: Service,
    origin: String,
    port: u16,
    admin_key: Option<String>,
    ca_pem: Option<String>,
    /// Dropped first, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// The admin key of the default world.
    pub const ADMIN_KEY: &'static str = "sandbox_admin.open-sesame";
    /// Its application key, for user "18".
    pub const APPLICATION_KEY: &'static str = "app_sandbox.player-18";

    /// Listens when it returns.
    pub fn start(options: Options) -> Result<Self, String> {
        let mut world = match options.world {
            Some(world) => world,
            None => serde_json::from_str(world_file::DEFAULT).map_err(|why| why.to_string())?,
        };
        let own = options.admin_key.as_deref();
        let admin_key = own.or(world["adminKeys"][0].as_str()).map(str::to_owned);
        if let Some(key) = options.admin_key {
            // In the world itself, so that a reset keeps it.
            match world.get_mut("adminKeys").and_then(Value::as_array_mut) {
                Some(keys) => keys.push(key.into()),
                None => world["adminKeys"] = vec![Value::from(key)].into(),
            }
        }
        let mut state =
            State::new(world, options.rates).map_err(|why| format!("the world: {why}"))?;
        state.books.ledger.observer = options.observer;
        let service = Service::new(state);
        let (acceptor, ca_pem) = match options.tls {
            true => tls::acceptor(&options.host).map(|(tls, pem)| (Some(tls), Some(pem)))?,
            false => (None, None),
        };
        let (listener, port) = listen(&options.host, options.port)
            .map_err(|why| format!("cannot listen on {}:{}: {why}", options.host, options.port))?;
        let scheme = if options.tls { "https" } else { "http" };
        let site = Site::new(scheme, &options.host, port, admin_key.as_deref());
        let host = if options.host.contains(':') {
            format!("[{}]", options.host)
        } else {
            options.host
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| format!("cannot start a runtime: {why}"))?;
        let (stop, stopped) = oneshot::channel();
        let served = service.clone();
        let run = move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    server::serve(
                        listener,
                        acceptor,
                        options.resolve_dots,
                        served,
                        site,
                        stopped,
                    )
                    .await;
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("trophy-sandbox".into())
            .spawn(run);
        Ok(Self {
            service,
            origin: format!("{scheme}://{host}:{port}"),
            port,
            admin_key,
            ca_pem,
            stop: Some(stop),
            thread: Some(thread.map_err(|why| format!("cannot start a thread: {why}"))?),
        })
    }

    /// The application API.
    pub fn url(&self) -> String {
        format!("{}/v1", self.origin)
    }

    /// The Admin API.
    pub fn admin_url(&self) -> String {
        format!("{}/admin/v1", self.origin)
    }

    /// Scheme, host and port: `/_sandbox` is here.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The admin key it was started with, or its world's first.
    pub fn admin_key(&self) -> Option<&str> {
        self.admin_key.as_deref()
    }

    /// With TLS, the certificate to trust.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// As `POST /_sandbox/faults`.
    pub fn add_fault(&self, fault: &Value) -> Result<(), String> {
        control::add_fault(&mut self.service.lock(), fault).map(|_| ())
    }

    pub fn clear_faults(&self) {
        self.service.lock().books.faults.clear();
    }

    /// As `GET /_sandbox/faults`.
    pub fn faults(&self) -> Value {
        self.service.lock().books.faults.show()
    }

    /// As `GET /_sandbox/ledger`.
    pub fn ledger(&self) -> Value {
        control::ledger(&self.service.lock(), |_| None)
    }

    /// As `GET /_sandbox/requests?last=N`: the oldest first.
    pub fn requests(&self, last: usize) -> Value {
        self.service.lock().books.requests.show(last, None)
    }

    /// As `POST /_sandbox/clock`: an ISO 8601 time, or `None` for the real one.
    pub fn set_clock(&self, now: Option<&str>) -> Result<(), String> {
        let order = serde_json::json!({ "now": now });
        control::set_clock(&mut self.service.lock(), &order).map(|_| ())
    }

    /// As `POST /_sandbox/keys`: these admin keys and no others.
    pub fn set_admin_keys(&self, keys: &[&str]) {
        self.service.lock().world.admin_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// As `POST /_sandbox/reset`.
    pub fn reset(&self) -> Result<(), String> {
        self.service.lock().reset()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only fails if the thread panicked, and then it has ended too.
            let _ = thread.join();
        }
    }
}

fn listen(host: &str, port: u16) -> std::io::Result<(TcpListener, u16)> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let listener = TcpListener::bind(&addresses[..])?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}
