//! Acumatica, through a `PUT` for each record, against the stand-in server.

use std::rc::Rc;

use batchcall::Acumatica;
use batchcall::acumatica::Entity;
use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use serde_json::json;

use crate::suite::Fixture;

fn fixture() -> Fixture<Acumatica> {
    let server = Rc::new(Sandbox::acumatica().start().unwrap());
    let store = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build().unwrap();
    let (looked_at, losing, counted) = (Rc::clone(&server), Rc::clone(&server), Rc::clone(&server));
    Fixture {
        model: "Warehouse".into(),
        good: |n| json!({"WarehouseID": format!("W{n:03}"), "Description": "w", "TimeZone": "America/New_York", "Altitude": n}),
        bad: Some(
            |n| json!({"WarehouseID": format!("W{n:03}"), "Description": "w", "Latitude": 1000, "Altitude": n}),
        ),
        key: "WarehouseID",
        change: ("Description", json!("changed"), json!("changed again")),
        parent: None,
        missing: "W999".into(),
        rows: Box::new(move |_| {
            let entities =
                looked_at.records("Warehouse").into_iter().map(|row| Entity::from_json(row).unwrap());
            let row = |entity: Entity| {
                let id = entity.id().unwrap().into();
                let fields = ["WarehouseID", "Description", "Altitude"];
                (id, fields.iter().filter_map(|name| Some((*name, entity.get(name)?.clone()))).collect())
            };
            entities.map(row).collect()
        }),
        lose_answer: Some(Box::new(move |_| {
            losing.set_faults(Faults::none().at_on(Calls::Put, 1, Fault::ResetAfter));
        })),
        requests: Some(Box::new(move |_| counted.history().data_requests())),
        keep: Box::new(server),
        store,
    }
}

conformance!(sandbox, fixture);
