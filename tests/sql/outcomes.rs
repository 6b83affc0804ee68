//! What is told is what happened: after panics, lost connections, failed commits, and for rows that hang together.

use std::cell::RefCell;
#[cfg(feature = "postgres")]
use std::time::{Duration, Instant};

use batchcall::sql::{BatchConfig, ImportOptions, OnConflict, Returning, RowStatus};
use batchcall::{BatchCall, ErrorKind, Executor, Operation, Progress, Record, Strategy};
#[cfg(feature = "postgres")]
use batchcall::{CancelToken, RetryPolicy};
use serde::{Deserialize, Deserializer, Serialize};

use crate::place::{Product, products};

/// A row that cannot be read when it says "boom".
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grumpy {
    id: i64,
    #[serde(deserialize_with = "grumble")]
    line: String,
}

fn grumble<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let line = String::deserialize(deserializer)?;
    assert_ne!(line, "boom", "boom");
    Ok(line)
}

fn row(id: i64, n: i64) -> Record {
    Record::from_iter([("id", id), ("n", n)])
}

both! {
    fn a_panic_in_the_middle_of_a_chunk_leaves_nothing_of_it(place) {
        place.create("lines", "id $id, line text");
        let rows: Vec<Grumpy> =
            (1..21).map(|id| Grumpy { id, line: if id == 5 { "boom" } else { "" }.to_owned() }).collect();
        let config = BatchConfig::new().batch_size(10).continue_on_error(true);
        let written = place.db.table::<Grumpy>("lines").config(config).returning(Returning::Rows).insert(&rows).unwrap();
        assert_eq!(written.errors()[0].error().kind(), ErrorKind::Panicked);
        assert_eq!((written.inserted(), written.failed()), (10, 10), "{written}");
        assert_eq!(place.count("lines"), 10);
    }

    fn a_row_whose_computation_panics_takes_none_of_its_neighbours_down(place) {
        place.products();
        place.db.table::<Product>("products").insert(products(1..6)).unwrap();
        let computed = place.db.table::<Product>("products").compute(1..6, |row| {
            assert_ne!(row.id, Some(3), "not three");
            Ok(row.id)
        }).unwrap();
        let kinds: Vec<_> = computed.iter().map(|each| each.as_ref().err().map(|error| error.kind())).collect();
        assert_eq!(kinds, [None, None, Some(ErrorKind::Panicked), None, None]);
        assert_eq!(computed[2].as_ref().unwrap_err().record_index(), Some(2));
    }

    fn a_commit_that_fails_leaves_no_transaction_open(place) {
        place.create("parents", "id $id");
        place.create("children", "id $id, parent bigint REFERENCES parents DEFERRABLE INITIALLY DEFERRED");
        let mut connection = place.db.connection().unwrap();
        connection.begin().unwrap();
        connection.execute("INSERT INTO children VALUES (1, 99)", ()).unwrap();
        assert_eq!(connection.commit().unwrap_err().kind(), ErrorKind::Rejected);
        connection.roll_back().unwrap();
        connection.execute("INSERT INTO parents VALUES (1)", ()).unwrap();
        connection.begin().unwrap();
        connection.roll_back().unwrap();
        drop(connection);
        assert_eq!((place.count("parents"), place.count("children")), (1, 0));
    }

    fn a_transaction_that_a_call_leaves_open_is_not_that_of_the_next(place) {
        place.create("t", "id $id, n integer");
        let report = BatchCall::new(&place.db).max_concurrent(1).calls(0..4, |session, n| {
            session.begin()?;
            session.execute("INSERT INTO t VALUES ($1, 0)", (n,))?;
            if *n == 1 { session.execute("INSERT INTO t VALUES (0, 0)", ())?; }
            if *n == 2 { return Ok(()); }
            session.commit()
        }).execute().unwrap();
        assert_eq!((report.stats().successful_calls, report.stats().failed_calls), (3, 1), "{report}");
        assert_eq!(place.db.query::<i64>("SELECT id FROM t ORDER BY id", ()).unwrap(), [0, 3]);
    }

    fn a_row_is_superseded_only_by_one_that_is_written(place) {
        place.create("t", "id $id, n integer CHECK (n >= 0)");
        let table = place.db.table::<Record>("t").config(BatchConfig::new().continue_on_error(true));
        let written = table.upsert([row(1, 1), row(1, -1), row(2, 1), row(2, 2)], ["id"], [""; 0]).unwrap();
        use RowStatus::{Failed, Inserted, NotRun, Superseded};
        assert_eq!(written.statuses(), [NotRun, Failed, Superseded, Inserted]);
        assert!(written.errors()[0].error().message().contains("row 1"), "{}", written.errors()[0].error());
        // Nothing was sent, so nothing was superseded either.
        let table = place.db.table::<Record>("t");
        let failure = table.upsert([row(3, 1), row(3, 2), Record::from_iter([("x", 1)])], ["id"], [""; 0]).unwrap_err();
        assert_eq!(failure.written().not_run(), 3);
    }

    fn a_key_that_comes_twice_is_not_gone_if_it_could_not_be_deleted(place) {
        place.create("parents", "id $id");
        place.create("children", "id $id, parent bigint REFERENCES parents");
        place.db.execute("INSERT INTO parents VALUES (1), (2)", ()).unwrap();
        place.db.execute("INSERT INTO children VALUES (1, 1)", ()).unwrap();
        let table = place.db.table::<Record>("parents").config(BatchConfig::new().continue_on_error(true));
        let written = table.delete([1, 1, 2, 2]).unwrap();
        use RowStatus::{Deleted, Failed, Missing, NotRun};
        assert_eq!(written.statuses(), [Failed, NotRun, Deleted, Missing]);
    }

    fn an_imported_row_that_hangs_on_a_refused_one_is_rejected_with_it(place) {
        place.create("t", "id $id, n integer CHECK (n >= 0)");
        for how in [OnConflict::Skip, OnConflict::Update] {
            let csv = if how == OnConflict::Skip { "id,n\n1,-1\n1,5\n2,1\n" } else { "id,n\n1,5\n1,-1\n2,1\n" };
            let mut rejected = Vec::new();
            let options = ImportOptions::csv().unique_fields(["id"]).on_conflict(how).reject_to(&mut rejected);
            let table = place.db.table::<Record>("t").config(BatchConfig::new().continue_on_error(true));
            let stats = table.import(csv.as_bytes(), options).unwrap();
            assert_eq!((stats.total, stats.inserted, stats.failed, stats.rejected), (3, 1, 2, 2), "{stats}");
            let rejected = String::from_utf8(rejected).unwrap();
            assert!(rejected.contains("1,5") && rejected.contains("1,-1"), "{rejected}");
            place.db.execute("DELETE FROM t", ()).unwrap();
        }
    }

    fn an_import_in_one_transaction_with_too_many_rejects_writes_nothing(place) {
        place.create("t", "id $id, n integer CHECK (n >= 0)");
        for _ in 0..10 {
            let config = BatchConfig::new().continue_on_error(true).one_transaction(true).batch_size(2);
            let table = place.db.table::<Record>("t").config(config);
            let csv = "id,n\n1,1\n2,2\n3,3\n4,-1\n";
            let failure = table.import(csv.as_bytes(), ImportOptions::csv().max_rejects(0)).unwrap_err();
            assert_eq!(failure.error().kind(), ErrorKind::Rejected, "{failure}");
            assert_eq!((failure.stats().inserted, failure.stats().rolled_back), (0, 3), "{failure}");
            assert_eq!(place.count("t"), 0);
        }
    }

    fn progress_never_goes_back_and_ends_exactly(place) {
        place.products();
        let mut rows = products(1..101);
        rows[55].stock = -1;
        for (strategy, one) in
            [(Strategy::Chunked, false), (Strategy::Chunked, true), (Strategy::Optimistic, false), (Strategy::SingleQuery, false)]
        {
            for go_on in [false, true] {
                let told = RefCell::new(Vec::<Progress>::new());
                let config = BatchConfig::new().strategy(strategy).batch_size(10).one_transaction(one).continue_on_error(go_on);
                let table = place.db.table::<Product>("products").config(config)
                    .on_progress(|progress| told.borrow_mut().push(*progress));
                let written = table.insert(&rows).unwrap_or_else(|failure| failure.into_written());
                let told = told.take();
                assert!(told.windows(2).all(|pair| pair[0].completed <= pair[1].completed), "{strategy:?} {told:?}");
                let last = told.last().unwrap();
                let ran = written.total() - written.not_run();
                assert_eq!(
                    (last.completed, last.succeeded, last.failed),
                    (ran, written.succeeded(), ran - written.succeeded()),
                    "{strategy:?} {one} {go_on} {written}"
                );
                place.db.execute("DELETE FROM products", ()).unwrap();
            }
        }
    }

    fn one_record_that_refuses_the_values_takes_none_of_the_others_down(place) {
        place.create("t", "id $id, most integer, n integer, CHECK (n <= most)");
        place.db.execute("INSERT INTO t VALUES (1, 9, 0), (2, 1, 0), (3, 9, 0)", ()).unwrap();
        let operation = Operation::update("t", [1, 2, 3, 4], serde_json::json!({"n": 5})).unwrap();
        let report = Executor::new(&place.db).execute(vec![operation]).unwrap();
        let kinds: Vec<_> = report.outcomes().iter().map(|each| each.error().map(|error| error.kind())).collect();
        assert_eq!(kinds, [None, Some(ErrorKind::Rejected), None, Some(ErrorKind::NotFound)], "{report}");
        assert_eq!(place.db.query::<i64>("SELECT n FROM t ORDER BY id", ()).unwrap(), [5, 0, 5]);
    }

    fn a_summary_counts_the_errors_that_it_leaves_out(place) {
        place.products();
        let mut rows = products(1..21);
        rows[7].stock = -1;
        let failure = place.db.table::<Product>("products").insert(&rows).unwrap_err();
        let told = failure.written().to_string();
        assert!(told.contains("row 7") && !told.contains("more"), "{told}");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn after_a_transaction_is_lost_nothing_is_done_outside_it() {
    let Some(place) = crate::place::Place::postgres() else { return };
    place.create("t", "id $id, n integer");
    let mut connection = place.db.connection().unwrap();
    connection.begin().unwrap();
    connection.execute("INSERT INTO t VALUES (1, 1)", ()).unwrap();
    let pid = connection.query::<i32>("SELECT pg_backend_pid()", ()).unwrap()[0];
    place.db.execute("SELECT pg_terminate_backend($1)", (pid,)).unwrap();
    for id in 2..5 {
        let error = connection.execute("INSERT INTO t VALUES ($1, 1)", (id,)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Unavailable), "{error}");
    }
    assert_eq!(connection.commit().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(place.count("t"), 0);
    // Now it is over, and the connection works again.
    connection.begin().unwrap();
    connection.execute("INSERT INTO t VALUES (9, 1)", ()).unwrap();
    connection.commit().unwrap();
    assert_eq!(place.count("t"), 1);
}

/// Raises a serialization failure at the rows that come as these, counted over all transactions.
#[cfg(feature = "postgres")]
fn clashing(place: &crate::place::Place, when: &str) {
    place.create("t", "id $id, n integer");
    place
        .db
        .execute(
            &format!(
                "CREATE SEQUENCE tries; CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN IF nextval(''tries'') {when} THEN RAISE EXCEPTION ''clash'' USING ERRCODE = ''40001''; \
                 END IF; RETURN NEW; END'; \
                 CREATE TRIGGER clash BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION clash()"
            ),
            (),
        )
        .unwrap();
}

#[cfg(feature = "postgres")]
#[test]
fn a_transaction_that_begins_again_counts_its_chunks_once_and_progress_does_not_go_back() {
    let Some(place) = crate::place::Place::postgres() else { return };
    clashing(&place, "= 3");
    let told = RefCell::new(Vec::new());
    let retry = RetryPolicy::new().base(Duration::from_millis(1));
    let config = BatchConfig::new().one_transaction(true).batch_size(1).retry(retry);
    let table = place
        .db
        .table::<Record>("t")
        .config(config)
        .on_progress(|each| told.borrow_mut().push(each.completed));
    let written = table.insert([row(1, 1), row(2, 2), row(3, 3), row(4, 4)]).unwrap();
    assert_eq!((written.metrics().retries, written.metrics().chunks), (1, 4));
    assert!(told.borrow().is_sorted(), "{told:?}");
    assert_eq!(told.borrow().last(), Some(&4));
}

#[cfg(feature = "postgres")]
#[test]
fn who_waits_to_begin_again_can_be_cancelled() {
    let Some(place) = crate::place::Place::postgres() else { return };
    clashing(&place, "> 0");
    let token = CancelToken::new();
    let retry = RetryPolicy::new().base(Duration::from_secs(20)).attempts(10);
    let config = BatchConfig::new().one_transaction(true).retry(retry).cancel_token(&token);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            token.cancel();
        });
        place.db.table::<Record>("t").config(config).insert([row(1, 1)]).unwrap_err();
    });
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
