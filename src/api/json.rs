//! JSON as text: checking it, taking an object's members apart, and reading a value by JSON Pointer
//! (RFC 6901). Nothing here builds a tree: a value is a slice of the text it stands in.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;

/// Deepest nesting taken from a caller. The service's own objects are 3 deep.
const MAX_DEPTH: usize = 128;

/// Checks that `text` is JSON, for the parameter `name`.
pub fn parse<'a>(name: &str, text: &'a str) -> Result<&'a RawValue, Error> {
    let value: &RawValue = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("{name}: is not JSON: {error}")))?;
    check_depth(name, text)?;
    Ok(value)
}

/// Text that this library wrote as JSON.
pub fn raw(text: &str) -> Result<&RawValue, Error> {
    serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))
}

/// For text that is known to be JSON.
fn check_depth(name: &str, text: &str) -> Result<(), Error> {
    // A shorter text has no room for so many brackets.
    if text.len() > 2 * MAX_DEPTH && depth(text) > MAX_DEPTH {
        return Err(Error::invalid(format!(
            "{name}: is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    Ok(())
}

/// How deep a text that is known to be JSON is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest): (usize, usize) = (0, 0);
    let mut is_in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_in_string = !is_in_string,
            // In a string: what is escaped ends none.
            b'\\' => _ = bytes.next(),
            b'[' | b'{' if !is_in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether `text` is JSON of any depth: for replies, which are passed on and not taken apart. serde_json
/// ignores a value without recursion and without a limit of depth.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The members of an object, in order, their values as text. A name given twice is an error, since
/// nobody can say which one is meant.
#[derive(Debug, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads the object that the parameter `name` is to be.
    pub fn parse(name: &str, text: &'a str) -> Result<Self, Error> {
        match serde_json::from_str(text) {
            Ok(members) => check_depth(name, text).map(|()| members),
            // Another look, for what to say.
            Err(_) => Self::of(name, parse(name, text)?),
        }
    }

    /// The same for text that is known to be JSON.
    pub fn of(name: &str, value: &'a RawValue) -> Result<Self, Error> {
        if kind(value) != "an object" {
            return Err(Error::invalid(format!(
                "{name}: must be a JSON object, not {}",
                kind(value)
            )));
        }
        serde_json::from_str(value.get())
            .map_err(|error| Error::invalid(format!("{name}: {}", without_position(&error))))
    }

    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| *value)
    }

    /// Takes a member out; one that is null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(member, _)| member == name)?;
        let (_, value) = self.0.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// Gives a member that is there another value.
    pub fn set(&mut self, name: &str, value: &'a RawValue) {
        if let Some(member) = self.0.iter_mut().find(|(member, _)| member == name) {
            member.1 = value;
        }
    }

    /// The object again.
    pub fn to_text(&self) -> String {
        let lengths = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.get().len() + 4);
        let mut out = String::with_capacity(lengths.sum::<usize>() + 2);
        self.write(&mut out);
        out
    }

    /// The object `text` without some of its members: as it came, if it has none of them.
    pub fn without(
        mut self,
        text: &'a str,
        is_left_out: impl Fn(&str, &RawValue) -> bool,
    ) -> Cow<'a, str> {
        let before = self.0.len();
        self.0.retain(|(name, value)| !is_left_out(name, value));
        match self.0.len() == before {
            true => Cow::Borrowed(text),
            false => Cow::Owned(self.to_text()),
        }
    }

    /// Writes the object again.
    pub fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(out, name);
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // What a vector would begin with, but in one step.
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                match given_twice(&members) {
                    Some(name) => Err(serde::de::Error::custom(format!(
                        "\"{name}\" is given twice"
                    ))),
                    None => Ok(Members(members)),
                }
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// The first name that stands twice. In a usual object a look is cheaper than a set, in a huge one
/// it would take for ever.
fn given_twice<'a>(members: &'a [(Cow<'_, str>, &RawValue)]) -> Option<&'a str> {
    let mut names = members.iter().map(|(name, _)| &**name);
    if members.len() > 32 {
        let mut seen = HashSet::new();
        return names.find(|name| !seen.insert(*name));
    }
    members
        .iter()
        .enumerate()
        .find(|(at, (name, _))| members[..*at].iter().any(|(before, _)| before == name))
        .map(|(_, (name, _))| &**name)
}

/// A string, borrowed from the text where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringVisitor;
        impl<'de> Visitor<'de> for StringVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(StringVisitor)
    }
}

/// Reads a string value; `None` if it is none, or holds half of a surrogate pair, which is no character.
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    // It is JSON, so what begins with a quote ends with one.
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Name<'_>>(value.get())
        .ok()
        .map(|Name(text)| text)
}

/// What a value is, as a message says it.
pub fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    match text.bytes().all(is_plain) {
        true => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        false => out.push_str(&quote(text)),
    }
}

/// `text` as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    // A string has no way to fail to become JSON.
    serde_json::to_string(text).unwrap_or_default()
}

/// The value at an RFC 6901 pointer ("" is the whole, "/points/total", "/achievements/0/name").
fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a RawValue> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    if pointer.is_empty() {
        return Some(value);
    }
    for token in pointer.strip_prefix('/')?.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        value = match kind(value) {
            "an object" => *members_of(value)?.get(&*token)?,
            "an array" => *elements_of(value)?.get(index(&token)?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Of a name that stands twice, the last.
fn members_of(object: &RawValue) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(object.get()).ok()
}

/// JSON knows half of a surrogate pair, which UTF-8 does not: what stands beside it could not be read. It becomes
/// U+FFFD.
fn well_formed(json: &str) -> Cow<'_, str> {
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        match (half(json, at), half(json, at + 6)) {
            (None, _) => at += 2,
            (Some(false), Some(true)) => at += 12,
            (Some(_), _) => {
                out.push_str(&json[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}

/// Whether half of a pair is escaped there: its first (false), or its second.
fn half(json: &str, at: usize) -> Option<bool> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..0xdc00 => Some(false),
        0xdc00..0xe000 => Some(true),
        _ => None,
    }
}

fn elements_of(array: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(array.get()).ok()
}

/// The number there; `None` if there is none, or it is beyond a double.
pub fn number(json: &str, pointer: &str) -> Option<f64> {
    read_at(json, pointer, double)
}

/// The double that a number is; `None` if it is beyond one.
pub fn double(value: &RawValue) -> Option<f64> {
    let is_number = kind(value) == "a number";
    is_number.then(|| serde_json::from_str(value.get()).ok())?
}

/// The string there, with U+FFFD for what is no character, or another value as its JSON text.
pub fn text(json: &str, pointer: &str) -> Option<String> {
    read_at(json, pointer, |value| match kind(value) {
        "a string" => string(value).map(Cow::into_owned),
        _ => Some(value.get().to_owned()),
    })
}

/// How many elements or members the array or object there has.
pub fn length(json: &str, pointer: &str) -> Option<usize> {
    read_at(json, pointer, |value| match kind(value) {
        "an object" => members_of(value).map(|members| members.len()),
        "an array" => elements_of(value).map(|elements| elements.len()),
        _ => None,
    })
}

fn read_at<T>(json: &str, pointer: &str, read: impl FnOnce(&RawValue) -> Option<T>) -> Option<T> {
    read(at(&well_formed(json), pointer)?)
}

/// An array index as RFC 6901 writes it: no sign, no leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    plain.then(|| token.parse().ok()).flatten()
}

/// What serde_json says, but for where: the text is one line, and the message names what it is about.
pub fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    if text.ends_with(&position) {
        text.truncate(text.len() - position.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{"total":750.5,"achievements":[{"name":"a\"b"},{"name":"c"}],"a/b":{"m~n":"é"},"":1,"none":null}"#;

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        assert_eq!(number(REPLY, "/total"), Some(750.5));
        assert_eq!(text(REPLY, "/achievements/0/name").as_deref(), Some("a\"b"));
        assert_eq!(
            text(REPLY, "/achievements/1").as_deref(),
            Some(r#"{"name":"c"}"#)
        );
        assert_eq!(text(REPLY, "/a~1b/m~0n").as_deref(), Some("é"));
        assert_eq!(number(REPLY, "/"), Some(1.0));
        assert_eq!(text(REPLY, "/none").as_deref(), Some("null"));
        assert_eq!(text(REPLY, "").as_deref(), Some(REPLY));
        assert_eq!(length(REPLY, "/achievements"), Some(2));
        assert_eq!(length(REPLY, ""), Some(5));
        assert_eq!(length("[]", ""), Some(0));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for pointer in [
            "total",
            "/x",
            "/achievements/2",
            "/achievements/01",
            "/achievements/+1",
            "/achievements/-",
            "/total/0",
        ] {
            assert!(at(REPLY, pointer).is_none(), "{pointer}");
        }
        assert_eq!(number(REPLY, "/achievements/0/name"), None);
        assert_eq!(length(REPLY, "/total"), None);
        assert_eq!(number("{", ""), None);
        assert_eq!(number("1e999", ""), None);
    }

    #[test]
    fn half_a_surrogate_pair_spoils_nothing_that_stands_beside_it() {
        let reply =
            r#"{"\ud800":1,"\\ud801":2,"total":5,"said":"a\ud83db\udc00","😀":"\ud83d\ude00"}"#;
        assert!(is_json(reply));
        assert_eq!(number(reply, "/total"), Some(5.0));
        assert_eq!(length(reply, ""), Some(5));
        assert_eq!(text(reply, "/said").as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(text(reply, "/😀").as_deref(), Some("😀"));
        // As a caller's text it is no string: an id would be another one.
        assert!(string(raw(r#""\ud83d""#).unwrap()).is_none());
        assert!(Members::parse("x", reply).is_err());
    }

    #[test]
    fn depth_is_limited_without_recursion() {
        let deep = "[".repeat(20_000) + &"]".repeat(20_000);
        let error = parse("user_json", &deep).unwrap_err();
        assert!(error.message.starts_with("user_json: is nested deeper"));
        assert!(at(&deep, "/0/0/0").is_some());
        assert!(parse("user_json", r#"{"a":"[[[[\"[["}"#).is_ok());
        for levels in [0, 1, MAX_DEPTH, MAX_DEPTH + 1] {
            let text = r#"{"]\"":"#.repeat(levels) + "1" + &"}".repeat(levels);
            assert_eq!(depth(&text), levels);
            assert_eq!(parse("x", &text).is_ok(), levels <= MAX_DEPTH);
        }
    }

    #[test]
    fn json_is_told_from_what_is_none_at_any_depth() {
        // As deep as a reply of the default limit can be, on a small stack.
        let huge = || {
            assert!(!is_json(&"[".repeat(16 << 20)));
            let deep = "[".repeat(1 << 19) + &"]".repeat(1 << 19);
            assert!(is_json(&deep));
            assert!(!is_json(&deep[1..]));
            assert!(!is_json(&deep[..deep.len() - 1]));
            assert!(!is_json(&r#"{"a":["#.repeat(1 << 17)));
            assert_eq!(length(&deep, "/0/0"), Some(1));
        };
        let small = std::thread::Builder::new().stack_size(64 << 10);
        small.spawn(huge).unwrap().join().unwrap();
        for (text, expected) in [
            ("null", true),
            (" \t\r\n[]\n", true),
            (r#"{"a":[1,{"b":-0.5e+10}],"c":"é\"\\\u00e9"}"#, true),
            ("1e999", true),
            (r#""\ud800""#, true),
            ("", false),
            ("[1,]", false),
            ("[1}", false),
            ("01", false),
            ("nul", false),
            ("1 2", false),
            ("\"\n\"", false),
            ("\u{feff}1", false),
        ] {
            assert_eq!(is_json(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_the_double_that_was_written() {
        assert_eq!(number("0.9215686321258545", ""), Some(0.9215686321258545));
        for seed in 1..1_000_u64 {
            let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let value = (bits >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!(number(&value.to_string(), ""), Some(value));
            let of_any_size = f64::from_bits(bits);
            if of_any_size.is_finite() {
                assert_eq!(
                    number(&format!("[{of_any_size:e}]"), "/0"),
                    Some(of_any_size)
                );
            }
        }
    }

    #[test]
    fn a_string_is_escaped_as_serde_json_does() {
        for character in (0..=0x100).filter_map(char::from_u32) {
            let text = format!("a{character}b");
            let mut out = String::new();
            write_string(&mut out, &text);
            assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn a_name_given_twice_is_an_error() {
        let error = Members::parse("args_json", r#"{"id":"1","id":"2"}"#).unwrap_err();
        assert_eq!(error.message, "args_json: \"id\" is given twice");
        let many: Vec<_> = (0..100_000)
            .map(|number| format!("\"{number}\":0"))
            .collect();
        let text = format!("{{{}}}", many.join(","));
        assert!(Members::parse("args_json", &text).is_ok());
        let text = format!("{{{},\"99999\":1}}", many.join(","));
        assert!(Members::parse("args_json", &text).is_err());
    }
}
