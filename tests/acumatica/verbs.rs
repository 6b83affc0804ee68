//! Every verb of a session, against the records that the server holds afterwards.

use std::time::Duration;

use batchcall::acumatica::{
    CustomKind, CustomValue, Date, Dialect, Entity, Query, Scope, Session, Write, custom_field, field,
};
use batchcall::sandbox::{Action, Calls, Fault, Faults, Sandbox, SeatRefusal};
use batchcall::{Acumatica, BatchCall, ErrorKind, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::scripted::{Scripted, empty, json};
use crate::{asked, assert_all_logged_out, assert_complete, builder, client, data, eventually, hasty, start};

fn session(sandbox: &Sandbox) -> Session {
    client(sandbox).session().unwrap()
}

fn contract5(sandbox: &Sandbox) -> Session {
    builder(sandbox).endpoint("Default", "26.200.001").build().unwrap().session().unwrap()
}

#[test]
fn a_list_is_filtered_selected_and_counted_off() {
    let sandbox = start(Sandbox::acumatica());
    for session in &mut [session(&sandbox), contract5(&sandbox)] {
        let query = Query::new()
            .filter(field("CreditLimit").ge(500) & field("CustomerName").contains("Customer 1"))
            .select(["CustomerID", "CreditLimit"])
            .skip(1)
            .top(2);
        let found = session.get_list("Customer", &query).unwrap();
        let ids: Vec<_> = found.iter().filter_map(|customer| customer.get_str("CustomerID")).collect();
        assert_eq!(ids, ["CUST011", "CUST012"]);
        assert_eq!(found[0].get_str("CustomerName"), None, "not selected");
        assert_eq!(session.get_list("Customer", Query::new()).unwrap().len(), 100);
    }
}

#[test]
fn hostile_values_in_a_filter_are_values() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    for name in ["O'Neill & Söhne", "a' or 'x' eq 'x", "100% + #1?", "漢字;=,()"] {
        session.put_entity("Customer", json!({"CustomerID": "HOSTILE", "CustomerName": name})).unwrap();
        let found =
            session.get_list("Customer", Query::new().filter(field("CustomerName").eq(name))).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].get_str("CustomerName"), Some(name));
    }
}

#[test]
fn details_and_linked_records_come_when_they_are_expanded() {
    let sandbox = start(Sandbox::acumatica());
    for session in &mut [session(&sandbox), contract5(&sandbox)] {
        let plain = session.get_by_id("SalesOrder", ("SO", "SO000002")).unwrap();
        assert_eq!(plain.details("Details").count(), 0);
        let query = Query::new().select(["OrderNbr", "Details/OrderQty"]);
        let order = session.get_by_id_with("SalesOrder", ("SO", "SO000002"), &query).unwrap();
        let lines: Vec<_> = order.details("Details").collect();
        assert_eq!((lines.len(), lines[0].get_f64("OrderQty")), (1, Some(2.0)));
        assert_eq!(lines[0].get_str("InventoryID"), None, "not selected");

        let query = Query::new().expand(["MainContact/Address"]);
        let customer = session.get_by_id_with("Customer", "CUST001", &query).unwrap();
        assert_eq!(customer.get_str("MainContact.Address.City"), Some("New York"));
    }
}

#[test]
fn a_record_is_found_by_its_key_its_id_and_never_by_a_key_that_is_none() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let by_key = session.get_by_id("SalesOrder", ("SO", "SO000001")).unwrap();
    let by_list = session.get_by_id("SalesOrder", vec!["SO", "SO000001"]).unwrap();
    let by_id = session.get_by_id("SalesOrder", by_key.id().unwrap()).unwrap();
    assert_eq!((by_key.id(), by_key.id()), (by_list.id(), by_id.id()));
    // The server splits a key at a slash, encoded or not: such a record is found by its id.
    let odd = session.put_entity("Customer", json!({"CustomerID": "A/B", "CustomerName": "Odd"})).unwrap();
    assert_eq!(session.get_by_id("Customer", "A/B").unwrap_err().kind(), ErrorKind::NotFound);
    let found = session.get_by_id("Customer", odd.id().unwrap()).unwrap();
    assert_eq!(found.get_str("CustomerID"), Some("A/B"));
    let before = sandbox.history().requests();
    for key in ["", "  ", ".", "..", "a\nb"] {
        assert_eq!(session.get_by_id("Customer", key).unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        assert_eq!(session.delete_by_id("Customer", key).unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
    }
    for name in ["", "a/b", "..", "Customer?x"] {
        assert_eq!(session.get_by_id(name, "1").unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
    }
    assert_eq!(sandbox.history().requests(), before, "nothing of it was sent");
}

#[test]
fn put_makes_and_changes_a_record() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let made = session.put_entity("Customer", json!({"CustomerID": "NEW", "CustomerName": "One"})).unwrap();
    let changed =
        session.put_entity("Customer", json!({"CustomerID": "NEW", "CustomerName": "Two"})).unwrap();
    assert_eq!(made.id(), changed.id());
    assert_eq!(changed.get_str("CustomerName"), Some("Two"));
    let actions: Vec<_> =
        sandbox.history().effects_of("Customer", "NEW").map(|effect| effect.action.clone()).collect();
    assert_eq!(actions, [Action::Insert, Action::Update]);
}

#[test]
fn create_only_and_update_only_say_what_is_in_the_way() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let new = json!({"CustomerID": "NEW", "CustomerName": "New"});
    assert_eq!(session.update_entity("Customer", &new).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(session.patch_entity("Customer", &new).unwrap_err().kind(), ErrorKind::NotFound);
    session.create_entity("Customer", &new).unwrap();
    let error = session.create_entity("Customer", &new).unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Conflict, Some(412)));
    session.update_entity("Customer", &new).unwrap();
    session.patch_entity("Customer", &new).unwrap();
    assert_eq!(sandbox.history().effects_of("Customer", "NEW").count(), 3);
}

#[test]
fn delete_deletes_once() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    session.delete_by_id("SalesOrder", ("SO", "SO000001")).unwrap();
    let error = session.delete_by_id("SalesOrder", ("SO", "SO000001")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(sandbox.record("SalesOrder", "SO/SO000001").is_none());
}

#[test]
fn a_type_of_the_users_goes_out_and_comes_back() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "PascalCase")]
    struct Order {
        order_type: String,
        order_nbr: Option<String>,
        #[serde(rename = "CustomerID")]
        customer: String,
        details: Vec<Line>,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "PascalCase")]
    struct Line {
        #[serde(rename = "InventoryID")]
        item: String,
        order_qty: f64,
    }
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let line = |item: &str, order_qty| Line { item: item.into(), order_qty };
    let mut order = Order {
        order_type: "SO".into(),
        order_nbr: None,
        customer: "CUST001".into(),
        details: vec![line("ITEM001", 2.0), line("ITEM002", 3.5)],
    };
    let made = session.write_entity("SalesOrder", &order, Write::upsert().expand(["Details"])).unwrap();
    let read: Order = made.decode().unwrap();
    order.order_nbr = Some("SO000004".into());
    assert_eq!(read, order);
    assert_eq!(sandbox.record("SalesOrder", "SO/SO000004").unwrap()["OrderedQty"]["value"], 5.5);
}

#[test]
fn lines_are_added_changed_and_removed() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let expanded = Query::new().expand(["Details"]);
    let order = session.get_by_id_with("SalesOrder", ("SO", "SO000001"), &expanded).unwrap();
    let first = order.details("Details").next().unwrap().id().unwrap();
    let keys = || Entity::new().with("OrderType", "SO").with("OrderNbr", "SO000001");
    let change = keys()
        .with_detail("Details", Entity::new().with_id(first).with("OrderQty", 9))
        .with_detail("Details", Entity::new().with("InventoryID", "ITEM002").with("OrderQty", 1));
    session.put_entity("SalesOrder", change).unwrap();
    let quantity = || sandbox.record("SalesOrder", "SO/SO000001").unwrap()["OrderedQty"]["value"].clone();
    assert_eq!(quantity(), 10.0);
    let removal = keys().with_detail("Details", Entity::new().with_id(first).mark_deleted());
    session.put_entity("SalesOrder", removal).unwrap();
    assert_eq!(quantity(), 1.0);
}

#[test]
fn a_field_that_the_server_ignored_is_found_out() {
    // As recorded: Quantity is no field of a line, the server says 200 and orders none.
    let sandbox = start(Sandbox::acumatica());
    for session in &mut [session(&sandbox), contract5(&sandbox)] {
        let order = json!({"CustomerID": "CUST001", "Details": [{"InventoryID": "ITEM001", "Quantity": 2}]});
        let error = session.write_entity("SalesOrder", &order, Write::upsert().verify(true)).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(200)));
        let paths: Vec<_> = error.field_errors().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["Details[0].Quantity"]);
        let good = json!({"CustomerID": "CUST001", "Details": [{"InventoryID": "ITEM001", "OrderQty": 2}],
            "ShipToAddress": {"City": "Berlin"}, "Hold": false, "Date": "2026-01-31"});
        session.write_entity("SalesOrder", &good, Write::upsert().verify(true)).unwrap();
    }
}

#[test]
fn a_user_who_may_only_look_is_found_out() {
    // As on the real one: 200, and nothing is saved.
    let sandbox = start(Sandbox::acumatica().view_only_user("guest", "guest"));
    let client = builder(&sandbox).login("guest", "guest").build().unwrap();
    let mut session = client.session().unwrap();
    let change = json!({"CustomerID": "CUST001", "CustomerName": "Changed"});
    let error = session.write_entity("Customer", &change, Write::upsert().verify(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn a_keyed_write_goes_again_and_ends_in_one_state() {
    let faults =
        Faults::none().at_on(Calls::Put, 1, Fault::ResetAfter).at_on(Calls::Put, 2, Fault::ResetBefore);
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let mut session = session(&sandbox);
    let body = json!({"CustomerID": "NEW", "CustomerName": "New"});
    session.write_entity("Customer", &body, Write::upsert().keyed(true)).unwrap();
    let actions: Vec<_> =
        sandbox.history().effects_of("Customer", "NEW").map(|effect| effect.action.clone()).collect();
    assert_eq!(actions, [Action::Insert, Action::Update]);
}

#[test]
fn custom_fields_are_written_read_and_filtered_by() {
    let sandbox = start(Sandbox::acumatica());
    for (session, dialect) in
        [(&mut session(&sandbox), Dialect::Contract4), (&mut contract5(&sandbox), Dialect::Contract5)]
    {
        let item = Entity::new()
            .with("CustomerID", "CUST007")
            .with_custom("CurrentCustomer", "UsrSegment", format!("{dialect}"))
            .with_custom("CurrentCustomer", "UsrScore", CustomValue::new(CustomKind::Int, 7));
        session.put_entity("Customer", item).unwrap();
        let query = Query::new()
            .filter(
                custom_field(CustomKind::String, "CurrentCustomer", "UsrSegment").eq(format!("{dialect}")),
            )
            .custom(["CurrentCustomer.UsrSegment", "CurrentCustomer.UsrScore"]);
        let found = session.get_list("Customer", query).unwrap();
        assert_eq!(found.len(), 1, "{dialect}");
        assert_eq!(found[0].custom("CurrentCustomer", "UsrScore").unwrap().value(), 7);
    }
    let schema = session(&sandbox).get_ad_hoc_schema("Customer").unwrap();
    assert_eq!(schema["custom"]["CurrentCustomer"]["UsrScore"]["type"], "CustomIntField");
}

#[test]
fn a_scope_holds_for_its_requests_alone() {
    let server =
        Scripted::start(
            |asked| {
                if asked.is_login() || asked.is_logout() { String::new() } else { json(200, "{}") }
            },
        );
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .build()
        .unwrap();
    let mut session = client.session().unwrap();
    let scope = Scope::new().branch("EAST").business_date(Date::new(2026, 1, 31).unwrap()).archived(true);
    session
        .with_scope(scope, |session| {
            session.get_by_id("Customer", "1")?;
            session.with_scope(Scope::new().branch("WEST"), |session| session.get_by_id("Customer", "2"))
        })
        .unwrap();
    session.get_by_id("Customer", "3").unwrap();
    let heads: Vec<_> = server.asked().iter().map(|asked| asked.headers.to_lowercase()).collect();
    let named = |head: &str, line: &str| head.contains(line);
    assert!(named(&heads[1], "px-cbapibranch: east") && named(&heads[1], "px-cbapibusinessdate: 2026-01-31"));
    assert!(named(&heads[1], "px-apiarchive: show"));
    assert!(named(&heads[2], "px-cbapibranch: west") && !named(&heads[2], "businessdate"));
    assert!(!heads[3].contains("px-"));
}

#[test]
fn a_business_date_dates_what_is_made() {
    let sandbox = start(Sandbox::acumatica());
    let mut session = session(&sandbox);
    let scope = Scope::new().business_date(Date::new(2025, 12, 31).unwrap());
    let order = json!({"CustomerID": "CUST001"});
    let made = session.with_scope(scope, |session| session.put_entity("SalesOrder", &order)).unwrap();
    let key = format!("SO/{}", made.get_str("OrderNbr").unwrap());
    let date = sandbox.record("SalesOrder", &key).unwrap()["Date"]["value"].as_str().unwrap().to_owned();
    assert!(date.starts_with("2025-12-31"), "{date}");
}

#[test]
fn actions_at_once_and_long_ones_are_followed_in_their_own_session() {
    let sandbox = start(Sandbox::acumatica().action_time(Duration::from_millis(250)));
    let client = client(&sandbox);
    let keys = |n: i32| json!({"OrderType": "SO", "OrderNbr": format!("SO{n:06}")});
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .calls(1..=3, |session, n| {
            session.invoke_action("SalesOrder", "ReleaseFromHold", keys(*n), ())?;
            session.invoke_action(
                "SalesOrder",
                "CreateShipment",
                keys(*n),
                json!({"WarehouseID": "MAIN"}),
            )?;
            // The form is free again, or this would fail.
            session.get_by_id("SalesOrder", ("SO", format!("SO{n:06}")))
        })
        .execute()
        .unwrap();
    assert_complete(&report);
    assert!(report.successful_results().all(|order| order.get_str("Status") == Some("Shipping")));
    let history = sandbox.history();
    for action in data(&history).filter(|request| request.target.ends_with("/CreateShipment")) {
        let looks: Vec<_> =
            data(&history).filter(|r| r.target.contains("/status/") && r.session == action.session).collect();
        assert!(looks.len() >= 2, "looked at in session {:?}", action.session);
    }
}

#[test]
fn an_action_still_running_at_the_deadline_is_in_doubt_and_its_session_is_not_used_again() {
    let sandbox = start(Sandbox::acumatica().action_time(Duration::from_secs(600)));
    let client = client(&sandbox);
    let order = json!({"OrderType": "SO", "OrderNbr": "SO000001"});
    client.session().unwrap().invoke_action("SalesOrder", "ReleaseFromHold", &order, ()).unwrap();
    let report = BatchCall::new(&client)
        .timeout(Duration::from_millis(400))
        .call(|session| session.invoke_action("SalesOrder", "CreateShipment", &order, ()))
        .execute()
        .unwrap();
    assert_eq!(report.outcomes()[0].status(), Status::InDoubt);
    assert_eq!(client.open_sessions(), 0);
    // In the old session the form would be busy for ten minutes.
    client.session().unwrap().get_by_id("SalesOrder", ("SO", "SO000001")).unwrap();
}

#[test]
fn an_action_that_nobody_can_follow_is_in_doubt() {
    let other = Scripted::start(|_| empty(204, &[]));
    let elsewhere = format!("Location: {}/entity/Default/1/SalesOrder/Release/status/1", other.url());
    for (answer, why) in [
        (empty(202, &[]), "no Location"),
        (empty(202, &[&elsewhere]), "another host"),
        (empty(202, &["Location: /entity/Default/1/SalesOrder/Release/status/1"]), "gone: 404"),
    ] {
        let server = Scripted::start(move |asked| {
            if asked.is_login() || asked.is_logout() {
                String::new()
            } else if asked.line.starts_with("POST") {
                answer.clone()
            } else {
                json(404, r#"{"message": "The operation is not found."}"#)
            }
        });
        let client = Acumatica::builder(server.url())
            .login("admin", "admin")
            .endpoint("Default", "24.200.001")
            .retry(hasty())
            .build()
            .unwrap();
        let mut session = client.session().unwrap();
        let error =
            session.invoke_action("SalesOrder", "Release", json!({"id": Uuid::nil()}), ()).unwrap_err();
        assert!(error.is_in_doubt(), "{why}: {error}");
        assert_eq!(error.operation(), Some("action"), "{why}");
    }
    assert!(other.asked().is_empty(), "a session is not shown to another host");
}

#[test]
fn an_action_that_fails_at_its_end_has_failed() {
    let server = Scripted::start(|asked| {
        if asked.is_login() || asked.is_logout() {
            String::new()
        } else if asked.line.starts_with("POST") {
            empty(202, &["Location: /entity/Default/24.200.001/SalesOrder/Release/status/1"])
        } else {
            json(
                500,
                r#"{"message": "An error has occurred.", "exceptionMessage": "Period 01-2026 is closed."}"#,
            )
        }
    });
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .build()
        .unwrap();
    let error =
        client.session().unwrap().invoke_action("SalesOrder", "Release", json!({}), None::<()>).unwrap_err();
    assert!(!error.is_in_doubt());
    assert_eq!(error.message(), "Period 01-2026 is closed.");
}

#[test]
fn files_are_attached_listed_replaced_and_read() {
    for base_path in ["", "/Inst"] {
        let sandbox = start(Sandbox::acumatica().base_path(base_path));
        let mut session = session(&sandbox);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for name in ["a b#c?.bin", "plain.bin", "ä 100%.bin"] {
            session.put_file("SalesOrder", ("SO", "SO000001"), name, &*bytes, Some("price list")).unwrap();
        }
        session.put_file("SalesOrder", ("SO", "SO000001"), "plain.bin", *b"new", None).unwrap();
        let files = session.get_files("SalesOrder", ("SO", "SO000001")).unwrap();
        assert_eq!(files.len(), 3, "the same name is the same file");
        assert_eq!(files[0].comment.as_deref(), Some("price list"));
        assert!(files[2].filename.ends_with("ä 100%.bin"), "{}", files[2].filename);
        assert_eq!(session.get_file(&files[0]).unwrap(), bytes);
        assert_eq!(session.get_file(&files[1]).unwrap(), b"new");
        let before = sandbox.history().requests();
        for (name, comment) in [("a/b", None), ("", None), ("ok.txt", Some("ä")), ("ok.txt", Some("a\r\nb"))]
        {
            let error = session.put_file("SalesOrder", ("SO", "SO000001"), name, *b"x", comment).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?} {comment:?}");
        }
        assert_eq!(sandbox.history().requests(), before);
    }
}

#[test]
fn inquiries_come_through_the_endpoint_and_over_odata() {
    let sandbox = start(Sandbox::acumatica().base_path("/Inst"));
    let client = client(&sandbox);
    let mut session = client.session().unwrap();
    let rows = session.endpoint_inquiry("StockItemsInquiry", json!({}), "Results").unwrap();
    assert_eq!((rows.len(), rows[0].get_str("InventoryID")), (20, Some("ITEM001")));
    let error = session.endpoint_inquiry("StockItemsInquiry", json!({}), "Wrong").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);

    let query = Query::new().filter(field("ItemStatus").eq("Active")).select(["InventoryID"]).top(3);
    let rows = session.inquiry("Stock Items", &query).unwrap();
    assert_eq!((rows.len(), rows[2].get_str("InventoryID")), (3, Some("ITEM003")));
    let error = session.inquiry("Payroll", Query::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("SM208000"), "{error}");
    assert_eq!(session.inquiry("No Such", Query::new()).unwrap_err().kind(), ErrorKind::NotFound);
    drop(session);
    client.close().unwrap();
    let logins = sandbox.history().logins();

    let inquiries = client.inquiries();
    let report = BatchCall::new(&inquiries)
        .max_concurrent(4)
        .calls(0..20, |odata, _| odata.inquiry("Customer-List", Query::new()))
        .execute()
        .unwrap();
    assert_complete(&report);
    assert!(report.successful_results().all(|rows| rows.len() == 100));
    assert_eq!((report.stats().logins, sandbox.history().logins()), (0, logins));
}

#[test]
fn the_pages_of_an_inquiry_are_all_read() {
    let server = Scripted::start(|asked| {
        if asked.line.contains("skiptoken") {
            json(200, json!({"value": [{"N": 3}]}))
        } else {
            let next = "/t/Company/api/odata/gi/Big?$skiptoken=2";
            json(200, json!({"value": [{"N": 1}, {"N": 2}], "@odata.nextLink": next}))
        }
    });
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build().unwrap();
    let inquiries = client.inquiries();
    let report =
        BatchCall::new(&inquiries).call(|odata| odata.inquiry("Big", Query::new())).execute().unwrap();
    let rows = report.into_all().unwrap().remove(0);
    assert_eq!(rows.iter().filter_map(|row| row.get_i64("N")).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn long_lists_come_page_by_page() {
    let sandbox = start(Sandbox::acumatica().customers(730));
    let mut session = session(&sandbox);
    for keyset in [false, true] {
        let query = Query::new().filter(field("CustomerID").starts_with("CUST"));
        let pages = session.pages("Customer", query).page_size(100);
        let pages = if keyset { pages.keyset("CustomerID") } else { pages };
        let mut ids: Vec<String> =
            pages.map(|record| record.unwrap().get_str("CustomerID").unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 730, "keyset: {keyset}");
        ids.dedup();
        assert_eq!(ids.len(), 730, "keyset: {keyset}");
    }
    assert_eq!(sandbox.history().data_requests(), 16);
    // A full last page costs one more request, and an error ends the pages.
    assert_eq!(session.pages("Customer", Query::new()).page_size(73).filter(Result::is_ok).count(), 730);
    assert_eq!(sandbox.history().data_requests(), 16 + 11);
    let mut pages = session.pages("Customer", Query::new()).page_size(73).keyset("Nope");
    assert_eq!(pages.next().unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(pages.next().is_none());
    assert!(session.pages("Customer", Query::new()).page_size(0).next().unwrap().is_err());
}

#[test]
fn records_that_come_and_go_meanwhile_are_neither_skipped_nor_read_twice_by_keyset() {
    let sandbox = start(Sandbox::acumatica().customers(50));
    let client = client(&sandbox);
    let (mut reader, mut writer) = (client.session().unwrap(), client.session().unwrap());
    let mut ids = Vec::new();
    for record in reader.pages("Customer", Query::new()).page_size(10).keyset("CustomerID") {
        let id = record.unwrap().get_str("CustomerID").unwrap().to_owned();
        if ids.len() == 5 {
            writer.delete_by_id("Customer", "CUST001").unwrap();
            writer.put_entity("Customer", json!({"CustomerID": "CUST000", "CustomerName": "Late"})).unwrap();
        }
        ids.push(id);
    }
    let expected: Vec<String> = (1..=50).map(|n| format!("CUST{n:03}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn both_dialects_write_dates_and_choices_their_own_way() {
    let sandbox = start(Sandbox::acumatica());
    for session in &mut [session(&sandbox), contract5(&sandbox)] {
        let since = Date::new(2020, 1, 1).unwrap();
        let query = Query::new().filter(
            field("CreatedDateTime").gt(since.midnight())
                & field("Status").eq("Active")
                & !field("CustomerName").starts_with("X"),
        );
        assert_eq!(session.get_list("Customer", query).unwrap().len(), 100);
    }
    let customer = contract5(&sandbox).get_by_id("Customer", "CUST001").unwrap();
    assert_eq!(customer.get("Status").unwrap()["id"], "Active");
}

#[test]
fn the_newest_endpoint_is_found_when_it_is_needed_and_once() {
    let sandbox = start(Sandbox::acumatica());
    let client = Acumatica::builder(sandbox.url()).login("admin", "admin").retry(hasty()).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..30, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    let history = sandbox.history();
    assert_eq!(asked(&history, "GET", "/entity"), 1);
    assert!(data(&history).all(|r| r.target.starts_with("/entity/Default/26.200.001/")));
    let error = Acumatica::builder(sandbox.url())
        .login("admin", "admin")
        .newest_endpoint("Mine")
        .build()
        .unwrap()
        .session()
        .unwrap()
        .get_by_id("Customer", "CUST001")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("Default"), "it says which there are: {error}");
}

#[test]
fn finding_the_endpoint_does_not_vouch_for_an_unknown_session() {
    // GET /entity is answered without a session too.
    let shape = SeatRefusal::UnauthorizedAfterLogin;
    let sandbox = start(Sandbox::acumatica().seats(1).seat_refusal(shape));
    let foreign = client(&sandbox).session().unwrap();
    let client = Acumatica::builder(sandbox.url()).login("admin", "admin").retry(hasty()).build().unwrap();
    let mut session = client.session().unwrap();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| session.get_by_id("Customer", "CUST001"));
        assert!(eventually(|| sandbox.history().refused_logins() == 3));
        drop(foreign);
        assert!(read.join().unwrap().is_ok());
    });
    drop((session, client));
    assert_all_logged_out(&sandbox);
}
