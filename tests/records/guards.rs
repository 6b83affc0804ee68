//! Guards of which no other test notices that they are gone.

use std::sync::{Arc, Mutex};

use batchcall::memory::{Memory, Step};
use batchcall::{
    Applied, Capabilities, Delivery, Error, ErrorKind, Executor, Flow, Operation, OperationKind, RecordId,
    RecordOutcome, Strategy,
};
use serde_json::{Value, json};

use crate::fake::{Fake, fine};
use crate::{rows, words};

/// Two creates of one record each; the second one is refused, so that the first one is undone.
fn undone(store: &Fake) -> Vec<&'static str> {
    let executor = Executor::new(store).strategy(Strategy::Chunked).batch_size(1).rollback_on_error(true);
    let operation = Operation::create("m", rows(2)).unwrap().return_ids(false);
    words(&executor.execute([operation]).unwrap())
}

fn refused() -> Error {
    Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered)
}

#[test]
fn what_is_to_be_undone_has_ids_and_what_has_none_is_said_to_be_there() {
    let store = Fake::new(Capabilities::new().atomic_chunks(true), |number, chunk| {
        assert!(
            chunk.kind() == OperationKind::Delete || chunk.return_ids(),
            "without them nothing is undone"
        );
        if number == 1 { Err(refused()) } else { Ok(fine(chunk)) }
    });
    assert_eq!(undone(&store), ["rolled back", "failed"]);

    let store = Fake::new(Capabilities::new().atomic_chunks(true), |number, _| {
        if number == 1 { Err(refused()) } else { Ok(vec![Ok(Applied::Created(RecordId::Unknown))]) }
    });
    assert_eq!((undone(&store), store.requests()), (vec!["not rolled back", "failed"], 2));
}

#[test]
fn a_store_that_cannot_delete_is_not_asked_to() {
    let capabilities = Capabilities::new().atomic_chunks(true).supports(OperationKind::Delete, false);
    let store =
        Fake::new(capabilities, |number, chunk| if number == 1 { Err(refused()) } else { Ok(fine(chunk)) });
    assert_eq!((undone(&store), store.requests()), (vec!["not rolled back", "failed"], 2));
}

#[test]
fn a_retry_never_sends_what_succeeded_and_a_dry_one_sends_nothing() {
    let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Unavailable)]);
    let executor = || Executor::new(&store).strategy(Strategy::Chunked).batch_size(1);
    let mut report = executor().execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    executor().dry_run(true).retry_failed(&mut report).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["created", "failed", "created"], 3));
    executor().retry_where(&mut report, |_| true).unwrap();
    assert_eq!((words(&report), store.rows("m").len()), (vec!["created"; 3], 3));
}

#[test]
fn a_record_of_a_stream_that_the_store_cannot_take_fails_before_it_is_sent() {
    let store = Fake::new(Capabilities::new().max_bytes(2_000), |_, chunk| Ok(fine(chunk)));
    let run = |flow: Flow, rows: Vec<Value>| {
        let mut outcomes = Vec::new();
        Executor::new(&store).stream(flow, rows, |each| outcomes.push(each.outcome)).unwrap();
        outcomes.iter().map(RecordOutcome::as_str).collect::<Vec<_>>()
    };
    let other = Operation::create("m", rows(1)).unwrap();
    let bad = vec![json!({"a": 1}), json!({"a": "x".repeat(3_000)}), json!({"p": other.reference(0)})];
    assert_eq!(run(Flow::create("m"), bad), ["created", "failed", "failed"]);
    assert_eq!(run(Flow::delete("m"), vec![json!("text"), json!(7)]), ["failed", "deleted"]);
    assert_eq!(store.requests(), 2);
    assert!(Executor::new(&store).stream(Flow::upsert("m", ["a"]), rows(1), |_| {}).is_err());
    // What fits in no chunk with others goes in the next one.
    let wide = (0..6).map(|_| json!({"a": "x".repeat(700)})).collect();
    assert_eq!(run(Flow::create("m"), wide), ["created"; 6]);
    assert_eq!(store.requests(), 8);
}

#[test]
fn a_record_has_the_same_uuid_in_whatever_part_it_goes() {
    let whole = Operation::create("m", rows(6)).unwrap();
    let uuids = |operations: Vec<Operation>| {
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let seen = Arc::clone(&told);
        let store = Fake::new(Capabilities::new(), move |_, chunk| {
            seen.lock().unwrap().extend((0..chunk.len()).map(|at| chunk.record_uuid(at)));
            Ok(fine(chunk))
        });
        Executor::new(&store).strategy(Strategy::Chunked).execute(operations).unwrap();
        told.lock().unwrap().clone()
    };
    assert_eq!(uuids(whole.split(2).unwrap()), uuids(vec![whole]));
}

#[test]
fn ids_beside_records_that_have_their_own_or_get_them_are_refused() {
    for form in [
        json!({"type": "create", "model": "m", "ids": [1], "data": [{"a": 1}]}),
        json!({"type": "update", "model": "m", "ids": [1], "data": [{"id": 1, "a": 1}]}),
    ] {
        assert_eq!(Operation::from_json(&form).unwrap_err().field_errors()[0].path, "field ids");
    }
}
