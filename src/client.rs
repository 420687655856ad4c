//! Client: a handle, what its handles share, and the calls that a program makes with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::api::event::EventArgs;
use crate::api::operations;
use crate::api::request::{self, Context, Request};
use crate::calls::worker;
use crate::delivery::callback::{self, refuse_inside};
pub use crate::delivery::callback::{Callback, DeliveryCallback};
use crate::delivery::engine::{ApiKey, Engine};
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::log;
use crate::host::per_process::PerProcess;
use crate::host::sys;
use crate::options::{ClientOptions, check_api_key, check_header_value};
use crate::transport::{Settings, Transport};

/// One handle. Dropping the last one ends the client, as [`Client::close`] with no wait.
pub struct Client {
    shared: Arc<Shared>,
    tenant: Option<Arc<str>>,
}

/// What the handles of a client share.
struct Shared {
    options: Arc<ClientOptions>,
    api_key: Arc<ArcSwap<ApiKey>>,
    engine: PerProcess<Engine>,
    handles: AtomicUsize,
    closed: AtomicBool,
}

/// What was left when a flush or a close ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Events still in the queue.
    pub undelivered: u64,
    /// Calls that had to be cancelled.
    pub cancelled: u64,
    /// [`Status::Ok`] if nothing was left.
    pub status: Status,
}

impl Ending {
    /// `unfinished`: the status if something is left.
    fn new(undelivered: u64, cancelled: u64, unfinished: Status) -> Self {
        let status = match undelivered + cancelled {
            0 => Status::Ok,
            _ => unfinished,
        };
        Self {
            undelivered,
            cancelled,
            status,
        }
    }

    /// Nothing was left.
    pub fn is_done(&self) -> bool {
        self.status == Status::Ok
    }
}

impl Client {
    /// `api_key`: from `TROPHY_API_KEY` if there is none. No network, no thread, unless the queue's
    /// folder holds events.
    pub fn new(api_key: Option<&str>, options_json: Option<&str>) -> Result<Self, Error> {
        sys::watch_forks();
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let options = Arc::new(ClientOptions::parse(options_json, environment)?);
        let api_key = match api_key {
            Some(key) => {
                check_api_key("api_key", key)?;
                ApiKey::new(key)
            }
            None => {
                let key = environment("TROPHY_API_KEY").ok_or_else(|| {
                    Error::invalid(
                        "api_key: is NULL and TROPHY_API_KEY is not set; give the key from the dashboard",
                    )
                })?;
                check_api_key("TROPHY_API_KEY", &key)?;
                ApiKey::new(&key)
            }
        };
        let api_key = Arc::new(ArcSwap::from_pointee(api_key));
        let engine = Shared::make_engine(&options, &api_key)?;
        let shared = Arc::new(Shared {
            options,
            api_key,
            engine: PerProcess::new(engine),
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
        });
        let client = Self {
            tenant: shared.options.tenant_id.as_deref().map(Arc::from),
            shared,
        };
        let engine = client.engine();
        engine.queue.open_at_start(&engine)?;
        log::info(|| {
            format!(
                "client made, with key {:?}",
                &**client.shared.api_key.load()
            )
        });
        Ok(client)
    }

    /// A second handle on the same client, whose calls carry another `Tenant-ID`.
    pub fn for_tenant(&self, tenant_id: &str) -> Result<Self, Error> {
        check_header_value("tenant_id", tenant_id)?;
        self.check_open()?;
        self.shared.handles.fetch_add(1, Ordering::SeqCst);
        Ok(Self {
            shared: Arc::clone(&self.shared),
            tenant: Some(Arc::from(tenant_id)),
        })
    }

    /// A rotated key; a paused queue goes on.
    pub fn set_api_key(&self, api_key: &str) -> Result<(), Error> {
        check_api_key("api_key", api_key)?;
        self.check_open()?;
        self.shared.api_key.store(Arc::new(ApiKey::new(api_key)));
        let engine = self.engine();
        engine.queue.resume(&engine);
        Ok(())
    }

    pub fn stats(&self) -> Result<String, Error> {
        let engine = self.engine();
        let (calls_under_way, calls_waiting) = engine.calls.counts();
        let queue = engine.queue.now();
        Ok(engine.stats.to_json(Now {
            calls_under_way,
            calls_waiting,
            ..queue
        }))
    }

    /// Sends an event and waits for the reply.
    pub fn event(&self, args: &EventArgs<'_>) -> Result<String, Error> {
        let engine = self.engine();
        let request = request::from_event(args, self.context(&engine))?;
        self.blocking(&engine, request)
    }

    pub fn event_async(
        &self,
        args: &EventArgs<'_>,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        let engine = self.engine();
        let request = request::from_event(args, self.context(&engine))?;
        self.submit(&engine, request, callback)
    }

    /// Puts an event into the queue. The reply is `{"idempotencyKey":"…"}`.
    pub fn event_enqueue(&self, args: &EventArgs<'_>) -> Result<String, Error> {
        let engine = self.engine();
        self.check_open()?;
        engine
            .queue
            .enqueue(&engine, args, self.tenant.as_deref(), &engine.random)
    }

    /// Any operation, by name.
    pub fn call(&self, operation: &str, args_json: Option<&str>) -> Result<String, Error> {
        let engine = self.engine();
        let request = request::from_args(operation, args_json, self.context(&engine))?;
        self.blocking(&engine, request)
    }

    pub fn call_async(
        &self,
        operation: &str,
        args_json: Option<&str>,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        let engine = self.engine();
        let request = request::from_args(operation, args_json, self.context(&engine))?;
        self.submit(&engine, request, callback)
    }

    /// An operation whose path parameters and body are parameters of their own. `body` comes with
    /// the name of its parameter.
    pub fn invoke(
        &self,
        operation: &str,
        path: &[&str],
        body: Option<(&str, &str)>,
        args_json: Option<&str>,
    ) -> Result<String, Error> {
        let engine = self.engine();
        let operation = operations::find(operation).ok_or_else(|| {
            Error::invalid(format!("operation: \"{operation}\" is not in the table"))
        })?;
        let request = request::from_parts(operation, path, body, args_json, self.context(&engine))?;
        self.blocking(&engine, request)
    }

    /// See [`Engine::dispatch`].
    pub fn dispatch(&self, timeout_ms: i64) -> usize {
        self.engine().dispatch(timeout_ms)
    }

    /// Ends the asynchronous calls that were given this `user_data`.
    pub fn cancel(&self, tag: usize) -> usize {
        self.engine().cancel(tag)
    }

    /// Who hears what became of queued events.
    pub fn on_delivery(&self, callback: Option<Arc<dyn DeliveryCallback>>) {
        let engine = self.engine();
        engine.queue.on_delivery(&engine, callback);
    }

    /// Waits until the queue is empty.
    pub fn flush(&self, timeout_ms: i64) -> Result<Ending, Error> {
        let engine = self.engine();
        let until = worker::until(timeout_ms);
        let undelivered = engine.queue.flush(&engine, until);
        let is_over = until.is_some_and(|until| until <= Instant::now());
        let unfinished = match self.check_open() {
            Err(_) if !is_over => Status::Cancelled,
            _ => Status::Timeout,
        };
        Ok(Ending::new(undelivered, 0, unfinished))
    }

    /// Stops new work, lets what is under way finish, then cancels it.
    pub fn close(&self, timeout_ms: i64) -> Result<Ending, Error> {
        refuse_inside("trophy_client_close")?;
        Ok(self.shared.close(timeout_ms))
    }

    /// Whether the handle may be dropped here.
    pub fn may_free(&self) -> Result<(), Error> {
        refuse_inside("trophy_client_free")
    }

    fn blocking(&self, engine: &Arc<Engine>, request: Request) -> Result<String, Error> {
        self.check_open()?;
        let mut call = engine.call(request, self.tenant());
        let result = engine.begin(&call).and_then(|_turn| engine.run(&mut call));
        engine.stats.finished(match &result {
            Ok(_) => Status::Ok,
            Err(error) => error.status,
        });
        result
    }

    fn submit(
        &self,
        engine: &Arc<Engine>,
        request: Request,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        self.check_open()?;
        engine.submit(engine.call(request, self.tenant()), callback)
    }

    fn tenant(&self) -> Option<&Arc<str>> {
        self.tenant.as_ref()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        Ok(())
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.shared.engine()
    }

    fn context<'a>(&'a self, engine: &'a Engine) -> Context<'a> {
        Context {
            allow_insecure_http: self.shared.options.allow_insecure_http,
            make_key: &engine.random,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        // A child that never used the client has nothing to end.
        if let Some(engine) = self.shared.engine.existing() {
            self.shared.close(0);
            // A thread of the library cannot wait for itself.
            if !callback::is_inside() {
                engine.join();
            }
        }
    }
}

impl Shared {
    fn make_engine(
        options: &Arc<ClientOptions>,
        api_key: &Arc<ArcSwap<ApiKey>>,
    ) -> Result<Engine, Error> {
        let transport = Transport::new(&Settings {
            proxy: options.proxy.clone(),
            ca_file: options.ca_file.clone(),
            tls_roots: crate::transport::TlsRoots::default(),
            max_idle: options.workers + 16,
            user_agent: options.user_agent.clone(),
        })
        .map_err(|message| Error::invalid(format!("options_json: {message}")))?;
        Ok(Engine::new(
            Arc::clone(options),
            Arc::clone(api_key),
            transport,
        ))
    }

    fn engine(&self) -> Arc<Engine> {
        self.engine.get(Engine::for_child)
    }

    fn close(&self, timeout_ms: i64) -> Ending {
        let until = worker::until(timeout_ms);
        self.closed.store(true, Ordering::SeqCst);
        let engine = self.engine();
        let cancelled = engine.close(until);
        Ending::new(
            engine.queue.undelivered(),
            cancelled as u64,
            Status::Timeout,
        )
    }
}
