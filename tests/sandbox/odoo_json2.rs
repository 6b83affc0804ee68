//! JSON-2: statuses, keys, arguments by name.

use batchcall::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::odoo_client::Odoo;

fn start() -> (Sandbox, Odoo) {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    (sandbox, odoo)
}

#[test]
fn results_are_bare_and_create_answers_a_list_even_for_one() {
    let (_sandbox, odoo) = start();
    let call = |method: &str, body: Value| odoo.json2("res.partner", method, &body).json();
    assert_eq!(call("create", json!({"vals_list": [{"name": "A"}, {"name": "B"}]})), json!([7, 8]));
    assert_eq!(call("create", json!({"vals_list": {"name": "C"}})), json!([9]));
    assert_eq!(call("write", json!({"ids": [7, 8], "vals": {"city": "Namur"}})), true);
    assert_eq!(
        call("read", json!({"ids": [8], "fields": ["name", "city"]})),
        json!([{"id": 8, "name": "B", "city": "Namur"}])
    );
    assert_eq!(call("search_count", json!({"domain": [["city", "=", "Namur"]]})), 2);
    assert_eq!(call("unlink", json!({"ids": [7, 8, 9]})), true);
    assert_eq!(call("search", json!({"domain": [["id", "in", [7, 8, 9]]]})), json!([]));
    assert_eq!(call("check_access_rights", json!({"operation": "read"})), Value::Null);
}

#[test]
fn each_error_has_its_status_and_a_body_without_envelope() {
    let (sandbox, odoo) = start();
    let is = |model: &str, method: &str, body: Value, status: u16, name: &str, message: &str| {
        let answer = odoo.json2(model, method, &body);
        let error = answer.json();
        assert_eq!(
            (answer.status, error["name"].as_str().unwrap(), error["message"].as_str().unwrap()),
            (status, name, message)
        );
        assert!(error["arguments"].is_array() && error["context"].is_object() && error["debug"].is_string());
    };
    let partner = "res.partner";
    is(
        partner,
        "create",
        json!({"vals_list": [{"email": "x"}]}),
        422,
        "odoo.exceptions.ValidationError",
        "The operation cannot be completed: Contacts require a name",
    );
    is(
        partner,
        "create",
        json!({"vals_list": [{"name": "A", "bogus": 1}]}),
        500,
        "builtins.ValueError",
        "Invalid field 'bogus' in 'res.partner'",
    );
    is(partner, "write", json!({"ids": [1], "vals": {"zz": 1}}), 500, "builtins.KeyError", "zz");
    is(
        partner,
        "unlink",
        json!({"ids": [13]}),
        404,
        "odoo.exceptions.MissingError",
        "Record does not exist or has been deleted.\n(Record: res.partner(13,), User: 2)",
    );
    let unprocessable = "werkzeug.exceptions.UnprocessableEntity";
    is(partner, "create", json!({}), 422, unprocessable, "missing a required argument: 'vals_list'");
    is(
        partner,
        "search_count",
        json!({"domain": [], "foo": 1}),
        422,
        unprocessable,
        "got an unexpected keyword argument 'foo'",
    );
    is(
        partner,
        "create",
        json!({"ids": [1], "vals_list": []}),
        422,
        unprocessable,
        "cannot call res.partner.create with ids",
    );
    let missing = "werkzeug.exceptions.NotFound";
    is("no.model", "read", json!({}), 404, missing, "the model 'no.model' does not exist");
    is(partner, "nomethod", json!({}), 404, missing, "The method 'res.partner.nomethod' does not exist");
    is(
        partner,
        "_write",
        json!({}),
        403,
        "odoo.exceptions.AccessError",
        "Private methods (such as 'res.partner._write') cannot be called remotely.",
    );
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn a_wrong_key_is_401_and_neither_password_nor_cookie_will_do() {
    let (_sandbox, mut odoo) = start();
    odoo.key = "admin".into();
    let answer = odoo.json2("res.partner", "read", &json!({}));
    assert_eq!((answer.status, answer.json()["message"].clone()), (401, "Invalid apikey".into()));
    assert_eq!(answer.json()["arguments"], json!(["Invalid apikey", 401]));
    assert_eq!(answer.header("WWW-Authenticate").unwrap(), "Bearer");
    odoo.sign_in("admin");
    let bare =
        odoo.send("POST", "/json/2/res.partner/read", &[("Content-Type", "application/json")], "{}").unwrap();
    assert_eq!(bare.status, 401);
}

#[test]
fn a_key_of_another_user_than_the_cookie_is_403() {
    let (sandbox, mut odoo) = start();
    odoo.sign_in("admin");
    let mut demo = Odoo::demo(&sandbox);
    demo.cookie = odoo.cookie.clone();
    assert_eq!(demo.json2("res.partner", "search_count", &json!({"domain": []})).status, 403);
}

#[test]
fn a_chunked_body_is_taken_for_an_empty_one() {
    let (_sandbox, odoo) = start();
    let bearer = format!("Bearer {}", odoo.key);
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
        ("Transfer-Encoding", "chunked"),
    ];
    let body = r#"{"vals_list":[{"name":"A"}]}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let answer = odoo.send("POST", "/json/2/res.partner/create", &headers, &chunked).unwrap();
    assert_eq!(
        (answer.status, answer.json()["message"].clone()),
        (422, "missing a required argument: 'vals_list'".into())
    );
}

#[test]
fn bodies_that_are_no_object_are_no_arguments_and_those_that_are_no_json_400() {
    let (_sandbox, odoo) = start();
    let bearer = format!("BEARER {}", odoo.key);
    let send = |kind: &str, body: &str| {
        let headers = [("Content-Type", kind), ("Authorization", bearer.as_str())];
        odoo.send("POST", "/json/2/res.users/context_get", &headers, body).unwrap().status
    };
    for body in ["[]", "null", "", "{}"] {
        assert_eq!(send("application/json", body), 200, "{body}");
    }
    assert_eq!(send("application/json", "{"), 400);
    assert_eq!(send("text/plain", "{}"), 415);
}

#[test]
fn with_two_databases_the_header_is_needed_and_must_name_one() {
    let sandbox = Sandbox::odoo(19).database("main").other_database("other").start().unwrap();
    let odoo = Odoo::new(&sandbox);
    let bearer = format!("bearer {}", odoo.key);
    let send = |database: Option<&str>| {
        let mut headers = vec![("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
        headers.extend(database.map(|name| ("X-Odoo-Database", name)));
        odoo.send("POST", "/json/2/res.users/context_get", &headers, "{}").unwrap()
    };
    assert_eq!(send(None).status, 404);
    assert!(send(None).header("Content-Type").unwrap().starts_with("text/html"));
    assert_eq!(send(Some("main")).json()["uid"], 2);
    assert_eq!(send(Some("nodb")).status, 404);
    assert_eq!(send(Some("other")).status, 401);
}

#[test]
fn the_version_needs_no_key_and_the_description_names_parameters_in_order() {
    let (sandbox, odoo) = start();
    for path in ["/json/version", "/web/version"] {
        let answer = odoo.send("GET", path, &[], "").unwrap().json();
        assert_eq!(answer, json!({"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}));
    }
    let describe = |odoo: &Odoo, name: &str| {
        let bearer = format!("bearer {}", odoo.key);
        odoo.send("GET", &format!("/doc-bearer/{name}.json"), &[("Authorization", bearer.as_str())], "")
            .unwrap()
    };
    let about = describe(&odoo, "res.partner");
    let text = about.text();
    let at = |name: &str| text.find(name).unwrap();
    assert!(text.contains(r#""parameters":{"domain":{},"offset":{"default":"0"},"limit":"#));
    assert!(at("\"create\"") < at("\"write\""));
    assert_eq!(about.json()["methods"]["create"]["api"], json!(["model"]));
    assert_eq!(about.json()["fields"]["parent_id"]["relation"], "res.partner");
    assert!(describe(&odoo, "index").json()["models"].is_array());
    assert_eq!(describe(&odoo, "no.model").status, 404);
    assert_eq!(describe(&Odoo::demo(&sandbox), "res.partner").status, 403);
    let bearer = format!("bearer {}", odoo.key);
    let wrong =
        odoo.send("GET", "/json/2/res.partner/read", &[("Authorization", bearer.as_str())], "").unwrap();
    assert_eq!(
        (wrong.status, wrong.json()["message"].clone()),
        (404, "Did you mean POST /json/2/<model>/<method>?".into())
    );
}

#[test]
fn web_save_multi_writes_different_values_in_one_transaction() {
    let (sandbox, odoo) = start();
    odoo.json2("res.partner", "create", &json!({"vals_list": [{"name": "A"}, {"name": "B"}]}));
    let save = |list: Value| {
        let body = json!({"ids": [7, 8], "vals_list": list, "specification": {"name": {}}});
        odoo.json2("res.partner", "web_save_multi", &body)
    };
    assert_eq!(
        save(json!([{"name": "A1"}, {"name": "B1"}])).json(),
        json!([{"id": 7, "name": "A1"}, {"id": 8, "name": "B1"}])
    );
    assert_eq!(save(json!([{"name": "A2"}])).status, 500);
    assert_eq!(save(json!([{"name": "A2"}, {"name": false}])).status, 422);
    assert_eq!(sandbox.record("res.partner", "7").unwrap()["name"], "A1", "rolled back");
}
