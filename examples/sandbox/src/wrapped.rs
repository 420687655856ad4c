//! A user's year in review.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal, number, ok};
use crate::metrics::Tally;
use crate::summaries::{Days, Period};
use crate::users::User;
use crate::world::{Catalog, Community, World, by_key};
use crate::{achievements, effects, leaderboards, streaks};

/// A stretch of days, both ends included.
type Stretch = (Date, Date);

/// What changed in a stretch, compared with what was before it.
fn change(days: &Days, (first, last): Stretch) -> Map<String, Value> {
    let changed = days.between(first, last);
    let before = days.until(first.saturating_sub(1.day()));
    let percent = if before == 0.0 {
        0.0
    } else {
        changed / before * 100.0
    };
    [
        ("currentTotal", days.until(last)),
        ("changeThisPeriod", changed),
        ("percentChange", (percent * 100.0).round() / 100.0),
    ]
    .map(|(name, value)| (name.to_owned(), number(value)))
    .into_iter()
    .collect()
}

fn active(days: &Days, (first, last): Stretch) -> bool {
    days.iter().any(|(day, _)| (first..=last).contains(&day))
}

fn by_attribute(tally: &Tally, name: &str, units: &str, stretch: Stretch) -> Value {
    let mut keys: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for ((key, value), part) in &tally.by_attribute {
        if active(&part.days, stretch) {
            let mut shown = change(&part.days, stretch);
            shown.insert("name".into(), name.into());
            shown.insert("units".into(), units.into());
            keys.entry(key)
                .or_default()
                .insert(value.clone(), shown.into());
        }
    }
    json!(keys)
}

/// All that happened in a stretch.
fn activity(catalog: &Catalog, community: &Community, user: &User, stretch: Stretch) -> Value {
    let metrics = catalog.metrics.iter().filter_map(|metric| {
        let tally = user
            .metrics
            .get(&metric.id)
            .filter(|tally| active(&tally.days, stretch))?;
        let mut shown = change(&tally.days, stretch);
        shown.insert("name".into(), metric.name.as_str().into());
        shown.insert("units".into(), metric.units.as_str().into());
        let parts = by_attribute(tally, &metric.name, &metric.units, stretch);
        shown.insert("byAttribute".into(), parts);
        Some((metric.key.clone(), shown.into()))
    });
    let points = catalog.points_systems.iter().filter_map(|system| {
        let purse = user
            .points
            .get(&system.id)
            .filter(|purse| active(&purse.days, stretch))?;
        let mut shown = change(&purse.days, stretch);
        shown.insert("name".into(), system.name.as_str().into());
        shown.insert("description".into(), system.description.clone().into());
        Some((system.key.clone(), shown.into()))
    });
    let (first, last) = stretch;
    let achieved = catalog.achievements.iter().filter(|achievement| {
        let moment = user.achievements.get(&achievement.id);
        moment.is_some_and(|moment| (first..=last).contains(&user.day(*moment)))
    });
    json!({
        "metrics": by_key(metrics),
        "points": by_key(points),
        "achievements": achieved
            .map(|achievement| achievements::show_for(catalog, user, achievement))
            .collect::<Vec<_>>(),
        "leaderboards": leaderboards::best_between(catalog, community, user, stretch),
    })
}

/// The period of the year with the most events' worth, its first day; the first if there is none.
fn busiest(user: &User, period: Period, (first, last): Stretch) -> Date {
    let mut sums: BTreeMap<Date, f64> = BTreeMap::new();
    for tally in user.metrics.values() {
        for (day, change) in tally
            .days
            .iter()
            .filter(|(day, _)| (first..=last).contains(day))
        {
            *sums.entry(period.start(day)).or_default() += change.abs();
        }
    }
    let best = sums
        .into_iter()
        .rev()
        .max_by(|one, other| one.1.total_cmp(&other.1));
    best.map_or(period.start(first), |(start, _)| start)
}

pub fn get(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    effects::settle(world, &call.tenant, call.path(0));
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user_mut(call.path(0))?;
    let this_year = user.day(now).year();
    let year = match call.query("year") {
        None => this_year,
        Some(text) => {
            let year = text
                .parse()
                .ok()
                .filter(|year| (1..=this_year).contains(year));
            year.ok_or_else(|| {
                Refusal::Unprocessable(format!("year must be between 1 and {this_year}"))
            })?
        }
    };
    let whole = (date(year, 1, 1), date(year, 12, 31));
    let rows = user.timeline(catalog, now);
    let within = |day: Date| (whole.0..=whole.1).contains(&day);
    let longest = rows
        .iter()
        .filter(|row| within(row.start))
        .max_by_key(|row| row.length);
    let longest = longest.filter(|row| row.length > 0);
    let started = longest.and_then(|best| {
        let until = rows.partition_point(|row| row.start <= best.start);
        streaks::started(&rows[..until])
    });
    let user = community.user(call.path(0))?;
    let days: BTreeSet<Date> = user
        .metrics
        .values()
        .flat_map(|tally| tally.days.iter().map(|(day, _)| day))
        .filter(|day| within(*day))
        .collect();
    let count = |period: Period| {
        days.iter()
            .map(|day| period.start(*day))
            .collect::<BTreeSet<_>>()
            .len()
    };
    let most_active = |period: Period| {
        let start = busiest(user, period, whole);
        let stretch = (start, period.end(start));
        (stretch, activity(catalog, community, user, stretch))
    };
    let ((day, _), mut most_active_day) = most_active(Period::Day);
    most_active_day["date"] = day.to_string().into();
    let ((first, last), mut most_active_week) = most_active(Period::Week);
    most_active_week["start"] = first.to_string().into();
    most_active_week["end"] = last.to_string().into();
    let ((month, _), mut most_active_month) = most_active(Period::Month);
    most_active_month["month"] = (month.month() - 1).into(); // January is 0
    let mut entire_year = activity(catalog, community, user, whole);
    entire_year["longestStreak"] = json!({
        "length": longest.map_or(0, |row| row.length),
        "frequency": catalog.streaks.period.name(),
        "periodStart": longest.map(|row| row.start.to_string()),
        "periodEnd": longest.map(|row| row.end.to_string()),
        "started": started.map(|day| day.to_string()),
    });
    ok(json!({
        "user": user.show(),
        "activity": {
            "daysActive": days.len(),
            "weeksActive": count(Period::Week),
            "monthsActive": count(Period::Month),
            "mostActiveDay": most_active_day,
            "mostActiveWeek": most_active_week,
            "mostActiveMonth": most_active_month,
            "entireYear": entire_year,
        },
    }))
}
