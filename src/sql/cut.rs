//! How many rows go together, and the pieces that makes.

use std::sync::Arc;

use serde::Serialize;

use super::database::Database;
use super::key::Key;
use super::look::Group;
use super::run::Piece;
use crate::records::size::BatchSize;
use crate::records::strategy::Strategy;

/// What [`BatchSize::Auto`] sends together at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    bytes: usize,
    rows: usize,
}

/// Enough for a server's own pace, and a transaction that is over in a moment.
const SERVER: Most = Most { bytes: 32 << 20, rows: 200_000 };

/// A file has one writer, whom nobody waits for, and each transaction waits for the disk.
const FILE: Most = Most { bytes: 256 << 20, rows: 1_000_000 };

impl Most {
    pub(crate) fn of(db: &Database) -> Self {
        if db.has_many_writers() { SERVER } else { FILE }
    }
}

/// The fewest rows that it sends together.
const FEWEST: usize = 100;

/// How many rows it looks at.
const LOOKED_AT: usize = 20;

/// How many rows go together.
pub(crate) fn size_of<R: Serialize>(size: BatchSize, most: Most, rows: &[R], workers: usize) -> usize {
    if let Some(fixed) = size.fixed() {
        return fixed;
    }
    let sample = &rows[..rows.len().min(LOOKED_AT)];
    // The length as JSON is near enough to that on the wire.
    let bytes: usize = sample.iter().map(|row| serde_json::to_vec(row).map_or(1024, |json| json.len())).sum();
    let each = (bytes / sample.len().max(1)).max(1);
    let most = (most.bytes / each).clamp(FEWEST, most.rows);
    if workers > 1 {
        // As many for each worker and all of a size, so that they end together.
        let least = most.min(rows.len().div_ceil(workers * 2).max(FEWEST * 10));
        let pieces = rows.len().div_ceil(least).next_multiple_of(workers).max(1);
        rows.len().div_ceil(pieces).max(FEWEST)
    } else {
        most
    }
}

/// Cuts groups in pieces.
pub(crate) fn cut<R: Serialize>(
    groups: Vec<Group<R>>,
    size: BatchSize,
    most: Most,
    workers: usize,
) -> Vec<Group<R>> {
    let mut pieces = Vec::new();
    for Group { shape, places, rows, keyless } in groups {
        let size = size_of(size, most, &rows, workers);
        let mut rows = rows.into_iter();
        for places in places.chunks(size) {
            pieces.push(Group {
                shape: Arc::clone(&shape),
                places: places.into(),
                rows: rows.by_ref().take(places.len()).collect(),
                keyless,
            });
        }
    }
    pieces
}

/// Keys that go together.
pub(crate) struct Keys {
    pub(crate) places: Arc<[usize]>,
    pub(crate) keys: Vec<Key>,
}

impl Piece for Keys {
    fn places(&self) -> &Arc<[usize]> {
        &self.places
    }
}

/// How many keys go together when nobody says.
const KEYS: usize = 10_000;

/// Cuts keys in pieces.
pub(crate) fn cut_keys(whole: Vec<Keys>, size: BatchSize, strategy: Strategy, workers: usize) -> Vec<Keys> {
    let cut = |Keys { places, keys }: Keys| {
        let size = match strategy {
            Strategy::SingleQuery => keys.len(),
            Strategy::OneByOne => 1,
            _ => size.fixed().unwrap_or_else(|| {
                if workers > 1 { KEYS.min(keys.len().div_ceil(workers * 2).max(FEWEST)) } else { KEYS }
            }),
        };
        let mut keys = keys.into_iter();
        let pieces: Vec<_> = places
            .chunks(size.max(1))
            .map(|places| Keys { places: places.into(), keys: keys.by_ref().take(places.len()).collect() })
            .collect();
        pieces
    };
    whole.into_iter().flat_map(cut).collect()
}
