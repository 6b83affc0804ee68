//! Writing records in the envelope: `{"Field": {"value": ..}}`, empty as `{}`.

use serde_json::{Map, Value, json};

use super::options::{Dialect, Options};
use super::record::{Node, Record};
use super::schema::{EntityShape, Kind, Shape};

/// Which fields of the record itself an answer holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Show<'a> {
    /// All, or those in `$select`.
    Asked,
    /// The keys, those that were sent, and those in `$select`: the answer to a PUT.
    Sent(&'a Map<String, Value>),
    /// All, with all nested parts: for the eyes of tests.
    Everything,
}

/// Where the endpoint is, for links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// With base path, such as `/Inst/entity/Default/24.200.001`.
    pub(super) endpoint: &'a str,
    pub(super) dialect: Dialect,
}

/// Writes a top-level record.
pub(super) fn record(
    record: &Record,
    entity: &EntityShape,
    options: &Options,
    show: Show<'_>,
    place: Place<'_>,
) -> Value {
    let writer = Writer { options, everything: matches!(show, Show::Everything), dialect: place.dialect };
    let wanted = |name: &str| match show {
        Show::Asked => {
            options.select.is_empty() || options.select.iter().any(|path| path == "*" || path == name)
        }
        Show::Sent(sent) => {
            sent.contains_key(name)
                || entity.keys.contains(&name)
                || options.select.iter().any(|path| path == name)
        }
        Show::Everything => true,
    };
    let mut out = writer.node(&record.node, entity.shape, "", 1, &wanted);
    let id = record.node.id;
    let Place { endpoint, .. } = place;
    if writer.everything || options.expands("files") {
        let keys: Vec<String> = entity.keys.iter().map(|key| record.node.text(key)).collect();
        let files = record.files.iter().map(|file| {
            json!({
                "id": file.id,
                "filename": format!("{} ({})\\{}", entity.title, keys.join(", "), file.name),
                "href": format!("{endpoint}/files/{}", file.id),
                "comment": file.comment,
            })
        });
        out.insert("files".into(), files.collect());
    }
    let screen = entity.screen;
    out.insert(
        "_links".into(),
        json!({
            "self": format!("{endpoint}/{}/{id}", entity.name()),
            "files:put": format!("{endpoint}/files/PX.Objects.{screen}/{}/{id}/{{filename}}", entity.name()),
        }),
    );
    Value::Object(out)
}

struct Writer<'a> {
    options: &'a Options,
    everything: bool,
    dialect: Dialect,
}

impl Writer<'_> {
    fn node(
        &self,
        node: &Node,
        shape: &'static Shape,
        path: &str,
        row: usize,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        out.insert("id".into(), Value::from(&*node.id.hyphenated().encode_lower(&mut id)));
        out.insert("rowNumber".into(), row.into());
        out.insert("note".into(), node.note.as_ref().map_or(Value::Null, |note| json!({"value": note})));
        for field in shape.fields.iter().filter(|field| wanted(field.name)) {
            out.insert(field.name.into(), self.value(node.values.get(field.name), field.kind));
        }
        out.insert("custom".into(), self.custom(node, shape));
        for (name, part) in shape.linked {
            let path = join(path, name);
            if self.shows(&path)
                && let Some(linked) = node.linked.get(name)
            {
                let linked = self.node(linked, part, &path, 1, &|field| self.selects(&path, field));
                out.insert((*name).into(), Value::Object(linked));
            }
        }
        for (name, part) in shape.details {
            let path = join(path, name);
            if self.shows(&path) {
                let rows = node.details.get(name).into_iter().flatten().enumerate().map(|(i, row)| {
                    Value::Object(self.node(row, part, &path, i + 1, &|field| self.selects(&path, field)))
                });
                out.insert((*name).into(), rows.collect());
            }
        }
        out
    }

    fn shows(&self, path: &str) -> bool {
        self.everything || self.options.expands(path)
    }

    /// Whether a field of a nested part is asked for: all are, unless `$select` names some of that part.
    fn selects(&self, path: &str, field: &str) -> bool {
        let mut of_part = self
            .options
            .select
            .iter()
            .filter_map(|asked| asked.strip_prefix(path)?.strip_prefix('/'))
            .peekable();
        of_part.peek().is_none() || of_part.any(|name| name == field)
    }

    fn value(&self, value: Option<&Value>, kind: Kind) -> Value {
        match (value, kind) {
            (None | Some(Value::Null), _) => json!({}),
            (Some(Value::String(text)), Kind::Choice(_)) if self.dialect == Dialect::Five => {
                json!({"value": {"id": text, "description": text}})
            }
            (Some(value), _) => {
                let mut out = Map::new();
                out.insert("value".into(), value.clone());
                Value::Object(out)
            }
        }
    }

    fn custom(&self, node: &Node, shape: &Shape) -> Value {
        let mut views = Map::new();
        for (view, field, kind) in shape.custom {
            let asked = self.options.custom.iter().any(|name| name.split_once('.') == Some((view, field)));
            if !asked && !self.everything {
                continue;
            }
            let value = match node.custom.get(&(*view, *field)) {
                Some(value) => json!({"type": kind, "value": value}),
                None => json!({"type": kind}),
            };
            let entry = views.entry(*view).or_insert_with(|| json!({}));
            entry[*field] = value;
        }
        Value::Object(views)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
