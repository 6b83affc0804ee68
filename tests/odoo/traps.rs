//! What surprises a client, word for word as an Odoo 19.0 was seen to say it.

use batchcall::odoo::{Args, Context, Domain, Protocol, field};
use batchcall::{Delivery, ErrorKind, Executor, Operation};
use serde_json::{Value, json};

use crate::script::{Reply, error, html, ok, result, status, talk};
use Protocol::{Json2, JsonRpc, WebSession};

#[test]
fn a_method_that_returns_nothing_has_no_result() {
    let (_, mut session) = talk(JsonRpc, [ok(r#"{"jsonrpc":"2.0","id":ID}"#)]);
    assert_eq!(session.call("res.partner", "onchange_parent_id", Args::ids([7])).unwrap(), Value::Null);
}

#[test]
fn an_error_comes_with_status_200_and_keeps_all_that_was_said() {
    let text = "The operation cannot be completed: Contacts require a name";
    let (_, mut session) = talk(JsonRpc, [error("odoo.exceptions.ValidationError", text)]);
    let error = session.create("res.partner", json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.message(), text);
    assert_eq!(error.remote_name(), Some("odoo.exceptions.ValidationError"));
    assert_eq!((error.operation(), error.entity()), (Some("create"), Some("res.partner")));
    assert_eq!((error.status(), error.delivery()), (Some(200), Some(Delivery::Answered)));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("Traceback") && !shown.contains("Odoo Server Error"), "{shown}");
}

#[test]
fn the_id_may_be_null_in_an_error() {
    let unknown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":404,"message":"404: Not Found","data":{"name":"werkzeug.exceptions.NotFound","message":"404 Not Found: The requested URL was not found on the server.","arguments":[],"context":{},"debug":""}}}"#;
    let (_, mut session) = talk(WebSession, [ok(unknown)]);
    let error = session.search("no.model", Domain::all(), [] as [&str; 0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn an_answer_to_another_request_is_no_answer() {
    let stale = r#"{"jsonrpc":"2.0","id":999999,"result":[1]}"#;
    let (_, mut session) = talk(JsonRpc, [ok(stale)]);
    let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.is_in_doubt());
}

#[test]
fn a_body_is_sent_with_its_length_and_never_in_chunks() {
    let (script, mut session) = talk(Json2, [ok("[7]")]);
    session.create("res.partner", json!({"name": "x".repeat(100_000)})).unwrap();
    let call = &script.calls()[0];
    assert!(call.header("transfer-encoding").is_none());
    assert_eq!(call.header("content-length").unwrap(), call.body.len().to_string());
    assert_eq!(call.header("authorization"), Some("bearer k3y"));
    assert_eq!(call.header("x-odoo-database"), Some("odoo"));
    assert_eq!(call.header("content-type"), Some("application/json"));
}

#[test]
fn an_answer_in_chunks_is_read() {
    let (_, mut session) =
        talk(JsonRpc, [Reply::Chunked(r#"{"jsonrpc":"2.0","id":ID,"result":[7,8,9]}"#.into())]);
    let ids = session.create_many("res.partner", [json!({}), json!({}), json!({})]).unwrap();
    assert_eq!(ids, [7, 8, 9]);
}

#[test]
fn a_500_is_not_sent_again() {
    let body = json!({"name": "builtins.ValueError", "message": "Invalid field 'bogus' in 'res.partner'",
                      "arguments": ["Invalid field 'bogus' in 'res.partner'"], "context": {}, "debug": "Traceback"});
    let (script, mut session) = talk(Json2, [status(500, body), ok("[7]")]);
    let error = session.create("res.partner", json!({"bogus": 1})).unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(500)));
    assert_eq!(error.field_errors()[0].path, "bogus");
    assert!(!error.is_retryable() && !error.is_in_doubt());
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn an_unknown_field_of_a_write_is_a_key_error_and_is_named() {
    let (_, mut session) = talk(JsonRpc, [error("builtins.KeyError", "zzz")]);
    let error = session.write("res.partner", [7], json!({"zzz": 1})).unwrap_err();
    assert_eq!((error.kind(), error.entity()), (ErrorKind::Rejected, Some("res.partner(7)")));
    assert_eq!(error.field_errors()[0].path, "zzz");
}

#[test]
fn a_page_where_json_was_expected_leaves_a_write_in_doubt_and_not_a_read() {
    let page = || html(200, "<html><title>Odoo</title></html>");
    let (_, mut session) = talk(JsonRpc, [page(), page()]);
    let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.is_in_doubt() && error.message().contains("Odoo"), "{error}");
    let error = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert!(!error.is_in_doubt());
}

#[test]
fn json_that_is_no_json_rpc_is_no_success() {
    for body in ["{}", r#"{"status":"ok"}"#, "[]", "null", "true", "7"] {
        let (_, mut session) = talk(JsonRpc, [ok(body)]);
        let confirmed = session.call("sale.order", "action_confirm", Args::ids([7]));
        let error = confirmed.unwrap_err();
        assert!(error.is_in_doubt() && error.kind() == ErrorKind::Protocol, "{body}: {error}");
    }
}

#[test]
fn pages_with_an_error_status_are_read_by_their_status() {
    for (code, kind) in [
        (404, ErrorKind::NotFound),
        (403, ErrorKind::Forbidden),
        (413, ErrorKind::Rejected),
        (415, ErrorKind::Protocol),
        (303, ErrorKind::Protocol),
        (504, ErrorKind::Unavailable),
        (500, ErrorKind::Server),
    ] {
        for protocol in [JsonRpc, WebSession, Json2] {
            let (script, mut session) = talk(protocol, [html(code, "<title>Oops</title>")]);
            let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
            assert_eq!((error.kind(), error.status()), (kind, Some(code)), "{protocol:?}: {error}");
            assert!(error.message().contains("Oops"), "{error}");
            assert_eq!(error.is_in_doubt(), code == 504, "{code}");
            assert_eq!(script.calls().len(), 1);
        }
    }
}

#[test]
fn an_error_of_early_builds_is_a_bare_string() {
    let (_, mut session) = talk(Json2, [status(422, r#""Contacts require a name""#)]);
    let error = session.create("res.partner", json!({})).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Rejected, "Contacts require a name"));
}

#[test]
fn a_conflict_of_transactions_is_tried_again_whatever_was_sent() {
    let text = "could not serialize access due to concurrent update";
    let conflict = || error("psycopg2.errors.SerializationFailure", text);
    let (script, mut session) = talk(JsonRpc, [conflict(), conflict(), result(&json!([7]))]);
    assert_eq!(session.create("res.partner", json!({"name": "x"})).unwrap(), 7);
    assert_eq!(script.calls().len(), 3);

    let body =
        json!({"name": "odoo.exceptions.LockError", "message": "locked", "arguments": [], "debug": ""});
    let locked = || status(409, &body);
    let (script, mut session) = talk(Json2, [locked(), locked(), locked(), locked()]);
    let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 3));
    assert!(error.is_retryable(), "it was rolled back");
    assert_eq!(script.calls().len(), 3);
}

#[test]
fn arguments_that_a_module_renamed_are_found_out_once() {
    let missing = || {
        let text = "missing a required argument: 'values'";
        status(
            422,
            json!({"name": "werkzeug.exceptions.UnprocessableEntity", "message": text, "arguments": [text, 422]}),
        )
    };
    let documented = json!({"model": "m", "methods": {"write": {"parameters": {"values": {}}, "api": []}}});
    let (script, mut session) = talk(Json2, [missing(), ok(documented), ok("true"), ok("true")]);
    session.write("res.company", [1], json!({"name": "x"})).unwrap();
    session.write("res.company", [1], json!({"name": "y"})).unwrap();
    let calls = script.calls();
    let paths: Vec<_> = calls.iter().map(|call| call.path().to_owned()).collect();
    let write = "/json/2/res.company/write";
    assert_eq!(paths, [write, "/doc-bearer/res.company.json", write, write]);
    assert_eq!(calls[2].json(), json!({"ids": [1], "values": {"name": "x"}}));
    assert_eq!(calls[3].json(), json!({"ids": [1], "values": {"name": "y"}}));

    // Only some users may read the documentation: the server's message names the parameter, too.
    let (script, mut session) = talk(Json2, [missing(), html(403, "<title>403</title>"), ok("true")]);
    session.write("res.company", [1], json!({"name": "x"})).unwrap();
    assert_eq!(script.calls()[2].json()["values"], json!({"name": "x"}));
}

#[test]
fn a_missing_argument_that_cannot_be_found_out_is_the_callers_mistake() {
    let text = "missing a required argument: 'vals_list'";
    let body =
        json!({"name": "werkzeug.exceptions.UnprocessableEntity", "message": text, "arguments": [text, 422]});
    let (script, mut session) = talk(Json2, [status(422, body)]);
    let error = session.call("res.partner", "create", Args::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn the_context_is_sent_as_context_and_is_never_changed() {
    let scope = Context::new().lang("fr_FR").set("default_color", 3);
    let before = scope.clone();
    for protocol in [JsonRpc, WebSession, Json2] {
        let answer = || if protocol == Json2 { ok("5") } else { result(&json!(5)) };
        let (script, mut session) = talk(protocol, [answer(), answer()]);
        let args = Args::new().arg("domain", Domain::all()).context(Context::new().lang("nl_BE")).read_only();
        session.with_context(&scope, |session| session.call("res.partner", "search_count", args)).unwrap();
        session.search_count("res.partner", Domain::all()).unwrap();
        let context = |call: &Value| match protocol {
            Json2 => call["context"].clone(),
            WebSession => call["params"]["kwargs"]["context"].clone(),
            _ => call["params"]["args"][6]["context"].clone(),
        };
        let calls = script.calls();
        assert_eq!(context(&calls[0].json()), json!({"lang": "nl_BE", "default_color": 3}), "{protocol:?}");
        assert_eq!(context(&calls[1].json()), Value::Null, "the scope is over");
    }
    assert_eq!(scope, before);
}

#[test]
fn creating_many_is_lean_unless_told_otherwise() {
    let (script, mut session) = talk(Json2, [ok("[1]"), ok("[2]")]);
    session.create_many("res.partner", [json!({"name": "x"})]).unwrap();
    session.create("res.partner", json!({"name": "x"})).unwrap();
    let calls = script.calls();
    let lean = json!({"tracking_disable": true, "mail_create_nolog": true, "mail_create_nosubscribe": true});
    assert_eq!(calls[0].json()["context"], lean);
    assert_eq!(calls[1].json()["context"], Value::Null);
}

#[test]
fn hostile_values_stay_values() {
    let name = "'] | ('\"\\\n\u{0}&";
    let (script, mut session) = talk(JsonRpc, [result(&json!(0))]);
    session.search_count("res.partner", field("name").eq(name) | field("ref").eq("!")).unwrap();
    let sent = &script.calls()[0].json()["params"]["args"][5][0];
    assert_eq!(*sent, json!(["|", ["name", "=", name], ["ref", "=", "!"]]));
}

#[test]
fn what_protocols_would_read_differently_is_not_sent() {
    let (script, mut session) = talk(JsonRpc, []);
    let bad: [(&str, &str, Args); 4] = [
        ("../web", "read", Args::new()),
        ("res.partner", "a/b", Args::new()),
        ("res.partner", "read", Args::ids([0])),
        ("res.partner", "read", Args::new().named("context", json!({}))),
    ];
    for (model, method, args) in bad {
        assert_eq!(session.call(model, method, args).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(session.create("res.partner", json!([1])).is_err());
    // Of no records nothing is sent.
    session.write("res.partner", [], json!({"name": "x"})).unwrap();
    session.unlink("res.partner", []).unwrap();
    assert!(session.read("res.partner", [], ["name"]).unwrap().is_empty());
    assert!(session.create_many::<Value>("res.partner", []).unwrap().is_empty());
    assert_eq!(script.calls().len(), 0);
}

#[test]
fn updates_of_records_stay_tracked_and_creates_are_lean() {
    let (script, session) = talk(Json2, [ok("true"), ok("[9]")]);
    drop(session);
    let client = script.builder().protocol(Json2).api_key("k3y").build().unwrap();
    script.answer_next(crate::script::login(Json2));
    let update = Operation::update("res.partner", [7], json!({"city": "Ghent"})).unwrap().priority(1);
    let create = Operation::create("res.partner", [json!({"name": "x"})]).unwrap();
    let report = Executor::new(&client).execute([update, create]).unwrap();
    assert!(report.is_complete(), "{report}");
    let calls = script.calls();
    assert_eq!(calls[0].json()["context"], Value::Null);
    assert_eq!(calls[1].json()["context"]["tracking_disable"], true);
}

#[test]
fn different_values_are_one_request_and_the_same_values_one_write() {
    let (script, mut session) = talk(Json2, [ok("[]"), ok("true")]);
    let city = |name: &str| json!({"city": name});
    session.write_each("res.partner", [(7, city("Ghent")), (8, city("Bruges"))]).unwrap();
    session.write_each("res.partner", [(7, city("Ghent")), (8, city("Ghent"))]).unwrap();
    let calls = script.calls();
    assert_eq!(calls[0].path(), "/json/2/res.partner/web_save_multi");
    let vals = json!([city("Ghent"), city("Bruges")]);
    assert_eq!(calls[0].json(), json!({"ids": [7, 8], "vals_list": vals, "specification": {}}));
    assert_eq!(calls[1].path(), "/json/2/res.partner/write");
    assert_eq!(calls[1].json(), json!({"ids": [7, 8], "vals": city("Ghent")}));
}

#[test]
fn fewer_ids_than_records_are_in_doubt() {
    let (_, mut session) = talk(Json2, [ok("[1]"), ok("true")]);
    let error = session.create_many("res.partner", [json!({}), json!({})]).unwrap_err();
    assert!(error.is_in_doubt() && error.kind() == ErrorKind::Protocol, "{error}");
    assert!(session.create("res.partner", json!({})).unwrap_err().is_in_doubt());
}
