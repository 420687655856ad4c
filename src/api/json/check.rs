//! Whether a text is JSON (RFC 8259): one pass that builds nothing. Every reply goes through it, and serde
//! takes 1.6 times the instructions to ignore one.

/// How deep the JSON in `text` is nested; `None` if it is not JSON.
pub fn depth(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = Open::default();
    let mut deepest = 0;
    let mut at = space(bytes, 0);
    'value: loop {
        at = match bytes.get(at)? {
            b'"' => string(bytes, at + 1)?,
            b'-' | b'0'..=b'9' => number(bytes, at)?,
            b't' => word(bytes, at, b"true")?,
            b'f' => word(bytes, at, b"false")?,
            b'n' => word(bytes, at, b"null")?,
            bracket @ (b'{' | b'[') => {
                let is_object = *bracket == b'{';
                open.push(is_object);
                deepest = deepest.max(open.depth);
                at = space(bytes, at + 1);
                match (bytes.get(at)?, is_object) {
                    // Empty: closed below.
                    (b'}', true) | (b']', false) => at,
                    (_, true) => {
                        at = name(bytes, at)?;
                        continue 'value;
                    }
                    (_, false) => continue 'value,
                }
            }
            _ => return None,
        };
        // Behind a value.
        loop {
            at = space(bytes, at);
            let Some(is_object) = open.innermost() else {
                return (at == bytes.len()).then_some(deepest);
            };
            match (bytes.get(at)?, is_object) {
                (b'}', true) | (b']', false) => {
                    open.pop();
                    at += 1;
                }
                (b',', true) => {
                    at = name(bytes, space(bytes, at + 1))?;
                    continue 'value;
                }
                (b',', false) => {
                    at = space(bytes, at + 1);
                    continue 'value;
                }
                _ => return None,
            }
        }
    }
}

/// The objects and arrays that are not closed yet: a bit for each, on the heap from the 65th on.
#[derive(Default)]
struct Open {
    depth: usize,
    /// The innermost ones, up to 64: the last is the lowest bit.
    bits: u64,
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0
            && self.depth.is_multiple_of(64)
            && let Some(bits) = self.outer.pop()
        {
            self.bits = bits;
        }
    }

    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[inline(always)]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// A member's name and its colon, up to the value.
#[inline(always)]
fn name(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let at = space(bytes, string(bytes, at + 1)?);
    (bytes.get(at) == Some(&b':')).then(|| space(bytes, at + 1))
}

/// The rest of a string, behind its opening quote.
#[inline(always)]
fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(bytes, at);
        if *bytes.get(at)? == b'"' {
            return Some(at + 1);
        }
        at = escape(bytes, at)?;
    }
}

/// Where the bytes end that stand for themselves in a string. Eight at a time (Mycroft's test for a zero
/// byte): a borrow may mark bytes behind the first one, never before it.
#[inline(always)]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().unwrap_or_default());
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & HIGH != 0 {
            return at + (found & HIGH).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes
        .get(at)
        .is_some_and(|byte| !ENDS_PLAIN[usize::from(*byte)])
    {
        at += 1;
    }
    at
}

/// Whether a text is a JSON string as it is, but for the quotes.
pub fn is_plain(text: &str) -> bool {
    plain(text.as_bytes(), 0) == text.len()
}

/// A quote, a backslash or a control character: all others stand for themselves in a string.
const ENDS_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

#[cold]
fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'\\') {
        return None;
    }
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at)? {
        b'0' => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// At least one.
fn digits(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then(|| at + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn says_serde(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn json_is_told_from_what_is_none() {
        for (text, expected) in [
            ("null", Some(0)),
            (" \t\r\n[]\n", Some(1)),
            ("{}", Some(1)),
            (r#"{"a":[1,{"b":-0.5e+10}],"c":"é\"\\\u00e9"}"#, Some(3)),
            (r#""sixteen bytes and more, without an end"#, None),
            ("", None),
            ("[1,]", None),
            (r#"{"a":1,}"#, None),
            (r#"{"a"}"#, None),
            (r#"{a:1}"#, None),
            ("[1}", None),
            (r#"{"a":1]"#, None),
            ("01", None),
            ("-", None),
            ("1.", None),
            ("1e", None),
            ("+1", None),
            ("nul", None),
            ("nulls", None),
            ("1 2", None),
            ("\"\n\"", None),
            ("\"\u{1f}\"", None),
            ("\"\u{7f}\u{80}\u{ffff}\"", Some(0)),
            (r#""\u12g4""#, None),
            (r#""\ud800""#, Some(0)),
            (r#""\x""#, None),
            ("\u{feff}1", None),
        ] {
            assert_eq!(depth(text), expected, "{text:?}");
            assert_eq!(says_serde(text), expected.is_some(), "{text:?}");
        }
    }

    #[test]
    fn nesting_may_be_of_any_depth() {
        for levels in [1, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            assert_eq!(depth(&text), Some(levels));
            assert_eq!(depth(&text[1..]), None);
            assert_eq!(depth(&text[..text.len() - 1]), None);
            let mixed = r#"{"a":["#.repeat(levels) + &"]}".repeat(levels);
            assert_eq!(depth(&mixed), Some(2 * levels));
            let crossed = mixed.replacen("]}", "}]", 1);
            assert_eq!(depth(&crossed), None);
        }
    }

    /// Values, printed with and without space.
    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn it_agrees_with_serde(value in values(), edit in any::<(prop::sample::Index, char)>()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert!(depth(&text).is_some(), "{text}");
                // And with one character changed, taken out, or all behind it cut off.
                let mut characters: Vec<char> = text.chars().collect();
                let at = edit.0.index(characters.len());
                let cut: String = characters[..at].iter().collect();
                characters[at] = edit.1;
                let changed: String = characters.iter().collect();
                characters.remove(at);
                let shorter: String = characters.iter().collect();
                for text in [cut, changed, shorter] {
                    prop_assert_eq!(depth(&text).is_some(), says_serde(&text), "{}", text);
                }
            }
        }

        #[test]
        fn a_plain_text_is_what_serde_would_not_escape(text in any::<String>()) {
            let escaped = serde_json::to_string(&text).unwrap() != format!("\"{text}\"");
            prop_assert_eq!(is_plain(&text), !escaped);
        }

        #[test]
        fn it_agrees_with_serde_on_what_looks_like_json(text in r#"[\[\]{}",:0-9eE.+\- \\nutrfalse]{0,24}"#) {
            prop_assert_eq!(depth(&text).is_some(), says_serde(&text), "{}", text);
        }
    }
}
