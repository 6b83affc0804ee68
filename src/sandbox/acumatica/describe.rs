//! What the server says of itself: endpoints and custom fields.

use serde_json::{Map, Value, json};

use super::schema::{EntityShape, Shape};
use super::site::{Site, VERSIONS};
use crate::sandbox::http::Response;

impl Site {
    /// `GET /entity`, which works without a session too.
    pub(super) fn endpoints(&self) -> Response {
        let base = &self.settings.base_path;
        let endpoint = |name: &str, version: &str| json!({"name": name, "version": version, "href": format!("{base}/entity/{name}/{version}/")});
        // In no order, as seen: the highest version is the client's to find.
        let mut endpoints: Vec<Value> =
            VERSIONS.iter().map(|(version, _)| endpoint("Default", version)).collect();
        endpoints.rotate_left(1);
        Response::json(
            200,
            &json!({
                "version": {"acumaticaBuildVersion": "26.200.0042", "databaseVersion": "26.200.0042"},
                "endpoints": endpoints,
            }),
        )
    }
}

/// `GET .../$adHocSchema`: an example of the entity with the types of its custom fields.
pub(super) fn ad_hoc_schema(entity: &EntityShape) -> Response {
    Response::json(200, &Value::Object(example(entity.shape)))
}

fn example(shape: &Shape) -> Map<String, Value> {
    let mut out = Map::new();
    for field in shape.fields {
        out.insert(field.name.into(), json!({}));
    }
    for (name, part) in shape.linked {
        out.insert((*name).into(), Value::Object(example(part)));
    }
    for (name, part) in shape.details {
        out.insert((*name).into(), Value::Array(vec![Value::Object(example(part))]));
    }
    let mut custom = Map::new();
    for (view, field, kind) in shape.custom {
        custom.entry(*view).or_insert_with(|| json!({}))[*field] = json!({"type": kind});
    }
    out.insert("custom".into(), Value::Object(custom));
    out
}
