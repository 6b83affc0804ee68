//! What bulk work on PostgreSQL costs, beside the server's own pace and beside what Python programs use.
//!
//! ```sh
//! sh benches/peers/setup.sh       # once, for the Python peers
//! sh tests/postgres.sh cargo bench --bench postgres --all-features
//! sh tests/postgres.sh cargo bench --bench postgres --all-features -- --rounds 3 --part get --rows 100000
//! ```
//!
//! Parts are `insert`, `upsert`, `update`, `get` and `bad`. A row has ten columns: a bigint key, three texts of
//! which one may be null, int4, numeric(12,2), float8, bool, timestamptz and jsonb. What is timed begins with
//! rows in memory and an open connection, and ends when what became of every row is known. Before each run the
//! table is emptied or loaded again, and a CHECKPOINT is made; contenders take turns, in another order each
//! round. Times are medians. CPU is that of the client's process, which the system counts in steps of 10 ms.
//!
//! The limit is what the server does without any client: `COPY .. FROM` a file in binary, `INSERT .. SELECT`
//! from a table. It is measured in the same rounds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use batchcall::sql::{BatchConfig, RowStatus};
use batchcall::{Database, Strategy};
use postgres::{Client, NoTls};
use serde::{Deserialize, Serialize};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The environment variable with the server's address.
const URL: &str = "BATCHCALL_TEST_POSTGRES";

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(()); // `cargo test --benches` only builds it.
    }
    let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
    let rounds = after("--rounds").map_or(Ok(5), |rounds| rounds.parse())?;
    let rows = after("--rows").map_or(Ok(500_000), |rows| rows.parse())?;
    let is_wanted = |part: &str| after("--part").is_none_or(|wanted| wanted == part);
    let Ok(url) = std::env::var(URL) else {
        eprintln!("SKIPPED: no server; run it under `sh tests/postgres.sh`");
        return Ok(());
    };
    let mut bench = Bench::new(url, rows, rounds)?;
    for (part, run) in [
        ("insert", Bench::insert as fn(&mut Bench) -> Outcome),
        ("upsert", Bench::upsert),
        ("update", Bench::update),
        ("get", Bench::get),
        ("bad", Bench::bad),
    ] {
        if is_wanted(part) {
            run(&mut bench)?;
        }
    }
    Ok(())
}

// ---------------------------------------------------------------- the rows

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: i64,
    name: String,
    city: String,
    note: Option<String>,
    quantity: i32,
    /// As a decimal type serializes: its text.
    price: String,
    weight: f64,
    active: bool,
    /// As a type of dates serializes: ISO text.
    seen: String,
    extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Extra {
    color: String,
    tags: Vec<String>,
    rank: i64,
}

const COLUMNS: &str = "id bigint PRIMARY KEY, name text NOT NULL, city text NOT NULL, note text, \
    quantity int4 NOT NULL, price numeric(12,2) NOT NULL, weight float8 NOT NULL, active bool NOT NULL, \
    seen timestamptz NOT NULL, extra jsonb NOT NULL";

/// The same as those of the peers.
fn item(i: usize) -> Item {
    let second = i % 60;
    Item {
        id: i64::try_from(i).unwrap_or(i64::MAX),
        name: format!("Customer number {i}"),
        city: ["Namur", "Liege", "Bruxelles", "Antwerpen"][i % 4].to_owned(),
        note: (!i.is_multiple_of(3)).then(|| format!("a note of some length about row {i}")),
        quantity: i32::try_from(i % 10_000).unwrap_or(0),
        price: format!("{}.{:02}", i % 100_000, i % 100),
        weight: i as f64 * 0.37,
        active: i.is_multiple_of(2),
        seen: format!(
            "2024-{:02}-{:02}T{:02}:{:02}:{second:02}Z",
            i % 12 + 1,
            i % 28 + 1,
            i % 24,
            i / 7 % 60
        ),
        extra: Extra {
            color: ["red", "green", "blue"][i % 3].to_owned(),
            tags: vec!["a".to_owned(), format!("t{}", i % 100)],
            rank: i64::try_from(i % 1000).unwrap_or(0),
        },
    }
}

// ------------------------------------------------------------- the contenders

type Contend<'a> = Box<dyn Fn(&mut Client) -> Outcome<Took> + 'a>;

/// What one run took: wall time and CPU time of the client, in seconds, and for how many rows.
struct Took {
    wall: f64,
    cpu: Option<f64>,
    rows: usize,
}

struct Contender<'a> {
    name: String,
    /// Makes the table ready, outside the time.
    before: Box<dyn Fn(&mut Client) -> Outcome + 'a>,
    run: Contend<'a>,
    took: Vec<Took>,
}

impl<'a> Contender<'a> {
    fn new(
        name: impl Into<String>,
        before: impl Fn(&mut Client) -> Outcome + 'a,
        run: impl Fn(&mut Client) -> Outcome<Took> + 'a,
    ) -> Self {
        Self { name: name.into(), before: Box::new(before), run: Box::new(run), took: Vec::new() }
    }

    /// Statements that the server does alone.
    fn server(
        name: &str,
        rows: usize,
        before: impl Fn(&mut Client) -> Outcome + 'a,
        sql: impl Into<String>,
    ) -> Self {
        let sql = sql.into();
        Self::new(name, before, move |client| {
            let began = Instant::now();
            client.batch_execute(&sql)?;
            Ok(Took { wall: began.elapsed().as_secs_f64(), cpu: None, rows })
        })
    }

    /// Rows in a second.
    fn rate(&self) -> f64 {
        median(self.took.iter().map(|took| took.rows as f64 / took.wall).collect())
    }

    /// Seconds of CPU for so many rows.
    fn cpu(&self, rows: usize) -> Option<f64> {
        let of = |took: &Took| took.cpu.map(|cpu| cpu * rows as f64 / took.rows as f64);
        let cpu: Vec<f64> = self.took.iter().filter_map(of).collect();
        (!cpu.is_empty()).then(|| median(cpu))
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    match of.len() {
        0 => f64::NAN,
        length => f64::midpoint(of[(length - 1) / 2], of[length / 2]),
    }
}

/// Times what this process does, and takes what it gives apart from the time.
fn timed<R>(rows: usize, work: impl FnOnce() -> Outcome<R>) -> Outcome<(Took, R)> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let given = work()?;
    let took =
        Took { wall: began.elapsed().as_secs_f64(), cpu: cpu_seconds().zip(cpu).map(|(b, a)| b - a), rows };
    Ok((took, given))
}

/// User and system time of this process, in steps of 10 ms, where there is a `/proc`.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The fields after the name, which may hold anything: 14 and 15 of them all.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

// -------------------------------------------------------------- the benchmark

struct Bench {
    url: String,
    db: Database,
    admin: Client,
    items: Vec<Item>,
    rounds: usize,
    /// The items in a file of the server's, in binary and as CSV.
    binary: String,
    csv: String,
}

fn one() -> BatchConfig {
    BatchConfig::new()
}

fn two() -> BatchConfig {
    BatchConfig::new().strategy(Strategy::Parallel).max_workers(2)
}

/// Empties the table.
fn empty(client: &mut Client) -> Outcome {
    Ok(client.batch_execute("TRUNCATE items; CHECKPOINT")?)
}

/// Fills the table with those of the source that fit a condition.
fn filled(condition: &'static str) -> impl Fn(&mut Client) -> Outcome + Copy {
    move |client| {
        client.batch_execute("TRUNCATE items")?;
        client.batch_execute(&format!("INSERT INTO items SELECT * FROM source WHERE {condition}"))?;
        // As the server does by itself, some time after a load.
        Ok(client.batch_execute("ANALYZE items; CHECKPOINT")?)
    }
}

fn there_are(client: &mut Client, expected: usize) -> Outcome {
    let count: i64 = client.query_one("SELECT count(*) FROM items", &[])?.get(0);
    if usize::try_from(count)? == expected {
        Ok(())
    } else {
        Err(format!("{count} rows, not {expected}").into())
    }
}

impl Bench {
    fn new(url: String, rows: usize, rounds: usize) -> Outcome<Self> {
        let mut admin = Client::connect(&url, NoTls)?;
        let said =
            |admin: &mut Client, sql: &str| -> Outcome<String> { Ok(admin.query_one(sql, &[])?.get(0)) };
        let version = said(&mut admin, "SHOW server_version")?;
        let fsync = said(&mut admin, "SHOW fsync")?;
        let folder = said(&mut admin, "SHOW data_directory")?;
        let cores = std::thread::available_parallelism()?;
        println!(
            "PostgreSQL {version}, fsync {fsync}, {cores} cores shared by client and server; {rounds} rounds\n"
        );
        // Vacuum would come at random.
        admin.batch_execute(&format!(
            "DROP TABLE IF EXISTS items, source; \
             CREATE TABLE items ({COLUMNS}) WITH (autovacuum_enabled = false); \
             CREATE TABLE source (LIKE items) WITH (autovacuum_enabled = false)"
        ))?;
        let items: Vec<Item> = (0..rows).map(item).collect();
        let db = Database::builder(&url).max_connections(2).build()?;
        db.table::<Item>("source").insert(&items)?;
        let (binary, csv) = (format!("{folder}/items.bin"), format!("{folder}/items.csv"));
        admin.batch_execute(&format!(
            "ANALYZE source; COPY source TO '{binary}' (FORMAT binary); COPY source TO '{csv}' (FORMAT csv)"
        ))?;
        Ok(Self { url, db, admin, items, rounds, binary, csv })
    }

    /// Lets contenders take turns, and prints what they took; the first one is the limit.
    fn compare(&mut self, title: &str, mut contenders: Vec<Contender<'_>>, scale: &str) -> Outcome {
        for round in 0..=self.rounds {
            for place in 0..contenders.len() {
                let number = (place + round) % contenders.len();
                let contender = &mut contenders[number];
                (contender.before)(&mut self.admin)?;
                match (contender.run)(&mut self.admin) {
                    // The first round opens connections and fills caches.
                    Ok(took) if round > 0 => contender.took.push(took),
                    Ok(_) => {}
                    Err(error) => eprintln!("FAILED {}: {error}\n", contender.name),
                }
            }
        }
        let (rows, limit) = (self.items.len(), contenders[0].rate());
        println!("{title}:\n");
        println!("| | rows/s | {scale} | client CPU for {rows} rows |");
        println!("|---|--:|--:|--:|");
        for contender in contenders.iter().filter(|contender| !contender.took.is_empty()) {
            let rate = contender.rate();
            let cpu = contender.cpu(rows).map_or("-".to_owned(), |cpu| format!("{cpu:.2} s"));
            println!("| {} | {rate:.0} | {:.2} | {cpu} |", contender.name, rate / limit);
        }
        println!();
        Ok(())
    }

    /// The server's pace at adding rows, by which other figures can be scaled.
    fn limit<'a>(&self) -> Contender<'a> {
        let sql = format!("COPY items FROM '{}' (FORMAT binary)", self.binary);
        Contender::server("server, `COPY` from a binary file", self.items.len(), empty, sql)
    }

    fn insert(&mut self) -> Outcome {
        let (items, rows) = (self.items.clone(), self.items.len());
        let db = self.db.clone();
        let insert = |config: fn() -> BatchConfig| {
            let (db, items) = (&db, &items);
            move |client: &mut Client| {
                let (took, written) =
                    timed(rows, || Ok(db.table::<Item>("items").config(config()).insert(items)?))?;
                if written.inserted() != rows {
                    return Err("not every row was inserted".into());
                }
                there_are(client, rows)?;
                let sums = "SELECT (SELECT sum(hashtextextended(i::text, 0)) FROM items i) \
                    = (SELECT sum(hashtextextended(s::text, 0)) FROM source s)";
                if !client.query_one(sums, &[])?.get::<_, bool>(0) {
                    return Err("the rows are not those of the source".into());
                }
                Ok(took)
            }
        };
        let mut contenders = vec![
            self.limit(),
            Contender::new("batchcall, 1 connection", empty, insert(one)),
            Contender::new("batchcall, 2 connections", empty, insert(two)),
        ];
        for (format, file) in [("binary", &self.binary), ("csv", &self.csv)] {
            contenders.extend(psql().map(|psql| {
                let command = format!("\\copy items from '{file}' (format {format})");
                let command = vec![psql, self.url.clone().into(), "-qc".into(), command.into()];
                Contender::new(format!("`psql \\copy`, {format}"), empty, move |client| {
                    let began = Instant::now();
                    program(&command)?;
                    let wall = began.elapsed().as_secs_f64();
                    there_are(client, rows)?;
                    Ok(Took { wall, cpu: None, rows })
                })
            }));
        }
        for (name, method, rows) in [
            ("asyncpg `copy_records_to_table`", "asyncpg-copy", rows),
            ("psycopg 3 `COPY`, `write_row`", "psycopg-copy", rows),
            ("SQLAlchemy bulk `insert`, asyncpg", "sqlalchemy-asyncpg", rows / 10),
            ("SQLAlchemy bulk `insert`, psycopg 3", "sqlalchemy-psycopg", rows / 10),
        ] {
            contenders.extend(peer(name, method, &self.url, rows, empty, rows));
        }
        self.compare(&format!("`insert` of {rows} rows"), contenders, "x limit")
    }

    fn upsert(&mut self) -> Outcome {
        let (items, rows) = (self.items.clone(), self.items.len());
        let db = self.db.clone();
        let half = filled("id % 2 = 0");
        let upsert = |config: fn() -> BatchConfig| {
            let (db, items) = (&db, &items);
            move |client: &mut Client| {
                let none = [] as [&str; 0];
                let work = || Ok(db.table::<Item>("items").config(config()).upsert(items, ["id"], none)?);
                let (took, written) = timed(rows, work)?;
                if (written.inserted(), written.updated()) != (rows / 2, rows - rows / 2) {
                    return Err("what is new and what was there is not told".into());
                }
                there_are(client, rows)?;
                Ok(took)
            }
        };
        let sets = ["name", "city", "note", "quantity", "price", "weight", "active", "seen", "extra"]
            .map(|column| format!("{column} = EXCLUDED.{column}"));
        let sql = format!(
            "INSERT INTO items SELECT * FROM source ON CONFLICT (id) DO UPDATE SET {}",
            sets.join(", ")
        );
        let mut contenders = vec![
            Contender::server("server, `INSERT .. SELECT .. ON CONFLICT` from a table", rows, half, sql),
            Contender::new("batchcall, 1 connection", half, upsert(one)),
            Contender::new("batchcall, 2 connections", half, upsert(two)),
        ];
        let name = "psycopg 3, `COPY` to a temporary table";
        contenders.extend(peer(name, "psycopg-upsert", &self.url, rows, half, rows));
        self.compare(&format!("`upsert` of {rows} rows, half of them there"), contenders, "x limit")
    }

    fn update(&mut self) -> Outcome {
        let rows = self.items.len() / 5;
        let changed: Vec<Item> = (0..rows)
            .map(|i| Item { quantity: -1, price: "0.01".to_owned(), ..self.items[i * 5].clone() })
            .collect();
        let db = self.db.clone();
        let full = filled("true");
        let update = |config: fn() -> BatchConfig| {
            let (db, changed) = (&db, &changed);
            move |client: &mut Client| {
                let table = db.table::<Item>("items").config(config());
                let (took, written) = timed(rows, || Ok(table.update(changed, ["quantity", "price"])?))?;
                let count = "SELECT count(*) FROM items WHERE quantity = -1 AND price = 0.01";
                let count: i64 = client.query_one(count, &[])?.get(0);
                if written.updated() != rows || usize::try_from(count)? != rows {
                    return Err("not every row was updated".into());
                }
                Ok(took)
            }
        };
        let contenders = vec![
            self.limit(),
            Contender::server(
                "server, `UPDATE .. FROM` a table",
                rows,
                full,
                "UPDATE items SET quantity = -1, price = 0.01 FROM source WHERE items.id = source.id \
                 AND source.id % 5 = 0",
            ),
            Contender::new("batchcall, 1 connection", full, update(one)),
            Contender::new("batchcall, 2 connections", full, update(two)),
        ];
        let title = format!("`update` of two columns of {rows} rows by key");
        self.compare(&title, contenders, "x server's `COPY`")
    }

    fn get(&mut self) -> Outcome {
        let total = self.items.len();
        let rows = total / 5;
        // In no order, each once: a step that shares no factor with the number of rows.
        let step = (total / 3..).find(|step| gcd(*step, total) == 1).unwrap_or(1);
        let places: Vec<usize> = (0..rows).map(|i| i * step % total).collect();
        let ids: Vec<i64> = places.iter().map(|place| self.items[*place].id).collect();
        let (db, items) = (self.db.clone(), self.items.clone());
        // Loaded with the first contender's turn and left as it is.
        let there = |client: &mut Client| match there_are(client, total) {
            Ok(()) => Ok(()),
            Err(_) => filled("true")(client),
        };
        let get = |config: fn() -> BatchConfig| {
            let (db, ids, items, places) = (&db, &ids, &items, &places);
            move |_: &mut Client| {
                let (took, found) =
                    timed(rows, || Ok(db.table::<Item>("items").config(config()).get(ids)?))?;
                let same = |(found, place): (&Option<Item>, &usize)| {
                    found.as_ref().is_some_and(|found| {
                        (found.id, &found.name) == (items[*place].id, &items[*place].name)
                    })
                };
                if found.len() == rows && found.iter().zip(places).all(same) {
                    Ok(took)
                } else {
                    Err("the rows are not those of the keys".into())
                }
            }
        };
        let contenders = vec![
            self.limit(),
            Contender::new("driver, `= ANY`, one query, no values read", there, |client| {
                let sql = "SELECT * FROM items WHERE id = ANY($1)";
                Ok(timed(rows, || Ok(client.query(sql, &[&ids])?))?.0)
            }),
            Contender::new("batchcall, 1 connection", there, get(one)),
            Contender::new("batchcall, 2 connections", there, get(two)),
        ];
        self.compare(&format!("`get` of {rows} of {total} rows by key"), contenders, "x server's `COPY`")
    }

    fn bad(&mut self) -> Outcome {
        let rows = self.items.len() / 5;
        let db = self.db.clone();
        let items = &self.items[..rows].to_vec();
        let mut contenders = vec![self.limit()];
        for (share, every, condition) in
            [("no", usize::MAX, "false"), ("0.1 %", 1000, "id % 1000 = 500"), ("1 %", 100, "id % 100 = 50")]
        {
            let db = &db;
            let name = format!("batchcall, 1 connection, {share} bad rows");
            contenders.push(Contender::new(name, filled(condition), move |_| {
                let table = db.table::<Item>("items").config(one().continue_on_error(true));
                let (took, written) = timed(rows, || Ok(table.insert(items)?))?;
                let bad: Vec<usize> = (0..rows).filter(|row| row % every == every / 2).collect();
                let failed: Vec<usize> = written.errors().iter().map(|error| error.index()).collect();
                let inserted = written.count(RowStatus::Inserted);
                if failed != bad || inserted != rows - bad.len() {
                    return Err(format!("{} rows failed, not {}", failed.len(), bad.len()).into());
                }
                Ok(took)
            }));
        }
        let title = format!("`insert` of {rows} rows, some of them there already, with `continue_on_error`");
        self.compare(&title, contenders, "x server's `COPY`")
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

// ------------------------------------------------------------------ the peers

/// `psql`, where it is installed.
fn psql() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    installed.map(|version| version.path().join("bin/psql")).find(|psql| psql.exists())
}

/// Runs a program to its end, and gives what it prints.
fn program(command: &[PathBuf]) -> Outcome<String> {
    let output = Command::new(&command[0]).args(&command[1..]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", command[0].display(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A Python peer, where it is installed: it times itself.
fn peer<'a>(
    name: &str,
    method: &str,
    url: &str,
    rows: usize,
    before: impl Fn(&mut Client) -> Outcome + 'a,
    after: usize,
) -> Option<Contender<'a>> {
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let python = peers.join(".venv/bin/python");
    if !python.exists() {
        eprintln!("SKIPPED {name}: it is not installed; `sh benches/peers/setup.sh` does that\n");
        return None;
    }
    let mut command = vec![python, peers.join("sql_bench.py")];
    command.extend([url, &rows.to_string(), method].map(PathBuf::from));
    Some(Contender::new(name, before, move |client| {
        let text = program(&command)?;
        there_are(client, after)?;
        let (wall, cpu) = text.trim().split_once(' ').ok_or("the peer tells no times")?;
        Ok(Took { wall: wall.parse()?, cpu: Some(cpu.parse()?), rows })
    }))
}
