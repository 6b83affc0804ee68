//! The web session: cookies, expiry, the pause after wrong passwords.

use std::time::Duration;

use batchcall::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::odoo_client::{Odoo, trouble};

#[test]
fn signing_in_gives_a_cookie_of_84_characters_and_signing_out_ends_it() {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    let answer = odoo.sign_in("admin");
    let info = answer.json()["result"].clone();
    assert_eq!(
        (info["uid"].clone(), info["db"].clone(), info["username"].clone()),
        (2.into(), "odoo".into(), "admin".into())
    );
    assert_eq!(odoo.cookie.as_ref().unwrap().len(), 84);
    assert!(answer.header("Set-Cookie").unwrap().ends_with("Max-Age=604800; HttpOnly; Path=/"));
    assert_eq!(odoo.call_kw("res.partner", "create", &json!([{"name": "A"}]))["result"], 7);
    assert_eq!(sandbox.open_sessions(), 1);
    let destroyed = odoo.web("/web/session/destroy", &json!({})).json();
    assert_eq!(destroyed, json!({"jsonrpc": "2.0", "id": 7}), "None has no result");
    let history = sandbox.history();
    assert_eq!((history.logins(), history.logouts(), sandbox.open_sessions()), (1, 1, 0));
    assert_eq!(history.effects().next().unwrap().session, 1);
    assert_eq!(odoo.call_kw("res.partner", "read", &json!([[1]]))["error"]["code"], 100);
}

#[test]
fn a_wrong_password_is_an_error_without_a_cookie_and_a_key_is_no_password() {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    let key = odoo.key.clone();
    for password in ["wrong", key.as_str()] {
        let answer = odoo.sign_in(password);
        assert_eq!((answer.status, answer.header("Set-Cookie")), (200, None));
        assert_eq!(trouble(&answer.json()).0, "odoo.exceptions.AccessDenied");
    }
    let params = json!({"db": "nodb", "login": "admin", "password": "admin"});
    let unknown = trouble(&odoo.web("/web/session/authenticate", &params).json());
    assert_eq!(unknown, ("odoo.exceptions.AccessError".into(), "Database not found.".into()));
    assert_eq!(sandbox.history().wrong_passwords(), 3);
}

#[test]
fn without_a_session_the_answer_has_code_100_and_no_id() {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    odoo.cookie = Some("bogus".into());
    let answer = odoo.call_kw("res.partner", "read", &json!([[1]]));
    assert_eq!((answer["id"].clone(), answer["error"]["code"].clone()), (Value::Null, 100.into()));
    assert_eq!(answer["error"]["message"], "Odoo Session Expired");
    assert_eq!(trouble(&answer).0, "odoo.http.SessionExpiredException");
    odoo.sign_in("admin");
    sandbox.expire_sessions();
    assert_eq!(odoo.call_kw("res.partner", "read", &json!([[1]]))["error"]["code"], 100);
}

#[test]
fn call_kw_wants_all_four_and_calls_an_unknown_model_404() {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    odoo.sign_in("admin");
    let params = json!({"model": "res.partner", "method": "read", "args": [[1]]});
    let path = "/web/dataset/call_kw/res.partner/read";
    assert_eq!(trouble(&odoo.web(path, &params).json()).0, "builtins.TypeError");
    let unknown = odoo.call_kw("no.model", "read", &json!([[1]]));
    assert_eq!(
        (unknown["id"].clone(), unknown["error"]["code"].clone(), unknown["error"]["message"].clone()),
        (Value::Null, 404.into(), "404: Not Found".into())
    );
}

#[test]
fn signing_in_again_with_the_old_cookie_ends_the_old_session() {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    odoo.sign_in("admin");
    let mut old = Odoo::new(&sandbox);
    old.cookie = odoo.cookie.clone();
    odoo.sign_in("admin");
    assert_ne!(odoo.cookie, old.cookie);
    assert_eq!(old.call_kw("res.partner", "read", &json!([[1]]))["error"]["code"], 100);
    assert!(odoo.call_kw("res.partner", "read", &json!([[1]])).get("error").is_none());
    let mut other = Odoo::new(&sandbox);
    other.sign_in("admin");
    assert_eq!(sandbox.open_sessions(), 2, "without a cookie it is a session of its own");
}

#[test]
fn the_database_header_makes_a_sign_in_stateless_and_must_fit_the_session() {
    let sandbox = Sandbox::odoo(19).other_database("other").start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    let body = json!({"params": {"db": "odoo", "login": "admin", "password": "admin"}}).to_string();
    let headers = [("Content-Type", "application/json"), ("X-Odoo-Database", "odoo")];
    let answer = odoo.send("POST", "/web/session/authenticate", &headers, &body).unwrap();
    assert_eq!((answer.json()["result"]["uid"].clone(), answer.header("Set-Cookie")), (2.into(), None));
    odoo.sign_in("admin");
    let headers = [("Content-Type", "application/json"), ("X-Odoo-Database", "other")];
    let body = json!({"params": {"model": "res.partner", "method": "read", "args": [[1]], "kwargs": {}}})
        .to_string();
    assert_eq!(odoo.send("POST", "/web/dataset/call_kw", &headers, &body).unwrap().status, 403);
}

#[test]
fn ten_wrong_passwords_close_the_web_sign_in_for_a_while_and_nothing_else() {
    let sandbox = Sandbox::odoo(19).cooldown(Duration::from_millis(300)).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    for _ in 0..10 {
        assert_eq!(trouble(&odoo.sign_in("wrong").json()).1, "Access Denied");
    }
    let closed = "Too many login failures, please wait a bit before trying again.";
    assert_eq!(trouble(&odoo.sign_in("admin").json()).1, closed);
    assert_eq!(odoo.rpc("common", "authenticate", &json!(["odoo", "admin", "admin", {}]))["result"], 2);
    assert_eq!(odoo.json2("res.partner", "search_count", &json!({"domain": []})).status, 200);
    std::thread::sleep(Duration::from_millis(350));
    assert!(odoo.sign_in("admin").json().get("error").is_none());
}
