//! The stand-in servers keep the facts of the real ones, seen through raw sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod actions;
mod client;
mod data;
mod faults;
mod licence;
mod oauth;
mod odoo_client;
mod odoo_data;
mod odoo_faults;
mod odoo_json2;
mod odoo_load;
mod odoo_rpc;
mod odoo_web;
mod peers;
mod sessions;
mod speed;
mod stress;
mod wire;
