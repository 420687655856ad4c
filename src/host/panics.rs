//! Panics caught, and logged instead of printed: a bug in the library ends one call, and says nothing
//! on its host's stderr.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Status};
use crate::host::log;

thread_local! {
    /// How many [`catch`] this thread is inside.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic of this thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work`. A panic in it is logged and comes back as an error.
///
/// Unwinding through the client is sound: its locks leave their data whole, see `locks.rs`.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    install_hook();
    DEPTH.set(DEPTH.get() + 1);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|payload| error_of(&*payload))
}

fn error_of(payload: &(dyn Any + Send)) -> Error {
    let place = PLACE.try_with(RefCell::take).unwrap_or_default();
    let message = format!(
        "a bug in libtrophy, please report it: {} ({place}, version {})",
        text_of(payload),
        env!("CARGO_PKG_VERSION")
    );
    log::error(|| message.clone());
    Error::new(Status::Panic, message)
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<&str>() {
        Some(text) => text,
        None => payload
            .downcast_ref::<String>()
            .map_or("a panic without a message", String::as_str),
    }
}

/// Silent for a panic that [`catch`] will catch; all others go to the hook that was there before.
fn install_hook() {
    static ONCE: Once = Once::new();
    // The hook cannot be set by a thread that panics; the next call does.
    if ONCE.is_completed() || std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                before(info);
                return;
            }
            let place = info.location().map(ToString::to_string);
            // An error means that the thread is ending: the place is lost, the panic is still caught.
            let _ = PLACE.try_with(|cell| cell.replace(place.unwrap_or_default()));
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_says_what_and_where() {
        for error in [
            catch(|| panic!("plain")).unwrap_err(),
            catch(|| panic!("with {}", "arguments")).unwrap_err(),
        ] {
            assert_eq!(error.status, Status::Panic);
            assert!(error.message.contains("panics.rs:"), "{}", error.message);
        }
        assert!(
            catch(|| panic!("plain"))
                .unwrap_err()
                .message
                .contains("plain")
        );
        assert_eq!(catch(|| 7).unwrap(), 7);
    }

    #[test]
    fn a_panic_inside_is_silent_and_one_outside_is_not() {
        // The hook before ours, as the host's: it would be called for an uncaught panic only.
        let depth_inside = catch(|| DEPTH.get()).unwrap();
        assert_eq!((depth_inside, DEPTH.get()), (1, 0));
        let nested = catch(|| catch(|| panic!("inner")).is_err() && DEPTH.get() == 1);
        assert!(nested.unwrap());
    }
}
