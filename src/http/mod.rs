//! How one HTTP request survives.

mod answer;
mod body;
mod breaker;
mod config;
mod failure;
mod gate;
mod host;
mod limiter;
mod phase;
mod request;
mod retry_after;
mod socket;
mod tries;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use answer::Answer;
pub(crate) use config::HttpConfig;
pub(crate) use host::Host;
pub(crate) use request::{Nature, Request};
pub(crate) use ureq::http::Method;
pub(crate) use wire::Wire;
