//! What is wrong with an operation by itself.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::kind::OperationKind;
use super::operation::Operation;
use super::parse::WRONG;
use super::problem::Problem;
use super::record::RecordId;

impl Operation {
    /// Everything that is wrong with this operation, found without sending anything.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.model.trim().is_empty() {
            problems.push(Problem::new("the model is missing").field("model"));
        }
        if !self.context.is_object() {
            problems.push(Problem::new("the context is an object").field("context"));
        }
        self.group_problems(&mut problems);
        match self.kind {
            OperationKind::Create => self.records_problems(&mut problems),
            OperationKind::Update => {
                self.ids_problems(&mut problems);
                if self.values.is_empty() {
                    problems.push(Problem::new("there are no fields to write"));
                }
            }
            OperationKind::UpdateEach => {
                self.records_problems(&mut problems);
                if !self.records.is_empty() {
                    self.ids_problems(&mut problems);
                }
            }
            OperationKind::Delete => self.ids_problems(&mut problems),
            OperationKind::Upsert => {
                self.records_problems(&mut problems);
                self.keys_problems(&mut problems);
            }
        }
        problems
    }

    pub(crate) fn group_problems(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |message: String| problems.push(Problem::new(message).field("group_by"));
        if self.kind == OperationKind::Delete && !self.group_by.is_empty() {
            wrong("a delete knows no fields to group its records by".to_owned());
        }
        let mut names = HashSet::new();
        for field in &self.group_by {
            if field.is_empty() {
                wrong("the name of a field to group by is empty".to_owned());
            } else if !names.insert(field) {
                wrong(format!("field {field} comes twice"));
            }
        }
    }

    fn records_problems(&self, problems: &mut Vec<Problem>) {
        if self.records.is_empty() {
            problems.push(Problem::new("there are no records"));
        }
        for (place, record) in self.records.iter().enumerate() {
            if record.is_empty() {
                let what = if self.kind == OperationKind::UpdateEach { "fields to write" } else { "fields" };
                problems.push(Problem::of_record(place, format!("it has no {what}")));
            }
        }
    }

    fn ids_problems(&self, problems: &mut Vec<Problem>) {
        if self.ids.is_empty() {
            problems.push(Problem::new("there are no ids").field("ids"));
        }
        let mut seen = HashMap::with_capacity(self.ids.len());
        for (place, id) in self.ids.iter().enumerate() {
            let wrong = match id {
                RecordId::Text(text) if text == WRONG => continue,
                RecordId::Int(number) if *number <= 0 => {
                    Some(format!("an id is a positive whole number or text, not {number}"))
                }
                RecordId::Text(text) if text.trim().is_empty() => Some("the id is empty".to_owned()),
                RecordId::Unknown => Some("the id is missing".to_owned()),
                _ => None,
            };
            let wrong = match (wrong, seen.get(id)) {
                (None, None) => {
                    seen.insert(id, place);
                    continue;
                }
                (None, Some(first)) => format!("id {id} is that of record {first}, too"),
                (Some(wrong), _) => wrong,
            };
            problems.push(Problem::of_record(place, wrong).field("id"));
        }
    }

    fn keys_problems(&self, problems: &mut Vec<Problem>) {
        if self.keys.is_empty() {
            problems.push(
                Problem::new("an upsert needs the fields that tell whether a record is there").field("keys"),
            );
            return;
        }
        let mut names = HashSet::new();
        for key in &self.keys {
            if key.is_empty() {
                problems.push(Problem::new("the name of a key field is empty").field("keys"));
            } else if !names.insert(key) {
                problems.push(Problem::new(format!("key field {key} comes twice")).field("keys"));
            }
        }
        let mut seen = HashMap::with_capacity(self.records.len());
        for (place, record) in self.records.iter().enumerate() {
            if record.is_empty() || record.get(WRONG).is_some() {
                continue;
            }
            let mut complete = true;
            for key in &self.keys {
                if matches!(record.get(key), None | Some(Value::Null)) {
                    complete = false;
                    problems.push(Problem::of_record(place, "the key field is missing").field(key));
                }
            }
            if complete && let Some(first) = seen.insert(self.key_of(place), place) {
                let message = format!("its keys are those of record {first}, too");
                problems.push(Problem::of_record(place, message));
            }
        }
    }

    /// What an upsert finds the record at a place by, as text.
    pub(crate) fn key_of(&self, place: usize) -> String {
        let values: Vec<_> = self.keys.iter().map(|key| self.records[place].get(key)).collect();
        serde_json::to_string(&values).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(form: &Value) -> Vec<String> {
        let error = Operation::from_json(form).expect_err("it is wrong");
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        error.field_errors().iter().map(|field| format!("{}: {}", field.path, field.message)).collect()
    }

    #[test]
    fn every_problem_is_told_at_once_with_record_and_field() {
        assert_eq!(
            wrong(&json!({"type": "update", "model": "", "data": [
                {"id": true, "a": 1}, 5, {"id": 7}, {"a": 1}, {"id": 7, "a": 1}, {"id": -1, "a": 1}, {},
            ]})),
            [
                "field model: the model is missing",
                "record 0, field id: an id is a whole number or text, not true",
                "record 1: an object was expected, not a number",
                "record 2: it has no fields to write",
                "record 3, field id: the id is missing",
                "record 4, field id: id 7 is that of record 2, too",
                "record 5, field id: an id is a positive whole number or text, not -1",
                "record 6: it has no fields to write",
                "record 6, field id: the id is missing",
            ]
        );
    }

    #[test]
    fn upserts_need_keys_that_tell_records_apart() {
        assert_eq!(
            wrong(&json!({"type": "upsert", "model": "m", "keys": ["ref", "ref"], "data": [
                {"ref": "A", "x": 1}, {"x": 1}, {"ref": "A"}, {"ref": null},
            ]})),
            [
                "field keys: key field ref comes twice",
                "record 1, field ref: the key field is missing",
                "record 1, field ref: the key field is missing",
                "record 2: its keys are those of record 0, too",
                "record 3, field ref: the key field is missing",
                "record 3, field ref: the key field is missing",
            ]
        );
        assert_eq!(wrong(&json!({"type": "upsert", "model": "m", "data": [{"a": 1}]})).len(), 1);
    }

    #[test]
    fn empty_input_is_refused_for_every_type() {
        for kind in ["create", "update", "update_each", "delete", "unlink", "upsert"] {
            assert!(!wrong(&json!({"type": kind, "model": "m"})).is_empty(), "{kind}");
            assert!(!wrong(&json!({"type": kind, "model": "m", "data": []})).is_empty(), "{kind}");
            assert!(!wrong(&json!({"type": kind, "model": "m", "data": "x"})).is_empty(), "{kind}");
        }
        assert!(wrong(&json!({"type": "merge"}))[0].contains("unknown operation type"));
        assert_eq!(wrong(&json!({})).len(), 2);
        assert_eq!(wrong(&json!([])).len(), 1);
    }

    #[test]
    fn nothing_to_write_and_ids_of_nothing_are_refused() {
        assert_eq!(
            wrong(&json!({"type": "update", "model": "m", "ids": [1], "data": {}})),
            [": there are no fields to write"]
        );
        assert_eq!(
            wrong(&json!({"type": "delete", "model": "m", "data": ["", " ", "A"]})),
            ["record 0, field id: the id is empty", "record 1, field id: the id is empty"]
        );
    }

    #[test]
    fn a_list_tells_the_problems_of_all_its_operations() {
        let forms = json!([{"type": "create", "model": "m", "data": [{"a": 1}]}, {"type": "x"}, {"type": "delete", "model": "m", "data": [0]}]);
        let error = Operation::list_from_json(&forms).unwrap_err();
        let places: Vec<_> = error.field_errors().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(
            places,
            ["operation 1, field type", "operation 1, field model", "operation 2, record 0, field id"]
        );
    }

    #[test]
    fn the_caller_keeps_his_data() {
        // Zenoo takes the ids out of the caller's records, so that a second run fails (B5).
        let rows = vec![json!({"id": 1, "a": 1, "batchcall.message": "no"})];
        for _ in 0..2 {
            let operation = Operation::update_each("m", &rows).unwrap();
            assert_eq!(operation.records()[0].len(), 1);
        }
        assert_eq!(rows[0].as_object().unwrap().len(), 3);
    }

    #[test]
    fn an_operation_survives_json() {
        let parts = Operation::delete("m", 1..=3).unwrap().split(2).unwrap();
        for operation in [
            Operation::create("m", json!([{"a": {"b": [1, null]}}])).unwrap().return_ids(false),
            Operation::update("m", [1, 2], json!({"a": 1})).unwrap().priority(-3),
            Operation::update_each("m", json!([{"id": "x", "a": 1}])).unwrap(),
            Operation::upsert("m", ["k"], json!([{"k": 1}])).unwrap().context(json!({"lang": "de_DE"})),
            parts[1].clone(),
        ] {
            let json = serde_json::to_string(&operation).unwrap();
            assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), operation, "{json}");
        }
    }

    #[test]
    fn parts_of_parts_know_their_place_in_the_first() {
        let whole = Operation::create("m", vec![json!({"a": 1}); 10]).unwrap();
        let part = &whole.split(5).unwrap()[1];
        let second = &part.split(2).unwrap()[2];
        assert_eq!((second.part_of().unwrap().operation, second.part_of().unwrap().offset), (whole.id(), 9));
        assert!(whole.split(0).is_err());
    }
}
