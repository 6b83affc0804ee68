//! Where things are on a server: the base address, which may have a path of its own, and everything below.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;

use super::key::Key;
use crate::error::{Error, ErrorKind, Result};

/// The base address: `https://erp.example.com` or `https://erp.example.com/Inst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// Scheme, host and port.
    origin: String,
    /// `/Inst`, or nothing.
    path: String,
}

impl Base {
    /// Reads a base address, or says what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let trimmed = url.trim().trim_end_matches('/');
        if trimmed.is_empty() {
            return Err("the base URL is empty".into());
        }
        let lower = trimmed.to_ascii_lowercase();
        if !lower.starts_with("https://") && !lower.starts_with("http://") {
            return Err(format!("the base URL {trimmed:?} has no scheme: https://{trimmed}?"));
        }
        let uri: Uri =
            trimmed.parse().map_err(|e| format!("the base URL {trimmed:?} cannot be read: {e}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("the base URL {trimmed:?} has no host"));
        };
        if authority.as_str().contains('@') {
            return Err("the base URL has credentials in it: give them to login(..)".into());
        }
        if uri.query().is_some() || trimmed.contains('#') {
            return Err(format!("the base URL {trimmed:?} ends in a query or a fragment"));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { origin: format!("{scheme}://{authority}"), path })
    }

    /// The address of a path below the base: `/entity/auth/login`.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// The address behind a link that the server gave. A link on the host's root has the base's path in it
    /// already; easy_acumatica put it there twice.
    pub(super) fn follow(&self, link: &str) -> Result<String> {
        let lower = link.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            // The session's cookies go along, so it must be the same server.
            let same = lower.strip_prefix(&self.origin.to_ascii_lowercase());
            return if same.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
                Ok(link.to_owned())
            } else {
                Err(Error::new(
                    ErrorKind::Protocol,
                    "the server gave a link to another host, which was not followed",
                ))
            };
        }
        let link = if link.starts_with('/') { link.to_owned() } else { format!("/{link}") };
        let below = link
            .to_ascii_lowercase()
            .strip_prefix(&self.path.to_ascii_lowercase())
            .is_some_and(|rest| rest.starts_with('/') || rest.starts_with('?') || rest.is_empty());
        Ok(if below { format!("{}{link}", self.origin) } else { self.join(&link) })
    }
}

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
        .to_string()
        .replace("%2E", ".")
        .replace("%2D", "-")
        .replace("%5F", "_")
}

/// The name of an entity, action or inquiry, as a segment; refused when it cannot be one.
pub(super) fn name(what: &str, name: &str) -> Result<String> {
    let bad = name.trim().is_empty()
        || name == "."
        || name == ".."
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '?' | '#'));
    if bad {
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} is no name of {what}")));
    }
    Ok(segment(name))
}

/// The name of a file, as a segment: anything that is no path.
pub(super) fn file_name(name: &str) -> Result<String> {
    let bad = name.trim().is_empty()
        || name == "."
        || name == ".."
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if bad {
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} is no name of a file")));
    }
    Ok(segment(name))
}

/// What a key adds to the address of its entity.
pub(super) fn below(entity: &str, key: &Key) -> Result<String> {
    let path =
        key.to_path().map_err(|error| Error::new(ErrorKind::Invalid, error.message()).with_entity(entity))?;
    Ok(format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_below_the_bases_path_does_not_get_it_twice() {
        let base = Base::parse("https://h/Inst/").unwrap();
        assert_eq!(base.join("/entity/auth/login"), "https://h/Inst/entity/auth/login");
        assert_eq!(base.follow("/Inst/entity/x").unwrap(), "https://h/Inst/entity/x");
        assert_eq!(base.follow("/inst/entity/x").unwrap(), "https://h/inst/entity/x");
        assert_eq!(base.follow("/entity/x").unwrap(), "https://h/Inst/entity/x");
        assert_eq!(base.follow("/Instance/x").unwrap(), "https://h/Inst/Instance/x");
        let root = Base::parse("http://h:8088").unwrap();
        assert_eq!(root.follow("/entity/x").unwrap(), "http://h:8088/entity/x");
    }

    #[test]
    fn the_session_is_not_sent_to_another_host() {
        let base = Base::parse("https://erp.example.com").unwrap();
        assert!(base.follow("https://evil.example.com/entity").is_err());
        assert!(base.follow("https://erp.example.com.evil.com/entity").is_err());
        assert!(base.follow("http://erp.example.com/entity").is_err());
        assert!(base.follow("https://ERP.example.com/entity").is_ok());
    }

    #[test]
    fn a_base_url_that_is_none_is_named() {
        for (url, word) in [
            ("", "empty"),
            ("erp.example.com", "scheme"),
            ("ftp://h", "scheme"),
            ("https://", "cannot be read"),
            ("https://u:p@h", "credentials"),
            ("https://h/?a=b", "query"),
        ] {
            let problem = Base::parse(url).unwrap_err();
            assert!(problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("u:p"), "{problem}");
        }
    }

    #[test]
    fn names_are_one_segment() {
        assert_eq!(name("an entity", "SalesOrder").unwrap(), "SalesOrder");
        assert_eq!(name("an inquiry", "AR Invoices").unwrap(), "AR%20Invoices");
        for bad in ["", " ", "..", "a/b", "a?b", "a#b", "a\nb"] {
            assert!(name("an entity", bad).is_err(), "{bad:?}");
        }
    }
}
