//! A value that each process has of its own: after a fork, the child makes one anew and never
//! touches its parent's, whose locks may be held by threads that the child does not have.

use std::mem;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::host::sys;

pub struct PerProcess<T>(ArcSwap<Owned<T>>);

struct Owned<T> {
    generation: u32,
    value: Arc<T>,
}

impl<T> Owned<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self {
            generation: sys::generation(),
            value: Arc::new(value),
        })
    }
}

impl<T> PerProcess<T> {
    pub fn new(value: T) -> Self {
        Self(ArcSwap::new(Owned::new(value)))
    }

    /// This process's value, made from its parent's, of which only what never changes may be read.
    /// `make` must start nothing: of two threads that make one at the same time, one sees it dropped.
    pub fn get(&self, make: impl Fn(&T) -> T) -> Arc<T> {
        loop {
            let current = self.0.load();
            if current.generation == sys::generation() {
                return Arc::clone(&current.value);
            }
            let before = self
                .0
                .compare_and_swap(&current, Owned::new(make(&current.value)));
            if Arc::ptr_eq(&before, &current) {
                // Never dropped: that would close the parent's connections and join its threads.
                mem::forget(Arc::clone(&before));
            }
        }
    }

    /// This process's value, if it has made one.
    pub fn existing(&self) -> Option<Arc<T>> {
        let current = self.0.load();
        (current.generation == sys::generation()).then(|| Arc::clone(&current.value))
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let current = self.0.load_full();
        if current.generation != sys::generation() {
            mem::forget(current);
        }
    }
}
