//! A server that says what it is told: for answers that the sandbox does not give.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET /entity`.
    pub(crate) line: String,
    /// All header lines.
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn is_login(&self) -> bool {
        self.line.ends_with("/auth/login")
    }

    pub(crate) fn is_logout(&self) -> bool {
        self.line.ends_with("/auth/logout")
    }
}

pub(crate) struct Scripted {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
}

type Script = dyn Fn(&Asked) -> String + Send + Sync;

impl Scripted {
    /// Answers every request with what the script says; a login is accepted by itself.
    pub(crate) fn start(script: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (all, ended) = (Arc::clone(&asked), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                std::thread::spawn(move || serve(&stream.unwrap(), &*script, &all));
            }
        });
        Self { url, asked, stopped }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests were neither login nor logout.
    pub(crate) fn data_requests(&self) -> usize {
        self.asked().iter().filter(|asked| !asked.is_login() && !asked.is_logout()).count()
    }

    pub(crate) fn logins(&self) -> usize {
        self.asked().iter().filter(|asked| asked.is_login()).count()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.url.trim_start_matches("http://")));
    }
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, body: impl std::fmt::Display) -> String {
    answer(status, &["Content-Type: application/json"], &body.to_string())
}

/// An answer without a body and with these headers.
pub(crate) fn empty(status: u16, headers: &[&str]) -> String {
    answer(status, headers, "")
}

pub(crate) fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text + "\r\n" + body
}

fn serve(stream: &TcpStream, script: &Script, all: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        all.lock().unwrap().push(asked.clone());
        let text = script(&asked);
        let text = match text.is_empty() {
            false => text,
            true if asked.is_login() => empty(204, &["Set-Cookie: ASP.NET_SessionId=one; path=/"]),
            true => empty(204, &[]),
        };
        if (&*stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = String::new();
    loop {
        let before = headers.len();
        reader.read_line(&mut headers).ok()?;
        if headers[before..].trim().is_empty() {
            break;
        }
    }
    let length = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let line = line.rsplit_once(' ')?.0.to_owned();
    Some(Asked { line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
