//! A client of a few lines: writes bytes, reads bytes, keeps the session cookie.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use batchcall::sandbox::Sandbox;
use serde_json::Value;

pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) base: String,
    pub(crate) cookie: Option<String>,
    port: u16,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e} in {}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }
}

impl Client {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let base = sandbox.url().splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
        Self { stream: connect(sandbox.port()), base, cookie: None, port: sandbox.port() }
    }

    /// Signed in as admin.
    pub(crate) fn signed_in(sandbox: &Sandbox) -> Self {
        let mut client = Self::new(sandbox);
        assert_eq!(client.login("admin", "admin").status, 204);
        client
    }

    pub(crate) fn login(&mut self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({"name": name, "password": password, "tenant": "Company"});
        let path = format!("{}/entity/auth/login", self.base);
        let answer =
            self.send("POST", &path, &[("Content-Type", "application/json")], body.to_string().as_bytes());
        let answer = answer.unwrap();
        let session =
            answer.headers("Set-Cookie").into_iter().find(|line| line.starts_with("ASP.NET_SessionId="));
        if answer.status == 204 {
            self.cookie = session.map(|line| line.split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub(crate) fn logout(&mut self) -> Answer {
        self.send("POST", &format!("{}/entity/auth/logout", self.base), &[], b"").unwrap()
    }

    /// A request below `/entity/Default/24.200.001`.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, &[], body)
    }

    pub(crate) fn call_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let path = format!("{}/entity/Default/24.200.001/{path}", self.base);
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        self.send(method, &path, &all, body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "")
    }

    pub(crate) fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, &body.to_string())
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.write(method, path, headers, body)?;
        self.read()
    }

    pub(crate) fn write(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        if let Some(cookie) = &self.cookie {
            request.push_str(&format!("Cookie: {cookie}\r\n"));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes)
    }

    pub(crate) fn read(&mut self) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        let mut byte = [0; 1];
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.stream.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    /// A new connection, in the same session.
    pub(crate) fn reconnect(&mut self) {
        self.stream = connect(self.port);
    }

    /// A client on a connection of its own, in the same session.
    pub(crate) fn twin(&self) -> Self {
        Self {
            stream: connect(self.port),
            base: self.base.clone(),
            cookie: self.cookie.clone(),
            port: self.port,
        }
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    // A server that hangs fails the test instead of the run.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}
