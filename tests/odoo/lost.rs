//! Answers that are lost: what goes again, what is in doubt, and what a resent request finds.

use batchcall::odoo::{Args, Command, Domain, Protocol};
use batchcall::{Delivery, ErrorKind};
use serde_json::json;

use crate::script::{Reply, error, result, talk};

const MISSING: &str = "Record does not exist or has been deleted.\n(Record: res.partner(13,), User: 2)";

fn missing() -> Reply {
    error("odoo.exceptions.MissingError", MISSING)
}

#[test]
fn a_create_without_an_answer_is_in_doubt_and_not_sent_again() {
    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, result(&json!([7]))]);
    let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
    assert!(error.is_in_doubt());
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn a_call_is_sent_again_only_when_it_says_that_it_may_be() {
    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, Reply::Lost, result(&json!(true))]);
    assert!(session.call("sale.order", "action_confirm", Args::ids([7])).unwrap_err().is_in_doubt());
    assert_eq!(script.calls().len(), 1);
    session.call("sale.order", "action_confirm", Args::ids([7]).idempotent()).unwrap();
    assert_eq!(script.calls().len(), 3);
}

#[test]
fn a_read_is_sent_again() {
    let (script, mut session) = talk(Protocol::WebSession, [Reply::Lost, result(&json!(5))]);
    assert_eq!(session.search_count("res.partner", Domain::all()).unwrap(), 5);
    assert_eq!(script.calls().len(), 2);
}

#[test]
fn a_write_of_plain_values_is_sent_again_and_one_that_adds_is_not() {
    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, result(&json!(true))]);
    session.write("res.partner", [7], json!({"name": "x", "category_id": [Command::set([1])]})).unwrap();
    assert_eq!(script.calls().len(), 2);

    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, result(&json!(true))]);
    let lines = json!({"child_ids": [Command::create(json!({"name": "x"}))]});
    assert!(session.write("res.partner", [7], lines).unwrap_err().is_in_doubt());
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn records_that_are_gone_after_a_lost_unlink_are_those_that_it_deleted() {
    let none_left = result(&json!([]));
    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, missing(), none_left]);
    session.unlink("res.partner", [12, 13]).unwrap();
    assert_eq!(script.calls().len(), 3);
}

#[test]
fn records_that_are_left_after_a_lost_unlink_are_deleted() {
    // The first one never arrived; somebody else deleted 13 meanwhile.
    let replies = [Reply::Lost, missing(), result(&json!([12])), result(&json!(true))];
    let (script, mut session) = talk(Protocol::JsonRpc, replies);
    session.unlink("res.partner", [12, 13]).unwrap();
    let last = script.calls().pop().unwrap().json();
    assert_eq!(last["params"]["args"][5], json!([[12]]));
}

#[test]
fn a_missing_record_is_not_found_unless_that_is_fine() {
    let (script, mut session) = talk(Protocol::JsonRpc, [missing()]);
    let error = session.unlink("res.partner", [12, 13]).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::NotFound, Some(Delivery::Answered)));
    assert_eq!(script.calls().len(), 1);

    let replies = [missing(), result(&json!([12])), result(&json!(true))];
    let (script, mut session) = talk(Protocol::JsonRpc, replies);
    assert_eq!(session.unlink_existing("res.partner", [12, 13]).unwrap(), [13]);
    let search = script.calls()[1].json();
    assert_eq!(search["params"]["args"][6]["context"], json!({"active_test": false}), "archived ones count");
}

#[test]
fn a_load_by_external_id_goes_again_and_one_without_is_in_doubt() {
    let loaded = || result(&json!({"ids": [7, 8], "messages": [], "nextrow": 0}));
    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, loaded()]);
    let rows = [["x.a", "A"], ["x.b", "B"]];
    assert_eq!(session.load("res.partner", ["id", "name"], rows).unwrap().ids(), Some(&[7, 8][..]));
    assert_eq!(script.calls().len(), 2);

    let (script, mut session) = talk(Protocol::JsonRpc, [Reply::Lost, loaded()]);
    let error = session.load("res.partner", ["name", "ref"], rows).unwrap_err();
    assert!(error.is_in_doubt());
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn another_transaction_in_the_way_of_a_load_is_no_bad_row() {
    let text = "could not serialize access due to concurrent update\n";
    let message = json!({"type": "error", "message": text, "record": 1, "rows": {"from": 1, "to": 1}});
    let swallowed = || result(&json!({"ids": false, "messages": [message], "nextrow": 0}));
    let loaded = result(&json!({"ids": [7, 8], "messages": []}));
    let rows = || [["x.a", "A"], ["x.b", "B"]];
    let (script, mut session) = talk(Protocol::JsonRpc, [swallowed(), loaded]);
    assert!(session.load("res.partner", ["id", "name"], rows()).unwrap().ids().is_some());
    assert_eq!(script.calls().len(), 2);

    let (_, mut session) = talk(Protocol::JsonRpc, [swallowed(), swallowed(), swallowed(), swallowed()]);
    let error = session.load("res.partner", ["id", "name"], rows()).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 3));
    assert!(error.is_retryable());
}

#[test]
fn the_rows_that_load_refuses_are_told() {
    let bad = |row: u64| {
        json!({"type": "error", "message": "Contacts require a name", "record": row,
                                 "rows": {"from": row, "to": row}, "field": "name"})
    };
    let answer = json!({"ids": false, "messages": [bad(3), bad(7)], "nextrow": 0});
    let (_, mut session) = talk(Protocol::WebSession, [result(&answer)]);
    let loaded = session
        .load("res.partner", ["id", "name"], (0..9).map(|i| [format!("x.{i}"), String::new()]))
        .unwrap();
    assert_eq!(loaded.ids(), None);
    let rows: Vec<_> = loaded.errors().map(|error| error.rows).collect();
    assert_eq!(rows, [Some((3, 3)), Some((7, 7))]);
    assert!(!loaded.is_cut_short());

    let mut messages: Vec<_> = (0..10).map(bad).collect();
    messages.push(json!({"type": "warning", "message": "Found more than 10 errors and more than one error per 10 records, interrupted to avoid showing too many errors."}));
    let (_, mut session) = talk(Protocol::WebSession, [result(&json!({"ids": false, "messages": messages}))]);
    let loaded = session
        .load("res.partner", ["id", "name"], (0..20).map(|i| [format!("x.{i}"), String::new()]))
        .unwrap();
    assert!(loaded.is_cut_short());
}
