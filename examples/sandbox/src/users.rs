//! Users: made and updated by events, by identify, by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};

use crate::admin::attributes::check;
use crate::by_id::ById;
use crate::call::{self, Answer, Call, Refusal, created, ok};
use crate::clock::written;
use crate::effects::Scene;
use crate::leaderboards;
use crate::metrics::Tally;
use crate::points::{self, Purse};
use crate::preferences::Preferences;
use crate::streaks::Streak;
use crate::world::{Catalog, Community, World};

pub struct User {
    pub id: Arc<str>,
    pub email: Option<String>,
    pub name: Option<String>,
    tz: Option<String>,
    zone: TimeZone,
    /// When the user signed up with the application; the user may be new here.
    sign_up: Option<Date>,
    device_tokens: Option<Vec<String>>,
    subscribe_to_emails: bool,
    pub attributes: BTreeMap<String, String>,
    /// One of the control group of an experiment.
    control: bool,
    pub created: Timestamp,
    updated: Timestamp,
    pub metrics: ById<Tally>,
    pub achievements: ById<Timestamp>,
    pub streak: Streak,
    pub points: ById<Purse>,
    pub preferences: Preferences,
}

impl User {
    fn new(id: &str, now: Timestamp) -> Self {
        Self {
            id: id.into(),
            email: None,
            name: None,
            tz: None,
            zone: TimeZone::UTC,
            sign_up: None,
            device_tokens: None,
            subscribe_to_emails: true,
            attributes: BTreeMap::new(),
            control: false,
            created: now,
            updated: now,
            metrics: ById::default(),
            achievements: ById::default(),
            streak: Streak::default(),
            points: ById::default(),
            preferences: Preferences::default(),
        }
    }

    /// The day it is for the user.
    pub fn day(&self, moment: Timestamp) -> Date {
        self.zone.to_datetime(moment).date()
    }

    /// The time of day it is for the user.
    pub fn time(&self, moment: Timestamp) -> Time {
        self.zone.to_datetime(moment).time()
    }

    /// The day so many years after sign-up; a 29 February has its anniversary on the 28th.
    pub fn anniversary(&self, years: i64) -> Option<Date> {
        let years = i16::try_from(years).ok()?;
        self.sign_up?
            .checked_add(Span::new().try_years(years).ok()?)
            .ok()
    }

    pub fn last_change(&self) -> Timestamp {
        self.updated
    }

    pub fn show(&self) -> Value {
        let mut shown = json!({
            "id": &*self.id,
            "email": self.email,
            "name": self.name,
            "tz": self.tz,
            "signUpDate": self.sign_up.map(|day| day.to_string()),
            "subscribeToEmails": self.subscribe_to_emails,
            "attributes": self.attributes,
            "control": self.control,
            "created": written(self.created),
            "updated": written(self.updated),
        });
        if let Some(tokens) = &self.device_tokens {
            shown["deviceTokens"] = json!(tokens);
        }
        shown
    }

    fn apply(&mut self, changes: Changes, now: Timestamp) {
        let Changes {
            email,
            name,
            tz,
            device_tokens,
            subscribe_to_emails,
            attributes,
            sign_up,
        } = changes;
        let changed = [
            email.is_some(),
            name.is_some(),
            tz.is_some(),
            device_tokens.is_some(),
        ]
        .contains(&true)
            || subscribe_to_emails.is_some()
            || sign_up.is_some()
            || !attributes.is_empty();
        if !changed {
            return;
        }
        self.updated = now;
        self.subscribe_to_emails = subscribe_to_emails.unwrap_or(self.subscribe_to_emails);
        // The email of a user who wants none is not kept.
        self.email = email
            .or(self.email.take())
            .filter(|_| self.subscribe_to_emails);
        self.name = name.or(self.name.take());
        if let Some(tz) = tz {
            (self.tz, self.zone) = match tz {
                Some((name, zone)) => (Some(name), zone),
                None => (None, TimeZone::UTC),
            };
        }
        if let Some(tokens) = device_tokens {
            self.device_tokens = tokens;
        }
        self.attributes.extend(attributes);
        self.sign_up = sign_up.or(self.sign_up);
    }
}

/// What a request says about a user, checked.
#[derive(Debug, Default)]
pub struct Changes {
    email: Option<String>,
    name: Option<String>,
    tz: Option<Option<(String, TimeZone)>>,
    device_tokens: Option<Option<Vec<String>>>,
    subscribe_to_emails: Option<bool>,
    attributes: BTreeMap<String, String>,
    sign_up: Option<Date>,
}

impl Changes {
    pub fn read(fields: &Map<String, Value>, catalog: &Catalog) -> Result<Self, Refusal> {
        let mut changes = Self::default();
        let wrong = |name: &str, what: &str| Refusal::Malformed(format!("{name} must be {what}"));
        let text = |name: &str, value: &Value| match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(wrong(name, "a string")),
        };
        for (name, value) in fields {
            match name.as_str() {
                "email" => changes.email = text(name, value)?,
                "name" => changes.name = text(name, value)?,
                "tz" => {
                    changes.tz = Some(match text(name, value)? {
                        None => None,
                        Some(tz) => match TimeZone::get(&tz) {
                            Ok(zone) => Some((tz, zone)),
                            Err(_) => {
                                return Err(Refusal::Unprocessable(format!(
                                    "Invalid time zone: {tz}"
                                )));
                            }
                        },
                    });
                }
                "deviceTokens" => {
                    changes.device_tokens = Some(match value {
                        Value::Null => None,
                        value => Some(
                            serde_json::from_value(value.clone())
                                .map_err(|_| wrong(name, "an array of strings"))?,
                        ),
                    });
                }
                "subscribeToEmails" => {
                    let flag = value
                        .as_bool()
                        .ok_or_else(|| wrong(name, "true or false"))?;
                    changes.subscribe_to_emails = Some(flag);
                }
                "attributes" => {
                    let given = value.as_object().ok_or_else(|| wrong(name, "an object"))?;
                    changes.attributes =
                        check(given, "user", catalog).map_err(Refusal::Unprocessable)?;
                }
                "signUpDate" => {
                    changes.sign_up = match text(name, value)? {
                        None => None,
                        Some(text) => Some(utc_day(&text).ok_or_else(|| {
                            wrong(
                                name,
                                "a date, YYYY-MM-DD, or a date and time in ISO 8601 format",
                            )
                        })?),
                    };
                }
                // The service ignores what it does not know.
                _ => {}
            }
        }
        Ok(changes)
    }

    /// Whether a user who is so far as this, or new, may be as they say.
    fn check(&self, user: Option<&User>, now: Timestamp) -> Result<(), Refusal> {
        let email = self.email.is_some() || user.is_some_and(|user| user.email.is_some());
        if self.subscribe_to_emails == Some(true) && !email {
            return Err(Refusal::Unprocessable(
                "email is required when subscribeToEmails is true".into(),
            ));
        }
        let zone = match &self.tz {
            Some(new) => new.as_ref().map(|(_, zone)| zone),
            None => user.map(|user| &user.zone),
        };
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let today = zone.to_datetime(now).date();
        if self.sign_up.is_some_and(|day| day > today) {
            return Err(Refusal::Unprocessable(
                "signUpDate must not be later than today in the user's time zone".into(),
            ));
        }
        Ok(())
    }
}

/// A day, or a moment's day in UTC.
fn utc_day(text: &str) -> Option<Date> {
    let day = |moment: Timestamp| TimeZone::UTC.to_datetime(moment).date();
    call::date(text)
        .or_else(|| text.parse().ok().map(day))
        .or_else(|| Some(text.parse::<DateTime>().ok()?.date()))
        .filter(|day| day.year() >= 1)
}

/// The `id` of a user object.
pub fn id_of(fields: &Map<String, Value>) -> Result<&str, Refusal> {
    match fields.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(Refusal::Malformed("user.id must be a string".into())),
    }
}

/// Creates the user or updates it, and awards what a user's creation earns.
pub fn upsert(
    world: &mut World,
    tenant: &str,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<(), Refusal> {
    let changes = Changes::read(fields, &world.catalog)?;
    let now = world.now();
    let (catalog, community, ids) = world.parts(tenant);
    let Community {
        users,
        boards,
        completions,
    } = community;
    let known = users.get_mut(id);
    changes.check(known.as_deref().map(|user| &**user), now)?;
    if let Some(user) = known {
        user.apply(changes, now);
        leaderboards::withdraw(catalog, boards, user, now);
        return Ok(());
    }
    let mut user = User::new(id, now);
    user.control = catalog.settings.is_control(ids);
    user.apply(changes, now);
    user.streak.begin(&catalog.streaks);
    points::on_creation(
        &mut Scene {
            catalog,
            boards,
            completions,
            ids,
            now,
        },
        &mut user,
    );
    users.insert(user.id.clone(), Box::new(user));
    Ok(())
}

/// A user as the application API wants it shown; an unknown one is a 422 there, not a 404.
fn show(world: &mut World, tenant: &str, id: &str) -> Result<Value, Refusal> {
    let (_, community, _) = world.parts(tenant);
    let user = community.users.get(id);
    user.map(|user| user.show())
        .ok_or_else(|| Refusal::Unprocessable(format!("User not found: {id}")))
}

pub fn create(world: &mut World, call: &Call) -> Answer {
    let fields = call.object()?;
    let id = id_of(fields)?;
    call.may_act_for(id)?;
    upsert(world, &call.tenant, id, fields)?;
    created(show(world, &call.tenant, id)?)
}

pub fn get(world: &mut World, call: &Call) -> Answer {
    ok(show(world, &call.tenant, call.path(0))?)
}

pub fn identify(world: &mut World, call: &Call) -> Answer {
    upsert(world, &call.tenant, call.path(0), call.object()?)?;
    get(world, call)
}

pub fn update(world: &mut World, call: &Call) -> Answer {
    let fields = call.object()?;
    world.parts(&call.tenant).1.user(call.path(0))?;
    upsert(world, &call.tenant, call.path(0), fields)?;
    if fields.get("signUpDate") == Some(&Value::Null) {
        world.parts(&call.tenant).1.user_mut(call.path(0))?.sign_up = None;
    }
    get(world, call)
}
