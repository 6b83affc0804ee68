//! The methods that can be called, their parameters, and how a call's arguments find them.

use serde_json::{Map, Value};

use super::python::quoted;
use super::trouble::{Result, Trouble};

/// A method of a model.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    /// Whether it is one of the model, and not of records: it takes no ids.
    pub(super) is_of_model: bool,
    pub(super) parameters: &'static [Parameter],
    /// The versions that have it.
    since: u8,
    until: u8,
    /// The only model that has it.
    pub(super) model: Option<&'static str>,
}

/// A parameter, and the Python text of its default.
pub(super) type Parameter = (&'static str, Option<&'static str>);

const fn of_model(name: &'static str, parameters: &'static [Parameter]) -> Method {
    Method { name, is_of_model: true, parameters, since: 0, until: u8::MAX, model: None }
}

const fn of_records(name: &'static str, parameters: &'static [Parameter]) -> Method {
    Method { name, is_of_model: false, parameters, since: 0, until: u8::MAX, model: None }
}

const PAGE: &[Parameter] =
    &[("domain", None), ("offset", Some("0")), ("limit", Some("None")), ("order", Some("None"))];

static METHODS: &[Method] = &[
    of_model("create", &[("vals_list", None)]),
    of_records("write", &[("vals", None)]),
    of_records("unlink", &[]),
    of_records("read", &[("fields", Some("None")), ("load", Some("'_classic_read'"))]),
    of_model("search", PAGE),
    of_model("search_count", &[("domain", None), ("limit", Some("None"))]),
    of_model(
        "search_read",
        &[
            ("domain", Some("None")),
            ("fields", Some("None")),
            ("offset", Some("0")),
            ("limit", Some("None")),
            ("order", Some("None")),
        ],
    ),
    of_model("load", &[("fields", None), ("data", None)]),
    of_model("name_create", &[("name", None)]),
    Method {
        since: 18,
        ..of_model(
            "name_search",
            &[
                ("name", Some("''")),
                ("domain", Some("None")),
                ("operator", Some("'ilike'")),
                ("limit", Some("100")),
            ],
        )
    },
    Method {
        until: 17,
        ..of_model(
            "name_search",
            &[
                ("name", Some("''")),
                ("args", Some("None")),
                ("operator", Some("'ilike'")),
                ("limit", Some("100")),
            ],
        )
    },
    of_model("fields_get", &[("allfields", Some("None")), ("attributes", Some("None"))]),
    of_model("default_get", &[("fields", None)]),
    of_model("check_access_rights", &[("operation", None), ("raise_exception", Some("True"))]),
    of_records("exists", &[]),
    of_records("get_external_id", &[]),
    of_records("action_archive", &[]),
    of_records("action_unarchive", &[]),
    of_records("onchange_parent_id", &[]),
    Method { since: 18, ..of_records("has_access", &[("operation", None)]) },
    Method { until: 17, ..of_records("name_get", &[]) },
    Method { since: 19, ..of_records("web_save_multi", &[("vals_list", None), ("specification", None)]) },
    Method { model: Some("res.users"), ..of_model("context_get", &[]) },
    Method {
        model: Some("ir.model.data"),
        ..of_model(
            "check_object_reference",
            &[("module", None), ("xml_id", None), ("raise_on_access_error", Some("False"))],
        )
    },
];

/// The methods of a model in a version.
pub(super) fn methods(model: &str, version: u8) -> impl Iterator<Item = &'static Method> {
    METHODS.iter().filter(move |method| {
        (method.since..=method.until).contains(&version) && method.model.is_none_or(|only| only == model)
    })
}

/// The method of this name.
pub(super) fn method(model: &str, name: &str, version: u8) -> Result<&'static Method> {
    // One that became private in version 18 exists, too.
    if name.starts_with('_') || (name == "check_access" && version >= 18) {
        return Err(Trouble::access(match version {
            17 => format!("Private methods (such as {name}) cannot be called remotely."),
            _ => format!("Private methods (such as '{model}.{name}') cannot be called remotely."),
        }));
    }
    methods(model, version).find(|method| method.name == name).ok_or_else(|| {
        Trouble::attribute(match version {
            17 => format!("type object {} has no attribute {}", quoted(model), quoted(name)),
            _ => format!("The method '{model}.{name}' does not exist"),
        })
    })
}

/// The arguments of a call, each at its parameter.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) method: &'static Method,
    pub(super) ids: Vec<i64>,
    given: Vec<Option<Value>>,
    pub(super) context: Map<String, Value>,
}

impl Arguments {
    /// Those of `execute_kw` and `call_kw`: by position, then by name.
    pub(super) fn positional(
        method: &'static Method,
        args: Vec<Value>,
        mut kwargs: Map<String, Value>,
    ) -> Result<Self> {
        let context = context(&mut kwargs)?;
        let mut args = args.into_iter();
        let ids = if method.is_of_model {
            if method.name == "create" && args.len() == 0 {
                // The server looks at the first argument before anything else.
                return Err(Trouble::index("list index out of range"));
            }
            Vec::new()
        } else {
            // Over these wires the ids are the first argument, and there may be none.
            args.next().map(|ids| self::ids(&ids)).unwrap_or_default()
        };
        let mut given: Vec<Option<Value>> = vec![None; method.parameters.len()];
        let sent = args.len();
        if sent > given.len() {
            let most = given.len() + 1;
            let takes = match method.parameters.iter().filter(|(_, default)| default.is_some()).count() {
                0 => most.to_string(),
                optional => format!("from {} to {most}", most - optional),
            };
            return Err(Trouble::kind(format!(
                "{}() takes {takes} positional arguments but {} were given",
                method.name,
                sent + 1
            )));
        }
        for (place, value) in given.iter_mut().zip(args) {
            *place = Some(value);
        }
        for (name, value) in kwargs {
            let Some(at) = method.parameters.iter().position(|(known, _)| *known == name) else {
                return Err(Trouble::kind(format!(
                    "{}() got an unexpected keyword argument {}",
                    method.name,
                    quoted(&name)
                )));
            };
            if given[at].replace(value).is_some() {
                return Err(Trouble::kind(format!(
                    "{}() got multiple values for argument {}",
                    method.name,
                    quoted(&name)
                )));
            }
        }
        let missing: Vec<&str> = required(method, &given).collect();
        if let [only] = missing.as_slice() {
            return Err(Trouble::kind(format!(
                "{}() missing 1 required positional argument: '{only}'",
                method.name
            )));
        } else if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| format!("'{name}'")).collect();
            return Err(Trouble::kind(format!(
                "{}() missing {} required positional arguments: {}",
                method.name,
                names.len(),
                names.join(" and ")
            )));
        }
        Ok(Self { method, ids, given, context })
    }

    /// Those of JSON-2: all by name.
    pub(super) fn named(model: &str, method: &'static Method, mut body: Map<String, Value>) -> Result<Self> {
        let context = context(&mut body)?;
        let ids = body.remove("ids").map(|ids| self::ids(&ids)).unwrap_or_default();
        if method.is_of_model && !ids.is_empty() {
            return Err(Trouble::http(422, format!("cannot call {model}.{} with ids", method.name)));
        }
        let mut given: Vec<Option<Value>> = vec![None; method.parameters.len()];
        let mut unexpected = None;
        for (name, value) in body {
            match method.parameters.iter().position(|(known, _)| *known == name) {
                Some(at) => given[at] = Some(value),
                None => unexpected = unexpected.or(Some(name)),
            }
        }
        if let Some(missing) = required(method, &given).next() {
            return Err(Trouble::http(422, format!("missing a required argument: '{missing}'")));
        }
        if let Some(name) = unexpected {
            return Err(Trouble::http(422, format!("got an unexpected keyword argument {}", quoted(&name))));
        }
        Ok(Self { method, ids, given, context })
    }

    /// What was given for a parameter, `null` too.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        let at = self.method.parameters.iter().position(|(known, _)| *known == name)?;
        self.given[at].as_ref()
    }

    /// What was given for a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.given(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of a list.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// How many rows the call works on: what the cost of it depends on.
    pub(super) fn rows(&self) -> usize {
        let length = |name| self.get(name).map_or(0, |value| value.as_array().map_or(1, Vec::len));
        match self.method.name {
            "create" => length("vals_list"),
            "load" => length("data"),
            "name_create" => 1,
            "write" | "unlink" | "web_save_multi" => self.ids.len(),
            _ => 0,
        }
    }
}

fn context(arguments: &mut Map<String, Value>) -> Result<Map<String, Value>> {
    match arguments.remove("context") {
        Some(Value::Object(context)) => Ok(context),
        None | Some(Value::Null | Value::Bool(false)) => Ok(Map::new()),
        Some(other) => Err(Trouble::kind(format!(
            "'{}' object is not a mapping",
            if other.is_array() { "list" } else { "str" }
        ))),
    }
}

fn required<'a>(
    method: &'static Method,
    given: &'a [Option<Value>],
) -> impl Iterator<Item = &'static str> + use<'a> {
    let parameters = method.parameters.iter().zip(given);
    parameters
        .filter(|((_, default), value)| default.is_none() && value.is_none())
        .map(|((name, _), _)| *name)
}

/// Ids as they were sent; a text is no id, and nothing is said of it.
fn ids(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(ids) => ids.iter().filter_map(Value::as_i64).collect(),
        one => one.as_i64().into_iter().collect(),
    }
}
