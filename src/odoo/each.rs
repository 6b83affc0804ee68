//! Different values for each record, in as few requests as the server's version allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::{Args, Bulk, Call};
use super::cells::{self, Sheet};
use super::command::is_repeatable;
use super::context::Context;
use super::protocol::{JSON2_SINCE, Protocol, major};
use super::rpc::{self, Reply};
use super::session::Session;
use super::verbs::{FieldInfo, to_record};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::Nature;
use crate::records::outcome::SharedError;
use crate::records::record::Record;

/// What became of each record.
pub(super) type Each = Vec<Result<()>>;

/// The id of a record and what to write to it.
pub(super) type Row<'a> = (i64, &'a Map<String, Value>);

impl Session {
    /// Writes to each record its own values, and says what became of each.
    ///
    /// From Odoo 19 on in one request, all or none; before by `load`, one request for each set of fields,
    /// whose messages tell the records that are refused. Where all values are the same it is one `write`.
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// use serde_json::json;
    ///
    /// session.write_each("res.partner", [(7, json!({"city": "Ghent"})), (8, json!({"city": "Bruges"}))])?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When nothing was written.
    pub fn write_each<V: Serialize>(
        &mut self,
        model: &str,
        rows: impl IntoIterator<Item = (i64, V)>,
    ) -> Result<Vec<Result<()>>> {
        let rows: Vec<(i64, Record)> = rows
            .into_iter()
            .map(|(id, values)| Ok((id, to_record(model, &values)?)))
            .collect::<Result<_>>()?;
        let rows: Vec<Row<'_>> = rows.iter().map(|(id, values)| (*id, values.as_map())).collect();
        self.write_rows(model, &rows, &Context::new())
    }

    pub(super) fn write_rows(&mut self, model: &str, rows: &[Row<'_>], context: &Context) -> Result<Each> {
        let Some((_, first)) = rows.first() else { return Ok(Vec::new()) };
        if rows.iter().all(|(_, values)| values == first) {
            let ids = rows.iter().map(|(id, _)| *id);
            self.write_in(model, ids, first, context)?;
            return Ok(rows.iter().map(|_| Ok(())).collect());
        }
        if self.version()? >= JSON2_SINCE {
            match self.save_multi(model, rows, context) {
                // A build that does not have it yet: nothing was written.
                Err(error) if error.remote_name() == Some("builtins.AttributeError") => {}
                Err(error) if error.remote_name() == Some("werkzeug.exceptions.NotFound") => {}
                saved => return saved.map(|()| rows.iter().map(|_| Ok(())).collect()),
            }
        }
        self.write_by_load(model, rows, context)
    }

    fn save_multi(&mut self, model: &str, rows: &[Row<'_>], context: &Context) -> Result<()> {
        let repeatable = rows.iter().all(|(_, values)| is_repeatable(values));
        let args = Args::ids(rows.iter().map(|(id, _)| *id))
            .arg("specification", json!({}))
            .context(context.clone())
            .idempotent_if(repeatable);
        let call = Call::bulk(&args, "vals_list", Bulk::Rows(rows));
        self.exchange(model, "web_save_multi", call).result.map(drop)
    }

    /// Before Odoo 19: several requests, so that each record has a result of its own.
    fn write_by_load(&mut self, model: &str, rows: &[Row<'_>], context: &Context) -> Result<Each> {
        let fields = self.field_types(model)?;
        let records: Vec<Map<String, Value>> = rows
            .iter()
            .map(|(id, values)| {
                let mut record = (*values).clone();
                record.insert(".id".into(), (*id).into());
                record
            })
            .collect();
        let (sheets, left) = cells::sheets(records.iter().enumerate(), &fields);
        let mut each = Pending::new(rows.len());
        for sheet in sheets {
            self.load_sheet(model, sheet, context, &mut each);
        }
        for (values, places) in groups(rows, &left) {
            let ids = places.iter().map(|place| rows[*place].0);
            if each.is_stopped() {
                break;
            }
            let written = self.write_in(model, ids, values, context);
            each.settle(&places, written);
        }
        each.finish()
    }

    /// Loads a sheet until it is loaded, leaving out the rows that are refused.
    fn load_sheet(&mut self, model: &str, mut sheet: Sheet, context: &Context, each: &mut Pending) {
        // Times are written in UTC, and names in no language but the server's.
        let context = Context::new().tz("UTC").and(context);
        while !sheet.rows.is_empty() && !each.is_stopped() {
            let loaded = match self.load_rows(model, &sheet.columns, sheet.rows.clone(), context.clone()) {
                Ok(loaded) => loaded,
                Err(error) => return each.settle(&sheet.places, Err(error)),
            };
            if loaded.ids().is_some() {
                return each.settle(&sheet.places, Ok(()));
            }
            let mut refused: BTreeMap<usize, Error> = BTreeMap::new();
            for message in loaded.errors() {
                let (from, to) = message.rows.unwrap_or((0, usize::MAX));
                for row in from..=to.min(sheet.rows.len() - 1) {
                    refused.entry(row).or_insert_with(|| message.to_error(model, sheet.places[row]));
                }
            }
            if refused.is_empty() {
                let error = Error::new(ErrorKind::Rejected, "nothing was loaded, and no reason was given")
                    .with_operation("load")
                    .with_entity(model)
                    .with_delivery(Delivery::Answered);
                return each.settle(&sheet.places, Err(error));
            }
            for (row, error) in refused.into_iter().rev() {
                sheet.rows.remove(row);
                each.settle(&[sheet.places.remove(row)], Err(error));
            }
        }
    }

    /// The model's fields, asked for once for each client.
    pub(super) fn field_types(&mut self, model: &str) -> Result<Arc<BTreeMap<String, FieldInfo>>> {
        if let Some(known) = self.client.known().fields.get(model) {
            return Ok(Arc::clone(known));
        }
        let fields = Arc::new(self.fields_get(model)?);
        self.client.known().fields.insert(model.to_owned(), Arc::clone(&fields));
        Ok(fields)
    }

    /// The server's major version.
    ///
    /// # Errors
    ///
    /// When it has to be asked for and cannot be.
    pub fn version(&mut self) -> Result<u64> {
        if let Some(version) = self.client.known().version {
            return Ok(version);
        }
        let version = match self.conversation().protocol {
            Protocol::Json2 => JSON2_SINCE,
            Protocol::WebSession | Protocol::JsonRpc => self.ask_rpc_version()?,
        };
        self.client.known().version = Some(version);
        Ok(version)
    }

    fn ask_rpc_version(&mut self) -> Result<u64> {
        let client = Arc::clone(&self.client);
        let id = client.next_id();
        let request = rpc::service(&client.settings.base, "common", "version", &json!([]), id)?
            .nature(Nature::Read)
            .operation("find version");
        let answer = self.conversation().wire.send(&request)?;
        match rpc::read(&answer, &request, id)? {
            Reply::Result(version) => version.get("server_version_info").and_then(major).ok_or_else(|| {
                answer.to_error(&request, ErrorKind::Protocol, "the server does not tell its version")
            }),
            Reply::Refusal(refusal) => Err(refusal.into_error(&answer, &request, "", "")),
        }
    }
}

/// The places of records with the same values.
fn groups<'a>(rows: &[Row<'a>], places: &[usize]) -> Vec<(&'a Map<String, Value>, Vec<usize>)> {
    let mut groups: Vec<(&Map<String, Value>, Vec<usize>)> = Vec::new();
    for place in places {
        let values = rows[*place].1;
        match groups.iter_mut().find(|(known, _)| *known == values) {
            Some((_, places)) => places.push(*place),
            None => groups.push((values, vec![*place])),
        }
    }
    groups
}

/// Whether an error says something about the records that were sent, and not about the user or the wire.
pub(super) fn is_about_records(error: &Error) -> bool {
    !error.is_in_doubt()
        && matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::Server)
}

/// Results that come in one request after the other.
struct Pending {
    each: Vec<Option<Result<()>>>,
    /// Why nothing more is sent: an error that is not about a record.
    stopped: Option<SharedError>,
    /// Whether a request was answered, so that an error is not about all of the records.
    answered: bool,
}

impl Pending {
    fn new(records: usize) -> Self {
        Self { each: (0..records).map(|_| None).collect(), stopped: None, answered: false }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// What a request did to the records at these places.
    fn settle(&mut self, places: &[usize], result: Result<()>) {
        let error = match result {
            Ok(()) => {
                places.iter().for_each(|place| self.each[*place] = Some(Ok(())));
                self.answered = true;
                return;
            }
            Err(error) => SharedError::new(error),
        };
        places.iter().for_each(|place| self.each[*place] = Some(Err(error.copy())));
        if is_about_records(error.get()) {
            self.answered = true;
        } else {
            self.stopped = Some(error);
        }
    }

    /// The results; one error where it is the same for all.
    fn finish(self) -> Result<Each> {
        let Some(stopped) = self.stopped else {
            let lost = || Err(Error::new(ErrorKind::Other, "nothing was sent for this record"));
            return Ok(self.each.into_iter().map(|result| result.unwrap_or_else(lost)).collect());
        };
        if !self.answered {
            return Err(stopped.copy());
        }
        let error = stopped.get();
        let not_sent = || Err(Error::new(error.kind(), error.message()).with_delivery(Delivery::NotSent));
        Ok(self.each.into_iter().map(|result| result.unwrap_or_else(not_sent)).collect())
    }
}
