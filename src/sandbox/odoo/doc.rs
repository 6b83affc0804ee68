//! The description of models: fields, methods, and the names of parameters in their order.

use std::fmt::Write;

use serde_json::Value;

use super::method::{Method, methods};
use super::models::MODELS;
use super::schema;
use super::site::model_names;

/// The file of a model, or `index`. It is written by hand: the order of parameters matters to clients that
/// call by position.
pub(super) fn describe(name: &str, version: u8) -> Option<String> {
    if name == "index" {
        return Some(index(version));
    }
    let model = &MODELS[schema::model(name)?];
    let methods: Vec<String> = methods(name, version).map(|one| method(one, name)).collect();
    Some(format!(
        "{{\"model\":{},\"name\":{},\"doc\":null,\"fields\":{},\"methods\":{{{}}}}}",
        quoted(name),
        quoted(model.title),
        model.fields_get(&[], &[]),
        methods.join(",")
    ))
}

fn method(method: &Method, model: &str) -> String {
    let mut parameters = String::new();
    let mut signature = String::new();
    for (name, default) in method.parameters {
        if !parameters.is_empty() {
            parameters.push(',');
            signature.push_str(", ");
        }
        let about = match default {
            Some(default) => format!("{{\"default\":{}}}", quoted(default)),
            None => "{}".to_owned(),
        };
        // A String takes what is written.
        let _ = write!(parameters, "{}:{about}", quoted(name));
        signature.push_str(name);
        if let Some(default) = default {
            let _ = write!(signature, "={default}");
        }
    }
    let api = if method.is_of_model { "[\"model\"]" } else { "[]" };
    format!(
        "{}:{{\"model\":{},\"module\":\"base\",\"parameters\":{{{parameters}}},\"signature\":{},\"api\":{api},\
         \"doc\":null,\"return\":{{}},\"raise\":{{}}}}",
        quoted(method.name),
        quoted(model),
        quoted(&format!("({signature})"))
    )
}

fn index(version: u8) -> String {
    let models: Vec<String> = model_names()
        .map(|(name, title)| {
            let fields: Vec<String> = MODELS[schema::model(name).unwrap_or_default()]
                .columns()
                .map(|(_, field)| format!("{}:{{\"string\":{}}}", quoted(field.name), quoted(field.label)))
                .collect();
            let methods: Vec<String> = methods(name, version).map(|method| quoted(method.name)).collect();
            format!(
                "{{\"model\":{},\"name\":{},\"fields\":{{{}}},\"methods\":[{}]}}",
                quoted(name),
                quoted(title),
                fields.join(","),
                methods.join(",")
            )
        })
        .collect();
    format!("{{\"modules\":[\"base\",\"product\"],\"models\":[{}]}}", models.join(","))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
