//! All flights from New York in 2013, with their airports, airlines, planes and weather, flaws included: what is
//! refused goes to a file, is corrected, and goes in again.
//!
//! ```sh
//! cargo run --example import_flights --features sqlite
//! cargo run --example import_flights --features sqlite,postgres -- postgres://user:password@host/database
//! sh examples/data/fetch.sh
//! cargo run --release --example import_flights --features sqlite -- --data examples/data/full
//! ```
//!
//! On PostgreSQL it makes a schema `batchcall_flights` and drops it at the end, unless `--keep` is given.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use batchcall::sql::{BatchConfig, ImportOptions, ImportStats, OnConflict, Processed};
use batchcall::{Database, Error, Record, Strategy};
use serde_json::Value;

const SCHEMA: &str = "batchcall_flights";

const TABLES: &str = "
CREATE TABLE airlines (carrier varchar(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE airports (faa varchar(3) PRIMARY KEY, name text NOT NULL, lat double precision,
    lon double precision, alt integer, tz integer, dst varchar(2), tzone text);
CREATE TABLE planes (tailnum varchar(6) PRIMARY KEY, year integer, type text, manufacturer text, model text,
    engines integer, seats integer, speed integer, engine text);
CREATE TABLE weather (origin varchar(3) NOT NULL REFERENCES airports, year integer, month integer, day integer,
    hour integer, temp double precision, dewp double precision, humid double precision, wind_dir integer,
    wind_speed double precision, wind_gust double precision, precip double precision, pressure double precision,
    visib double precision, time_hour timestamptz, PRIMARY KEY (origin, year, month, day, hour));
CREATE TABLE flights (year integer, month integer, day integer, dep_time integer, sched_dep_time integer,
    dep_delay integer, arr_time integer, sched_arr_time integer, arr_delay integer,
    carrier varchar(2) NOT NULL REFERENCES airlines, flight integer NOT NULL,
    tailnum varchar(6) REFERENCES planes, origin varchar(3) NOT NULL REFERENCES airports,
    dest varchar(3) NOT NULL REFERENCES airports, air_time integer, distance integer, hour integer,
    minute integer, time_hour timestamptz, PRIMARY KEY (time_hour, carrier, flight, origin));
";

struct Arguments {
    url: String,
    data: PathBuf,
    keep: bool,
}

fn arguments() -> Arguments {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let mut found = Arguments { url: "sqlite::memory:".to_owned(), data, keep: false };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--keep" => found.keep = true,
            "--data" => found.data = rest.next().map_or(found.data, PathBuf::from),
            _ => found.url = argument,
        }
    }
    found
}

fn main() -> batchcall::Result<()> {
    let Arguments { url, data, keep } = arguments();
    let server = if url.starts_with("postgres") { Some(Database::open(&url)?) } else { None };
    let db = match &server {
        Some(server) => {
            server.execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}"), ())?;
            let gap = if url.contains('?') { '&' } else { '?' };
            Database::open(&format!("{url}{gap}options=-csearch_path%3D{SCHEMA}"))?
        }
        None => Database::open(&url)?,
    };
    db.execute(TABLES, ())?;
    let done = flights(&db, &data);
    if let Some(server) = server.filter(|_| !keep) {
        drop(db);
        server.execute(&format!("DROP SCHEMA {SCHEMA} CASCADE"), ())?;
    }
    done
}

fn flights(db: &Database, data: &Path) -> batchcall::Result<()> {
    let rejects = std::env::temp_dir().join(format!("batchcall-flights-{}", std::process::id()));
    std::fs::create_dir_all(&rejects).map_err(Error::other)?;
    let mut read = BTreeMap::new();
    // Those that others refer to come first.
    for table in ["airlines", "airports", "planes", "weather", "flights"] {
        let rejected = File::create(rejects.join(format!("{table}.csv"))).map_err(Error::other)?;
        let options = ImportOptions::csv().nulls(["", "NA"]).reject_to(rejected);
        let stats = import(db, table, &data.join(format!("{table}.csv")), options)?;
        println!("{table}: {stats}");
        read.insert(table, stats.total);
    }
    for table in read.keys() {
        for (reason, rows) in reasons(&rejects.join(format!("{table}.csv")))? {
            println!("rejected {rows} of {table}: {reason}");
        }
    }

    // The airports that are missing get a row with their code; a plane that nobody knows is no plane.
    let known: HashSet<String> = column(&data.join("airports.csv"), "faa")?;
    let wanted: HashSet<String> = column(&rejects.join("flights.csv"), "dest")?;
    let missing = wanted.difference(&known).map(|faa| [("faa", faa.as_str()), ("name", "unknown")]);
    let missing: Vec<Record> = missing.map(Record::from_iter).collect();
    println!("{}", db.table::<Record>("airports").insert(&missing)?);
    let planes: HashSet<String> = column(&data.join("planes.csv"), "tailnum")?;
    let grounded = |row: &Record| match row.get("tailnum") {
        Some(Value::String(tailnum)) if !planes.contains(tailnum) => {
            let mut row = row.clone();
            row.insert("tailnum", Value::Null);
            Ok(Processed::Change(row))
        }
        _ => Ok(Processed::Keep),
    };
    let again = ImportOptions::csv().nulls(["", "NA"]).pre_process(grounded);
    let flights = import(db, "flights", &rejects.join("flights.csv"), again)?;
    println!("flights, again: {flights}");
    // The hour that there are two of stays as it was reported first.
    let key = ["origin", "year", "month", "day", "hour"];
    let again = ImportOptions::csv().nulls(["", "NA"]).unique_fields(key).on_conflict(OnConflict::Skip);
    let weather = import(db, "weather", &rejects.join("weather.csv"), again)?;
    println!("weather, again: {weather}");

    for (table, read) in read {
        let there: usize = db.query(&format!("SELECT count(*) FROM {table}"), ())?[0];
        println!("{table}: {read} rows read, {there} in the database");
        let added = if table == "airports" { missing.len() } else { 0 };
        let skipped = if table == "weather" { weather.skipped } else { 0 };
        assert_eq!(read + added, there + skipped);
    }
    std::fs::remove_dir_all(&rejects).map_err(Error::other)
}

fn import(
    db: &Database,
    table: &str,
    file: &Path,
    options: ImportOptions<'_>,
) -> batchcall::Result<ImportStats> {
    let config = BatchConfig::new().strategy(Strategy::Parallel).max_workers(2).continue_on_error(true);
    let input = File::open(file).map_err(|error| Error::other(format!("{}: {error}", file.display())))?;
    Ok(db.table::<Record>(table).config(config).import(input, options)?)
}

/// How many rows of a reject file there are for each reason, without the values.
fn reasons(file: &Path) -> batchcall::Result<BTreeMap<String, usize>> {
    let mut reasons = BTreeMap::new();
    let mut reader = csv::Reader::from_path(file).map_err(Error::other)?;
    for row in reader.records() {
        let row = row.map_err(Error::other)?;
        let reason = row.get(1).unwrap_or_default();
        let reason = reason.split(" (").next().unwrap_or_default();
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }
    Ok(reasons)
}

/// The values of a column of a file.
fn column(file: &Path, name: &str) -> batchcall::Result<HashSet<String>> {
    let mut reader = csv::Reader::from_path(file).map_err(Error::other)?;
    let place = reader.headers().map_err(Error::other)?.iter().position(|each| each == name);
    let rows = reader.records().map(|row| row.map_err(Error::other));
    rows.filter_map(|row| {
        row.map(|row| place.and_then(|place| row.get(place).map(ToOwned::to_owned))).transpose()
    })
    .collect()
}
