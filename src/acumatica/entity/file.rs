//! Files that hang on a record.

use serde_json::Value;
use uuid::Uuid;

use super::envelope;

/// A file attached to a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLink {
    /// The id, to fetch it by.
    pub id: Option<Uuid>,
    /// The name, with what the server puts before it.
    pub filename: String,
    /// Where it can be fetched, from the root of the host.
    pub href: Option<String>,
    /// The comment.
    pub comment: Option<String>,
}

impl FileLink {
    pub(super) fn read(file: &Value) -> Self {
        let text = |name: &str| file.get(name).map(envelope::open).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: text("id").and_then(|id| Uuid::parse_str(&id).ok()),
            filename: text("filename").unwrap_or_default(),
            href: text("href"),
            comment: text("comment"),
        }
    }
}
