//! `swagger.json`: the endpoint as OpenAPI 3, with the names that code generators key on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::envelope::Place;
use super::inquiry::on_the_endpoint;
use super::schema::{ENTITIES, EntityShape, Shape};
use crate::sandbox::http::Response;

pub(super) fn describe(place: Place<'_>) -> Response {
    let mut paths = Map::new();
    let mut models = Models::default();
    let mut tags = Vec::new();
    for entity in &ENTITIES {
        tags.push(
            json!({"name": entity.name(), "description": format!("{} ({})", entity.title, entity.screen)}),
        );
        models.shape(entity.shape);
        operations(&mut paths, &mut models, entity);
    }
    for (inquiry, name, rows, title) in on_the_endpoint() {
        tags.push(json!({"name": name, "description": title}));
        let operation =
            operation(name, "PutEntity", "Runs the inquiry.", Some(name), Some(reference(name)), "200");
        paths.insert(format!("/{name}"), json!({"put": operation}));
        paths.insert(
            format!("/{name}/$adHocSchema"),
            json!({"get": self::operation(name, "GetAdHocSchema", "Describes it.", None, Some(reference(name)), "200")}),
        );
        let row = format!("{name}{rows}");
        models.inquiry(&row, inquiry.fields);
        models.insert(name, &json!({rows: {"type": "array", "items": reference(&row)}}));
    }
    models.wrappers();
    let server = json!({"url": format!("{}/", place.endpoint)});
    Response::json(
        200,
        &json!({
            "openapi": "3.0.1",
            "info": {"title": "Default", "version": place.endpoint.rsplit('/').next(), "description": "A stand-in."},
            "servers": [server],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": models.0,
                "parameters": {
                    "id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                    "filter": {"name": "$filter", "in": "query", "schema": {"type": "string"}},
                    "expand": {"name": "$expand", "in": "query", "schema": {"type": "string"}},
                    "select": {"name": "$select", "in": "query", "schema": {"type": "string"}},
                    "custom": {"name": "$custom", "in": "query", "schema": {"type": "string"}},
                    "skip": {"name": "$skip", "in": "query", "schema": {"type": "integer"}},
                    "top": {"name": "$top", "in": "query", "schema": {"type": "integer"}},
                    "ids": {"name": "ids", "in": "path", "required": true, "schema": {"type": "array", "items": {"type": "string"}}},
                    "filename": {"name": "filename", "in": "path", "required": true, "schema": {"type": "string"}},
                },
            },
        }),
    )
}

fn operations(paths: &mut Map<String, Value>, models: &mut Models, entity: &EntityShape) {
    let name = entity.name();
    let one = || Some(reference(name));
    let many = Some(json!({"type": "array", "items": reference(name)}));
    let op = |what: &str, summary: &str, takes: Option<&str>, gives: Option<Value>, status: &str| {
        operation(name, what, summary, takes, gives, status)
    };
    paths.insert(
        format!("/{name}"),
        json!({
            "get": op("GetList", "Retrieves records that satisfy the conditions.", None, many, "200"),
            "put": op("PutEntity", "Creates a record or updates an existing one.", Some(name), one(), "200"),
        }),
    );
    paths.insert(
        format!("/{name}/{{id}}"),
        json!({
            "get": with_id(op("GetById", "Retrieves a record by its id.", None, one(), "200")),
            "delete": with_id(op("DeleteById", "Deletes the record by its id.", None, None, "204")),
        }),
    );
    paths.insert(
        format!("/{name}/{{ids}}"),
        json!({
            "get": op("GetByKeys", "Retrieves a record by the values of its key fields.", None, one(), "200"),
            "delete": op("DeleteByKeys", "Deletes the record by the values of its key fields.", None, None, "204"),
        }),
    );
    paths.insert(
        format!("/{name}/{{ids}}/files/{{filename}}"),
        json!({"put": op("PutFile", "Attaches a file to a record.", None, None, "204")}),
    );
    paths.insert(
        format!("/{name}/$adHocSchema"),
        json!({"get": op("GetAdHocSchema", "Retrieves the schema of custom fields.", None, one(), "200")}),
    );
    for action in entity.actions {
        let takes = action.name;
        paths.insert(
            format!("/{name}/{takes}"),
            json!({"post": op(&format!("InvokeAction_{takes}"), "Runs an action.", Some(takes), None, "204")}),
        );
        let mut properties = json!({"entity": reference(name)});
        if !action.parameters.is_empty() {
            let fields: Map<String, Value> = action
                .parameters
                .iter()
                .map(|field| ((*field).to_owned(), reference("StringValue")))
                .collect();
            properties["parameters"] = json!({"type": "object", "properties": fields});
        }
        let model = json!({"required": ["entity"], "type": "object", "properties": properties});
        models.0.insert(takes.into(), model);
    }
}

fn operation(
    tag: &str,
    what: &str,
    summary: &str,
    takes: Option<&str>,
    gives: Option<Value>,
    status: &str,
) -> Value {
    let mut operation = json!({
        "tags": [tag], "operationId": format!("{tag}_{what}"), "summary": summary,
        "parameters": [], "responses": {status: {"description": "Successful request."}},
    });
    if let Some(model) = takes {
        operation["requestBody"] =
            json!({"content": {"application/json": {"schema": reference(model)}}, "required": true});
    }
    if let Some(schema) = gives {
        operation["responses"][status]["content"] = json!({"application/json": {"schema": schema}});
        let names = if what == "GetList" {
            &["select", "filter", "expand", "custom", "skip", "top"][..]
        } else {
            &["select", "expand", "custom"]
        };
        operation["parameters"] =
            names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    }
    operation
}

fn with_id(mut operation: Value) -> Value {
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.push(json!({"$ref": "#/components/parameters/id"}));
    }
    operation
}

fn reference(model: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{model}")})
}

#[derive(Default)]
struct Models(BTreeMap<String, Value>);

impl Models {
    fn shape(&mut self, shape: &Shape) {
        if self.0.contains_key(shape.name) {
            return;
        }
        let mut properties = Map::new();
        for field in shape.fields {
            properties.insert(field.name.into(), reference(field.kind.wrapper()));
        }
        for (name, part) in shape.linked {
            properties.insert((*name).into(), reference(part.name));
        }
        for (name, part) in shape.details {
            properties.insert((*name).into(), json!({"type": "array", "items": reference(part.name)}));
        }
        self.insert(shape.name, &Value::Object(properties));
        for (_, part) in shape.linked.iter().chain(shape.details) {
            self.shape(part);
        }
    }

    fn inquiry(&mut self, name: &str, fields: &[&str]) {
        let properties: Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), reference("StringValue"))).collect();
        self.insert(name, &Value::Object(properties));
    }

    fn insert(&mut self, name: &str, properties: &Value) {
        let model = json!({"allOf": [reference("Entity"), {"type": "object", "properties": properties}]});
        self.0.insert(name.into(), model);
    }

    fn wrappers(&mut self) {
        let wrappers = [
            ("StringValue", json!({"type": "string"})),
            ("DecimalValue", json!({"type": "number", "format": "double"})),
            ("IntValue", json!({"type": "integer", "format": "int32"})),
            ("BooleanValue", json!({"type": "boolean"})),
            ("DateTimeValue", json!({"type": "string", "format": "date-time"})),
            ("GuidValue", json!({"type": "string", "format": "uuid"})),
        ];
        for (name, value) in wrappers {
            let model =
                json!({"type": "object", "properties": {"value": value, "error": {"type": "string"}}});
            self.0.insert(name.into(), model);
        }
        let entity = json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "rowNumber": {"type": "integer", "format": "int64"},
                "note": {"type": "string"},
                "custom": {"type": "object", "additionalProperties": {"type": "object"}},
                "error": {"type": "string", "readOnly": true},
                "files": {"type": "array", "items": reference("FileLink")},
            },
        });
        self.0.insert("Entity".into(), entity);
        let file = json!({
            "type": "object",
            "properties": {
                "id": {"type": "string"}, "filename": {"type": "string"},
                "href": {"type": "string"}, "comment": {"type": "string"},
            },
        });
        self.0.insert("FileLink".into(), file);
    }
}
