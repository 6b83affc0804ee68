//! A server on loopback that answers what a test says, one reply for each request.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use batchcall::odoo::{Odoo, OdooBuilder, Protocol};
use batchcall::{RetryPolicy, odoo};
use serde_json::{Value, json};
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, further headers, body. `ID` in the body becomes the request's id.
    Answer(u16, &'static str, String),
    /// The body in chunks.
    Chunked(String),
    /// Nothing: the connection is closed after the request was read.
    Lost,
}

pub(crate) fn ok(body: impl std::fmt::Display) -> Reply {
    Reply::Answer(200, "Content-Type: application/json\r\n", body.to_string())
}

pub(crate) fn status(status: u16, body: impl std::fmt::Display) -> Reply {
    Reply::Answer(status, "Content-Type: application/json\r\n", body.to_string())
}

pub(crate) fn html(status: u16, body: &str) -> Reply {
    Reply::Answer(status, "Content-Type: text/html; charset=utf-8\r\n", body.to_owned())
}

/// A result of JSON-RPC.
pub(crate) fn result(value: &Value) -> Reply {
    ok(format!(r#"{{"jsonrpc":"2.0","id":ID,"result":{value}}}"#))
}

/// An error of JSON-RPC as the server was seen to send it.
pub(crate) fn error(name: &str, message: &str) -> Reply {
    let data = json!({"name": name, "message": message, "arguments": [message], "context": {},
                      "debug": "Traceback (most recent call last):\n  File \"/opt/odoo/http.py\""});
    ok(format!(
        r#"{{"jsonrpc":"2.0","id":ID,"error":{{"code":0,"message":"Odoo Server Error","data":{data}}}}}"#
    ))
}

/// The session of a login.
pub(crate) fn logged_in(session: &str) -> Reply {
    let headers =
        format!("Content-Type: application/json\r\nSet-Cookie: session_id={session}; Path=/; HttpOnly\r\n");
    let info = json!({"uid": 2, "is_admin": true, "user_context": {"lang": "en_US", "tz": "UTC", "uid": 2},
                      "db": "odoo", "server_version_info": [19, 0, 0, "final", 0, ""]});
    Reply::Answer(
        200,
        Box::leak(headers.into_boxed_str()),
        format!(r#"{{"jsonrpc":"2.0","id":ID,"result":{info}}}"#),
    )
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    port: u16,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Script {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let script = Self {
            port: listener.local_addr().unwrap().port(),
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            received: Arc::default(),
        };
        let served = script.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = served.clone();
                thread::spawn(move || script.serve(stream));
            }
        });
        script
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut received = Received { head, body: String::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        received.body = String::from_utf8(body).unwrap();
        let id = received.json()["id"].to_string();
        self.received.lock().unwrap().push(received);
        let reply = self.replies.lock().unwrap().pop_front();
        let mut stream = reader.into_inner();
        match reply.unwrap_or_else(|| html(404, "<title>404 Not Found</title>")) {
            Reply::Answer(status, headers, body) => {
                let body = body.replace("\"id\":ID", &format!("\"id\":{id}"));
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
                    .ok()?;
            }
            Reply::Chunked(body) => {
                let body = body.replace("\"id\":ID", &format!("\"id\":{id}"));
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                .ok()?;
                for part in body.as_bytes().chunks(7) {
                    write!(stream, "{:x}\r\n", part.len()).ok()?;
                    stream.write_all(part).ok()?;
                    stream.write_all(b"\r\n").ok()?;
                }
                stream.write_all(b"0\r\n\r\n").ok()?;
            }
            Reply::Lost => {}
        }
        Some(())
    }

    /// Puts a reply before the others.
    pub(crate) fn answer_next(&self, reply: Reply) {
        self.replies.lock().unwrap().push_front(reply);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The requests after the login.
    pub(crate) fn calls(&self) -> Vec<Received> {
        let login = |call: &Received| {
            call.path() == "/web/session/authenticate"
                || call.path().ends_with("context_get")
                || call.json()["params"]["service"] == "common"
        };
        self.received().into_iter().filter(|call| !login(call)).collect()
    }

    pub(crate) fn builder(&self) -> OdooBuilder {
        Odoo::builder(format!("http://127.0.0.1:{}", self.port))
            .database("odoo")
            .retry(RetryPolicy::new().base(Duration::from_millis(1)).throttled_base(Duration::from_millis(1)))
    }

    /// A session by a protocol; the login comes out of the script.
    pub(crate) fn session(&self, protocol: Protocol) -> odoo::Session {
        let builder = self.builder().protocol(protocol);
        let builder = match protocol {
            Protocol::Json2 => builder.api_key("k3y"),
            _ => builder.login("admin", "pa55"),
        };
        builder.build().unwrap().session().unwrap()
    }
}

/// The reply to the login of a protocol.
pub(crate) fn login(protocol: Protocol) -> Reply {
    match protocol {
        Protocol::Json2 => ok(r#"{"lang": "en_US", "tz": "UTC", "uid": 2}"#),
        Protocol::WebSession => logged_in("s1"),
        _ => result(&json!(2)),
    }
}

/// A session of a protocol, its login done, on a server that gives these replies then.
pub(crate) fn talk(protocol: Protocol, replies: impl IntoIterator<Item = Reply>) -> (Script, odoo::Session) {
    let script = Script::new(std::iter::once(login(protocol)).chain(replies));
    let session = script.session(protocol);
    (script, session)
}
