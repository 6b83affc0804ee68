//! What bulk work on SQLite costs, beside what SQLite itself does without a client.
//!
//! ```sh
//! cargo bench --bench sqlite --features sqlite
//! cargo bench --bench sqlite --features sqlite -- --rows 100000 --rounds 5
//! ```
//!
//! The limit of an insert is `INSERT INTO t SELECT ..` with a computed column, so that SQLite cannot copy whole
//! pages. Beside it: a prepared statement in a loop by hand, Python's `executemany`, and `.import` of the
//! command line, where those are installed - with the SQLite that they bring. All take turns, each with a new
//! file and the rollback journal. What is timed begins with rows in memory (`.import`: with a CSV file) and
//! ends with the commit. Figures are medians.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use batchcall::Database;
use serde::{Deserialize, Serialize};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, note TEXT, \
    stock INT NOT NULL, price NUMERIC(12,2) NOT NULL, weight DOUBLE PRECISION NOT NULL, sold BOOLEAN NOT NULL, \
    made TIMESTAMPTZ NOT NULL, extra JSONB NOT NULL)";

const COLUMNS: &str = "id, name, city, note, stock, price, weight, sold, made, extra";

/// Not the columns alone: SQLite would copy the rows as they lie.
const COMPUTED: &str = "id, name, city, note, stock + 0, price, weight, sold, made, extra";

/// Reads the rows into memory, then times what it does with them.
const PYTHON: &str = r#"
import sqlite3, sys, time
source, target, sql = sys.argv[1:]
rows = sqlite3.connect(source).execute("SELECT * FROM t").fetchall()
db = sqlite3.connect(target)
began = time.perf_counter()
with db:
    db.executemany(sql, rows)
print(time.perf_counter() - began)
"#;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    id: i64,
    name: String,
    city: String,
    note: Option<String>,
    stock: i32,
    price: String,
    weight: f64,
    sold: bool,
    made: String,
    extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Extra {
    tags: Vec<String>,
    rank: i64,
}

fn row(n: i64) -> Row {
    Row {
        id: n,
        name: format!("product number {n}"),
        city: format!("city {}", n % 1000),
        note: (n % 3 != 0).then(|| format!("a note of some length for row {n}")),
        stock: (n % 10_000) as i32,
        price: format!("{}.{:02}", n % 90_000, n % 100),
        weight: n as f64 * 0.37,
        sold: n % 2 == 0,
        made: format!("2024-{:02}-{:02}T{:02}:{:02}:{:02}Z", n % 12 + 1, n % 28 + 1, n % 24, n % 60, n % 59),
        extra: Extra { tags: vec!["a".to_owned(), format!("t{}", n % 50)], rank: n },
    }
}

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(()); // `cargo test --benches` only builds it.
    }
    let rows = after("--rows").map_or(Ok(500_000), |text| text.parse())?;
    let rounds = after("--rounds").map_or(Ok(3), |text| text.parse())?;
    let place = Place::new()?;
    let done = compare(&place, rows, rounds);
    std::fs::remove_dir_all(&place.dir)?;
    done
}

/// Where the files are.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new() -> Outcome<Self> {
        let dir = std::env::temp_dir().join(format!("batchcall-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A new database with an empty table, and the source beside it.
    fn fresh(&self) -> Outcome<Database> {
        let file = self.file("target.db");
        if file.exists() {
            std::fs::remove_file(&file)?;
        }
        let db = open(&file)?;
        db.execute(TABLE, ())?;
        db.execute(&format!("ATTACH '{}' AS source", self.file("source.db").display()), ())?;
        Ok(db)
    }

    /// A new database that has every other row of twice as many: half of the source's.
    fn half(&self) -> Outcome<Database> {
        let db = self.fresh()?;
        let copy = format!("INSERT INTO main.t SELECT {COLUMNS} FROM source.t WHERE id % 2 = 0");
        db.execute(&copy, ())?;
        Ok(db)
    }
}

fn open(file: &Path) -> Outcome<Database> {
    let builder = Database::builder(&format!("sqlite:{}", file.display()));
    Ok(builder.max_connections(1).build()?)
}

/// The times of one contender.
struct Times {
    name: &'static str,
    of: usize,
    seconds: Vec<f64>,
}

impl Times {
    fn rate(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        self.of as f64 / seconds[seconds.len() / 2]
    }
}

#[derive(Default)]
struct Board {
    times: Vec<Times>,
}

impl Board {
    fn add(&mut self, name: &'static str, of: usize, seconds: f64) {
        match self.times.iter_mut().find(|each| each.name == name) {
            Some(times) => times.seconds.push(seconds),
            None => self.times.push(Times { name, of, seconds: vec![seconds] }),
        }
    }

    fn time<T>(&mut self, name: &'static str, of: usize, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let began = Instant::now();
        let done = work()?;
        self.add(name, of, began.elapsed().as_secs_f64());
        Ok(done)
    }

    /// Each beside the first of its kind, the word before the colon.
    fn show(&self) -> Outcome {
        let mut text = String::new();
        for each in &self.times {
            let kind = each.name.split(':').next();
            let limit = self.times.iter().find(|other| other.name.split(':').next() == kind);
            let limit = limit.map_or(0.0, Times::rate);
            let rate = each.rate();
            writeln!(text, "{:<44} {:>7.0}k rows/s  {:.2}", each.name, rate / 1e3, rate / limit)?;
        }
        print!("{text}");
        Ok(())
    }
}

fn compare(place: &Place, rows: usize, rounds: usize) -> Outcome {
    let data: Vec<Row> = (1..=rows as i64).map(row).collect();
    let source = open(&place.file("source.db"))?;
    source.execute(TABLE, ())?;
    source.table::<Row>("t").insert(&data)?.require_all()?;
    drop(source);
    let has_cli = export(place)?;
    let mut board = Board::default();
    for _ in 0..rounds {
        inserts(place, &data, has_cli, &mut board)?;
        upserts(place, &data, &mut board)?;
        keyed(place, &data, &mut board)?;
    }
    board.show()
}

fn inserts(place: &Place, data: &[Row], has_cli: bool, board: &mut Board) -> Outcome {
    let rows = data.len();
    let db = place.fresh()?;
    let copy = format!("INSERT INTO main.t SELECT {COMPUTED} FROM source.t");
    board.time("insert: INSERT .. SELECT", rows, || Ok(db.execute(&copy, ())?))?;

    let db = place.fresh()?;
    let written = board.time("insert: Table::insert", rows, || Ok(db.table::<Row>("t").insert(data)?))?;
    assert_eq!(written.inserted(), rows);
    board.add("insert: of it in the driver", rows, written.metrics().server_time.as_secs_f64());
    drop(db);

    drop(place.fresh()?);
    board.time("insert: rusqlite by hand", rows, || by_hand(&place.file("target.db"), data))?;

    drop(place.fresh()?);
    let sql = "INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?)";
    if let Some(seconds) = python(place, sql)? {
        board.add("insert: python executemany", rows, seconds);
    }
    if has_cli {
        drop(place.fresh()?);
        let import = format!(".import {} t", place.file("source.csv").display());
        board.time("insert: sqlite3 .import", rows, || {
            let target = place.file("target.db");
            let ended = Command::new("sqlite3").arg("-csv").arg(&target).arg(&import).output()?;
            if ended.status.success() { Ok(()) } else { Err("sqlite3 .import failed".into()) }
        })?;
    }
    Ok(())
}

fn upserts(place: &Place, data: &[Row], board: &mut Board) -> Outcome {
    let rows = data.len();
    let assign: Vec<String> =
        COLUMNS.split(", ").skip(1).map(|name| format!("{name} = excluded.{name}")).collect();
    let conflict = format!("ON CONFLICT (id) DO UPDATE SET {}", assign.join(", "));

    let db = place.half()?;
    let copy = format!("INSERT INTO main.t SELECT {COMPUTED} FROM source.t WHERE true {conflict}");
    board.time("upsert: INSERT .. SELECT", rows, || Ok(db.execute(&copy, ())?))?;

    let db = place.half()?;
    let written = board.time("upsert: Table::upsert, half there", rows, || {
        Ok(db.table::<Row>("t").upsert(data, ["id"], [""; 0])?)
    })?;
    assert_eq!((written.inserted(), written.updated()), (rows - rows / 2, rows / 2));
    board.add("upsert: of it in the driver", rows, written.metrics().server_time.as_secs_f64());
    drop(db);

    drop(place.half()?);
    if let Some(seconds) = python(place, &format!("INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?) {conflict}"))? {
        board.add("upsert: python executemany", rows, seconds);
    }
    Ok(())
}

fn keyed(place: &Place, data: &[Row], board: &mut Board) -> Outcome {
    let db = place.fresh()?;
    db.execute("INSERT INTO main.t SELECT * FROM source.t", ())?;
    let table = db.table::<Row>("t");
    // A fifth of the rows, from all over the table.
    let some: Vec<Row> =
        data.iter().filter(|row| row.id % 5 == 0).map(|row| Row { stock: 7, ..row.clone() }).collect();
    let ids: Vec<i64> = some.iter().map(|row| row.id).collect();
    let found = board.time("get: Table::get", ids.len(), || Ok(table.get(&ids)?))?;
    assert_eq!(found.iter().flatten().map(|row| row.id).collect::<Vec<_>>(), ids);
    let fields = ["stock", "note"];
    let updated = board.time("update: two fields", ids.len(), || Ok(table.update(&some, fields)?))?;
    assert_eq!(updated.updated(), ids.len());
    let deleted = board.time("delete: Table::delete", ids.len(), || Ok(table.delete(&ids)?))?;
    assert_eq!(deleted.deleted(), ids.len());
    Ok(())
}

/// A prepared statement in a loop, as somebody writes it who knows the columns.
fn by_hand(file: &Path, data: &[Row]) -> Outcome {
    let mut db = rusqlite::Connection::open(file)?;
    let transaction = db.transaction()?;
    let mut stmt = transaction.prepare("INSERT INTO t VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")?;
    for row in data {
        let extra = serde_json::to_string(&row.extra)?;
        let Row { id, name, city, note, stock, price, weight, sold, made, .. } = row;
        stmt.execute((id, name, city, note, stock, price, weight, sold, made, &extra))?;
    }
    drop(stmt);
    transaction.commit()?;
    Ok(())
}

/// How long `executemany` takes over the source's rows.
fn python(place: &Place, sql: &str) -> Outcome<Option<f64>> {
    let files = [place.file("source.db"), place.file("target.db")];
    let Ok(output) = Command::new("python3").arg("-c").arg(PYTHON).args(files).arg(sql).output() else {
        return Ok(None);
    };
    if !output.status.success() {
        eprintln!("python3: {}", String::from_utf8_lossy(&output.stderr));
        return Ok(None);
    }
    Ok(Some(String::from_utf8(output.stdout)?.trim().parse()?))
}

/// Writes the source as CSV, if the command line is there.
fn export(place: &Place) -> Outcome<bool> {
    let target = std::fs::File::create(place.file("source.csv"))?;
    let source = place.file("source.db");
    let ended =
        Command::new("sqlite3").arg("-csv").arg(source).arg("SELECT * FROM t").stdout(target).status();
    Ok(ended.is_ok_and(|status| status.success()))
}
