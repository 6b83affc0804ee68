//! One condition of a domain: `["name", "ilike", "agrolait"]`.

use std::collections::HashSet;

use serde_json::Value;

use super::cell::Cell;
use super::domain::Domain;
use super::environment::Environment;
use super::models::{DATA, MODELS};
use super::python::is_true;
use super::schema::{Column, Kind, ModelId, Place};
use super::store::{Row, Store};
use super::trouble::{Result, Trouble};

/// A condition that can be asked.
#[derive(Debug)]
pub(super) struct Condition {
    model: ModelId,
    /// The fields on the way, each but the last a relational one, and the model of each.
    path: Vec<(ModelId, Column)>,
    test: Test,
    is_negated: bool,
}

/// What the value at the end of the path must be.
#[derive(Debug)]
enum Test {
    /// One of these.
    Among(Among),
    /// More or less than this.
    Compared(Comparison, Cell),
    /// A text like this one.
    Like { pattern: String, is_whole: bool, ignores_case: bool },
    /// Always so: `=?` with nothing.
    Always,
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Debug, Default)]
struct Among {
    numbers: HashSet<i64>,
    texts: HashSet<String>,
    floats: Vec<f64>,
    has_unset: bool,
    has_true: bool,
}

impl Among {
    fn new(values: &[Value]) -> Self {
        let mut among = Self::default();
        for value in values {
            match value {
                Value::Null | Value::Bool(false) => among.has_unset = true,
                Value::Bool(true) => among.has_true = true,
                Value::Number(number) => {
                    among.numbers.extend(number.as_i64());
                    among.floats.extend(number.as_f64());
                }
                Value::String(text) => drop(among.texts.insert(text.clone())),
                Value::Array(_) | Value::Object(_) => {}
            }
        }
        among
    }

    fn has(&self, cell: &Cell) -> bool {
        match cell {
            Cell::Unset => self.has_unset,
            Cell::Bool(is) => {
                if *is {
                    self.has_true || self.numbers.contains(&1)
                } else {
                    self.has_unset || self.numbers.contains(&0)
                }
            }
            Cell::Int(number) => self.numbers.contains(number) || (self.has_unset && *number == 0),
            Cell::Float(value) => {
                self.floats.iter().any(|one| (one - value).abs() < 1e-9) || (self.has_unset && *value == 0.0)
            }
            Cell::Text(text) => self.texts.contains(&**text) || (self.has_unset && text.is_empty()),
            Cell::Ids(ids) if ids.is_empty() => self.has_unset,
            Cell::Ids(ids) => ids.iter().any(|id| self.numbers.contains(id)),
        }
    }
}

impl Condition {
    pub(super) fn new(
        store: &Store,
        env: &Environment,
        model: ModelId,
        path: &str,
        operator: &str,
        operand: &Value,
        invalid: &dyn Fn(&str) -> Trouble,
    ) -> Result<Self> {
        let unknown = || invalid(&format!("field {}.{path}", MODELS[model].name));
        let mut fields: Vec<(ModelId, Column)> = Vec::new();
        let mut at = Some(model);
        for name in path.split('.') {
            let on = at.ok_or_else(unknown)?;
            let column = MODELS[on].field(name).ok_or_else(unknown)?;
            at = column.1.relation();
            fields.push((on, column));
        }
        let (operator, is_negated) = match operator {
            "!=" | "<>" => ("=", true),
            other => match other.strip_prefix("not ") {
                Some(positive) => (positive, true),
                None => (other, false),
            },
        };
        let (_, (_, field)) = *fields.last().ok_or_else(unknown)?;
        let list = match operand {
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        let text = || match operand {
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(false) => String::new(),
            other => other.to_string(),
        };
        let like = |is_whole, ignores_case| {
            let pattern = if ignores_case { text().to_lowercase() } else { text() };
            Test::Like { pattern, is_whole, ignores_case }
        };
        let compared = |comparison| Ok(Test::Compared(comparison, Cell::from_json(model, field, operand)?));
        let test = match operator {
            "=" | "==" | "in" => Test::Among(Among::new(&list)),
            "=?" if !is_true(operand) => Test::Always,
            "=?" => Test::Among(Among::new(&list)),
            "<" => compared(Comparison::Less)?,
            "<=" => compared(Comparison::LessOrEqual)?,
            ">" => compared(Comparison::More)?,
            ">=" => compared(Comparison::MoreOrEqual)?,
            "like" => like(false, false),
            "ilike" => like(false, true),
            "=like" => like(true, false),
            "=ilike" => like(true, true),
            "any" => {
                let to = field.relation().ok_or_else(|| invalid("operator"))?;
                let domain = Domain::parse(store, env, to, operand)?;
                let rows = store.table(to).iter();
                let found = rows.filter(|(id, row)| domain.holds(store, *id, row)).map(|(id, _)| id);
                Test::Among(Among { numbers: found.collect(), ..Among::default() })
            }
            "child_of" | "parent_of" => {
                let on = field.relation().unwrap_or(model);
                let numbers = hierarchy(store, on, &list, operator == "child_of");
                Test::Among(Among { numbers, ..Among::default() })
            }
            _ => return Err(invalid("operator")),
        };
        Ok(Self { model, path: fields, test, is_negated })
    }

    pub(super) fn holds(&self, store: &Store, id: i64, row: &Row) -> bool {
        // SQL's NULL is neither more nor less than anything, and Odoo's "not" includes it.
        let (first, rest) = self.path.split_first().expect("a path has a field");
        let found = if rest.is_empty() && is_in_row(first.1) {
            self.test(store, first.1, row.get(first.1.0))
        } else {
            let cell = store.cell_of(self.model, id, row, first.1);
            self.walk(store, first.1, &cell, rest)
        };
        found != self.is_negated
    }

    fn walk(&self, store: &Store, column: Column, cell: &Cell, rest: &[(ModelId, Column)]) -> bool {
        let Some(((model, next), rest)) = rest.split_first() else {
            return self.test(store, column, cell);
        };
        cell.ids().iter().any(|id| self.walk(store, *next, &store.cell(*model, *id, *next), rest))
    }

    fn test(&self, store: &Store, (_, field): Column, cell: &Cell) -> bool {
        // A relation is compared with texts by the names of its records.
        let names = |test: &dyn Fn(&str) -> bool| match field.relation() {
            Some(model) => cell.ids().iter().any(|id| test(&store.display_name(model, *id))),
            None => match cell {
                Cell::Text(text) => test(text),
                Cell::Int(number) => test(&number.to_string()),
                _ => false,
            },
        };
        match &self.test {
            Test::Always => true,
            Test::Among(among) => {
                among.has(cell)
                    || (field.relation().is_some()
                        && !among.texts.is_empty()
                        && names(&|name| among.texts.contains(name)))
            }
            Test::Compared(comparison, to) => compare(cell, to, *comparison),
            Test::Like { pattern, is_whole, ignores_case } => names(&|text| {
                let lower;
                let text = if *ignores_case {
                    lower = text.to_lowercase();
                    &lower
                } else {
                    text
                };
                if *is_whole {
                    is_like(text, pattern)
                } else if pattern.contains(['%', '_']) {
                    is_like(text, &format!("%{pattern}%"))
                } else {
                    text.contains(pattern.as_str())
                }
            }),
        }
    }

    /// The only records that can meet it: those whose ids it lists.
    pub(super) fn candidates(&self) -> Option<Vec<i64>> {
        let [(_, (_, field))] = self.path.as_slice() else { return None };
        match &self.test {
            Test::Among(among) if field.place == Place::Id && !self.is_negated => {
                Some(among.numbers.iter().copied().collect())
            }
            _ => None,
        }
    }

    /// The texts of a condition that a field of this name is one of them.
    fn texts(&self, name: &str) -> Option<&HashSet<String>> {
        match (self.path.as_slice(), &self.test) {
            ([(DATA, (_, field))], Test::Among(among)) if field.name == name && !self.is_negated => {
                Some(&among.texts)
            }
            _ => None,
        }
    }
}

/// The rows of `ir.model.data` that a module and names lead to, without reading the whole table.
pub(super) fn by_external_id(store: &Store, parts: &[Domain]) -> Option<Vec<i64>> {
    let find = |name| {
        parts.iter().find_map(|part| match part {
            Domain::Condition(condition) => condition.texts(name),
            _ => None,
        })
    };
    let (modules, names) = (find("module")?, find("name")?);
    let all = modules.iter().flat_map(|module| names.iter().map(move |name| format!("{module}.{name}")));
    Some(all.filter_map(|name| store.data(&name)).collect())
}

fn is_in_row((_, field): Column) -> bool {
    field.place == Place::Stored && !matches!(field.kind, Kind::One2many(..))
}

fn compare(cell: &Cell, to: &Cell, comparison: Comparison) -> bool {
    #[allow(clippy::cast_precision_loss, reason = "what is compared with a float")]
    let float = |cell: &Cell| match cell {
        Cell::Int(value) => Some(*value as f64),
        Cell::Float(value) => Some(*value),
        _ => None,
    };
    let ordering = match (cell, to) {
        (Cell::Text(left), Cell::Text(right)) => Some(left.cmp(right)),
        (Cell::Int(left), Cell::Int(right)) => Some(left.cmp(right)),
        (Cell::Bool(left), Cell::Bool(right)) => Some(left.cmp(right)),
        (Cell::Unset, Cell::Int(_) | Cell::Float(_)) => Some(0.0_f64.total_cmp(&float(to).unwrap_or(0.0))),
        _ => float(cell).zip(float(to)).map(|(left, right)| left.total_cmp(&right)),
    };
    ordering.is_some_and(|ordering| match comparison {
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::More => ordering.is_gt(),
        Comparison::MoreOrEqual => ordering.is_ge(),
    })
}

/// The records below or above these, themselves included.
fn hierarchy(store: &Store, model: ModelId, roots: &[Value], below: bool) -> HashSet<i64> {
    let mut found: HashSet<i64> = roots.iter().filter_map(Value::as_i64).collect();
    for name in roots.iter().filter_map(Value::as_str) {
        let rows = store.table(model).iter();
        found.extend(rows.map(|(id, _)| id).filter(|id| store.display_name(model, *id) == name));
    }
    let Some((number, _)) = MODELS[model].field("parent_id") else { return found };
    loop {
        let known = found.len();
        for (id, row) in store.table(model).iter() {
            match row.get(number).as_int() {
                Some(parent) if below && found.contains(&parent) => drop(found.insert(id)),
                Some(parent) if !below && found.contains(&id) => drop(found.insert(parent)),
                _ => {}
            }
        }
        if found.len() == known {
            return found;
        }
    }
}

/// SQL's LIKE.
fn is_like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            Some(('_', rest)) => !text.is_empty() && matches(&text[1..], rest),
            Some((c, rest)) => text.first() == Some(c) && matches(&text[1..], rest),
        }
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    matches(&text, &pattern)
}
