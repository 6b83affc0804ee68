//! Priorities, references, and operations on the same record.

use batchcall::memory::{Memory, Step};
use batchcall::{ErrorKind, Executor, Operation, OperationKind, RecordOutcome};
use serde_json::json;

use crate::fake::{Fake, fine};
use crate::{rows, words};

#[test]
fn nothing_of_a_lower_priority_begins_before_a_higher_one_is_over() {
    let store = Fake::new(Default::default(), |number, chunk| {
        if number < 5 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(fine(chunk))
    });
    let executor = Executor::new(&store).batch_size(2).max_concurrent(4);
    let report = executor
        .execute([
            Operation::delete("m", 1..=6).unwrap(),
            Operation::create("m", rows(10)).unwrap().priority(5),
        ])
        .unwrap();
    assert!(report.is_complete());
    let seen = store.seen.lock().unwrap();
    assert!(seen[..5].iter().all(|seen| seen.kind == OperationKind::Create), "{seen:?}");
    assert!(seen[5..].iter().all(|seen| seen.kind == OperationKind::Delete));
}

#[test]
fn a_company_and_its_contacts_go_out_in_two_waves() {
    let store = Memory::new();
    let companies = Operation::create("res.partner", rows(3)).unwrap();
    let contacts: Vec<_> =
        (0..9).map(|n| json!({"name": n, "parent_id": companies.reference(n % 3)})).collect();
    let contacts = Operation::create("res.partner", contacts).unwrap();
    let tag = Operation::update(
        "res.partner",
        [contacts.reference(4)],
        json!({"vip": [[6, 0, [companies.reference(1)]]]}),
    )
    .unwrap();
    let report = Executor::new(&store).execute([tag, contacts, companies]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(store.requests(), 3);
    let id = |index: usize| report.outcomes()[index].id().unwrap().as_i64().unwrap();
    for n in 0..9 {
        assert_eq!(store.row("res.partner", id(1 + n)).unwrap()["parent_id"], json!(id(10 + n % 3)));
    }
    assert_eq!(store.row("res.partner", id(5)).unwrap()["vip"], json!([[6, 0, [id(11)]]]));
    assert_eq!(report.iter().next().unwrap().id().unwrap(), id(5).into());
}

#[test]
fn a_record_refers_to_one_of_a_higher_priority() {
    let store = Memory::new();
    let parents = Operation::create("m", rows(2)).unwrap().priority(1);
    let children: Vec<_> = (0..2).map(|n| json!({"parent": parents.reference(n)})).collect();
    let children = Operation::create("m", children).unwrap();
    let shared = Operation::create("m", rows(1)).unwrap().priority(1);
    let update = Operation::update("m", [children.reference(0)], json!({"owner": shared.reference(0)}));
    let report = Executor::new(&store).execute([children, parents, update.unwrap(), shared]).unwrap();
    assert!(report.is_complete(), "{report}");
    let id = |index: usize| report.outcomes()[index].id().unwrap().as_i64().unwrap();
    for n in 0..2 {
        assert_eq!(store.row("m", id(n)).unwrap()["parent"], json!(id(2 + n)));
    }
    assert_eq!(store.row("m", id(0)).unwrap()["owner"], json!(id(5)));
}

#[test]
fn a_record_whose_parent_failed_is_not_run_and_its_siblings_are() {
    let store = Memory::new().refuse(|_, row| (row["name"] == "partner 1").then(|| "no".into()));
    let parents = Operation::create("m", rows(3)).unwrap();
    let children: Vec<_> = (0..3).map(|n| json!({"name": "child", "parent": parents.reference(n)})).collect();
    let children = Operation::create("m", children).unwrap();
    let grandchild = Operation::create("m", json!({"parent": children.reference(1)})).unwrap();
    let report = Executor::new(&store).execute([parents, children, grandchild]).unwrap();
    assert_eq!(words(&report), ["created", "failed", "created", "created", "not run", "created", "not run"]);
    for index in [4, 6] {
        let RecordOutcome::NotRun(why) = &report.outcomes()[index] else { panic!() };
        assert_eq!(why.kind(), ErrorKind::Dependency);
    }
}

#[test]
fn a_record_whose_parent_is_in_doubt_is_not_run() {
    let store = Memory::new().script([Step::LoseAnswer]);
    let parent = Operation::create("m", rows(1)).unwrap();
    let child = Operation::create("m", json!({"parent": parent.reference(0)})).unwrap();
    let report = Executor::new(&store).execute([parent, child]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["in doubt", "not run"], 1));
}

#[test]
fn records_may_refer_to_what_an_upsert_makes_or_finds() {
    let store = Memory::new().with_rows("m", [json!({"ref": "A"})]);
    let upsert =
        Operation::upsert("m", ["ref"], json!([{"ref": "B", "x": 1}, {"ref": "A", "x": 1}])).unwrap();
    let children = json!([{"p": upsert.reference(0)}, {"p": upsert.reference(1)}]);
    let report = Executor::new(&store).execute([Operation::create("c", children).unwrap(), upsert]).unwrap();
    assert_eq!(words(&report), ["created", "created", "created", "updated"]);
    assert_eq!(
        (store.row("c", 1).unwrap()["p"].clone(), store.row("c", 2).unwrap()["p"].clone()),
        (json!(2), json!(1))
    );
}

#[test]
fn operations_on_the_same_record_are_applied_in_order() {
    for _ in 0..20 {
        let store = Memory::new().with_rows("m", rows(10));
        let write = |x: i32| Operation::update("m", 1..=10, json!({"x": x})).unwrap();
        let executor = Executor::new(&store).batch_size(1).max_concurrent(4);
        executor.execute([write(1), write(2), write(3)]).unwrap();
        assert!(store.rows("m").iter().all(|(_, row)| row["x"] == 3));
    }
}

#[test]
fn what_cannot_be_is_refused_with_everything_that_is_wrong_and_nothing_is_sent() {
    let store = Memory::new();
    let gone = Operation::create("m", rows(1)).unwrap();
    let operations = || {
        vec![
            Operation::update("m", [1, 2], json!({"a": 1})).unwrap(),
            Operation::delete("m", [2]).unwrap(),
            Operation::create("m", json!([{"a": 1}, {"p": gone.reference(0)}])).unwrap(),
            Operation::delete("n", ["text"]).unwrap(),
        ]
    };
    let error = Executor::new(&store).batch_size(0).max_concurrent(0).execute(operations()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let paths: Vec<_> = error.field_errors().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "",
            "",
            "operation 1, record 0, field id",
            "operation 2, record 1",
            "operation 3, record 0, field id"
        ]
    );
    assert_eq!((store.requests(), store.logins()), (0, 0));
    assert!(Executor::new(&store).plan(&operations()).is_err());
}

#[test]
fn what_the_store_has_not_is_refused_before_sending() {
    let store = Fake::new(batchcall::Capabilities::new(), |_, chunk| Ok(fine(chunk)));
    let upsert = Operation::upsert("m", ["k"], json!([{"k": 1}])).unwrap();
    let error = Executor::new(&store).execute([upsert]).unwrap_err();
    assert!(error.message().contains("has no upsert"), "{error}");
    let same = Operation::create("m", rows(1)).unwrap();
    let error = Executor::new(&store).execute([same.clone(), same]).unwrap_err();
    assert!(error.message().contains("the id of operation 0"), "{error}");
}

#[test]
fn references_are_refused_where_the_store_cannot_resolve_them() {
    use batchcall::Capabilities;
    for capabilities in [Capabilities::new().references(false), Capabilities::new().returns_ids(false)] {
        let store = Fake::new(capabilities, |_, chunk| Ok(fine(chunk)));
        let parent = Operation::create("m", rows(1)).unwrap();
        let child = Operation::create("m", json!([{"a": 1}, {"p": parent.reference(0)}])).unwrap();
        let error = Executor::new(&store).execute([parent, child]).unwrap_err();
        assert_eq!(error.field_errors()[0].path, "operation 1, record 1");
        assert_eq!(store.requests(), 0);
    }
}

#[test]
fn a_record_whose_id_nobody_asks_for_cannot_be_referred_to() {
    let store = Memory::new();
    let parent = Operation::create("m", rows(1)).unwrap().return_ids(false);
    let child = Operation::create("m", json!({"p": parent.reference(0)})).unwrap();
    let error = Executor::new(&store).execute([parent, child]).unwrap_err();
    assert!(error.message().contains("whose ids are not wanted"), "{error}");
    assert_eq!(store.requests(), 0);
}

#[test]
fn groups_run_side_by_side_under_one_limit() {
    let store = Memory::new().delay(std::time::Duration::from_millis(2));
    let group = |n: i32| {
        vec![
            Operation::create(format!("m{n}"), rows(6)).unwrap().priority(1),
            Operation::update(format!("m{n}"), 1..=6, json!({"x": n})).unwrap(),
        ]
    };
    let executor = Executor::new(&store).batch_size(2).max_concurrent(3);
    let report = executor.execute_groups((0..4).map(group)).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.outcomes().len(), report.operations().len()), (48, 8));
    assert!(store.max_open_sessions() <= 3);
    assert!(store.rows("m3").iter().all(|(_, row)| row["x"] == 3));
    // References do not reach over.
    let parent = Operation::create("m", rows(1)).unwrap();
    let child = Operation::create("m", json!({"p": parent.reference(0)})).unwrap();
    assert!(executor.execute_groups([vec![parent], vec![child]]).is_err());
}
