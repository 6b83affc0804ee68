//! An attempt without an answer: what happened, how far the request had come, whether to try again.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::phase::{Late, Trace};
use crate::error::{Delivery, Error, ErrorKind};

/// What is known of the attempt besides the error.
#[derive(Clone)]
pub(super) struct Attempt<'a> {
    /// `host:port`, without user or password.
    pub(super) host: &'a str,
    pub(super) trace: Trace,
    pub(super) interrupted: bool,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    /// Whether the deadline of the batch came before the timeout of the request.
    pub(super) by_deadline: bool,
    /// Whether that deadline has passed.
    pub(super) deadline_is_over: bool,
    pub(super) status: Option<u16>,
}

/// An attempt without an answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// Not yet labelled with the request.
    pub(super) error: Error,
    pub(super) delivery: Delivery,
    /// Whether it may pass by itself.
    pub(super) transient: bool,
    /// Whether the host took no connection.
    pub(super) refused: bool,
    /// Whether a kept connection turned out to be closed.
    pub(super) stale: bool,
}

impl Failure {
    fn new(kind: ErrorKind, message: impl Into<String>, delivery: Delivery) -> Self {
        let error = Error::new(kind, message).with_delivery(delivery);
        Self { error, delivery, transient: false, refused: false, stale: false }
    }

    fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    fn refused(mut self) -> Self {
        self.refused = true;
        self.transient()
    }

    fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.error = self.error.with_source(source);
        self
    }

    /// The address or a header cannot be sent. The value itself is not repeated: it may be a secret.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message, Delivery::NotSent)
    }

    /// The answer is longer than anyone wants to read.
    pub(super) fn too_long(attempt: &Attempt<'_>, most: usize) -> Self {
        let message = format!(
            "the answer of {} is longer than {most} bytes: ask for less at once, or raise the limit",
            attempt.host
        );
        Self::new(ErrorKind::Protocol, message, Delivery::MaybeSent).with_status(attempt.status)
    }

    /// Names what the HTTP client reported. The order is by how sure the knowledge is: what this side
    /// did, then what the socket saw, then the client's own words.
    pub(super) fn read(error: ureq::Error, attempt: &Attempt<'_>) -> Self {
        let (host, trace) = (attempt.host, &attempt.trace);
        let delivery = if trace.written == 0 { Delivery::NotSent } else { Delivery::MaybeSent };
        let failure = if attempt.interrupted && attempt.deadline_is_over {
            // Who is faster at the deadline, the interrupt or the socket's own limit, is no matter to
            // the reader.
            Self::late(Late::Attempt, delivery, &Attempt { by_deadline: true, ..attempt.clone() })
        } else if attempt.interrupted {
            Self::new(ErrorKind::Interrupted, format!("interrupted while talking to {host}"), delivery)
        } else if let Some(late) = trace.late {
            Self::late(late, delivery, attempt)
        } else if trace.connecting {
            Self::no_connection(error, attempt)
        } else {
            Self::broken(error, delivery, attempt)
        };
        failure.with_status(attempt.status)
    }

    fn late(late: Late, delivery: Delivery, attempt: &Attempt<'_>) -> Self {
        let (host, connecting) = (attempt.host, attempt.trace.connecting);
        let what = if connecting { "no connection to" } else { "no answer from" };
        if late == Late::Attempt && attempt.by_deadline {
            return Self::new(ErrorKind::Timeout, format!("{what} {host} before the deadline"), delivery);
        }
        let limit = if late == Late::Connect { attempt.connect_timeout } else { attempt.timeout };
        let failure = Self::new(ErrorKind::Timeout, format!("{what} {host} within {limit:?}"), delivery);
        if connecting { failure.refused() } else { failure.transient() }
    }

    fn no_connection(error: ureq::Error, attempt: &Attempt<'_>) -> Self {
        let host = attempt.host;
        let not_sent = |message| Self::new(ErrorKind::Connect, message, Delivery::NotSent);
        if attempt.trace.no_name {
            let message = format!("the name of {host} is not found: check the address and the network");
            return Self { refused: false, ..not_sent(message).transient() }.source(error);
        }
        match error {
            ureq::Error::Io(e) if is_tls(&e) => not_sent(no_tls(host, &e)).source(e),
            ureq::Error::Rustls(e) => not_sent(no_tls(host, &e)).source(e),
            ureq::Error::Tls(e) => not_sent(no_tls(host, &e)),
            ureq::Error::Pem(_) | ureq::Error::InvalidProxyUrl => {
                Self::invalid("a certificate or the proxy's address cannot be read")
            }
            ureq::Error::ConnectProxyFailed(_) => {
                not_sent(format!("the proxy opens no connection to {host}")).refused()
            }
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                let message =
                    format!("{host} refuses connections: check the address, and whether it is running");
                not_sent(message).refused().source(e)
            }
            ureq::Error::Io(e) => not_sent(format!("no connection to {host}: {e}")).refused().source(e),
            _ => not_sent(format!("no connection to {host}")).refused(),
        }
    }

    fn broken(error: ureq::Error, delivery: Delivery, attempt: &Attempt<'_>) -> Self {
        let host = attempt.host;
        let unreadable = |message| Self::new(ErrorKind::Protocol, message, delivery);
        match error {
            // Only what was asked for can be wrong before a byte is written.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Protocol(_)
                if delivery == Delivery::NotSent =>
            {
                Self::invalid("the request cannot be sent: check its address and headers")
            }
            ureq::Error::Io(e) if attempt.status.is_some() => {
                unreadable(format!("the answer of {host} ends in the middle")).transient().source(e)
            }
            ureq::Error::Io(e) => {
                let stale = attempt.trace.is_stale();
                let message = format!("the connection to {host} broke before an answer came");
                let failure = Self::new(ErrorKind::Connect, message, delivery).transient().source(e);
                Self { stale, ..failure }
            }
            ureq::Error::LargeResponseHeader(..) => {
                unreadable(format!("the answer of {host} has too many headers"))
            }
            ureq::Error::Decompress(_, e) => {
                unreadable(format!("the answer of {host} cannot be decompressed")).transient().source(e)
            }
            ureq::Error::Protocol(e) => {
                unreadable(format!("the answer of {host} is not HTTP ({})", kind_of(&e))).transient()
            }
            _ => unreadable(format!("the answer of {host} cannot be read")).transient(),
        }
    }

    fn with_status(mut self, status: Option<u16>) -> Self {
        if let Some(status) = status {
            self.error = self.error.with_status(status);
        }
        self
    }
}

/// Handshake errors come as I/O errors around one of the TLS library's; a broken connection does not.
fn is_tls(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::InvalidData
}

fn no_tls(host: &str, e: &dyn std::fmt::Display) -> String {
    format!(
        "no TLS connection to {host}: {e}; check the address (https or http) and the server's certificate"
    )
}

/// The name of a protocol error without what it quotes: that may be a header's value.
fn kind_of(e: &dyn std::fmt::Debug) -> String {
    format!("{e:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}
