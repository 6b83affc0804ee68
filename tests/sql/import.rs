//! Imports: counts that add up, rows that are the same, what ends an import and what is told of it.

use std::io::{self, Read};

use batchcall::sql::{BatchConfig, ImportError, ImportOptions, ImportStats, OnConflict, Processed, Table};
use batchcall::{CancelToken, Error, ErrorKind, Record, Strategy};

use crate::place::Place;

/// That no row is lost, whatever happened.
fn adds_up(stats: &ImportStats) {
    let sum = stats.inserted
        + stats.updated
        + stats.skipped
        + stats.superseded
        + stats.dropped
        + stats.failed
        + stats.rolled_back
        + stats.in_doubt
        + stats.not_run;
    assert_eq!(stats.total, sum, "{stats:?}");
}

fn planes(place: &Place) -> Table<'_, Record> {
    place.create("planes", "tailnum varchar(10) PRIMARY KEY, year integer, seats integer NOT NULL DEFAULT 7");
    place.db.table("planes")
}

fn going_on() -> BatchConfig {
    BatchConfig::new().continue_on_error(true)
}

fn seats(place: &Place, tailnum: &str) -> Option<i64> {
    let sql = "SELECT seats FROM planes WHERE tailnum = $1";
    place.db.query::<i64>(sql, (tailnum,)).unwrap().first().copied()
}

both! {
    fn what_is_new_and_what_was_there_are_counted_apart(place) {
        let table = planes(place);
        let _ = table.import(&b"tailnum,year,seats\nA,1,10\nB,1,20\n"[..], ImportOptions::new()).unwrap();
        let csv = &b"tailnum,seats\nB,21\nC,30\n"[..];
        // uno: inserted = 2, updated = 0.
        let stats = table.import(csv, ImportOptions::new().unique_fields(["tailnum"])).unwrap();
        adds_up(&stats);
        assert_eq!((stats.total, stats.inserted, stats.updated), (2, 1, 1));
        assert_eq!(seats(place, "B"), Some(21));
        let year = place.db.query::<i64>("SELECT year FROM planes WHERE tailnum = 'B'", ()).unwrap();
        assert_eq!(year, [1], "a column that the input does not have is left alone");
    }

    fn rows_that_the_hook_drops_or_refuses_are_counted(place) {
        let table = planes(place).config(going_on());
        let hook = |row: &Record| match row.get("tailnum").and_then(|value| value.as_str()) {
            Some("A") => Ok(Processed::Drop),
            Some("B") => Err(Error::other("no B")),
            Some("C") => {
                let mut row = row.clone();
                row.insert("seats", 99);
                Ok(Processed::Change(row))
            }
            Some("D") => Ok(Processed::Change(Record::from_iter([("tailnun", "D")]))),
            _ => Ok(Processed::Keep),
        };
        let csv = &b"tailnum,seats\nA,1\nB,2\nC,3\nD,4\nE,5\n"[..];
        // uno: dropped rows were counted nowhere, and total was what was left.
        let stats = table.import(csv, ImportOptions::new().pre_process(hook)).unwrap();
        adds_up(&stats);
        assert_eq!((stats.total, stats.inserted, stats.dropped, stats.failed), (5, 2, 1, 2));
        assert_eq!(stats.errors.iter().map(|error| error.line()).collect::<Vec<_>>(), [3, 5]);
        assert!(stats.errors[1].to_string().contains("did you mean \"tailnum\""), "{}", stats.errors[1]);
        assert_eq!(seats(place, "C"), Some(99));
    }

    fn a_row_without_a_unique_field_is_refused_and_not_there(place) {
        let table = planes(place).config(going_on());
        let csv = &b"tailnum,seats\nA,1\n,2\nNA,3\n"[..];
        let options = ImportOptions::new().nulls(["", "NA"]).unique_fields(["tailnum"]);
        // uno: counted as skipped, and inserted all the same.
        let stats = table.import(csv, options).unwrap();
        adds_up(&stats);
        assert_eq!((stats.inserted, stats.skipped, stats.failed), (1, 0, 2));
        assert!(stats.errors[0].to_string().starts_with("line 3: "), "{}", stats.errors[0]);
        assert_eq!(place.count("planes"), 1);
        let json = &b"{\"tailnum\":null,\"seats\":1}\n{\"seats\":1}\n"[..];
        let options = ImportOptions::json_lines().unique_fields(["tailnum"]);
        assert_eq!(table.import(json, options).unwrap().failed, 2);
    }

    fn of_rows_that_are_the_same_the_last_wins_within_a_chunk_and_across(place) {
        let csv = "tailnum,seats\nA,1\nB,2\nA,3\nC,4\nA,5\nB,6\n";
        let _ = planes(place);
        for (size, strategy) in [(1, Strategy::Parallel), (2, Strategy::Chunked), (100, Strategy::Pipelined)] {
            place.db.execute("DELETE FROM planes", ()).unwrap();
            let config = BatchConfig::new().strategy(strategy).batch_size(size).max_workers(3);
            let options = ImportOptions::new().unique_fields(["tailnum"]);
            let stats = place.db.table::<Record>("planes").config(config).import(csv.as_bytes(), options).unwrap();
            adds_up(&stats);
            assert_eq!((stats.total, stats.inserted), (6, 3), "{stats}");
            assert_eq!(stats.metrics.workers, 1, "on several the order would be lost");
            let found = ["A", "B", "C"].map(|tailnum| seats(place, tailnum).unwrap());
            assert_eq!(found, [5, 6, 4], "{size}");
        }
    }

    fn spellings_of_one_key_are_the_same_row(place) {
        place.create("numbers", "n integer PRIMARY KEY, text text");
        let options = ImportOptions::new().unique_fields(["n"]);
        let stats = place.db.table::<Record>("numbers").import(&b"n,text\n1,a\n01,b\n"[..], options).unwrap();
        assert_eq!((stats.inserted, stats.superseded), (1, 1));
        assert_eq!(place.db.query::<String>("SELECT text FROM numbers", ()).unwrap(), ["b"]);
    }

    fn skip_leaves_what_is_there_and_takes_the_first(place) {
        let table = planes(place);
        let _ = table.import(&b"tailnum,seats\nA,1\n"[..], ImportOptions::new()).unwrap();
        let options = ImportOptions::new().unique_fields(["tailnum"]).on_conflict(OnConflict::Skip);
        let stats = table.import(&b"tailnum,seats\nA,9\nB,2\nB,3\n"[..], options).unwrap();
        adds_up(&stats);
        assert_eq!((stats.total, stats.inserted, stats.skipped), (3, 1, 2));
        assert_eq!((seats(place, "A"), seats(place, "B")), (Some(1), Some(2)));
        // uno: one SELECT for each record.
        assert!(stats.metrics.statements < 6, "{} statements", stats.metrics.statements);
    }

    fn fail_refuses_the_second_with_its_line(place) {
        let table = planes(place).config(going_on());
        let _ = table.import(&b"tailnum,seats\nA,1\n"[..], ImportOptions::new()).unwrap();
        let options = || ImportOptions::new().unique_fields(["tailnum"]).on_conflict(OnConflict::Fail);
        let stats = table.import(&b"tailnum,seats\nB,2\nA,9\nB,3\nC,4\n"[..], options()).unwrap();
        adds_up(&stats);
        assert_eq!((stats.inserted, stats.failed), (2, 2));
        assert_eq!(stats.errors.iter().map(|error| error.line()).collect::<Vec<_>>(), [3, 4]);
        assert!(stats.errors[1].to_string().contains("line 2"), "{}", stats.errors[1]);
        assert_eq!((seats(place, "A"), seats(place, "B")), (Some(1), Some(2)));
    }

    fn unique_fields_need_a_unique_constraint_and_a_conflict_needs_them(place) {
        let table = planes(place);
        let csv = &b"tailnum,year,seats\nA,1,1\n"[..];
        let no_constraint = ImportOptions::new().unique_fields(["year"]);
        let error = table.import(csv, no_constraint).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("no unique constraint on (year)"), "{error}");
        let no_fields = ImportOptions::new().on_conflict(OnConflict::Skip);
        assert!(table.import(csv, no_fields).unwrap_err().to_string().contains("unique_fields"));
        assert_eq!(place.count("planes"), 0);
    }

    fn the_first_bad_row_ends_an_import_and_is_named(place) {
        let table = planes(place).config(BatchConfig::new().batch_size(2));
        let mut rejected = Vec::new();
        let csv = "tailnum,seats\nA,1\nB,2\nC,3\nD,many\nE,5\nF,6\nG,7\nH,8\nI,9\nJ,1\nK,1\nL,1\nM,1\nN,1\n";
        let options = ImportOptions::new().reject_to(&mut rejected);
        let error: ImportError = table.import(csv.as_bytes(), options).unwrap_err();
        assert_eq!(error.line(), Some(5));
        let text = error.to_string();
        assert!(text.contains("line 5") && text.contains("many") && text.contains("seats"), "{text}");
        let stats = error.into_stats();
        adds_up(&stats);
        assert_eq!((stats.inserted, stats.failed, stats.rolled_back), (2, 1, 1));
        assert_eq!(place.count("planes"), 2);
        let unread = stats.unread_from.unwrap_or(16);
        assert_eq!(stats.total as u64 + 2, unread, "every line was read or is said to be unread");
        // Nothing is lost: corrected, what is rejected and what was not read make the whole.
        let again = String::from_utf8(rejected).unwrap().replace("D,many", "D,4");
        let _ = table.import(again.as_bytes(), ImportOptions::new()).unwrap();
        let _ = table.import(csv.as_bytes(), ImportOptions::new().from_line(unread)).unwrap();
        assert_eq!(place.count("planes"), 14);
    }

    fn one_transaction_is_all_or_nothing(place) {
        let table = planes(place).config(BatchConfig::new().batch_size(2).one_transaction(true));
        let good = "tailnum,seats\nA,1\nB,2\nC,3\nD,4\nE,5\n";
        let bad = format!("{good}F,6\nA,7\n");
        let stats = table.import(bad.as_bytes(), ImportOptions::new()).unwrap_err().into_stats();
        adds_up(&stats);
        assert_eq!((stats.total, stats.inserted, stats.failed, stats.rolled_back), (7, 0, 1, 6));
        assert_eq!(place.count("planes"), 0);
        let stats = table.import(good.as_bytes(), ImportOptions::new()).unwrap();
        assert_eq!((stats.inserted, place.count("planes")), (5, 5));
        // With bad rows left out, all others.
        place.db.execute("DELETE FROM planes", ()).unwrap();
        let table = place.db.table::<Record>("planes").config(going_on().strategy(Strategy::SingleQuery).batch_size(2));
        let stats = table.import(bad.as_bytes(), ImportOptions::new()).unwrap();
        adds_up(&stats);
        assert_eq!((stats.inserted, stats.failed, place.count("planes")), (6, 1, 6));
    }

    fn a_transaction_whose_input_breaks_off_is_undone(place) {
        let table = planes(place).config(going_on().one_transaction(true).batch_size(1));
        let input = (&b"tailnum,seats\nA,1\nB,2\n"[..]).chain(Broken);
        let error = table.import(input, ImportOptions::new()).unwrap_err();
        assert!(error.to_string().contains("the disk is gone"), "{error}");
        adds_up(error.stats());
        assert_eq!((error.stats().rolled_back, place.count("planes")), (2, 0));
    }

    fn an_input_that_breaks_off_is_told_with_what_was_read(place) {
        let table = planes(place).config(going_on());
        let input = (&b"tailnum,seats\nA,1\nB,2\nC,"[..]).chain(Broken);
        let error = table.import(input, ImportOptions::new()).unwrap_err();
        adds_up(error.stats());
        assert_eq!((error.stats().inserted, error.stats().unread_from), (2, Some(4)));
    }

    fn too_many_rejects_end_an_import(place) {
        let table = planes(place).config(going_on().batch_size(1));
        let csv: String = std::iter::once("tailnum,seats\n".to_owned())
            .chain((0..50).map(|n| format!("P{n},many\n")))
            .collect();
        let error = table.import(csv.as_bytes(), ImportOptions::new().max_rejects(3)).unwrap_err();
        adds_up(error.stats());
        assert_eq!(error.error().kind(), ErrorKind::Rejected);
        assert!(error.stats().unread_from.is_some() && error.stats().failed < 20, "{}", error.stats());
    }

    fn a_cancelled_import_says_what_it_did_not_do(place) {
        let table = planes(place);
        let token = CancelToken::new();
        token.cancel();
        let table = table.config(going_on().cancel_token(&token));
        let error = table.import(&b"tailnum,seats\nA,1\n"[..], ImportOptions::new()).unwrap_err();
        adds_up(error.stats());
        assert_eq!((error.stats().inserted, place.count("planes")), (0, 0));
        assert_eq!(error.error().kind(), ErrorKind::Cancelled);
    }

    fn a_reject_file_that_cannot_be_written_ends_an_import(place) {
        let table = planes(place).config(going_on());
        let options = ImportOptions::new().reject_to(Full);
        let error = table.import(&b"tailnum,seats\nA,many\n"[..], options).unwrap_err();
        assert!(error.to_string().contains("reject file"), "{error}");
    }

    fn several_connections_import_every_row_once(place) {
        let table = planes(place).config(going_on().strategy(Strategy::Parallel).max_workers(3).batch_size(500));
        let csv: String = std::iter::once("tailnum,year,seats\n".to_owned())
            .chain((0..10_000).map(|n| format!("P{n},{n},{}\n", if n % 1000 == 7 { "x" } else { "3" })))
            .collect();
        let mut rejected = Vec::new();
        let stats = table.import(csv.as_bytes(), ImportOptions::new().reject_to(&mut rejected)).unwrap();
        adds_up(&stats);
        assert_eq!((stats.inserted, stats.failed, stats.rejected), (9990, 10, 10));
        assert_eq!(place.count("planes"), 9990);
        let lines: Vec<u64> = stats.errors.iter().map(|error| error.line()).collect();
        assert_eq!(lines, (0..10).map(|n| n * 1000 + 9).collect::<Vec<u64>>());
    }

    fn no_more_is_read_ahead_than_memory_holds(place) {
        let table = planes(place);
        let mut endless = Endless(0);
        let error = table.import(&mut endless, ImportOptions::new()).unwrap_err();
        assert_eq!(error.line(), Some(2));
        assert!(endless.0 < 32 << 20, "{} bytes", endless.0);
        assert!(error.stats().unread_from.is_some());
    }

    fn a_null_where_none_may_be_is_the_default(place) {
        let table = planes(place);
        let stats = table.import(&b"tailnum,seats\nA,\nB,2\nC,\n"[..], ImportOptions::new()).unwrap();
        assert_eq!(stats.inserted, 3);
        assert_eq!(["A", "B", "C"].map(|each| seats(place, each).unwrap()), [7, 2, 7]);
        let json = &b"{\"tailnum\":\"D\",\"seats\":null}\n{\"tailnum\":\"E\",\"seats\":5}\n{\"tailnum\":\"F\"}\n"[..];
        assert_eq!(table.import(json, ImportOptions::json_lines()).unwrap().inserted, 3);
        assert_eq!(["D", "E", "F"].map(|each| seats(place, each).unwrap()), [7, 5, 7]);
    }

    fn the_hook_of_the_table_is_not_passed_over_in_silence(place) {
        let table = planes(place).pre_process(|_| Ok(Processed::Drop));
        let error = table.import(&b"tailnum\nA\n"[..], ImportOptions::new()).unwrap_err();
        assert!(error.to_string().contains("ImportOptions::pre_process"), "{error}");
    }
}

/// Rows without end, of which the first is bad; counts what was read of them.
struct Endless(usize);

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (head, tail) = (b"tailnum,seats\nA,many\n", b"B,1\n");
        for byte in &mut *into {
            *byte = *head.get(self.0).unwrap_or(&tail[self.0.wrapping_sub(head.len()) % tail.len()]);
            self.0 += 1;
        }
        Ok(into.len())
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

struct Full;

impl io::Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("no space"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
