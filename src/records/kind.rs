//! What an operation does, and how far it has come.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Makes new records.
    Create,
    /// Writes the same values to all of its records.
    Update,
    /// Writes to each record its own values.
    UpdateEach,
    /// Deletes records.
    #[serde(alias = "unlink")]
    Delete,
    /// Makes the records that are not there, and updates the others.
    Upsert,
}

impl OperationKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Create, Self::Update, Self::UpdateEach, Self::Delete, Self::Upsert];

    /// The name, as JSON has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::UpdateEach => "update_each",
            Self::Delete => "delete",
            Self::Upsert => "upsert",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OperationKind {
    type Err = Error;

    /// In capitals or not; `unlink` is another name of `delete`.
    fn from_str(name: &str) -> Result<Self> {
        let known = name.to_ascii_lowercase();
        match known.as_str() {
            "unlink" => Ok(Self::Delete),
            known => Self::ALL.into_iter().find(|kind| kind.as_str() == known).ok_or_else(|| {
                let message = format!(
                    "unknown operation type {name:?}: it is create, update, update_each, delete, unlink or upsert"
                );
                Error::new(ErrorKind::Invalid, message)
            }),
        }
    }
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Some of it was sent.
    Executing,
    /// Every record succeeded.
    Completed,
    /// It is over, and some record did not succeed.
    Failed,
    /// It was stopped before anything of it was sent.
    Cancelled,
}
