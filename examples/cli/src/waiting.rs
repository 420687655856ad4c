//! Why a queue does not move. The queue itself says only that it tries again, so what stands in the way is found by
//! a small question to the service, which carries no event.

use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use trophy::error::{Error, Status};

use crate::failure::Failure;
use crate::session::Session;
use crate::stats::Stats;
use crate::wording;

/// With no event for so long, something is in the way.
const STILL: Duration = Duration::from_secs(1);
/// Between two questions.
const AGAIN: Duration = Duration::from_secs(10);

pub struct Waiting {
    session: Session,
    /// What there was when it last moved.
    moved: Moved,
    question: Option<Receiver<Result<(), String>>>,
    ask_at: Instant,
    why: Option<String>,
}

struct Moved {
    at: Instant,
    ended: u64,
    undelivered: u64,
    stats: Stats,
}

impl Waiting {
    pub fn new(session: &Session) -> Self {
        let mut session = session.clone();
        session.without_queue();
        session.set("max_retries", 0.into());
        session.set("timeout_in_seconds", 5.into());
        let now = Instant::now();
        Self {
            session,
            moved: Moved {
                at: now,
                ended: 0,
                undelivered: u64::MAX,
                stats: Stats::default(),
            },
            question: None,
            ask_at: now,
            why: None,
        }
    }

    /// To be called again and again; takes no time. `undelivered` is what the folder holds.
    pub fn look(&mut self, stats: &Stats, undelivered: u64) -> Option<String> {
        let now = Instant::now();
        let moves = stats.ended() != self.moved.ended || undelivered < self.moved.undelivered;
        if moves || undelivered == 0 {
            self.moved = Moved {
                at: now,
                ended: stats.ended(),
                undelivered,
                stats: *stats,
            };
            self.why = None;
            self.ask_at = now;
            return None;
        }
        self.moved.undelivered = undelivered;
        if stats.paused {
            return Some("the service refuses the API key".to_owned());
        }
        if now - self.moved.at < STILL {
            return None;
        }
        self.ask(now, stats);
        self.why.clone()
    }

    fn ask(&mut self, now: Instant, stats: &Stats) {
        match self.question.as_ref().map(Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => {}
            Some(Ok(answer)) => {
                self.question = None;
                self.ask_at = now + AGAIN;
                self.why = Some(answer.err().unwrap_or_else(|| self.deduce(stats)));
            }
            Some(Err(TryRecvError::Disconnected)) => self.question = None,
            None if now >= self.ask_at => self.question = Some(question(&self.session)),
            None => {}
        }
    }

    /// The service answers; so what is it?
    fn deduce(&self, stats: &Stats) -> String {
        let before = &self.moved.stats;
        if stats.rate_limited > before.rate_limited {
            "the service says it is too much at once (429): somebody else uses the same limit; it goes on more slowly"
        } else if stats.requests > before.requests || stats.in_flight > 0 {
            "the service answers, but takes no event at the moment; they are tried again with growing pauses"
        } else {
            "the service answers; events rest after a failure, or another process has the queue and delivers it"
        }
        .to_owned()
    }
}

/// On a thread of its own, since it can take seconds. One that is not waited for ends with the process.
fn question(session: &Session) -> Receiver<Result<(), String>> {
    let (tell, answer) = mpsc::channel();
    let session = session.clone();
    thread::spawn(move || {
        // Nobody listens any more: then it is over.
        let _ = tell.send(reach(&session).map_err(|error| error.to_string()));
    });
    answer
}

/// Whether the service can be reached, by a request that changes nothing and that every key may make.
pub fn reach(session: &Session) -> Result<(), Error> {
    let client = session.open().map_err(|failure| match failure {
        Failure::Trophy(error) => error,
        _ => Error::invalid("the client cannot be made"),
    })?;
    let args = json!({ "userIds": ["trophy-cli"] }).to_string();
    match client.call("streaks_list", Some(&args)) {
        Ok(_) => Ok(()),
        Err(error) => match error.status {
            // It is the service that speaks.
            Status::BadRequest | Status::Forbidden | Status::NotFound | Status::Unprocessable => {
                Ok(())
            }
            _ => Err(wording::CALL.translate(error)),
        },
    }
}
