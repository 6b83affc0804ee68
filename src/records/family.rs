//! Families: records that are kept off each other, because they share a parent.
//!
//! Two transactions that touch the same parent at once are a conflict, which the server answers with a refusal
//! or with seconds of waiting. So a family has one chunk out at a time, and what is left of it follows.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use serde_json::Value;

use super::cut::Limits;
use super::load::Filling;
use super::operation::Operation;
use super::record::Record;
use super::slots::Slots;
use super::waves::Share;

/// The family of a record that shares nothing with others.
const ALONE: u32 = u32::MAX;

/// Of which family each record is, and which families have a chunk out.
#[derive(Debug, Default)]
pub(crate) struct Families {
    /// For each operation the family of each record; empty for those that are not grouped.
    of: Vec<Vec<u32>>,
    out: Vec<bool>,
    /// How many chunks of records that are grouped are out, and how many may be. More would lie about and keep
    /// what is left of their families from going with others.
    chunks: usize,
    most: usize,
}

impl Families {
    /// Finds the families of all operations that are grouped: records are of one family when they have the same
    /// value in a field, or are both of one with a third record.
    pub(crate) fn of(operations: &[Operation]) -> Self {
        let mut known: HashMap<(&str, Cow<'_, str>), u32> = HashMap::new();
        let mut joined = Joined::default();
        let mut of = Vec::with_capacity(operations.len());
        for operation in operations {
            let mut own = Vec::new();
            if !operation.group_by.is_empty() {
                own.reserve_exact(operation.len());
                for place in 0..operation.len() {
                    let mut family = ALONE;
                    for field in &operation.group_by {
                        let Some(value) = operation.written(place, field).and_then(shared) else { continue };
                        let same = *known.entry((field, value)).or_insert_with(|| joined.add());
                        if family == ALONE {
                            family = same;
                        } else {
                            joined.join(family, same);
                        }
                    }
                    own.push(family);
                }
            }
            of.push(own);
        }
        for family in of.iter_mut().flatten().filter(|family| **family != ALONE) {
            *family = joined.first_of(*family);
        }
        Self { of, out: vec![false; joined.0.len()], chunks: 0, most: usize::MAX }
    }

    /// With so many chunks out at most.
    pub(crate) fn at_most(mut self, chunks: usize) -> Self {
        self.most = chunks;
        self
    }

    fn family(&self, operation: usize, place: usize) -> u32 {
        self.of.get(operation).and_then(|own| own.get(place)).copied().unwrap_or(ALONE)
    }

    fn is_out(&self, family: u32) -> bool {
        family != ALONE && self.out[family as usize]
    }

    /// A chunk with these records goes out.
    pub(crate) fn send_out(&mut self, operation: usize, places: &[usize]) {
        self.set(operation, places, true);
        self.chunks += 1;
    }

    /// A chunk with these records is over. Tells whether others may have waited for it.
    pub(crate) fn bring_back(&mut self, operation: usize, places: &[usize]) -> bool {
        let is_grouped = self.is_grouped(operation);
        if is_grouped {
            self.set(operation, places, false);
            self.chunks -= 1;
        }
        is_grouped
    }

    fn set(&mut self, operation: usize, places: &[usize], out: bool) {
        for &place in places {
            let family = self.family(operation, place);
            if family != ALONE {
                self.out[family as usize] = out;
            }
        }
    }

    fn is_grouped(&self, operation: usize) -> bool {
        self.of.get(operation).is_some_and(|own| !own.is_empty())
    }

    /// The different families of some records of an operation.
    pub(crate) fn among(&self, operation: usize, places: impl Iterator<Item = usize>) -> HashSet<u32> {
        places.map(|place| self.family(operation, place)).filter(|family| *family != ALONE).collect()
    }

    /// How many chunks of a share can be out at once.
    pub(crate) fn width(&self, share: &Share, size: usize) -> usize {
        let chunks = share.places.chunks(size);
        if !self.is_grouped(share.operation) {
            return chunks;
        }
        let places = || (0..share.places.len()).map(|at| share.places.get(at));
        let alone = places().filter(|&place| self.family(share.operation, place) == ALONE).count();
        let families = self.among(share.operation, places()).len();
        chunks.min(families + alone.div_ceil(size.max(1)))
    }

    /// The records of a share by family, `None` where they are not grouped. A family that is longer than a chunk
    /// takes the longest, and begins first.
    pub(crate) fn line(&self, share: &Share, size: usize) -> Option<Line> {
        if !self.is_grouped(share.operation) {
            return None;
        }
        let places = || (0..share.places.len()).map(|at| share.places.get(at));
        let family = |place| self.family(share.operation, place);
        let mut ranks: HashMap<u32, usize> = HashMap::new();
        let mut found: Vec<(u32, usize)> = Vec::new();
        for family in places().map(family).filter(|family| *family != ALONE) {
            let rank = *ranks.entry(family).or_insert_with(|| {
                found.push((family, 0));
                found.len() - 1
            });
            found[rank].1 += 1;
        }
        // Those that share nothing go with any chunk: they fill up what the others leave.
        ranks.insert(ALONE, found.len());
        found.push((ALONE, share.places.len() - found.iter().map(|(_, len)| len).sum::<usize>()));
        let mut ends = Vec::with_capacity(found.len());
        let mut end = 0;
        for (_, len) in &found {
            ends.push(end);
            end += len;
        }
        let mut order = vec![0; share.places.len()];
        for place in places() {
            let end = &mut ends[ranks[&family(place)]];
            order[*end] = place;
            *end += 1;
        }
        let mut rows: Vec<(u32, Range<usize>)> =
            found.iter().zip(ends).map(|(&(family, len), end)| (family, end - len..end)).collect();
        let first = |(family, rows): &(u32, Range<usize>)| {
            let is_long = rows.len() > size && *family != ALONE;
            std::cmp::Reverse(if is_long { rows.len() } else { 0 })
        };
        rows.sort_by_key(first);
        rows.retain(|(_, rows)| !rows.is_empty());
        Some(Line { operation: share.operation, refers: share.refers, order, rows: rows.into() })
    }
}

/// The records of a share that are still to go out, by family.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) operation: usize,
    /// Whether its records may refer to others.
    pub(crate) refers: bool,
    order: Vec<usize>,
    rows: VecDeque<(u32, Range<usize>)>,
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many records are left.
    pub(crate) fn left(&self) -> usize {
        self.rows.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// The places of the next chunk, in order: of families that have none out. Empty when all have.
    pub(crate) fn take(
        &mut self,
        operation: &Operation,
        slots: &Slots,
        families: &Families,
        limits: &Limits,
    ) -> Vec<usize> {
        if families.chunks >= families.most {
            return Vec::new();
        }
        // What is to be one request waits until it can be.
        if limits.whole && self.rows.iter().any(|(family, _)| families.is_out(*family)) {
            return Vec::new();
        }
        let mut filling = Filling::new(operation, limits);
        let mut out = Vec::new();
        while let Some((family, mut rows)) = self.rows.pop_front() {
            if families.is_out(family) {
                out.push((family, rows));
                continue;
            }
            while rows.start < rows.end {
                let place = self.order[rows.start];
                if slots.get((self.operation, place)).is_none() && !filling.add(place) {
                    break;
                }
                rows.start += 1;
            }
            if !rows.is_empty() {
                self.rows.push_front((family, rows));
                break;
            }
            if filling.is_full() {
                break;
            }
        }
        out.into_iter().rev().for_each(|waiting| self.rows.push_front(waiting));
        let mut places = filling.places;
        places.sort_unstable();
        places
    }
}

/// The families of a stream: what is on its way is known, and what will come is not.
#[derive(Debug, Default)]
pub(crate) struct Sightings<'a> {
    fields: &'a [String],
    /// The values, by field, that are out.
    out: HashSet<(usize, String)>,
}

impl<'a> Sightings<'a> {
    pub(crate) fn new(fields: &'a [String]) -> Self {
        Self { fields, out: HashSet::new() }
    }

    /// Whether anything is kept off anything.
    pub(crate) fn is_used(&self) -> bool {
        !self.fields.is_empty()
    }

    /// What others may share with a record.
    fn of(&self, record: &Record) -> Vec<(usize, String)> {
        let values = self.fields.iter().enumerate();
        let values =
            values.filter_map(|(field, name)| Some((field, shared(record.get(name)?)?.into_owned())));
        values.collect()
    }

    /// Whether a record would meet another one.
    pub(crate) fn meets(&self, record: &Record) -> bool {
        !self.out.is_empty() && self.of(record).iter().any(|value| self.out.contains(value))
    }

    /// The records of a chunk go out.
    pub(crate) fn send_out<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) {
        if self.is_used() {
            let values: Vec<_> = records.into_iter().flat_map(|record| self.of(record)).collect();
            self.out.extend(values);
        }
    }

    /// The records of a chunk are over.
    pub(crate) fn bring_back<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) {
        if self.is_used() {
            for value in records.into_iter().flat_map(|record| self.of(record)).collect::<Vec<_>>() {
                self.out.remove(&value);
            }
        }
    }
}

/// What a value is compared by; `None` for those that name nothing. Numbers are the same as their digits in
/// text: a file may have either.
fn shared(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(match number.as_f64() {
            // 7.0 is 7.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        })),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// Families that turn out to be one: a forest, each tree named by its first.
#[derive(Debug, Default)]
struct Joined(Vec<u32>);

impl Joined {
    fn add(&mut self) -> u32 {
        let new = u32::try_from(self.0.len()).unwrap_or(ALONE);
        self.0.push(new);
        new
    }

    fn first_of(&mut self, mut family: u32) -> u32 {
        while self.0[family as usize] != family {
            let above = self.0[self.0[family as usize] as usize];
            self.0[family as usize] = above;
            family = above;
        }
        family
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.first_of(one), self.first_of(other));
        self.0[one.max(other) as usize] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn families(rows: &Value, fields: &[&str]) -> Vec<u32> {
        let operation = Operation::create("m", rows).unwrap().group_by(fields.iter().copied());
        Families::of(&[operation]).of.remove(0)
    }

    #[test]
    fn records_with_the_same_value_are_of_one_family_and_those_without_of_none() {
        let rows = json!([
            {"p": 7}, {"p": "7"}, {"p": 7.0}, {"p": 8}, {"p": null}, {"p": false}, {"p": ""}, {"q": 7}, {"p": [7]},
        ]);
        assert_eq!(families(&rows, &["p"]), [0, 0, 0, 1, ALONE, ALONE, ALONE, ALONE, 2]);
    }

    #[test]
    fn several_fields_join_what_shares_any_of_them() {
        let rows = json!([{"p": 1, "q": 1}, {"p": 2, "q": 2}, {"p": 3, "q": 9}, {"p": 2, "q": 1}, {"q": 3}]);
        assert_eq!(families(&rows, &["p", "q"]), [0, 0, 4, 0, 6]);
    }

    #[test]
    fn operations_share_families_where_they_are_grouped_by_the_same_field() {
        let make =
            |field: &str| Operation::update("m", [1, 2], json!({"p": 1, "q": 1})).unwrap().group_by([field]);
        let families = Families::of(&[make("p"), make("q"), make("p")]);
        assert_eq!(families.of, [vec![0, 0], vec![1, 1], vec![0, 0]]);
    }

    proptest! {
        #[test]
        fn joining_is_the_same_whatever_comes_first(pairs in prop::collection::vec((0_u32..12, 0_u32..12), 0..20)) {
            let roots = |pairs: &mut dyn Iterator<Item = (u32, u32)>| {
                let mut joined = Joined::default();
                (0..12).for_each(|_| { joined.add(); });
                pairs.for_each(|(one, other)| joined.join(one, other));
                (0..12).map(|family| joined.first_of(family)).collect::<Vec<_>>()
            };
            let there = roots(&mut pairs.iter().copied());
            prop_assert_eq!(&there, &roots(&mut pairs.iter().rev().map(|&(one, other)| (other, one))));
            for &(one, other) in &pairs {
                prop_assert_eq!(there[one as usize], there[other as usize]);
            }
        }
    }
}
