//! A map for a handful of entries. A world may have a million users; a hash map for each of their
//! few metrics would be most of its memory.

use uuid::Uuid;

pub struct ById<T>(Vec<(Uuid, T)>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ById<T> {
    pub fn get(&self, id: &Uuid) -> Option<&T> {
        self.0
            .iter()
            .find(|(own, _)| own == id)
            .map(|(_, value)| value)
    }

    pub fn contains(&self, id: &Uuid) -> bool {
        self.get(id).is_some()
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The entry, made by `make` if there is none.
    pub fn or_insert_with(&mut self, id: Uuid, make: impl FnOnce() -> T) -> &mut T {
        let at = match self.0.iter().position(|(own, _)| *own == id) {
            Some(at) => at,
            None => {
                self.0.reserve_exact(1);
                self.0.push((id, make()));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }
}
