//! Reading and writing records.

use batchcall::sandbox::{Action, MissingRecord, Sandbox};
use serde_json::{Value, json};

use crate::client::Client;

fn sandbox() -> (Sandbox, Client) {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let client = Client::signed_in(&sandbox);
    (sandbox, client)
}

#[test]
fn values_come_in_envelopes_and_empty_ones_as_empty_objects() {
    let (_sandbox, mut client) = sandbox();
    let body = client.get("Customer/CUST001").json();
    assert_eq!(body["CustomerID"], json!({"value": "CUST001"}));
    assert_eq!(body["AccountRef"], json!({}));
    assert_eq!((body["rowNumber"].clone(), body["note"].clone()), (json!(1), Value::Null));
    assert!(body["id"].as_str().unwrap().len() == 36 && body["_links"]["files:put"].is_string());
    assert!(body.get("MainContact").is_none() && body.get("Contacts").is_none());
}

#[test]
fn nested_parts_come_only_with_expand() {
    let (_sandbox, mut client) = sandbox();
    let body = client
        .get("Customer/CUST001?$expand=MainContact/Address,Contacts&$select=CustomerID,MainContact/Email")
        .json();
    assert_eq!(body["MainContact"]["Email"]["value"], "customer1@example.com");
    assert_eq!(body["MainContact"]["Address"]["City"]["value"], "New York");
    assert!(body["MainContact"].get("Phone1").is_none() && body.get("CustomerName").is_none());
    assert_eq!(body["Contacts"], json!([]));
}

#[test]
fn a_record_is_found_by_key_by_guid_and_without_regard_to_case() {
    let (_sandbox, mut client) = sandbox();
    let id = client.get("Customer/CUST001").json()["id"].as_str().unwrap().to_owned();
    for path in [format!("Customer/{id}"), "customer/cust001".into(), "CUSTOMER/CUST%30%301".into()] {
        assert_eq!(client.get(&path).json()["id"], id, "{path}");
    }
    for path in ["SalesOrder/SO/SO000001", "SalesOrder/SO%7CSO000001", "SalesOrder/SO|SO000001"] {
        assert_eq!(client.get(path).json()["OrderNbr"]["value"], "SO000001", "{path}");
    }
    assert_eq!(client.get("Customer/NOBODY").status, 404);
    assert_eq!(client.get("Nonsense/CUST001").status, 404);
}

#[test]
fn a_missing_record_may_be_an_exception_as_in_older_versions() {
    let sandbox = Sandbox::acumatica().missing_record(MissingRecord::ServerError).start().unwrap();
    let answer = Client::signed_in(&sandbox).get("Customer/NOBODY");
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["exceptionMessage"], "No entity satisfies the condition.");
}

#[test]
fn keys_with_odd_characters_work_encoded_and_a_slash_only_by_guid() {
    let (_sandbox, mut client) = sandbox();
    for (key, path) in
        [("A B", "A%20B"), ("A#B", "A%23B"), ("A?X", "A%3FX"), ("ÄÖ", "%C3%84%C3%96"), ("A+B", "A+B")]
    {
        let put = client.put("StockItem", &json!({"InventoryID": {"value": key}}));
        assert_eq!(put.status, 200);
        assert_eq!(client.get(&format!("StockItem/{path}")).json()["InventoryID"]["value"], key);
    }
    let id = client.put("StockItem", &json!({"InventoryID": {"value": "A/B"}})).json()["id"].clone();
    assert_eq!(client.get("StockItem/A%2FB").status, 404);
    assert_eq!(client.get(&format!("StockItem/{}", id.as_str().unwrap())).status, 200);
}

#[test]
fn put_inserts_then_updates_and_answers_only_what_was_sent() {
    let (sandbox, mut client) = sandbox();
    let body = json!({"CustomerID": {"value": "NEW"}, "CustomerName": {"value": "New"}, "MainContact": {"Email": {"value": "a@b.c"}}});
    let first = client.put("Customer", &body).json();
    assert_eq!(
        (&first["CustomerID"]["value"], &first["CustomerName"]["value"]),
        (&json!("NEW"), &json!("New"))
    );
    assert!(first.get("Status").is_none() && first.get("MainContact").is_none(), "{first}");
    let second = client.put("Customer?$select=Status&$expand=MainContact", &body).json();
    assert_eq!(second["Status"]["value"], "Active");
    assert_eq!(second["MainContact"]["Email"]["value"], "a@b.c");
    assert_eq!(first["id"], second["id"]);
    let history = sandbox.history();
    let done: Vec<_> = history.effects_of("Customer", "NEW").map(|effect| effect.action.clone()).collect();
    assert_eq!(done, [Action::Insert, Action::Update]);
}

#[test]
fn preconditions_and_patch_keep_their_promises() {
    let (sandbox, mut client) = sandbox();
    let body = json!({"CustomerID": {"value": "NEW"}, "CustomerName": {"value": "New"}}).to_string();
    let mut status = |method: &str, header: Option<(&str, &str)>| {
        client.call_with(method, "Customer", header.as_slice(), &body).status
    };
    assert_eq!(status("PUT", Some(("If-Match", "*"))), 412);
    assert_eq!(status("PATCH", None), 404);
    assert_eq!(status("PUT", Some(("If-None-Match", "*"))), 200);
    assert_eq!(status("PUT", Some(("If-None-Match", "*"))), 412);
    assert_eq!(status("PATCH", Some(("If-None-Match", "*"))), 412);
    assert_eq!(status("PATCH", None), 200);
    assert_eq!(status("PUT", Some(("If-Match", "*"))), 200);
    assert_eq!(sandbox.history().effects_of("Customer", "NEW").count(), 3);
}

#[test]
fn a_misspelt_field_is_ignored_with_200() {
    let (sandbox, mut client) = sandbox();
    let order = json!({"OrderType": {"value": "SO"}, "CustomerID": {"value": "CUST001"},
        "Details": [{"InventoryID": {"value": "ITEM001"}, "Quantity": {"value": 2}}]});
    let answer = client.put("SalesOrder?$expand=Details", &order);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["Details"][0]["OrderQty"]["value"], 0.0);
    let number = answer.json()["OrderNbr"]["value"].as_str().unwrap().to_owned();
    assert!(sandbox.record("SalesOrder", &format!("SO/{number}")).is_some());
}

#[test]
fn detail_rows_are_added_updated_and_deleted_and_resending_duplicates_them() {
    let (_sandbox, mut client) = sandbox();
    let line =
        json!({"InventoryID": {"value": "ITEM002"}, "OrderQty": {"value": 2}, "UnitPrice": {"value": 5}});
    let mut order =
        json!({"OrderType": {"value": "SO"}, "CustomerID": {"value": "CUST001"}, "Details": [line]});
    let made = client.put("SalesOrder?$expand=Details", &order).json();
    order["OrderNbr"] = made["OrderNbr"].clone();
    let again = client.put("SalesOrder?$expand=Details&$select=OrderTotal", &order).json();
    assert_eq!(again["Details"].as_array().unwrap().len(), 2, "no id means one more line");
    assert_eq!(again["OrderTotal"]["value"], 20.0);
    let (first, second) = (&again["Details"][0]["id"], &again["Details"][1]["id"]);
    order["Details"] = json!([{"id": first, "OrderQty": {"value": 7}}, {"id": second, "delete": true}]);
    let last = client.put("SalesOrder?$expand=Details", &order).json();
    assert_eq!(last["Details"].as_array().unwrap().len(), 1);
    assert_eq!(last["Details"][0]["OrderQty"]["value"], 7.0);
}

#[test]
fn auto_numbered_documents_are_new_each_time() {
    let (sandbox, mut client) = sandbox();
    let before = sandbox.records("SalesOrder").len();
    let order = json!({"OrderType": {"value": "SO"}, "CustomerID": {"value": "CUST001"}});
    let numbers: Vec<Value> =
        (0..2).map(|_| client.put("SalesOrder", &order).json()["OrderNbr"]["value"].clone()).collect();
    assert_ne!(numbers[0], numbers[1]);
    assert_eq!(sandbox.records("SalesOrder").len(), before + 2);
}

#[test]
fn rules_that_are_broken_come_back_in_the_entity_with_422() {
    let (sandbox, mut client) = sandbox();
    let order = json!({"OrderType": {"value": "SO"}, "CustomerID": {"value": "CUST001"}, "Details": [
        {"InventoryID": {"value": "ITEM001"}}, {"InventoryID": {"value": "NOTHING"}, "OrderQty": {"value": "many"}}]});
    let answer = client.put("SalesOrder", &order);
    assert_eq!(answer.status, 422);
    let body = answer.json();
    assert_eq!(
        body["error"],
        "Inserting 'Sales Orders' record raised at least one error. Please review the errors."
    );
    assert!(
        body["Details"][0].get("error").is_none() && body["Details"][0]["InventoryID"].get("error").is_none()
    );
    assert_eq!(
        body["Details"][1]["InventoryID"]["error"],
        "InventoryID 'NOTHING' cannot be found in the system."
    );
    assert_eq!(body["Details"][1]["OrderQty"]["error"], "The value 'many' cannot be converted.");
    let missing = client.put("Customer", &json!({"CustomerID": {"value": "X"}})).json();
    assert_eq!(missing["CustomerName"]["error"], "'CustomerName' cannot be empty.");
    let choice =
        client.put("Customer", &json!({"CustomerID": {"value": "CUST001"}, "Status": {"value": "Asleep"}}));
    assert_eq!(
        (choice.status, choice.json()["error"].as_str().unwrap().starts_with("Updating")),
        (422, true)
    );
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn bodies_that_cannot_be_read_get_400_with_model_state() {
    let (_sandbox, mut client) = sandbox();
    for (body, text) in
        [("", "The request body should not be empty."), ("{", "not valid JSON"), ("[]", "JSON object")]
    {
        let answer = client.call("PUT", "Customer", body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["message"], "The request is invalid.");
        assert!(answer.json()["modelState"][""][0].as_str().unwrap().contains(text), "{body}");
    }
}

#[test]
fn unknown_fields_in_select_and_filter_are_exceptions() {
    let (_sandbox, mut client) = sandbox();
    let select = client.get("Customer?$select=Nonsense");
    assert_eq!(select.status, 500);
    assert_eq!(select.json()["exceptionType"], "System.Collections.Generic.KeyNotFoundException");
    for filter in [
        "Nonsense%20eq%201",
        "contains(CustomerName,'x')",
        "Contacts/Email%20eq%20'x'",
        "CustomerID%20eq%20'x",
    ] {
        assert_eq!(client.get(&format!("Customer?$filter={filter}")).status, 500, "{filter}");
    }
}

#[test]
fn lists_are_filtered_then_skipped_then_cut() {
    let (_sandbox, mut client) = sandbox();
    let mut ids = |query: &str| -> Vec<String> {
        let rows = client.get(&format!("Customer?{query}")).json();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["CustomerID"]["value"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(ids("").len(), 100, "without $top all come");
    assert_eq!(ids("$top=2&$skip=3&$select=CustomerID"), ["CUST004", "CUST005"]);
    assert_eq!(ids("$filter=CustomerID%20gt%20'CUST098'"), ["CUST099", "CUST100"]);
    assert_eq!(
        ids(
            "$filter=substringof('mer%2042',CustomerName)%20or%20MainContact/Email%20eq%20'customer7@example.com'"
        ),
        ["CUST007", "CUST042"]
    );
    assert_eq!(
        ids("$filter=CreatedDateTime%20gt%20datetimeoffset'2020-01-01T00:00:00%2B02:00'&$top=1"),
        ["CUST001"]
    );
    assert_eq!(ids("$filter=CreatedDateTime+lt+datetimeoffset'2020-01-01'").len(), 0);
}

#[test]
fn custom_fields_come_with_their_types_when_asked_for() {
    let (_sandbox, mut client) = sandbox();
    let custom = json!({"CurrentCustomer": {"UsrSegment": {"type": "CustomStringField", "value": "Gold"}}});
    client.put("Customer", &json!({"CustomerID": {"value": "CUST001"}, "custom": custom}));
    assert_eq!(client.get("Customer/CUST001").json()["custom"], json!({}));
    let body = client.get("Customer/CUST001?$custom=CurrentCustomer.UsrSegment").json();
    assert_eq!(body["custom"], custom);
    let found = client.get("Customer?$filter=cf.String(f='CurrentCustomer.UsrSegment')%20eq%20'Gold'").json();
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[test]
fn contract_5_speaks_another_dialect() {
    let (_sandbox, mut client) = sandbox();
    let mut get = |query: &str| {
        client.send("GET", &format!("/entity/Default/26.200.001/Customer{query}"), &[], b"").unwrap()
    };
    let rows = get("?$filter=contains(CustomerName,'mer%2042')").json();
    assert_eq!(rows[0]["Status"]["value"], json!({"id": "Active", "description": "Active"}));
    assert_eq!(get("?$filter=substringof('x',CustomerName)").status, 500);
    assert_eq!(get("?$filter=CreatedDateTime%20gt%202020-01-01").json().as_array().unwrap().len(), 100);
    let nested = get("/CUST001?$expand=MainContact($select=Email;$expand=Address)").json();
    assert_eq!(nested["MainContact"]["Address"]["City"]["value"], "New York");
    assert!(nested["MainContact"].get("Phone1").is_none());
}

#[test]
fn delete_answers_204_once() {
    let (sandbox, mut client) = sandbox();
    assert_eq!(client.call("DELETE", "StockItem/ITEM001", "").status, 204);
    assert_eq!(client.call("DELETE", "StockItem/ITEM001", "").status, 404);
    assert!(sandbox.record("StockItem", "ITEM001").is_none());
}

#[test]
fn a_form_without_rights_answers_403_with_its_screen() {
    let sandbox = Sandbox::acumatica().forbid("StockItem").start().unwrap();
    let answer = Client::signed_in(&sandbox).get("StockItem/ITEM001");
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.json()["message"],
        "You have insufficient rights to access the Stock Items (IN202500) form."
    );
}

#[test]
fn a_warehouse_without_a_time_zone_or_in_the_sky_is_refused() {
    let (_sandbox, mut client) = sandbox();
    let mut put = |zone: &str, altitude: &str| {
        let body = json!({"WarehouseID": {"value": "EEN"}, "Description": {"value": "Dillant Hopkins Airport"},
            "Altitude": {"value": altitude}, "TimeZone": {"value": zone}});
        client.put("Warehouse", &body)
    };
    assert_eq!(put("NA", "149").json()["TimeZone"]["error"], "TimeZone 'NA' cannot be found in the system.");
    assert_eq!(
        put("America/Denver", "9078").json()["Altitude"]["error"],
        "The value of Altitude must be between 0 and 7500."
    );
    assert_eq!(put("America/Denver", "149").status, 200);
}

#[test]
fn a_view_only_user_is_told_200_and_nothing_is_saved() {
    let sandbox = Sandbox::acumatica().view_only_user("guest", "guest").start().unwrap();
    let mut client = Client::new(&sandbox);
    assert_eq!(client.login("guest", "guest").status, 204);
    let answer = client
        .put("Customer", &json!({"CustomerID": {"value": "CUST001"}, "CustomerName": {"value": "Mine"}}));
    assert_eq!((answer.status, &answer.json()["CustomerName"]["value"]), (200, &json!("Customer 1")));
    assert_eq!(sandbox.history().effects().count(), 0);
}
