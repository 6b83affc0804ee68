//! A call of a method: in a transaction, which the server tries again where it met another one.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::create::{Values, create};
use super::environment::{Environment, Operation};
use super::load::load;
use super::method::Arguments;
use super::models::MODELS;
use super::python::is_true;
use super::read::Reading;
use super::schema::{ModelId, Preset};
use super::search::{Page, count, search};
use super::site::Site;
use super::store::Store;
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use super::unlink::unlink;
use super::write::write;
use crate::sandbox::faults::Fault;
use crate::sandbox::server::Exchange;

/// What a method returns.
#[derive(Debug)]
pub(super) enum Returned {
    Value(Value),
    /// One record where one was given, which JSON-2 shows as a list all the same.
    Record(i64),
    /// Python's `None`.
    Nothing,
}

/// How often the server tries before it gives up.
const TRIES: u32 = 5;

impl Site {
    /// Calls a method, in a transaction of its own.
    pub(super) fn call(
        &self,
        exchange: &Exchange<'_>,
        env: &Environment,
        model: ModelId,
        arguments: &Arguments,
        session: u64,
    ) -> Result<Returned> {
        let _worker = self.workers.take(exchange.stop);
        let mut conflicts = match exchange.fault {
            Some(Fault::SerializationFailure(times)) => times,
            _ => 0,
        };
        for attempt in 1.. {
            let snapshot = self.read().stamp;
            let rows = u32::try_from(arguments.rows()).unwrap_or(u32::MAX);
            let time = self.settings.latency + self.settings.row_cost * rows;
            if !time.is_zero() {
                exchange.stop.sleep(time);
            }
            if exchange.stop.is_stopped() {
                // A killed server applies nothing more; nobody reads this answer.
                return Err(Trouble::serialization());
            }
            let result = if is_reading(arguments.method.name) {
                let store = self.read();
                env.check(&store).and_then(|()| look(&store, env, model, arguments))
            } else if conflicts > 0 && arguments.method.name != "load" {
                conflicts -= 1;
                Err(Trouble::serialization())
            } else {
                self.transact(exchange, env, model, arguments, (snapshot, session, conflicts > 0))
            };
            match result {
                Err(trouble) if trouble.is_serialization() && attempt < TRIES => {
                    let most = self.settings.retry_pause * 2_u32.pow(attempt);
                    exchange.stop.sleep(most.mul_f64(fastrand::f64()));
                }
                result => return result,
            }
        }
        unreachable!("the last try returns")
    }

    fn transact(
        &self,
        exchange: &Exchange<'_>,
        env: &Environment,
        model: ModelId,
        arguments: &Arguments,
        (snapshot, session, conflicts): (u64, u64, bool),
    ) -> Result<Returned> {
        let mut store = self.write();
        env.check(&store)?;
        let mut tx = Transaction::new(&mut store, env, snapshot);
        tx.conflicts = conflicts;
        match change(&mut tx, model, arguments) {
            Ok(returned) => {
                let effects = tx.commit(session, exchange.number);
                // Under the lock: effects are recorded in the order in which they happened.
                if !effects.is_empty() {
                    self.recorder.effects(effects.into_iter());
                }
                Ok(returned)
            }
            Err(trouble) => {
                tx.rollback();
                Err(trouble)
            }
        }
    }
}

fn is_reading(method: &str) -> bool {
    !matches!(
        method,
        "create"
            | "write"
            | "unlink"
            | "load"
            | "name_create"
            | "web_save_multi"
            | "action_archive"
            | "action_unarchive"
    )
}

fn values(value: &Value) -> Result<&Values> {
    value.as_object().ok_or_else(|| {
        let kind = match value {
            Value::Array(_) => "list",
            Value::String(_) => "str",
            Value::Bool(_) => "bool",
            _ => "int",
        };
        Trouble::attribute(format!("'{kind}' object has no attribute 'items'"))
    })
}

/// The methods that change something.
fn change(tx: &mut Transaction<'_>, model: ModelId, arguments: &Arguments) -> Result<Returned> {
    let env = tx.env;
    let null = Value::Null;
    match arguments.method.name {
        "create" => {
            env.check_access(model, Operation::Create)?;
            match arguments.get("vals_list").unwrap_or(&null) {
                Value::Array(list) => {
                    let mut ids = Vec::with_capacity(list.len());
                    for one in list {
                        ids.push(create(tx, model, values(one)?)?);
                    }
                    Ok(Returned::Value(ids.into()))
                }
                one => Ok(Returned::Record(create(tx, model, values(one)?)?)),
            }
        }
        "write" => {
            env.check_access(model, Operation::Write)?;
            write(tx, model, &arguments.ids, values(arguments.get("vals").unwrap_or(&null))?)?;
            Ok(Returned::Value(true.into()))
        }
        "unlink" => {
            env.check_access(model, Operation::Unlink)?;
            unlink(tx, model, &arguments.ids)?;
            Ok(Returned::Value(true.into()))
        }
        "load" => {
            let data = arguments.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            load(tx, model, &arguments.texts("fields"), data).map(Returned::Value)
        }
        "name_create" => {
            env.check_access(model, Operation::Create)?;
            let name = arguments.get("name").cloned().unwrap_or(false.into());
            let id = create(tx, model, &Values::from_iter([(MODELS[model].names.to_owned(), name)]))?;
            Ok(Returned::Value(json!([id, tx.store.display_name(model, id)])))
        }
        "web_save_multi" => save_multi(tx, model, arguments),
        "action_archive" | "action_unarchive" => {
            env.check_access(model, Operation::Write)?;
            let active = arguments.method.name == "action_unarchive";
            write(tx, model, &arguments.ids, &Values::from_iter([("active".to_owned(), active.into())]))?;
            Ok(Returned::Value(true.into()))
        }
        other => Err(Trouble::attribute(format!("{other} is not served"))),
    }
}

fn save_multi(tx: &mut Transaction<'_>, model: ModelId, arguments: &Arguments) -> Result<Returned> {
    tx.env.check_access(model, Operation::Write)?;
    let list = arguments.get("vals_list").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ids = &arguments.ids;
    if list.len() != ids.len() {
        let than = if list.len() < ids.len() { "shorter" } else { "longer" };
        return Err(Trouble::value(format!("zip() argument 2 is {than} than argument 1")));
    }
    for (id, one) in ids.iter().zip(list) {
        write(tx, model, &[*id], values(one)?)?;
    }
    let fields: Vec<Value> = arguments
        .get("specification")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str().into())
        .collect();
    let fields = if fields.is_empty() { json!(["id"]) } else { fields.into() };
    let reading = Reading::new(tx.env, model, Some(&fields), Some(&Value::Null))?;
    Ok(Returned::Value(reading.read(tx.store, ids).into()))
}

/// The methods that change nothing.
fn look(store: &Store, env: &Environment, model: ModelId, arguments: &Arguments) -> Result<Returned> {
    let shape = &MODELS[model];
    let null = Value::Null;
    let page = || Page::new(arguments.get("offset"), arguments.get("limit"), arguments.get("order"));
    let domain = arguments.get("domain").unwrap_or(&null);
    let value = match arguments.method.name {
        "read" => {
            let load = arguments.given("load");
            let reading = Reading::new(env, model, arguments.get("fields"), load)?;
            reading.read(store, &arguments.ids).into()
        }
        "search" => search(store, env, model, domain, &page())?.into(),
        "search_count" => count(store, env, model, domain, page().limit)?.into(),
        "search_read" => {
            let reading = Reading::new(env, model, arguments.get("fields"), None)?;
            reading.read(store, &search(store, env, model, domain, &page())?).into()
        }
        "name_search" => {
            let mut domain = arguments.get("domain").or(arguments.get("args")).cloned().unwrap_or(json!([]));
            if let Some(domain) = domain.as_array_mut()
                && !arguments.text("name").is_empty()
            {
                let operator = arguments.get("operator").cloned().unwrap_or("ilike".into());
                domain.push(json!([shape.names, operator, arguments.text("name")]));
            }
            let limit = Some(arguments.get("limit").cloned().unwrap_or(100.into()));
            let ids = search(store, env, model, &domain, &Page::new(None, limit.as_ref(), None))?;
            ids.iter().map(|id| json!([id, store.display_name(model, *id)])).collect()
        }
        "name_get" => arguments.ids.iter().map(|id| json!([id, store.display_name(model, *id)])).collect(),
        "fields_get" => shape.fields_get(&arguments.texts("allfields"), &arguments.texts("attributes")),
        "default_get" => defaults(env, model, &arguments.texts("fields")),
        "exists" => {
            let ids = arguments.ids.iter().copied();
            ids.filter(|id| store.row(model, *id).is_some()).collect::<Vec<_>>().into()
        }
        "get_external_id" => {
            let name = |id: &i64| (id.to_string(), store.external_id(model, *id).unwrap_or_default().into());
            Value::Object(arguments.ids.iter().map(name).collect())
        }
        "check_access_rights" => {
            let operation = operation(arguments.text("operation"))?;
            let raises = arguments.get("raise_exception").is_none_or(is_true);
            match env.check_access(model, operation) {
                Err(trouble) if raises => return Err(trouble),
                // Since version 18 it says nothing where it has nothing against it.
                Ok(()) if env.version >= 18 => return Ok(Returned::Nothing),
                allowed => allowed.is_ok().into(),
            }
        }
        "has_access" => env.may(operation(arguments.text("operation"))?).into(),
        "context_get" => json!({"lang": "en_US", "tz": "Europe/Brussels", "uid": env.user}),
        "check_object_reference" => {
            let name = format!("{}.{}", arguments.text("module"), arguments.text("xml_id"));
            let target = store.target(&name).and_then(|target| Some((MODELS[target.model?].name, target.id)));
            let missing = || Trouble::value(format!("External ID not found in the system: {name}"));
            json!(target.ok_or_else(missing)?)
        }
        "onchange_parent_id" => return Ok(Returned::Nothing),
        other => return Err(Trouble::attribute(format!("{other} is not served"))),
    };
    Ok(Returned::Value(value))
}

fn operation(name: &str) -> Result<Operation> {
    Ok(match name {
        "read" => Operation::Read,
        "write" => Operation::Write,
        "create" => Operation::Create,
        "unlink" => Operation::Unlink,
        other => return Err(Trouble::key(other)),
    })
}

fn defaults(env: &Environment, model: ModelId, names: &[String]) -> Value {
    let mut found = Map::new();
    for name in names {
        let Some((_, field)) = MODELS[model].field(name) else { continue };
        let value = env.context.get(&format!("default_{name}")).cloned().or(match field.default {
            Preset::None => None,
            Preset::True => Some(true.into()),
            Preset::Text(text) => Some(text.into()),
            Preset::Integer(value) => Some(value.into()),
            Preset::Float(value) => Some(value.into()),
        });
        found.extend(value.map(|value| (name.clone(), value)));
    }
    Value::Object(found)
}

/// How long the server waits at most before its first new try, unless told otherwise: twice this.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);
