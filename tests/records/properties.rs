//! Whatever is asked for and whatever goes wrong: the outcomes add up, and the store is as they say.

use std::collections::BTreeMap;
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchSize, ErrorKind, Executor, Operation, OperationKind, RecordOutcome, Strategy as How};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::no_bad_rows;

/// How many rows there are at the beginning.
const ROWS: i64 = 40;

fn operation() -> impl Strategy<Value = (u8, usize, i64, i32, Vec<bool>)> {
    (0_u8..5, 1_usize..12, 1_i64..50, 0_i32..3, prop::collection::vec(prop::bool::weighted(0.1), 12))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Answer),
        1 => Just(Step::LoseAnswer),
        1 => Just(Step::Unsent),
        1 => Just(Step::Panic),
        1 => Just(Step::Expire),
        1 => Just(Step::Miscount(-1)),
        1 => Just(Step::Delay(Duration::from_millis(1))),
        1 => prop::sample::select(vec![
            ErrorKind::Rejected,
            ErrorKind::Forbidden,
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
            ErrorKind::Server,
        ])
        .prop_map(Step::Fail),
    ]
}

/// Operations that do not get in each other's way: each on its own model, named after its place.
fn operations(wanted: &[(u8, usize, i64, i32, Vec<bool>)]) -> Vec<Operation> {
    let make = |(n, (kind, len, first, priority, bad)): (usize, &(u8, usize, i64, i32, Vec<bool>))| {
        let model = format!("m{n}");
        let row = |at: usize| json!({"key": format!("{n}/{at}"), "x": 1, "bad": bad[at]});
        let ids = || (0..*len).map(move |at| first + i64::try_from(at).unwrap());
        let operation = match kind {
            0 => Operation::create(model, (0..*len).map(row).collect::<Vec<_>>()),
            1 => Operation::update(model, ids(), json!({"x": 1})),
            2 => {
                let rows = ids().enumerate().map(|(at, id)| json!({"id": id, "x": 1, "bad": bad[at]}));
                Operation::update_each(model, rows.collect::<Vec<_>>())
            }
            3 => Operation::delete(model, ids()),
            _ => {
                let rows = ids()
                    .enumerate()
                    .map(|(at, id)| json!({"key": format!("old {id}"), "x": 1, "bad": bad[at]}));
                Operation::upsert(model, ["key"], rows.collect::<Vec<_>>())
            }
        };
        operation.unwrap().priority(*priority)
    };
    wanted.iter().enumerate().map(make).collect()
}

fn check(store: &Memory, operations: &[Operation], outcomes: &[RecordOutcome]) -> Result<(), TestCaseError> {
    let mut first = 0;
    for (n, operation) in operations.iter().enumerate() {
        let model = format!("m{n}");
        let rows: BTreeMap<i64, _> = store.rows(&model).into_iter().collect();
        let written = |row: &serde_json::Map<String, Value>| row.get("x") == Some(&json!(1));
        let by_key =
            |key: &Value| rows.iter().filter(|(_, row)| row.get("key") == Some(key)).collect::<Vec<_>>();
        for place in 0..operation.len() {
            let outcome = &outcomes[first + place];
            let input = operation.input(place);
            let id = operation.ids().get(place).and_then(batchcall::RecordId::as_i64);
            // How often it is in the store: for what is told as certain, exactly that often.
            let applied = match operation.kind() {
                OperationKind::Create => by_key(&input.as_map()["key"]).len(),
                OperationKind::Update | OperationKind::UpdateEach => {
                    usize::from(rows.get(&id.unwrap()).is_some_and(written))
                }
                OperationKind::Delete => usize::from(id.unwrap() <= ROWS && !rows.contains_key(&id.unwrap())),
                OperationKind::Upsert => {
                    by_key(&input.as_map()["key"]).iter().filter(|(_, row)| written(row)).count()
                }
            };
            prop_assert!(applied <= 1, "record {place} of {n} is there {applied} times");
            match outcome {
                outcome if outcome.is_success() => prop_assert_eq!(applied, 1, "{} {:?}", place, outcome),
                RecordOutcome::InDoubt(error) => prop_assert!(error.is_in_doubt()),
                RecordOutcome::RollbackFailed(error) => prop_assert!(applied == 1 || error.is_in_doubt()),
                outcome => prop_assert_eq!(applied, 0, "operation {}, record {}: {:?}", n, place, outcome),
            }
            if let RecordOutcome::Created(id) = outcome {
                let row = &rows[&id.as_i64().unwrap()];
                prop_assert_eq!(&row["key"], &input.as_map()["key"]);
            }
            if let Some(error) = outcome.error().filter(|error| error.record_index().is_some()) {
                prop_assert_eq!(error.record_index(), Some(place));
            }
        }
        first += operation.len();
    }
    prop_assert_eq!(first, outcomes.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_add_up_and_the_store_is_as_they_say(
        wanted in prop::collection::vec(operation(), 1..5),
        script in prop::collection::vec(step(), 0..12),
        how in prop::sample::select(vec![
            How::SingleQuery, How::Chunked, How::Parallel, How::Pipelined, How::Optimistic,
        ]),
        size in prop::option::of(1_usize..8),
        workers in 1_usize..4,
        go_on in prop::bool::weighted(0.8),
        back in prop::bool::weighted(0.3),
        item_wise in any::<bool>(),
        transactions in any::<bool>(),
        again in any::<bool>(),
    ) {
        let operations = operations(&wanted);
        let mut store =
            Memory::new().refuse(no_bad_rows).script(script).item_wise(item_wise).transactions(transactions);
        for n in 0..operations.len() {
            store = store.with_rows(&format!("m{n}"), (1..=ROWS).map(|id| json!({"key": format!("old {id}")})));
        }
        let executor = Executor::new(&store)
            .strategy(how)
            .batch_size(size.map_or(BatchSize::Auto, BatchSize::Fixed))
            .max_concurrent(workers)
            .continue_on_error(go_on)
            .rollback_on_error(back);
        let mut last = None;
        let mut report =
            executor.execute_with_progress(operations.clone(), |progress| last = Some(*progress)).unwrap();
        check(&store, &operations, report.outcomes())?;
        let totals = report.totals();
        prop_assert_eq!(totals.records, report.outcomes().len());
        let last = last.unwrap_or_default();
        prop_assert!(last.completed + totals.not_run >= totals.records || last.total == 0);
        prop_assert_eq!(store.open_sessions(), 0);
        if back && !report.is_complete() {
            prop_assert!(!report.outcomes().iter().any(|outcome| matches!(
                outcome, RecordOutcome::Created(_) | RecordOutcome::Updated | RecordOutcome::Deleted
            )), "{}", report);
        }
        if again {
            executor.retry_failed(&mut report).unwrap();
            check(&store, &operations, report.outcomes())?;
        }
        prop_assert!(store.max_open_sessions() <= workers);
    }
}
