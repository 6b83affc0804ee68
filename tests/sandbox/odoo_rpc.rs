//! `/jsonrpc`: the golden bodies of a real server.

use batchcall::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::odoo_client::{Odoo, trouble};

fn start() -> (Sandbox, Odoo) {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    (sandbox, odoo)
}

#[test]
fn a_version_and_a_uid_look_as_on_a_real_server() {
    let (_sandbox, odoo) = start();
    assert_eq!(
        odoo.rpc("common", "version", &json!([])),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"server_version": "19.0",
            "server_version_info": [19, 0, 0, "final", 0, ""], "server_serie": "19.0", "protocol_version": 1}})
    );
    let check = |password: &str| odoo.rpc("common", "authenticate", &json!(["odoo", "admin", password, {}]));
    assert_eq!(check("admin"), json!({"jsonrpc": "2.0", "id": 1, "result": 2}));
    assert_eq!(check("wrong"), json!({"jsonrpc": "2.0", "id": 1, "result": false}));
    assert_eq!(
        check(&odoo.key),
        json!({"jsonrpc": "2.0", "id": 1, "result": 2}),
        "a key in the password's place"
    );
    let unknown = odoo.rpc("common", "login", &json!(["nodb", "admin", "admin"]));
    assert_eq!(trouble(&unknown).0, "psycopg2.OperationalError");
}

#[test]
fn an_error_is_200_with_code_0_or_200_in_version_17_and_a_wrong_password_is_golden() {
    let (_sandbox, odoo) = start();
    let call = json!(["odoo", 2, "wrong", "res.partner", "read", [[1]], {}]);
    assert_eq!(
        odoo.rpc("object", "execute_kw", &call),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "Odoo Server Error", "data": {
            "name": "odoo.exceptions.AccessDenied", "message": "Access Denied", "arguments": ["Access Denied"],
            "context": {}, "debug": "odoo.exceptions.AccessDenied: Access Denied\n"}}})
    );
    let older = Sandbox::odoo(17).start().unwrap();
    assert_eq!(Odoo::new(&older).rpc("object", "execute_kw", &call)["error"]["code"], 200);
}

#[test]
fn create_answers_a_list_with_ids_in_order_and_a_dictionary_with_one() {
    let (sandbox, odoo) = start();
    let create = |values: Value| odoo.call("res.partner", "create", &json!([values]));
    assert_eq!(create(json!([{"name": "A"}, {"name": "B"}, {"name": "C"}])), json!([7, 8, 9]));
    assert_eq!(create(json!([{"name": "D"}])), json!([10]));
    assert_eq!(create(json!({"name": "E"})), json!(11));
    assert_eq!(create(json!([])), json!([]));
    assert_eq!(sandbox.record("res.partner", "9").unwrap()["name"], "C");
    let named = odoo.execute("res.partner", "create", &json!([]), &json!({"vals_list": [{"name": "F"}]}));
    assert_eq!(trouble(&named).0, "builtins.IndexError", "positional only over this wire");
}

#[test]
fn read_shows_false_for_empty_and_a_pair_for_a_relation() {
    let (_sandbox, odoo) = start();
    let belgium = odoo.call("res.country", "search", &json!([[["code", "=", "BE"]]]))[0].clone();
    let id = odoo.call("res.partner", "create", &json!([{"name": "R1", "country_id": belgium}]));
    let fields = json!(["name", "email", "country_id", "category_id", "color", "active", "parent_id"]);
    assert_eq!(
        odoo.call("res.partner", "read", &json!([[id], fields])),
        json!([{"id": id, "name": "R1", "email": false, "country_id": [belgium, "Belgium"], "category_id": [],
            "color": 0, "active": true, "parent_id": false}])
    );
    let bare = odoo.execute("res.partner", "read", &json!([[id], ["country_id"]]), &json!({"load": ""}));
    assert_eq!(bare["result"][0]["country_id"], belgium);
    let all = odoo.call("res.partner", "read", &json!([[id]]));
    assert_eq!(all[0]["create_date"].as_str().unwrap().len(), "2026-11-21 03:47:28".len());
}

#[test]
fn read_keeps_order_and_duplicates_and_drops_what_is_gone_and_texts() {
    let (_sandbox, odoo) = start();
    let ids = |ids: Value| -> Vec<Value> {
        let rows = odoo.call("res.partner", "read", &json!([ids, ["name"]]));
        rows.as_array().unwrap().iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(ids(json!([3, 1, 3])), [3, 1, 3]);
    assert_eq!(ids(json!([1, 999, 2])), [1, 2]);
    assert!(ids(json!(["1"])).is_empty());
    assert!(ids(json!("1")).is_empty());
    assert_eq!(odoo.call("res.partner", "read", &json!([])), json!([]));
    assert_eq!(odoo.call("res.partner", "write", &json!([[], {"name": "X"}])), true);
}

#[test]
fn mistakes_are_worded_as_on_a_real_server() {
    let (_sandbox, odoo) = start();
    let partner = |method: &str, args: Value| odoo.trouble("res.partner", method, &args);
    let is = |seen: (String, String), name: &str, message: &str| {
        assert_eq!(seen, (name.to_owned(), message.to_owned()));
    };
    let validation = "odoo.exceptions.ValidationError";
    is(
        partner("create", json!([{"email": "x@example.com"}])),
        validation,
        "The operation cannot be completed: Contacts require a name",
    );
    is(
        partner("create", json!([{"name": "A", "bogus_field": 1}])),
        "builtins.ValueError",
        "Invalid field 'bogus_field' in 'res.partner'",
    );
    is(partner("write", json!([[1], {"zzz": 1}])), "builtins.KeyError", "zzz");
    is(
        partner("read", json!([[1], ["nofield"]])),
        "builtins.ValueError",
        "Invalid field 'nofield' on 'res.partner'",
    );
    is(
        partner("search", json!([[["nof", "=", 1]]])),
        "builtins.ValueError",
        "Invalid field res.partner.nof in condition ('nof', '=', 1)",
    );
    is(
        partner("search", json!([[["name", "foo", "x"]]])),
        "builtins.ValueError",
        "Invalid operator in condition ('name', 'foo', 'x')",
    );
    is(
        partner("search", json!([[["name", "="]]])),
        "builtins.ValueError",
        "Domain() invalid item in domain: ['name', '=']",
    );
    is(
        partner("write", json!([[1, 13], {"name": "X"}])),
        "odoo.exceptions.MissingError",
        "Record does not exist or has been deleted.\n(Record: res.partner(13,), User: 2)",
    );
    is(
        partner("_write", json!([[1], {}])),
        "odoo.exceptions.AccessError",
        "Private methods (such as 'res.partner._write') cannot be called remotely.",
    );
    is(
        partner("check_access", json!([[1], "read"])),
        "odoo.exceptions.AccessError",
        "Private methods (such as 'res.partner.check_access') cannot be called remotely.",
    );
    is(
        partner("nomethod", json!([])),
        "builtins.AttributeError",
        "The method 'res.partner.nomethod' does not exist",
    );
    is(
        odoo.trouble("no.model", "read", &json!([])),
        "odoo.exceptions.UserError",
        "Object no.model doesn't exist",
    );
    is(
        odoo.trouble("res.users", "create", &json!([{"name": "X", "login": "admin"}])),
        validation,
        "The operation cannot be completed: You can not have two users with the same login!",
    );
    let (name, message) = odoo.trouble("product.template", "create", &json!([{}]));
    assert_eq!(name, validation);
    assert!(message.starts_with(
        "The operation cannot be completed: Missing required value for the field 'Name' (name).\nModel: 'Product' \
         (product.template)\n- create/update: a mandatory field is not set\n- delete: "
    ));
}

#[test]
fn an_unknown_uid_is_missing_and_a_false_one_denied_and_a_text_will_do() {
    let (_sandbox, odoo) = start();
    let call = |uid: Value| {
        odoo.rpc("object", "execute_kw", &json!(["odoo", uid, "admin", "res.partner", "search_count", [[]]]))
    };
    assert_eq!(trouble(&call(json!(999))).0, "odoo.exceptions.MissingError");
    assert_eq!(trouble(&call(json!(false))).0, "odoo.exceptions.AccessDenied");
    assert!(call(json!("2"))["result"].is_i64());
}

#[test]
fn a_method_that_returns_nothing_gives_no_result() {
    let (_sandbox, odoo) = start();
    let answer = odoo.execute("res.partner", "check_access_rights", &json!(["write"]), &Value::Null);
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1}));
}

#[test]
fn the_id_is_returned_as_it_came_and_a_bad_body_is_400() {
    let (_sandbox, odoo) = start();
    for id in [json!("abc"), json!(null), json!([1]), json!(1.5)] {
        let body = json!({"params": {"service": "common", "method": "version"}, "id": id});
        assert_eq!(odoo.post("/jsonrpc", &body).json()["id"], id);
    }
    let batch = odoo.post("/jsonrpc", &json!([]));
    assert_eq!((batch.status, batch.text().contains("Invalid JSON-RPC data")), (400, true));
    let headers = [("Content-Type", "application/json; charset=utf-8")];
    let broken = odoo.send("POST", "/jsonrpc", &headers, "{").unwrap();
    assert_eq!((broken.status, broken.text().contains("Invalid JSON data")), (400, true));
    let plain = odoo.send("POST", "/jsonrpc", &[("Content-Type", "text/plain")], "{}").unwrap();
    assert_eq!(plain.status, 415);
    assert_eq!(odoo.post("/nowhere", &json!({})).status, 404);
}

#[test]
fn a_chunked_body_is_read() {
    let (_sandbox, odoo) = start();
    let headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
    let body = r#"{"params":{"service":"common","method":"version"}}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(
        odoo.send("POST", "/jsonrpc", &headers, &chunked).unwrap().json()["result"]["server_serie"],
        "19.0"
    );
}

#[test]
fn a_context_is_one_only_under_its_name() {
    let (_sandbox, odoo) = start();
    let create = |kwargs: Value| odoo.execute("res.partner", "create", &json!([{"name": "A"}]), &kwargs);
    let id = create(json!({"context": {"default_color": 5, "tracking_disable": true}}))["result"].clone();
    assert_eq!(odoo.call("res.partner", "read", &json!([[id], ["color"]]))[0]["color"], 5);
    assert_eq!(
        trouble(&create(json!({"tracking_disable": true}))),
        (
            "builtins.TypeError".into(),
            "create() got an unexpected keyword argument 'tracking_disable'".into()
        )
    );
    assert_eq!(
        trouble(&create(json!({"context": {"lang": "xx_YY"}}))),
        ("odoo.exceptions.UserError".into(), "Invalid language code: xx_YY".into())
    );
}

#[test]
fn version_17_has_neither_json_2_nor_web_save_multi() {
    let sandbox = Sandbox::odoo(17).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    assert_eq!(odoo.send("GET", "/json/version", &[], "").unwrap().status, 404);
    assert_eq!(odoo.send("GET", "/web/version", &[], "").unwrap().status, 404);
    assert_eq!(odoo.json2("res.partner", "search_count", &json!({"domain": []})).status, 404);
    assert_eq!(
        odoo.trouble("res.partner", "web_save_multi", &json!([[1], [{}], {}])).0,
        "builtins.AttributeError"
    );
    assert_eq!(odoo.rpc("common", "version", &json!([]))["result"]["server_version"], "17.0");
    assert_eq!(odoo.call("res.partner", "create", &json!([[{"name": "A"}, {"name": "B"}]])), json!([7, 8]));
}
