//! What the server said when it refused: its many shapes of error, as one [`Error`].

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::entity::Entity;
use crate::error::{Error, ErrorKind, FieldError};
use crate::http::{Answer, Request};

/// The error of an answer that is no success.
pub(super) fn read(answer: &Answer, request: &Request) -> Error {
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let said = body.as_ref().map(Said::read).unwrap_or_default();
    let redirect = (300..400).contains(&answer.status()).then(|| redirect_message(answer));
    let mut message = redirect.unwrap_or(said.message);
    if message.is_empty() {
        message = said.fields.first().map_or_else(|| answer.text_lossy(), |field| field.message.clone());
    }
    if message.is_empty() {
        message = "the server gave no reason".into();
    }
    let kind = match kind(answer.status(), &message) {
        // One of the texts stands in the stack trace alone.
        ErrorKind::Server if tells_of_seats(&String::from_utf8_lossy(answer.body())) => ErrorKind::SeatLimit,
        kind => kind,
    };
    if let Some(hint) = hint(kind, answer.status(), said.exception.as_deref()) {
        message = format!("{message} ({hint})");
    }
    let error = answer.to_error(request, kind, message).with_field_errors(said.fields);
    match said.exception {
        Some(name) => error.with_remote_name(name),
        None => error,
    }
}

/// Whether a text is one of those that tell of the seat limit: 429 on login (Integration Development Guide),
/// `API Login Limit` and `CheckApiUsersLimits` in a 500 (the vendor's own C# client looks for them), and
/// the text of the error page that OAuth clients are sent to.
fn tells_of_seats(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["api login limit", "checkapiuserslimits", "number of concurrent api logins"]
        .iter()
        .any(|text| message.contains(text))
}

fn kind(status: u16, message: &str) -> ErrorKind {
    if tells_of_seats(message) {
        return ErrorKind::SeatLimit;
    }
    match status {
        401 => ErrorKind::Auth,
        403 => ErrorKind::Forbidden,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        502..=504 => ErrorKind::Unavailable,
        // A wrong password, as recorded: 500, "Error: Invalid credentials. Please try again."
        500 if message.to_ascii_lowercase().contains("invalid credentials") => ErrorKind::Auth,
        // How older versions say 404.
        500 if message.contains("No entity satisfies the condition") => ErrorKind::NotFound,
        300..=399 if message.to_ascii_lowercase().contains("login.aspx") => ErrorKind::Auth,
        300..=399 => ErrorKind::Protocol,
        400..=499 => ErrorKind::Rejected,
        _ => ErrorKind::Server,
    }
}

fn hint(kind: ErrorKind, status: u16, exception: Option<&str>) -> Option<&'static str> {
    match kind {
        ErrorKind::NotFound => {
            Some("no such record, or no such entity or action at this endpoint and version")
        }
        ErrorKind::Conflict if status == 412 => {
            Some("the record exists and was to be created only, or does not and was to be updated only")
        }
        // An unknown field in $select or $filter ends like this.
        ErrorKind::Server if exception.is_some_and(|name| name.ends_with("KeyNotFoundException")) => {
            Some("often a field in select, filter or expand that the entity does not have")
        }
        _ => None,
    }
}

/// A redirect of an API call is an error page or the login page; its address carries the message.
fn redirect_message(answer: &Answer) -> String {
    let location = answer.header("location").unwrap_or_default();
    let message = location.split(['?', '&']).find_map(|part| part.strip_prefix("message="));
    match message {
        Some(message) => percent_decode_str(&message.replace('+', " ")).decode_utf8_lossy().into_owned(),
        None => {
            let page = location.split('?').next().unwrap_or_default();
            format!("the server sends API calls elsewhere: {page}")
        }
    }
}

/// What a JSON body says.
#[derive(Default)]
struct Said {
    message: String,
    exception: Option<String>,
    fields: Vec<FieldError>,
}

impl Said {
    fn read(body: &Value) -> Self {
        let mut said = Self::default();
        let mut level = Some(body);
        // The innermost exceptions say most; each level is told once.
        while let Some(exception) = level {
            let text = ["exceptionMessage", "message", "Message", "ExceptionMessage", "error_description"]
                .iter()
                .filter_map(|name| exception.get(name).and_then(Value::as_str))
                .chain(exception.get("error").and_then(|error| error.get("message")?.as_str()))
                .map(str::trim)
                // "An error has occurred." stands above the exceptionMessage that says which.
                .find(|text| !text.is_empty());
            if let Some(text) = text
                && !said.message.contains(text)
            {
                if !said.message.is_empty() {
                    said.message.push_str("; caused by: ");
                }
                said.message.push_str(text);
            }
            if said.exception.is_none() {
                said.exception = exception.get("exceptionType").and_then(Value::as_str).map(str::to_owned);
            }
            level = exception.get("innerException").filter(|inner| inner.is_object());
        }
        said.fields = model_state(body);
        if said.fields.is_empty()
            && let Ok(entity) = Entity::from_json(body.clone())
        {
            for error in entity.errors() {
                if error.path.is_empty() && said.message.is_empty() {
                    said.message = error.message;
                } else if !error.path.is_empty() {
                    said.fields.push(error);
                }
            }
        }
        if said.message.is_empty()
            && let Some(error) = body.get("error").and_then(Value::as_str)
        {
            said.message = error.to_owned();
        }
        said
    }
}

/// The `modelState` of a 400: a list of messages for each field.
fn model_state(body: &Value) -> Vec<FieldError> {
    let Some(state) = body.get("modelState").and_then(Value::as_object) else { return Vec::new() };
    state
        .iter()
        .flat_map(|(path, messages)| {
            let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
            messages.iter().filter_map(|text| Some(FieldError::new(path.as_str(), text.as_str()?)))
        })
        .collect()
}
