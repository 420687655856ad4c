//! The asynchronous calls that have no thread: each waits for its lane, for a worker, or for its next attempt.
//! Pure data: the time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use super::call::Call;
use crate::delivery::callbacks::Callback;
use crate::delivery::lanes::{LaneId, Ticket};

/// An asynchronous call.
pub struct Task {
    /// Goes up with each call.
    pub id: u64,
    pub call: Box<Call>,
    pub callback: Box<dyn Callback>,
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    Lane(LaneId, Ticket),
    Worker,
    /// The time of its next attempt.
    Retry(Instant),
}

struct Waiting {
    task: Task,
    awaits: Awaits,
    /// When the time alone changes something: the end of a pause, or of the whole call.
    timer: Instant,
}

#[derive(Default)]
pub struct Backlog {
    /// Those that wait for a worker: the older goes first. A hash table would move all of them when it grows, under the
    /// lock that the host's threads wait for (850 µs for 7,000 calls).
    ready: BTreeMap<u64, Waiting>,
    /// The others.
    waiting: BTreeMap<u64, Waiting>,
    by_ticket: HashMap<Ticket, u64>,
    by_tag: BTreeSet<(usize, u64)>,
    timers: BTreeSet<(Instant, u64)>,
}

impl Backlog {
    pub fn len(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn add(&mut self, task: Task, awaits: Awaits) {
        let id = task.id;
        let deadline = task.call.deadline;
        let timer = match awaits {
            Awaits::Retry(at) => at.min(deadline),
            Awaits::Lane(..) | Awaits::Worker => deadline,
        };
        if let Awaits::Lane(_, ticket) = awaits {
            self.by_ticket.insert(ticket, id);
        }
        self.by_tag.insert((task.callback.tag(), id));
        self.timers.insert((timer, id));
        let calls = match awaits {
            Awaits::Worker => &mut self.ready,
            Awaits::Lane(..) | Awaits::Retry(_) => &mut self.waiting,
        };
        calls.insert(
            id,
            Waiting {
                task,
                awaits,
                timer,
            },
        );
    }

    fn remove(&mut self, id: u64) -> Option<(Task, Awaits)> {
        let ready = self.ready.remove(&id);
        let waiting = ready.or_else(|| self.waiting.remove(&id))?;
        self.timers.remove(&(waiting.timer, id));
        if let Awaits::Lane(_, ticket) = waiting.awaits {
            self.by_ticket.remove(&ticket);
        }
        self.by_tag.remove(&(waiting.task.callback.tag(), id));
        Some((waiting.task, waiting.awaits))
    }

    /// The lane that a call waits for is its own: it is ready. False: it waits no more.
    pub fn grant(&mut self, ticket: Ticket) -> bool {
        let id = self.by_ticket.get(&ticket).copied();
        let Some((task, _)) = id.and_then(|id| self.remove(id)) else {
            return false;
        };
        self.add(task, Awaits::Worker);
        true
    }

    /// The next call that a worker can take.
    pub fn take_ready(&mut self) -> Option<Task> {
        let id = *self.ready.first_key_value()?.0;
        self.remove(id).map(|(task, _)| task)
    }

    /// How many calls wait for a worker.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Takes out the calls with this tag, in their order, with what each waited for.
    pub fn take_tagged(&mut self, tag: usize) -> Vec<(Task, Awaits)> {
        let tagged = self.by_tag.range((tag, 0)..=(tag, u64::MAX));
        let ids: Vec<u64> = tagged.map(|(_, id)| *id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes all out, in their order.
    pub fn take_all(&mut self) -> Vec<(Task, Awaits)> {
        let Self {
            mut waiting, ready, ..
        } = std::mem::take(self);
        waiting.extend(ready);
        let waiting = waiting.into_values();
        waiting.map(|it| (it.task, it.awaits)).collect()
    }

    /// When the time alone changes something.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Lets time pass: calls whose pause is over are ready; those whose time is over are taken out.
    pub fn pass_time(&mut self, now: Instant) -> Vec<(Task, Awaits)> {
        let mut overdue = Vec::new();
        while self.next_timer().is_some_and(|at| at <= now) {
            let Some((_, id)) = self.timers.pop_first() else {
                break;
            };
            match self.remove(id) {
                Some((task, awaits)) if task.call.deadline <= now => overdue.push((task, awaits)),
                Some((task, _)) => self.add(task, Awaits::Worker),
                None => {}
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    use crate::api::request::{self, Context};
    use crate::delivery::Delivery;
    use crate::delivery::api_key::ApiKey;
    use crate::error::Status;
    use crate::options::ClientOptions;
    use crate::transport::{Settings, Transport};

    struct Tag(usize);

    impl Callback for Tag {
        fn tag(&self) -> usize {
            self.0
        }

        fn run(self: Box<Self>, _: Status, _: &str) {}
    }

    #[test]
    fn calls_that_come_and_are_cancelled_leave_nothing_behind_those_that_wait() {
        let options = Arc::new(ClientOptions::parse(None, |_| Ok(None)).unwrap());
        let key = Arc::new(ArcSwap::from_pointee(ApiKey::new("app.test")));
        let transport = Transport::new(&Settings::default()).unwrap();
        let delivery = Delivery::new(options, key, transport);
        let mut backlog = Backlog::default();
        let add = |backlog: &mut Backlog, id: u64, tag: usize| {
            let context = Context {
                allow_insecure_http: false,
                make_key: &delivery.random,
            };
            let request = request::from_args("leaderboards_all", None, context).unwrap();
            let task = Task {
                id,
                call: Box::new(Call::new(&delivery, request, None)),
                callback: Box::new(Tag(tag)),
            };
            backlog.add(task, Awaits::Worker);
        };
        // As long as no worker is free, nobody looks at the first.
        add(&mut backlog, 0, 1);
        for id in 1..1000 {
            add(&mut backlog, id, 2);
            assert_eq!(backlog.take_tagged(2).len(), 1);
        }
        assert_eq!(backlog.ready(), 1);
        add(&mut backlog, 1000, 3);
        let mut next = || backlog.take_ready().map(|task| task.id);
        assert_eq!((next(), next(), next()), (Some(0), Some(1000), None));
    }
}
