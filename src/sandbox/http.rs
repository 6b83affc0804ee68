//! Requests and responses: just enough of HTTP/1.1.

use std::borrow::Cow;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn new(parsed: &httparse::Request<'_, '_>) -> Self {
        let headers = parsed
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).trim().to_owned()))
            .collect();
        // A proxy's absolute form names the host as well.
        let target = parsed.path.unwrap_or("/");
        let target = match target.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => target,
        };
        Self { method: parsed.method.unwrap_or("GET").to_owned(), target: target.to_owned(), headers }
    }

    /// The path, as sent.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// The query's names and values, decoded.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        self.target.split_once('?').map(|(_, query)| form(query)).unwrap_or_default()
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a cookie. A value may hold `=` and `&`, as Acumatica's `Locale` does.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case("cookie"))
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("content-length").and_then(|value| value.parse().ok())
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A whole request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// The names and values of a query or form, decoded.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_plus(name), decode_plus(value))
        })
        .collect()
}

fn decode_plus(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    decode(&spaced)
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// How a server speaks, whatever it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// `HTTP/1.1`, or the older one.
    pub(crate) version: &'static str,
    pub(crate) server: &'static str,
    /// Whether each answer ends its connection.
    pub(crate) closes: bool,
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        let body = serde_json::to_vec(value).expect("a JSON value is serializable");
        Self::new(status).header("Content-Type", "application/json; charset=utf-8").with_body(body)
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \
             \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n<html><head><title>{title}</title></head>\r\n\
             <body><h2>{title}</h2><hr><p>HTTP Error {status}. {title}.</p></body></html>\r\n"
        );
        Self::new(status).header("Content-Type", "text/html; charset=us-ascii").with_body(body)
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The head and the body as one piece, so that they leave in one write. Returns the bytes and how
    /// many of them are the head.
    pub(crate) fn into_bytes(self, manner: &Manner, length_off_by: i64, close: bool) -> (Vec<u8>, usize) {
        use std::io::Write;
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        let date = httpdate::fmt_http_date(SystemTime::now());
        write!(
            bytes,
            "{} {} {}\r\nServer: {}\r\nDate: {date}\r\n",
            manner.version,
            self.status,
            reason(self.status),
            manner.server,
        )
        .expect("a Vec takes what is written");
        for (name, value) in &self.headers {
            write!(bytes, "{name}: {value}\r\n").expect("a Vec takes what is written");
        }
        // RFC 9110: an answer 204 has no Content-Length.
        if self.status != 204 {
            let length =
                i64::try_from(self.body.len()).unwrap_or(i64::MAX).saturating_add(length_off_by).max(0);
            write!(bytes, "Content-Length: {length}\r\n").expect("a Vec takes what is written");
        }
        bytes.extend_from_slice(if close || manner.closes { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        let head = bytes.len();
        if self.status != 204 {
            bytes.extend_from_slice(&self.body);
        }
        (bytes, head)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
