//! Operations collected in a closure.

use batchcall::memory::Memory;
use batchcall::{Error, ErrorKind, Executor, Operation, RecordStore};
use serde_json::json;

use crate::{rows, words};

#[test]
fn it_runs_when_the_closure_ends_well_and_knows_the_records() {
    let store = Memory::new().with_rows("res.partner", rows(3));
    let mut new = None;
    let report = store
        .batch(|batch| {
            let acme = batch.create("res.partner", json!({"name": "ACME"}))?;
            let jo = batch.create("res.partner", json!({"name": "Jo", "parent_id": acme.id()}))?;
            batch.update("res.partner", [1], json!({"friend": jo}))?;
            batch.update_many("res.partner", json!([{"id": 2, "x": 1}]))?;
            batch.unlink("res.partner", [3])?;
            new = Some((acme, jo));
            Ok(())
        })
        .unwrap();
    assert_eq!(words(&report), ["created", "created", "updated", "updated", "deleted"]);
    let (acme, jo) = new.unwrap();
    assert_eq!((report.id_of(&acme.id()), report.id_of(&jo.id())), (Some(4.into()), Some(5.into())));
    assert_eq!(store.row("res.partner", 1).unwrap()["friend"], json!(5));
}

#[test]
fn records_created_one_by_one_go_out_together() {
    let store = Memory::new();
    store
        .batch(|batch| {
            for n in 0..100 {
                let order = batch.create("order", json!({"n": n}))?;
                batch.create("line", json!({"order": order.id()}))?;
            }
            assert_eq!((batch.operations().len(), batch.record_count()), (2, 200));
            Ok(())
        })
        .unwrap();
    assert_eq!(store.requests(), 2);
    assert!(store.rows("line").iter().all(|(id, row)| row["order"] == *id));
}

#[test]
fn nothing_is_sent_when_the_closure_fails() {
    let store = Memory::new();
    let error = store
        .batch(|batch| {
            batch.create_many("m", rows(3))?;
            Err(Error::new(ErrorKind::Other, "the input ends in the middle of a line"))
        })
        .unwrap_err();
    assert_eq!((error.kind(), store.logins()), (ErrorKind::Other, 0));
    // Also when what it asks for cannot be.
    assert!(store.batch(|batch| batch.create("", json!({"a": 1})).map(|_| ())).is_err());
    assert!(store.batch(|batch| batch.update("m", [0], json!({"a": 1})).map(|_| ())).is_err());
    assert!(store.batch(|batch| batch.create("m", json!([{"a": 1}])).map(|_| ())).is_err());
    assert_eq!(store.requests(), 0);
}

#[test]
fn by_hand_it_can_be_run_several_times() {
    let store = Memory::new();
    let rest = store
        .batch(|batch| {
            batch.auto_execute(false);
            for n in 0..3 {
                batch.create("m", json!({"n": n}))?;
                assert!(batch.execute()?.is_complete());
            }
            batch.create("m", json!({"n": 9}))?;
            Ok(())
        })
        .unwrap();
    assert_eq!((words(&rest), store.rows("m").len()), (vec!["not run"], 3));
}

#[test]
fn what_is_collected_has_the_priority_context_and_grouping_of_its_time() {
    let store = Memory::new();
    Executor::new(&store)
        .batch(|batch| {
            batch.priority(5).context(json!({"lang": "de_DE"}));
            batch.create("m", json!({"n": 1}))?;
            batch.priority(0);
            batch.create("m", json!({"n": 2}))?;
            batch.add(Operation::create("m", json!({"n": 3}))?.priority(9));
            let all: Vec<_> = batch.operations().iter().map(Operation::priority_level).collect();
            assert_eq!(all, [5, 0, 9]);
            assert_eq!(batch.operations()[1].context_ref()["lang"], "de_DE");
            batch.clear();
            batch.group_by(["parent_id"]);
            batch.create("m", json!({"n": 1}))?;
            batch.delete("m", [1])?;
            batch.group_by([] as [&str; 0]).create("m", json!({"n": 2}))?;
            let all: Vec<_> = batch.operations().iter().map(|each| each.grouped_by().len()).collect();
            assert_eq!(all, [1, 0, 0]);
            batch.clear();
            Ok(())
        })
        .unwrap();
    assert_eq!(store.requests(), 0);
}

#[test]
fn the_short_forms_give_ids_and_counts_or_the_report() {
    let store = Memory::new().refuse(crate::no_bad_rows);
    let ids = store.create_many("m", rows(3)).unwrap();
    assert_eq!(store.update_many("m", &ids, json!({"a": 1})).unwrap(), 3);
    assert_eq!(store.delete_many("m", &ids[..2]).unwrap(), 2);

    let error = store.create_many("m", crate::rows_with_bad(3, &[1])).unwrap_err();
    assert_eq!(error.error().record_index(), Some(1));
    assert_eq!(error.report().successful().filter_map(|entry| entry.id()).count(), 2);
    let error: Error = error.into();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(store.create_many("m", json!([])).unwrap_err().error().kind(), ErrorKind::Invalid);
}
