//! Odoo, by the protocols of an old and of a new server, against the stand-in.

use std::rc::Rc;

use batchcall::Odoo;
use batchcall::odoo::Protocol;
use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use serde_json::{Value, json};

use crate::suite::Fixture;

fn fixture(version: u8, protocol: Protocol) -> Fixture<Odoo> {
    let server = Rc::new(Sandbox::odoo(version).start().unwrap());
    let builder = Odoo::builder(server.url()).database("odoo").protocol(protocol);
    let builder = match protocol {
        Protocol::Json2 => builder.api_key(server.api_key("admin").unwrap()),
        _ => builder.login("admin", "admin"),
    };
    let (looked_at, losing, counted) = (Rc::clone(&server), Rc::clone(&server), Rc::clone(&server));
    Fixture {
        model: "res.partner".into(),
        good: |n| json!({"ref": format!("R{n:03}"), "name": "w", "city": format!("C{n}")}),
        bad: Some(|n| json!({"ref": format!("R{n:03}"), "name": false, "city": format!("C{n}")})),
        key: "ref",
        change: ("name", json!("changed"), json!("changed again")),
        parent: Some("parent_id"),
        missing: 99_999.into(),
        // Looked at in the server itself: requests are counted.
        rows: Box::new(move |_| {
            let row = |row: Value| {
                let fields = ["ref", "name", "city", "parent_id"];
                let value = |name: &str| match &row[name] {
                    // A related record by its id.
                    Value::Array(related) => related[0].clone(),
                    plain => plain.clone(),
                };
                let given =
                    fields.map(|name| (name, value(name))).into_iter().filter(|(_, value)| *value != false);
                (row["id"].as_i64().unwrap().into(), given.collect())
            };
            looked_at.records("res.partner").into_iter().filter(|row| row["ref"] != false).map(row).collect()
        }),
        lose_answer: Some(Box::new(move |_| {
            losing.set_faults(Faults::none().at_on(Calls::Create, 1, Fault::ResetAfter));
        })),
        requests: Some(Box::new(move |_| counted.history().data_requests())),
        store: builder.build().unwrap(),
        keep: Box::new(server),
    }
}

fn json2() -> Fixture<Odoo> {
    fixture(19, Protocol::Json2)
}

fn web_session() -> Fixture<Odoo> {
    fixture(19, Protocol::WebSession)
}

fn old_json_rpc() -> Fixture<Odoo> {
    fixture(17, Protocol::JsonRpc)
}

conformance!(by_json2, json2);
conformance!(by_web_session, web_session);
conformance!(by_json_rpc, old_json_rpc);
