//! Operations on records, against the stand-in: what is sent, and what becomes of each record.

use std::collections::HashSet;
use std::time::Duration;

use batchcall::odoo::{Context, Domain, Find, Protocol, field};
use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use batchcall::{
    BatchSize, ErrorKind, Executor, Odoo, Operation, RecordOutcome, RecordStore, RetryPolicy, Strategy,
};
use serde_json::{Value, json};

use crate::{builder, protocols};

fn on_every_wire(run: impl Fn(&Sandbox, &Odoo)) {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = builder(&sandbox, protocol).build().unwrap();
        run(&sandbox, &client);
    }
}

fn json2() -> (Sandbox, Odoo) {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let client = builder(&sandbox, Protocol::Json2).build().unwrap();
    (sandbox, client)
}

fn people(count: usize) -> Vec<Value> {
    (0..count).map(|i| json!({"name": format!("P{i}"), "ref": "t"})).collect()
}

fn count(client: &Odoo) -> u64 {
    let all = Context::new().active_test(false);
    let mut session = client.session().unwrap();
    session.with_context(all, |session| session.search_count("res.partner", field("ref").eq("t"))).unwrap()
}

#[test]
fn one_bad_among_1024_is_found_in_at_most_21_requests() {
    let (sandbox, client) = json2();
    let mut rows = people(1024);
    rows[700].as_object_mut().unwrap().remove("name");
    let before = sandbox.history().data_requests();
    let report = Executor::new(&client)
        .strategy(Strategy::SingleQuery)
        .execute([Operation::create("res.partner", rows).unwrap()])
        .unwrap();
    let requests = sandbox.history().data_requests() - before;
    let failed: Vec<_> = report.failed().map(|entry| entry.record()).collect();
    assert_eq!((failed, report.totals().created), (vec![700], 1023));
    assert!(requests <= 21, "{requests}");
    assert_eq!(count(&client), 1023);
}

#[test]
fn ids_are_those_of_the_input_whatever_runs_first() {
    on_every_wire(|_, client| {
        let report = Executor::new(client)
            .strategy(Strategy::Parallel)
            .batch_size(7)
            .max_concurrent(4)
            .execute([Operation::create("res.partner", people(100)).unwrap()])
            .unwrap();
        assert!(report.is_complete(), "{report}");
        let ids: Vec<i64> = report.into_ids().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        let rows = client.session().unwrap().read("res.partner", ids, ["name"]).unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(row.get_str("name"), Some(format!("P{i}").as_str()));
        }
    });
}

#[test]
fn bad_rows_of_an_upsert_cost_one_more_request_for_each_ten() {
    let (sandbox, client) = json2();
    let rows: Vec<_> = (0..100)
        .map(|i| json!({"id": format!("t.p{i}"), "name": if i % 8 == 3 { "" } else { "x" }, "ref": "t"}))
        .collect();
    let report = Executor::new(&client)
        .strategy(Strategy::SingleQuery)
        .execute([Operation::upsert("res.partner", ["id"], rows).unwrap()])
        .unwrap();
    let failed: Vec<_> = report.failed().map(|entry| entry.record()).collect();
    assert_eq!(failed, (0..100).filter(|i| i % 8 == 3).collect::<Vec<_>>());
    assert!(report.failed().all(|entry| entry.error().unwrap().kind() == ErrorKind::Rejected));
    assert_eq!((report.totals().created, count(&client)), (87, 87));
    let loads = sandbox.history().request_events().filter(|event| event.target.ends_with("/load")).count();
    assert_eq!(loads, 3, "13 bad rows: ten, three, none");
}

#[test]
fn conflicts_of_transactions_make_no_bad_rows_and_lose_none() {
    let sandbox = Sandbox::odoo(19).retry_pause(Duration::from_millis(1)).serialization_failures(0.2).start();
    let sandbox = sandbox.unwrap();
    for protocol in [Protocol::Json2, Protocol::JsonRpc] {
        let policy = RetryPolicy::new().attempts(12).throttled_base(Duration::from_millis(2));
        let client = builder(&sandbox, protocol).retry(policy).build().unwrap();
        let rows: Vec<_> = (0..200)
            .map(|i| json!({"id": format!("{protocol:?}.p{i}"), "name": "x", "ref": format!("{protocol:?}")}))
            .collect();
        let report = Executor::new(&client)
            .strategy(Strategy::Parallel)
            .batch_size(10)
            .max_concurrent(4)
            .execute([Operation::upsert("res.partner", ["id"], rows).unwrap()])
            .unwrap();
        assert!(report.is_complete(), "{report}");
        sandbox.clear_faults();
        let mut session = client.session().unwrap();
        assert_eq!(
            session.search_count("res.partner", field("ref").eq(format!("{protocol:?}"))).unwrap(),
            200
        );
    }
}

#[test]
fn lost_answers_leave_every_record_where_the_report_says() {
    for seed in 0..6 {
        let faults = Faults::none()
            .rate_on(Calls::Create, 0.2, Fault::ResetAfter)
            .rate_on(Calls::Create, 0.1, Fault::ResetBefore)
            .rate_on(Calls::Load, 0.3, Fault::ResetAfter);
        let sandbox = Sandbox::odoo(19).faults(faults).seed(seed).start().unwrap();
        let patient = RetryPolicy::new().attempts(10).base(Duration::from_millis(1));
        let client = builder(&sandbox, Protocol::WebSession).retry(patient).build().unwrap();
        let keyed: Vec<_> =
            (0..60).map(|i| json!({"id": format!("t.k{i}"), "name": "k", "ref": "keyed"})).collect();
        let report = Executor::new(&client)
            .strategy(Strategy::Parallel)
            .batch_size(6)
            .max_concurrent(3)
            .execute([
                Operation::create("res.partner", people(60)).unwrap(),
                Operation::upsert("res.partner", ["id"], keyed).unwrap(),
            ])
            .unwrap();
        sandbox.clear_faults();
        let totals = report.totals();
        assert_eq!(totals.created + totals.in_doubt + totals.failed + totals.not_run, 120, "{report}");
        let mut session = client.session().unwrap();
        let names = session.search_read("res.partner", field("ref").eq("t"), Find::fields(["name"])).unwrap();
        let there: Vec<&str> = names.iter().filter_map(|row| row.get_str("name")).collect();
        let distinct: HashSet<&str> = there.iter().copied().collect();
        assert_eq!(there.len(), distinct.len(), "nothing was made twice");
        for (i, outcome) in report.outcomes_of(0).iter().enumerate() {
            let is_there = distinct.contains(format!("P{i}").as_str());
            match outcome {
                RecordOutcome::Created(_) => assert!(is_there, "{i}"),
                RecordOutcome::InDoubt(_) => {}
                _ => assert!(!is_there, "{i} {outcome:?}"),
            }
        }
        assert!(report.outcomes_of(1).iter().all(RecordOutcome::is_success), "{report}");
        assert_eq!(session.search_count("res.partner", field("ref").eq("keyed")).unwrap(), 60);
    }
}

#[test]
fn different_values_deletes_and_updates_come_to_what_was_asked() {
    on_every_wire(|sandbox, client| {
        let ids = client.session().unwrap().create_many("res.partner", people(30)).unwrap();
        let each: Vec<_> = ids[..10].iter().map(|id| json!({"id": id, "city": format!("C{id}")})).collect();
        let gone: Vec<i64> = ids[20..].iter().copied().chain([99_999]).collect();
        let report = Executor::new(client)
            .execute([
                Operation::update_each("res.partner", each).unwrap(),
                Operation::update(
                    "res.partner",
                    ids[10..20].iter().copied().chain([88_888]),
                    json!({"city": "Ghent"}),
                )
                .unwrap(),
                Operation::delete("res.partner", gone).unwrap(),
            ])
            .unwrap();
        let totals = report.totals();
        assert_eq!((totals.updated, totals.deleted, totals.failed), (20, 11, 1), "{report}");
        assert_eq!(report.outcomes_of(1)[10].error().unwrap().kind(), ErrorKind::NotFound);
        let mut session = client.session().unwrap();
        let rows = session
            .search_read("res.partner", Domain::ids(ids.clone()), Find::fields(["city"]).order("id"))
            .unwrap();
        let cities: Vec<_> = rows.iter().map(|row| row.get_str("city").unwrap().to_owned()).collect();
        let expected = ids[..10].iter().map(|id| format!("C{id}")).chain(vec!["Ghent".to_owned(); 10]);
        assert_eq!(cities, expected.collect::<Vec<_>>());
        assert!(sandbox.history().requests() < 30);
    });
}

#[test]
fn records_refer_to_records_that_are_not_made_yet() {
    on_every_wire(|_, client| {
        let report = client
            .batch(|batch| {
                let acme = batch.create("res.partner", json!({"name": "ACME"}))?;
                batch.create("res.partner", json!({"name": "Jo", "parent_id": acme.id()}))?;
                Ok(())
            })
            .unwrap();
        let ids: Vec<i64> = report.into_ids().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        let rows = client.session().unwrap().read("res.partner", [ids[1]], ["parent_id"]).unwrap();
        assert_eq!(rows[0].get_i64("parent_id"), Some(ids[0]));
    });
}

#[test]
fn what_was_done_is_undone_when_that_was_asked_for() {
    on_every_wire(|_, client| {
        let id = client
            .session()
            .unwrap()
            .create("res.partner", json!({"name": "old", "ref": "t", "category_id": [[6, 0, [1]]]}))
            .unwrap();
        let report = Executor::new(client)
            .rollback_on_error(true)
            .execute([
                Operation::create("res.partner", people(3)).unwrap().priority(3),
                Operation::update("res.partner", [id], json!({"name": "new", "category_id": [[5, 0, 0]]}))
                    .unwrap()
                    .priority(2),
                Operation::create("res.partner", [json!({"ref": "t"})]).unwrap().priority(1),
            ])
            .unwrap();
        assert_eq!(report.totals().rolled_back, 4, "{report}");
        assert_eq!(count(client), 1);
        let row = &client.session().unwrap().read("res.partner", [id], ["name", "category_id"]).unwrap()[0];
        assert_eq!((row.get_str("name"), row.get("category_id")), (Some("old"), Some(&json!([1]))));
    });
}

#[test]
fn chunks_that_are_too_long_for_the_server_are_halved() {
    let sandbox = Sandbox::odoo(19).max_body(20_000).start().unwrap();
    let client = builder(&sandbox, Protocol::Json2).build().unwrap();
    let rows: Vec<_> =
        (0..100).map(|i| json!({"name": format!("P{i} {}", "x".repeat(500)), "ref": "t"})).collect();
    let report = Executor::new(&client)
        .strategy(Strategy::Chunked)
        .batch_size(BatchSize::Auto)
        .execute([Operation::create("res.partner", rows).unwrap()])
        .unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(count(&client), 100);
}

#[test]
fn a_body_over_the_servers_limit_goes_in_parts() {
    for (version, protocol) in protocols() {
        let kept = Duration::from_secs(60);
        let sandbox = Sandbox::odoo(version).max_body(20_000).keep_alive(kept).start().unwrap();
        let client = builder(&sandbox, protocol).build().unwrap();
        for size in [BatchSize::Fixed(1500), BatchSize::Auto] {
            let report = Executor::new(&client)
                .batch_size(size)
                .execute([Operation::create("res.partner", people(1500)).unwrap()])
                .unwrap();
            assert!(report.is_complete(), "{report}");
        }
        assert_eq!(count(&client), 3000);
    }
}
