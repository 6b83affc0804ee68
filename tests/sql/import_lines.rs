//! The input of imports: headers, quotes, lines, nulls, and reject files that go in again.

use batchcall::sql::{BatchConfig, ImportOptions, ImportStats};
use batchcall::{ErrorKind, Record};
use serde_json::{Value, json};

use crate::place::Place;

fn import(place: &Place, input: &[u8], options: ImportOptions<'_>) -> ImportStats {
    let config = BatchConfig::new().continue_on_error(true);
    place.db.table::<Record>("notes").config(config).import(input, options).unwrap()
}

fn notes(place: &Place) {
    place.create("notes", "id integer PRIMARY KEY, text text, at $time, data $json");
}

fn texts(place: &Place) -> Vec<Option<String>> {
    place.db.query("SELECT text FROM notes ORDER BY id", ()).unwrap()
}

/// Imports, and again what was rejected: what was rejected, and what was rejected of that.
fn twice(place: &Place, input: &[u8], options: fn() -> ImportOptions<'static>) -> (String, String) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let stats = import(place, input, options().reject_to(&mut first));
    assert_eq!(stats.rejected, stats.failed);
    let again = import(place, &first, options().reject_to(&mut second));
    assert_eq!(
        (again.total, again.failed),
        (stats.failed, stats.failed),
        "{}",
        String::from_utf8_lossy(&first)
    );
    (String::from_utf8_lossy(&first).into_owned(), String::from_utf8_lossy(&second).into_owned())
}

both! {
    fn an_unknown_column_is_refused_with_the_near_miss_and_nothing_is_sent(place) {
        notes(place);
        let table = place.db.table::<Record>("notes");
        let error = table.import(&b"id,txet,nix\n1,a,b\n"[..], ImportOptions::new()).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains("did you mean \"text\"") && text.contains("\"nix\""), "{text}");
        assert_eq!(place.count("notes"), 0);
        for (header, why) in [
            ("id,id,text", "twice"),
            ("id,,text", "column 2 of the header has no name"),
            ("id,\"text", "a quote is opened"),
            ("batchcall.line", "no column to import"),
        ] {
            let error = table.import(format!("{header}\n1,2,3\n").as_bytes(), ImportOptions::new()).unwrap_err();
            assert!(error.to_string().contains(why), "{header}: {error}");
        }
        let unknown = ImportOptions::new().ignore("idd");
        assert!(table.import(&b"id\n1\n"[..], unknown).unwrap_err().to_string().contains("no \"idd\""));
        let two = ImportOptions::new().map("nr", "id");
        assert!(table.import(&b"id,nr\n1,2\n"[..], two).unwrap_err().to_string().contains("two columns"));
    }

    fn columns_are_mapped_and_ignored(place) {
        notes(place);
        let options = || ImportOptions::new().map("Number", "id").map("Text", "text").ignore("junk");
        let stats = import(place, b"junk;Number;Text\nx;1;a\n", options().delimiter(b';'));
        assert_eq!(stats.inserted, 1);
        let line = b"{\"Number\":2,\"Text\":\"b\",\"junk\":[]}\n";
        assert_eq!(import(place, line, options().format(batchcall::sql::Format::JsonLines)).inserted, 1);
        assert_eq!(texts(place), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    fn nothing_is_imported_of_nothing(place) {
        notes(place);
        for input in [&b""[..], b"\xef\xbb\xbf", b"\n\n", b"id,text", b"id,text\r\n\r\n"] {
            let stats = import(place, input, ImportOptions::new());
            assert_eq!((stats.total, stats.unread_from), (0, None), "{input:?}");
        }
        assert_eq!(import(place, b"\n \n", ImportOptions::json_lines()).failed, 1);
    }

    fn marks_line_ends_and_blank_lines_do_not_matter(place) {
        notes(place);
        let input = b"\xef\xbb\xbfid,text\r\n1,a\r\n\r\n2,\"b\r\nc\"\r\n3,c";
        assert_eq!(import(place, input, ImportOptions::new()).inserted, 3);
        assert_eq!(texts(place), [Some("a".to_owned()), Some("b\r\nc".to_owned()), Some("c".to_owned())]);
        assert_eq!(import(place, b"\xef\xbb\xbf{\"id\":4}\r\n\r\n{\"id\":5}", ImportOptions::json_lines()).inserted, 2);
    }

    fn a_quoted_cell_is_text_and_a_plain_marker_is_null(place) {
        notes(place);
        let options = ImportOptions::new().nulls(["", "NA"]);
        let input = b"id,text,at\n1,,\"\"\n2,\"\",NA\n3,NA,\n4,\"NA\",\n5,\"say \"\"hi\"\"\",\n";
        assert_eq!(import(place, input, options).inserted, 5);
        let found = texts(place);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found, [None, text(""), None, text("NA"), text("say \"hi\"")]);
    }

    fn cells_become_what_their_column_is(place) {
        notes(place);
        let input = b"id,at,data\n 1,2013-01-01T10:00:00Z,\"{\"\"a\"\": [1, null]}\"\n2,yesterday,1\n3,,{a}\n4,,\n";
        let stats = import(place, &input[..], ImportOptions::new());
        let lines: Vec<_> = stats.errors.iter().map(|error| error.line()).collect();
        assert_eq!(lines, [2, 3, 4], "{stats}");
        assert!(stats.errors[1].to_string().contains("yesterday"), "{stats}");
        let input = b"id,data\n1,\"{\"\"a\"\": [1, null]}\"\n";
        assert_eq!(import(place, input, ImportOptions::new()).inserted, 1);
        let row = place.db.table::<Record>("notes").get([1]).unwrap().remove(0).unwrap();
        assert_eq!(row.get("data"), Some(&json!({"a": [1, null]})));
    }

    fn lines_are_counted_through_quoted_cells(place) {
        notes(place);
        let input = b"id,text\n1,\"a\nb\nc\"\nx,d\n\n2,\"e\n\"\ny,f\n";
        let stats = import(place, input, ImportOptions::new());
        assert_eq!(stats.errors.iter().map(|error| error.line()).collect::<Vec<_>>(), [5, 9]);
        assert_eq!((stats.inserted, stats.lines), (2, 9));
    }

    fn broken_rows_are_rejected_and_the_rest_goes_on(place) {
        notes(place);
        let input = b"id,text\n1,a,b\n2\n3,\xff\n4,\"open\n5,\"e\"\n6,\"f\"g\n7,h\n8,\"last\n";
        let mut rejected = Vec::new();
        let stats = import(place, input, ImportOptions::new().reject_to(&mut rejected));
        let lines: Vec<_> = stats.errors.iter().map(|error| error.line()).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7, 9], "{stats}");
        let text = stats.to_string();
        assert!(text.contains("the row has 3 cells, the header 2"), "{text}");
        assert!(text.contains("text is no UTF-8"), "{text}");
        assert!(text.contains("a quote"), "{text}");
        assert_eq!(texts(place), [Some("e".to_owned()), Some("h".to_owned())]);
        assert!(rejected.windows(4).any(|each| each == b"3,\xff\n"), "as it was read");
    }

    fn a_reject_file_can_be_fed_in_again_and_again(place) {
        notes(place);
        let input = b"id,text\nx,\"a \"\"b\"\"\"\n1,a,b\n2\n3,\xff\n4,\"open\n\n5,e\"\"\n";
        let (first, second) = twice(place, input, ImportOptions::new);
        assert!(first.starts_with("batchcall.line,batchcall.error,id,text\n2,\""), "{first}");
        // What was added does not pile up.
        for row in ["\",x,\"a \"\"b\"\"\"\n", "\",1,a,b\n", "\",2\n", "\",4,\"open\n", "\",5,e\"\"\n"] {
            assert!(first.contains(row) && second.contains(row), "{row}: {second}");
        }
        let reasons = |file: &str| file.matches("the row has 3 cells, the header 2").count();
        assert_eq!((reasons(&first), reasons(&second)), (1, 1));
        let is_text = |line: &&str| !line.contains('\u{fffd}');
        let mended = second.lines().filter(is_text).collect::<Vec<_>>().join("\n").replace(",x,", ",9,");
        assert_eq!(import(place, mended.as_bytes(), ImportOptions::new()).inserted, 1);
        assert_eq!(texts(place).last().unwrap().as_deref(), Some("a \"b\""));
    }

    fn a_rejected_line_of_json_can_be_fed_in_again(place) {
        notes(place);
        let input = b"{\"id\":\"x\",\"text\":\"a\"}\n{\"id\":1,\n[1]\n{\"id\":2,\"txt\":1}\n{\"id\":3,\"text\":\"\xff\"}\n{\"id\":4}\n";
        let (first, second) = twice(place, input, ImportOptions::json_lines);
        let rows: Vec<Value> = first.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<_> = rows.iter().map(|row| row["batchcall.line"].as_u64().unwrap()).collect();
        assert_eq!(lines[..5], [1, 2, 3, 4, 5], "{first}");
        assert_eq!(rows[1]["batchcall.raw"], json!("{\"id\":1,"));
        assert!(rows[3]["batchcall.error"].as_str().unwrap().contains("did you mean \"text\""), "{first}");
        assert_eq!(first.lines().count(), second.lines().count());
        // Text that was no object is mended where it stands.
        let mended = second.replace("{\\\"id\\\":1,", "{\\\"id\\\":1}");
        assert_eq!(import(place, mended.as_bytes(), ImportOptions::json_lines()).inserted, 1);
    }

    fn an_input_is_read_in_pieces_of_any_size(place) {
        notes(place);
        let mut input = b"id,text\r\n".to_vec();
        for id in 0..500 {
            input.extend_from_slice(format!("{id},\"line {id}\r\n\"\"{}\"\"\"\r\n", "x".repeat(id)).as_bytes());
        }
        let config = BatchConfig::new().batch_size(7);
        let table = place.db.table::<Record>("notes").config(config);
        let stats = table.import(Drops(&input, 1), ImportOptions::new()).unwrap();
        assert_eq!((stats.inserted, stats.lines), (500, 1001));
        let found = texts(place);
        assert_eq!(found[499].as_deref(), Some(format!("line 499\r\n\"{}\"", "x".repeat(499)).as_str()));
    }
}

/// Gives a few bytes at a time, and other numbers of them.
struct Drops<'t>(&'t [u8], usize);

impl std::io::Read for Drops<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 13 + 1;
        let (now, later) = self.0.split_at(self.1.min(self.0.len()).min(into.len()));
        into[..now.len()].copy_from_slice(now);
        self.0 = later;
        Ok(now.len())
    }
}
