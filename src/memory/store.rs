//! Tables of rows: the in-memory backend as a store of records.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Memory, Session, State, Step, answered};
use crate::error::{Error, ErrorKind, Result};
use crate::records::capabilities::Capabilities;
use crate::records::chunk::{Answer, Applied, Chunk};
use crate::records::record::{Record, RecordId};
use crate::records::store::RecordStore;

/// Says what is wrong with a row of a model.
type Rule = Arc<dyn Fn(&str, &Value) -> Option<String> + Send + Sync>;

/// The rows of a model by their ids.
type Rows = BTreeMap<i64, Map<String, Value>>;

/// Tables of rows, and how they behave.
#[derive(Default)]
pub(super) struct Tables {
    rows: HashMap<String, Rows>,
    /// Ids are not used twice.
    last_id: HashMap<String, i64>,
    rules: Vec<Rule>,
    item_wise: bool,
    transactions: bool,
    max_records: Option<usize>,
    max_bytes: Option<usize>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A row as it was before a transaction changed it.
#[derive(Debug)]
pub(super) struct Change {
    model: String,
    id: i64,
    before: Option<Map<String, Value>>,
}

impl Memory {
    /// Adds rows to a model, from id 1 on.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use serde_json::json;
    ///
    /// let memory = Memory::new().with_rows("res.partner", [json!({"name": "ACME"})]);
    /// assert_eq!(memory.row("res.partner", 1).unwrap()["name"], "ACME");
    /// ```
    #[must_use]
    pub fn with_rows<I>(self, model: &str, rows: I) -> Self
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        self.with(|state| {
            for row in rows {
                if let Ok(Value::Object(fields)) = serde_json::to_value(row) {
                    let id = state.tables.new_id(model);
                    state.tables.rows.entry(model.to_owned()).or_default().insert(id, fields);
                }
            }
        })
    }

    /// Refuses rows that are created or changed, with the message that a rule has against them. Defaults to
    /// none.
    #[must_use]
    pub fn refuse(self, rule: impl Fn(&str, &Value) -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|state| state.tables.rules.push(Arc::new(rule)))
    }

    /// Whether the rows of a request are applied one by one, each with its own error, and not all or none.
    /// Defaults to `false`.
    #[must_use]
    pub fn item_wise(self, item_wise: bool) -> Self {
        self.with(|state| state.tables.item_wise = item_wise)
    }

    /// Whether sessions have transactions. Defaults to `false`.
    #[must_use]
    pub fn transactions(self, transactions: bool) -> Self {
        self.with(|state| state.tables.transactions = transactions)
    }

    /// The most rows in a request; one with more is refused with HTTP status 413. Defaults to no limit.
    #[must_use]
    pub fn max_records(self, records: usize) -> Self {
        self.with(|state| state.tables.max_records = Some(records))
    }

    /// The most bytes in a request, counted as JSON; one with more is refused with HTTP status 413. Defaults
    /// to no limit.
    #[must_use]
    pub fn max_bytes(self, bytes: usize) -> Self {
        self.with(|state| state.tables.max_bytes = Some(bytes))
    }

    /// A row of a model.
    #[must_use]
    pub fn row(&self, model: &str, id: i64) -> Option<Map<String, Value>> {
        self.state().tables.rows.get(model)?.get(&id).cloned()
    }

    /// All rows of a model with their ids, in the order of the ids.
    #[must_use]
    pub fn rows(&self, model: &str) -> Vec<(i64, Map<String, Value>)> {
        let state = self.state();
        let rows = state.tables.rows.get(model);
        rows.into_iter().flatten().map(|(id, row)| (*id, row.clone())).collect()
    }
}

/// What is to become of one row, after it was found to be good.
enum Act {
    Put { id: Option<i64>, row: Map<String, Value>, applied: fn(i64) -> Applied },
    Drop(i64),
    Nothing,
}

impl Tables {
    fn new_id(&mut self, model: &str) -> i64 {
        let last = self.last_id.entry(model.to_owned()).or_default();
        *last += 1;
        *last
    }

    fn too_large(&self, chunk: &Chunk<'_>) -> bool {
        self.max_records.is_some_and(|most| chunk.len() > most)
            || self.max_bytes.is_some_and(|most| {
                let sent = (chunk.records(), chunk.ids(), chunk.values());
                serde_json::to_vec(&sent).is_ok_and(|sent| sent.len() > most)
            })
    }

    fn check(&self, model: &str, row: Map<String, Value>) -> Result<Map<String, Value>> {
        let row = Value::Object(row);
        match self.rules.iter().find_map(|rule| rule(model, &row)) {
            Some(message) => Err(answered(ErrorKind::Rejected, message)),
            None => match row {
                Value::Object(row) => Ok(row),
                _ => unreachable!("it was made an object above"),
            },
        }
    }

    fn find(&self, model: &str, id: &RecordId) -> Result<(i64, &Map<String, Value>)> {
        let found = id.as_i64().and_then(|id| Some((id, self.rows.get(model)?.get(&id)?)));
        found.ok_or_else(|| {
            answered(ErrorKind::NotFound, format!("record {model}({id}) does not exist or has been deleted"))
        })
    }

    fn changed(&self, chunk: &Chunk<'_>, at: usize) -> Result<Act> {
        let (id, row) = self.find(chunk.model(), &chunk.ids()[at])?;
        let values = chunk.records().get(at).unwrap_or_else(|| chunk.values());
        let row = merged(row, values);
        Ok(Act::Put { id: Some(id), row: self.check(chunk.model(), row)?, applied: |_| Applied::Updated })
    }

    fn upserted(&self, chunk: &Chunk<'_>, at: usize) -> Result<Act> {
        let record = &chunk.records()[at];
        let same = |row: &Map<String, Value>| chunk.keys().iter().all(|key| row.get(key) == record.get(key));
        let found = self.rows.get(chunk.model()).and_then(|rows| rows.iter().find(|(_, row)| same(row)));
        match found {
            None => {
                let row = self.check(chunk.model(), record.as_map().clone())?;
                Ok(Act::Put { id: None, row, applied: |id| Applied::Created(id.into()) })
            }
            Some((id, row)) => {
                let new = merged(row, record);
                if new == *row {
                    return Ok(Act::Nothing);
                }
                let row = self.check(chunk.model(), new)?;
                Ok(Act::Put { id: Some(*id), row, applied: |id| Applied::Matched(id.into()) })
            }
        }
    }
}

fn merged(row: &Map<String, Value>, values: &Record) -> Map<String, Value> {
    let mut row = row.clone();
    row.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    // Null is what reading says of a field that is not there.
    row.retain(|_, value| !value.is_null());
    row
}

impl Session {
    /// One request about the rows of a chunk: all are looked at, and then applied.
    fn rows(&mut self, chunk: &Chunk<'_>, look: impl Fn(&Tables, usize) -> Result<Act>) -> Result<Answer> {
        let model = chunk.model().to_owned();
        let mut changes = Vec::new();
        let answer = self.request_for(false, |state, step| {
            let tables = &mut state.tables;
            if tables.too_large(chunk) {
                return Err(answered(ErrorKind::Rejected, "too large").with_status(413));
            }
            let mut acts: Vec<Result<Act>> = (0..chunk.len()).map(|at| look(tables, at)).collect();
            if !tables.item_wise
                && let Some(bad) = acts.iter().position(Result::is_err)
                && let Err(error) = acts.swap_remove(bad)
            {
                return Err(error);
            }
            let mut answer: Answer =
                acts.into_iter().map(|act| Ok(act_on(state, &model, act?, &mut changes))).collect();
            if let Step::Miscount(by) = step {
                let len = answer.len().saturating_add_signed(*by);
                answer.resize_with(len, || Ok(Applied::Unchanged));
            }
            Ok(answer)
        });
        if let Some(transaction) = &mut self.transaction {
            transaction.extend(changes);
        }
        answer
    }

    /// Undoes what the transaction did, if there is one.
    pub(super) fn undo(&mut self) {
        let Some(changes) = self.transaction.take() else { return };
        let mut state = self.memory.state();
        for Change { model, id, before } in changes.into_iter().rev() {
            let rows = state.tables.rows.entry(model).or_default();
            match before {
                Some(row) => rows.insert(id, row),
                None => rows.remove(&id),
            };
        }
    }
}

/// Does what was found to be good.
fn act_on(state: &mut State, model: &str, act: Act, changes: &mut Vec<Change>) -> Applied {
    let (id, new, applied) = match act {
        Act::Nothing => return Applied::Unchanged,
        Act::Put { id, row, applied } => {
            let id = id.unwrap_or_else(|| state.tables.new_id(model));
            (id, Some(row), applied(id))
        }
        Act::Drop(id) => (id, None, Applied::Deleted),
    };
    *state.applied.entry(format!("{model}/{id}")).or_default() += 1;
    let rows = state.tables.rows.entry(model.to_owned()).or_default();
    let before = match new {
        Some(row) => rows.insert(id, row),
        None => rows.remove(&id),
    };
    changes.push(Change { model: model.to_owned(), id, before });
    applied
}

impl RecordStore for Memory {
    fn capabilities(&self) -> Capabilities {
        let state = self.state();
        let tables = &state.tables;
        let mut capabilities = Capabilities::new()
            .atomic_chunks(!tables.item_wise)
            .upsert(true)
            .reads(true)
            .transactions(tables.transactions);
        if let Some(records) = tables.max_records {
            capabilities = capabilities.max_records(records);
        }
        match tables.max_bytes {
            Some(bytes) => capabilities.max_bytes(bytes),
            None => capabilities,
        }
    }

    fn create(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        session.rows(chunk, |tables, at| {
            let row = tables.check(chunk.model(), chunk.records()[at].as_map().clone())?;
            Ok(Act::Put { id: None, row, applied: |id| Applied::Created(id.into()) })
        })
    }

    fn update(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        session.rows(chunk, |tables, at| tables.changed(chunk, at))
    }

    fn update_each(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        session.rows(chunk, |tables, at| tables.changed(chunk, at))
    }

    fn delete(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        session.rows(chunk, |tables, at| {
            tables.find(chunk.model(), &chunk.ids()[at]).map(|(id, _)| Act::Drop(id))
        })
    }

    fn upsert(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        session.rows(chunk, |tables, at| tables.upserted(chunk, at))
    }

    fn read(
        &self,
        session: &mut Session,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        session.request(true, |state| {
            let read = |id| {
                let (_, row) = state.tables.find(model, id).ok()?;
                // A field that is not there is null: so that writing it back takes it away again.
                let value = |field: &&str| row.get(*field).cloned().unwrap_or(Value::Null);
                Some(fields.iter().map(|field| (*field, value(field))).collect())
            };
            Ok(ids.iter().map(read).collect())
        })
    }

    fn begin(&self, session: &mut Session) -> Result<()> {
        session.request(false, |_| Ok(()))?;
        session.transaction = Some(Vec::new());
        Ok(())
    }

    fn commit(&self, session: &mut Session) -> Result<()> {
        match session.request(false, |_| Ok(())) {
            Ok(()) => {
                session.transaction = None;
                Ok(())
            }
            Err(error) => {
                if error.is_in_doubt() {
                    session.transaction = None;
                }
                Err(error)
            }
        }
    }

    fn roll_back(&self, session: &mut Session) -> Result<()> {
        let rolled_back: Result<(), Error> = session.request(false, |_| Ok(()));
        session.undo();
        rolled_back
    }
}
