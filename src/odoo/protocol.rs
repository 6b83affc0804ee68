//! The three ways in which Odoo takes calls, and how a server's version is asked for.

use serde_json::Value;

use super::refusal::Refusal;
use crate::error::Result;
use crate::http::{Base, Method, Nature, Request, Wire};

/// How calls are sent. Results and errors are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `/json/2`: Odoo 19 and later, with an API key and without a session.
    Json2,
    /// `/web/session/authenticate` and `/web/dataset/call_kw`: a session as a browser has it, with a
    /// password. The fastest for small calls.
    WebSession,
    /// `/jsonrpc`: every version up to 21, with a password or an API key in each call.
    JsonRpc,
}

impl Protocol {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "json2" | "json-2" => Some(Self::Json2),
            "session" | "web" | "web-session" => Some(Self::WebSession),
            "jsonrpc" | "json-rpc" => Some(Self::JsonRpc),
            _ => None,
        }
    }
}

/// The first version with JSON-2 and `web_save_multi`.
pub(super) const JSON2_SINCE: u64 = 19;

/// The major version that a server tells without a login; `None` from one that has no such address,
/// as those before 19.
pub(super) fn ask_version(base: &Base, wire: &mut Wire) -> Result<Option<u64>> {
    let request = Request::new(Method::GET, base.join("/web/version"))
        .nature(Nature::Read)
        .header("Accept", "application/json")
        .operation("find version");
    let answer = wire.send(&request)?;
    if answer.status() >= 500 || answer.status() == 429 {
        return Err(Refusal::of_answer(&answer).into_error(&answer, &request, "", ""));
    }
    if !answer.is_success() {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    Ok(body.get("version_info").and_then(major))
}

/// The first of `[19, 0, 0, "final", 0, ""]`; of `["saas~18", 4, ..]` 18.
pub(super) fn major(version_info: &Value) -> Option<u64> {
    match version_info.get(0)? {
        Value::String(text) => text.rsplit('~').next()?.parse().ok(),
        number => number.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_major_version_is_read_from_both_forms() {
        assert_eq!(major(&json!([19, 0, 0, "final", 0, ""])), Some(19));
        assert_eq!(major(&json!(["saas~18", 4, 0, "final", 0, ""])), Some(18));
        assert_eq!(major(&json!("19.0")), None);
    }
}
