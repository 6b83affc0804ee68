//! What the server says when it refuses, in all its shapes, and what nobody may ever read.

use batchcall::acumatica::{OAuth, Query};
use batchcall::sandbox::{Fault, Faults, MissingRecord, RetryAfter, Sandbox};
use batchcall::{Acumatica, BatchCall, Delivery, Error, ErrorKind, RetryPolicy};
use serde_json::json;

use crate::scripted::{Scripted, answer, empty, json};
use crate::{builder, client, hasty, start};

/// The error of a read that is answered like this.
fn read(text: String) -> Error {
    let server =
        Scripted::start(
            move |asked| {
                if asked.is_login() || asked.is_logout() { String::new() } else { text.clone() }
            },
        );
    one_read(server.url()).unwrap_err()
}

fn one_read(url: &str) -> batchcall::Result<batchcall::acumatica::Entity> {
    let client = Acumatica::builder(url)
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    client.session()?.get_by_id("Customer", "CUST001")
}

/// The error of a write that is answered like this.
fn write(text: String) -> Error {
    let server =
        Scripted::start(
            move |asked| {
                if asked.is_login() || asked.is_logout() { String::new() } else { text.clone() }
            },
        );
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .retry(hasty())
        .build()
        .unwrap();
    client.session().unwrap().put_entity("Customer", json!({"CustomerID": "N"})).unwrap_err()
}

fn fields(error: &Error) -> Vec<(&str, &str)> {
    error.field_errors().iter().map(|field| (field.path.as_str(), field.message.as_str())).collect()
}

#[test]
fn model_state_is_a_list_of_fields() {
    let error = write(json(
        400,
        json!({"message": "The request is invalid.",
            "modelState": {"entity.CustomerID": ["too long", "not allowed"], "": ["empty"]}}),
    ));
    assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(400)));
    assert_eq!(error.message(), "The request is invalid.");
    let found = fields(&error);
    assert_eq!(found.len(), 3);
    assert!(
        found.contains(&("entity.CustomerID", "too long")) && found.contains(&("", "empty")),
        "{found:?}"
    );
}

#[test]
fn the_errors_of_a_422_have_paths() {
    let error = write(json(
        422,
        json!({
            "error": "Inserting 'AP Transactions' record raised at least one error. Please review the errors.",
            "CustomerID": {"value": "N"},
            "MainContact": {"Address": {"Country": {"value": "XX", "error": "no country"}}},
            "Details": [
                {"Project": {"value": "P1", "error": "Project 'P1' cannot be found"}},
                {"OrderQty": {"value": 1}, "error": "a line that is wrong as a whole"},
            ],
        }),
    ));
    assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(422)));
    assert!(error.message().starts_with("Inserting 'AP Transactions'"), "{error}");
    let found = fields(&error);
    assert!(found.contains(&("Details[0].Project", "Project 'P1' cannot be found")), "{found:?}");
    assert!(found.contains(&("MainContact.Address.Country", "no country")), "{found:?}");
    assert!(found.contains(&("Details[1]", "a line that is wrong as a whole")), "{found:?}");
}

#[test]
fn the_chain_of_exceptions_is_told_once_each() {
    let inner = |message: &str| json!({"message": "An error has occurred.", "exceptionMessage": message});
    let mut body = inner("outer");
    body["exceptionType"] = "PX.Data.PXException".into();
    body["innerException"] = inner("middle");
    body["innerException"]["innerException"] = inner("root cause");
    let error = write(json(500, body));
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.message(), "outer; caused by: middle; caused by: root cause");
    assert_eq!(error.remote_name(), Some("PX.Data.PXException"));
}

#[test]
fn a_page_of_html_is_quoted_by_its_title() {
    let page = "<html><head><title>502 - Web server received an invalid response</title></head><body>..</body></html>";
    let error = read(answer(502, &["Content-Type: text/html"], page));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "502 - Web server received an invalid response");
    let error = read(answer(200, &["Content-Type: text/html"], "<title>Maintenance</title>"));
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("Maintenance"), "{error}");
}

#[test]
fn every_status_has_its_kind_and_is_asked_once() {
    let message = |status| json(status, r#"{"message": "because"}"#);
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Rejected),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::NotFound),
        (412, ErrorKind::Conflict),
        (422, ErrorKind::Rejected),
        (500, ErrorKind::Server),
        (501, ErrorKind::Server),
    ] {
        let server = Scripted::start(move |asked| {
            if asked.is_login() || asked.is_logout() { String::new() } else { message(status) }
        });
        let client = Acumatica::builder(server.url())
            .login("admin", "admin")
            .endpoint("Default", "24.200.001")
            .retry(hasty())
            .build()
            .unwrap();
        let mut session = client.session().unwrap();
        for error in [
            session.get_by_id("Customer", "1").unwrap_err(),
            session.put_entity("Customer", json!({"CustomerID": "N"})).unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{error}");
            assert!(error.message().starts_with("because"), "{error}");
            assert_eq!((error.delivery(), error.is_retryable()), (Some(Delivery::Answered), false));
        }
        assert_eq!(server.data_requests(), 2, "{status}");
    }
}

#[test]
fn a_429_that_stays_is_told_with_its_time() {
    let faults = Faults::none().every(1, Fault::TooManyRequests(RetryAfter::Seconds(4000)));
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let mut session = client(&sandbox).session().unwrap();
    let error = session.put_entity("Customer", json!({"CustomerID": "N", "CustomerName": "N"})).unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimited, Some(429)));
    assert_eq!(error.retry_after().unwrap().as_secs(), 4000);
    assert!(error.is_retryable() && !error.is_in_doubt());
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn a_form_that_is_forbidden_is_named() {
    let sandbox = start(Sandbox::acumatica().forbid("SalesOrder"));
    let error = client(&sandbox).session().unwrap().get_list("SalesOrder", Query::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("Sales Orders (SO301000)"), "{error}");
}

#[test]
fn an_unknown_entity_and_an_unknown_field_are_hinted_at() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = client(&sandbox).session().unwrap();
    let error = session.get_list("Custommer", Query::new()).unwrap_err();
    assert_eq!((error.kind(), error.entity()), (ErrorKind::NotFound, Some("Custommer")));
    assert!(error.message().contains("no such entity"), "{error}");
    let error = session.get_list("Customer", Query::new().select(["Nope"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(error.message().contains("a field in select"), "{error}");
}

#[test]
fn a_missing_record_is_not_found_whichever_way_the_server_says_it() {
    for missing in [MissingRecord::NotFound, MissingRecord::ServerError] {
        let sandbox = start(Sandbox::acumatica().missing_record(missing));
        let error = client(&sandbox).session().unwrap().get_by_id("Customer", "NOPE").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{missing:?}: {error}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let error = read(empty(302, &["Location: http://127.0.0.1:1/elsewhere?token=abc"]));
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("elsewhere") && !error.message().contains("abc"), "{error}");
    let page = "Location: /Frames/Error.aspx?typeID=error&message=The%20site%20is+locked.&errorcode=0";
    assert_eq!(read(empty(302, &[page])).message(), "The site is locked.");
}

#[test]
fn a_write_whose_answer_is_no_record_is_in_doubt() {
    for body in ["[]", "null", "\"ok\"", "{", ""] {
        let error = match body {
            // Nothing at all, and 200: done, and nothing to tell.
            "" => continue,
            body => write(json(200, body)),
        };
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
        assert!(error.is_in_doubt(), "{body}: it was saved, as far as anyone knows");
        assert_eq!(error.entity(), Some("Customer/N"), "{body}");
    }
}

#[test]
fn a_client_that_cannot_work_is_refused_before_anything_is_sent() {
    for (builder, problem) in [
        (Acumatica::builder("erp.example.com").login("admin", "admin"), "scheme"),
        (Acumatica::builder("https://erp.example.com").login("", "admin"), "user name is empty"),
        (Acumatica::builder("https://erp.example.com").login("admin", ""), "password is empty"),
        (Acumatica::builder("https://erp.example.com"), "no credentials"),
        (
            Acumatica::builder("https://erp.example.com").login("a", "b").oauth(OAuth::new("c", "d")),
            "choose one",
        ),
        (Acumatica::builder("https://erp.example.com").oauth(OAuth::new("c", "d")), "no grant"),
        (
            Acumatica::builder("https://erp.example.com").login("a", "b").endpoint("Default", " "),
            "version is empty",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(problem), "{problem}: {error}");
    }
    let error = Acumatica::builder("").login("", "").max_sessions(0).build().unwrap_err();
    for problem in ["base URL is empty", "user name", "password", "max_sessions"] {
        assert!(error.message().contains(problem), "all at once: {error}");
    }
}

#[test]
fn no_secret_is_shown_by_anything() {
    const PASSWORD: &str = "pa55-w0rd-of-the-test";
    let sandbox = start(Sandbox::acumatica().user("jo", PASSWORD));
    let client = builder(&sandbox).login("jo", PASSWORD).build().unwrap();
    let mut session = client.session().unwrap();
    session.get_by_id("Customer", "CUST001").unwrap();
    let mut texts = vec![format!("{client:?} {session:?} {:?}", client.inquiries())];
    texts.push(format!("{:?}", builder(&sandbox).login("jo", PASSWORD)));
    let mut tell =
        |error: Error| texts.push(format!("{error} {error:?} {:?}", std::error::Error::source(&error)));
    tell(session.get_by_id("Customer", "NOPE").unwrap_err());
    for fault in [Fault::Html(500), Fault::Garbage, Fault::Truncate, Fault::ResetAfter] {
        sandbox.set_faults(Faults::none().every(1, fault));
        tell(session.get_by_id("Customer", "CUST001").unwrap_err());
    }
    sandbox.clear_faults();
    let wrong = builder(&sandbox).login("jo", format!("{PASSWORD}!")).build().unwrap();
    tell(wrong.session().unwrap_err());
    let report =
        BatchCall::new(&wrong).calls(0..3, |s, _| s.get_by_id("Customer", "CUST001")).execute().unwrap();
    texts.push(format!("{report} {report:?}"));
    let oauth = OAuth::new("id", "client-s3cret").tokens("access-s3cret", "refresh-s3cret");
    texts.push(format!("{oauth:?}"));
    let client = Acumatica::builder(sandbox.url()).oauth(oauth).build().unwrap();
    let session = client.session().unwrap();
    texts.push(format!("{client:?} {session:?}"));
    for text in texts {
        for secret in [PASSWORD, "s3cret", "SessionId=", "ASPXAUTH="] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
