//! The in-memory backend, all or nothing and row by row.

use batchcall::memory::{Memory, Step};
use batchcall::{Connect, Deadline, Worker};
use serde_json::json;

use crate::suite::Fixture;

fn fixture(store: Memory) -> Fixture<Memory> {
    let store = store.refuse(|_, row| (row["color"] == json!(-1)).then(|| "a color is not negative".into()));
    Fixture {
        model: "res.partner".into(),
        good: |n| json!({"name": format!("partner {n}"), "ref": format!("R{n}"), "color": n}),
        bad: Some(|n| json!({"name": format!("partner {n}"), "ref": format!("R{n}"), "color": -1})),
        key: "ref",
        change: ("color", json!(77), json!(78)),
        parent: Some("parent_id"),
        missing: 999_999.into(),
        rows: Box::new(|store| {
            store.rows("res.partner").into_iter().map(|(id, row)| (id.into(), row.into())).collect()
        }),
        // The next step is that of the next request.
        lose_answer: Some(Box::new(|store| {
            let _ = store.clone().script([Step::LoseAnswer]);
        })),
        requests: Some(Box::new(Memory::requests)),
        keep: Box::new(()),
        store,
    }
}

conformance!(atomic, || fixture(Memory::new()));
conformance!(row_by_row, || fixture(Memory::new().item_wise(true)));
conformance!(with_transactions, || fixture(Memory::new().transactions(true)));
conformance!(small_requests, || fixture(Memory::new().max_records(3).max_bytes(2_000)));

#[test]
fn a_session_closed_within_a_transaction_rolls_it_back() {
    use batchcall::RecordStore;
    let memory = Memory::new().transactions(true);
    let mut session = memory.connect(&Worker::detached(Deadline::never())).unwrap();
    memory.begin(&mut session).unwrap();
    memory.disconnect(session).unwrap();
}
