//! Keys of records, and how they become the end of an address.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::{Error, ErrorKind, Result};

/// Everything but the characters that an address never needs to encode.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What names one record: a single value, or several where the form has several key fields.
///
/// Each value becomes one segment of the path and is percent-encoded, so that `A/B`, `A#1` or `A?x` name
/// the record they spell and nothing else.
///
/// The server itself splits a key at `/` and `|`, even where they arrive encoded (Integration Development
/// Guide, 2026 R1): records with such a key are found by their id. Pass the [`Uuid`] instead.
///
/// ```
/// use batchcall::acumatica::IntoKey;
///
/// assert_eq!("ABC 100%".to_key().to_path()?, "ABC%20100%25");
/// assert_eq!(("SO", "SO005207").to_key().to_path()?, "SO/SO005207");
/// assert!("..".to_key().to_path().is_err());
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<String>);

impl Key {
    /// The values, in the order of the form's key fields.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.0.iter().map(String::as_str)
    }

    /// The end of the address: every value percent-encoded, joined by `/`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a key that cannot be an address: no values, an empty value, `.` or `..`
    /// (addresses drop them on the way, so that another record would be hit), control characters.
    pub fn to_path(&self) -> Result<String> {
        if self.0.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "the key has no values"));
        }
        let mut path = String::new();
        for (index, segment) in self.0.iter().enumerate() {
            if let Some(problem) = problem(segment) {
                let place =
                    if self.0.len() > 1 { format!(", value {} of it,", index + 1) } else { String::new() };
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("key {:?}{place} {problem}", self.to_string()),
                ));
            }
            if index > 0 {
                path.push('/');
            }
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        Ok(path)
    }
}

fn problem(segment: &str) -> Option<&'static str> {
    match segment {
        "" => Some("is empty"),
        "." | ".." => Some("would be dropped from the address on the way"),
        _ if segment.trim().is_empty() => Some("is blank"),
        _ if segment.chars().any(char::is_control) => Some("has control characters"),
        _ => None,
    }
}

impl fmt::Display for Key {
    /// The values joined by `/`, not encoded: for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// What may name a record: text, whole numbers, ids, and arrays or tuples of them for several key fields.
///
/// ```
/// use batchcall::acumatica::IntoKey;
///
/// assert_eq!(["SO", "SO005207"].to_key().to_string(), "SO/SO005207");
/// assert_eq!(("INV", 17).to_key().segments().len(), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name a record",
    note = "text, whole numbers, `Uuid`, and arrays or tuples of them can"
)]
pub trait IntoKey {
    /// The key.
    fn to_key(&self) -> Key;
}

impl IntoKey for Key {
    fn to_key(&self) -> Key {
        self.clone()
    }
}

impl IntoKey for str {
    fn to_key(&self) -> Key {
        Key(vec![self.to_owned()])
    }
}

impl IntoKey for String {
    fn to_key(&self) -> Key {
        self.as_str().to_key()
    }
}

impl IntoKey for Cow<'_, str> {
    fn to_key(&self) -> Key {
        (**self).to_key()
    }
}

impl<T: IntoKey + ?Sized> IntoKey for &T {
    fn to_key(&self) -> Key {
        (**self).to_key()
    }
}

impl<T: IntoKey> IntoKey for [T] {
    fn to_key(&self) -> Key {
        Key(self.iter().flat_map(|part| part.to_key().0).collect())
    }
}

impl<T: IntoKey, const N: usize> IntoKey for [T; N] {
    fn to_key(&self) -> Key {
        self.as_slice().to_key()
    }
}

impl<T: IntoKey> IntoKey for Vec<T> {
    fn to_key(&self) -> Key {
        self.as_slice().to_key()
    }
}

macro_rules! printed {
    ($($type:ty),*) => {$(
        impl IntoKey for $type {
            fn to_key(&self) -> Key {
                Key(vec![self.to_string()])
            }
        }
    )*};
}
printed!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, char, Uuid);

macro_rules! tuples {
    ($(($($part:ident . $index:tt),*)),*) => {$(
        impl<$($part: IntoKey),*> IntoKey for ($($part,)*) {
            fn to_key(&self) -> Key {
                Key([$(self.$index.to_key().0),*].concat())
            }
        }
    )*};
}
tuples!((A.0, B.1), (A.0, B.1, C.2), (A.0, B.1, C.2, D.3));

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_characters_stay_in_their_segment() {
        let path = |key: &str| key.to_key().to_path().unwrap();
        assert_eq!(path("A/B"), "A%2FB");
        assert_eq!(path("A#B?x=1&y"), "A%23B%3Fx%3D1%26y");
        assert_eq!(path("Zürich 7"), "Z%C3%BCrich%207");
        assert_eq!(path("50%"), "50%25");
        assert_eq!(path("..."), "...");
    }

    #[test]
    fn composite_keys_are_segments_in_order() {
        let id = Uuid::nil();
        assert_eq!(vec!["SO", "SO001"].to_key().to_path().unwrap(), "SO/SO001");
        assert_eq!(("A", 2_u64, id, Cow::Borrowed("d")).to_key().segments().len(), 4);
        assert_eq!((["A", "B"], 3).to_key().to_string(), "A/B/3");
        assert_eq!((&&"x").to_key().to_path().unwrap(), "x");
    }

    #[test]
    fn keys_that_would_hit_another_address_are_refused() {
        for key in ["", ".", "..", "a\nb", "\0", "  "] {
            assert_eq!(key.to_key().to_path().unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        }
        let none: [&str; 0] = [];
        assert!(none.to_key().to_path().is_err());
        let error = ("SO", "").to_key().to_path().unwrap_err();
        assert!(error.message().contains("value 2"), "{error}");
    }

    proptest! {
        #[test]
        fn a_path_has_the_segments_of_its_key_and_no_more(
            values in prop::collection::vec("\\PC*", 1..4),
        ) {
            let key = values.to_key();
            if let Ok(path) = key.to_path() {
                let back: Vec<_> =
                    path.split('/').map(|part| percent_decode_str(part).decode_utf8().unwrap().into_owned()).collect();
                prop_assert_eq!(&back, &values);
                prop_assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%/".contains(&b)));
                prop_assert!(path.split('/').all(|part| part != "." && part != ".."));
            } else {
                prop_assert!(values.iter().any(|value| problem(value).is_some()));
            }
        }
    }
}
