//! Tells rows of a chunk apart by their unique fields, as the database would.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;

use crate::sql::catalog::ColumnType;

/// The keys of a chunk, and which row had each.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<String, usize>);

impl Keys {
    /// The row before this one with the same key. From now on `row` has it, or if `keep` the one before.
    pub(super) fn same(&mut self, key: String, row: usize, keep: bool) -> Option<usize> {
        match self.0.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                None
            }
            Entry::Occupied(entry) if keep => Some(*entry.get()),
            Entry::Occupied(mut entry) => Some(entry.insert(row)),
        }
    }
}

/// Adds a part to a key. Spellings of one value give one part: `01` is `1` where the column holds numbers.
pub(super) fn add(key: &mut String, text: &str, ty: &ColumnType) {
    let at = key.len();
    match ty {
        ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 => match text.parse::<i64>() {
            Ok(number) => _ = write!(key, "{number}"),
            Err(_) => key.push_str(text),
        },
        ColumnType::Numeric if text.contains('.') && !text.contains(['e', 'E']) => {
            key.push_str(text.trim_start_matches(['+', '0']).trim_end_matches('0').trim_end_matches('.'));
        }
        ColumnType::Numeric => key.push_str(text.trim_start_matches(['+', '0'])),
        ColumnType::Float4 | ColumnType::Float8 => match text.parse::<f64>() {
            Ok(number) => _ = write!(key, "{number}"),
            Err(_) => key.push_str(text),
        },
        ColumnType::Uuid => key.extend(
            text.chars().filter(|each| each.is_ascii_hexdigit()).map(|each| each.to_ascii_lowercase()),
        ),
        ColumnType::Timestamp | ColumnType::Date => match text.parse::<jiff::civil::DateTime>() {
            Ok(moment) => _ = write!(key, "{moment}"),
            Err(_) => key.push_str(text),
        },
        ColumnType::TimestampTz => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => _ = write!(key, "{moment}"),
            Err(_) => key.push_str(text),
        },
        ColumnType::Bool => key.push(match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "y" | "yes" | "on" => 't',
            _ => 'f',
        }),
        _ => key.push_str(text),
    }
    // The length keeps ("a", "bc") apart from ("ab", "c").
    let length = key.len() - at;
    _ = write!(key, "\u{1f}{length}\u{1f}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_are_one_key_and_other_values_are_not() {
        let key = |parts: &[(&str, ColumnType)]| {
            let mut key = String::new();
            parts.iter().for_each(|(text, ty)| add(&mut key, text, ty));
            key
        };
        for (a, b, ty) in [
            ("01", "1", ColumnType::Int4),
            ("1.50", "01.5", ColumnType::Numeric),
            ("10", "+10", ColumnType::Numeric),
            ("1e0", "1", ColumnType::Float8),
            ("2013-01-01 05:00:00", "2013-01-01T05:00:00", ColumnType::Timestamp),
            ("2013-01-01T05:00:00Z", "2013-01-01 06:00:00+01:00", ColumnType::TimestampTz),
        ] {
            assert_eq!(key(&[(a, ty.clone())]), key(&[(b, ty.clone())]), "{a} {b} {ty:?}");
        }
        assert_ne!(key(&[("10", ColumnType::Numeric)]), key(&[("1", ColumnType::Numeric)]));
        assert_ne!(key(&[("01", ColumnType::Text)]), key(&[("1", ColumnType::Text)]));
        let text = |a, b| key(&[(a, ColumnType::Text), (b, ColumnType::Text)]);
        assert_ne!(text("a", "bc"), text("ab", "c"));
    }
}
