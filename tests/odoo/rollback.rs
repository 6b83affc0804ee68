//! Undoing on a server that refuses, and by a process that is killed in the middle of it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use batchcall::odoo::{Odoo, Protocol};
use batchcall::sandbox::{Action, Calls, Fault, Faults, Sandbox};
use batchcall::{Executor, Operation, RecordOutcome, RetryPolicy, Strategy};
use serde_json::{Value, json};

use crate::builder;

/// Tells the child process where the server is.
const CHILD: &str = "BATCHCALL_TEST_ROLLBACK";

/// How many rows there are; the last one lacks its name where it is to fail.
const ROWS: usize = 30;

fn people(last_is_bad: bool) -> Vec<Value> {
    let mut rows: Vec<_> =
        (0..ROWS).map(|n| json!({"id": format!("f30.p{n}"), "name": format!("P{n}"), "ref": "t"})).collect();
    if last_is_bad {
        rows[ROWS - 1]["name"] = json!("");
    }
    rows
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let rows = sandbox.records("res.partner");
    let own = rows.iter().filter(|row| row["ref"] == "t");
    own.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn f30_deletions_that_fail_are_told_and_the_others_are_done() {
    for seed in 0..8 {
        let faults = Faults::none()
            .rate_on(Calls::Unlink, 0.1, Fault::ResetBefore)
            .rate_on(Calls::Unlink, 0.1, Fault::ResetAfter)
            .rate_on(Calls::Unlink, 0.1, Fault::Html(500));
        let sandbox = Sandbox::odoo(19).faults(faults).seed(seed).start().unwrap();
        let client =
            builder(&sandbox, Protocol::WebSession).retry(RetryPolicy::new().attempts(1)).build().unwrap();
        let mut rows: Vec<_> = (0..ROWS).map(|n| json!({"name": format!("P{n}"), "ref": "t"})).collect();
        rows[ROWS - 1].as_object_mut().unwrap().remove("name");
        let report = Executor::new(&client)
            .batch_size(1)
            .max_concurrent(3)
            .rollback_on_error(true)
            .execute([Operation::create("res.partner", rows).unwrap()])
            .unwrap();
        let there: BTreeSet<String> = names(&sandbox).into_iter().collect();
        for (n, outcome) in report.outcomes().iter().enumerate() {
            let is_there = there.contains(&format!("P{n}"));
            match outcome {
                RecordOutcome::RollbackFailed(error) => {
                    let id = error.entity().and_then(|entity| entity.strip_prefix("res.partner/")).unwrap();
                    let row = sandbox.record("res.partner", id);
                    assert_eq!(row.is_some(), is_there, "{error}");
                    assert!(
                        is_there || error.delivery() == Some(batchcall::Delivery::MaybeSent),
                        "{n}: {error}"
                    );
                }
                RecordOutcome::RolledBack | RecordOutcome::Failed(_) | RecordOutcome::NotRun(_) => {
                    assert!(!is_there, "{n}: {outcome}");
                }
                other => panic!("{n}: {other}"),
            }
        }
        let totals = report.totals();
        assert!(totals.rolled_back > 10 && totals.failed == 1, "{report}");
    }
}

#[test]
fn f30_a_process_killed_while_it_undoes_leaves_what_it_made_first_and_can_be_run_again() {
    for undone in [0, 4, 17] {
        // The next deletion gets no answer: the process is killed while it waits.
        let hang = Faults::none().at_on(Calls::Unlink, undone + 1, Fault::Hang);
        let sandbox = Sandbox::odoo(19).faults(hang).start().unwrap();
        let mut child = Killed::start(sandbox.url());
        let deletions = |sandbox: &Sandbox| {
            let history = sandbox.history();
            let unlinks = history.effects().filter(|each| each.action == Action::Delete);
            unlinks.map(|each| each.key.parse::<u64>().unwrap()).collect::<Vec<_>>()
        };
        let made = |sandbox: &Sandbox| {
            let history = sandbox.history();
            let inserts = history.effects().filter(|each| each.action == Action::Insert);
            let partners = inserts.filter(|each| each.entity == "res.partner");
            partners.map(|each| each.key.parse::<u64>().unwrap()).collect::<Vec<_>>()
        };
        let began = Instant::now();
        while made(&sandbox).len() < ROWS - 1 || deletions(&sandbox).len() < usize::try_from(undone).unwrap()
        {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", child.0.try_wait());
            std::thread::sleep(Duration::from_millis(2));
        }
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        // The fault stays: the deletion that was on its way may arrive only now.

        // From the last to the first: what is left is what was made first.
        let (made, gone) = (made(&sandbox), deletions(&sandbox));
        let backwards: Vec<u64> = made.iter().rev().copied().take(gone.len()).collect();
        assert_eq!(gone, backwards);
        assert_eq!(
            names(&sandbox),
            (0..made.len() - gone.len()).map(|n| format!("P{n}")).collect::<Vec<_>>()
        );

        // With external ids the same file goes in again, and nothing is there twice.
        let client = builder(&sandbox, Protocol::Json2).build().unwrap();
        let report = Executor::new(&client)
            .batch_size(7)
            .execute([Operation::upsert("res.partner", ["id"], people(false)).unwrap()])
            .unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!(
            (report.totals().updated, report.totals().created),
            (made.len() - gone.len(), gone.len() + 1)
        );
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        names(&sandbox).into_iter().for_each(|name| *times.entry(name).or_default() += 1);
        assert_eq!((times.len(), times.values().max()), (ROWS, Some(&1)));
    }
}

/// A process that ends with the test, however that ends.
struct Killed(Child);

impl Killed {
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "rollback::child_that_undoes", "--nocapture"]).env(CHILD, url);
        Self(child.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run by the test above in a process of its own; by itself it does nothing.
#[test]
fn child_that_undoes() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let client = Odoo::builder(url).database("odoo").protocol(Protocol::WebSession).login("admin", "admin");
    let client = client.build().unwrap();
    let report = Executor::new(&client)
        .strategy(Strategy::Chunked)
        .batch_size(1)
        .rollback_on_error(true)
        .execute([Operation::upsert("res.partner", ["id"], people(true)).unwrap()])
        .unwrap();
    println!("{report}");
}
