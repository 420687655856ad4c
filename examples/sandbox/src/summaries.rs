//! What happened when: sums by day, and summaries by day, week or month.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::json;

use crate::call::{Answer, Call, Refusal, number, ok};

/// Changes by day.
#[derive(Clone, Debug, Default)]
pub struct Days(BTreeMap<Date, f64>);

impl Days {
    pub fn add(&mut self, day: Date, value: f64) {
        *self.0.entry(day).or_default() += value;
    }

    /// The sum of the changes from one day to another, both included.
    pub fn between(&self, first: Date, last: Date) -> f64 {
        if first > last {
            return 0.0;
        }
        self.0.range(first..=last).map(|(_, change)| change).sum()
    }

    /// The total as it stood at the end of a day.
    pub fn until(&self, last: Date) -> f64 {
        self.0.range(..=last).map(|(_, change)| change).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Date, f64)> {
        self.0.iter().map(|(day, change)| (*day, *change))
    }
}

/// A stretch of the calendar that streaks and summaries count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Period {
    pub fn named(frequency: &str) -> Option<Self> {
        match frequency {
            "daily" => Some(Self::Day),
            "weekly" => Some(Self::Week),
            "monthly" => Some(Self::Month),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
        }
    }

    /// The first day of the period that a day is in.
    pub fn start(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days())
            }
            Self::Month => day.first_of_month(),
        }
    }

    pub fn end(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => self.start(day).saturating_add(6.days()),
            Self::Month => day.last_of_month(),
        }
    }

    /// The first day of the period after; at the end of the calendar, that of the period itself.
    pub fn next(self, day: Date) -> Date {
        let start = self.start(day);
        match self {
            Self::Day => start.checked_add(1.day()),
            Self::Week => start.checked_add(1.week()),
            Self::Month => start.checked_add(1.month()),
        }
        .unwrap_or(start)
    }

    /// The periods from the one that a day is in to the one that another is in, by their first days.
    pub fn between(self, first: Date, last: Date) -> impl Iterator<Item = Date> {
        std::iter::successors(Some(self.start(first)), move |start| {
            Some(self.next(*start)).filter(|next| next > start)
        })
        .take_while(move |start| *start <= last)
    }

    /// The first day of the period before.
    pub fn previous(self, day: Date) -> Date {
        self.start(self.start(day).saturating_sub(1.day()))
    }
}

/// The answer to an event summary, of metrics or of points.
pub fn summary(call: &Call, days: Option<&Days>) -> Answer {
    let wrong = |text: &str| Refusal::Unprocessable(text.into());
    let period = call
        .query("aggregation")
        .and_then(Period::named)
        .ok_or_else(|| wrong("aggregation must be one of daily, weekly, monthly"))?;
    let first = call
        .query_date("startDate")?
        .ok_or_else(|| wrong("startDate is required"))?;
    let last = call
        .query_date("endDate")?
        .ok_or_else(|| wrong("endDate is required"))?;
    if first > last {
        return Err(wrong("startDate must be before endDate"));
    }
    if first.saturating_add(400.days()) < last {
        return Err(wrong("The date range must not exceed 400 days"));
    }
    let none = Days::default();
    let days = days.unwrap_or(&none);
    let row = |start: Date| {
        let (from, to) = (start.max(first), period.end(start).min(last));
        json!({
            "date": start.to_string(),
            "total": number(days.until(to)),
            "change": number(days.between(from, to)),
        })
    };
    ok(period.between(first, last).map(row).collect::<Vec<_>>())
}
