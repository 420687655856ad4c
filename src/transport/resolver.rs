//! Host names to addresses: looked up on a thread, so that a deadline or a cancel can leave it, and
//! kept for a minute, or until one refuses.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::current::Current;
use super::exchange::Kind;
use super::fault::Fault;
use crate::api::url::is_localhost;
use crate::host::locks::{Condvar, Mutex, lock, wait_until};
use crate::host::threads;

const KEPT: Duration = Duration::from_secs(60);
const MOST_NAMES: usize = 64;
const MOST_ADDRESSES: usize = 16;
/// How soon a cancelled call notices.
const SLICE: Duration = Duration::from_millis(10);

type LookUp = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

pub struct Resolver {
    look_up: Arc<LookUp>,
    names: Arc<Names>,
}

#[derive(Default)]
struct Names {
    known: Mutex<HashMap<(String, u16), Name>>,
    changed: Condvar,
}

#[derive(Default)]
struct Name {
    /// Empty until a look-up succeeded; kept when a later one fails.
    addresses: Vec<SocketAddr>,
    fresh_until: Option<Instant>,
    /// The one that answered last.
    preferred: Option<SocketAddr>,
    being_looked_up: bool,
    /// How many look-ups have ended: those that wait for one see it change.
    ended: u64,
    error: String,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl Resolver {
    fn new(
        look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            look_up: Arc::new(look_up),
            names: Arc::default(),
        }
    }

    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        current: &Current,
    ) -> Result<Vec<SocketAddr>, Fault> {
        current.check_cancelled()?;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let key = (host.to_owned(), port);
        let mut known = lock(&self.names.known);
        make_room(&mut known, &key);
        let name = known.entry(key.clone()).or_default();
        if is_localhost(host) {
            name.addresses = vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            ];
            return Ok(name.best_first());
        }
        if name.fresh_until.is_some_and(|until| Instant::now() < until) {
            return Ok(name.best_first());
        }
        let seen = name.ended;
        if !name.being_looked_up {
            self.start(&key)?;
            name.being_looked_up = true;
        }
        loop {
            let Some(name) = known.get(&key) else {
                return Err(not_found("forgotten meanwhile", current));
            };
            if name.ended != seen {
                return if name.addresses.is_empty() {
                    Err(not_found(&name.error, current))
                } else {
                    Ok(name.best_first())
                };
            }
            let slice = current.left()?.min(SLICE);
            current.check_cancelled()?;
            known = wait_until(
                &self.names.changed,
                known,
                Instant::now().checked_add(slice),
            );
        }
    }

    /// The address that answered is the first for the next time.
    pub fn prefer(&self, host: &str, port: u16, address: SocketAddr) {
        if let Some(name) = lock(&self.names.known).get_mut(&(host.to_owned(), port)) {
            name.preferred = Some(address);
        }
    }

    /// An address did not answer: next time, the name is looked up anew.
    pub fn doubt(&self, host: &str, port: u16) {
        if let Some(name) = lock(&self.names.known).get_mut(&(host.to_owned(), port)) {
            name.fresh_until = None;
        }
    }

    /// A look-up cannot be stopped. So its thread holds nothing of the client; one that ends after the
    /// client did finds nobody to tell.
    fn start(&self, key: &(String, u16)) -> Result<(), Fault> {
        let look_up = Arc::clone(&self.look_up);
        let names = Arc::downgrade(&self.names);
        let key = key.clone();
        let body = move || {
            let mut end = End {
                names,
                key,
                found: Err(io::Error::other("the look-up failed")),
            };
            end.found = look_up(&end.key.0, end.key.1);
        };
        threads::spawn("trophy-resolve", body)
            .map(drop)
            .map_err(|error| {
                Fault::new(
                    Kind::Network,
                    format!("could not start a thread to look the host up: {error}"),
                )
            })
    }
}

impl Name {
    fn best_first(&self) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.clone();
        let preferred = addresses.iter().position(|it| Some(*it) == self.preferred);
        if let Some(at) = preferred {
            addresses[..=at].rotate_right(1);
        }
        addresses
    }
}

/// The end of a look-up, also of one that panicked.
struct End {
    names: Weak<Names>,
    key: (String, u16),
    found: io::Result<Vec<SocketAddr>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let Some(names) = self.names.upgrade() else {
            return;
        };
        let mut known = lock(&names.known);
        let Some(name) = known.get_mut(&self.key) else {
            return;
        };
        name.being_looked_up = false;
        name.ended += 1;
        match &mut self.found {
            Ok(found) if !found.is_empty() => {
                found.truncate(MOST_ADDRESSES);
                name.addresses = std::mem::take(found);
                name.fresh_until = Instant::now().checked_add(KEPT);
            }
            Ok(_) => name.error = "it has no address".to_owned(),
            Err(error) => name.error = error.to_string(),
        }
        drop(known);
        names.changed.notify_all();
    }
}

/// Forgets the name that has been stale for longest, where another would be one too many.
fn make_room(known: &mut HashMap<(String, u16), Name>, key: &(String, u16)) {
    if known.len() < MOST_NAMES || known.contains_key(key) {
        return;
    }
    let oldest = known
        .iter()
        .filter(|(_, name)| !name.being_looked_up)
        .min_by_key(|(_, name)| name.fresh_until)
        .map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        known.remove(&oldest);
    }
}

fn not_found(error: &str, current: &Current) -> Fault {
    let option = current.option();
    Fault::new(
        Kind::Network,
        format!("could not look up the host: {error}; check `{option}` and the network"),
    )
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Exchange;
    use super::*;
    use crate::api::operations::Method;
    use crate::host::cancel::CancelToken;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443);
    const OTHER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 443);

    fn resolve(
        resolver: &Resolver,
        within: Duration,
        control: &CancelToken,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let exchange = Exchange {
            method: Method::Get,
            url: "https://trophy.test/",
            url_option: "base_url",
            headers: &[],
            body: None,
            deadline: Instant::now() + within,
            deadline_option: "",
            connect_timeout: within,
            max_response_bytes: 0,
            probe: false,
        };
        let current = Current::begin(&exchange, control, None);
        resolver.resolve("trophy.test", 443, &current)
    }

    fn expire(resolver: &Resolver) {
        for name in lock(&resolver.names.known).values_mut() {
            name.fresh_until = None;
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        let resolver = Resolver::new(|_, _| panic!("looked up"));
        let control = CancelToken::new();
        for (host, first) in [
            ("127.0.0.1", "127.0.0.1:80"),
            ("::1", "[::1]:80"),
            ("LocalHost", "127.0.0.1:80"),
            ("trophy.localhost.", "127.0.0.1:80"),
        ] {
            let exchange = Exchange {
                method: Method::Get,
                url: "",
                url_option: "base_url",
                headers: &[],
                body: None,
                deadline: Instant::now() + LONG,
                deadline_option: "",
                connect_timeout: LONG,
                max_response_bytes: 0,
                probe: false,
            };
            let current = Current::begin(&exchange, &control, None);
            let found = resolver.resolve(host, 80, &current).unwrap();
            assert_eq!(found[0], first.parse().unwrap());
        }
    }

    #[test]
    fn a_name_is_looked_up_once_while_it_is_fresh() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver = Resolver::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![ADDRESS, OTHER])
        });
        let control = CancelToken::new();

        assert_eq!(resolve(&resolver, LONG, &control).unwrap()[0], ADDRESS);
        resolver.prefer("trophy.test", 443, OTHER);
        let again = resolve(&resolver, LONG, &control).unwrap();

        assert_eq!(again, [OTHER, ADDRESS]);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_name_that_led_to_a_refusal_is_looked_up_anew_and_the_address_that_answered_stays_first() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let resolver = Resolver::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![ADDRESS, OTHER])
        });
        let control = CancelToken::new();
        resolve(&resolver, LONG, &control).unwrap();
        resolver.doubt("trophy.test", 443);
        resolver.prefer("trophy.test", 443, OTHER);
        let again = resolve(&resolver, LONG, &control).unwrap();
        assert_eq!(again, [OTHER, ADDRESS]);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_stale_address_serves_where_a_new_look_up_fails() {
        let calls = AtomicUsize::new(0);
        let resolver = Resolver::new(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(vec![ADDRESS]),
            _ => Err(io::Error::other("no network")),
        });
        let control = CancelToken::new();
        resolve(&resolver, LONG, &control).unwrap();
        expire(&resolver);
        assert_eq!(resolve(&resolver, LONG, &control).unwrap(), [ADDRESS]);
    }

    #[test]
    fn a_failed_look_up_says_why_and_is_tried_again() {
        let calls = AtomicUsize::new(0);
        let resolver = Resolver::new(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("no such host")),
            1 => panic!("a resolver that panics"),
            _ => Ok(vec![ADDRESS]),
        });
        let control = CancelToken::new();
        let fault = resolve(&resolver, LONG, &control).unwrap_err();
        assert_eq!(fault.kind, Kind::Network);
        assert!(fault.reason.contains("no such host"), "{fault}");
        assert!(resolve(&resolver, LONG, &control).is_err());
        assert_eq!(resolve(&resolver, LONG, &control).unwrap(), [ADDRESS]);
    }

    #[test]
    fn a_look_up_that_hangs_is_left_at_the_deadline_and_on_cancel_and_shared_by_all() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver = Resolver::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = lock(&released).recv();
            Ok(vec![ADDRESS])
        });
        let control = CancelToken::new();

        let late = resolve(&resolver, Duration::from_millis(30), &control).unwrap_err();
        assert_eq!(late.kind, Kind::Timeout);
        assert!(late.reason.contains("looking up"), "{late}");

        std::thread::scope(|scope| {
            let cancelled = scope.spawn(|| resolve(&resolver, LONG, &control));
            control.cancel();
            assert_eq!(cancelled.join().unwrap().unwrap_err().kind, Kind::Cancelled);

            let waits = scope.spawn(|| resolve(&resolver, LONG, &CancelToken::new()));
            release.send(()).unwrap();
            assert_eq!(waits.join().unwrap().unwrap(), [ADDRESS]);
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_names_kept_are_bounded() {
        let mut known = HashMap::new();
        for port in 0..1000 {
            let key = (String::new(), port);
            make_room(&mut known, &key);
            known.insert(key, Name::default());
        }
        assert_eq!(known.len(), MOST_NAMES);
    }
}
