//! What a call may fail with: Python exceptions, and how each wire shows them.

use serde_json::Value;

/// A Python exception on its way to the client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    /// The class, such as `odoo.exceptions.ValidationError`.
    pub(super) name: &'static str,
    pub(super) message: String,
    /// The arguments of the exception where they are not the message alone.
    pub(super) arguments: Option<Value>,
    /// The message as `load` shows it, where it is another one.
    pub(super) in_load: Option<String>,
    /// The field that `load` names.
    pub(super) field: Option<&'static str>,
}

pub(super) const VALIDATION: &str = "odoo.exceptions.ValidationError";
pub(super) const SERIALIZATION: &str = "psycopg2.errors.SerializationFailure";
pub(super) const CONCURRENT: &str = "could not serialize access due to concurrent update";
const USER: &str = "odoo.exceptions.UserError";
const ACCESS: &str = "odoo.exceptions.AccessError";
const DENIED: &str = "odoo.exceptions.AccessDenied";
const MISSING: &str = "odoo.exceptions.MissingError";

pub(super) type Result<T, E = Trouble> = std::result::Result<T, E>;

impl Trouble {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), arguments: None, in_load: None, field: None }
    }

    /// A constraint in Python.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(VALIDATION, message)
    }

    /// A constraint of the database: calls put a sentence before it, `load` does not.
    pub(super) fn constraint(message: impl Into<String>) -> Self {
        let message = message.into();
        let whole = format!("The operation cannot be completed: {message}");
        Self { in_load: Some(message), ..Self::validation(whole) }
    }

    pub(super) fn user(message: impl Into<String>) -> Self {
        Self::new(USER, message)
    }

    pub(super) fn access(message: impl Into<String>) -> Self {
        Self::new(ACCESS, message)
    }

    pub(super) fn denied() -> Self {
        Self::new(DENIED, "Access Denied")
    }

    pub(super) fn too_many_logins() -> Self {
        Self::new(DENIED, "Too many login failures, please wait a bit before trying again.")
    }

    pub(super) fn missing(model: &str, id: i64, user: i64) -> Self {
        let message =
            format!("Record does not exist or has been deleted.\n(Record: {model}({id},), User: {user})");
        Self::new(MISSING, message)
    }

    pub(super) fn value(message: impl Into<String>) -> Self {
        Self::new("builtins.ValueError", message)
    }

    pub(super) fn key(message: impl Into<String>) -> Self {
        Self::new("builtins.KeyError", message)
    }

    pub(super) fn kind(message: impl Into<String>) -> Self {
        Self::new("builtins.TypeError", message)
    }

    pub(super) fn index(message: impl Into<String>) -> Self {
        Self::new("builtins.IndexError", message)
    }

    pub(super) fn attribute(message: impl Into<String>) -> Self {
        Self::new("builtins.AttributeError", message)
    }

    pub(super) fn serialization() -> Self {
        Self::new(SERIALIZATION, CONCURRENT)
    }

    /// An exception of the HTTP layer, which carries its status.
    pub(super) fn http(status: u16, message: impl Into<String>) -> Self {
        let name = match status {
            400 => "werkzeug.exceptions.BadRequest",
            401 => "werkzeug.exceptions.Unauthorized",
            403 => "werkzeug.exceptions.Forbidden",
            422 => "werkzeug.exceptions.UnprocessableEntity",
            _ => "werkzeug.exceptions.NotFound",
        };
        let message = message.into();
        let arguments = serde_json::json!([message, status]);
        Self { arguments: Some(arguments), ..Self::new(name, message) }
    }

    pub(super) fn is_serialization(&self) -> bool {
        self.name == SERIALIZATION
    }

    /// Whether it is Odoo's own word to the user, and no mistake in the call.
    pub(super) fn is_for_users(&self) -> bool {
        self.name.starts_with("odoo.exceptions.")
    }

    /// The status with which JSON-2 answers.
    pub(super) fn status(&self) -> u16 {
        match self.name {
            ACCESS | DENIED | "werkzeug.exceptions.Forbidden" => 403,
            MISSING | "werkzeug.exceptions.NotFound" => 404,
            USER | VALIDATION | "werkzeug.exceptions.UnprocessableEntity" => 422,
            "werkzeug.exceptions.BadRequest" => 400,
            "werkzeug.exceptions.Unauthorized" => 401,
            "odoo.exceptions.LockError" => 409,
            _ => 500,
        }
    }

    /// The object that all wires show, its members in the order of the real one.
    pub(super) fn to_json(&self) -> String {
        let text = |text: &str| Value::from(text).to_string();
        let arguments = match &self.arguments {
            Some(arguments) => arguments.to_string(),
            None => format!("[{}]", text(&self.message)),
        };
        let debug = if self.name == DENIED {
            format!("{}: {}\n", self.name, self.message)
        } else {
            let class = self.name.strip_prefix("builtins.").unwrap_or(self.name);
            format!(
                "Traceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/odoo/http.py\", line 2179, in \
                 _transactioning\n    return service_model.retrying(func, env=self.env)\n{class}: {}\n",
                self.message
            )
        };
        format!(
            "{{\"name\":{},\"message\":{},\"arguments\":{arguments},\"context\":{{}},\"debug\":{}}}",
            text(self.name),
            text(&self.message),
            text(&debug)
        )
    }
}
