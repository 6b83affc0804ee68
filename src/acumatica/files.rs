//! Files that hang on records.

use super::address;
use super::entity::FileLink;
use super::key::IntoKey;
use super::query::Query;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Method, Nature, Request};

/// The longest comment (Integration Development Guide, 2026 R1).
const COMMENT: usize = 500;

impl Session {
    /// Attaches a file to a record: asks the record where, and sends the bytes there.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a file name that is none, or a comment of more than 500
    /// characters or beyond ASCII; [`NotFound`](ErrorKind::NotFound) when there is no such record;
    /// [`Rejected`](ErrorKind::Rejected) when the entity takes no files.
    pub fn put_file(
        &mut self,
        entity: &str,
        key: impl IntoKey,
        filename: &str,
        bytes: impl Into<Vec<u8>>,
        comment: Option<&str>,
    ) -> Result<()> {
        let name = address::file_name(filename)?;
        if let Some(comment) = comment
            && (comment.chars().count() > COMMENT
                || !comment.chars().all(|c| c == ' ' || c.is_ascii_graphic()))
        {
            let message = format!("a file comment has at most {COMMENT} printable ASCII characters");
            return Err(Error::new(ErrorKind::Invalid, message).with_entity(entity));
        }
        let record = self.get_by_id(entity, key)?;
        let Some(link) = record.link("files:put") else {
            let message = "the server names no place for files of this record";
            return Err(Error::new(ErrorKind::Rejected, message).with_entity(entity));
        };
        let url = self.client.settings.base.follow(&link.replace("{filename}", &name))?;
        // The name decides which file it is: sent twice, it is there once.
        let mut request = Request::new(Method::PUT, url)
            .nature(Nature::Keyed)
            .header("Content-Type", "application/octet-stream")
            .header("Accept", "application/json")
            .body(bytes.into())
            .operation("put file")
            .entity(format!("{entity}: {filename}"));
        if let Some(comment) = comment {
            request.set_header("PX-CbFileComment", comment.to_owned());
        }
        self.send(&mut request).map(|_| ())
    }

    /// The files attached to a record.
    ///
    /// # Errors
    ///
    /// As [`get_by_id`](Self::get_by_id).
    pub fn get_files(&mut self, entity: &str, key: impl IntoKey) -> Result<Vec<FileLink>> {
        let record = self.get_by_id_with(entity, key, Query::new().expand(["files"]).select(["files"]))?;
        Ok(record.files())
    }

    /// The contents of a file.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a file without id and address; else by the server's answer.
    pub fn get_file(&mut self, file: &FileLink) -> Result<Vec<u8>> {
        let url = match (&file.href, file.id) {
            (Some(href), _) => self.client.settings.base.follow(href)?,
            (None, Some(id)) => format!("{}/files/{id}", self.endpoint()?.0),
            (None, None) => {
                return Err(Error::new(ErrorKind::Invalid, "the file has neither id nor address"));
            }
        };
        let mut request = Request::new(Method::GET, url).operation("get file").entity(file.filename.as_str());
        Ok(self.send(&mut request)?.into_body())
    }
}
