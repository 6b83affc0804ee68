//! The stand-in server keeps the facts of the real one, seen through raw sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod actions;
mod client;
mod data;
mod faults;
mod licence;
mod oauth;
mod peers;
mod sessions;
mod speed;
mod stress;
mod wire;
