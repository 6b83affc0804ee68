//! JSON-RPC: the envelope of `/jsonrpc` and of the web session.

use serde::Serialize;
use serde_json::{Value, json};

use super::args::Call;
use super::context::Context;
use super::refusal::Refusal;
use crate::error::{Delivery, ErrorKind, Result};
use crate::http::{Answer, Base, Method, Request};
use crate::secret::Secret;

/// What an answer turned out to be.
#[derive(Debug)]
pub(super) enum Reply {
    Result(Value),
    Refusal(Refusal),
}

#[derive(Serialize)]
struct Envelope<'a, P> {
    jsonrpc: &'a str,
    method: &'a str,
    params: P,
    id: u64,
}

fn post<P: Serialize>(base: &Base, path: &str, params: P, id: u64) -> Result<Request> {
    let envelope = Envelope { jsonrpc: "2.0", method: "call", params, id };
    Request::new(Method::POST, base.join(path)).header("Accept", "application/json").json(&envelope)
}

/// A call of a service of `/jsonrpc`.
pub(super) fn service(base: &Base, service: &str, method: &str, args: &Value, id: u64) -> Result<Request> {
    post(base, "/jsonrpc", json!({"service": service, "method": method, "args": args}), id)
}

/// Who calls by `/jsonrpc`: every call says so.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    pub(super) database: &'a str,
    pub(super) uid: i64,
    pub(super) secret: &'a Secret,
}

/// `execute_kw` of a method.
pub(super) fn execute_kw(
    base: &Base,
    caller: &Caller<'_>,
    (model, method): (&str, &str),
    call: Call<'_>,
    context: &Context,
    id: u64,
) -> Result<Request> {
    #[derive(Serialize)]
    struct Params<'a, A> {
        service: &'a str,
        method: &'a str,
        args: A,
    }
    let who = (caller.database, caller.uid, caller.secret.expose());
    let args = (who.0, who.1, who.2, model, method, call.as_list(), call.as_keywords(context));
    post(base, "/jsonrpc", Params { service: "object", method: "execute_kw", args }, id)
}

/// `call_kw` of a method, for a session.
pub(super) fn call_kw(
    base: &Base,
    (model, method): (&str, &str),
    call: Call<'_>,
    context: &Context,
    id: u64,
) -> Result<Request> {
    #[derive(Serialize)]
    struct Params<'a, A, K> {
        model: &'a str,
        method: &'a str,
        args: A,
        kwargs: K,
    }
    let path = format!("/web/dataset/call_kw/{model}/{method}");
    let params = Params { model, method, args: call.as_list(), kwargs: call.as_keywords(context) };
    post(base, &path, params, id)
}

/// A call of one of the session's own addresses.
pub(super) fn session(base: &Base, path: &str, params: &Value, id: u64) -> Result<Request> {
    post(base, path, params, id)
}

/// Reads an answer. Errors come with status 200, an answer of nothing has no `result`, and the id is
/// `null` in errors that are raised before the body is read.
///
/// # Errors
///
/// [`Protocol`](ErrorKind::Protocol) for what is no JSON-RPC, such as a proxy's page: a write is in doubt.
pub(super) fn read(answer: &Answer, request: &Request, id: u64) -> Result<Reply> {
    if !answer.is_success() {
        return Ok(Reply::Refusal(Refusal::of_answer(answer)));
    }
    let mut body: Value = answer.json(request)?;
    let unreadable = |what: &str| {
        let message = format!("{what}: {}", answer.text_lossy());
        answer.to_error(request, ErrorKind::Protocol, message).with_delivery(Delivery::MaybeSent)
    };
    let Some(members) = body.as_object_mut().filter(|members| members.contains_key("jsonrpc")) else {
        return Err(unreadable("expected JSON-RPC"));
    };
    if members.get("id").is_some_and(|echoed| !echoed.is_null() && *echoed != id) {
        return Err(unreadable("the answer belongs to another request"));
    }
    match members.get("error") {
        Some(error) if !error.is_null() => Ok(Reply::Refusal(Refusal::of_rpc(error))),
        _ => Ok(Reply::Result(members.remove("result").unwrap_or_default())),
    }
}
