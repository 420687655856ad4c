//! Client: a handle, what its handles share, and the calls that a program makes with it.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::api::event::EventArgs;
use crate::api::operations;
use crate::api::request::{self, Context, Request};
use crate::calls::Calls;
use crate::delivery::Delivery;
use crate::delivery::api_key::ApiKey;
use crate::delivery::callbacks::{self, refuse_inside};
pub use crate::delivery::callbacks::{Callback, DeliveryCallback, ReadyCallback};
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::locks::until;
use crate::host::log;
use crate::host::per_process::PerProcess;
use crate::host::sys;
use crate::options::{ClientOptions, TlsRoots, check_api_key, check_header_value};
use crate::queue::Queue;
use crate::transport::{Settings, Transport};

/// One handle. Dropping the last one ends the client, as [`Client::close`] with no wait.
pub struct Client {
    shared: Arc<Shared>,
    tenant: Option<Arc<str>>,
    /// Among the `handles`; not since [`Self::let_go`] inside a callback.
    is_counted: bool,
}

/// What the handles of a client share.
struct Shared {
    options: Arc<ClientOptions>,
    api_key: Arc<ArcSwap<ApiKey>>,
    process: PerProcess<Process>,
    handles: AtomicUsize,
    closed: AtomicBool,
}

/// What one process has of a client: a forked child makes its own.
struct Process {
    delivery: Arc<Delivery>,
    calls: Calls,
    queue: Queue,
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
        sys::adapt_to_process();
        let options = Arc::new(ClientOptions::parse(options_json, environment)?);
        let (label, api_key) = match api_key {
            Some(key) => ("api_key", key.to_owned()),
            None => {
                let key = environment("TROPHY_API_KEY")?.ok_or_else(|| {
                    Error::invalid(
                        "api_key: is NULL and TROPHY_API_KEY is not set; give the key from the dashboard",
                    )
                })?;
                ("TROPHY_API_KEY", key)
            }
        };
        check_api_key(label, &api_key)?;
        let api_key = Arc::new(ArcSwap::from_pointee(ApiKey::new(&api_key)));
        let transport = Transport::new(&settings(&options))
            .map_err(|message| Error::invalid(format!("options_json: {message}")))?;
        let delivery = Delivery::new(Arc::clone(&options), Arc::clone(&api_key), transport);
        let shared = Arc::new(Shared {
            options,
            api_key,
            process: PerProcess::new(Process::new(delivery)),
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
        });
        let client = Self {
            tenant: shared.options.tenant_id.as_deref().map(Arc::from),
            shared,
            is_counted: true,
        };
        client.process().queue.open_at_start()?;
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
            is_counted: true,
        })
    }

    /// A rotated key; a paused queue goes on.
    pub fn set_api_key(&self, api_key: &str) -> Result<(), Error> {
        check_api_key("api_key", api_key)?;
        self.check_open()?;
        self.shared.api_key.store(Arc::new(ApiKey::new(api_key)));
        self.process().queue.resume();
        Ok(())
    }

    pub fn stats(&self) -> Result<String, Error> {
        let process = self.process();
        let (calls_under_way, calls_waiting) = process.calls.counts();
        let queue = process.queue.now();
        Ok(process.delivery.stats.to_json(Now {
            calls_under_way,
            calls_waiting,
            ..queue
        }))
    }

    /// Sends an event and waits for the reply.
    pub fn event(&self, args: &EventArgs<'_>) -> Result<String, Error> {
        let process = self.process();
        let request = request::from_event(args, process.context())?;
        self.run(&process, request)
    }

    pub fn event_async(
        &self,
        args: &EventArgs<'_>,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        let process = self.process();
        let request = request::from_event(args, process.context())?;
        self.submit(&process, request, callback)
    }

    /// Puts an event into the queue. The reply is `{"idempotencyKey":"…"}`.
    pub fn event_enqueue(&self, args: &EventArgs<'_>) -> Result<String, Error> {
        self.check_open()?;
        self.process().queue.enqueue(args, self.tenant.as_deref())
    }

    /// Any operation, by name.
    pub fn call(&self, operation: &str, args_json: Option<&str>) -> Result<String, Error> {
        let process = self.process();
        let request = request::from_args(operation, args_json, process.context())?;
        self.run(&process, request)
    }

    pub fn call_async(
        &self,
        operation: &str,
        args_json: Option<&str>,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        let process = self.process();
        let request = request::from_args(operation, args_json, process.context())?;
        self.submit(&process, request, callback)
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
        let process = self.process();
        let operation = operations::find(operation).ok_or_else(|| {
            Error::invalid(format!("operation: \"{operation}\" is not in the table"))
        })?;
        let request = request::from_parts(operation, path, body, args_json, process.context())?;
        self.run(&process, request)
    }

    /// Runs the callbacks that are due on this thread; waits for the first at most `timeout_ms` (negative: for
    /// ever). Returns how many ran.
    pub fn dispatch(&self, timeout_ms: i64) -> usize {
        if sys::is_process_ending() {
            return 0;
        }
        let process = self.process();
        let ran = process.delivery.callbacks.dispatch(until(timeout_ms));
        if ran > 0 {
            // It may wait for room among the callbacks that are due.
            process.queue.look_again();
        }
        ran
    }

    /// Who wakes the host's event loop when callbacks become due.
    pub fn on_ready(&self, callback: Option<Arc<dyn ReadyCallback>>) {
        if sys::is_process_ending() {
            return;
        }
        self.process().delivery.callbacks.set_ready(callback);
    }

    /// Ends the asynchronous calls that were given this `user_data`.
    pub fn cancel(&self, tag: usize) -> usize {
        self.process().calls.cancel(tag)
    }

    /// Who hears what became of queued events.
    pub fn on_delivery(&self, callback: Option<Arc<dyn DeliveryCallback>>) {
        if sys::is_process_ending() {
            return;
        }
        self.process().delivery.callbacks.set_delivery(callback);
    }

    /// Waits until the queue is empty.
    pub fn flush(&self, timeout_ms: i64) -> Result<Ending, Error> {
        refuse_at_the_end()?;
        let until = until(timeout_ms);
        let undelivered = self.process().queue.flush(until)?;
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
        refuse_at_the_end()?;
        let ending = self.shared.close(timeout_ms);
        log::info(|| {
            let Ending {
                undelivered,
                cancelled,
                ..
            } = ending;
            format!("client closed, {undelivered} events undelivered, {cancelled} calls cancelled")
        });
        Ok(ending)
    }

    /// Before the handle is dropped. An error if it may not be: inside a callback the last one would wait for itself.
    pub fn let_go(&mut self) -> Result<(), Error> {
        let Err(error) = refuse_inside("trophy_client_free") else {
            return Ok(());
        };
        let without_this = |handles: usize| (handles > 1).then(|| handles - 1);
        let handles = &self.shared.handles;
        match handles.fetch_update(Ordering::SeqCst, Ordering::SeqCst, without_this) {
            Ok(_) => {
                self.is_counted = false;
                Ok(())
            }
            Err(_) => Err(error),
        }
    }

    fn run(&self, process: &Process, request: Request) -> Result<String, Error> {
        self.check_open()?;
        process.calls.run(request, self.tenant.as_ref())
    }

    fn submit(
        &self,
        process: &Process,
        request: Request,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        self.check_open()?;
        process
            .calls
            .submit(request, self.tenant.as_ref(), callback)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        Ok(())
    }

    fn process(&self) -> Arc<Process> {
        self.shared.process()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.is_counted || self.shared.handles.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        if sys::is_process_ending() {
            // Left as it is: another thread may have been ended with one of its locks.
            std::mem::forget(Arc::clone(&self.shared));
            return;
        }
        // A child that never used the client has nothing to end.
        if let Some(process) = self.shared.process.existing() {
            self.shared.close(0);
            // A thread of the library cannot wait for itself.
            if !callbacks::is_inside() {
                process.join();
            }
        }
    }
}

/// Of what waits for others, where none are left.
fn refuse_at_the_end() -> Result<(), Error> {
    match sys::is_process_ending() {
        false => Ok(()),
        true => Err(Error::new(
            Status::Timeout,
            "client: the process is ending, and its threads have ended already; close the client before that, not \
             in a destructor of a DLL",
        )),
    }
}

/// A variable that is not empty.
fn environment(name: &str) -> Result<Option<String>, Error> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    let text = value.map(OsString::into_string).transpose();
    text.map_err(|_| Error::invalid(format!("{name}: is not Unicode")))
}

/// What of the options is the transport's.
pub fn settings(options: &ClientOptions) -> Settings {
    Settings {
        proxy: options.proxy.clone(),
        ca_file: options.ca_file.clone(),
        has_system_roots: options.tls_roots == TlsRoots::System,
        max_idle: options.workers + 16,
        user_agent: options.user_agent.clone(),
    }
}

impl Shared {
    fn process(&self) -> Arc<Process> {
        self.process
            .get(|parents| Process::new(parents.delivery.for_child()))
    }

    fn close(&self, timeout_ms: i64) -> Ending {
        let until = until(timeout_ms);
        self.closed.store(true, Ordering::SeqCst);
        let process = self.process();
        let cancelled = process.close(until);
        Ending::new(
            process.queue.undelivered(),
            cancelled as u64,
            Status::Timeout,
        )
    }
}

/// How long cancelled calls may take to notice, within the 50 ms that `close` promises.
const GRACE: Duration = Duration::from_millis(40);
/// The queue of another process makes no noise.
const LOOK: Duration = Duration::from_millis(100);

impl Process {
    /// Starts nothing.
    fn new(delivery: Delivery) -> Self {
        let delivery = Arc::new(delivery);
        Self {
            calls: Calls::new(Arc::clone(&delivery)),
            queue: Queue::new(Arc::clone(&delivery)),
            delivery,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            allow_insecure_http: self.delivery.options.allow_insecure_http,
            make_key: &self.delivery.random,
        }
    }

    /// Lets what is under way finish until `until` (`None`: for ever), then cancels it. In dispatch mode the
    /// callbacks run here. Returns how many calls had to be cancelled.
    fn close(&self, until: Option<Instant>) -> usize {
        self.calls.stop_accepting();
        // Another thread may close it sooner.
        let is_finished = || self.queue.finish(until) || self.queue.is_stopped();
        // Its thread need not wait for the calls.
        is_finished();
        self.wait(until, is_finished);
        let cancelled = self.calls.cancel_all();
        self.queue.stop();
        self.wait(Some(Instant::now() + GRACE), || true);
        self.delivery.callbacks.end();
        self.delivery.transport.close_idle();
        cancelled
    }

    /// Waits until no call is left and no callback of one, and `also`; at most until `until`.
    fn wait(&self, until: Option<Instant>, also: impl Fn() -> bool) {
        let delivery = &self.delivery;
        loop {
            let seen = delivery.progress.times();
            delivery.callbacks.run_due();
            let is_done = self.calls.is_idle() && delivery.callbacks.is_idle() && also();
            let now = Instant::now();
            if is_done || until.is_some_and(|until| until <= now) {
                return;
            }
            let look = now + LOOK;
            let until = until.map_or(look, |until| until.min(look));
            delivery.progress.wait(seen, Some(until));
        }
    }

    /// Waits for the threads to end, after [`Self::close`], and runs the callbacks that they left: of calls that
    /// took their time to notice that they were cancelled.
    fn join(&self) {
        self.calls.join();
        self.queue.join();
        while self.delivery.callbacks.run_due() > 0 {}
    }
}
