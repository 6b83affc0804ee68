//! Files attached to records.

use uuid::Uuid;

use super::data::find;
use super::errors;
use super::record::File;
use super::schema;
use super::site::{Site, Visit};
use crate::sandbox::history::Action;
use crate::sandbox::http::Response;

/// The longest comment (Integration Development Guide 2026 R1).
const LONGEST_COMMENT: usize = 500;

impl Site {
    /// PUT on the `files:put` link, or on `/Entity/k1/k2/files/name`: 204 and the file's place.
    pub(super) fn upload(&self, visit: &Visit<'_>, entity: &str, keys: &[&str], name: &str) -> Response {
        let Some(entity) = schema::entity(entity) else { return Response::html(404, "Not Found") };
        let comment = visit.request.head.header("PX-CbFileComment").unwrap_or("");
        if comment.chars().count() > LONGEST_COMMENT {
            return errors::exception("PX.Data.PXException", "The comment is longer than 500 characters.");
        }
        let mut store = self.write();
        let Some(key) = find(&store, entity, keys).map(|record| record.node.key(entity)) else {
            return errors::not_found();
        };
        let Some(record) = store.table_mut(entity).get_mut(&key) else { return errors::not_found() };
        let bytes = visit.request.body.clone();
        let place = record.files.iter().position(|file| file.name == name);
        let id = match place {
            // The same name again is a new version of the same file.
            Some(place) => {
                let file = &mut record.files[place];
                file.bytes = bytes;
                file.comment = comment.to_owned();
                file.id
            }
            None => {
                let id = Uuid::new_v4();
                record.files.push(File { id, name: name.to_owned(), comment: comment.to_owned(), bytes });
                id
            }
        };
        self.effect(visit, entity, &key, Action::File(name.to_owned()));
        Response::new(204).header("Location", format!("{}/files/{id}", visit.endpoint))
    }

    pub(super) fn download(&self, id: &str) -> Response {
        let store = self.read();
        match Uuid::parse_str(id).ok().and_then(|id| store.file(id)) {
            Some(file) => Response::new(200)
                .header("Content-Type", "application/octet-stream")
                .header(
                    "Content-Disposition",
                    format!("attachment; filename=\"{}\"", file.name.replace(['"', '\r', '\n'], "_")),
                )
                .with_body(file.bytes.clone()),
            None => errors::not_found(),
        }
    }
}
