//! How one HTTP request survives: retry lives here, at the level of one request, where its nature is
//! known.
//!
//! ```text
//! Wire::send    the loop (wire), by the rules (tries)
//!   Host::admit   may it go now? gate: asked for peace; breaker: refuses everybody; limiter: the rate
//!   Line::attempt one attempt: agent -> socket, which counts and keeps the deadline; body
//!   Answer        any status, redirects included     -> the backend reads it
//!   Failure       no answer: how far it had come     -> again, or an Error
//! ```
//!
//! One [`Host`] for a client, one [`Wire`] for each session. A wire has an agent of its own: clones of
//! an agent share connections and cookies, and an interrupt ends all of them.
//!
//! # What goes again
//!
//! | ended with | read, keyed write | write |
//! |---|---|---|
//! | not a byte written | again | again |
//! | some written, no answer or half of one | again | in doubt |
//! | 429; 503 with `Retry-After` | again, after the gate | again, after the gate |
//! | 502, 504; 503 without | again | in doubt |
//! | any other status | the backend's | the backend's |
//! | TLS, bad address or header, body too long | never | never |
//!
//! "Again" is as often as the policy says. A host that takes no connection is not the request's fault:
//! those attempts go on until the breaker's patience ends.
//!
//! # Decisions, as questions
//!
//! **How is the first written byte known?** The client underneath does not tell: its errors look the
//! same before and after a write, and a connection from its pool skips every phase that could be
//! observed from outside. But all its I/O goes through a transport that one may supply. So the
//! [socket](mod@socket) is ours, below TLS, and counts the bytes that the operating system takes. The
//! outermost connector knows when a connection stands - after the TLS handshake, after a proxy's
//! `CONNECT` - and what is written before that does not count. A first write that fails with nothing
//! taken is `NotSent`, even on a fresh connection; one byte taken is `MaybeSent`. With TLS a byte is one
//! of a record, so a request is never taken for unsent because only a part of a record went out. A write
//! that timed out counts as a byte: not every system tells how much it took.
//!
//! **Can a write land on a connection that is known to be stale?** No. Before a kept connection is used
//! the socket is asked whether there is anything to read; the end of the stream, a TLS goodbye and
//! stray bytes all are, and then a new one is opened. Two races remain. The server may close while the
//! request is on its way: a read or keyed write then goes again at once, a write is in doubt. And a TLS
//! goodbye that came in the same record burst as the last answer has left the socket; the end of the
//! stream that follows it is seen, unless the next request is faster.
//!
//! **Why does the socket keep the time limits?** A limit of the client's own belongs to its
//! configuration, and to change it for a request means to copy that configuration. The socket asks the
//! clock before every read and write, so that one instant bounds the attempt: the name look-up, the
//! connection, the handshake, and a body that trickles in byte after byte.
//!
//! **Why are names looked up by the connector?** The client looks them up before it looks into its
//! pool: with a time limit that is a thread for every request, and a wasted one while the connection
//! lives. Here a thread is spent on opening a connection. Neither the look-up nor the connect can be
//! interrupted; the request leaves at once, the thread ends by the connect's own limit or when the
//! system gives the look-up up.
//!
//! **Which proxy?** The one in the environment, by `CONNECT`; SOCKS is not supported and not used.
//!
//! **What does an interrupt leave behind?** A wire that sends nothing more. A logout still goes out:
//! [`Wire::send_once`] opens a fresh connection then.
//!
//! **What of an answer that is cut off?** An error status stands even when its explanation is cut off:
//! the server refused. So does one that comes before the whole request was sent. A success that cannot be read to its end is no answer: a write is in doubt.
//!
//! **Why does nothing fail because of the breaker?** A batch waits where an interactive program drops.
//! The deadline ends the waiting; without one, 60 s without any answer do (10 s for a host that never
//! gave one: a mistyped address should be told soon). After that each call finds out with one attempt.

mod answer;
mod base;
mod body;
mod breaker;
mod config;
mod cookies;
mod failure;
mod gate;
mod host;
mod limiter;
mod phase;
mod request;
mod retry_after;
mod seats;
mod socket;
mod tries;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use answer::Answer;
pub(crate) use base::Base;
pub(crate) use config::HttpConfig;
pub(crate) use cookies::Cookies;
pub(crate) use host::Host;
pub(crate) use request::{Nature, Request};
pub(crate) use seats::Seats;
pub(crate) use ureq::http::Method;
pub(crate) use wire::Wire;
