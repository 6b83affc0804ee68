//! The bodies in which Acumatica tells what is wrong.

use serde_json::{Value, json};

use crate::sandbox::http::Response;

/// HTTP 400 with `modelState` (recorded traffic 2023).
pub(super) fn model_state(message: &str) -> Response {
    Response::json(400, &json!({"message": "The request is invalid.", "modelState": {"": [message]}}))
}

/// HTTP 500 with an exception (recorded traffic 2023).
pub(super) fn exception(kind: &str, message: &str) -> Response {
    Response::json(500, &body(kind, message))
}

/// HTTP 500 with a chain of exceptions: the outer one says little, the inner one why.
pub(super) fn chain(outer: &str, inner: &str) -> Response {
    let mut value = body("PX.Data.PXActionDisabledException", outer);
    value["innerException"] = body("PX.Data.PXSetPropertyException", inner);
    value["innerException"]["innerException"] = body("System.InvalidOperationException", inner);
    Response::json(500, &value)
}

/// HTTP 500 of the query layer.
pub(super) fn query(message: &str) -> Response {
    if message.starts_with("The given key") {
        exception("System.Collections.Generic.KeyNotFoundException", message)
    } else {
        exception("Microsoft.Data.OData.ODataException", message)
    }
}

pub(super) fn message(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"message": message}))
}

/// HTTP 401: not signed in, or no more.
pub(super) fn unauthorized() -> Response {
    message(401, "You are not logged in.")
}

pub(super) fn not_found() -> Response {
    message(404, "No entity satisfies the condition.")
}

/// HTTP 403, worded as integrators report it.
pub(super) fn forbidden(title: &str, screen: &str) -> Response {
    message(403, &format!("You have insufficient rights to access the {title} ({screen}) form."))
}

pub(super) fn body(kind: &str, message: &str) -> Value {
    json!({
        "message": "An error has occurred.",
        "exceptionMessage": message,
        "exceptionType": kind,
        "stackTrace": "   at PX.Api.ContractBased.Soap.ExportController.Execute()\r\n   at PX.Api.ContractBased.EntityService.Invoke()",
    })
}
