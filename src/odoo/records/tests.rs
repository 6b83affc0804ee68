use serde_json::json;

use super::*;
use crate::odoo::Protocol;
use crate::records::operation::Operation;
use crate::sandbox::{Fault, Faults, Sandbox};

struct Bench {
    sandbox: Sandbox,
    client: Odoo,
    session: Session,
}

impl Bench {
    fn new(version: u8, protocol: Protocol) -> Self {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let builder = Odoo::builder(sandbox.url()).database("odoo").protocol(protocol);
        let builder = match protocol {
            Protocol::Json2 => builder.api_key(sandbox.api_key("admin").unwrap()),
            _ => builder.login("admin", "admin"),
        };
        let client = builder.build().unwrap();
        let session = client.session().unwrap();
        Self { sandbox, client, session }
    }

    /// Sends an operation as one chunk.
    fn send(&mut self, operation: &Operation) -> Result<Answer> {
        let records = operation.records().to_vec();
        let ids = operation.ids().to_vec();
        let places: Vec<usize> = (0..operation.len()).collect();
        let chunk = Chunk { operation, records: &records, ids: &ids, places: &places };
        let (client, session) = (&self.client, &mut self.session);
        match operation.kind() {
            crate::OperationKind::Create => RecordStore::create(client, session, &chunk),
            crate::OperationKind::Update => client.update(session, &chunk),
            crate::OperationKind::UpdateEach => client.update_each(session, &chunk),
            crate::OperationKind::Delete => client.delete(session, &chunk),
            _ => client.upsert(session, &chunk),
        }
    }

    fn names(&mut self, domain: Domain) -> Vec<String> {
        let rows =
            self.session.search_read("res.partner", domain, Find::fields(["name"]).order("id")).unwrap();
        rows.iter().map(|row| row.get_str("name").unwrap_or_default().to_owned()).collect()
    }

    fn requests(&self) -> usize {
        self.sandbox.history().data_requests()
    }
}

fn on_every_wire(run: impl Fn(Bench)) {
    use Protocol::{Json2, JsonRpc, WebSession};
    for (version, protocol) in [(17, WebSession), (17, JsonRpc), (19, WebSession), (19, JsonRpc), (19, Json2)]
    {
        run(Bench::new(version, protocol));
    }
}

fn ids(answer: &Answer) -> Vec<i64> {
    let id = |applied: &Result<Applied>| match applied {
        Ok(Applied::Created(id) | Applied::Matched(id)) => id.as_i64().unwrap(),
        other => panic!("{other:?}"),
    };
    answer.iter().map(id).collect()
}

#[test]
fn a_chunk_is_created_in_one_request_and_its_ids_are_in_order() {
    on_every_wire(|mut bench| {
        let rows: Vec<_> = (0..50).map(|i| json!({"name": format!("P{i:02}"), "ref": "t"})).collect();
        let before = bench.requests();
        let created = ids(&bench.send(&Operation::create("res.partner", rows).unwrap()).unwrap());
        assert_eq!(bench.requests() - before, 1);
        let rows = bench.session.read("res.partner", created, ["name"]).unwrap();
        let names: Vec<_> = rows.iter().map(|row| row.get_str("name").unwrap().to_owned()).collect();
        assert_eq!(names, (0..50).map(|i| format!("P{i:02}")).collect::<Vec<_>>());
    });
}

#[test]
fn a_missing_record_is_told_by_its_place() {
    on_every_wire(|mut bench| {
        let update = Operation::update("res.partner", [1, 99_999, 2], json!({"city": "Ghent"})).unwrap();
        let error = bench.send(&update).unwrap_err();
        assert_eq!((error.kind(), error.record_index()), (ErrorKind::NotFound, Some(1)));
    });
}

#[test]
fn records_that_are_gone_already_count_as_deleted() {
    on_every_wire(|mut bench| {
        let rows = vec![json!({"name": "A", "ref": "t"}), json!({"name": "B", "ref": "t"})];
        let created = ids(&bench.send(&Operation::create("res.partner", rows).unwrap()).unwrap());
        let delete = Operation::delete("res.partner", [created[0], 99_999, created[1]]).unwrap();
        let answer = bench.send(&delete).unwrap();
        assert_eq!(answer.into_iter().collect::<Result<Vec<_>>>().unwrap(), vec![Applied::Deleted; 3]);
        assert_eq!(bench.names(field("ref").eq("t")), Vec::<String>::new());
    });
}

#[test]
fn an_upsert_by_external_id_tells_created_from_updated_and_can_be_repeated() {
    on_every_wire(|mut bench| {
        let rows = |names: [&str; 3]| {
            let row = |i: usize| json!({"id": format!("t.p{i}"), "name": names[i], "ref": "t", "country_id/id": "base.be"});
            Operation::upsert("res.partner", ["id"], (0..3).map(row).collect::<Vec<_>>()).unwrap()
        };
        let first = bench.send(&rows(["A", "B", "C"])).unwrap();
        assert!(first.iter().all(|applied| matches!(applied, Ok(Applied::Created(_)))), "{first:?}");
        let second = bench.send(&rows(["A", "B2", "C"])).unwrap();
        assert!(second.iter().all(|applied| matches!(applied, Ok(Applied::Matched(_)))), "{second:?}");
        assert_eq!(ids(&first), ids(&second));
        assert_eq!(bench.names(field("ref").eq("t")), ["A", "B2", "C"]);
    });
}

#[test]
fn bad_rows_of_an_upsert_are_named_and_the_others_withheld() {
    on_every_wire(|mut bench| {
        let row = |i: usize| json!({"id": format!("t.p{i}"), "name": if i % 20 == 7 { "" } else { "x" }, "ref": "t"});
        let rows: Vec<_> = (0..60).map(row).collect();
        let answer = bench.send(&Operation::upsert("res.partner", ["id"], rows).unwrap()).unwrap();
        let bad: Vec<usize> = (0..60).filter(|i| answer[*i].is_err()).collect();
        assert_eq!(bad, [7, 27, 47]);
        assert!(answer.iter().flatten().all(|applied| *applied == Applied::Withheld));
        assert_eq!(answer[7].as_ref().unwrap_err().record_index(), Some(7));
        assert_eq!(bench.names(field("ref").eq("t")), Vec::<String>::new());
    });
}

#[test]
fn a_lost_answer_to_an_upsert_by_external_id_makes_no_duplicate() {
    let mut bench = Bench::new(19, Protocol::Json2);
    bench.sandbox.set_faults(Faults::none().every_on(crate::sandbox::Calls::Load, 2, Fault::ResetAfter));
    for chunk in 0..6 {
        let row = |i: usize| json!({"id": format!("t.p{}", chunk * 10 + i), "name": "x", "ref": "t"});
        let rows: Vec<_> = (0..10).map(row).collect();
        let answer = bench.send(&Operation::upsert("res.partner", ["id"], rows).unwrap()).unwrap();
        assert!(answer.iter().all(|applied| matches!(applied, Ok(Applied::Created(_)))), "{answer:?}");
    }
    bench.sandbox.clear_faults();
    assert_eq!(bench.names(field("ref").eq("t")).len(), 60);
}

#[test]
fn a_lost_answer_to_a_create_is_in_doubt_and_nothing_is_sent_again() {
    let mut bench = Bench::new(19, Protocol::Json2);
    bench.sandbox.set_faults(Faults::none().every_on(crate::sandbox::Calls::Create, 1, Fault::ResetAfter));
    let rows = vec![json!({"name": "A", "ref": "t"}), json!({"name": "B", "ref": "t"})];
    let before = bench.requests();
    let error = bench.send(&Operation::create("res.partner", rows).unwrap()).unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    assert_eq!(bench.requests() - before, 1);
    bench.sandbox.clear_faults();
    assert_eq!(bench.names(field("ref").eq("t")), ["A", "B"]);
}

#[test]
fn an_upsert_by_other_fields_creates_and_writes_what_is_needed() {
    on_every_wire(|mut bench| {
        let upsert = |rows: Value| Operation::upsert("res.partner", ["ref", "city"], rows).unwrap();
        let first = bench.send(&upsert(json!([{"ref": "r1", "city": "Ghent", "name": "A"}]))).unwrap();
        assert!(matches!(first[0], Ok(Applied::Created(_))));
        let rows = json!([
            {"ref": "r1", "city": "Ghent", "name": "A2"},
            {"ref": "r1", "city": "Bruges", "name": "B"},
            {"ref": "r2", "city": "Ghent", "name": "C"},
        ]);
        let second = bench.send(&upsert(rows)).unwrap();
        assert!(matches!(second[0], Ok(Applied::Matched(_))), "{second:?}");
        assert!(matches!(second[1..], [Ok(Applied::Created(_)), Ok(Applied::Created(_))]), "{second:?}");
        assert_eq!(ids(&first)[0], ids(&second)[0]);
        assert_eq!(bench.names(field("ref").is_in(["r1", "r2"])), ["A2", "B", "C"]);
    });
}

#[test]
fn a_key_that_several_records_have_is_a_conflict_of_that_record_alone() {
    let mut bench = Bench::new(19, Protocol::Json2);
    let twice = vec![json!({"name": "A", "ref": "r1"}), json!({"name": "B", "ref": "r1"})];
    bench.send(&Operation::create("res.partner", twice).unwrap()).unwrap();
    let rows = json!([{"ref": "r1", "name": "X"}, {"ref": "r2", "name": "Y"}]);
    let answer = bench.send(&Operation::upsert("res.partner", ["ref"], rows).unwrap()).unwrap();
    assert_eq!(answer[0].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(matches!(answer[1], Ok(Applied::Created(_))));
    assert_eq!(bench.names(field("ref").eq("r1")), ["A", "B"]);
}

#[test]
fn bad_updates_beside_creates_take_no_neighbour_down() {
    on_every_wire(|mut bench| {
        let upsert = |rows: Vec<Value>| Operation::upsert("res.partner", ["ref"], rows).unwrap();
        let there: Vec<_> = (0..8).map(|i| json!({"ref": format!("r{i}"), "name": "old"})).collect();
        bench.send(&upsert(there)).unwrap();
        let mut rows: Vec<_> =
            (0..8).map(|i| json!({"ref": format!("r{i}"), "name": format!("n{i}")})).collect();
        rows[5]["name"] = json!(false);
        rows.push(json!({"ref": "new", "name": "N"}));
        let answer = bench.send(&upsert(rows)).unwrap();
        let bad: Vec<usize> = (0..9).filter(|i| answer[*i].is_err()).collect();
        assert_eq!(bad, [5], "{answer:?}");
        let names = bench.names(field("ref").is_in((0..8).map(|i| format!("r{i}"))));
        assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "old", "n6", "n7"]);
    });
}

#[test]
fn what_was_read_can_be_written_back() {
    on_every_wire(|mut bench| {
        let tags = json!({"name": "A", "category_id": [[6, 0, [1, 2]]], "parent_id": 1, "email": "a@b.c"});
        let id = bench.session.create("res.partner", tags).unwrap();
        let fields = ["name", "category_id", "parent_id", "email", "city"];
        let read = |bench: &mut Bench| {
            let ids = [RecordId::Int(id), RecordId::Int(99_999)];
            bench.client.read(&mut bench.session, "res.partner", &ids, &fields).unwrap()
        };
        let before = read(&mut bench);
        assert!(before[1].is_none());
        let change =
            json!({"name": "B", "category_id": [[5, 0, 0]], "parent_id": false, "email": false, "city": "x"});
        bench.session.write("res.partner", [id], change).unwrap();
        let mut back = before[0].clone().unwrap();
        back.remove("id");
        bench.session.write("res.partner", [id], back.as_map()).unwrap();
        assert_eq!(read(&mut bench), before);
    });
}

#[test]
fn keys_are_compared_as_the_server_compares_them() {
    let key = |record: Value| key_of(record.as_object().unwrap(), &["a".into(), "b".into()]);
    assert_eq!(key(json!({"a": 7, "b": "x"})), key(json!({"a": [7, "ACME"], "b": "x"})));
    assert_eq!(key(json!({"a": 7, "b": null})), key(json!({"a": 7.0, "b": false})));
    assert_ne!(key(json!({"a": "7", "b": "x"})), key(json!({"a": "7x", "b": ""})));
}

#[test]
fn a_record_whose_key_reads_otherwise_than_it_was_written_is_not_made_a_second_time() {
    let mut bench = Bench::new(19, Protocol::Json2);
    bench
        .send(&Operation::create("res.partner", json!([{"name": "A", "ref": "t", "parent_id": 1}])).unwrap())
        .unwrap();
    // A related record is found by its name, and read as its id.
    let rows = json!([{"ref": "t", "parent_id": "My Company", "name": "B"}]);
    let error =
        bench.send(&Operation::upsert("res.partner", ["ref", "parent_id"], rows).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(bench.names(field("ref").eq("t")), ["A"]);
}

#[test]
fn an_archived_record_is_found_by_its_key() {
    on_every_wire(|mut bench| {
        bench.session.create("res.partner", json!({"name": "A", "ref": "t", "active": false})).unwrap();
        let rows = json!([{"ref": "t", "name": "B"}]);
        let answer = bench.send(&Operation::upsert("res.partner", ["ref"], rows).unwrap()).unwrap();
        assert!(matches!(answer[0], Ok(Applied::Matched(_))), "{answer:?}");
    });
}

#[test]
fn updates_stay_tracked_and_creates_are_lean() {
    let operation = Operation::update("res.partner", [1], json!({"city": "x"})).unwrap();
    let operation = operation.context(json!({"lang": "fr_FR"}));
    let chunk = Chunk { operation: &operation, records: &[], ids: operation.ids(), places: &[0] };
    let bench = Bench::new(19, Protocol::Json2);
    assert_eq!(own_context(&chunk), Context::new().lang("fr_FR"));
    assert_eq!(lean_context(&bench.session, &chunk), Context::lean().lang("fr_FR"));
}

#[test]
fn a_lost_connection_between_requests_says_which_records_were_sent() {
    // Before 19, records with other fields go in another request.
    let mut bench = Bench::new(17, Protocol::JsonRpc);
    let ids = bench.session.create_many("res.partner", vec![json!({"name": "x"}); 4]).unwrap();
    let rows = json!([
        {"id": ids[0], "city": "A"}, {"id": ids[1], "city": "B"},
        {"id": ids[2], "street": "C"}, {"id": ids[3], "street": "D"},
    ]);
    let update = Operation::update_each("res.partner", rows).unwrap();
    let nth = |n| Faults::none().at_on(crate::sandbox::Calls::Load, n, Fault::Garbage);
    bench.sandbox.set_faults(nth(2));
    let answer = bench.send(&update).unwrap();
    assert!(answer[0].is_ok() && answer[1].is_ok(), "{answer:?}");
    assert!(answer[2].is_err() && answer[3].is_err(), "{answer:?}");
    // The first one: nothing else is sent, and the error is the chunk's.
    bench.sandbox.set_faults(nth(1));
    let error = bench.send(&update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
