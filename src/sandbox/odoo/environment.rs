//! On whose behalf a call runs, and in which context.

use serde_json::{Map, Value};

use super::models::{LANG, MODELS};
use super::python::is_true;
use super::schema::ModelId;
use super::store::Store;
use super::trouble::{Result, Trouble};

/// The user and the context of a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    pub(super) user: i64,
    /// Whether the user may only read.
    pub(super) is_limited: bool,
    pub(super) context: Map<String, Value>,
    /// 17 or 19.
    pub(super) version: u8,
}

/// What a user may be allowed to do with the records of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Create,
    Unlink,
}

impl Environment {
    /// Checks what the context says of itself.
    pub(super) fn check(&self, store: &Store) -> Result<()> {
        match self.context.get("lang") {
            Some(Value::String(lang)) if !lang.is_empty() => {
                let number = MODELS[LANG].number("code");
                let known = store.table(LANG).iter().any(|(_, row)| row.get(number).as_text() == Some(lang));
                if known { Ok(()) } else { Err(Trouble::user(format!("Invalid language code: {lang}"))) }
            }
            _ => Ok(()),
        }
    }

    /// Whether archived records are left out of searches.
    pub(super) fn is_active_only(&self) -> bool {
        self.context.get("active_test").is_none_or(is_true)
    }

    /// A text of the context.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.context.get(name).and_then(Value::as_str)
    }

    pub(super) fn may(&self, operation: Operation) -> bool {
        !self.is_limited || operation == Operation::Read
    }

    /// Checks the access rights on a model.
    pub(super) fn check_access(&self, model: ModelId, operation: Operation) -> Result<()> {
        if self.may(operation) {
            return Ok(());
        }
        let verb = match operation {
            Operation::Read => "access",
            Operation::Write => "modify",
            Operation::Create => "create",
            Operation::Unlink => "delete",
        };
        let model = &MODELS[model];
        Err(Trouble::access(format!(
            "You are not allowed to {verb} '{}' ({}) records.\n\nThis operation is allowed for the following \
             groups:\n\t- Extra Rights/Contact Creation\n\nContact your administrator to request access if necessary.",
            model.title, model.name
        )))
    }
}
