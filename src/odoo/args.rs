//! What a method is called with: the same for every protocol.

use std::borrow::Cow;
use std::time::Duration;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Nature;
use crate::records::record::Record;

/// What a method is called with.
///
/// JSON-2 knows arguments by name alone, the older protocols know some by position; so an argument that
/// may go by position has a name all the same.
///
/// ```
/// use batchcall::odoo::Args;
/// use serde_json::json;
///
/// // `name_search(name, domain)` on the model, with a limit by name.
/// let search = Args::new().arg("name", "acme").named("limit", 5).read_only();
/// // `action_confirm()` on two orders.
/// let confirm = Args::ids([7, 8]);
/// # let _ = (search, confirm);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "arguments do nothing until they are sent"]
pub struct Args {
    ids: Option<Vec<i64>>,
    positional: Vec<(Cow<'static, str>, Value)>,
    named: Vec<(Cow<'static, str>, Value)>,
    context: Context,
    safety: Safety,
    timeout: Option<Duration>,
}

/// What is known about calling twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Safety {
    #[default]
    Unknown,
    Idempotent,
    ReadOnly,
}

impl Args {
    /// For a method of the model.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a method of records, and their ids.
    pub fn ids(ids: impl IntoIterator<Item = i64>) -> Self {
        Self { ids: Some(ids.into_iter().collect()), ..Self::default() }
    }

    /// The next argument by position, and its name, which JSON-2 sends instead.
    pub fn arg(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.positional.push((name.into(), value.into()));
        self
    }

    /// An argument by name, on every protocol.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.named.push((name.into(), value.into()));
        self
    }

    /// Keys of the context for this call. Defaults to those of the scope and the client.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Says that calling twice is as good as calling once: then the call goes again by itself when its
    /// answer is lost. Defaults to no: such a call is in doubt.
    pub fn idempotent(mut self) -> Self {
        self.safety = Safety::Idempotent;
        self
    }

    /// Says that the method changes nothing, so that it may go again as often as needed. Defaults to no.
    pub fn read_only(mut self) -> Self {
        self.safety = Safety::ReadOnly;
        self
    }

    /// How long the call may take. Defaults to the client's request timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn idempotent_if(self, idempotent: bool) -> Self {
        if idempotent { self.idempotent() } else { self }
    }

    pub(super) fn nature(&self) -> Nature {
        match self.safety {
            Safety::Unknown => Nature::Write,
            Safety::Idempotent => Nature::Keyed,
            Safety::ReadOnly => Nature::Read,
        }
    }

    pub(super) fn own_context(&self) -> &Context {
        &self.context
    }

    pub(super) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn record_ids(&self) -> Option<&[i64]> {
        self.ids.as_deref()
    }
}

/// A call's arguments, and records that are written to the request from where they lie: a copy of each would
/// cost more than everything else that is done to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    args: &'a Args,
    /// The first argument by position.
    bulk: Option<(&'static str, Bulk<'a>)>,
}

/// Borrowed records as an argument.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bulk<'a> {
    /// A list of records.
    Records(&'a [Record]),
    /// A list of those at some places.
    Chosen(&'a [Record], &'a [usize]),
    /// A list of the values of records whose ids go beside it.
    Rows(&'a [(i64, &'a Map<String, Value>)]),
    /// The values of one record.
    One(&'a Map<String, Value>),
}

impl Serialize for Bulk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Records(records) => records.serialize(serializer),
            Self::Chosen(records, places) => serializer.collect_seq(places.iter().map(|at| &records[*at])),
            Self::Rows(rows) => serializer.collect_seq(rows.iter().map(|(_, values)| values)),
            Self::One(values) => values.serialize(serializer),
        }
    }
}

impl<'a> From<&'a Args> for Call<'a> {
    fn from(args: &'a Args) -> Self {
        Self { args, bulk: None }
    }
}

impl<'a> Call<'a> {
    /// Arguments with records before those by position, and their name.
    pub(super) fn bulk(args: &'a Args, name: &'static str, bulk: Bulk<'a>) -> Self {
        Self { args, bulk: Some((name, bulk)) }
    }

    /// Everything but the records.
    pub(super) fn args(&self) -> &'a Args {
        self.args
    }

    /// The names of the arguments by position.
    pub(super) fn positional_names(&self) -> impl Iterator<Item = &str> {
        let first = self.bulk.iter().map(|(name, _)| *name);
        first.chain(self.args.positional.iter().map(|(name, _)| name.as_ref()))
    }

    /// Refuses what would do something else on one protocol than on another.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if let Some(id) = self.args.ids.iter().flatten().find(|id| **id <= 0) {
            return invalid(format!("{id} is no id of a record"));
        }
        let named = self.args.named.iter().map(|(name, _)| name.as_ref());
        let mut names: Vec<&str> = self.positional_names().chain(named).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return invalid(format!("the argument {:?} is given twice", twice[0]));
        }
        match names.iter().find(|name| matches!(**name, "context" | "ids")) {
            Some(name) => invalid(format!("{name:?} is not given as an argument: there is Args::{name}")),
            None => Ok(()),
        }
    }

    /// The arguments by position, the ids before them.
    pub(super) fn as_list(&self) -> Positional<'a> {
        Positional(*self)
    }

    /// The arguments by name and the context.
    pub(super) fn as_keywords(&self, context: &'a Context) -> Keywords<'a> {
        Keywords { args: self.args, context }
    }

    /// Everything by name; `names` in place of those of the arguments by position.
    pub(super) fn as_object(&self, context: &'a Context, names: Option<&'a [String]>) -> Object<'a> {
        Object { call: *self, context, names: names.unwrap_or_default() }
    }
}

pub(super) struct Positional<'a>(Call<'a>);

impl Serialize for Positional<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let Call { args, bulk } = &self.0;
        if let Some(ids) = &args.ids {
            list.serialize_element(ids)?;
        }
        if let Some((_, bulk)) = bulk {
            list.serialize_element(bulk)?;
        }
        for (_, value) in &args.positional {
            list.serialize_element(value)?;
        }
        list.end()
    }
}

pub(super) struct Keywords<'a> {
    args: &'a Args,
    context: &'a Context,
}

impl Serialize for Keywords<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.args.named {
            map.serialize_entry(name, value)?;
        }
        if !self.context.is_empty() {
            map.serialize_entry("context", self.context)?;
        }
        map.end()
    }
}

pub(super) struct Object<'a> {
    call: Call<'a>,
    context: &'a Context,
    names: &'a [String],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Call { args, bulk } = &self.call;
        if let Some(ids) = &args.ids {
            map.serialize_entry("ids", ids)?;
        }
        let mut learned = self.names.iter();
        let mut known_as = |name| learned.next().map_or(name, String::as_str);
        if let Some((name, bulk)) = bulk {
            map.serialize_entry(known_as(name), bulk)?;
        }
        for (name, value) in &args.positional {
            map.serialize_entry(known_as(name), value)?;
        }
        for (name, value) in &args.named {
            map.serialize_entry(name, value)?;
        }
        if !self.context.is_empty() {
            map.serialize_entry("context", self.context)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_arguments_are_written_for_every_protocol() {
        let args = Args::ids([7]).arg("vals", json!({"name": "x"})).named("limit", 5);
        let context = Context::new().lang("fr_FR");
        let call = Call::from(&args);
        assert_eq!(json!(call.as_list()), json!([[7], {"name": "x"}]));
        assert_eq!(json!(call.as_keywords(&context)), json!({"limit": 5, "context": {"lang": "fr_FR"}}));
        assert_eq!(
            json!(call.as_object(&context, None)),
            json!({"ids": [7], "vals": {"name": "x"}, "limit": 5, "context": {"lang": "fr_FR"}})
        );
        let names = ["values".to_owned()];
        assert_eq!(json!(call.as_object(&context, Some(&names)))["values"], json!({"name": "x"}));
    }

    #[test]
    fn borrowed_records_are_written_as_an_argument_by_position_would_be() {
        let records: Vec<Record> = ["a", "b", "c"].map(|name| Record::from_iter([("name", name)])).into();
        let rows: Vec<_> = records.iter().map(|record| (1, record.as_map())).collect();
        let (context, names) = (Context::new(), ["vals".to_owned(), "spec".to_owned()]);
        let rest = Args::ids([7]).arg("specification", json!({})).named("limit", 5);
        for (bulk, value) in [
            (Bulk::Records(&records), json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
            (Bulk::Chosen(&records, &[2, 0]), json!([{"name": "c"}, {"name": "a"}])),
            (Bulk::Rows(&rows[1..]), json!([{"name": "b"}, {"name": "c"}])),
            (Bulk::One(records[1].as_map()), json!({"name": "b"})),
        ] {
            let owned =
                Args::ids([7]).arg("vals_list", value).arg("specification", json!({})).named("limit", 5);
            let (owned, call) = (Call::from(&owned), Call::bulk(&rest, "vals_list", bulk));
            assert_eq!(json!(call.as_list()), json!(owned.as_list()));
            for names in [None, Some(&names[..]), Some(&names[..1])] {
                assert_eq!(json!(call.as_object(&context, names)), json!(owned.as_object(&context, names)));
            }
            assert!(call.positional_names().eq(owned.positional_names()));
            assert!(call.check().is_ok());
            let twice = Args::new().named("vals_list", 1);
            assert!(Call::bulk(&twice, "vals_list", bulk).check().is_err());
        }
    }

    #[test]
    fn what_protocols_would_read_differently_is_refused() {
        assert!(Call::from(&Args::ids([0])).check().is_err());
        assert!(Call::from(&Args::ids([-1])).check().is_err());
        assert!(Call::from(&Args::new().arg("a", 1).named("a", 2)).check().is_err());
        assert!(Call::from(&Args::new().named("context", json!({}))).check().is_err());
        assert!(Call::from(&Args::new().named("ids", json!([1]))).check().is_err());
        assert!(Call::from(&Args::ids([1]).arg("a", 1).named("b", 2)).check().is_ok());
    }
}
