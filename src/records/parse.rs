//! Operations from and to JSON: the factory.

use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::kind::OperationKind;
use super::operation::{Operation, Part, from_millis};
use super::problem::{Problem, refuse};
use super::record::{Record, RecordId};
use crate::error::Result;

/// Fields that are not the user's: what an export adds.
pub(crate) const RESERVED: &str = "batchcall.";

impl Operation {
    /// Makes an operation of a type that is named: `create`, `update`, `update_each`, `delete`, `unlink` or
    /// `upsert`, in capitals or not.
    ///
    /// | type | data |
    /// |---|---|
    /// | create | a list of objects, or one object |
    /// | update | a list of objects with an `id`; or `{"ids": [..], "values": {..}}`, the same for all |
    /// | delete, unlink | a list of ids |
    /// | upsert | `{"keys": [..], "records": [..]}` |
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong.
    ///
    /// ```
    /// use batchcall::{Operation, OperationKind};
    /// use serde_json::json;
    ///
    /// let operation = Operation::of_type("UNLINK", "res.partner", json!([4, 5]))?;
    /// assert_eq!((operation.kind(), operation.len()), (OperationKind::Delete, 2));
    /// assert!(Operation::of_type("merge", "res.partner", json!([4, 5])).is_err());
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn of_type(kind: &str, model: impl Into<String>, data: Value) -> Result<Self> {
        let mut form = Map::new();
        if let Value::Object(parts) = &data
            && ["ids", "values", "keys", "records"].iter().any(|part| parts.contains_key(*part))
            && kind.eq_ignore_ascii_case("update") | kind.eq_ignore_ascii_case("upsert")
        {
            form.clone_from(parts);
        } else {
            form.insert("data".into(), data);
        }
        form.insert("type".into(), kind.into());
        form.insert("model".into(), model.into().into());
        Self::from_json(&Value::Object(form))
    }

    /// Makes an operation from JSON.
    ///
    /// ```
    /// use batchcall::Operation;
    /// use serde_json::json;
    ///
    /// for form in [
    ///     json!({"type": "create", "model": "res.partner", "data": [{"name": "ACME"}], "priority": 10}),
    ///     json!({"type": "update", "model": "res.partner", "ids": [1, 2], "data": {"active": false}}),
    ///     json!({"type": "update", "model": "res.partner", "data": [{"id": 1, "active": false}]}),
    ///     json!({"type": "delete", "model": "res.partner", "data": [4, 5]}),
    ///     json!({"type": "upsert", "model": "res.partner", "keys": ["ref"], "data": [{"ref": "A", "name": "a"}]}),
    /// ] {
    ///     Operation::from_json(&form)?;
    /// }
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong.
    pub fn from_json(form: &Value) -> Result<Self> {
        let (operation, problems) = parse(form);
        refuse(&problems)?;
        Ok(operation)
    }

    /// Makes operations from a JSON list of them.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with all of them.
    pub fn list_from_json(forms: &Value) -> Result<Vec<Self>> {
        let Some(forms) = forms.as_array() else {
            return Err(refuse(&[Problem::new("a list of operations was expected")])
                .expect_err("one problem is an error"));
        };
        let mut problems = Vec::new();
        let mut operations = Vec::with_capacity(forms.len());
        for (place, form) in forms.iter().enumerate() {
            let (operation, wrong) = parse(form);
            problems.extend(wrong.into_iter().map(|problem| problem.operation(place)));
            operations.push(operation);
        }
        refuse(&problems)?;
        Ok(operations)
    }

    /// Takes records in, with what is wrong with their shape; those of `update_each` without their ids.
    pub(crate) fn take_records(&mut self, data: Value) -> Vec<Problem> {
        let rows = match data {
            Value::Array(rows) => rows,
            Value::Object(_) => vec![data],
            other => {
                return vec![Problem::new(format!("a list of objects was expected, not {}", kind(&other)))];
            }
        };
        let mut problems = Vec::new();
        self.records.reserve(rows.len());
        for (place, row) in rows.into_iter().enumerate() {
            let fields = match row {
                Value::Object(fields) => fields,
                other => {
                    problems.push(Problem::of_record(
                        place,
                        format!("an object was expected, not {}", kind(&other)),
                    ));
                    // In its place, so that the others keep theirs; marked, so that it is told once.
                    Map::from_iter([(WRONG.to_owned(), Value::Null)])
                }
            };
            let mut record = Record::from(fields);
            let is_reserved = |name: &String| name.starts_with(RESERVED) && name != WRONG;
            // There seldom is one, and a map is searched faster than it is rebuilt.
            if record.as_map().keys().any(is_reserved) {
                record.as_map_mut().retain(|name, _| !is_reserved(name));
            }
            if self.kind == OperationKind::UpdateEach {
                let id = match record.remove("id") {
                    None if record.get(WRONG).is_some() => RecordId::Text(WRONG.to_owned()),
                    None => RecordId::Unknown,
                    Some(id) => RecordId::from_json(&id).unwrap_or_else(|wrong| {
                        problems.push(Problem::of_record(place, wrong).field("id"));
                        RecordId::Text(WRONG.to_owned())
                    }),
                };
                self.ids.push(id);
            }
            self.records.push(record);
        }
        problems
    }

    /// Takes the values of an update in.
    pub(crate) fn take_values(&mut self, data: Value) -> Vec<Problem> {
        match data {
            Value::Object(fields) => {
                self.values = fields.into();
                self.values.as_map_mut().retain(|name, _| !name.starts_with(RESERVED));
                Vec::new()
            }
            other => {
                self.values.insert(WRONG, Value::Null);
                vec![Problem::new(format!("the values to write are an object, not {}", kind(&other)))]
            }
        }
    }

    fn take_ids(&mut self, data: &Value) -> Vec<Problem> {
        let Some(ids) = data.as_array() else {
            return vec![Problem::new(format!("a list of ids was expected, not {}", kind(data)))];
        };
        let mut problems = Vec::new();
        for (place, id) in ids.iter().enumerate() {
            self.ids.push(RecordId::from_json(id).unwrap_or_else(|wrong| {
                problems.push(Problem::of_record(place, wrong).field("id"));
                RecordId::Text(WRONG.to_owned())
            }));
        }
        problems
    }
}

/// In the place of something that was told to be wrong already.
pub(crate) const WRONG: &str = "batchcall.wrong";

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The operation that a JSON form tells, as far as it does, with everything that is wrong with it.
fn parse(form: &Value) -> (Operation, Vec<Problem>) {
    let mut operation = Operation::empty(OperationKind::Create, "");
    let Some(form) = form.as_object() else {
        return (
            operation,
            vec![Problem::new(format!("an operation is an object, not {}", self::kind(form)))],
        );
    };
    let mut problems = Vec::new();
    let mut known = true;
    match form.get("type").or_else(|| form.get("operation_type")).and_then(Value::as_str) {
        None => {
            known = false;
            problems.push(Problem::new("the type is missing, such as \"create\"").field("type"));
        }
        Some(name) => match name.parse() {
            Ok(kind) => operation.kind = kind,
            Err(error) => {
                known = false;
                problems.push(Problem::new(error.message()).field("type"));
            }
        },
    }
    match form.get("model") {
        Some(Value::String(model)) => operation.model.clone_from(model),
        Some(other) => {
            operation.model = WRONG.into();
            problems.push(Problem::new(format!("the model is text, not {}", kind(other))).field("model"));
        }
        None => {}
    }
    problems.extend(optional(form, &mut operation));
    if known {
        problems.extend(data(form, &mut operation));
        problems.extend(operation.problems());
    } else if operation.model.is_empty() {
        problems.push(Problem::new("the model is missing").field("model"));
    }
    problems.sort_by_key(|problem| problem.record);
    (operation, problems)
}

/// Reads what is to become of the records.
fn data(form: &Map<String, Value>, operation: &mut Operation) -> Vec<Problem> {
    let mut problems = Vec::new();
    let data = form.get("data").or_else(|| form.get("records")).or_else(|| form.get("values"));
    let ids = form.get("ids").or_else(|| form.get("record_ids"));
    if operation.kind == OperationKind::Update && data.is_some_and(Value::is_array) {
        operation.kind = OperationKind::UpdateEach;
    }
    match operation.kind {
        OperationKind::Delete => {
            if let Some(ids) = ids.or(data) {
                problems.extend(operation.take_ids(ids));
            }
        }
        OperationKind::Update => {
            if let Some(ids) = ids {
                problems.extend(operation.take_ids(ids));
            }
            if let Some(data) = data {
                problems.extend(operation.take_values(data.clone()));
            }
        }
        OperationKind::Create | OperationKind::UpdateEach | OperationKind::Upsert => {
            if ids.is_some_and(|ids| ids.as_array().is_none_or(|ids| !ids.is_empty())) {
                let why = if operation.kind == OperationKind::UpdateEach {
                    "ids go with one object for all of them; a list of objects has an id in each"
                } else {
                    "a record that is made has no id yet"
                };
                problems.push(Problem::new(why).field("ids"));
            }
            if let Some(data) = data {
                problems.extend(operation.take_records(data.clone()));
            }
        }
    }
    if let Some(keys) = form.get("keys") {
        match Vec::<String>::deserialize(keys) {
            Ok(keys) => operation.keys = keys,
            Err(_) => problems.push(Problem::new("the keys are a list of field names").field("keys")),
        }
    }
    problems
}

/// Reads everything that an operation can do without.
fn optional(form: &Map<String, Value>, operation: &mut Operation) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, expected: &str| {
        problems.push(Problem::new(format!("{expected} was expected")).field(field));
    };
    let given = |name: &str| form.get(name).filter(|value| !value.is_null());
    if let Some(id) = given("id") {
        match Uuid::deserialize(id) {
            Ok(id) => operation.id = id,
            Err(_) => wrong("id", "a UUID"),
        }
    }
    if let Some(priority) = given("priority") {
        match i32::deserialize(priority) {
            Ok(priority) => operation.priority = priority,
            Err(_) => wrong("priority", "a whole number"),
        }
    }
    if let Some(context) = given("context") {
        operation.context = context.clone();
    }
    if let Some(fields) = given("group_by") {
        match Vec::<String>::deserialize(fields) {
            Ok(fields) => operation.group_by = fields,
            Err(_) => wrong("group_by", "a list of field names"),
        }
    }
    if let Some(return_ids) = given("return_ids") {
        match return_ids.as_bool() {
            Some(return_ids) => operation.return_ids = return_ids,
            None => wrong("return_ids", "true or false"),
        }
    }
    if let Some(status) = given("status") {
        match Deserialize::deserialize(status) {
            Ok(status) => operation.status = status,
            Err(_) => wrong("status", "pending, executing, completed, failed or cancelled"),
        }
    }
    if let Some(part) = given("part_of") {
        match Part::deserialize(part) {
            Ok(part) => operation.part_of = Some(part),
            Err(_) => wrong("part_of", "an operation and an offset"),
        }
    }
    let mut time = |name: &str| match given(name).map(Value::as_u64) {
        None => None,
        Some(Some(millis)) => Some(millis),
        Some(None) => {
            wrong(name, "a number of milliseconds");
            None
        }
    };
    if let Some(millis) = time("created_at") {
        operation.created_at = from_millis(millis);
    }
    operation.started_at = time("started_at").map(from_millis);
    operation.finished_at = time("finished_at").map(from_millis);
    operation.duration = time("duration").map(Duration::from_millis);
    problems
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// As [`Operation::from_json`] reads it; times are milliseconds, since 1970 where they are instants.
impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = json!({
            "id": self.id,
            "type": self.kind,
            "model": self.model,
            "priority": self.priority,
            "return_ids": self.return_ids,
            "status": self.status,
            "created_at": millis(self.created_at),
        });
        let mut put =
            |name: &str, value: Value| form.as_object_mut().map(|form| form.insert(name.into(), value));
        match self.kind {
            OperationKind::Create | OperationKind::Upsert => put("data", json!(self.records)),
            OperationKind::UpdateEach => {
                put("data", json!((0..self.len()).map(|place| self.input(place)).collect::<Vec<_>>()))
            }
            OperationKind::Update => {
                put("ids", json!(self.ids));
                put("data", json!(self.values))
            }
            OperationKind::Delete => put("data", json!(self.ids)),
        };
        if self.kind == OperationKind::Upsert {
            put("keys", json!(self.keys));
        }
        if !self.group_by.is_empty() {
            put("group_by", json!(self.group_by));
        }
        if self.context.as_object().is_none_or(|context| !context.is_empty()) {
            put("context", self.context.clone());
        }
        for (name, time) in [("started_at", self.started_at), ("finished_at", self.finished_at)] {
            if let Some(time) = time {
                put(name, millis(time).into());
            }
        }
        if let Some(duration) = self.duration {
            put("duration", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into());
        }
        if let Some(part) = self.part_of {
            put("part_of", json!(part));
        }
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Value::deserialize(deserializer)?;
        Self::from_json(&form).map_err(|error| D::Error::custom(error.message()))
    }
}
