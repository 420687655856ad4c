//! JSON Lines: an event a line.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Number, json};

use super::row::{At, Event, Row, Wrong, given};
use crate::failure::Failure;

/// No event is so long.
const LONGEST: usize = 1 << 20;
/// Of a line that is wrong, so much is shown.
const SHOWN: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Members<'a> {
    #[serde(alias = "key")]
    metric: Option<String>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(alias = "user_id")]
    user_id: Option<String>,
    value: Option<Number>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(alias = "idempotency_key")]
    idempotency_key: Option<String>,
    /// What a file of refused rows has besides.
    #[serde(rename = "row")]
    _row: Option<IgnoredAny>,
    #[serde(rename = "line")]
    _line: Option<IgnoredAny>,
    #[serde(rename = "code")]
    _code: Option<IgnoredAny>,
    #[serde(rename = "reason")]
    _reason: Option<IgnoredAny>,
}

pub struct JsonRows {
    bytes: Box<dyn BufRead>,
    name: PathBuf,
    line: u64,
    number: u64,
}

impl JsonRows {
    pub fn read(mut bytes: Box<dyn BufRead>, name: &Path) -> Result<Self, Failure> {
        let begin = bytes
            .fill_buf()
            .map_err(|error| Failure::reading(name, &error))?;
        if begin.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Failure::usage(format!(
                "{} is one JSON array, and an event a line is wanted; `jq -c '.[]'` makes one of the other",
                name.display()
            )));
        }
        Ok(Self {
            bytes,
            name: name.to_owned(),
            line: 0,
            number: 0,
        })
    }

    /// The next line, cut where it is too long; `None` at the end.
    fn line(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        self.bytes
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut line)?;
        let is_cut = line.len() as u64 == most && !line.ends_with(b"\n");
        if is_cut {
            self.bytes.skip_until(b'\n')?;
        }
        self.line += 1;
        Ok((!line.is_empty()).then_some((line, is_cut)))
    }
}

impl Iterator for JsonRows {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (line, is_cut) = match self.line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(Failure::reading(&self.name, &error))),
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.number += 1;
            return Some(Ok(Row {
                at: At {
                    row: self.number,
                    line: self.line,
                },
                event: match is_cut {
                    true => Err(wrong("is longer than a mebibyte", &line)),
                    false => event(&line),
                },
            }));
        }
    }
}

fn event(line: &[u8]) -> Result<Event, Wrong> {
    let wrong = |reason: &str| wrong(reason, line);
    // An array would do for serde, with its values in the order above.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(wrong("is no JSON object"));
    }
    let members: Members<'_> = serde_json::from_slice(line).map_err(|error| {
        wrong(
            &error
                .to_string()
                .replace(" at line 1 column ", " at column "),
        )
    })?;
    let user = match (given(members.user), members.user_id) {
        (Some(user), None) => user,
        (None, Some(id)) => json!({ "id": id }).to_string(),
        (Some(_), Some(_)) => return Err(wrong("has both \"user\" and \"userId\"; give one")),
        (None, None) => return Err(wrong("has no \"user\"")),
    };
    Ok(Event {
        metric: members.metric.ok_or_else(|| wrong("has no \"metric\""))?,
        user,
        value: members
            .value
            .and_then(|value| value.as_f64())
            .ok_or_else(|| wrong("has no \"value\""))?,
        attributes: given(members.attributes),
        idempotency_key: members.idempotency_key,
    })
}

fn wrong(reason: &str, line: &[u8]) -> Wrong {
    let shown = &line[..line.len().min(SHOWN)];
    Wrong::new(reason, String::from_utf8_lossy(shown).trim_end())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        let bytes = Box::new(io::Cursor::new(text.to_owned()));
        let rows = JsonRows::read(bytes, Path::new("x")).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    #[test]
    fn a_line_is_an_event_with_its_own_or_the_services_names() {
        let rows = rows(concat!(
            "{\"metric\":\"m\",\"user\":{\"id\":\"1\",\"x\":[1]},\"value\":0.1,\"attributes\":{\"a\":\"b\"},\"idempotencyKey\":\"k\"}\n",
            "\n",
            "  {\"key\":\"m\",\"user_id\":\"2\",\"value\":-3,\"attributes\":null,\"row\":5,\"line\":7,\"code\":\"x\",\"reason\":\"y\"}\r\n",
        ));
        assert_eq!(rows[0].at, At { row: 1, line: 1 });
        assert_eq!(rows[1].at, At { row: 2, line: 3 });
        assert_eq!(
            rows[0].event.clone().unwrap(),
            Event {
                metric: "m".into(),
                user: r#"{"id":"1","x":[1]}"#.into(),
                value: 0.1,
                attributes: Some(r#"{"a":"b"}"#.into()),
                idempotency_key: Some("k".into()),
            }
        );
        let second = rows[1].event.clone().unwrap();
        assert_eq!(
            (second.value, second.user.as_str()),
            (-3.0, r#"{"id":"2"}"#)
        );
        assert_eq!(second.attributes, None);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named_and_the_next_is_read() {
        let long = format!("{{\"metric\":\"{}\"}}\n", "x".repeat(LONGEST * 2));
        for (line, reason) in [
            ("{\n", "EOF"),
            ("5\n", "is no JSON object"),
            (r#"{"user":{"id":"1"},"value":1}"#, "no \"metric\""),
            (r#"{"metric":"m","value":1}"#, "no \"user\""),
            (r#"{"metric":"m","userId":"1"}"#, "no \"value\""),
            (
                r#"{"metric":"m","userId":"1","user":{"id":"1"},"value":1}"#,
                "both",
            ),
            (
                r#"{"metric":"m","userId":"1","vaule":1}"#,
                "unknown field `vaule`",
            ),
            (
                r#"{"metric":"m","userId":"1","value":"1"}"#,
                "expected a JSON number at column",
            ),
            (&long, "longer than a mebibyte"),
        ] {
            let text = format!(
                "{}\n{}\n",
                line.trim_end(),
                r#"{"metric":"m","userId":"1","value":1}"#
            );
            let rows = rows(&text);
            let wrong = rows[0].event.clone().unwrap_err();
            assert!(wrong.reason.contains(reason), "{}", wrong.reason);
            assert!(wrong.text.len() <= SHOWN);
            assert_eq!(rows[1].at.line, 2);
            assert!(rows[1].event.is_ok(), "after {reason}");
        }
    }

    #[test]
    fn an_array_is_refused_with_what_to_do() {
        let bytes = Box::new(io::Cursor::new("\n[{}]"));
        let taken = JsonRows::read(bytes, Path::new("x")).map(|_| ());
        assert!(
            matches!(&taken, Err(Failure::Usage(message)) if message.contains("jq -c")),
            "{taken:?}"
        );
        let further_down = event(br#"["m",null,"1",1,null,null,0,0,0,0]"#);
        assert_eq!(further_down.unwrap_err().reason, "is no JSON object");
    }
}
