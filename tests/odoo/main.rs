//! The Odoo client: against the stand-in on every protocol, and against a server that answers word for word
//! what a real one was seen to answer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bugs;
mod logins;
mod lost;
mod proxy;
mod records;
mod rollback;
mod script;
mod traps;
mod wires;

use batchcall::Odoo;
use batchcall::odoo::{OdooBuilder, Protocol};
use batchcall::sandbox::Sandbox;

/// Every protocol that a version has.
fn protocols() -> [(u8, Protocol); 5] {
    use Protocol::{Json2, JsonRpc, WebSession};
    [(17, WebSession), (17, JsonRpc), (19, WebSession), (19, JsonRpc), (19, Json2)]
}

/// A client of a stand-in by a protocol.
fn builder(sandbox: &Sandbox, protocol: Protocol) -> OdooBuilder {
    let builder = Odoo::builder(sandbox.url()).database("odoo").protocol(protocol);
    match protocol {
        Protocol::Json2 => builder.api_key(sandbox.api_key("admin").expect("a key")),
        _ => builder.login("admin", "admin"),
    }
}
