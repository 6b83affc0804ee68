//! The base address of a server, which may have a path of its own, and everything below.

use ureq::http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// The base address: `https://erp.example.com` or `https://erp.example.com/Inst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// Scheme, host and port.
    origin: String,
    /// `/Inst`, or nothing.
    path: String,
}

impl Base {
    /// Reads a base address, or says what is wrong with it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let trimmed = url.trim();
        if trimmed.is_empty() {
            return Err("the base URL is empty".into());
        }
        let lower = trimmed.to_ascii_lowercase();
        if !lower.starts_with("https://") && !lower.starts_with("http://") {
            return Err(format!("the base URL {trimmed:?} has no scheme: https://{trimmed}?"));
        }
        let trimmed = trimmed.trim_end_matches('/');
        if trimmed.ends_with(':') {
            return Err(format!("the base URL {url:?} has no host"));
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
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// The address behind a link that the server gave. A link on the host's root has the base's path in it
    /// already; easy_acumatica put it there twice.
    #[cfg_attr(not(feature = "acumatica"), allow(dead_code, reason = "Odoo gives no links"))]
    pub(crate) fn follow(&self, link: &str) -> Result<String> {
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
            ("https://", "no host"),
            ("https://u:p@h", "credentials"),
            ("https://h/?a=b", "query"),
        ] {
            let problem = Base::parse(url).unwrap_err();
            assert!(problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("u:p"), "{problem}");
        }
    }
}
