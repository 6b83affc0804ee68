//! Batch sizes that follow the server.

use std::time::Duration;

use batchcall::memory::Memory;
use batchcall::{BatchSize, Capabilities, Delivery, Error, ErrorKind, Executor, Flow, Operation, Strategy};

use crate::fake::{Fake, fine};
use crate::rows;

fn sizes(store: &Fake) -> Vec<usize> {
    store.seen.lock().unwrap().iter().map(|seen| seen.places.len()).collect()
}

fn run(store: &Fake, records: usize) -> batchcall::RecordReport {
    Executor::new(store)
        .strategy(Strategy::Chunked)
        .batch_size(BatchSize::Auto)
        .execute([Operation::create("m", rows(records)).unwrap()])
        .unwrap()
}

#[test]
fn it_grows_while_requests_are_fast() {
    let store = Fake::new(Capabilities::new(), |_, chunk| Ok(fine(chunk)));
    assert!(run(&store, 20_000).is_complete());
    let sizes = sizes(&store);
    assert_eq!(sizes[0], 100);
    assert!(*sizes.iter().max().unwrap() > 1000, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 10_000));
}

#[test]
fn each_chunk_has_the_size_that_the_last_answer_says() {
    let store = Fake::new(Capabilities::new(), |_, chunk| Ok(fine(chunk)));
    assert!(run(&store, 20_000).is_complete());
    assert_eq!(sizes(&store), [100, 800, 6_400, 10_000, 2_700]);
}

#[test]
fn no_session_takes_more_than_its_part_of_what_is_left() {
    let store = Fake::new(Capabilities::new(), |_, chunk| Ok(fine(chunk)));
    let report = Executor::new(&store)
        .batch_size(BatchSize::Auto)
        .max_concurrent(5)
        .execute([Operation::create("m", rows(2_000)).unwrap()])
        .unwrap();
    assert!(report.is_complete());
    assert!(report.stats().largest_request <= 2_000 / 5, "{:?}", sizes(&store));
}

#[test]
fn the_chunks_of_a_stream_follow_the_server_at_once() {
    let store = Fake::new(Capabilities::new(), |_, chunk| Ok(fine(chunk)));
    let stats = Executor::new(&store)
        .batch_size(BatchSize::Auto)
        .max_concurrent(1)
        .stream(Flow::create("m"), rows(20_000), |_| {})
        .unwrap();
    assert_eq!(stats.totals.created, 20_000);
    // One chunk is at hand when an answer comes, and one may be taken before it is heard.
    assert!(sizes(&store).len() <= 10, "{:?}", sizes(&store));
}

#[test]
fn it_halves_when_the_server_says_that_it_is_too_much_and_loses_nothing() {
    let store = Fake::new(Capabilities::new(), |_, chunk| {
        if chunk.len() > 150 {
            return Err(Error::new(ErrorKind::Rejected, "")
                .with_status(413)
                .with_delivery(Delivery::Answered));
        }
        Ok(fine(chunk))
    });
    assert!(run(&store, 5_000).is_complete());
    let sizes = sizes(&store);
    let late = &sizes[sizes.len() - 5..];
    assert!(late.iter().all(|size| *size <= 190), "{sizes:?}");
}

#[test]
fn after_a_timeout_chunks_are_smaller_and_what_timed_out_is_in_doubt() {
    let store = Fake::new(Capabilities::new().atomic_chunks(true), |number, chunk| {
        if number == 0 {
            return Err(Error::new(ErrorKind::Timeout, "").with_delivery(Delivery::MaybeSent));
        }
        std::thread::sleep(Duration::from_millis(1));
        Ok(fine(chunk))
    });
    let report = run(&store, 1_000);
    assert_eq!((report.totals().in_doubt, report.totals().created), (100, 900));
    assert!(sizes(&store)[1..].contains(&50), "{:?}", sizes(&store));
}

#[test]
fn it_never_passes_the_limits_of_the_store() {
    let store = Memory::new().max_records(130);
    let executor = Executor::new(&store).batch_size(BatchSize::Auto);
    let report = executor.execute([Operation::create("m", rows(2_000)).unwrap()]).unwrap();
    assert!(report.is_complete() && report.stats().largest_request <= 130);

    let store = Memory::new().max_bytes(5_000);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(BatchSize::Auto);
    let report = executor.execute([Operation::create("m", rows(2_000)).unwrap()]).unwrap();
    // The store refuses with 413 what is larger: there would be more requests than chunks.
    assert!(report.is_complete(), "{report}");
    assert!(report.stats().requests < 2_000 / 100, "{}", report.stats().requests);
    assert!(report.stats().largest_request > 100);
}
