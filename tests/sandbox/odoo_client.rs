//! A client of a few lines for the stand-in Odoo: each request on a connection of its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use batchcall::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::client::Answer;

pub(crate) struct Odoo {
    port: u16,
    pub(crate) key: String,
    pub(crate) login: &'static str,
    pub(crate) user: i64,
    pub(crate) cookie: Option<String>,
}

impl Odoo {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let key = sandbox.api_key("admin").unwrap();
        Self { port: sandbox.port(), key, login: "admin", user: 2, cookie: None }
    }

    /// The user who may only read.
    pub(crate) fn demo(sandbox: &Sandbox) -> Self {
        let key = sandbox.api_key("demo").unwrap();
        Self { port: sandbox.port(), key, login: "demo", user: 5, cookie: None }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: session_id={cookie}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        Ok(Answer { status: head[9..12].parse().unwrap(), head, body: bytes[end..].to_vec() })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], &body.to_string()).unwrap()
    }

    /// A call over JSON-2.
    pub(crate) fn json2(&self, model: &str, method: &str, body: &Value) -> Answer {
        self.try_json2(model, method, body).unwrap()
    }

    pub(crate) fn try_json2(&self, model: &str, method: &str, body: &Value) -> io::Result<Answer> {
        let bearer = format!("bearer {}", self.key);
        let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
        self.send("POST", &format!("/json/2/{model}/{method}"), &headers, &body.to_string())
    }

    /// A request on `/jsonrpc` with the id 1.
    pub(crate) fn rpc(&self, service: &str, method: &str, args: &Value) -> Value {
        let params = json!({"service": service, "method": method, "args": args});
        self.post("/jsonrpc", &json!({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})).json()
    }

    /// `execute_kw`: the whole answer.
    pub(crate) fn execute(&self, model: &str, method: &str, args: &Value, kwargs: &Value) -> Value {
        self.rpc("object", "execute_kw", &json!(["odoo", self.user, self.login, model, method, args, kwargs]))
    }

    /// `execute_kw`: the result.
    pub(crate) fn call(&self, model: &str, method: &str, args: &Value) -> Value {
        let answer = self.execute(model, method, args, &json!({}));
        answer.get("result").unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// `execute_kw`: the class and the message of the error.
    pub(crate) fn trouble(&self, model: &str, method: &str, args: &Value) -> (String, String) {
        trouble(&self.execute(model, method, args, &json!({})))
    }

    pub(crate) fn web(&self, path: &str, params: &Value) -> Answer {
        self.post(path, &json!({"jsonrpc": "2.0", "method": "call", "params": params, "id": 7}))
    }

    /// Signs in on the web; the cookie is kept if there is one.
    pub(crate) fn sign_in(&mut self, password: &str) -> Answer {
        let params = json!({"db": "odoo", "login": self.login, "password": password});
        let answer = self.web("/web/session/authenticate", &params);
        if let Some(line) = answer.header("Set-Cookie") {
            self.cookie = Some(line.split([';', '=']).nth(1).unwrap().to_owned());
        }
        answer
    }

    pub(crate) fn call_kw(&self, model: &str, method: &str, args: &Value) -> Value {
        let params = json!({"model": model, "method": method, "args": args, "kwargs": {}});
        self.web("/web/dataset/call_kw", &params).json()
    }
}

/// The class and the message of an error of JSON-RPC.
pub(crate) fn trouble(answer: &Value) -> (String, String) {
    let data = &answer["error"]["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    (text("name"), text("message"))
}
