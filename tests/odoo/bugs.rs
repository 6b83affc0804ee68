//! What other clients get wrong on the wire, by the numbers of the fact sheet. What is not about the wire is in
//! `tests/records/bugs.rs`.

use batchcall::odoo::{Context, Domain, Find, Odoo, Protocol, field};
use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use batchcall::{
    BatchSize, ErrorKind, Executor, Operation, RecordReport, RecordStore, RetryPolicy, Strategy,
};
use serde_json::{Value, json};

use crate::script::{Received, Reply, Script, error, login, ok, result, talk};
use crate::{builder, protocols};
use Protocol::{Json2, JsonRpc, WebSession};

/// A client of a script, its session logged in and kept for the batch.
fn client(protocol: Protocol, replies: impl IntoIterator<Item = Reply>) -> (Script, Odoo) {
    let script = Script::new(std::iter::once(login(protocol)).chain(replies));
    let builder = script.builder().protocol(protocol);
    let builder = match protocol {
        Json2 => builder.api_key("k3y"),
        _ => builder.login("admin", "pa55"),
    };
    (script, builder.build().unwrap())
}

fn answer(protocol: Protocol, value: &Value) -> Reply {
    if protocol == Json2 { ok(value) } else { result(value) }
}

/// The positional and the named arguments of a call.
fn arguments(protocol: Protocol, call: &Received) -> (Value, Value) {
    let body = call.json();
    match protocol {
        Json2 => (Value::Null, body),
        WebSession => (body["params"]["args"].clone(), body["params"]["kwargs"].clone()),
        _ => (body["params"]["args"][5].clone(), body["params"]["args"][6].clone()),
    }
}

fn names(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"name": name})).collect()
}

fn run(client: &Odoo, operation: batchcall::Result<Operation>) -> RecordReport {
    Executor::new(client).strategy(Strategy::Chunked).execute([operation.unwrap()]).unwrap()
}

#[test]
fn b1_b2_the_context_of_a_batch_goes_as_context_and_stays_as_it_was() {
    for protocol in [JsonRpc, WebSession, Json2] {
        let context = json!({"tracking_disable": true, "lang": "nl_BE"});
        let (script, client) = client(protocol, [answer(protocol, &json!([1, 2]))]);
        let operation =
            Operation::create("res.partner", names(&["a", "b"])).unwrap().context(context.clone());
        assert!(run(&client, Ok(operation.clone())).is_complete());
        let (positional, named) = arguments(protocol, &script.calls()[0]);
        for (name, value) in context.as_object().unwrap() {
            assert_eq!(named["context"][name], *value, "{protocol:?}");
            assert_eq!(named.get(name), None, "it is no argument of the method");
        }
        assert!(positional.as_array().is_none_or(|arguments| arguments.len() == 1), "{positional}");
        assert_eq!(json!(operation.context_ref()), context);
    }
}

#[test]
fn b3_nothing_is_tried_one_by_one_after_a_lost_answer_or_a_refusal_of_the_user() {
    let denied = || error("odoo.exceptions.AccessError", "You are not allowed to create 'Contact' records.");
    for (reply, kind, is_in_doubt) in
        [(Reply::Lost, ErrorKind::Connect, true), (denied(), ErrorKind::Forbidden, false)]
    {
        let (script, client) = client(JsonRpc, [reply]);
        let report = run(&client, Operation::create("res.partner", names(&["a", "b", "c"])));
        assert_eq!(script.calls().len(), 1, "{report}");
        let totals = report.totals();
        assert_eq!((totals.in_doubt, totals.failed), if is_in_doubt { (3, 0) } else { (0, 3) });
        assert!(report.outcomes().iter().all(|outcome| outcome.error().unwrap().kind() == kind));
    }
}

#[test]
fn b4_b5_what_a_batch_could_not_write_is_a_failure_of_its_own_record() {
    let missing = "Record does not exist or has been deleted.\n(Record: res.partner(8,), User: 2)";
    let (script, client) =
        client(JsonRpc, [error("odoo.exceptions.MissingError", missing), result(&json!(true))]);
    let report = run(&client, Operation::update("res.partner", [7, 8, 9], json!({"city": "Ghent"})));
    assert!(!report.is_complete());
    assert_eq!((report.totals().updated, report.totals().failed), (2, 1), "{report}");
    assert_eq!(report.failed().map(|entry| entry.index()).collect::<Vec<_>>(), [1]);
    assert_eq!(arguments(JsonRpc, &script.calls()[1]).0[0], json!([7, 9]));
}

#[test]
fn b8_the_password_and_the_context_that_were_given_go_with_every_call() {
    let script = Script::new([login(JsonRpc), result(&json!([1])), result(&json!([2]))]);
    let client =
        script.builder().protocol(JsonRpc).login("admin", "pa55").context(Context::new().lang("fr_FR"));
    let client = client.build().unwrap();
    let operation = Operation::create("res.partner", names(&["a", "b"])).unwrap();
    let executor = Executor::new(&client).strategy(Strategy::Chunked).batch_size(1);
    assert!(executor.execute([operation]).unwrap().is_complete());
    for call in script.calls() {
        assert_eq!(call.json()["params"]["args"][2], "pa55");
        assert_eq!(arguments(JsonRpc, &call).1["context"]["lang"], "fr_FR");
    }
}

#[test]
fn b9_an_api_key_goes_where_the_password_would() {
    let script = Script::new([login(JsonRpc), result(&json!([1]))]);
    let client = script.builder().protocol(JsonRpc).user("admin").api_key("k3y").build().unwrap();
    assert!(run(&client, Operation::create("res.partner", names(&["a"]))).is_complete());
    let received = script.received();
    assert_eq!(received[0].json()["params"]["args"][2], "k3y", "at the login");
    assert_eq!(script.calls()[0].json()["params"]["args"][2], "k3y", "and with each call");
}

#[test]
fn b10_the_message_of_a_record_is_what_the_server_has_against_it() {
    let text = "The operation cannot be completed: Contacts require a name";
    let (_, client) = client(JsonRpc, [error("odoo.exceptions.ValidationError", text)]);
    let report = run(&client, Operation::create("res.partner", [json!({"ref": "x"})]));
    let failed = report.failed().next().unwrap();
    assert_eq!(failed.message(), Some(text));
    assert_eq!(failed.error().unwrap().remote_name(), Some("odoo.exceptions.ValidationError"));
    assert!(!report.to_string().contains("Odoo Server Error"), "{report}");
}

#[test]
fn b11_what_timed_out_is_in_doubt_by_record_although_the_server_may_commit() {
    let sandbox =
        Sandbox::odoo(19).faults(Faults::none().rate_on(Calls::Create, 1.0, Fault::Hang)).start().unwrap();
    let client =
        builder(&sandbox, JsonRpc).request_timeout(std::time::Duration::from_millis(150)).build().unwrap();
    let report = run(&client, Operation::create("res.partner", names(&["a", "b"])));
    assert_eq!(report.in_doubt().map(|entry| entry.index()).collect::<Vec<_>>(), [0, 1], "{report}");
    let error = report.outcomes()[1].error().unwrap();
    assert_eq!((error.kind(), error.record_index()), (ErrorKind::Timeout, Some(1)));
}

#[test]
fn b12_a_batch_retries_what_passes_and_says_so() {
    let conflict = || {
        error("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update")
    };
    let (script, odoo) = client(JsonRpc, [conflict(), result(&json!([1, 2]))]);
    let report = run(&odoo, Operation::create("res.partner", names(&["a", "b"])));
    assert!(report.is_complete(), "{report}");
    assert_eq!((script.calls().len(), report.stats().retries), (2, 1));

    // And no oftener than the policy says.
    let (script, odoo) = client(JsonRpc, (0..9).map(|_| conflict()));
    let report = run(&odoo, Operation::create("res.partner", names(&["a", "b"])));
    assert_eq!((report.totals().failed, script.calls().len()), (2, 3), "{report}");
    assert_eq!(report.outcomes()[0].error().unwrap().attempts(), 3);
}

#[test]
fn b13_a_batch_needs_no_setting_up() {
    let (script, client) = client(Json2, [ok("[7]")]);
    let report = client.batch(|batch| batch.create("res.partner", json!({"name": "a"})).map(|_| ())).unwrap();
    assert_eq!((report.is_complete(), script.calls().len()), (true, 1));
}

#[test]
fn b15_a_list_of_records_is_one_argument() {
    for protocol in [JsonRpc, WebSession, Json2] {
        let (script, client) = client(protocol, [answer(protocol, &json!([5, 6]))]);
        let report = run(&client, Operation::create("res.partner", names(&["a", "b"])));
        let (positional, named) = arguments(protocol, &script.calls()[0]);
        let sent = if protocol == Json2 { named["vals_list"].clone() } else { positional[0].clone() };
        assert_eq!(sent, json!(names(&["a", "b"])), "{protocol:?}");
        assert_eq!(report.into_ids().unwrap(), [5.into(), 6.into()]);
    }
}

#[test]
fn b16_a_chunk_is_one_request_and_nothing_is_looked_up_before() {
    for (operation, reply, path) in [
        (Operation::create("res.partner", names(&["a", "b"])), "[1,2]", "create"),
        (Operation::update("res.partner", [1, 2], json!({"city": "x"})), "true", "write"),
        (Operation::delete("res.partner", [1, 2]), "true", "unlink"),
    ] {
        let (script, client) = client(Json2, [ok(reply)]);
        assert!(run(&client, operation).is_complete());
        let paths: Vec<_> = script.calls().iter().map(|call| call.path().to_owned()).collect();
        assert_eq!(paths, [format!("/json/2/res.partner/{path}")]);
    }
}

#[test]
fn b18_all_that_is_asked_for_comes_to_pass_when_the_server_is_well() {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = builder(&sandbox, protocol).retry(RetryPolicy::new()).build().unwrap();
        let executor = Executor::new(&client).batch_size(BatchSize::Fixed(20)).max_concurrent(5);
        let rows: Vec<_> = (0..200).map(|n| json!({"name": format!("P{n}"), "ref": "b18"})).collect();
        let ids =
            executor.execute([Operation::create("res.partner", rows).unwrap()]).unwrap().into_ids().unwrap();
        let each: Vec<_> = ids.iter().map(|id| json!({"id": id, "city": format!("C{id}")})).collect();
        let report = executor
            .execute([
                Operation::update_each("res.partner", each).unwrap().priority(2),
                Operation::update("res.partner", &ids, json!({"zip": "9000"})).unwrap().priority(1),
                Operation::delete("res.partner", &ids[..100]).unwrap(),
            ])
            .unwrap();
        assert!(report.is_complete(), "{protocol:?}: {report}");
        let mut session = client.session().unwrap();
        let rows = session
            .search_read("res.partner", field("ref").eq("b18"), Find::fields(["city", "zip"]))
            .unwrap();
        assert_eq!(rows.len(), 100);
        assert!(rows.iter().all(|row| row.get_str("city") == Some(format!("C{}", row.id()).as_str())
            && row.get_str("zip") == Some("9000")));
        assert!(session.search_count("res.partner", Domain::all()).unwrap() >= 100);
    }
}

#[test]
fn b10_an_error_never_hides_behind_the_words_of_the_envelope() {
    let (_, mut session) = talk(JsonRpc, [error("odoo.exceptions.UserError", "Not now.")]);
    let error = session.write("res.partner", [1], json!({"city": "x"})).unwrap_err();
    assert_eq!(error.message(), "Not now.");
}
