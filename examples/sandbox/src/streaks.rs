//! Streaks: periods in a row in which a user did enough, in the user's own time zone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::streak_settings::{DaysOff, StreakSettings};
use crate::call::{Answer, Call, Refusal, ok};
use crate::clock::written;
use crate::users::User;
use crate::world::{Catalog, World};

#[derive(Default)]
pub struct Streak {
    /// The periods that were kept up, by their first day, and when.
    extended: BTreeMap<Date, Timestamp>,
    /// The missed periods that a freeze or a restore made good.
    covered: BTreeSet<Date>,
    /// The periods in which an admin set the streak to zero, and when.
    resets: BTreeMap<Date, Timestamp>,
    pub pauses: Vec<Pause>,
    pub freezes: i64,
    /// How many intervals have already earned their freezes.
    intervals_earned: i64,
    /// Freezes have been spent, or not, on every period before this one.
    settled: Option<Date>,
}

/// A stretch of days in which nothing is missed.
#[derive(Clone, Debug)]
pub struct Pause {
    pub id: Uuid,
    pub start: Date,
    pub end: Date,
}

/// One period of a user's past.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub start: Date,
    pub end: Date,
    /// The streak's length at its end.
    pub length: i64,
    /// When it was kept up; not what came before a reset.
    extended: Option<Timestamp>,
    reset: Option<Timestamp>,
    frozen: bool,
    paused: bool,
}

/// The longest past that is looked at: periods.
const MEMORY: usize = 800;

impl Streak {
    pub fn begin(&mut self, settings: &StreakSettings) {
        self.freezes = settings.freezes.map_or(0, |freezes| freezes.initial);
    }

    /// Sets the streak to zero. What was is still in the history.
    pub fn reset(&mut self, settings: &StreakSettings, today: Date, now: Timestamp) {
        self.resets.insert(settings.period.start(today), now);
    }

    fn paused(&self, start: Date, end: Date) -> bool {
        self.pauses
            .iter()
            .any(|pause| pause.start <= end && pause.end >= start)
    }

    /// The periods from the first that was kept up to the one that a day is in, for a user with
    /// days off of their own.
    fn timeline(&self, settings: &StreakSettings, own: Option<DaysOff>, today: Date) -> Vec<Row> {
        let Some(first) = self.extended.keys().next() else {
            return Vec::new();
        };
        let period = settings.period;
        let current = period.start(today);
        let mut rows = Vec::new();
        let mut length = 0;
        for start in period.between(*first, today) {
            let end = period.end(start);
            let (extended, reset) = self.marks(start, end);
            let frozen = self.covered.range(start..=end).next().is_some();
            let paused = self.paused(start, end);
            // The current period is not missed before it is over.
            let spared = frozen || paused || settings.is_off(start, own) || start == current;
            length = match (extended, reset) {
                (Some(_), None) => length + 1,
                (None, None) if spared => length,
                (extended, _) => i64::from(extended.is_some()),
            };
            rows.push(Row {
                start,
                end,
                length,
                extended,
                reset,
                frozen,
                paused,
            });
        }
        let surplus = rows.len().saturating_sub(MEMORY);
        rows.split_off(surplus)
    }

    /// When a period was kept up, if it was after it was reset, and when that was.
    fn marks(&self, first: Date, last: Date) -> (Option<Timestamp>, Option<Timestamp>) {
        let latest =
            |marks: &BTreeMap<Date, Timestamp>| marks.range(first..=last).map(|m| *m.1).max();
        let (extended, reset) = (latest(&self.extended), latest(&self.resets));
        (
            extended.filter(|moment| reset.is_none_or(|reset| *moment > reset)),
            reset,
        )
    }

    /// Earns and spends freezes up to today.
    fn settle(
        &mut self,
        settings: &StreakSettings,
        own: Option<DaysOff>,
        since: Date,
        today: Date,
    ) {
        let Some(freezes) = settings.freezes else {
            return;
        };
        if let Some((interval, amount)) = freezes.auto_earn {
            let days = i64::from(since.until(today).map_or(0, |span| span.get_days()));
            let intervals = (days / interval.max(1)).max(0);
            let earned = (intervals - self.intervals_earned)
                .max(0)
                .saturating_mul(amount);
            self.intervals_earned = intervals.max(self.intervals_earned);
            let earned = self.freezes.saturating_add(earned);
            self.freezes = self.freezes.max(earned.min(freezes.most));
        }
        let current = settings.period.start(today);
        while self.freezes > 0 {
            let rows = self.timeline(settings, own, today);
            let broken = rows.windows(2).find(|pair| {
                pair[0].length > 0
                    && pair[1].length == 0
                    && pair[1].reset.is_none()
                    && self.settled.is_none_or(|settled| pair[1].start >= settled)
            });
            let Some(missed) = broken.map(|pair| pair[1].start) else {
                break;
            };
            self.covered.insert(missed);
            self.freezes -= 1;
        }
        self.settled = Some(current);
    }

    /// Marks the period of a day as kept up; whether it was not so before.
    fn extend(&mut self, settings: &StreakSettings, today: Date, now: Timestamp) -> bool {
        let start = settings.period.start(today);
        let fresh = self.marks(start, settings.period.end(today)).0.is_none();
        if fresh {
            self.extended.insert(start, now);
        }
        fresh
    }

    /// Fills the gap after the longest streak since a day, so that it goes on; whether there was
    /// one to restore.
    pub fn restore(
        &mut self,
        settings: &StreakSettings,
        own: Option<DaysOff>,
        since: Date,
        today: Date,
    ) -> bool {
        let rows = self.timeline(settings, own, today);
        let length = rows.last().map_or(0, |row| row.length);
        let best = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.start >= since && row.length > length)
            .max_by_key(|(at, row)| (row.length, *at));
        let Some((at, _)) = best else { return false };
        let current = settings.period.start(today);
        let gap = rows[at + 1..]
            .iter()
            .filter(|row| row.start < current && row.extended.is_none());
        let gap: Vec<Date> = gap.map(|row| row.start).collect();
        self.covered.extend(gap);
        let best = rows[at].start;
        self.resets.retain(|start, _| *start <= best);
        true
    }
}

impl User {
    /// The streak as it stands, its freezes settled.
    pub fn timeline(&mut self, catalog: &Catalog, now: Timestamp) -> Vec<Row> {
        // The streak of a user who wants none is always 0.
        if !self.preferences.streak_enabled() {
            return Vec::new();
        }
        let (since, today) = (self.day(self.created), self.day(now));
        let own = self.preferences.days_off();
        self.streak.settle(&catalog.streaks, own, since, today);
        self.streak.timeline(&catalog.streaks, own, today)
    }

    pub fn streak_length(&mut self, catalog: &Catalog, now: Timestamp) -> i64 {
        self.timeline(catalog, now)
            .last()
            .map_or(0, |row| row.length)
    }
}

/// Extends the streak if the period of the day now has enough; its new length if so.
pub fn after_event(
    catalog: &Catalog,
    user: &mut User,
    metric: Uuid,
    now: Timestamp,
) -> Option<i64> {
    let settings = &catalog.streaks;
    let today = user.day(now);
    if !enough(catalog, user, metric, today) || !user.preferences.streak_enabled() {
        return None;
    }
    let (own, since) = (user.preferences.days_off(), user.day(user.created));
    user.streak.settle(settings, own, since, today);
    user.streak
        .extend(settings, today, now)
        .then(|| user.streak_length(catalog, now))
}

fn enough(catalog: &Catalog, user: &User, metric: Uuid, today: Date) -> bool {
    let settings = &catalog.streaks;
    let (first, last) = (settings.period.start(today), settings.period.end(today));
    let own = if settings.customization {
        user.preferences.streak_metrics()
    } else {
        None
    };
    let wanted: Vec<(Uuid, f64)> = match own {
        Some(own) => own
            .iter()
            .filter_map(|(key, threshold)| Some((catalog.metric(key)?.id, *threshold)))
            .collect(),
        None => {
            let of = settings.metrics.iter();
            of.map(|(id, threshold)| (*id, *threshold as f64)).collect()
        }
    };
    if wanted.is_empty() {
        // Nothing is set up: any event of any metric will do.
        return user.metrics.contains(&metric);
    }
    let all = match user.preferences.evaluation_mode() {
        Some(mode) if settings.customization => mode == "AND",
        _ => settings.all_metrics,
    };
    let mut reached = wanted.iter().map(|(metric, threshold)| {
        let days = user.metrics.get(metric).map(|tally| &tally.days);
        days.map_or(0.0, |days| days.between(first, last)) >= *threshold
    });
    if all {
        reached.all(|reached| reached)
    } else {
        reached.any(|reached| reached)
    }
}

/// The fields that every streak in a reply has.
pub fn show(catalog: &Catalog, user: &mut User, now: Timestamp) -> Value {
    let rows = user.timeline(catalog, now);
    let settings = &catalog.streaks;
    let alive = rows.last().filter(|row| row.length > 0);
    let started = started(&rows).map(|day| day.to_string());
    // Kept up for this period, it lives to the end of the next.
    let expires = alive.map(|row| match row.extended {
        Some(_) => settings.period.end(settings.period.next(row.start)),
        None => row.end,
    });
    let mut shown = json!({
        "length": alive.map_or(0, |row| row.length),
        "frequency": settings.period.name(),
        "started": started,
        "periodStart": alive.map(|row| row.start.to_string()),
        "periodEnd": alive.map(|row| row.end.to_string()),
        "expires": expires.map(|day| day.to_string()),
    });
    if let Some(freezes) = settings.freezes {
        shown["freezes"] = user.streak.freezes.into();
        shown["maxFreezes"] = freezes.most.into();
        if let Some((interval, amount)) = freezes.auto_earn {
            shown["freezeAutoEarnInterval"] = interval.into();
            shown["freezeAutoEarnAmount"] = amount.into();
        }
    }
    shown
}

/// The day on which the streak at the end of some rows began.
pub fn started(rows: &[Row]) -> Option<Date> {
    let alive = |row: &&Row| row.length > 0;
    let mut started = None;
    for row in rows.iter().rev().take_while(alive) {
        started = Some(row.start);
        if row.reset.is_some() {
            break;
        }
    }
    started
}

fn last_extended(rows: &[Row]) -> Option<String> {
    rows.last().filter(|row| row.length > 0)?;
    rows.iter().rev().find_map(|row| row.extended).map(written)
}

pub fn get(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let history = call.query_number("historyPeriods", 7, 0..=MEMORY)?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user_mut(call.path(0))?;
    let rows = user.timeline(catalog, now);
    let mut shown = show(catalog, user, now);
    shown["extended"] = last_extended(&rows).into();
    // A new user has a past as well: periods of no length.
    let period = catalog.streaks.period;
    let mut past: Vec<Value> = rows.iter().rev().take(history).map(show_row).collect();
    let mut start = rows
        .first()
        .map_or(period.next(user.day(now)), |row| row.start);
    while past.len() < history {
        start = period.previous(start);
        past.push(json!({
            "periodStart": start.to_string(),
            "periodEnd": period.end(start).to_string(),
            "length": 0,
            "usedPause": false,
        }));
    }
    past.reverse();
    shown["streakHistory"] = past.into();
    let today = user.day(now);
    shown["pauses"] = user
        .streak
        .pauses
        .iter()
        .filter(|pause| pause.end >= today)
        .map(|pause| {
            json!({
                "id": pause.id.to_string(),
                "start": pause.start.to_string(),
                "end": pause.end.to_string(),
            })
        })
        .collect();
    ok(shown)
}

fn show_row(row: &Row) -> Value {
    let mut shown = json!({
        "periodStart": row.start.to_string(),
        "periodEnd": row.end.to_string(),
        "length": row.length,
        "usedFreeze": row.frozen,
        "usedPause": row.paused && row.extended.is_none(),
    });
    if let Some(moment) = row.reset {
        shown["resetAt"] = written(moment).into();
    }
    shown
}

pub fn list(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let ids = call.query_list("userIds");
    if ids.is_empty() || ids.len() > 100 {
        return Err(Refusal::Unprocessable(
            "userIds must have 1 to 100 items".into(),
        ));
    }
    for id in &ids {
        call.may_act_for(id)?;
    }
    let (catalog, community, _) = world.parts(&call.tenant);
    let mut streaks: Vec<(i64, Value)> = ids
        .into_iter()
        .map(|id| {
            let rows = community
                .users
                .get_mut(id)
                .map(|user| user.timeline(catalog, now));
            let rows = rows.unwrap_or_default();
            let length = rows.last().map_or(0, |row| row.length);
            let extended = last_extended(&rows);
            (
                length,
                json!({ "userId": id, "streakLength": length, "extended": extended }),
            )
        })
        .collect();
    streaks.sort_by_key(|(length, _)| -length);
    ok(streaks
        .into_iter()
        .map(|(_, shown)| shown)
        .collect::<Vec<_>>())
}
