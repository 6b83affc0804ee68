//! JSON-2: an address for each method, arguments by name, errors by status.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::args::Call;
use super::context::Context;
use super::refusal::Refusal;
use super::rpc::Reply;
use crate::error::Result;
use crate::http::{Answer, Base, Method, Nature, Request};
use crate::secret::Secret;

/// Who calls by JSON-2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) key: &'a Secret,
    pub(super) database: Option<&'a str>,
}

impl Key<'_> {
    fn add_to(self, request: Request) -> Request {
        let request = request
            .header("Accept", "application/json")
            .header("Authorization", format!("bearer {}", self.key.expose()));
        match self.database {
            Some(database) => request.header("X-Odoo-Database", database),
            None => request,
        }
    }
}

/// A call of a method. Sent with its length: the server takes a chunked body for an empty one.
pub(super) fn call(
    base: &Base,
    key: Key<'_>,
    (model, method): (&str, &str),
    call: Call<'_>,
    context: &Context,
    names: Option<&[String]>,
) -> Result<Request> {
    let request = Request::new(Method::POST, base.join(&format!("/json/2/{model}/{method}")));
    key.add_to(request).json(&call.as_object(context, names))
}

/// Reads an answer: a bare value, or an error by its status.
pub(super) fn read(answer: &Answer, request: &Request) -> Result<Reply> {
    if answer.is_success() {
        answer.json(request).map(Reply::Result)
    } else {
        Ok(Reply::Refusal(Refusal::of_answer(answer)))
    }
}

/// What the arguments of methods are called, where it is not what everybody calls them: a module that
/// overrides a method may rename them.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<(String, String), Vec<String>>>);

impl Names {
    pub(super) fn of(&self, model: &str, method: &str) -> Option<Vec<String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(model.to_owned(), method.to_owned())).cloned()
    }

    pub(super) fn learn(&self, model: &str, method: &str, names: Vec<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((model.to_owned(), method.to_owned()), names);
    }
}

/// Asks for the documentation of a model. Only users of a group of their own may read it.
pub(super) fn documentation(base: &Base, key: Key<'_>, model: &str) -> Request {
    let request = Request::new(Method::GET, base.join(&format!("/doc-bearer/{model}.json")));
    key.add_to(request).nature(Nature::Read).operation("find arguments").entity(model)
}

/// The names of a method's parameters, in their order.
pub(super) fn parameters(answer: &Answer, method: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Model {
        methods: HashMap<String, Documented>,
    }
    #[derive(Deserialize)]
    struct Documented {
        parameters: Keys,
    }
    if !answer.is_success() {
        return None;
    }
    let model: Model = serde_json::from_slice(answer.body()).ok()?;
    let Keys(mut names) = model.methods.into_iter().find(|(name, _)| name == method)?.1.parameters;
    names.retain(|name| name != "self");
    Some(names)
}

/// The keys of an object in their order, which a map would lose.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parameters by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Keys(names))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
