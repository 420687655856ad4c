//! What the models share: how often they are run, and a client's parts without a network.

#[cfg(unix)]
pub mod fork;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};

use arc_swap::ArcSwap;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use trophy::api::request::{self, Context, MakeKey, Request};
use trophy::delivery::Delivery;
use trophy::delivery::api_key::ApiKey;
use trophy::delivery::callbacks::Callback;
use trophy::error::{Error, Status};
use trophy::options::ClientOptions;
use trophy::transport::{Settings, Transport};

/// Runs a model in `TROPHY_MODEL_ORDERS` orders (500): half of them at random, half with few changes from thread to
/// thread, at places chosen at random, which finds rarer orders. A deadlock fails.
pub fn in_many_orders(model: impl Fn() + Send + Sync + 'static) {
    run_in_many_orders(model, orders(), AsChosen);
}

/// Who chooses the next thread, given who would.
trait Order {
    fn of<S: Scheduler + 'static>(&self, scheduler: S) -> impl Scheduler + 'static;
}

struct AsChosen;

impl Order for AsChosen {
    fn of<S: Scheduler + 'static>(&self, scheduler: S) -> impl Scheduler + 'static {
        scheduler
    }
}

fn orders() -> usize {
    let asked = std::env::var("TROPHY_MODEL_ORDERS").ok();
    asked.and_then(|it| it.parse().ok()).unwrap_or(500)
}

fn run_in_many_orders(model: impl Fn() + Send + Sync + 'static, orders: usize, order: impl Order) {
    let model = Arc::new(model);
    let mut config = Config::new();
    // A thread that is inside TLS or a JSON parser takes more than a coroutine usually has.
    config.stack_size = 1 << 20;
    let run = Arc::clone(&model);
    let random = order.of(RandomScheduler::new(orders / 2));
    Runner::new(random, config.clone()).run(move || run());
    let few_changes = order.of(PctScheduler::new(3, orders - orders / 2));
    Runner::new(few_changes, config).run(move || model());
}

/// A client's parts. Its requests find a proxy that is none, so each attempt fails before a socket is made; tried again
/// it is never.
pub fn delivery(options: &str) -> Arc<Delivery> {
    // What TLS trusts is read once, since a model is run so often.
    static FIRST: OnceLock<Transport> = OnceLock::new();
    let first = FIRST.get_or_init(|| {
        without_network();
        Transport::new(&Settings::default()).expect("no file is read")
    });
    let options = Arc::new(ClientOptions::parse(Some(options), |_| Ok(None)).expect("options"));
    let key = Arc::new(ArcSwap::from_pointee(ApiKey::new("app.test")));
    Arc::new(Delivery::new(options, key, first.for_child()))
}

/// Clients that are made from here on find a proxy that is none.
pub fn without_network() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: no other thread has been started that reads the environment.
        unsafe { std::env::set_var("HTTPS_PROXY", "socks5://none.test") };
    });
}

struct Key;

impl MakeKey for Key {
    fn write_key(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("key");
        Ok(())
    }
}

/// A request in the lane of this user, or in none.
pub fn request(user: Option<&str>) -> Request {
    let context = Context {
        allow_insecure_http: false,
        make_key: &Key,
    };
    let made = match user {
        None => request::from_args("leaderboards_all", None, context),
        Some(user) => {
            let args =
                format!(r#"{{"key": "m", "body": {{"user": {{"id": "{user}"}}, "value": 1}}}}"#);
            request::from_args("metrics_event", Some(&args), context)
        }
    };
    made.expect("a request")
}

/// Counts its calls.
#[derive(Default)]
pub struct Counted(AtomicUsize);

impl Counted {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A callback that is counted, with this tag.
pub struct Counting(pub Arc<Counted>, pub usize);

impl Callback for Counting {
    fn tag(&self) -> usize {
        self.1
    }

    fn run(self: Box<Self>, _: Status, json: &str) {
        assert!(!json.is_empty());
        // A callback takes its time: others go on meanwhile.
        shuttle::thread::yield_now();
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}
