//! Domains: read from their prefix notation, and the condition that each record must meet.

use serde_json::Value;

use super::condition::Condition;
use super::environment::Environment;
use super::models::MODELS;
use super::python::{repr, tuple};
use super::schema::ModelId;
use super::store::{Row, Store};
use super::trouble::{Result, Trouble};

/// A domain that can be asked.
#[derive(Debug)]
pub(super) enum Domain {
    Constant(bool),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Condition(Condition),
}

impl Domain {
    /// Reads a domain on a model.
    pub(super) fn parse(store: &Store, env: &Environment, model: ModelId, value: &Value) -> Result<Self> {
        let items = match value {
            Value::Null | Value::Bool(false) => &[][..],
            Value::Array(items) => items.as_slice(),
            other => {
                return Err(Trouble::kind(format!("Domain() invalid item in domain: {}", repr(other))));
            }
        };
        let mut stack: Vec<Self> = Vec::new();
        for item in items.iter().rev() {
            let found = match item {
                Value::String(text) if text == "&" || text == "|" => {
                    let (Some(left), Some(right)) = (stack.pop(), stack.pop()) else {
                        return Err(Trouble::value(format!(
                            "Domain() missing operands in domain: {}",
                            repr(value)
                        )));
                    };
                    if text == "&" { Self::All(vec![left, right]) } else { Self::Any(vec![left, right]) }
                }
                Value::String(text) if text == "!" => match stack.pop() {
                    Some(inner) => Self::Not(Box::new(inner)),
                    None => {
                        return Err(Trouble::value(format!(
                            "Domain() missing operands in domain: {}",
                            repr(value)
                        )));
                    }
                },
                Value::Array(parts) => Self::leaf(store, env, model, parts)?,
                other => {
                    return Err(Trouble::value(format!("Domain() invalid item in domain: {}", repr(other))));
                }
            };
            stack.push(found);
        }
        stack.reverse();
        Ok(if stack.len() == 1 { stack.remove(0) } else { Self::All(stack) })
    }

    fn leaf(store: &Store, env: &Environment, model: ModelId, parts: &[Value]) -> Result<Self> {
        match parts {
            [Value::Number(left), Value::String(_), Value::Number(right)] => {
                Ok(Self::Constant(left == right))
            }
            [Value::String(path), Value::String(operator), operand] => {
                let invalid = |what: &str| {
                    let place = if env.version == 17 { "leaf" } else { "condition" };
                    Trouble::value(format!("Invalid {what} in {place} {}", tuple(parts)))
                };
                let condition = Condition::new(store, env, model, path, operator, operand, &invalid)?;
                Ok(Self::Condition(condition))
            }
            _ => Err(Trouble::value(format!(
                "Domain() invalid item in domain: {}",
                repr(&Value::Array(parts.to_vec()))
            ))),
        }
    }

    /// The same, without archived records unless the domain or the context speaks of them.
    pub(super) fn active_only(
        self,
        store: &Store,
        env: &Environment,
        model: ModelId,
        value: &Value,
    ) -> Result<Self> {
        let named = value.as_array().into_iter().flatten().any(|item| {
            item.get(0)
                .and_then(Value::as_str)
                .is_some_and(|path| path == "active" || path.starts_with("active."))
        });
        if named || !MODELS[model].has_active() || !env.is_active_only() {
            return Ok(self);
        }
        let active = [Value::from("active"), "=".into(), true.into()];
        let active = Self::leaf(store, env, model, &active)?;
        Ok(Self::All(vec![self, active]))
    }

    /// Whether a record meets it.
    pub(super) fn holds(&self, store: &Store, id: i64, row: &Row) -> bool {
        match self {
            Self::Constant(is) => *is,
            Self::All(parts) => parts.iter().all(|part| part.holds(store, id, row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(store, id, row)),
            Self::Not(inner) => !inner.holds(store, id, row),
            Self::Condition(condition) => condition.holds(store, id, row),
        }
    }

    /// The only records that can meet it, where it names them: the whole table need not be read.
    pub(super) fn candidates(&self, store: &Store) -> Option<Vec<i64>> {
        match self {
            Self::All(parts) => parts
                .iter()
                .find_map(|part| part.candidates(store))
                .or_else(|| super::condition::by_external_id(store, parts)),
            Self::Condition(condition) => condition.candidates(),
            _ => None,
        }
    }
}
