//! The API key: a secret that nothing but a request may show.

pub struct ApiKey(String);

impl ApiKey {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before the dot, which may be shown.
    pub fn prefix(&self) -> &str {
        self.0.split_once('.').map_or("", |(prefix, _)| prefix)
    }

    fn secret(&self) -> &str {
        self.0
            .split_once('.')
            .map_or(self.0.as_str(), |(_, secret)| secret)
    }

    /// What a server said, without the secret if it sent that back.
    pub fn redact(&self, text: String) -> String {
        let secret = self.secret().as_bytes();
        // A secret this short is none, and would be found everywhere.
        if secret.len() < 4 {
            return text;
        }
        let mut out = String::new();
        let (mut at, mut copied) = (0, 0);
        while at < text.len() {
            let Some(length) = begins_with(&text.as_bytes()[at..], secret) else {
                at += 1;
                continue;
            };
            out.push_str(&text[copied..at]);
            out.push_str("[redacted]");
            at += length;
            copied = at;
        }
        match copied {
            0 => text,
            _ => out + &text[copied..],
        }
    }
}

/// How many bytes the secret takes at the beginning of a text, as it is, or as JSON and URLs escape it.
fn begins_with(text: &[u8], secret: &[u8]) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut at = 0;
    for byte in secret {
        let rest = &text[at..];
        at += match escaped(rest) {
            Some((meant, length)) if meant == u32::from(*byte) => length,
            _ if rest.first() == Some(byte) => 1,
            _ => return None,
        };
    }
    Some(at)
}

/// The character that is escaped at the beginning of a text, and the length of that.
fn escaped(text: &[u8]) -> Option<(u32, usize)> {
    match text {
        [b'\\', b'u', rest @ ..] => Some((hexadecimal(rest.get(..4)?)?, 6)),
        [b'\\', escaped, ..] => Some((u32::from(*escaped), 2)),
        [b'%', rest @ ..] => Some((hexadecimal(rest.get(..2)?)?, 3)),
        _ => None,
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let mut number = 0;
    for digit in digits {
        number = number * 16 + char::from(*digit).to_digit(16)?;
    }
    Some(number)
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.[redacted]", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_its_prefix_only() {
        let key = ApiKey::new("admin.topsecret");
        assert_eq!(format!("{key:?}"), "admin.[redacted]");
        assert_eq!(
            key.redact("bad key admin.topsecret!".into()),
            "bad key admin.[redacted]!"
        );
        let key = ApiKey::new("topsecret");
        assert_eq!(format!("{key:?}"), ".[redacted]");
        assert_eq!(key.redact("topsecret".into()), "[redacted]");
    }

    #[test]
    fn a_key_is_found_however_it_is_escaped() {
        let key = ApiKey::new(r#"admin.a/b+c&d"e\f%g"#);
        for shown in [
            r#"a/b+c&d"e\f%g"#,
            r#"a\/b+c&d\"e\\f%g"#,
            r#"\u0061\u002Fb\u002bc\u0026d\u0022e\u005cf\u0025g"#,
            "a%2Fb%2bc%26d%22e%5Cf%25g",
        ] {
            for (before, after) in [("", ""), ("é %", "é"), ("a/b a", "%"), ("&", "&amp")] {
                assert_eq!(
                    key.redact(format!("{before}{shown}{after}{shown}")),
                    format!("{before}[redacted]{after}[redacted]")
                );
            }
        }
        for other in [r#"a/b+c&d"e\f%"#, "a%2Fb%2", "a\\u00", "é\\"] {
            assert_eq!(key.redact(other.to_owned()), other);
        }
    }
}
