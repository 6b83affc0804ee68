//! What names a row.

use std::fmt;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::records::record::RecordId;

/// What names a row: the value of its key column, or the values of several.
///
/// ```
/// use batchcall::sql::Key;
///
/// assert_eq!(Key::from(7).to_string(), "7");
/// assert_eq!(Key::from(("EWR", 2013)).to_string(), "(EWR, 2013)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Parts);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Parts {
    One(RecordId),
    Many(Vec<RecordId>),
}

impl Key {
    /// A key of these parts, in the order of the key columns.
    pub fn of(parts: impl IntoIterator<Item = impl Into<RecordId>>) -> Self {
        let mut parts: Vec<RecordId> = parts.into_iter().map(Into::into).collect();
        match parts.len() {
            1 => Self(Parts::One(parts.remove(0))),
            _ => Self(Parts::Many(parts)),
        }
    }

    /// Its parts, in the order of the key columns.
    #[must_use]
    pub fn parts(&self) -> &[RecordId] {
        match &self.0 {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(parts) => parts,
        }
    }

    /// The id, if the key is one whole number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Parts::One(part) => part.as_i64(),
            Parts::Many(_) => None,
        }
    }

    /// The id, if the key is one text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Parts::One(part) => part.as_str(),
            Parts::Many(_) => None,
        }
    }
}

impl<T: Into<RecordId>> From<T> for Key {
    fn from(part: T) -> Self {
        Self(Parts::One(part.into()))
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

macro_rules! from_tuple {
    ($($part:ident $index:tt),*) => {
        impl<$($part: Into<RecordId>),*> From<($($part,)*)> for Key {
            fn from(parts: ($($part,)*)) -> Self {
                Self::of([$(parts.$index.into()),*] as [RecordId; _])
            }
        }
    };
}
from_tuple!(A 0, B 1);
from_tuple!(A 0, B 1, C 2);
from_tuple!(A 0, B 1, C 2, D 3);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Parts::One(part) => part.fmt(f),
            Parts::Many(parts) => {
                f.write_str("(")?;
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    part.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// One part is that value, several are a list.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Parts::One(part) => part.serialize(serializer),
            Parts::Many(parts) => {
                let mut list = serializer.serialize_seq(Some(parts.len()))?;
                for part in parts {
                    list.serialize_element(part)?;
                }
                list.end()
            }
        }
    }
}
