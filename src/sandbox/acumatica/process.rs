//! A processing form and a report: calls that belong together in one session, and answers that are files.

use serde_json::{Map, Value, json};

use super::action::Long;
use super::data::{body, target};
use super::errors;
use super::options::Options;
use super::record::Table;
use super::schema::{self, EntityShape};
use super::site::{Site, Visit};
use crate::sandbox::http::Response;
use crate::sandbox::lock;

/// The processing form: `PUT` chooses, `POST` processes, in the same session.
pub(super) const FORM: &str = "ProcessOrders";

/// The report: 202 on `POST`, and the file where its status is asked.
pub(super) const REPORT: &str = "SalesOrderReport";

impl Site {
    /// `PUT` with the filter and `$expand=Result` lists the documents; `POST` on `Process` or `ProcessAll`
    /// works on them. The choice is kept in the session: another session has made none.
    pub(super) fn process(&self, visit: &Visit<'_>, rest: &[&str]) -> Response {
        let Some(orders) = schema::entity("SalesOrder") else { return errors::not_found() };
        match (visit.request.head.method.as_str(), rest) {
            ("PUT", []) => self.choose(visit, orders),
            ("POST", ["Process" | "ProcessAll"]) => self.process_chosen(visit, orders),
            ("GET", [_, "status", id]) => self.action_status(visit, id),
            _ => errors::message(405, "The requested resource does not support this method."),
        }
    }

    fn choose(&self, visit: &Visit<'_>, orders: &'static EntityShape) -> Response {
        let sent = match body(&visit.request.body) {
            Ok(sent) => sent,
            Err(response) => return response,
        };
        let action =
            sent.get("Action").and_then(|action| action.get("value")?.as_str()).unwrap_or("ReleaseFromHold");
        *lock(&visit.session.chosen) = Some(action.to_owned());
        let mut answer = json!({
            "id": uuid::Uuid::new_v4(), "rowNumber": 1, "note": null, "custom": {}, "Action": {"value": action},
        });
        let expands =
            visit.request.head.query().iter().any(|(name, value)| name == "$expand" && value == "Result");
        if expands {
            let rows = self.waiting(orders, action).into_iter().map(|(order_type, number)| {
                json!({"Selected": {"value": false}, "OrderType": {"value": order_type}, "OrderNbr": {"value": number}})
            });
            answer["Result"] = rows.collect();
        }
        Response::json(200, &answer)
    }

    fn process_chosen(&self, visit: &Visit<'_>, orders: &'static EntityShape) -> Response {
        let Some(chosen) = lock(&visit.session.chosen).take() else {
            return errors::exception(
                "PX.Data.PXException",
                "Error: Select the action and the documents to be processed first.",
            );
        };
        let Some(action) = orders.actions.iter().find(|action| action.name == chosen) else {
            return errors::exception(
                "PX.Data.PXException",
                &format!("Error: The action '{chosen}' is not available."),
            );
        };
        let keys = self
            .waiting(orders, &chosen)
            .into_iter()
            .map(|(order_type, number)| format!("{order_type}/{number}"));
        let place = format!("{}/{FORM}/ProcessAll", visit.endpoint);
        self.go_on(
            visit,
            Long { place, entity: orders, keys: keys.collect(), action, failure: None, file: None },
        )
    }

    /// The type and number of the orders in whose status this action can run.
    fn waiting(&self, orders: &'static EntityShape, action: &str) -> Vec<(String, String)> {
        let Some(action) = orders.actions.iter().find(|known| known.name == action) else {
            return Vec::new();
        };
        let store = self.read();
        let records = store.table(orders).into_iter().flat_map(Table::iter);
        records
            .filter(|record| action.from.contains(&record.node.text("Status").as_str()))
            .map(|record| (record.node.text("OrderType"), record.node.text("OrderNbr")))
            .collect()
    }

    /// `POST` with the parameters: 202, then the file at its location.
    pub(super) fn report(&self, visit: &Visit<'_>, rest: &[&str]) -> Response {
        let Some(orders) = schema::entity("SalesOrder") else { return errors::not_found() };
        match (visit.request.head.method.as_str(), rest) {
            ("POST", []) => {}
            ("GET", ["status", id]) => return self.action_status(visit, id),
            _ => return errors::message(405, "The requested resource does not support this method."),
        }
        let sent: Map<String, Value> = match body(&visit.request.body) {
            Ok(sent) => sent,
            Err(response) => return response,
        };
        let store = self.read();
        let Some(record) = target(&store, orders, &sent, &Options::default()) else {
            return errors::not_found();
        };
        let key = record.node.key(orders);
        let text = format!("%PDF-1.4\n% order {key}, total {}\n%%EOF\n", record.node.number("OrderTotal"));
        drop(store);
        let place = format!("{}/{REPORT}", visit.endpoint);
        let action = &orders.actions[0];
        let file = Some(text.into_bytes());
        self.go_on(visit, Long { place, entity: orders, keys: Vec::new(), action, failure: None, file })
    }
}
