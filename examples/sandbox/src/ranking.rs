//! A ranking: who stands where in one run of a leaderboard, and where they stood on earlier days.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

/// The most days of history that can be asked for, so that are kept.
pub const HISTORY: usize = 100;

#[derive(Default)]
pub struct Ranking {
    /// Everybody who takes part.
    pub values: HashMap<Arc<str>, Standing>,
    /// Those that have a rank, best first. Only so many, so that an event stays cheap however
    /// many take part.
    pub top: Vec<Place>,
    arrivals: u64,
    pub history: HashMap<Arc<str>, Vec<Snapshot>>,
}

#[derive(Clone, Copy)]
pub struct Standing {
    pub value: f64,
    /// Of two with the same value, who reached it first stands higher.
    arrival: u64,
}

#[derive(Clone)]
pub struct Place {
    pub user: Arc<str>,
    pub standing: Standing,
}

/// A user's place at the end of a day.
pub struct Snapshot {
    pub day: Date,
    pub at: Timestamp,
    pub rank: Option<usize>,
    pub value: f64,
}

impl Standing {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other
            .value
            .total_cmp(&self.value)
            .then(self.arrival.cmp(&other.arrival))
    }
}

impl Ranking {
    fn find(&self, standing: &Standing) -> Result<usize, usize> {
        self.top
            .binary_search_by(|place| place.standing.order(standing))
    }

    /// From 1.
    pub fn rank(&self, user: &str) -> Option<usize> {
        self.find(self.values.get(user)?).ok().map(|at| at + 1)
    }

    pub fn set(&mut self, user: &Arc<str>, value: f64, most: usize) {
        let former = self.values.get(user).copied();
        if former.is_some_and(|former| former.value == value) {
            return;
        }
        self.arrivals += 1;
        let standing = Standing {
            value,
            arrival: self.arrivals,
        };
        self.values.insert(user.clone(), standing);
        let held = former.and_then(|former| self.find(&former).ok());
        if let Some(at) = held {
            self.top.remove(at);
        }
        let at = self.find(&standing).unwrap_or_else(|at| at);
        let fell_off = held.is_some() && at == self.top.len() && self.values.len() > most;
        if fell_off {
            // Somebody without a rank may have been waiting for this.
            self.refill(most);
        } else if at < most {
            self.top.insert(
                at,
                Place {
                    user: user.clone(),
                    standing,
                },
            );
            self.top.truncate(most);
        }
    }

    /// Takes a user out, and all that was known of them.
    pub fn remove(&mut self, user: &str, most: usize) {
        self.values.remove(user);
        self.history.remove(user);
        self.refill(most);
    }

    fn refill(&mut self, most: usize) {
        self.top = self
            .values
            .iter()
            .map(|(user, standing)| Place {
                user: user.clone(),
                standing: *standing,
            })
            .collect();
        self.top
            .sort_by(|one, other| one.standing.order(&other.standing));
        self.top.truncate(most);
    }

    /// What it takes to get a rank.
    pub fn threshold(&self, most: usize) -> f64 {
        if self.top.len() < most {
            0.0
        } else {
            self.top.last().map_or(0.0, |p| p.standing.value)
        }
    }

    pub fn remember(&mut self, user: &Arc<str>, day: Date, at: Timestamp) {
        let (Some(rank), Some(standing)) = (self.rank(user), self.values.get(user)) else {
            return;
        };
        let snapshot = Snapshot {
            day,
            at,
            rank: Some(rank),
            value: standing.value,
        };
        let history = self.history.entry(user.clone()).or_default();
        match history.last_mut() {
            Some(last) if last.day == day => *last = snapshot,
            _ => history.push(snapshot),
        }
        if history.len() > HISTORY {
            history.remove(0);
        }
    }
}
