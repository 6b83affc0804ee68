//! What a fresh company holds.

use serde_json::json;

use super::apply::Applying;
use super::date;
use super::record::{Node, Record, Store};
use super::schema::{EntityShape, entity};

/// Customers `CUST001` and on, items `ITEM001` to `ITEM020`, warehouses `MAIN` and `RETAIL`, three orders.
pub(super) fn store(customers: usize) -> Store {
    let mut store = Store::default();
    for (id, name) in [("MAIN", "Main warehouse"), ("RETAIL", "Shop")] {
        let sent = json!({
            "WarehouseID": id, "Description": name, "TimeZone": "America/New_York",
            "Latitude": 40.7, "Longitude": -74.0, "Altitude": 10, "UtcOffset": -5, "DST": "A",
        });
        add(&mut store, "Warehouse", &sent);
    }
    for i in 1..=20 {
        let sent = json!({
            "InventoryID": format!("ITEM{i:03}"), "Description": format!("Item {i}"),
            "DefaultPrice": f64::from(i) * 1.25, "WarehouseDetails": [{"WarehouseID": "MAIN", "QtyOnHand": i * 10}],
        });
        add(&mut store, "StockItem", &sent);
    }
    for i in 1..=customers {
        let sent = json!({
            "CustomerID": format!("CUST{i:03}"), "CustomerName": format!("Customer {i}"),
            "CreditLimit": i * 100, "Email": format!("customer{i}@example.com"),
            "MainContact": {
                "Email": format!("customer{i}@example.com"), "DisplayName": format!("Contact {i}"),
                "Address": {"City": "New York", "PostalCode": "10001", "State": "NY"},
            },
        });
        add(&mut store, "Customer", &sent);
    }
    for i in 1..=3_usize.min(customers) {
        let sent = json!({
            "OrderType": "SO", "CustomerID": format!("CUST{i:03}"), "CustomerOrder": format!("PO-{i}"),
            "Details": [{"InventoryID": "ITEM001", "OrderQty": i, "UnitPrice": 10}],
        });
        add(&mut store, "SalesOrder", &sent);
    }
    store
}

fn add(store: &mut Store, name: &str, sent: &serde_json::Value) {
    let entity = entity(name).expect("an entity of the schema");
    let mut node = Node::new(entity.shape);
    Applying::new(store).node(&mut node, entity.shape, sent.as_object().expect("an object"));
    finish(store, entity, &mut node, true);
    store.table_mut(entity).put(&node.key(entity), Record { node, files: Vec::new() });
}

/// Sets what the server sets by itself: numbers, totals, dates.
pub(super) fn finish(store: &mut Store, entity: &'static EntityShape, node: &mut Node, is_new: bool) {
    let now = date::now();
    if is_new {
        if let Some(key) = entity.auto_number
            // `<NEW>` is what the form shows before the number is drawn.
            && matches!(node.text(key).as_str(), "" | "<NEW>")
        {
            let prefix = node.text(entity.keys[0]);
            let table = store.table_mut(entity);
            // A number that somebody gave by hand is taken.
            loop {
                node.values.insert(key, table.next_number(&prefix).into());
                if table.get(&node.key(entity)).is_none() {
                    break;
                }
            }
        }
        for name in ["CreatedDateTime", "CreatedDate"] {
            if let Some(field) = entity.shape.field(name) {
                node.values.insert(field.name, now.as_str().into());
            }
        }
        if entity.shape.field("Date").is_some() {
            node.values.entry("Date").or_insert_with(|| date::today().into());
        }
    }
    for name in ["LastModifiedDateTime", "LastModified"] {
        if let Some(field) = entity.shape.field(name) {
            node.values.insert(field.name, now.as_str().into());
        }
    }
    if entity.name() == "SalesOrder" {
        let (mut total, mut quantity) = (0.0, 0.0);
        for (i, line) in node.details.get_mut("Details").into_iter().flatten().enumerate() {
            let (ordered, price) = (line.number("OrderQty"), line.number("UnitPrice"));
            line.values.insert("LineNbr", (i + 1).into());
            line.values.insert("ExtendedPrice", (ordered * price).into());
            total += ordered * price;
            quantity += ordered;
        }
        node.values.insert("OrderTotal", total.into());
        node.values.insert("OrderedQty", quantity.into());
        match (node.values.get("Hold").and_then(serde_json::Value::as_bool), node.text("Status").as_str()) {
            (Some(false), "On Hold") => node.values.insert("Status", "Open".into()),
            (Some(true), "Open") => node.values.insert("Status", "On Hold".into()),
            _ => None,
        };
    }
}
