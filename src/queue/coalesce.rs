//! Coalescing: which events can become one, their values summed, and when a sum is exact.

use super::record::Record;
use crate::api::json::Members;

/// Events with the same one differ in their values and idempotency keys only.
#[derive(Debug, PartialEq, Eq)]
pub struct CoalesceKey {
    /// Its idempotency key is not the caller's.
    pub may_join: bool,
    pub attributes: String,
    /// The user with all fields, and whatever else goes with the event.
    pub all_else: String,
}

impl CoalesceKey {
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let mut event = record.members()?;
        event
            .0
            .retain(|(name, _)| !matches!(&**name, "value" | "idempotencyKey"));
        let attributes = event.take("attributes").map_or_else(
            || Some(String::new()),
            |text| serde_json::from_str(text.get()).ok().map(in_order),
        )?;
        let mut all_else = in_order(event);
        if record.tenant.is_some() || !record.headers.is_empty() || !record.query.is_empty() {
            let rest = (&record.tenant, &record.headers, &record.query);
            all_else.push_str(&serde_json::to_string(&rest).ok()?);
        }
        Some(Self {
            may_join: !record.own_key,
            attributes,
            all_else,
        })
    }
}

/// The members as text, by name.
fn in_order(mut members: Members<'_>) -> String {
    members.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    members.to_text()
}

/// The sum, if nothing of either is lost in it (the error term of Knuth's TwoSum is 0).
pub fn exact_sum(a: f64, b: f64) -> Option<f64> {
    let sum = a + b;
    let of_b = sum - a;
    let error = (a - (sum - of_b)) + (b - of_b);
    (sum.is_finite() && error == 0.0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event::EventArgs;
    use crate::api::request::Made;
    use crate::queue::record;

    #[test]
    fn only_exact_sums_are_made() {
        assert_eq!(exact_sum(1.0, 2.0), Some(3.0));
        assert_eq!(exact_sum(0.5, 0.25), Some(0.75));
        assert_eq!(exact_sum(0.1, 0.2), None);
        assert_eq!(exact_sum(1e16, 0.5), None);
        assert_eq!(exact_sum(f64::MAX, f64::MAX), None);
        assert_eq!(exact_sum(9_007_199_254_740_992.0, 1.0), None);
    }

    fn args<'a>(value: f64, key: Option<&'a str>, attributes: Option<&'a str>) -> EventArgs<'a> {
        EventArgs {
            key: "words",
            user_json: r#"{"id":"18"}"#,
            value,
            attributes_json: attributes,
            idempotency_key: key,
            options_json: None,
        }
    }

    fn like(args: &EventArgs<'_>, tenant: Option<&str>) -> CoalesceKey {
        let (text, _) = record::write(args, tenant, false, &Made).unwrap();
        CoalesceKey::of(&Record::parse(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn only_what_differs_in_value_alone_adds_up() {
        let genre = Some(r#"{"genre":"é"}"#);
        let one = like(&args(1.0, None, genre), None);
        assert_eq!(one, like(&args(2.0, None, genre), None));
        assert_ne!(one, like(&args(2.0, Some("mine"), genre), None));
        assert_ne!(one, like(&args(2.0, None, None), None));
        assert_ne!(one, like(&args(2.0, None, genre), Some("t")));
        let in_order = [r#"{"a":"1","b":"2"}"#, r#"{"b":"2", "a":"1"}"#]
            .map(|attributes| like(&args(2.0, None, Some(attributes)), None));
        assert_eq!(in_order[0], in_order[1]);
    }
}
