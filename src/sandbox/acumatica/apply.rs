//! Writing what was sent into a record: what is known is taken, what is not is ignored without a word.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::record::{Node, Store};
use super::schema::{Field, Kind, Rule, Shape};

/// What the server has against a record: where, and why.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<(Vec<Step>, String)>);

/// A step from the record to the field.
#[derive(Debug, Clone)]
enum Step {
    Name(&'static str),
    Index(usize),
}

impl Complaints {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, path: &[Step], name: &'static str, message: String) {
        let mut path = path.to_vec();
        path.push(Step::Name(name));
        self.0.push((path, message));
    }

    /// The body of the 422: the entity as sent, with an "error" beside each bad value and one on top.
    pub(super) fn into_body(self, sent: &Map<String, Value>, title: &str, is_new: bool) -> Value {
        let mut body = Value::Object(sent.clone());
        for (path, message) in self.0 {
            let mut at = &mut body;
            for step in path {
                at = match step {
                    Step::Name(name) => {
                        if !at.is_object() {
                            *at = json!({});
                        }
                        &mut at[name]
                    }
                    Step::Index(index) => {
                        let rows = match at {
                            Value::Array(rows) => rows,
                            other => {
                                *other = json!([]);
                                other.as_array_mut().expect("just made an array")
                            }
                        };
                        while rows.len() <= index {
                            rows.push(json!({}));
                        }
                        &mut rows[index]
                    }
                };
            }
            if !at.is_object() {
                *at = json!({});
            }
            at["error"] = message.into();
        }
        let doing = if is_new { "Inserting" } else { "Updating" };
        body["error"] =
            format!("{doing} '{title}' record raised at least one error. Please review the errors.").into();
        body
    }
}

/// Applies what was sent to a node and to everything below it.
#[derive(Debug)]
pub(super) struct Applying<'a> {
    pub(super) store: &'a Store,
    pub(super) complaints: Complaints,
    path: Vec<Step>,
}

impl<'a> Applying<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, complaints: Complaints::default(), path: Vec::new() }
    }

    pub(super) fn node(&mut self, node: &mut Node, shape: &'static Shape, sent: &Map<String, Value>) {
        for (name, value) in sent {
            if let Some(field) = shape.field(name) {
                // A read-only field is ignored with 200, as the guide says of all that cannot be set.
                if !field.is_read_only() {
                    self.field(node, field, value);
                }
            } else if let Some((name, part)) = shape.link(name) {
                if let (Some(linked), Value::Object(sent)) = (node.linked.get_mut(name), value) {
                    self.path.push(Step::Name(name));
                    self.node(linked, part, sent);
                    self.path.pop();
                }
            } else if let Some((name, part)) = shape.detail(name) {
                if let (Some(rows), Value::Array(sent)) = (node.details.get_mut(name), value) {
                    self.rows(rows, name, part, sent);
                }
            } else if name == "note" {
                node.note = unwrapped(value).and_then(Value::as_str).map(str::to_owned);
            } else if name == "custom" {
                custom(node, shape, value);
            }
            // Any other name is ignored with 200: a misspelt field is not an error (recorded traffic 2023).
        }
        for field in shape.fields {
            self.check(node, field);
        }
    }

    /// No id: added. An id: updated, or removed with `"delete": true` (Integration Development Guide 2026 R1).
    fn rows(&mut self, rows: &mut Vec<Node>, name: &'static str, shape: &'static Shape, sent: &[Value]) {
        for (index, row) in sent.iter().enumerate() {
            let Value::Object(row) = row else { continue };
            self.path.push(Step::Name(name));
            self.path.push(Step::Index(index));
            let id =
                row.get("id").and_then(|id| unwrapped(id)?.as_str()).and_then(|id| Uuid::parse_str(id).ok());
            let place = id.and_then(|id| rows.iter().position(|row| row.id == id));
            match place {
                Some(place) if row.get("delete") == Some(&Value::Bool(true)) => drop(rows.remove(place)),
                Some(place) => self.node(&mut rows[place], shape, row),
                None => {
                    let mut added = Node::new(shape);
                    self.node(&mut added, shape, row);
                    rows.push(added);
                }
            }
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn field(&mut self, node: &mut Node, field: &'static Field, sent: &Value) {
        let Some(value) = unwrapped(sent) else { return };
        match typed(value, field.kind) {
            Ok(Value::Null) => drop(node.values.remove(field.name)),
            Ok(value) => drop(node.values.insert(field.name, value)),
            Err(message) => self.complaints.add(&self.path, field.name, message),
        }
    }

    fn check(&mut self, node: &Node, field: &'static Field) {
        let text = node.text(field.name);
        let is_empty = text.trim().is_empty();
        for rule in field.rules {
            let wrong = match *rule {
                Rule::Required => is_empty.then(|| format!("'{}' cannot be empty.", field.name)),
                Rule::MaxLength(most) => (text.chars().count() > most)
                    .then(|| format!("The value of {} is longer than {most} characters.", field.name)),
                Rule::Between(least, most) => {
                    let number = node.number(field.name);
                    (!is_empty && !(least..=most).contains(&number))
                        .then(|| format!("The value of {} must be between {least} and {most}.", field.name))
                }
                Rule::KeyOf(entity) => (!is_empty && !self.store.has(entity, &text))
                    .then(|| format!("{} '{text}' cannot be found in the system.", field.name)),
                Rule::TimeZone => (!is_empty && !is_time_zone(&text))
                    .then(|| format!("{} '{text}' cannot be found in the system.", field.name)),
                Rule::ReadOnly => None,
            };
            if let Some(wrong) = wrong {
                // One complaint a field: the first rule that is broken.
                self.complaints.add(&self.path, field.name, wrong);
                break;
            }
        }
    }
}

/// The value in its envelope; a bare value is taken too, a missing one is not.
fn unwrapped(sent: &Value) -> Option<&Value> {
    match sent {
        Value::Object(envelope) => envelope.get("value"),
        bare => Some(bare),
    }
}

/// A value sent for a key.
pub(super) fn key_text(sent: Option<&Value>) -> Option<String> {
    match unwrapped(sent?)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn typed(value: &Value, kind: Kind) -> Result<Value, String> {
    let text = match value {
        Value::Null => return Ok(Value::Null),
        Value::String(text) => Some(text.trim()),
        _ => None,
    };
    if text == Some("") && !matches!(kind, Kind::Text | Kind::Choice(_)) {
        return Ok(Value::Null);
    }
    let wrong = || {
        format!("The value '{}' cannot be converted.", text.map_or_else(|| value.to_string(), str::to_owned))
    };
    match kind {
        Kind::Text => match value {
            Value::String(text) => Ok(Value::from(text.as_str())),
            Value::Number(_) | Value::Bool(_) => Ok(Value::from(value.to_string())),
            _ => Err(wrong()),
        },
        Kind::Choice(choices) => {
            // Contract 5 sends a drop-down as {"id", "description"}.
            let text = text.or_else(|| value.get("id")?.as_str()).ok_or_else(wrong)?;
            let choice = choices.iter().find(|choice| choice.eq_ignore_ascii_case(text));
            choice.map(|choice| Value::from(*choice)).ok_or_else(|| {
                format!("The list value '{text}' is not allowed. Possible values: {}.", choices.join(", "))
            })
        }
        Kind::Decimal => match text {
            Some(text) => {
                text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from).ok_or_else(wrong)
            }
            None => value.as_f64().map(Value::from).ok_or_else(wrong),
        },
        Kind::Int => match text {
            Some(text) => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
            None => value.as_i64().map(Value::from).ok_or_else(wrong),
        },
        Kind::Bool => match (value, text.map(str::to_lowercase).as_deref()) {
            (Value::Bool(is), _) => Ok(Value::from(*is)),
            (_, Some("true" | "1")) => Ok(Value::from(true)),
            (_, Some("false" | "0")) => Ok(Value::from(false)),
            _ => Err(wrong()),
        },
        Kind::Date => {
            text.filter(|text| super::date::parse(text).is_some()).map(Value::from).ok_or_else(wrong)
        }
    }
}

fn custom(node: &mut Node, shape: &'static Shape, sent: &Value) {
    for (view, field, _) in shape.custom {
        if let Some(value) = sent.get(view).and_then(|view| view.get(field)).and_then(unwrapped) {
            node.custom.insert((view, field), value.clone());
        }
    }
}

/// An IANA name, `UTC`, or one of Acumatica's own, such as `GMTM0800A`.
fn is_time_zone(name: &str) -> bool {
    let own =
        name.len() == 9 && (name.starts_with("GMTM") || name.starts_with("GMTP") || name.starts_with("GMTE"));
    let iana = name.split_once('/').is_some_and(|(area, place)| {
        let of_letters = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphabetic() || "_-+/".contains(c))
        };
        of_letters(area) && of_letters(place)
    });
    own || iana || name == "UTC"
}
