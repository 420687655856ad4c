//! `trophy queue dead`: the events that the service refused, with its reason.

use serde_json::Value;

use crate::dead_letters;
use crate::failure::Failure;
use crate::output::Output;

pub fn run(path: &str, out: &mut Output) -> Result<(), Failure> {
    let lines = dead_letters::list(path)?;
    if !out.is_for_people() {
        return lines.iter().try_for_each(|line| out.line(line));
    }
    out.table(
        &["ENQUEUED", "METRIC", "USER", "VALUE", "REASON"],
        lines.iter().map(|line| row(line)).collect(),
    )
}

fn row(line: &str) -> Vec<String> {
    let dead: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |pointer: &str| match dead.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let reason = match dead.get("unreadable") {
        Some(_) => "the record holds no event".to_owned(),
        None => text("/error/message"),
    };
    vec![
        dead["enqueuedAtMs"].as_i64().map_or(String::new(), when),
        text("/event/key"),
        text("/event/user/id"),
        text("/event/value"),
        reason,
    ]
}

/// As the clock on the wall has it.
fn when(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or(String::new(), |time| {
        time.to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    })
}
