//! How far something long is, on standard error: a bar on a terminal, lines of JSON without one.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::output::Output;
use crate::pretty;

/// Rates are of so long.
const RECENT: Duration = Duration::from_secs(10);
/// Lines come at least this often, and as rarely as a tenth of the time that has passed.
const OFTEN: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(60);

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Bar,
    Lines,
}

impl Style {
    pub fn of(out: &Output) -> Self {
        match io::stderr().is_terminal() && !out.wants_json() {
            true => Self::Bar,
            false => Self::Lines,
        }
    }
}

pub struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    /// Of the lines: no earlier one.
    next_line: Instant,
    /// Of the last line.
    told: Option<String>,
    recent: VecDeque<(Instant, u64)>,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub struct Position {
    pub done: u64,
    /// `None`: nobody knows yet how many there are.
    pub total: Option<u64>,
    pub refused: u64,
    /// Why nothing moves, if nothing does.
    pub waits_for: Option<String>,
}

impl Progress {
    /// `patience`: how long lines of JSON have nothing to say. A bar is there at once.
    pub fn begin(style: Style, what: &'static str, patience: Duration) -> Self {
        let start = Instant::now();
        let bar = (style == Style::Bar).then(|| {
            let bar = ProgressBar::new(0).with_prefix(what);
            let template = "{prefix} {bar:30} {human_pos}/{human_len} {wide_msg}";
            if let Ok(template) = ProgressStyle::with_template(template) {
                bar.set_style(template.progress_chars("━╸─"));
            }
            bar
        });
        Self {
            bar,
            start,
            next_line: start + patience,
            told: None,
            recent: VecDeque::new(),
        }
    }

    pub fn show(&mut self, position: &Position) {
        let now = Instant::now();
        let rate = self.rate(now, position.done);
        match &self.bar {
            Some(bar) => {
                match position.total {
                    Some(total) => bar.set_length(total),
                    None => bar.unset_length(),
                }
                bar.set_position(position.done);
                bar.set_message(sentence(position, rate));
            }
            None => self.line(now, position, rate),
        }
    }

    /// Something is written besides, which a bar makes room for.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Nothing of a bar stays: what came of it is said elsewhere.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    /// A second.
    fn rate(&mut self, now: Instant, done: u64) -> f64 {
        self.recent.push_back((now, done));
        while self.recent.len() > 2 && now - self.recent[0].0 > RECENT {
            self.recent.pop_front();
        }
        let (begin, before) = self.recent[0];
        let passed = (now - begin).as_secs_f64();
        match passed > 0.0 {
            true => done.saturating_sub(before) as f64 / passed,
            false => 0.0,
        }
    }

    fn line(&mut self, now: Instant, position: &Position, rate: f64) {
        let is_news = position.waits_for.is_some() && position.waits_for != self.told;
        if now < self.next_line && !is_news {
            return;
        }
        self.next_line = now + ((now - self.start) / 10).clamp(OFTEN, RARELY);
        self.told.clone_from(&position.waits_for);
        let mut line = json!({
            "done": position.done,
            "refused": position.refused,
            "perSecond": (rate * 10.0).round() / 10.0,
        });
        if let Some(total) = position.total {
            line["total"] = total.into();
        }
        if let Some(left) = left(position, rate) {
            line["secondsLeft"] = left.as_secs().into();
        }
        if let Some(why) = &position.waits_for {
            line["waitsFor"] = why.as_str().into();
        }
        // Who does not read how far it is misses nothing else.
        let _ = writeln!(io::stderr().lock(), "{}", json!({ "progress": line }));
    }
}

fn left(position: &Position, rate: f64) -> Option<Duration> {
    let todo = position.total?.saturating_sub(position.done) as f64;
    (rate > 0.0)
        .then(|| Duration::try_from_secs_f64(todo / rate).ok())
        .flatten()
}

fn sentence(position: &Position, rate: f64) -> String {
    let mut parts = vec![format!("{rate:.1}/s")];
    if let Some(left) = left(position, rate) {
        parts.push(format!("{} left", HumanDuration(left)));
    }
    if position.refused > 0 {
        parts.push(format!("{} refused", HumanCount(position.refused)));
    }
    let mut text = parts.join(", ");
    if let Some(why) = &position.waits_for {
        text.push_str(" · ");
        text.push_str(&pretty::text(why));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_the_rate_the_time_left_what_was_refused_and_why_it_waits() {
        let position = Position {
            done: 10,
            total: Some(610),
            refused: 1_200,
            waits_for: Some("no network".to_owned()),
        };
        assert_eq!(
            sentence(&position, 5.0),
            "5.0/s, 2 minutes left, 1,200 refused · no network"
        );
        assert_eq!(sentence(&Position::default(), 0.0), "0.0/s");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut progress = Progress::begin(Style::Lines, "x", Duration::MAX / 4);
        let start = progress.start;
        let mut rate = 0.0;
        for second in 0..60 {
            let done = if second < 30 {
                second * 100
            } else {
                3_000 + second
            };
            rate = progress.rate(start + Duration::from_secs(second), done);
        }
        assert!((0.9..=1.1).contains(&rate), "{rate}");
    }
}
