//! Actions, files, inquiries and descriptions.

use std::thread;
use std::time::Duration;

use batchcall::sandbox::{Action, Sandbox};
use serde_json::{Value, json};

use crate::client::Client;

fn order(number: &str) -> String {
    json!({"entity": {"OrderType": {"value": "SO"}, "OrderNbr": {"value": number}}, "parameters": {}})
        .to_string()
}

#[test]
fn a_quick_action_answers_204_without_a_location() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let answer = client.call("POST", "SalesOrder/ReleaseFromHold", &order("SO000001"));
    assert_eq!((answer.status, answer.header("Location")), (204, None));
    assert_eq!(client.get("SalesOrder/SO/SO000001").json()["Status"]["value"], "Open");
    // Its button is disabled now, and the exception says so in its depths.
    let again = client.call("POST", "SalesOrder/ReleaseFromHold", &order("SO000001"));
    assert_eq!(again.status, 500);
    assert!(again.json()["innerException"]["exceptionMessage"].as_str().unwrap().contains("status 'Open'"));
    assert!(again.json()["innerException"]["innerException"].is_object());
    assert_eq!(client.call("POST", "SalesOrder/Nonsense", &order("SO000001")).status, 404);
    assert_eq!(client.call("POST", "SalesOrder/ReleaseFromHold", "").status, 400);
}

#[test]
fn a_long_action_answers_202_and_is_followed_at_its_location() {
    let sandbox =
        Sandbox::acumatica().action_time(Duration::from_millis(150)).base_path("/Inst").start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    client.call("POST", "SalesOrder/ReleaseFromHold", &order("SO000001"));
    let answer = client.call("POST", "SalesOrder/CreateShipment", &order("SO000001"));
    assert_eq!(answer.status, 202);
    let place = answer.header("Location").unwrap();
    assert!(
        place.starts_with("/Inst/entity/Default/24.200.001/SalesOrder/CreateShipment/status/"),
        "{place}"
    );
    assert_eq!(client.send("GET", &place, &[], b"").unwrap().status, 202);
    // The form is taken for this session, and for this session alone.
    assert_eq!(client.get("SalesOrder/SO/SO000001").status, 500);
    assert_eq!(client.get("Customer/CUST001").status, 200);
    assert_eq!(Client::signed_in(&sandbox).get("SalesOrder/SO/SO000001").json()["Status"]["value"], "Open");
    thread::sleep(Duration::from_millis(170));
    assert_eq!(client.send("GET", &place, &[], b"").unwrap().status, 204);
    assert_eq!(client.get("SalesOrder/SO/SO000001").json()["Status"]["value"], "Shipping");
    let history = sandbox.history();
    let last = history.effects_of("SalesOrder", "SO/SO000001").last().unwrap().clone();
    assert_eq!((last.action, last.session), (Action::Run("CreateShipment".into()), 1));
}

#[test]
fn a_long_action_that_fails_says_so_where_its_status_is_asked() {
    let sandbox = Sandbox::acumatica().action_time(Duration::ZERO).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let made = client
        .put("SalesOrder", &json!({"CustomerID": {"value": "CUST001"}, "Hold": {"value": false}}))
        .json();
    let number = made["OrderNbr"]["value"].as_str().unwrap();
    let answer = client.call("POST", "SalesOrder/CreateShipment", &order(number));
    assert_eq!(answer.status, 202);
    let status = client.send("GET", &answer.header("Location").unwrap(), &[], b"").unwrap();
    assert_eq!(status.status, 500);
    assert!(status.json()["exceptionMessage"].as_str().unwrap().contains("does not contain any lines"));
}

#[test]
fn files_are_put_by_their_link_listed_and_downloaded() {
    let sandbox = Sandbox::acumatica().base_path("Inst").start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let item = client.get("StockItem/ITEM001").json();
    let link = item["_links"]["files:put"].as_str().unwrap().replace("{filename}", "a%20b.bin");
    assert!(link.starts_with("/Inst/entity/"), "{link}");
    let bytes = [0_u8, 255, 10, 13];
    let put = client.send("PUT", &link, &[("PX-CbFileComment", "a note")], &bytes).unwrap();
    assert_eq!(put.status, 204);
    let file = client.get("StockItem/ITEM001?$expand=files&$select=files").json()["files"][0].clone();
    assert_eq!(
        (&file["filename"], &file["comment"]),
        (&json!("Stock Items (ITEM001)\\a b.bin"), &json!("a note"))
    );
    assert_eq!(put.header("Location").as_deref(), file["href"].as_str());
    let down = client.send("GET", file["href"].as_str().unwrap(), &[], b"").unwrap();
    assert_eq!((down.status, down.body.as_slice()), (200, &bytes[..]));
    // The older way, by keys, and a comment that is too long.
    assert_eq!(client.call("PUT", "StockItem/ITEM001/files/c.txt", "text").status, 204);
    let long = "x".repeat(501);
    assert_eq!(
        client.call_with("PUT", "StockItem/ITEM001/files/d.txt", &[("PX-CbFileComment", &long)], "").status,
        500
    );
    let done: Vec<Action> = sandbox.history().effects().map(|effect| effect.action.clone()).collect();
    assert_eq!(done, [Action::File("a b.bin".into()), Action::File("c.txt".into())]);
}

#[test]
fn inquiries_come_by_odata_with_basic_and_open_no_session() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let basic = [("Authorization", "Basic YWRtaW46YWRtaW4=")];
    let mut get = |path: &str, headers: &[(&str, &str)]| client.send("GET", path, headers, b"").unwrap();
    let refused = get("/t/Company/api/odata/gi/Stock%20Items", &[]);
    assert_eq!((refused.status, refused.header("WWW-Authenticate").is_some()), (401, true));
    let rows =
        get("/t/Company/api/odata/gi/Stock%20Items?$top=2&$skip=1&$filter=DefaultPrice%20gt%202", &basic)
            .json();
    assert_eq!(rows["value"][0]["InventoryID"], "ITEM003");
    assert_eq!(rows["value"].as_array().unwrap().len(), 2);
    assert_eq!(get("/odata/Company/Stock%20Items", &basic).json()["value"].as_array().unwrap().len(), 20);
    assert_eq!(get("/t/Company/api/odata/gi/Payroll", &basic).status, 403);
    assert_eq!(get("/t/Company/api/odata/gi/Nonsense", &basic).status, 404);
    assert!(
        get("/t/Company/api/odata/gi/$metadata", &basic).text().contains("EntitySet Name=\"Customer-List\"")
    );
    assert_eq!((sandbox.history().logins(), sandbox.open_sessions()), (0, 0));
}

#[test]
fn inquiries_come_by_the_endpoint_with_put_and_expand() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let rows = client.call("PUT", "StockItemsInquiry?$expand=Results", "{}").json();
    assert_eq!(rows["Results"][0]["InventoryID"], json!({"value": "ITEM001"}));
    assert!(client.call("PUT", "StockItemsInquiry", "{}").json().get("Results").is_none());
}

#[test]
fn the_server_describes_itself() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let endpoints = client.send("GET", "/entity", &[], b"").unwrap();
    assert_eq!(endpoints.status, 200, "without a session too");
    let versions: Vec<Value> =
        endpoints.json()["endpoints"].as_array().unwrap().iter().map(|e| e["version"].clone()).collect();
    assert!(
        versions.contains(&json!("24.200.001")) && versions.contains(&json!("26.200.001")),
        "{versions:?}"
    );
    assert_eq!(client.get("swagger.json").status, 401);
    client.login("admin", "admin");
    let swagger = client.get("swagger.json?company=Company").json();
    assert_eq!(swagger["paths"]["/Customer"]["put"]["operationId"], "Customer_PutEntity");
    assert!(swagger["components"]["schemas"]["SalesOrderDetail"].is_object());
    let schema = client.get("SalesOrder/$adHocSchema").json();
    assert_eq!(schema["custom"]["Document"]["UsrExternalRef"]["type"], "CustomStringField");
}

#[test]
fn a_processing_form_remembers_its_filter_in_the_session_that_set_it() {
    let sandbox = Sandbox::acumatica().action_time(Duration::ZERO).start().unwrap();
    let (mut one, mut other) = (Client::signed_in(&sandbox), Client::signed_in(&sandbox));
    let chosen =
        one.put("ProcessOrders?$expand=Result", &json!({"Action": {"value": "ReleaseFromHold"}})).json();
    assert_eq!(chosen["Result"].as_array().unwrap().len(), 3);
    assert_eq!(
        other.call("POST", "ProcessOrders/ProcessAll", "{}").status,
        500,
        "another session chose nothing"
    );
    let answer = one.call("POST", "ProcessOrders/ProcessAll", "{}");
    assert_eq!(answer.status, 202);
    assert_eq!(one.send("GET", &answer.header("Location").unwrap(), &[], b"").unwrap().status, 204);
    let orders = sandbox.records("SalesOrder");
    assert!(orders.iter().all(|order| order["Status"]["value"] == "Open"));
    assert_eq!(sandbox.history().effects().count(), 3);
}

#[test]
fn a_report_is_a_file_where_its_status_is_asked() {
    let sandbox = Sandbox::acumatica().action_time(Duration::from_millis(50)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let answer = client.call(
        "POST",
        "SalesOrderReport",
        &json!({"OrderType": {"value": "SO"}, "OrderNbr": {"value": "SO000001"}}).to_string(),
    );
    assert_eq!(answer.status, 202);
    let place = answer.header("Location").unwrap();
    assert_eq!(client.send("GET", &place, &[], b"").unwrap().status, 202);
    thread::sleep(Duration::from_millis(70));
    let file = client.send("GET", &place, &[], b"").unwrap();
    assert_eq!((file.status, file.header("Content-Type").as_deref()), (200, Some("application/pdf")));
    assert!(file.text().contains("SO/SO000001"));
}
