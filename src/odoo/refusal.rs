//! What the server said when it refused: the same [`Error`] whatever the protocol.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Delivery, Error, ErrorKind, FieldError};
use crate::http::{Answer, Request};

/// An error as every protocol tells it. The traceback is left out: kilobytes, with paths of the server.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    /// Of the JSON-RPC envelope: 100 for a session that is over, 404 for a model that is not there.
    #[serde(skip)]
    code: i64,
    /// The class, such as `odoo.exceptions.ValidationError`.
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    arguments: Value,
}

/// What is to be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing.
    None,
    /// Signing in again: the session is over, and the call was not looked at.
    SignIn,
    /// Asking whether the credentials still hold.
    CheckCredentials,
    /// Finding out what the arguments are called: the method was not run.
    LearnNames,
    /// The same again after a while: the transaction was rolled back because of another one.
    Again,
}

impl Refusal {
    /// The `error` member of a JSON-RPC answer.
    pub(super) fn of_rpc(error: &Value) -> Self {
        let data = error.get("data").cloned().unwrap_or_default();
        let mut refusal: Self = serde_json::from_value(data).unwrap_or_default();
        refusal.code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        if refusal.message.is_empty() {
            // "Odoo Server Error" says nothing, but it is better than nothing.
            let first = refusal.arguments.get(0).and_then(Value::as_str);
            let general = error.get("message").and_then(Value::as_str);
            refusal.message =
                first.filter(|text| !text.is_empty()).or(general).unwrap_or_default().to_owned();
        }
        refusal
    }

    /// The body of an answer that is no success: JSON, a JSON string in early builds, or a page.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        let body = match serde_json::from_slice(answer.body()) {
            Ok(Value::String(message)) => Some(Self { message, ..Self::default() }),
            Ok(body @ Value::Object(_)) if body.get("error").is_some_and(Value::is_object) => {
                Some(Self::of_rpc(&body["error"]))
            }
            Ok(body @ Value::Object(_)) => serde_json::from_value(body).ok(),
            _ => None,
        };
        let mut refusal = body.unwrap_or_default();
        if refusal.message.is_empty() {
            refusal.message = match answer.header("location") {
                Some(location) if (300..400).contains(&answer.status()) => {
                    let page = location.split(['?', '#']).next().unwrap_or_default();
                    format!("the server sends API calls elsewhere: {page}")
                }
                _ => answer.text_lossy(),
            };
        }
        refusal
    }

    pub(super) fn is_session_over(&self) -> bool {
        self.code == 100 || self.name == "odoo.http.SessionExpiredException"
    }

    /// Whether the server takes no logins from this address for a while.
    pub(super) fn is_cooldown(&self) -> bool {
        self.name.ends_with("AccessDenied") && self.message.starts_with("Too many login failures")
    }

    /// What is to be done about it.
    pub(super) fn remedy(&self, status: u16) -> Remedy {
        if self.is_session_over() {
            return Remedy::SignIn;
        }
        if status == 401 || self.name.ends_with(".AccessDenied") {
            return Remedy::CheckCredentials;
        }
        if self.is_rolled_back() {
            return Remedy::Again;
        }
        let of_names = ["missing a required argument", "unexpected keyword argument", "too many positional"];
        if status == 422 && of_names.iter().any(|text| self.message.contains(text)) {
            return Remedy::LearnNames;
        }
        Remedy::None
    }

    /// Whether another transaction was in the way, and this one left nothing behind. The server has tried
    /// five times by then.
    fn is_rolled_back(&self) -> bool {
        // psycopg2.pool.PoolError: no connection was free, nothing was begun.
        let classes = [
            "SerializationFailure",
            "DeadlockDetected",
            "LockNotAvailable",
            "TransactionRollbackError",
            "LockError",
            "ConcurrencyError",
            "PoolError",
        ];
        classes.iter().any(|class| self.name.rsplit('.').next() == Some(class))
    }

    /// The parameter that the method calls otherwise: `missing a required argument: 'values'`.
    pub(super) fn missing_argument(&self) -> Option<&str> {
        let (_, name) = self.message.split_once("missing a required argument: '")?;
        Some(name.split('\'').next().unwrap_or(name))
    }

    fn kind(&self, status: u16, model: &str, method: &str) -> ErrorKind {
        let class = self.name.rsplit('.').next().unwrap_or_default();
        if self.is_session_over() {
            return ErrorKind::Auth;
        }
        if self.is_rolled_back() {
            return ErrorKind::Unavailable;
        }
        match class {
            "AccessDenied" => return ErrorKind::Auth,
            "AccessError" => return ErrorKind::Forbidden,
            "MissingError" => return ErrorKind::NotFound,
            "UserError" if self.message == format!("Object {model} doesn't exist") => {
                return ErrorKind::NotFound;
            }
            // How an unknown method is told, and in older versions an unknown model.
            "AttributeError" if self.message.contains(&format!("{method}'")) => return ErrorKind::NotFound,
            "KeyError" if self.message.trim_matches('\'') == model => return ErrorKind::NotFound,
            "UserError" | "ValidationError" | "RedirectWarning" | "Warning" | "ValueError" | "KeyError"
            | "TypeError" | "AttributeError" | "IndexError" | "AssertionError" => return ErrorKind::Rejected,
            "OperationalError" | "InterfaceError" => return ErrorKind::Unavailable,
            _ if is_about_data(class) => return ErrorKind::Rejected,
            _ => {}
        }
        match if self.code == 404 { 404 } else { status } {
            401 => ErrorKind::Auth,
            403 => ErrorKind::Forbidden,
            404 | 410 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            429 => ErrorKind::RateLimited,
            502..=504 => ErrorKind::Unavailable,
            300..=399 | 405 | 415 => ErrorKind::Protocol,
            400..=499 => ErrorKind::Rejected,
            _ => ErrorKind::Server,
        }
    }

    /// The error that it stands for.
    pub(super) fn into_error(self, answer: &Answer, request: &Request, model: &str, method: &str) -> Error {
        let kind = self.kind(answer.status(), model, method);
        let fields = self.fields();
        let mut message = self.message;
        if message.is_empty() {
            message = "the server gave no reason".into();
        }
        if let Some(hint) = hint(answer.status(), &self.name) {
            message = format!("{message} ({hint})");
        }
        // The connection to the database broke: perhaps while it was committing.
        let broken = matches!(self.name.as_str(), "psycopg2.OperationalError" | "psycopg2.InterfaceError");
        let error = answer.to_error(request, kind, message).with_field_errors(fields);
        let error = if broken { error.with_delivery(Delivery::MaybeSent) } else { error };
        if self.name.is_empty() { error } else { error.with_remote_name(self.name) }
    }

    /// The field that a message names.
    fn fields(&self) -> Vec<FieldError> {
        let message = self.message.as_str();
        let between = |before: &str, after: &str| {
            let rest = message.split_once(before)?.1;
            rest.split_once(after).map(|(name, _)| name)
        };
        let name = match self.name.as_str() {
            // The message is the name and nothing else.
            "builtins.KeyError" => Some(message.trim_matches('\'')).filter(|name| is_field_name(name)),
            // Invalid field 'bogus_field' in 'res.partner'
            "builtins.ValueError" => between("Invalid field '", "'").or_else(|| {
                // Invalid field res.partner.nof in condition (...), or `in leaf` before 18
                between("Invalid field ", " in ").map(|path| path.rsplit('.').next().unwrap_or(path))
            }),
            // Missing required value for the field 'Name' (name).
            _ => between("Missing required value for the field", ").")
                .and_then(|field| field.rsplit_once('('))
                .map(|(_, name)| name),
        };
        let why = if self.name == "builtins.KeyError" { "no such field" } else { message };
        name.map(|name| FieldError::new(name, why)).into_iter().collect()
    }
}

/// Whether a class of psycopg2 tells of data that the database refuses.
fn is_about_data(class: &str) -> bool {
    class.ends_with("Violation")
        || matches!(
            class,
            "IntegrityError"
                | "DataError"
                | "StringDataRightTruncation"
                | "NumericValueOutOfRange"
                | "InvalidTextRepresentation"
                | "InvalidDatetimeFormat"
                | "DatetimeFieldOverflow"
                | "UntranslatableCharacter"
        )
}

fn is_field_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn hint(status: u16, name: &str) -> Option<&'static str> {
    match status {
        404 if name.is_empty() => {
            Some("no such address: is the database named, and is this Odoo's base URL?")
        }
        413 => Some("the request is longer than the server takes: send fewer records at once"),
        _ => None,
    }
}

/// Whether a message of `load` tells of another transaction and not of the row. The server's own retry
/// never runs for these: `load` catches them.
pub(super) fn is_concurrency_message(message: &str) -> bool {
    [
        "could not serialize access",
        "deadlock detected",
        "could not obtain lock",
        "current transaction is aborted",
    ]
    .iter()
    .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(name: &str, message: &str) -> Refusal {
        Refusal::of_rpc(&json!({"code": 0, "message": "Odoo Server Error",
                                "data": {"name": name, "message": message, "arguments": [message]}}))
    }

    fn kind(name: &str, message: &str) -> ErrorKind {
        refusal(name, message).kind(200, "res.partner", "frobnicate")
    }

    #[test]
    fn every_class_of_odoos_has_its_kind() {
        use ErrorKind::{Auth, Forbidden, NotFound, Rejected, Server, Unavailable};
        for (name, message, expected) in [
            ("odoo.exceptions.AccessDenied", "Access Denied", Auth),
            (
                "odoo.exceptions.AccessError",
                "You are not allowed to modify 'User' (res.users) records.",
                Forbidden,
            ),
            ("odoo.exceptions.MissingError", "Record does not exist or has been deleted.", NotFound),
            ("odoo.exceptions.ValidationError", "Contacts require a name", Rejected),
            ("odoo.exceptions.UserError", "Invalid language code: xx_YY", Rejected),
            ("odoo.exceptions.UserError", "Object res.partner doesn't exist", NotFound),
            ("odoo.exceptions.RedirectWarning", "Go there\n{}\nthere", Rejected),
            ("odoo.exceptions.LockError", "locked", Unavailable),
            ("builtins.AttributeError", "The method 'res.partner.frobnicate' does not exist", NotFound),
            ("builtins.AttributeError", "'NoneType' object has no attribute 'id'", Rejected),
            ("builtins.ValueError", "Invalid field 'bogus_field' in 'res.partner'", Rejected),
            ("builtins.KeyError", "zzz", Rejected),
            ("builtins.KeyError", "'res.partner'", NotFound),
            ("builtins.TypeError", "missing a required argument", Rejected),
            ("builtins.MemoryError", "", Server),
            ("psycopg2.errors.SerializationFailure", "could not serialize access", Unavailable),
            ("psycopg2.errors.DeadlockDetected", "deadlock detected", Unavailable),
            ("psycopg2.extensions.TransactionRollbackError", "could not serialize access", Unavailable),
            ("psycopg2.errors.UniqueViolation", "duplicate key", Rejected),
            ("psycopg2.OperationalError", "server closed the connection unexpectedly", Unavailable),
            ("psycopg2.pool.PoolError", "The Connection Pool Is Full", Unavailable),
            ("some.module.Oops", "?", Server),
        ] {
            assert_eq!(kind(name, message), expected, "{name}: {message}");
        }
    }

    #[test]
    fn the_field_is_found_in_the_message() {
        for (name, message, field) in [
            ("builtins.ValueError", "Invalid field 'bogus_field' in 'res.partner'", Some("bogus_field")),
            ("builtins.ValueError", "Invalid field 'nofield' on 'res.partner'", Some("nofield")),
            (
                "builtins.ValueError",
                "Invalid field res.partner.nof in condition ('nof', '=', 1)",
                Some("nof"),
            ),
            ("builtins.KeyError", "zzz", Some("zzz")),
            ("builtins.KeyError", "'zzz'", Some("zzz")),
            ("builtins.KeyError", "(1, 2)", None),
            (
                "odoo.exceptions.ValidationError",
                "The operation cannot be completed: Missing required value for the field 'Name' (name).\n\
                 Model: 'Product' (product.template)\n- create/update: a mandatory field is not set\n- delete: ...",
                Some("name"),
            ),
            ("odoo.exceptions.ValidationError", "Contacts require a name", None),
        ] {
            let fields = refusal(name, message).fields();
            assert_eq!(fields.first().map(|field| field.path.as_str()), field, "{message}");
        }
    }

    #[test]
    fn the_servers_own_words_win_over_the_general_ones() {
        assert_eq!(refusal("x", "Contacts require a name").message, "Contacts require a name");
        let only_arguments =
            json!({"message": "Odoo Server Error", "data": {"arguments": ["why"], "message": ""}});
        assert_eq!(Refusal::of_rpc(&only_arguments).message, "why");
        assert_eq!(Refusal::of_rpc(&json!({"message": "Odoo Server Error"})).message, "Odoo Server Error");
        let odd = json!({"code": "x", "data": {"name": 7}, "message": "m"});
        assert_eq!(Refusal::of_rpc(&odd).message, "m");
    }

    #[test]
    fn the_remedy_fits_the_refusal() {
        let expired = json!({"code": 100, "message": "Odoo Session Expired", "data": {}});
        assert_eq!(Refusal::of_rpc(&expired).remedy(200), Remedy::SignIn);
        let missing =
            refusal("werkzeug.exceptions.UnprocessableEntity", "missing a required argument: 'values'");
        assert_eq!(missing.remedy(422), Remedy::LearnNames);
        assert_eq!(missing.missing_argument(), Some("values"));
        assert_eq!(refusal("odoo.exceptions.ValidationError", "x").remedy(422), Remedy::None);
        assert_eq!(refusal("builtins.ValueError", "x").remedy(500), Remedy::None, "a 500 is not transient");
        assert_eq!(refusal("psycopg2.errors.SerializationFailure", "x").remedy(500), Remedy::Again);
        assert_eq!(refusal("odoo.exceptions.AccessDenied", "x").remedy(200), Remedy::CheckCredentials);
    }
}
