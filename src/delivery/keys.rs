//! Idempotency keys: UUIDs of version 4 (RFC 9562), from the process's own randomness.

use crate::api::request::MakeKey;
use crate::error::Error;
use crate::host::random::Random;

impl MakeKey for Random {
    fn write_key(&self, out: &mut String) -> Result<(), Error> {
        let uuid = uuid::Builder::from_random_bytes(self.take()?).into_uuid();
        out.push_str(uuid.hyphenated().encode_lower(&mut [0; 36]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_uuids_and_never_repeat() {
        let random = Random::default();
        let keys: HashSet<_> = (0..1000)
            .map(|_| {
                let mut key = String::new();
                random.write_key(&mut key).unwrap();
                key
            })
            .collect();
        assert_eq!(keys.len(), 1000);
        assert!(
            keys.iter()
                .all(|key| key.len() == 36 && &key[14..15] == "4")
        );
    }
}
