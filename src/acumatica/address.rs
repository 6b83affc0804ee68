//! Where things are below the base address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::key::Key;
use crate::error::{Error, ErrorKind, Result};

/// Everything but the characters that names have.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The name of an entity, action or inquiry, as a segment; refused when it cannot be one.
pub(super) fn name(what: &str, name: &str) -> Result<String> {
    let bad = name.trim().is_empty()
        || name == "."
        || name == ".."
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '?' | '#'));
    if bad {
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} is no name of {what}")));
    }
    Ok(segment(name))
}

/// The name of a file, as a segment: anything that is no path.
pub(super) fn file_name(name: &str) -> Result<String> {
    let bad = name.trim().is_empty()
        || name == "."
        || name == ".."
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if bad {
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} is no name of a file")));
    }
    Ok(segment(name))
}

/// What a key adds to the address of its entity.
pub(super) fn below(entity: &str, key: &Key) -> Result<String> {
    let path =
        key.to_path().map_err(|error| Error::new(ErrorKind::Invalid, error.message()).with_entity(entity))?;
    Ok(format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment() {
        assert_eq!(name("an entity", "SalesOrder").unwrap(), "SalesOrder");
        assert_eq!(name("an inquiry", "AR Invoices").unwrap(), "AR%20Invoices");
        for bad in ["", " ", "..", "a/b", "a?b", "a#b", "a\nb"] {
            assert!(name("an entity", bad).is_err(), "{bad:?}");
        }
    }
}
