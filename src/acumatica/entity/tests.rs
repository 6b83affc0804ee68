use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::json;

use super::super::{CustomKind, Date, DateTime};
use super::*;

fn entity(json: Value) -> Entity {
    Entity::from_json(json).unwrap()
}

/// What a live server of December 2023 answers, shortened.
fn order() -> Entity {
    entity(json!({
        "id": "9b7d3c4e-0000-4000-8000-000000000001",
        "rowNumber": 1,
        "note": { "value": "call first" },
        "OrderNbr": { "value": "SO005207" },
        "OrderTotal": { "value": 99.5 },
        "Hold": { "value": false },
        "Date": { "value": "2023-12-14T00:00:00+00:00" },
        "Description": {},
        "Commissions": {},
        "Status": { "value": { "id": "O", "description": "Open" } },
        "MainContact": { "id": "x", "Email": { "value": "a@example.com" }, "note": null },
        "Details": [
            { "rowNumber": 1, "InventoryID": { "value": "AALEGO500" }, "OrderQty": { "value": 2.0 }, "custom": {} },
            { "rowNumber": 2, "InventoryID": { "value": "CONBABY1" }, "OrderQty": { "value": 0.5 } },
        ],
        "custom": { "Document": { "UsrColor": { "type": "CustomStringField", "value": "red" },
                                  "UsrEmpty": { "type": "CustomStringField" } } },
        "files": [{ "id": "9b7d3c4e-0000-4000-8000-000000000002", "filename": "Sales Orders (SO1)\\a b.pdf",
                    "href": "/entity/Default/20.200.001/files/9b7d", "comment": "signed" }],
        "_links": { "self": "/entity/x", "files:put": "/entity/x/files/{filename}" },
    }))
}

#[test]
fn values_are_read_by_path_without_their_envelope() {
    let order = order();
    assert_eq!(order.get_str("OrderNbr"), Some("SO005207"));
    assert_eq!(order.get_str("MainContact.Email"), Some("a@example.com"));
    assert_eq!(order.get_str("Details[1]/InventoryID"), Some("CONBABY1"));
    assert_eq!(order.get_i64("Details[0].OrderQty"), Some(2));
    assert_eq!(order.get_i64("Details[1].OrderQty"), None);
    assert_eq!(order.get_f64("OrderTotal"), Some(99.5));
    assert_eq!(order.get_bool("Hold"), Some(false));
    assert_eq!(order.get_str("Status"), Some("O"));
    assert_eq!(order.get_str("Status.description"), Some("Open"));
    assert_eq!(order.get_as::<Date>("Date").unwrap().unwrap().to_string(), "2023-12-14");
    assert_eq!(order.get_str("custom.Document.UsrColor"), Some("red"));
    for path in
        ["Description", "Nothing", "Details[2].X", "OrderNbr.X", "Details.X", "Hold[0]", "", "[0]", "note.x"]
    {
        assert_eq!(order.get(path), None, "{path}");
        assert_eq!(order.get_as::<String>(path).unwrap(), None, "{path}");
    }
    let error = order.get_as::<f64>("OrderNbr").unwrap_err();
    assert!(error.message().contains("OrderNbr"), "{error}");
}

#[test]
fn what_stands_plain_has_its_own_accessor() {
    let order = order();
    assert_eq!(order.id().unwrap().to_string(), "9b7d3c4e-0000-4000-8000-000000000001");
    assert_eq!(order.note(), Some("call first"));
    assert_eq!(order.link("files:put"), Some("/entity/x/files/{filename}"));
    assert_eq!(order.files()[0].filename, "Sales Orders (SO1)\\a b.pdf");
    assert_eq!(order.files()[0].comment.as_deref(), Some("signed"));
    assert_eq!(order.details("Details").count(), 2);
    assert_eq!(order.details("Details").nth(1).unwrap().get_str("InventoryID"), Some("CONBABY1"));
    assert_eq!(order.details("Nothing").count() + order.details("OrderNbr").count(), 0);
    assert_eq!(order.nested("MainContact").unwrap().get_str("Email"), Some("a@example.com"));
    assert!(order.nested("OrderNbr").is_none() && order.nested("Commissions").is_none());
    assert!(order.nested("Details[0]").is_some());
    let color = order.custom("Document", "UsrColor").unwrap();
    assert_eq!((color.kind(), color.value()), (CustomKind::String, &json!("red")));
    assert!(order.custom("Document", "UsrEmpty").is_none());
    assert!(order.keys().any(|key| key == "OrderNbr"));
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Order {
    #[serde(rename = "id")]
    id: Option<Uuid>,
    #[serde(rename = "note")]
    note: Option<String>,
    order_nbr: String,
    date: Option<Date>,
    description: Option<String>,
    #[serde(default)]
    hold: bool,
    main_contact: Option<Contact>,
    #[serde(default)]
    commissions: Vec<Line>,
    details: Vec<Line>,
    #[serde(rename = "custom", default)]
    custom: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Contact {
    email: String,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(rename = "InventoryID")]
    inventory_id: String,
    order_qty: f64,
}

#[test]
fn a_record_becomes_a_type_of_the_caller_and_back() {
    let decoded: Order = order().decode().unwrap();
    assert_eq!(decoded.order_nbr, "SO005207");
    assert_eq!(decoded.note.as_deref(), Some("call first"));
    assert_eq!(decoded.description, None);
    assert_eq!(decoded.commissions, []);
    assert_eq!(decoded.details[1].order_qty, 0.5);
    assert_eq!(decoded.custom["Document"]["UsrColor"], "red");
    let encoded = Entity::encode(&decoded).unwrap();
    assert_eq!(encoded.decode::<Order>().unwrap(), decoded);
    let json = encoded.into_json().unwrap();
    assert_eq!(json["id"], "9b7d3c4e-0000-4000-8000-000000000001");
    assert_eq!(json["note"], json!({ "value": "call first" }));
    assert_eq!(
        json["custom"]["Document"]["UsrColor"],
        json!({ "type": "CustomStringField", "value": "red" })
    );
    assert_eq!(json["MainContact"], json!({ "Email": { "value": "a@example.com" } }));
    assert!(json.get("Description").is_none());
}

#[test]
fn decoding_names_the_field_that_does_not_fit() {
    let wrong = [
        (
            json!({ "OrderNbr": { "value": "1" }, "Details": [{ "InventoryID": { "value": 7 } }] }),
            "Details[0].InventoryID",
        ),
        (json!({ "OrderNbr": { "value": "1" }, "Details": [{}] }), "Details[0]"),
        (json!({ "OrderNbr": { "value": 5 } }), "OrderNbr"),
        (json!({}), ""),
    ];
    for (json, path) in wrong {
        let error = entity(json).decode::<Order>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.field_errors()[0].path, path, "{error}");
    }
    assert_eq!(Entity::from_json(json!([])).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn what_json_cannot_say_is_refused_with_its_path() {
    #[derive(Serialize)]
    struct Deep<T> {
        #[serde(rename = "Details")]
        details: Vec<HashMap<&'static str, T>>,
    }
    let deep = |value| Deep { details: vec![HashMap::new(), HashMap::from([("OrderQty", value)])] };
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Entity::encode(&deep(value)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field_errors()[0].path, "Details[1].OrderQty", "{error}");
    }
    assert!(Entity::encode(&HashMap::from([("A", f32::NAN)])).is_err());
    assert!(Entity::encode(&HashMap::from([("A", u128::MAX)])).unwrap_err().message().contains('A'));
    assert!(Entity::encode(&HashMap::from([(1, "x")])).unwrap_err().message().contains("not text"));
    assert!(Entity::encode(&json!({ "A": [1, { "B": 2 }] })).unwrap_err().message().contains("\"A\""));
    assert!(Entity::encode(&json!({ "A": { "B": [[1]] } })).unwrap_err().message().contains("A.B[0]"));
    assert!(Entity::encode(&json!({ "A": [{ "B": 1 }, null] })).unwrap_err().message().contains("A[1]"));
    for value in [json!(1), json!("x"), json!([{ "A": 1 }]), json!(null)] {
        assert_eq!(Entity::encode(&value).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn every_shape_that_serde_knows_is_encoded() {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    enum Kind {
        Unit,
        One(u8),
        Two(u8, u8),
        Named { a: char },
    }
    #[derive(Serialize)]
    struct All {
        unit: Kind,
        one: Kind,
        two: Kind,
        named: Kind,
        pair: (i8, i8),
        float: f32,
        nothing: (),
        big: i128,
    }
    let all = All {
        unit: Kind::Unit,
        one: Kind::One(1),
        two: Kind::Two(1, 2),
        named: Kind::Named { a: 'x' },
        pair: (1, 2),
        float: 0.1,
        nothing: (),
        big: 5,
    };
    let json = Entity::encode(&all).unwrap().into_json().unwrap();
    let expected = json!({
        "unit": { "value": "Unit" }, "one": { "One": { "value": 1 } }, "two": { "Two": { "value": [1, 2] } },
        "named": { "Named": { "a": { "value": "x" } } }, "pair": { "value": [1, 2] }, "float": { "value": 0.1 },
        "big": { "value": 5 },
    });
    assert_eq!(json, expected);
}

#[test]
fn what_is_in_an_envelope_stays() {
    let record = json!({
        "A": { "value": null }, "B": { "value": 1 }, "C": {}, "D": [], "E": { "value": { "id": "O" } },
        "custom": { "V": { "F": { "type": "CustomDecimalField", "value": 1 } } },
    });
    assert_eq!(Entity::encode(&record).unwrap().into_json().unwrap(), record);
    assert_eq!(Entity::encode(&order()).unwrap().get_str("Status"), Some("O"));
    let choice =
        json!({ "Status": { "id": "O", "description": "Open" }, "Many": [{ "id": "A" }, { "id": "B" }] });
    let wrapped = Entity::encode(&choice).unwrap();
    assert_eq!(wrapped.as_json()["Status"], json!({ "value": choice["Status"] }));
    assert_eq!(wrapped.as_json()["Many"], json!({ "value": choice["Many"] }));
    let link = json!({ "Contact": { "id": Uuid::nil() } });
    assert_eq!(Entity::encode(&link).unwrap().into_json().unwrap(), link);
}

#[test]
fn setting_makes_what_is_missing_and_refuses_what_cannot_be() {
    let mut order = Entity::new();
    order.set("MainContact.Address.City", "Bern").unwrap();
    order.set("Details[0].OrderQty", 2).unwrap();
    order.set("Details[1]", json!({ "OrderQty": 3 })).unwrap();
    order.set("Details[0].custom.Transactions.UsrX", true).unwrap();
    order.set("id", Uuid::nil()).unwrap();
    order.set("note", "hi").unwrap();
    order.set("Date", Date::new(2024, 1, 31).unwrap()).unwrap();
    order.set("Gone", None::<i32>).unwrap();
    let expected = json!({
        "MainContact": { "Address": { "City": { "value": "Bern" } } },
        "Details": [
            { "OrderQty": { "value": 2 },
              "custom": { "Transactions": { "UsrX": { "type": "CustomBooleanField", "value": true } } } },
            { "OrderQty": { "value": 3 } },
        ],
        "id": "00000000-0000-0000-0000-000000000000", "note": { "value": "hi" }, "Date": { "value": "2024-01-31" },
    });
    assert_eq!(Value::Object(order.as_json().clone()), expected);
    let refused = [
        "",
        "A..B",
        "Details[9].X",
        "note.x",
        "MainContact[0].X",
        "Details.X",
        "Details[0]",
        "New.List[1].X",
        "Details[0][0]",
        "A[0][0].B",
    ];
    for path in refused {
        assert_eq!(order.set(path, 1).unwrap_err().kind(), ErrorKind::Invalid, "{path}");
    }
    assert_eq!(Value::Object(order.as_json().clone()), expected, "a refused change leaves nothing behind");
}

#[test]
fn a_chained_mistake_is_never_sent() {
    let entity = Entity::new().with("A", 1).with("B", f64::NAN).with("[x", 1);
    let error = entity.check().unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.message().contains('B'), "{error}");
    assert!(serde_json::to_string(&entity).is_err());
    assert!(Entity::new().with_detail("Details", entity.clone()).check().is_err());
    assert!(Entity::new().with("Linked", &entity).check().is_err());
    assert!(entity.into_json().is_err());
    let fine = Entity::new().with("A", 1).with_cleared("B").with_custom("V", "F", 1.5);
    assert_eq!(
        serde_json::to_value(&fine).unwrap(),
        json!({ "A": { "value": 1 }, "B": { "value": null },
                "custom": { "V": { "F": { "type": "CustomDecimalField", "value": 1.5 } } } })
    );
    assert_eq!(serde_json::from_value::<Entity>(serde_json::to_value(&fine).unwrap()).unwrap(), fine);
    assert!(serde_json::from_str::<Entity>("[]").is_err());
}

#[test]
fn custom_values_tell_their_type() {
    let mut item = Entity::new();
    let time = DateTime::parse("2024-01-31T10:00:00Z").unwrap();
    item.set_custom("V", "Bool", true).unwrap();
    item.set_custom("V", "Int", 7).unwrap();
    item.set_custom("V", "Long", i64::MAX).unwrap();
    item.set_custom("V", "Float", 7.0).unwrap();
    item.set_custom("V", "Time", time).unwrap();
    item.set_custom("V", "Text", "x").unwrap();
    item.set_custom("V", "Guid", Uuid::nil()).unwrap();
    item.set_custom("V", "None", CustomValue::null(CustomKind::Int)).unwrap();
    let kinds = ["Bool", "Int", "Long", "Float", "Time", "Text", "Guid", "None"]
        .map(|name| item.custom("V", name).unwrap().kind().as_str());
    assert_eq!(kinds, ["Boolean", "Int", "Long", "Decimal", "DateTime", "String", "Guid", "Int"]);
    assert!(item.set_custom("V", "Nan", f64::NAN).is_err());
    assert!(item.set_custom("", "F", 1).is_err());
    item.clear("custom.V.Int").unwrap();
    assert_eq!(item.as_json()["custom"]["V"]["Int"], json!({ "type": "CustomIntField", "value": null }));
    assert_eq!(CustomKind::of_type_name("CustomNothingField"), None);
    assert!(Entity::encode(&json!({ "custom": { "V": 1 } })).is_err());
    assert!(Entity::encode(&json!({ "custom": { "V": { "F": [1] } } })).is_err());
}

#[test]
fn lines_are_added_and_removed() {
    let mut order = Entity::new().with_id(Uuid::nil());
    order.push_detail("Details", Entity::new().with("A", 1)).unwrap();
    order.push_detail("Details", Entity::new().with_id(Uuid::nil()).mark_deleted()).unwrap();
    order.push_detail("Details[0].Allocations", Entity::new().with("B", 2)).unwrap();
    assert_eq!(order.get_i64("Details[0].Allocations[0].B"), Some(2));
    assert_eq!(order.get_bool("Details[1].delete"), Some(true));
    assert!(order.push_detail("id", Entity::new()).is_err());
    assert!(order.push_detail("Details[7].Allocations", Entity::new()).is_err());
}

#[test]
fn errors_are_found_wherever_they_are() {
    let refused = entity(json!({
        "error": "Inserting 'AP Transactions' record raised at least one error. Please review the errors.",
        "Vendor": { "value": "X", "error": "Vendor cannot be found." },
        "Details": [{ "Qty": { "value": 1 } }, { "error": "Line is wrong.", "Project": { "error": "Empty." } }],
        "MainContact": { "Email": { "value": "", "error": " " } },
        "custom": { "V": { "F": { "type": "CustomStringField", "value": "", "error": "Too long." } } },
    }));
    let paths: Vec<_> = refused.errors().into_iter().map(|error| error.path).collect();
    assert_eq!(paths, ["", "Details[1]", "Details[1].Project", "Vendor", "custom.V.F"]);
    assert!(order().errors().is_empty());
    let line = refused.decode::<Value>().unwrap()["Details"][1].clone();
    assert_eq!(line["error"], "Line is wrong.");
    let only = entity(json!({ "Details": [{ "error": "Line is wrong." }] }));
    assert_eq!(only.decode::<Value>().unwrap()["Details"][0]["error"], "Line is wrong.");
}

#[test]
fn an_answer_that_means_the_same_is_an_echo() {
    let sent = Entity::new()
        .with("Qty", 2)
        .with("Price", "12.50")
        .with("Rate", 0.1 + 0.2)
        .with("Name", "ACME")
        .with("Date", Date::new(2024, 1, 31).unwrap())
        .with("At", "2024-01-31T10:00:00+02:00")
        .with("Id", "00000000-0000-0000-0000-00000000000A")
        .with("Status", "Open")
        .with("Empty", "")
        .with_cleared("Cleared")
        .with("MainContact.Email", "a@example.com")
        .with("Details[0].Qty", 1);
    let received = entity(json!({
        "Qty": { "value": 2.0 }, "Price": { "value": 12.5 }, "Rate": { "value": 0.3 }, "Name": { "value": "ACME   " },
        "Date": { "value": "2024-01-31T00:00:00+00:00" }, "At": { "value": "2024-01-31T08:00:00+00:00" },
        "Id": { "value": "00000000-0000-0000-0000-00000000000a" }, "Empty": {}, "Extra": { "value": 1 },
        "Status": { "value": { "id": "O", "description": "Open" } }, "Cleared": {},
    }));
    assert_eq!(Entity::not_echoed(&sent, &received), [""; 0]);
}

#[test]
fn a_field_that_was_ignored_or_changed_is_named() {
    let sent = Entity::new()
        .with("Qty", 2)
        .with("Nmae", "x")
        .with("Date", "2024-01-31")
        .with("Kept", 1)
        .with_cleared("Cleared")
        .with("MainContact.Email", "a@example.com")
        .with_custom("Document", "UsrColor", "red");
    let received = entity(json!({
        "Qty": { "value": 3 }, "Date": { "value": "2024-02-01T00:00:00+00:00" }, "Kept": { "value": 1 },
        "Cleared": { "value": "still" }, "MainContact": { "Email": {}, "Phone1": { "value": "1" } },
        "custom": { "Document": { "UsrColor": { "type": "CustomStringField", "value": "blue" } } },
    }));
    let paths = Entity::not_echoed(&sent, &received);
    assert_eq!(paths, ["Cleared", "Date", "MainContact.Email", "Nmae", "Qty", "custom.Document.UsrColor"]);
}

#[test]
fn lines_are_compared_with_their_own_answer() {
    let line = |item: &str, qty: i64| json!({ "Item": { "value": item }, "Qty": { "value": qty } });
    let sent = entity(json!({ "Details": [line("A", 1), line("B", 2)] }));
    let same = |received: Value| Entity::not_echoed(&sent, &entity(json!({ "Details": received })));
    assert_eq!(same(json!([line("A", 1), line("B", 2)])), [""; 0]);
    assert_eq!(
        same(json!([line("Z", 9), line("A", 1), line("B", 2)])),
        [""; 0],
        "lines that were there before"
    );
    assert_eq!(same(json!([line("B", 2), line("A", 1)])), [""; 0], "sorted by the server");
    assert_eq!(same(json!([line("A", 1), line("B", 0)])), ["Details[1].Qty"]);
    assert_eq!(same(json!([line("A", 1)])), ["Details[1]"]);
    let id = |n: u128| Uuid::from_u128(n).to_string();
    let sent = entity(json!({ "Details": [
        { "id": id(2), "Qty": { "value": 5 } }, { "id": id(1), "delete": true }, { "id": id(3), "delete": true },
    ] }));
    let received = entity(json!({ "Details": [
        { "id": id(1), "Qty": { "value": 1 } }, { "id": id(2), "Qty": { "value": 5 } },
    ] }));
    assert_eq!(Entity::not_echoed(&sent, &received), ["Details[1]"], "a line that should be gone");
}

/// Records as a caller's types make them: capital names, nothing empty, lists of one kind.
fn records() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let object = |node: BoxedStrategy<Value>| {
        prop::collection::btree_map("[A-Z][A-Za-z0-9]{0,6}", node, 1..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    };
    let node = scalar.clone().prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            object(inner.clone().boxed()),
            prop::collection::vec(object(inner.boxed()), 0..4).prop_map(Value::Array),
            prop::collection::vec(scalar.clone(), 1..4).prop_map(Value::Array),
        ]
    });
    object(node.boxed())
}

proptest! {
    #[test]
    fn encoding_and_decoding_a_record_gives_it_back(record in records()) {
        let encoded = Entity::encode(&record).unwrap();
        prop_assert_eq!(encoded.decode::<Value>().unwrap(), record);
        prop_assert_eq!(Entity::not_echoed(&encoded, &encoded), Vec::<String>::new());
        let again = Entity::encode(&encoded).unwrap();
        prop_assert_eq!(&again, &encoded);
        prop_assert!(encoded.errors().is_empty());
    }

    #[test]
    fn no_path_and_no_json_make_it_panic(path in "[A-Za-z0-9.\\[\\]/ é]{0,12}", n in any::<i64>(), record in records()) {
        let mut entity = Entity::encode(&record).unwrap();
        let _ = entity.get(&path);
        if entity.set(&path, n).is_ok() {
            prop_assert_eq!(entity.get_i64(&path), Some(n), "{}", path);
        }
        let raw = Entity::from_json(record).unwrap();
        let _ = (raw.decode::<Value>(), raw.errors(), Entity::not_echoed(&raw, &entity));
    }
}
