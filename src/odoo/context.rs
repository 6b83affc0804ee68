//! The context of a call: language, companies, and what the server should leave undone.

use serde::Serialize;
use serde_json::{Map, Value};

/// Keys of a context, sent with every call that they are for.
///
/// Those of a call add to those of the [scope](super::Session::with_context), those to the client's; the
/// inner one wins. Nothing is ever changed in place.
///
/// ```
/// use batchcall::odoo::Context;
///
/// let context = Context::new().lang("fr_FR").set("default_color", 3);
/// assert_eq!(context.get("lang").unwrap(), "fr_FR");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Context(Map<String, Value>);

impl Context {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What makes bulk writes fast: no field tracking, no "created" note in the log, and the user does not
    /// follow what is created. 500 contacts in a request are created 1.5 times as fast (Odoo 19.0).
    #[must_use]
    pub fn lean() -> Self {
        ["tracking_disable", "mail_create_nolog", "mail_create_nosubscribe"]
            .into_iter()
            .fold(Self::new(), |context, key| context.set(key, true))
    }

    /// Sets any key.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The language of translated fields and messages, such as `fr_FR`.
    #[must_use]
    pub fn lang(self, lang: impl Into<String>) -> Self {
        self.set("lang", lang.into())
    }

    /// The time zone, such as `Europe/Brussels`. Fields hold UTC whatever it is.
    #[must_use]
    pub fn tz(self, tz: impl Into<String>) -> Self {
        self.set("tz", tz.into())
    }

    /// The companies to work in, the first being the current one.
    #[must_use]
    pub fn companies(self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.set("allowed_company_ids", ids.into_iter().collect::<Vec<_>>())
    }

    /// Whether searches leave archived records out, as they do by default.
    #[must_use]
    pub fn active_test(self, active_test: bool) -> Self {
        self.set("active_test", active_test)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These keys, and the others where they say more or something else.
    #[must_use]
    pub fn and(mut self, other: &Context) -> Self {
        self.0.extend(other.0.clone());
        self
    }
}

impl From<Map<String, Value>> for Context {
    fn from(keys: Map<String, Value>) -> Self {
        Self(keys)
    }
}
