//! Leaderboards: who stands where, now and in earlier runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::attributes::{pass, show_filters_by_key};
use crate::admin::leaderboards::{Leaderboard, RankBy};
use crate::call::{Answer, Call, Refusal, ok};
use crate::clock::written;
use crate::effects::{Effects, Scene};
use crate::ranking::{HISTORY, Ranking};
use crate::users::User;
use crate::world::{Catalog, Community, World, by_key};

/// The most that a ranking holds.
const MOST: usize = 1000;

/// A leaderboard's rankings: by the first day of a run, and the breakdown attributes' values.
#[derive(Default)]
pub struct Board(HashMap<(Date, Vec<String>), Ranking>);

/// How an event moved its user on a leaderboard.
pub struct Move {
    group: Vec<String>,
    run: Date,
    before: Option<usize>,
    after: Option<usize>,
    threshold: f64,
}

impl Leaderboard {
    fn most(&self) -> usize {
        self.most
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(MOST)
    }

    /// The first day of the run that a day is in.
    fn run_start(&self, day: Date) -> Date {
        let Some(run) = self.run else {
            return self.start;
        };
        let passed = match run.unit {
            "day" => i64::from(self.start.until(day).map_or(0, |span| span.get_days())),
            unit => {
                let months = i64::from(day.year() - self.start.year()) * 12
                    + i64::from(day.month() - self.start.month())
                    - i64::from(day.day() < self.start.day());
                if unit == "month" {
                    months
                } else {
                    months.div_euclid(12)
                }
            }
        };
        self.run_after(passed.div_euclid(run.interval).max(0))
    }

    fn run_after(&self, runs: i64) -> Date {
        let Some(run) = self.run else {
            return self.start;
        };
        // No calendar is longer than this, and spans have limits.
        let count = runs.saturating_mul(run.interval).min(3_000_000);
        match run.unit {
            "day" => self.start.saturating_add(count.days()),
            "month" => self.start.saturating_add(count.min(100_000).months()),
            _ => self.start.saturating_add(count.min(9_000).years()),
        }
    }

    /// The last day of a run, if it has one.
    fn run_end(&self, start: Date) -> Option<Date> {
        let Some(run) = self.run else { return self.end };
        let count = run.interval.min(9_000);
        let next = match run.unit {
            "day" => start.saturating_add(count.days()),
            "month" => start.saturating_add(count.months()),
            _ => start.saturating_add(count.years()),
        };
        let last = next.saturating_sub(1.day());
        Some(self.end.map_or(last, |end| end.min(last)))
    }

    /// The values of the breakdown attributes; `None` if the user lacks one.
    fn group(
        &self,
        catalog: &Catalog,
        attributes: &BTreeMap<String, String>,
    ) -> Option<Vec<String>> {
        self.breakdown
            .iter()
            .map(|id| {
                let attribute = catalog.attributes.iter().find(|known| known.id == *id)?;
                attributes.get(&attribute.key).cloned()
            })
            .collect()
    }

    fn breakdown_keys(&self, catalog: &Catalog) -> Vec<String> {
        self.breakdown
            .iter()
            .filter_map(|id| catalog.attributes.iter().find(|known| known.id == *id))
            .map(|attribute| attribute.key.clone())
            .collect()
    }
}

/// Adds to a user's value on every leaderboard that ranks by this.
pub fn add(scene: &mut Scene, user: &User, by: RankBy, change: f64, effects: &mut Effects) {
    record(scene, user, by, effects, |former| former + change);
}

/// Sets a user's value on every leaderboard that ranks by this.
pub fn set(scene: &mut Scene, user: &User, by: RankBy, value: f64, effects: &mut Effects) {
    record(scene, user, by, effects, |_| value);
}

fn record(
    scene: &mut Scene,
    user: &User,
    by: RankBy,
    effects: &mut Effects,
    value: impl Fn(f64) -> f64,
) {
    let today = user.day(scene.now);
    for board in scene
        .catalog
        .leaderboards
        .iter()
        .filter(|board| board.rank_by == by)
    {
        if board.status_on(today) != "active"
            || !board.counts_at(user.time(scene.now))
            || !pass(&board.user_filters, &user.attributes, scene.catalog)
        {
            continue;
        }
        let Some(group) = board.group(scene.catalog, &user.attributes) else {
            continue;
        };
        let run = board.run_start(today);
        let rankings = &mut scene.boards.entry(board.id).or_default().0;
        let ranking = rankings.entry((run, group.clone())).or_default();
        let before = ranking.rank(&user.id);
        let former = ranking
            .values
            .get(&user.id)
            .map_or(0.0, |standing| standing.value);
        ranking.set(&user.id, value(former), board.most());
        ranking.remember(&user.id, today, scene.now);
        let (after, threshold) = (ranking.rank(&user.id), ranking.threshold(board.most()));
        effects
            .places
            .entry(board.id)
            .and_modify(|place| (place.after, place.threshold) = (after, threshold))
            .or_insert(Move {
                group,
                run,
                before,
                after,
                threshold,
            });
    }
}

/// A user whose attributes have changed leaves the leaderboards that they no longer may be on.
pub fn withdraw(catalog: &Catalog, boards: &mut HashMap<Uuid, Board>, user: &User, now: Timestamp) {
    let today = user.day(now);
    for board in &catalog.leaderboards {
        if pass(&board.user_filters, &user.attributes, catalog) {
            continue;
        }
        let run = board.run_start(today);
        let rankings = boards.get_mut(&board.id).into_iter();
        for ((of, _), ranking) in rankings.flat_map(|board| &mut board.0) {
            if *of == run && ranking.values.contains_key(&user.id) {
                ranking.remove(&user.id, board.most());
            }
        }
    }
}

fn show(catalog: &Catalog, board: &Leaderboard, today: Date) -> Value {
    let keys = board.breakdown_keys(catalog);
    let mut shown = json!({
        "id": board.id.to_string(),
        "name": board.name,
        "key": board.key,
        "status": board.status_on(today),
        "rankBy": board.rank_by.name(),
        "breakdownAttribute": keys.first(),
        "breakdownAttributes": keys,
        "description": board.description,
        "start": board.start.to_string(),
        "end": board.end.map(|end| end.to_string()),
        "startTime": board.start_time,
        "endTime": board.end_time,
        "maxParticipants": board.most,
        "runUnit": board.run.map(|run| run.unit),
        "runInterval": board.run.map(|run| run.interval),
        "userAttributes": show_filters_by_key(&board.user_filters, catalog),
    });
    match board.rank_by {
        RankBy::Metric(id) => {
            if let Some(metric) = catalog.metrics.iter().find(|known| known.id == id) {
                shown["metricKey"] = metric.key.as_str().into();
                shown["metricName"] = metric.name.as_str().into();
            }
        }
        RankBy::Points(id) => {
            if let Some(system) = catalog.points_systems.iter().find(|known| known.id == id) {
                shown["pointsSystemKey"] = system.key.as_str().into();
                shown["pointsSystemName"] = system.name.as_str().into();
            }
        }
        RankBy::Streak => {}
    }
    shown
}

/// The `leaderboards` of an event's reply: each that the event touched.
pub fn show_moves(catalog: &Catalog, moves: &BTreeMap<Uuid, Move>, today: Date) -> Value {
    by_key(catalog.leaderboards.iter().filter_map(|board| {
        let place = moves.get(&board.id)?;
        let mut shown = show(catalog, board, today);
        shown["start"] = place.run.to_string().into();
        shown["end"] = board.run_end(place.run).map(|end| end.to_string()).into();
        shown["rank"] = place.after.into();
        shown["previousRank"] = place.before.into();
        shown["threshold"] = rounded(place.threshold).into();
        if let Some(value) = place.group.first() {
            shown["breakdownAttributeValue"] = value.as_str().into();
            let keys = board.breakdown_keys(catalog);
            shown["breakdownAttributeValues"] = keys
                .iter()
                .zip(&place.group)
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
        }
        Some((board.key.clone(), shown))
    }))
}

fn rounded(value: f64) -> i64 {
    value.round() as i64
}

pub fn all(world: &mut World, call: &Call) -> Answer {
    let today = world.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let finished_too = call.query("includeFinished") == Some("true");
    let catalog = &world.catalog;
    let shown: Vec<Value> = catalog
        .leaderboards
        .iter()
        .map(|board| (board, board.status_on(today)))
        .filter(|(_, status)| *status != "inactive" && (finished_too || *status != "finished"))
        .map(|(board, _)| show(catalog, board, today))
        .collect();
    ok(shown)
}

/// The run that a call asks for: that of a day, or the present one.
fn asked_run(board: &Leaderboard, call: &Call, today: Date) -> Result<Date, Refusal> {
    Ok(board.run_start(call.query_date("run")?.unwrap_or(today)))
}

/// Streaks end without an event, so their rankings are brought up to date when looked at.
fn refresh(catalog: &Catalog, community: &mut Community, board: &Leaderboard, now: Timestamp) {
    if board.rank_by != RankBy::Streak {
        return;
    }
    let Community { users, boards, .. } = community;
    let Some(rankings) = boards.get_mut(&board.id) else {
        return;
    };
    for ((run, _), ranking) in &mut rankings.0 {
        let members: Vec<Arc<str>> = ranking.values.keys().cloned().collect();
        for id in &members {
            let Some(user) = users.get_mut(id) else {
                continue;
            };
            if board.run_start(user.day(now)) == *run {
                let length = user.streak_length(catalog, now) as f64;
                ranking.set(&user.id, length, board.most());
            }
        }
    }
}

pub fn get(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let offset = call.query_number("offset", 0, 0..=usize::MAX)?;
    let limit = call.query_number("limit", 10, 0..=usize::MAX)?;
    let wanted = call.query_attributes()?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let board = catalog.leaderboard(call.path(0))?;
    let keys = board.breakdown_keys(catalog);
    if wanted
        .iter()
        .any(|(key, _)| !keys.iter().any(|known| known == key))
    {
        return Err(Refusal::Unprocessable(
            "userAttributes must be breakdown attributes of this leaderboard".into(),
        ));
    }
    let group: Option<Vec<String>> = keys
        .iter()
        .map(|key| {
            wanted
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, v)| (*v).to_owned())
        })
        .collect();
    let group = group.ok_or_else(|| {
        Refusal::Unprocessable("userAttributes is required for a leaderboard with breakdown".into())
    })?;
    let run = asked_run(board, call, today)?;
    refresh(catalog, community, board, now);
    let Community { users, boards, .. } = community;
    let ranking = boards
        .get(&board.id)
        .and_then(|rankings| rankings.0.get(&(run, group)));
    let places = ranking.map_or(&[][..], |ranking| &ranking.top);
    // With a user, the list starts where that user stands.
    let skip = match call.query("userId") {
        Some(user) => ranking
            .and_then(|ranking| ranking.rank(user))
            .map_or(usize::MAX, |rank| offset.saturating_add(rank - 1)),
        None => offset,
    };
    let mut shown = show(catalog, board, today);
    shown["rankings"] = places
        .iter()
        .enumerate()
        .skip(skip)
        .take(limit)
        .map(|(at, place)| {
            json!({
                "userId": &*place.user,
                "userName": users.get(&place.user).and_then(|user| user.name.as_deref()),
                "rank": at + 1,
                "value": rounded(place.standing.value),
            })
        })
        .collect();
    ok(shown)
}

pub fn of_user(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let days = call.query_number("numEvents", 10, 0..=HISTORY)?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let today = community.user(call.path(0))?.day(now);
    let board = catalog.leaderboard(call.path(1))?;
    let run = asked_run(board, call, today)?;
    refresh(catalog, community, board, now);
    let user = community.user(call.path(0))?;
    let mut shown = show_standing(catalog, community, board, user, (run, today));
    let ranking = ranking_of(catalog, community, board, user, run);
    let history = ranking.and_then(|ranking| ranking.history.get(&user.id));
    let history = history.map_or(&[][..], Vec::as_slice);
    let first = history.len().saturating_sub(days);
    shown["history"] = (first..history.len())
        .map(|at| {
            let (snapshot, former) = (&history[at], at.checked_sub(1).map(|at| &history[at]));
            json!({
                "date": snapshot.day.to_string(),
                "timestamp": written(snapshot.at),
                "previousRank": former.and_then(|former| former.rank),
                "rank": snapshot.rank,
                "previousValue": former.map(|former| rounded(former.value)),
                "value": rounded(snapshot.value),
            })
        })
        .collect();
    ok(shown)
}

fn ranking_of<'a>(
    catalog: &Catalog,
    community: &'a Community,
    board: &Leaderboard,
    user: &User,
    run: Date,
) -> Option<&'a Ranking> {
    let group = board.group(catalog, &user.attributes)?;
    community.boards.get(&board.id)?.0.get(&(run, group))
}

fn show_standing(
    catalog: &Catalog,
    community: &Community,
    board: &Leaderboard,
    user: &User,
    (run, today): (Date, Date),
) -> Value {
    let ranking = ranking_of(catalog, community, board, user, run);
    let rank = ranking.and_then(|ranking| ranking.rank(&user.id));
    let value = ranking.and_then(|ranking| ranking.values.get(&user.id));
    let mut shown = show(catalog, board, today);
    shown["rank"] = rank.into();
    shown["value"] = value
        .filter(|_| rank.is_some())
        .map(|s| rounded(s.value))
        .into();
    shown
}

/// The user's best places on leaderboards whose runs touch these days, by key.
pub fn best_between(
    catalog: &Catalog,
    community: &Community,
    user: &User,
    (first, last): (Date, Date),
) -> Value {
    by_key(catalog.leaderboards.iter().filter_map(|board| {
        let rankings = &community.boards.get(&board.id)?.0;
        let group = board.group(catalog, &user.attributes)?;
        let best = rankings
            .iter()
            .filter(|((_, of), _)| *of == group)
            .filter_map(|((run, _), ranking)| {
                let days = ranking.history.get(&user.id)?;
                let within = days
                    .iter()
                    .filter(|past| (first..=last).contains(&past.day));
                within
                    .filter_map(|past| past.rank)
                    .min()
                    .map(|rank| (rank, *run))
            })
            .min()?;
        let mut shown = show_standing(catalog, community, board, user, (best.1, last));
        shown["rank"] = best.0.into();
        Some((board.key.clone(), shown))
    }))
}
