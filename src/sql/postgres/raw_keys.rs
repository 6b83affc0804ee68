//! Keys as they stand on the wire, by which rows that come back are told without reading them. Only for types
//! of which equal values have equal bytes.

use std::collections::HashMap;

use postgres::Row;

use super::decode::Raw;
use super::wire::Wire;

/// The keys of some rows, each by its place.
#[derive(Debug)]
pub(super) struct RawKeys {
    /// The bytes of each part, and whether it has a sign.
    parts: Vec<(usize, bool)>,
    /// In the order of the database.
    keys: Vec<Option<u128>>,
    /// Behind the place that was found last: where the next is mostly found.
    next: usize,
    index: HashMap<u128, usize>,
}

impl RawKeys {
    /// Room for the keys of so many rows, if their parts are of such types.
    pub(super) fn new<'w>(wires: impl IntoIterator<Item = &'w Wire>, rows: usize) -> Option<Self> {
        let parts: Vec<(usize, bool)> = wires.into_iter().map(part).collect::<Option<_>>()?;
        let bytes: usize = parts.iter().map(|(bytes, _)| bytes).sum();
        ((1..=16).contains(&bytes)).then(|| Self {
            parts,
            keys: vec![None; rows],
            next: 0,
            index: HashMap::new(),
        })
    }

    /// How many parts a key has.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Takes the key of a row; one with a NULL names none.
    pub(super) fn set<'c>(&mut self, place: usize, cells: impl IntoIterator<Item = Option<&'c [u8]>>) {
        self.keys[place] = self.pack(cells);
    }

    fn pack<'c>(&self, cells: impl IntoIterator<Item = Option<&'c [u8]>>) -> Option<u128> {
        let mut key = 0_u128;
        for ((bytes, signed), cell) in self.parts.iter().zip(cells) {
            let cell = cell.filter(|cell| cell.len() == *bytes)?;
            for (at, byte) in cell.iter().enumerate() {
                // Without it the negative ones would be the greatest.
                let sign = if *signed && at == 0 { 0x80 } else { 0 };
                key = key << 8 | u128::from(byte ^ sign);
            }
        }
        Some(key)
    }

    /// Whether the rows are in the order of their keys.
    pub(super) fn is_ascending(&self) -> bool {
        self.keys.iter().flatten().is_sorted()
    }

    /// Whether no two rows have the same key.
    pub(super) fn is_distinct(&mut self) -> bool {
        self.make_index();
        self.index.len() == self.keys.iter().flatten().count()
    }

    fn make_index(&mut self) {
        if self.index.is_empty() {
            let keys = self.keys.iter().enumerate();
            self.index = keys.filter_map(|(place, key)| Some(((*key)?, place))).collect();
        }
    }

    /// The place of the row whose key is in the first columns.
    pub(super) fn place_of(&mut self, row: &Row) -> Option<usize> {
        self.place((0..self.parts.len()).map(|at| row.get::<_, Raw<'_>>(at).0))
    }

    /// The place of the row with this key.
    pub(super) fn place<'c>(&mut self, cells: impl IntoIterator<Item = Option<&'c [u8]>>) -> Option<usize> {
        let key = self.pack(cells)?;
        let place = if self.keys.get(self.next) == Some(&Some(key)) {
            self.next
        } else {
            self.make_index();
            *self.index.get(&key)?
        };
        self.next = place + 1;
        Some(place)
    }
}

/// The bytes of a part, and whether it has a sign.
fn part(wire: &Wire) -> Option<(usize, bool)> {
    Some(match wire {
        Wire::Int2 => (2, true),
        Wire::Int4 | Wire::Date => (4, true),
        Wire::Int8 | Wire::Time | Wire::Timestamp | Wire::TimestampTz => (8, true),
        Wire::Bool => (1, false),
        Wire::Oid => (4, false),
        Wire::Uuid => (16, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_the_database() {
        let of = |keys: &[i64]| {
            let mut raw = RawKeys::new([&Wire::Int8], keys.len()).unwrap();
            for (place, key) in keys.iter().enumerate() {
                raw.set(place, [Some(&key.to_be_bytes()[..])]);
            }
            raw
        };
        assert!(of(&[i64::MIN, -1, 0, 1, i64::MAX]).is_ascending());
        assert!(!of(&[1, -1]).is_ascending());
        assert!(of(&[2, 1]).is_distinct());
        assert!(!of(&[2, 1, 2]).is_distinct());
    }

    #[test]
    fn only_types_with_one_form_a_value_are_taken() {
        assert!(RawKeys::new([&Wire::Text], 1).is_none());
        assert!(RawKeys::new([&Wire::Numeric], 1).is_none());
        assert!(RawKeys::new([&Wire::Int8, &Wire::Int4, &Wire::Date], 1).is_some());
        assert!(RawKeys::new([&Wire::Uuid, &Wire::Int2], 1).is_none());
        let mut raw = RawKeys::new([&Wire::Int2], 1).unwrap();
        raw.set(0, [None]);
        assert_eq!(raw.keys, [None]);
    }
}
