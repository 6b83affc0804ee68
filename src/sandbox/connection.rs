//! One connection: read a request, let a fault strike, serve, write; again.

use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::faults::{Fault, RetryAfter};
use super::history::RequestEvent;
use super::http::{Head, Request, Response};
use super::server::{Exchange, Shared, reset};
use super::stop::Stop;

const LONGEST_HEAD: usize = 64 * 1024;

/// A client's connection.
pub(crate) struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    stop: &'a Stop,
    /// What was read and not used: `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
}

/// Whether the connection serves another request.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
    Reset,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(stream: TcpStream, shared: &'a Shared, stop: &'a Stop) -> Self {
        Self { stream, shared, stop, buffer: Vec::with_capacity(4096), start: 0 }
    }

    pub(crate) fn serve(mut self) {
        // Fails only on a connection that is gone already.
        drop(self.stream.set_nodelay(true));
        drop(self.stream.set_read_timeout(self.shared.keep_alive));
        loop {
            match self.exchange() {
                Ok(Next::Request) if !self.stop.is_stopped() => {}
                Ok(Next::Close) => break,
                Ok(Next::Reset) => return reset(&self.stream),
                Ok(Next::Request) | Err(_) => break,
            }
        }
        // The server's room holds a twin of this socket: without a shutdown the close would wait for it.
        drop(self.stream.shutdown(Shutdown::Both));
    }

    fn exchange(&mut self) -> io::Result<Next> {
        let Some(head) = self.read_head()? else { return Ok(Next::Close) };
        let arrived = self.shared.recorder.elapsed();
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let wanted = self.shared.site.peek().min(head.content_length().unwrap_or(0));
        if wanted > 0 && !head.expects_continue() {
            self.fill(wanted)?;
        }
        let class = self.shared.site.class(&head, &self.buffer[self.start..]);
        let plan = Arc::clone(&self.shared.faults.read().unwrap_or_else(|e| e.into_inner()));
        let fault = plan.strike(class);
        let event = RequestEvent {
            number,
            arrived,
            method: head.method.clone(),
            target: head.target.clone(),
            session: None,
            is_data: class.is_data(),
            status: None,
            fault,
        };

        if matches!(fault, Some(Fault::ResetBefore | Fault::ResetDuring)) {
            if fault == Some(Fault::ResetDuring) {
                let half = head.content_length().unwrap_or(0) / 2;
                self.fill(half)?;
            }
            self.shared.recorder.request(event);
            return Ok(Next::Reset);
        }
        let Some(body) = self.read_body(&head)? else {
            self.shared.recorder.request(RequestEvent { status: Some(413), ..event });
            let refusal = Response::html(413, "Payload Too Large");
            let (bytes, _) = refusal.into_bytes(&self.shared.manner, 0, true);
            self.stream.write_all(&bytes)?;
            self.discard(head.content_length().unwrap_or(0))?;
            return Ok(Next::Close);
        };
        let close = head.wants_close() || self.shared.manner.closes;
        let request = Request { head, body };
        let mut exchange =
            Exchange { number, under_way: self.shared.recorder.under_way(), stop: self.stop, fault };
        let response = self.answer(&request, &mut exchange, fault);
        // A killed server does not answer.
        let response = response.filter(|_| !self.stop.is_stopped());
        let status = response.as_ref().map(|response| response.status);
        let session = exchange.under_way.session();
        self.shared.recorder.request(RequestEvent { session, status, ..event });
        // Before the answer leaves or the connection ends: the client's next request may be quicker than this
        // thread.
        drop(exchange);
        match (response, fault) {
            (None, Some(Fault::Hang | Fault::HangAfter)) => {
                self.hang();
                Ok(Next::Reset)
            }
            (None, Some(Fault::CloseBefore)) => Ok(Next::Close),
            (None, _) => Ok(Next::Reset),
            (Some(response), fault) => {
                let next = self.write(response, fault)?;
                Ok(if close && next == Next::Request { Next::Close } else { next })
            }
        }
    }

    /// The answer, if there is to be one.
    fn answer(
        &self,
        request: &Request,
        exchange: &mut Exchange<'_>,
        fault: Option<Fault>,
    ) -> Option<Response> {
        match fault {
            Some(Fault::Latency(time)) => drop(self.stop.sleep(time)),
            Some(Fault::ExpireSession) => self.shared.site.expire_session_of(&request.head),
            Some(Fault::ExpireAllSessions) => self.shared.site.expire_sessions(),
            Some(Fault::Killed(after)) => {
                self.stop.sleep(after);
                return None;
            }
            Some(fault) if fault.prevents() => return refusal(fault),
            _ => {}
        }
        let response = self.shared.site.answer(request, exchange);
        match fault {
            Some(Fault::ResetAfter | Fault::HangAfter) => None,
            Some(Fault::GatewayTimeout) => Some(Response::html(504, "Gateway Timeout")),
            Some(Fault::Garbage) => Some(response.with_body(&b"{\"value\": \"cut in the mid"[..])),
            _ => Some(response),
        }
    }

    fn write(&mut self, response: Response, fault: Option<Fault>) -> io::Result<Next> {
        if let Some(Fault::Huge(length)) = fault {
            return self.write_huge(length);
        }
        let off_by = if let Some(Fault::WrongLength(by)) = fault { by } else { 0 };
        let (bytes, head) = response.into_bytes(&self.shared.manner, off_by, false);
        match fault {
            Some(Fault::Truncate) => {
                self.stream.write_all(&bytes[..head + (bytes.len() - head) / 2])?;
                Ok(Next::Close)
            }
            Some(Fault::ResetAt(at)) => {
                self.stream.write_all(&bytes[..at.min(bytes.len())])?;
                // A reset throws away what the client's kernel has not handed over: let it be read first.
                self.stop.sleep(Duration::from_millis(2));
                Ok(Next::Reset)
            }
            Some(Fault::Trickle(pause)) => {
                for byte in &bytes {
                    self.stream.write_all(std::slice::from_ref(byte))?;
                    if self.stop.sleep(pause) {
                        return Ok(Next::Reset);
                    }
                }
                Ok(Next::Request)
            }
            Some(Fault::WrongLength(by)) => {
                self.stream.write_all(&bytes)?;
                Ok(if by > 0 { Next::Close } else { Next::Request })
            }
            Some(Fault::CloseAfter) => {
                self.stream.write_all(&bytes)?;
                Ok(Next::Close)
            }
            Some(Fault::Twice) => {
                self.stream.write_all(&[bytes.as_slice(), &bytes].concat())?;
                Ok(Next::Request)
            }
            _ => {
                self.stream.write_all(&bytes)?;
                Ok(Next::Request)
            }
        }
    }

    /// A body of any length, without holding it in memory.
    fn write_huge(&mut self, length: usize) -> io::Result<Next> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n\""
        );
        self.stream.write_all(head.as_bytes())?;
        let piece = [b'x'; 64 * 1024];
        let mut left = length.saturating_sub(2);
        while left > 0 {
            let some = left.min(piece.len());
            self.stream.write_all(&piece[..some])?;
            left -= some;
        }
        self.stream.write_all(b"\"")?;
        Ok(Next::Request)
    }

    /// Waits until the client gives up or the server stops.
    fn hang(&self) {
        if self.stream.set_nonblocking(true).is_err() {
            return;
        }
        let mut byte = [0];
        while !self.stop.sleep(Duration::from_millis(5)) {
            match self.stream.peek(&mut byte) {
                Err(e) if e.kind() == IoErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
                // The client pipelines; it waits all the same.
                Ok(_) => {}
            }
        }
    }

    /// Reads a head; `None` when the client closed the connection.
    fn read_head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if self.start < self.buffer.len() {
                let mut headers = [httparse::EMPTY_HEADER; 64];
                let mut parsed = httparse::Request::new(&mut headers);
                match parsed.parse(&self.buffer[self.start..]) {
                    Ok(httparse::Status::Complete(length)) => {
                        let head = Head::new(&parsed);
                        self.start += length;
                        return Ok(Some(head));
                    }
                    Ok(httparse::Status::Partial) if self.buffer.len() - self.start > LONGEST_HEAD => {
                        return Err(IoErrorKind::InvalidData.into());
                    }
                    Ok(httparse::Status::Partial) => {}
                    Err(_) => {
                        let (bytes, _) =
                            Response::html(400, "Bad Request").into_bytes(&self.shared.manner, 0, true);
                        self.stream.write_all(&bytes)?;
                        return Ok(None);
                    }
                }
            }
            if self.read_more()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a body; `None` when it is too long.
    fn read_body(&mut self, head: &Head) -> io::Result<Option<Vec<u8>>> {
        if head.expects_continue() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if head.is_chunked() {
            return self.read_chunks();
        }
        let length = head.content_length().unwrap_or(0);
        if length > self.shared.longest_body {
            return Ok(None);
        }
        self.fill(length)?;
        Ok(Some(self.take(length)))
    }

    fn read_chunks(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        loop {
            let (skip, length) = loop {
                match httparse::parse_chunk_size(&self.buffer[self.start..]) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) if self.read_more()? > 0 => {}
                    _ => return Err(IoErrorKind::InvalidData.into()),
                }
            };
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            if body.len() + length > self.shared.longest_body {
                return Ok(None);
            }
            self.start += skip;
            // Each chunk, the empty last one too, ends with CR LF; trailers are not expected of clients.
            self.fill(length + 2)?;
            body.extend_from_slice(&self.buffer[self.start..self.start + length]);
            self.start += length + 2;
            if length == 0 {
                return Ok(Some(body));
            }
        }
    }

    /// Reads what nobody wants, as a proxy does for a while: a close with unread bytes is a reset, and the
    /// client would not see the refusal.
    fn discard(&mut self, length: usize) -> io::Result<()> {
        let mut left = length.saturating_sub(self.buffer.len() - self.start);
        self.buffer.clear();
        self.start = 0;
        while left > 0 {
            let read = self.read_more()?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read);
            self.buffer.clear();
        }
        Ok(())
    }

    /// Reads until this many bytes are at hand.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() - self.start < length {
            if self.read_more()? == 0 {
                return Err(IoErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.buffer[self.start..self.start + length].to_vec();
        self.start += length;
        taken
    }

    fn read_more(&mut self) -> io::Result<usize> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let old = self.buffer.len();
        self.buffer.resize(old + 16 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[old..]);
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        read
    }
}

/// The answer of a fault that keeps the request from the ERP; `None` where there is no answer at all.
fn refusal(fault: Fault) -> Option<Response> {
    match fault {
        Fault::TooManyRequests(after) => Some(with_retry_after(
            Response::json(429, &serde_json::json!({"message": "Too many requests."})),
            after,
        )),
        Fault::Unavailable(after) => {
            Some(with_retry_after(Response::html(503, "Service Unavailable"), after))
        }
        Fault::BadGateway => Some(Response::html(502, "Bad Gateway")),
        Fault::Html(status) => Some(Response::html(status, "Runtime Error")),
        _ => None,
    }
}

fn with_retry_after(response: Response, after: RetryAfter) -> Response {
    match after {
        RetryAfter::None => response,
        RetryAfter::Seconds(seconds) => response.header("Retry-After", seconds.to_string()),
        RetryAfter::Date(seconds) => {
            let then = SystemTime::now() + Duration::from_secs(seconds);
            response.header("Retry-After", httpdate::fmt_http_date(then))
        }
        RetryAfter::Garbage => response.header("Retry-After", "soon, we hope"),
    }
}
