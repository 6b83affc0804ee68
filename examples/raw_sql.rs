//! SQL of your own, in batches: many parameter sets in one transaction, and calls on sessions of the pool.
//!
//! ```sh
//! cargo run --example raw_sql --features sqlite
//! cargo run --example raw_sql --features postgres -- postgres://user:password@host/database
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::{BatchCall, Database};
use serde::Serialize;

#[derive(Serialize)]
struct Move {
    from: &'static str,
    to: &'static str,
    amount: i64,
}

fn main() -> batchcall::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite::memory:".to_owned());
    let db = Database::open(&url)?;
    db.execute("DROP TABLE IF EXISTS accounts_example", ())?;
    db.execute("CREATE TABLE accounts_example (name varchar(20) PRIMARY KEY, balance bigint NOT NULL)", ())?;
    db.execute_many(
        "INSERT INTO accounts_example VALUES ($1, $2)",
        [("ann", 100_i64), ("bob", 50), ("cy", 0)],
    )?;

    // One transaction: all of them, or none.
    let moves = [Move { from: "ann", to: "cy", amount: 30 }, Move { from: "bob", to: "cy", amount: 20 }];
    let affected = db.execute_many(
        "UPDATE accounts_example SET balance = CASE name WHEN :to THEN balance + :amount ELSE balance - :amount END \
         WHERE name IN (:from, :to)",
        &moves,
    )?;
    assert_eq!(affected, [2, 2]);

    // One query for each set of parameters.
    let names = [["ann"], ["cy"], ["nobody"]];
    let balances = db.query_many::<_, i64>("SELECT balance FROM accounts_example WHERE name = $1", names)?;
    println!("{balances:?}");
    assert_eq!(balances, [vec![70], vec![50], vec![]]);

    // Calls on sessions of the pool, each with an outcome of its own.
    let report = BatchCall::new(&db)
        .max_concurrent(3)
        .calls(["ann", "bob", "cy"], |session, name| {
            session
                .query::<(String, i64)>("SELECT name, balance FROM accounts_example WHERE name = $1", [name])
        })
        .execute()?;
    println!("{report}");
    for row in report.into_all()?.into_iter().flatten() {
        println!("{}: {}", row.0, row.1);
    }
    db.execute("DROP TABLE accounts_example", ())?;
    Ok(())
}
