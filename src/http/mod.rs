//! How one HTTP request survives.

mod answer;
mod config;
mod host;
mod request;
mod retry_after;
mod wire;

pub(crate) use answer::Answer;
pub(crate) use config::HttpConfig;
pub(crate) use host::Host;
pub(crate) use request::{Nature, Request};
pub(crate) use ureq::http::Method;
pub(crate) use wire::Wire;
