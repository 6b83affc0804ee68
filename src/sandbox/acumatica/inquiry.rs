//! Generic inquiries: flat rows over OData, or through an entity of the endpoint.

use serde_json::{Map, Value, json};

use super::data::body;
use super::errors;
use super::filter::Filter;
use super::options::{Dialect, Options};
use super::record::Table;
use super::schema::{self, EntityShape, INQUIRIES, Inquiry};
use super::site::{Site, Visit};
use crate::sandbox::http::{Request, Response};

impl Site {
    /// `GET /t/{tenant}/api/odata/gi/{name}`: HTTP Basic or a bearer token, no session.
    pub(super) fn inquiry(&self, request: &Request, tenant: &str, name: &str) -> Response {
        if !self.may_query(&request.head) {
            return Response::html(401, "Unauthorized")
                .header("WWW-Authenticate", "Basic realm=\"Acumatica\"");
        }
        if !tenant.eq_ignore_ascii_case(&self.settings.tenant) {
            return Response::html(404, "Not Found");
        }
        if request.head.method != "GET" {
            return errors::message(405, "The requested resource does not support this method.");
        }
        if name == "$metadata" {
            return Response::new(200).header("Content-Type", "application/xml").with_body(metadata());
        }
        let Some(inquiry) = INQUIRIES.iter().find(|inquiry| inquiry.name.eq_ignore_ascii_case(name)) else {
            return errors::message(404, &format!("Resource not found for the segment '{name}'."));
        };
        if !inquiry.exposed {
            return errors::message(403, "The inquiry is not exposed via OData.");
        }
        let Some(entity) = schema::entity(inquiry.of) else { return errors::not_found() };
        // Generic inquiries speak OData 4 whatever the endpoint speaks.
        let options = match Options::parse(&request.head, entity.shape, Dialect::Five) {
            Ok(options) => options,
            Err(message) => return errors::query(&message),
        };
        let rows = self.rows(inquiry, entity, &options, |_, value| value.cloned().unwrap_or(Value::Null));
        let base = &self.settings.base_path;
        let mut answer =
            json!({"@odata.context": format!("{base}/t/{tenant}/api/odata/gi/$metadata#{name}")});
        if request.head.query().iter().any(|(name, value)| name == "$count" && value == "true") {
            answer["@odata.count"] = self.matching(entity, options.filter.as_ref()).into();
        }
        answer["value"] = rows;
        Response::json(200, &answer)
    }

    /// `PUT {}` with `$expand` of the rows: the way through the endpoint.
    pub(super) fn inquiry_entity(
        &self,
        visit: &Visit<'_>,
        inquiry: &'static Inquiry,
        rest: &[&str],
    ) -> Response {
        let (Some((name, rows, _)), Some(entity)) = (inquiry.endpoint, schema::entity(inquiry.of)) else {
            return errors::not_found();
        };
        match (visit.request.head.method.as_str(), rest) {
            ("PUT", []) => {}
            ("GET", ["$adHocSchema"]) => return Response::json(200, &json!({"custom": {}})),
            _ => return errors::message(405, "The requested resource does not support this method."),
        }
        if let Err(response) = body(&visit.request.body) {
            return response;
        }
        let expands = visit
            .request
            .head
            .query()
            .iter()
            .any(|(name, value)| name == "$expand" && value.split(',').any(|part| part.trim() == rows));
        let mut answer = json!({
            "id": uuid::Uuid::new_v4(), "rowNumber": 1, "note": null, "custom": {},
            "_links": {"self": format!("{}/{name}", visit.endpoint)},
        });
        if expands {
            let wrapped = |_: &str, value: Option<&Value>| match value {
                None | Some(Value::Null) => json!({}),
                Some(value) => json!({"value": value}),
            };
            answer[rows] = self.rows(inquiry, entity, &Options::default(), wrapped);
        }
        Response::json(200, &answer)
    }

    fn rows(
        &self,
        inquiry: &Inquiry,
        entity: &'static EntityShape,
        options: &Options,
        write: impl Fn(&str, Option<&Value>) -> Value,
    ) -> Value {
        let store = self.read();
        let found = store.table(entity).into_iter().flat_map(Table::iter).filter(|record| {
            options.filter.as_ref().is_none_or(|filter| filter.holds(&record.node, entity.shape))
        });
        found
            .skip(options.skip)
            .take(options.top.unwrap_or(usize::MAX))
            .map(|record| {
                let fields = inquiry.fields.iter().filter(|field| {
                    options.select.is_empty() || options.select.iter().any(|asked| asked == *field)
                });
                let row: Map<String, Value> = fields
                    .map(|field| ((*field).to_owned(), write(field, record.node.values.get(field))))
                    .collect();
                Value::Object(row)
            })
            .collect()
    }

    fn matching(&self, entity: &'static EntityShape, filter: Option<&Filter>) -> usize {
        let store = self.read();
        let records = store.table(entity).into_iter().flat_map(Table::iter);
        records.filter(|record| filter.is_none_or(|filter| filter.holds(&record.node, entity.shape))).count()
    }
}

fn metadata() -> String {
    let (mut types, mut sets) = (String::new(), String::new());
    for inquiry in &INQUIRIES {
        let name = inquiry.name.replace([' ', '-'], "_");
        let shape = schema::entity(inquiry.of).map(|entity| entity.shape);
        let properties: String = inquiry
            .fields
            .iter()
            .filter_map(|field| shape?.field(field))
            .map(|field| format!("<Property Name=\"{}\" Type=\"{}\"/>", field.name, field.kind.edm()))
            .collect();
        types.push_str(&format!("<EntityType Name=\"{name}\">{properties}</EntityType>"));
        sets.push_str(&format!("<EntitySet Name=\"{}\" EntityType=\"PX.Data.{name}\"/>", inquiry.name));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices>\
         <Schema Namespace=\"PX.Data\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">{types}</Schema>\
         <Schema Namespace=\"Default\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">\
         <EntityContainer Name=\"Default\">{sets}</EntityContainer></Schema>\
         </edmx:DataServices></edmx:Edmx>"
    )
}

/// The paths and models of the inquiries on the endpoint, for `swagger.json`.
pub(super) fn on_the_endpoint()
-> impl Iterator<Item = (&'static Inquiry, &'static str, &'static str, &'static str)> {
    INQUIRIES
        .iter()
        .filter_map(|inquiry| inquiry.endpoint.map(|(name, rows, title)| (inquiry, name, rows, title)))
}
