//! Which keys have come already.

use std::collections::HashMap;

use super::key::Key;

/// The keys of the rows that were looked at, each with its row's place. Rows mostly come in the order of their
/// keys, which tells by itself that none has come before; a map is made when one does not.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ascending: Vec<(Key, usize)>,
    map: HashMap<Key, usize>,
}

impl Seen {
    /// Takes a key; if it has come before, the place where it did last.
    pub(crate) fn insert(&mut self, key: Key, place: usize) -> Option<usize> {
        if self.map.is_empty() {
            if self.ascending.last().is_none_or(|(last, _)| *last < key) {
                self.ascending.push((key, place));
                return None;
            }
            self.map = std::mem::take(&mut self.ascending).into_iter().collect();
        }
        self.map.insert(key, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_came_before_is_known_in_any_order() {
        for keys in [&[1, 2, 2, 3, 1][..], &[3, 1, 2, 3], &[1, 1], &[1, 2, 3]] {
            let mut seen = Seen::default();
            for (place, key) in keys.iter().enumerate() {
                let before = keys[..place].iter().rposition(|each| each == key);
                assert_eq!(seen.insert(Key::from(*key), place), before, "{keys:?} at {place}");
            }
        }
    }
}
