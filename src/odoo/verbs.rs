//! The verbs of the ORM: search, read, create, write, unlink.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::args::{Args, Bulk, Call};
use super::command::is_repeatable;
use super::context::Context;
use super::decode::decode;
use super::domain::Domain;
use super::find::Find;
use super::pages::Pages;
use super::row::Row;
use super::session::{Ended, Session};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::Record;

impl Session {
    /// The ids of the records in the domain.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) for a domain that the model does not understand; else by the
    /// server's answer.
    pub fn search(
        &mut self,
        model: &str,
        domain: impl Into<Domain>,
        find: impl Into<Find>,
    ) -> Result<Vec<i64>> {
        let args = find.into().add_to(Args::new().arg("domain", domain.into()));
        self.call_as(model, "search", args)
    }

    /// The records in the domain: the fields that are asked for, and the id.
    ///
    /// All of them in one answer; for long lists there is [`pages`](Self::pages).
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// use batchcall::odoo::{Find, field};
    ///
    /// let acme = field("name").ilike("acme") & field("is_company").eq(true);
    /// for row in session.search_read("res.partner", &acme, ["name", "email"])? {
    ///     println!("{} {:?}", row.id(), row.get_str("email"));
    /// }
    /// let newest = session.search_read("res.partner", &acme, Find::fields(["name"]).order("id desc").limit(1))?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_read(
        &mut self,
        model: &str,
        domain: impl Into<Domain>,
        find: impl Into<Find>,
    ) -> Result<Vec<Row>> {
        let find = find.into();
        let args = Args::new().arg("domain", domain.into()).arg("fields", find.fields.clone());
        self.call_as(model, "search_read", find.add_to(args))
    }

    /// As [`search_read`](Self::search_read), into a serde type: see [`decode`](super::decode()).
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search), and [`Protocol`](ErrorKind::Protocol) naming the field that does not fit.
    pub fn search_read_as<T: DeserializeOwned>(
        &mut self,
        model: &str,
        domain: impl Into<Domain>,
        find: impl Into<Find>,
    ) -> Result<Vec<T>> {
        let rows = self.search_read(model, domain, find)?;
        rows.into_iter().map(Row::into).collect::<Result<_>>().map_err(|error| error.with_entity(model))
    }

    /// How many records are in the domain.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_count(&mut self, model: &str, domain: impl Into<Domain>) -> Result<u64> {
        self.call_as(model, "search_count", Args::new().arg("domain", domain.into()).read_only())
    }

    /// Fields of records, in the order of the ids. Records that are gone are left out; of no ids nothing
    /// is sent.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) for a field that the model does not have; else by the server's
    /// answer.
    pub fn read<'a>(
        &mut self,
        model: &str,
        ids: impl IntoIterator<Item = i64>,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Row>> {
        let args = Args::ids(ids).arg("fields", fields.into_iter().collect::<Vec<_>>()).read_only();
        if args.record_ids().is_none_or(<[i64]>::is_empty) {
            return Ok(Vec::new());
        }
        self.call_as(model, "read", args)
    }

    /// Creates a record and gives its id.
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// use serde_json::json;
    ///
    /// let acme = session.create("res.partner", json!({"name": "ACME", "is_company": true}))?;
    /// session.write("res.partner", [acme], json!({"email": "info@acme.example"}))?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) when the model's rules refuse it; in doubt when the answer is lost.
    pub fn create(&mut self, model: &str, values: impl Serialize) -> Result<i64> {
        let record = [to_record(model, &values)?];
        let ids = self.create_records(model, Bulk::Records(&record), 1, Context::new())?;
        Ok(ids[0])
    }

    /// Creates records in one request and gives their ids in the order of the input: all of them or none.
    ///
    /// Without tracking and notes, unless the builder said otherwise: [`Context::lean`].
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); the server does not say which record it was.
    pub fn create_many<V: Serialize>(
        &mut self,
        model: &str,
        records: impl IntoIterator<Item = V>,
    ) -> Result<Vec<i64>> {
        let records =
            records.into_iter().map(|values| to_record(model, &values)).collect::<Result<Vec<_>>>()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let context = self.bulk_context();
        self.create_records(model, Bulk::Records(&records), records.len(), context)
    }

    /// Creates records in one request; as many ids as records, or it is in doubt which is whose.
    pub(super) fn create_records(
        &mut self,
        model: &str,
        records: Bulk<'_>,
        expected: usize,
        context: Context,
    ) -> Result<Vec<i64>> {
        let args = Args::new().context(context);
        let answer = self.exchange(model, "create", Call::bulk(&args, "vals_list", records)).result?;
        let ids: Option<Vec<i64>> = match &answer {
            // One record made by an override that knows no lists.
            Value::Number(id) => id.as_i64().map(|id| vec![id]),
            Value::Array(ids) => ids.iter().map(Value::as_i64).collect(),
            _ => None,
        };
        match ids {
            Some(ids) if ids.len() == expected => Ok(ids),
            ids => {
                let got = ids.map_or_else(|| "no list of ids".to_owned(), |ids| format!("{} ids", ids.len()));
                let message = format!("{expected} records were sent to be created, and {got} came back");
                Err(Error::new(ErrorKind::Protocol, message)
                    .with_operation("create")
                    .with_entity(model)
                    .with_delivery(Delivery::MaybeSent))
            }
        }
    }

    /// What bulk writes send as context.
    pub(super) fn bulk_context(&self) -> Context {
        if self.client.settings.lean { Context::lean() } else { Context::new() }
    }

    /// Writes the same values to all these records, or to none. Of no ids nothing is sent.
    ///
    /// Writing the same values to the same ids again ends in the same state, so it goes again when its
    /// answer is lost; not so with [commands](super::Command) that create, delete, unlink or link.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when one of the records is gone; [`Rejected`](ErrorKind::Rejected)
    /// when the model's rules refuse it.
    pub fn write(
        &mut self,
        model: &str,
        ids: impl IntoIterator<Item = i64>,
        values: impl Serialize,
    ) -> Result<()> {
        let values = to_record(model, &values)?;
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return Ok(());
        }
        self.write_in(model, ids, values.as_map(), &Context::new())
    }

    pub(super) fn write_in(
        &mut self,
        model: &str,
        ids: impl IntoIterator<Item = i64>,
        values: &Map<String, Value>,
        context: &Context,
    ) -> Result<()> {
        let args = Args::ids(ids).context(context.clone()).idempotent_if(is_repeatable(values));
        self.exchange(model, "write", Call::bulk(&args, "vals", Bulk::One(values))).result.map(drop)
    }

    /// Deletes all these records, or none. Of no ids nothing is sent.
    ///
    /// Goes again when its answer is lost; records that are gone then are those that were deleted.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when one of the records is gone already:
    /// [`unlink_existing`](Self::unlink_existing) does not mind. [`Rejected`](ErrorKind::Rejected) when
    /// others refer to one of them.
    pub fn unlink(&mut self, model: &str, ids: impl IntoIterator<Item = i64>) -> Result<()> {
        let ids: Vec<i64> = ids.into_iter().collect();
        match self.unlink_once(model, &ids) {
            Ended { result: Err(error), after_loss: true } if error.kind() == ErrorKind::NotFound => {
                self.unlink_left(model, &ids).map(drop)
            }
            ended => ended.result.map(drop),
        }
    }

    /// Deletes those of the records that exist, and gives the ids of those that were gone already.
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink), but for `NotFound`.
    pub fn unlink_existing(&mut self, model: &str, ids: impl IntoIterator<Item = i64>) -> Result<Vec<i64>> {
        let ids: Vec<i64> = ids.into_iter().collect();
        match self.unlink_once(model, &ids) {
            Ended { result: Err(error), after_loss } if error.kind() == ErrorKind::NotFound => {
                let gone = self.unlink_left(model, &ids)?;
                // Of a request that was lost, what is gone is what it deleted.
                Ok(if after_loss { Vec::new() } else { gone })
            }
            ended => ended.result.map(|_| Vec::new()),
        }
    }

    fn unlink_once(&mut self, model: &str, ids: &[i64]) -> Ended {
        if ids.is_empty() {
            return Ended { result: Ok(Value::Bool(true)), after_loss: false };
        }
        // Deleted twice is deleted.
        let args = Args::ids(ids.iter().copied()).idempotent();
        self.exchange(model, "unlink", (&args).into())
    }

    /// Deletes those that are left and gives the others. Some may go meanwhile: looked up anew then.
    fn unlink_left(&mut self, model: &str, ids: &[i64]) -> Result<Vec<i64>> {
        for last in [false, false, true] {
            let archived_too = Find::new().context(Context::new().active_test(false));
            let left = self.search(model, Domain::ids(ids.iter().copied()), archived_too)?;
            match self.unlink_once(model, &left).result {
                Err(error) if error.kind() == ErrorKind::NotFound && !last => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(ids.iter().copied().filter(|id| !left.contains(id)).collect()),
            }
        }
        unreachable!("the last round returns")
    }

    /// The model's fields by name.
    ///
    /// # Errors
    ///
    /// By the server's answer.
    pub fn fields_get(&mut self, model: &str) -> Result<BTreeMap<String, FieldInfo>> {
        let attributes = ["type", "string", "required", "readonly", "store", "relation", "selection"];
        let args = Args::new().named("attributes", attributes.as_slice()).read_only();
        self.call_as(model, "fields_get", args)
    }

    /// Creates a record from its name alone, and gives its id and display name.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn name_create(&mut self, model: &str, name: &str) -> Result<(i64, String)> {
        self.call_as(model, "name_create", Args::new().arg("name", name))
    }

    /// Records of a domain page by page, in memory for one page.
    pub fn pages(
        &mut self,
        model: impl Into<String>,
        domain: impl Into<Domain>,
        find: impl Into<Find>,
    ) -> Pages<'_> {
        Pages::new(self, model.into(), domain.into(), find.into())
    }

    /// Calls a method and reads its result into a serde type: see [`decode`](super::decode()).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`Protocol`](ErrorKind::Protocol) for a result that does not fit: of a
    /// call that is not known to be idempotent, it is in doubt.
    pub fn call_as<T: DeserializeOwned>(
        &mut self,
        model: &str,
        method: &str,
        args: impl Into<Args>,
    ) -> Result<T> {
        self.exchange_as(model, method, &args.into())
    }

    pub(super) fn exchange_as<T: DeserializeOwned>(
        &mut self,
        model: &str,
        method: &str,
        args: &Args,
    ) -> Result<T> {
        let value = self.exchange(model, method, args.into()).result?;
        decode(&value).map_err(|error| {
            error
                .with_operation(method)
                .with_entity(model)
                .with_delivery(Delivery::MaybeSent)
                .with_resendable(args.nature().is_resendable())
        })
    }
}

/// A record from values, which must be an object.
pub(super) fn to_record(model: &str, values: &impl Serialize) -> Result<Record> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message).with_entity(model);
    match serde_json::to_value(values) {
        Ok(Value::Object(fields)) => Ok(fields.into()),
        Ok(other) => Err(invalid(format!("{other} is no record: values by field name are needed"))),
        Err(error) => Err(invalid(format!("the values cannot be written as JSON: {error}"))),
    }
}

/// A field of a model, as `fields_get` tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FieldInfo {
    /// The type, such as `char`, `many2one` or `datetime`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The label.
    #[serde(default)]
    pub string: String,
    /// Whether it must have a value.
    #[serde(default)]
    pub required: bool,
    /// Whether it cannot be written in forms; by a call it often can.
    #[serde(default)]
    pub readonly: bool,
    /// Whether it is kept in the database and can be searched and ordered by.
    #[serde(default)]
    pub store: bool,
    /// The model on the other side of a relation.
    #[serde(default)]
    pub relation: Option<String>,
    /// The values of a selection and their labels.
    #[serde(default)]
    pub selection: Option<Vec<(Value, String)>>,
}
