//! A batch that the service refused: which of its events to send by themselves, so that the bad are found in few
//! requests. What the refusal names (an attribute, a metric, a user) is used. Pure.

use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;

use super::record::Record;
use crate::api::json::Members;
use crate::error::Status;

/// What a refusal can name of an event.
#[derive(Debug)]
pub struct Traits {
    pub number: u64,
    metric: String,
    user: String,
    /// The user with all fields.
    whole_user: String,
    value: String,
    attributes: Vec<(String, String)>,
}

/// How to go on.
#[derive(Debug, PartialEq, Eq)]
pub enum Search {
    /// Send each part by itself.
    Parts(Vec<Vec<u64>>),
    /// All have what is wrong: if the first alone is refused, and a second that differs from it, they all are.
    Probe(u64),
}

impl Traits {
    pub fn of(number: u64, payload: &[u8]) -> Self {
        let record = Record::parse(payload);
        let fields = record.as_ref().and_then(Record::fields);
        let event = record.as_ref().and_then(Record::members);
        let event = event.unwrap_or_default();
        let attributes = event.get("attributes");
        let attributes: Option<Members<'_>> =
            attributes.and_then(|it| serde_json::from_str(it.get()).ok());
        let attributes = attributes.unwrap_or_default().0.into_iter();
        let bare = |value: &RawValue| value.get().trim_matches('"').to_owned();
        let (metric, user) = fields
            .map(|fields| (fields.key.into_owned(), fields.user.id.into_owned()))
            .unwrap_or_default();
        Self {
            number,
            metric,
            user,
            whole_user: event.get("user").map_or("", RawValue::get).to_owned(),
            value: event.get("value").map_or("", RawValue::get).to_owned(),
            attributes: attributes
                .map(|(name, value)| (name.into_owned(), bare(value)))
                .collect(),
        }
    }

    /// Whether they have all in common that a refusal can be about.
    fn is_like(&self, other: &Self) -> bool {
        self.differs_from(other) == 0
            && self.metric == other.metric
            && self.whole_user == other.whole_user
    }

    /// In how much of what an event says.
    fn differs_from(&self, other: &Self) -> u8 {
        u8::from(self.value != other.value) + u8::from(self.attributes != other.attributes)
    }
}

/// What is known once a probe was refused alone: who is as bad as it for sure, and who is to be sent alone before all
/// others are taken to be. It may have been bad by itself: so that is one which differs from it, if any does, and which
/// has none before it in its lane.
pub fn second_probe(refused: &Traits, others: &[Traits]) -> (HashSet<u64>, Option<u64>) {
    let (alike, rest): (Vec<_>, Vec<_>) = others.iter().partition(|it| it.is_like(refused));
    let mut lanes = HashSet::new();
    let firsts = rest
        .into_iter()
        .filter(|it| lanes.insert((&it.user, &it.metric)));
    let firsts: Vec<_> = firsts.collect();
    // The first of those that differ most.
    let second = firsts
        .iter()
        .rev()
        .max_by_key(|it| it.differs_from(refused));
    (
        alike.into_iter().map(|it| it.number).collect(),
        second.map(|it| it.number),
    )
}

/// Divides a refused batch of several events. `said`: the service's words. `by_halves`: what they name has led to
/// nothing.
pub fn search(batch: &[Traits], status: Status, said: &str, by_halves: bool) -> Search {
    if by_halves {
        return halves(batch);
    }
    // A key that is not known is wrong with whatever value; else it is the value that may be.
    let is_about_keys = names(said, "key") || names(said, "keys");
    let by_attribute = |it: &Traits| {
        let mut attributes = it.attributes.iter();
        let named = attributes
            .find(|(name, value)| names(said, name) && (is_about_keys || names(said, value)));
        named.map(|(name, value)| match is_about_keys {
            true => name.clone(),
            false => format!("{name}={value}"),
        })
    };
    let by_metric = |it: &Traits| names(said, &it.metric).then(|| it.metric.clone());
    let by_user = |it: &Traits| names(said, &it.user).then(|| it.user.clone());
    // What is wrong with a value, others need not have.
    let is_about_value = names(said, "value") || names(said, "values");
    let first_user = batch.first().map(|it| &it.whole_user);
    let is_one_user = batch.iter().all(|it| Some(&it.whole_user) == first_user);
    for (way, suffices) in [
        (&by_attribute as &Way<'_>, true),
        (&by_metric, true),
        // What is wrong with a user may stand in a field that others of his events lack.
        (&by_user, is_one_user),
    ] {
        let named = grouped(batch, way);
        match (named.len(), named.contains_key(&None)) {
            (1, true) => {}
            (1, false) if suffices && !is_about_value => return probe(batch),
            (1, false) => return halves(batch),
            _ => return Search::Parts(named.into_values().collect()),
        }
    }
    if status == Status::NotFound {
        // A metric that does not exist is a 404 for the whole batch.
        let metrics = grouped(batch, &|it| Some(it.metric.clone()));
        return match metrics.len() {
            1 => probe(batch),
            _ => Search::Parts(metrics.into_values().collect()),
        };
    }
    halves(batch)
}

/// What of an event may be to blame.
type Way<'a> = dyn Fn(&Traits) -> Option<String> + 'a;

fn grouped(batch: &[Traits], way: &Way<'_>) -> BTreeMap<Option<String>, Vec<u64>> {
    let mut named: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for it in batch {
        named.entry(way(it)).or_default().push(it.number);
    }
    named
}

fn probe(batch: &[Traits]) -> Search {
    match batch.first() {
        Some(first) => Search::Probe(first.number),
        None => Search::Parts(Vec::new()),
    }
}

pub fn halves(batch: &[Traits]) -> Search {
    let half = batch.len().div_ceil(2).max(1);
    let parts = batch.chunks(half);
    Search::Parts(
        parts
            .map(|part| part.iter().map(|it| it.number).collect())
            .collect(),
    )
}

/// Whether the text has this name as a word of its own.
fn names(said: &str, name: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "_-".contains(character);
    !name.is_empty()
        && said.match_indices(name).any(|(at, found)| {
            !said[..at].ends_with(is_part) && !said[at + found.len()..].starts_with(is_part)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64, metric: &str, user: &str, attribute: &str) -> Traits {
        Traits {
            number,
            metric: metric.into(),
            user: user.into(),
            whole_user: format!("{{\"id\":\"{user}\"}}"),
            value: "1".into(),
            attributes: vec![(attribute.into(), "v".into())],
        }
    }

    #[test]
    fn what_the_refusal_names_is_sent_apart() {
        let batch = [
            event(1, "words", "a", "genre"),
            event(2, "words", "b", "device"),
            event(3, "pages", "c", "genre"),
        ];
        let search = |status, said| search(&batch, status, said, false);
        assert_eq!(
            search(
                Status::Unprocessable,
                "Invalid attribute keys: device. See …"
            ),
            Search::Parts(vec![vec![1, 3], vec![2]])
        );
        assert_eq!(
            search(Status::Unprocessable, "metric 'pages' is archived"),
            Search::Parts(vec![vec![1, 2], vec![3]])
        );
        assert_eq!(
            search(Status::NotFound, "not found"),
            Search::Parts(vec![vec![3], vec![1, 2]])
        );
        assert_eq!(
            search(Status::Unprocessable, "no"),
            Search::Parts(vec![vec![1, 2], vec![3]])
        );
    }

    #[test]
    fn a_batch_that_has_it_in_common_sends_a_witness() {
        let batch = [event(1, "words", "a", "x"), event(2, "words", "b", "y")];
        let found = search(&batch, Status::NotFound, "no such metric", false);
        assert_eq!(found, Search::Probe(1));
        let found = search(&batch, Status::NotFound, "no such metric", true);
        assert_eq!(found, Search::Parts(vec![vec![1], vec![2]]));
    }

    #[test]
    fn what_is_wrong_with_one_is_not_taken_for_what_all_have() {
        let event = |number, value: &str, tz: &str| Traits {
            number,
            metric: "words".into(),
            user: "a".into(),
            whole_user: format!("{{\"id\":\"a\",\"tz\":\"{tz}\"}}"),
            value: "1".into(),
            attributes: vec![("genre".into(), value.into())],
        };
        let batch = [event(1, "x", "UTC"), event(2, "y", "Nowhere")];
        let search = |said| search(&batch, Status::Unprocessable, said, false);
        assert_eq!(search("Invalid attribute keys: genre"), Search::Probe(1));
        // The value is what is wrong.
        assert_eq!(
            search("genre: y is none"),
            Search::Parts(vec![vec![1], vec![2]])
        );
        assert_eq!(
            search("genre is wrong"),
            Search::Parts(vec![vec![1], vec![2]])
        );
        assert_eq!(
            search("Invalid value for attribute key genre"),
            Search::Parts(vec![vec![1], vec![2]])
        );
        // A field of the user that only one has.
        assert_eq!(
            search("the tz of user a is unknown"),
            Search::Parts(vec![vec![1], vec![2]])
        );
    }

    #[test]
    fn a_second_probe_differs_from_the_first_and_stands_first_in_its_lane() {
        let with_value = |number, user, value: &str| Traits {
            value: value.into(),
            ..event(number, "words", user, "genre")
        };
        let refused = with_value(1, "a", "1.5");
        let others = [
            with_value(2, "a", "1.5"),
            with_value(3, "b", "1.5"),
            with_value(4, "b", "2"),
            with_value(5, "c", "2"),
            with_value(6, "d", "2"),
        ];
        let (alike, second) = second_probe(&refused, &others);
        assert_eq!(alike, HashSet::from([2]));
        assert_eq!(second, Some(5));
        // If none differs, it is another's.
        assert_eq!(second_probe(&refused, &others[..2]).1, Some(3));
        assert_eq!(second_probe(&refused, &others[..1]).1, None);
    }

    #[test]
    fn a_name_is_a_word() {
        assert!(names("keys: device.", "device"));
        assert!(!names("keys: devices", "device"));
        assert!(!names("my-device", "device"));
        assert!(!names("anything", ""));
    }
}
