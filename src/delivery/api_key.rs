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
        // A secret this short is none, and would be found everywhere.
        if self.secret().len() < 4 || !text.contains(self.secret()) {
            return text;
        }
        text.replace(self.secret(), "[redacted]")
    }
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
}
