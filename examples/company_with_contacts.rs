//! A company, its contacts and their orders in one batch: records that refer to records which are not made yet.
//!
//! ```sh
//! cargo run --example company_with_contacts
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::error::Error;

use batchcall::RecordStore;
use batchcall::memory::Memory;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    // In place of an ERP: one that takes no contact without a mail address.
    let odoo = Memory::new().refuse(|_, row| match &row["email"] {
        Value::String(email) if !email.contains('@') => Some(format!("{email:?} is no mail address")),
        _ => None,
    });

    let mut jo = None;
    let report = odoo.batch(|batch| {
        for company in ["ACME", "Globex"] {
            let company_record = batch.create("res.partner", json!({"name": company, "is_company": true}))?;
            for (name, email) in [("Jo", "jo@example.com"), ("Al", "not an address")] {
                let contact = batch.create(
                    "res.partner",
                    json!({"name": name, "email": email, "parent_id": company_record.id()}),
                )?;
                batch.create(
                    "sale.order",
                    json!({"partner_id": contact.id(), "note": format!("for {name}")}),
                )?;
                jo.get_or_insert(contact);
            }
        }
        println!("{} records in {} operations", batch.record_count(), batch.operations().len());
        Ok(())
    })?;

    println!("{report}\n");
    for entry in report.iter() {
        println!("{:2}  {:12} {}", entry.index(), entry.operation().model(), entry.outcome());
    }

    // Companies, contacts and orders went out in three waves, whatever order they were added in; the orders of
    // contacts that were refused were not sent.
    assert_eq!((report.totals().created, report.totals().failed, report.totals().not_run), (6, 2, 2));
    assert_eq!(report.stats().requests, odoo.requests());

    let jo = jo.and_then(|jo| report.id_of(&jo.id())).ok_or("Jo was not made")?;
    println!("\nJo's id is {jo}");
    Ok(())
}
