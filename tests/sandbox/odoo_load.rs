//! `load`: messages, external ids, the cut after ten errors, conflicts.

use std::thread;
use std::time::Duration;

use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use serde_json::{Value, json};

use crate::odoo_client::Odoo;

fn start() -> (Sandbox, Odoo) {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    (sandbox, odoo)
}

fn load(odoo: &Odoo, fields: &Value, data: &Value) -> Value {
    odoo.call("res.partner", "load", &json!([fields, data]))
}

const CONFLICT: &str = "could not serialize access due to concurrent update";

#[test]
fn rows_without_a_name_are_told_and_nothing_is_loaded() {
    let (sandbox, odoo) = start();
    let data: Vec<Value> =
        (0..100).map(|i| json!([if i == 3 || i == 60 { String::new() } else { format!("N{i}") }])).collect();
    let answer = load(&odoo, &json!(["name"]), &json!(data));
    let message = |row: usize| json!({"rows": {"from": row, "to": row}, "record": row, "type": "error", "message": "Contacts require a name"});
    assert_eq!(answer, json!({"ids": false, "messages": [message(3), message(60)], "nextrow": 0}));
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn an_external_id_updates_what_it_names_and_makes_what_it_does_not() {
    let (sandbox, odoo) = start();
    let fields = json!(["id", "name", "color"]);
    let first = load(&odoo, &fields, &json!([["a", "A", "1"], ["my.b", "B", "2"]]));
    assert_eq!(first, json!({"ids": [7, 8], "messages": [], "nextrow": 0}));
    let second = load(&odoo, &fields, &json!([["a", "A2", "3"], ["c", "C", "4"]]));
    assert_eq!(second["ids"], json!([7, 9]));
    assert_eq!(sandbox.record("res.partner", "__import__.a").unwrap()["name"], "A2");
    assert_eq!(sandbox.record("res.partner", "my.b").unwrap()["color"], 2);
    let found = odoo.execute(
        "ir.model.data",
        "search_read",
        &json!([
            [["module", "=", "__import__"], ["name", "in", ["a", "c", "nobody"]]],
            ["name", "res_id", "model"]
        ]),
        &json!({"order": "name"}),
    );
    let names: Vec<_> = found["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].clone(), row["res_id"].clone()))
        .collect();
    assert_eq!(names, [("a".into(), 7.into()), ("c".into(), 9.into())]);
    let taken = load(&odoo, &json!(["id", "name"]), &json!([["base.be", "X"]]));
    assert!(
        taken["messages"][0]["message"]
            .as_str()
            .unwrap()
            .contains("found record of different model res.country")
    );
}

#[test]
fn rows_may_refer_to_rows_before_them_and_to_relations_by_id_and_name() {
    let (sandbox, odoo) = start();
    let answer = load(
        &odoo,
        &json!(["id", "name", "parent_id/id", "country_id", "country_id/id", "category_id", "state_id/.id"]),
        &json!([
            ["p", "Parent", "", "Belgium", "", "Vendor,Prospect", "1"],
            ["c", "Child", "p", "", "base.fr", "", ""],
        ]),
    );
    assert_eq!(answer["ids"], json!([7, 8]), "{answer}");
    let (parent, child) =
        (sandbox.record("res.partner", "7").unwrap(), sandbox.record("res.partner", "8").unwrap());
    assert_eq!(child["parent_id"], json!([7, "Parent"]));
    assert_eq!(parent["state_id"][0], 1);
    assert_eq!(parent["category_id"], json!([1, 2]));
    assert_eq!(child["country_id"][1], "France");
}

#[test]
fn what_cannot_be_converted_is_told_with_its_row_and_field() {
    let (_sandbox, odoo) = start();
    let answer = load(
        &odoo,
        &json!([
            "name",
            "color",
            "partner_latitude",
            "is_company",
            "type",
            "country_id",
            "parent_id/id",
            "date"
        ]),
        &json!([
            ["A", "red", "1.5", "", "Invoice", "", "", ""],
            ["B", "1", "north", "maybe", "home", "Atlantis", "no.body", "31/12/2026"],
        ]),
    );
    let messages = answer["messages"].as_array().unwrap();
    let of = |field: &str| {
        messages.iter().find(|m| m["field"] == field).unwrap_or_else(|| panic!("{field}: {answer}"))
    };
    assert_eq!(answer["ids"], false);
    assert_eq!(of("color")["message"], "'red' does not seem to be an integer for field 'Color Index'");
    assert_eq!(
        (of("color")["rows"].clone(), of("color")["field_name"].clone()),
        (json!({"from": 0, "to": 0}), "Color Index".into())
    );
    assert_eq!(of("partner_latitude")["record"], 1);
    assert_eq!(of("is_company")["moreinfo"], "Use '1' for yes and '0' for no");
    assert_eq!(of("type")["message"], "Value 'home' not found in selection field 'Address Type'");
    assert_eq!(
        of("country_id")["message"],
        "No matching record found for name 'Atlantis' in field 'Country'"
    );
    assert_eq!(
        of("parent_id")["message"],
        "No matching record found for external id 'no.body' in field 'Related Company'"
    );
    assert_eq!(of("date")["moreinfo"], "Use the format '2012-12-31'");
    assert_eq!(odoo.trouble("res.partner", "load", &json!([["nofield"], [["x"]]])).0, "builtins.KeyError");
}

#[test]
fn a_database_id_updates_and_an_unknown_one_is_told() {
    let (sandbox, odoo) = start();
    odoo.call("res.partner", "create", &json!([[{"name": "A"}, {"name": "B"}]]));
    let answer = load(&odoo, &json!([".id", "city"]), &json!([["7", "Namur"], ["8", "Mons"]]));
    assert_eq!(answer["ids"], json!([7, 8]));
    assert_eq!(sandbox.record("res.partner", "8").unwrap()["city"], "Mons");
    let answer = load(&odoo, &json!([".id", "name"]), &json!([["99", "X"]]));
    assert_eq!(
        (answer["messages"][0]["message"].clone(), answer["ids"].clone()),
        ("Unknown database identifier '99'".into(), false.into())
    );
}

#[test]
fn rows_of_children_belong_to_the_record_above_them() {
    let (sandbox, odoo) = start();
    let answer = load(
        &odoo,
        &json!(["name", "child_ids/name", "child_ids/type"]),
        &json!([["P", "C1", "invoice"], ["", "C2", "delivery"], ["Q", "", ""], ["", "", ""]]),
    );
    assert_eq!(
        answer["messages"][0]["rows"],
        json!({"from": 3, "to": 3}),
        "the empty row is a record of its own"
    );
    let answer =
        load(&odoo, &json!(["name", "child_ids/name"]), &json!([["P", "C1"], ["", "C2"], ["Q", ""]]));
    let ids = answer["ids"].as_array().unwrap();
    assert_eq!(ids.len(), 2, "{answer}");
    assert_eq!(
        sandbox.record("res.partner", &ids[0].to_string()).unwrap()["child_ids"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn after_ten_errors_the_rest_is_not_looked_at() {
    let (_sandbox, odoo) = start();
    let data: Vec<Value> = (0..50).map(|_| json!([""])).collect();
    let answer = load(&odoo, &json!(["name"]), &json!(data));
    let messages = answer["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 11);
    assert_eq!((messages[10]["type"].clone(), messages[10].get("rows")), ("warning".into(), None));
    assert!(messages[10]["message"].as_str().unwrap().starts_with("Found more than 10 errors"));
    // One error in more than ten rows is few: they are all told.
    let data: Vec<Value> = (0..400).map(|i| json!([if i % 20 == 19 { "" } else { "N" }])).collect();
    let answer = load(&odoo, &json!(["name"]), &json!(data));
    assert_eq!(answer["messages"].as_array().unwrap().len(), 20);
}

#[test]
fn a_limit_says_where_to_go_on() {
    let (_sandbox, odoo) = start();
    let kwargs = json!({"context": {"_import_limit": 2}});
    let answer = odoo.execute("res.partner", "load", &json!([["name"], [["A"], ["B"], ["C"]]]), &kwargs);
    assert_eq!(
        (answer["result"]["ids"].clone(), answer["result"]["nextrow"].clone()),
        (json!([7, 8]), 2.into())
    );
}

#[test]
fn a_conflict_on_demand_is_a_message_and_no_error_and_nothing_is_loaded() {
    let sandbox = Sandbox::odoo(19)
        .faults(Faults::none().at_on(Calls::Load, 1, Fault::SerializationFailure(1)))
        .start()
        .unwrap();
    let odoo = Odoo::new(&sandbox);
    let rows = json!([["A"], ["B"]]);
    let answer = load(&odoo, &json!(["name"]), &rows);
    assert_eq!(
        (answer["ids"].clone(), answer["messages"][0]["message"].clone()),
        (false.into(), CONFLICT.into())
    );
    assert_eq!(sandbox.history().effects().count(), 0);
    assert!(load(&odoo, &json!(["name"]), &rows)["ids"].is_array());
}

#[test]
fn two_loads_of_children_of_one_parent_at_once_conflict() {
    let sandbox = Sandbox::odoo(19).latency(Duration::from_millis(200)).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    odoo.call("res.partner", "load", &json!([["id", "name"], [["p", "P"], ["q", "Q"]]]));
    let both = |parents: [&'static str; 2]| -> Vec<Value> {
        thread::scope(|scope| {
            parents
                .map(|parent| {
                    let odoo = &odoo;
                    scope.spawn(move || {
                        load(odoo, &json!(["name", "parent_id/id"]), &json!([["C", parent], ["D", parent]]))
                    })
                })
                .map(|thread| thread.join().unwrap())
                .into()
        })
    };
    let same = both(["p", "p"]);
    let conflicts: Vec<&Value> = same.iter().filter(|answer| answer["ids"] == false).collect();
    assert_eq!(conflicts.len(), 1, "{same:?}");
    assert_eq!(conflicts[0]["messages"][1]["message"], CONFLICT, "each row of that parent");
    assert!(both(["p", "q"]).iter().all(|answer| answer["ids"].is_array()));
    assert_eq!(sandbox.records("res.partner").iter().filter(|row| row["name"] == "C").count(), 3);
}
