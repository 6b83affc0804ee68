//! An answer as it came, and the error it stands for.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use ureq::http::HeaderMap;

use super::request::Request;
use super::retry_after;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// The most characters of a body that an error message quotes.
const QUOTED: usize = 200;

/// Any answer that was read to its end: 2xx, and everything else that the retry loop did not swallow,
/// redirects included. `Debug` shows neither headers nor body.
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) attempts: u32,
    pub(super) after_loss: bool,
    pub(super) elapsed: Duration,
}

impl Answer {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether an earlier attempt of the same request may have been applied, its answer lost.
    pub(crate) fn is_after_loss(&self) -> bool {
        self.after_loss
    }

    /// The first header of that name, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Every `Set-Cookie`.
    pub(crate) fn set_cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok())
    }

    /// The body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body itself, such as a file.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The time that the server asked to wait, read against its own clock.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after::parse(self.header("retry-after")?, self.header("date"), SystemTime::now())
    }

    /// How far the request had come: answered, unless a gateway answered for a server that may still
    /// have acted.
    pub(crate) fn delivery(&self) -> Delivery {
        match self.status {
            502 | 504 => Delivery::MaybeSent,
            503 if self.header("retry-after").is_none() => Delivery::MaybeSent,
            _ => Delivery::Answered,
        }
    }

    /// The beginning of the body, for an error message: of HTML the title or the first text.
    pub(crate) fn text_lossy(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(16 << 10)]);
        let looks_like_html = text.trim_start().starts_with('<');
        let text = if looks_like_html { words_of_html(&text) } else { text.into_owned() };
        shorten(&text, QUOTED)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`], naming the content type and the beginning of the body. A write that
    /// succeeded by its status and cannot be read is in doubt.
    pub(crate) fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let content_type = self.header("content-type").unwrap_or("no content type");
            let message = if self.body.is_empty() {
                format!("expected JSON, got an empty body ({content_type})")
            } else {
                format!("expected JSON, got {content_type} ({e}): {}", self.text_lossy())
            };
            let delivery = if self.is_success() { Delivery::MaybeSent } else { self.delivery() };
            self.fill(request, Error::new(ErrorKind::Protocol, message), delivery)
        })
    }

    /// The error that this answer stands for, with everything that is known of it.
    pub(crate) fn to_error(&self, request: &Request, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.fill(request, Error::new(kind, message), self.delivery())
    }

    fn fill(&self, request: &Request, error: Error, delivery: Delivery) -> Error {
        let error = request
            .label(error)
            .with_status(self.status)
            .with_attempts(self.attempts)
            .with_delivery(delivery)
            .with_resendable(request.nature.is_resendable());
        match self.retry_after() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

/// The title of a page, or where it has none its text without scripts and styles.
fn words_of_html(html: &str) -> String {
    // ASCII case folding keeps every byte offset.
    let lower = html.to_ascii_lowercase();
    if let Some(title) = between(html, &lower, "<title", "</title") {
        let title = title.split_once('>').map_or("", |(_, text)| text);
        if !title.trim().is_empty() {
            return title.to_owned();
        }
    }
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|i| at + i) {
        text.push_str(&html[at..open]);
        text.push(' ');
        let end = ["script", "style", "head"]
            .iter()
            .find(|name| lower[open + 1..].starts_with(**name))
            .and_then(|name| lower[open..].find(&format!("</{name}")).map(|i| open + i))
            .unwrap_or(open);
        match lower[end..].find('>') {
            Some(close) => at = end + close + 1,
            None => return text,
        }
    }
    text.push_str(&html[at..]);
    text
}

fn between<'a>(text: &'a str, lower: &str, from: &str, to: &str) -> Option<&'a str> {
    let start = lower.find(from)? + from.len();
    let end = start + lower[start..].find(to)?;
    Some(&text[start..end])
}

/// One line, with single spaces and at most `most` characters.
fn shorten(text: &str, most: usize) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > most * 4 {
            break;
        }
    }
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::Method;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Answer {
            status,
            headers: map,
            body: body.into(),
            attempts: 2,
            after_loss: false,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn html_is_quoted_by_its_title_or_its_first_text() {
        let titled = "<html><head><title>\n 502 Bad\tGateway </title></head><body>nginx</body></html>";
        assert_eq!(answer(502, &[], titled).text_lossy(), "502 Bad Gateway");
        let plain = "<!DOCTYPE html><style>p{color:red}</style><p>Down for <b>maintenance</b></p>";
        assert_eq!(answer(503, &[], plain).text_lossy(), "Down for maintenance");
        assert_eq!(answer(503, &[], "<script>never closed").text_lossy(), "never closed");
        assert_eq!(answer(503, &[], "<İ<title>İ</title>").text_lossy(), "İ");
    }

    #[test]
    fn a_quote_is_bounded_whatever_the_body() {
        assert_eq!(answer(500, &[], &"ä".repeat(100_000)).text_lossy().chars().count(), QUOTED + 3);
        assert_eq!(answer(500, &[], &"a ".repeat(100_000)).text_lossy().chars().count(), QUOTED + 3);
    }

    #[test]
    fn a_write_that_succeeded_with_an_unreadable_body_is_in_doubt() {
        let write = Request::new(Method::POST, "http://erp/");
        let html = answer(200, &[("content-type", "text/html")], "<title>Sign in</title>");
        let error = html.json::<serde_json::Value>(&write).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.is_in_doubt());
        assert!(error.message().contains("text/html") && error.message().contains("Sign in"), "{error}");

        let read = Request::new(Method::GET, "http://erp/");
        assert!(!html.json::<serde_json::Value>(&read).unwrap_err().is_in_doubt());
        let refused = answer(422, &[], "{");
        assert!(!refused.json::<serde_json::Value>(&write).unwrap_err().is_in_doubt());
    }

    #[test]
    fn only_a_gateway_leaves_a_write_in_doubt() {
        let write = Request::new(Method::POST, "http://erp/").operation("create").entity("Bill");
        for (status, retry_after, in_doubt) in [
            (400, false, false),
            (429, false, false),
            (500, false, false),
            (502, false, true),
            (503, false, true),
            (503, true, false),
            (504, false, true),
        ] {
            let headers: &[_] = if retry_after { &[("retry-after", "1")] } else { &[] };
            let error = answer(status, headers, "").to_error(&write, ErrorKind::Unavailable, "m");
            assert_eq!(error.is_in_doubt(), in_doubt, "{status}");
            assert_eq!(error.attempts(), 2);
            assert_eq!(error.operation(), Some("create"));
            assert_eq!(error.entity(), Some("Bill"));
        }
    }

    #[test]
    fn every_cookie_is_read() {
        let both = answer(204, &[("set-cookie", "a=1"), ("set-cookie", "b=2")], "");
        assert_eq!(both.set_cookies().collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert!(!format!("{both:?}").contains("a=1"));
    }
}
