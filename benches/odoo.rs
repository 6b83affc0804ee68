//! What a batch against an Odoo costs: `create` on five sessions, beside `zenoo-rpc`; what
//! `BatchSize::Auto` costs beside the best fixed size; and what it takes to find bad rows.
//!
//! ```sh
//! sh benches/peers/setup.sh       # once, for zenoo-rpc
//! cargo bench --bench odoo --all-features
//! cargo bench --bench odoo --all-features -- --rounds 3 --part rate   # or auto, or bad
//! ```
//!
//! The server is the sandbox, in a process of its own, new for each run, with connections kept alive. Each
//! client is a process of its own too, so that its CPU time is its own; it runs the batch twice and times
//! both: the first one opens the connections but for that of the login, which is not in the times; the
//! second one finds them open. Clients take turns, in another order each round. Wall times are medians; CPU
//! times are means, because the system counts them in steps of 10 ms. What is timed begins with rows in
//! memory and ends with the ids of all. Ids are read back and compared with the rows, outside the time.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use batchcall::sandbox::Sandbox;
use batchcall::{BatchSize, Executor, Odoo, Operation, RecordId, Strategy};
use serde::Serialize;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Sessions, for every client.
const K: usize = 5;
const ROWS: usize = 20_000;
const KEY: &str = "a-key-for-the-benchmark";
const MIB: usize = 1024 * 1024;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let after = |flag: &str| args.iter().skip_while(|arg| **arg != flag).nth(1).copied();
    match args[..] {
        ["serve", latency, row_cost, max_body] => {
            serve(latency.parse()?, row_cost.parse()?, max_body.parse()?)
        }
        ["client", batches, padding, url, rows, size] => {
            let size = if size == "auto" { BatchSize::Auto } else { BatchSize::Fixed(size.parse()?) };
            client(url, rows.parse()?, size, batches.parse()?, padding.parse()?)
        }
        _ if args.contains(&"--bench") => {
            let rounds = after("--rounds").map_or(Ok(5), str::parse)?;
            let is_wanted = |part: &str| after("--part").is_none_or(|wanted| wanted == part);
            compare(rounds, is_wanted)
        }
        _ => Ok(()), // `cargo test --benches` only builds it.
    }
}

// ---------------------------------------------------------------- the server

fn sandbox(server: Costs, record: bool) -> Outcome<Sandbox> {
    let sandbox = Sandbox::odoo(19)
        .latency(server.latency)
        .row_cost(server.row_cost)
        .max_body(server.max_body)
        .keep_alive(Duration::from_secs(60))
        .api_key("admin", KEY)
        .record_requests(record)
        .start()?;
    Ok(sandbox)
}

/// What a request costs there, and how long it may be.
#[derive(Clone, Copy)]
struct Costs {
    latency: Duration,
    row_cost: Duration,
    max_body: usize,
}

/// Serves until standard input ends: when whoever started it is gone.
fn serve(latency: u64, row_cost: u64, max_body: usize) -> Outcome {
    let (latency, row_cost) = (Duration::from_micros(latency), Duration::from_micros(row_cost));
    let sandbox = sandbox(Costs { latency, row_cost, max_body }, false)?;
    println!("{}", sandbox.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    sandbox.stop();
    Ok(())
}

/// A child process that does not outlive its owner, whatever becomes of that one.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Server {
    url: String,
    _process: Process,
}

impl Server {
    fn start(costs: Costs) -> Outcome<Self> {
        let Costs { latency, row_cost, max_body } = costs;
        let child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args([latency.as_micros(), row_cost.as_micros()].map(|micros| micros.to_string()))
            .arg(max_body.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Process(child);
        let mut url = String::new();
        let output = process.0.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        if url.is_empty() {
            return Err("the server did not start".into());
        }
        Ok(Self { url: url.trim().to_owned(), _process: process })
    }
}

// --------------------------------------------------------------- the clients

#[derive(Serialize)]
struct Partner {
    /// Not there: a bad row.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    email: String,
    phone: String,
    street: String,
    city: &'static str,
    #[serde(rename = "ref")]
    reference: String,
}

/// Rows of six fields, the same as those of the peer. Padding makes one field longer.
fn partners(rows: usize, padding: usize) -> Vec<Partner> {
    let partner = |i: usize| Partner {
        name: Some(format!("Partner {i}")),
        email: format!("partner{i}@example.com"),
        phone: format!("+32 2 {i:07}"),
        street: format!("Main Street {i}{}", "x".repeat(padding)),
        city: "Namur",
        reference: format!("R{i}"),
    };
    (0..rows).map(partner).collect()
}

fn odoo(url: &str) -> Outcome<Odoo> {
    // With an API key on version 19 it speaks JSON-2.
    Ok(Odoo::builder(url).database("odoo").api_key(KEY).max_sessions(K).build()?)
}

fn client(url: &str, rows: usize, size: BatchSize, batches: usize, padding: usize) -> Outcome {
    let partners = partners(rows, padding);
    let client = odoo(url)?;
    // The login is not in the peer's times either.
    drop(client.session()?);
    for _ in 0..batches {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let report = Executor::new(&client)
            .strategy(Strategy::Parallel)
            .batch_size(size)
            .max_concurrent(K)
            .execute([Operation::create("res.partner", &partners)?])?;
        let (requests, largest) = (report.stats().requests, report.stats().largest_request);
        let ids = report.into_ids()?;
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        check(&client, &partners, &ids)?;
        println!("batch {wall} {cpu} yes {requests} {largest}");
    }
    client.close()?;
    Ok(())
}

/// Whether each id is that of its row.
fn check(client: &Odoo, partners: &[Partner], ids: &[RecordId]) -> Outcome {
    let ids: Vec<i64> = ids.iter().filter_map(RecordId::as_i64).collect();
    if ids.len() != partners.len() {
        return Err(format!("{} ids of {} rows", ids.len(), partners.len()).into());
    }
    let mut session = client.session()?;
    for (partners, ids) in partners.chunks(1000).zip(ids.chunks(1000)) {
        let found = session.read("res.partner", ids.iter().copied(), ["ref"])?;
        let found: Vec<_> = found.iter().map(|row| row.get_str("ref")).collect();
        let given: Vec<_> = partners.iter().map(|partner| Some(partner.reference.as_str())).collect();
        if found != given {
            return Err("the ids are not in the order of the rows".into());
        }
    }
    Ok(())
}

/// User and system time of this process, in steps of 10 ms; NaN where there is no `/proc`.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |rest: &str| -> Option<f64> {
        // The fields after the name, which may hold anything: 14 and 15 of them all.
        let mut fields = rest.split_whitespace().skip(11);
        Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
    };
    stat.rsplit_once(')').and_then(|(_, rest)| ticks(rest)).map_or(f64::NAN, |ticks| ticks / 100.0)
}

// ------------------------------------------------------------ the comparison

/// One client with one size of chunks.
struct Contender {
    name: &'static str,
    /// The program and its arguments before the server's address.
    command: Vec<PathBuf>,
    size: String,
    /// For each run, its batches.
    runs: Vec<Vec<Batch>>,
    /// How many runs failed.
    failures: usize,
}

struct Batch {
    wall: f64,
    cpu: f64,
    /// Whether the ids came in the order of the rows.
    ordered: String,
    /// The requests and the most rows in one, where the client tells.
    requests: String,
}

impl Contender {
    fn batchcall(size: &str, batches: usize, padding: usize) -> Outcome<Self> {
        let numbers = [batches, padding].map(|number| PathBuf::from(number.to_string()));
        let mut command = vec![std::env::current_exe()?, "client".into()];
        command.extend(numbers);
        Ok(Self { name: "batchcall", command, size: size.to_owned(), runs: Vec::new(), failures: 0 })
    }

    fn zenoo(python: PathBuf, script: PathBuf, size: &str) -> Self {
        let command = vec![python, script];
        Self { name: "zenoo-rpc", command, size: size.to_owned(), runs: Vec::new(), failures: 0 }
    }

    fn run(&mut self, costs: Costs) -> Outcome {
        let server = Server::start(costs)?;
        let output = Command::new(&self.command[0])
            .args(&self.command[1..])
            .args([&server.url, &ROWS.to_string(), &self.size])
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let batch = |line: &str| -> Outcome<Batch> {
            let mut words = line.split(' ');
            let mut next = || words.next().ok_or("a batch is cut short");
            let (wall, cpu, ordered) = (next()?.parse()?, next()?.parse()?, next()?.to_owned());
            Ok(Batch { wall, cpu, ordered, requests: words.collect::<Vec<_>>().join(" of at most ") })
        };
        let batches: Vec<Batch> =
            text.lines().filter_map(|line| line.strip_prefix("batch ")).map(batch).collect::<Outcome<_>>()?;
        if !output.status.success() || batches.is_empty() {
            return Err(format!("{} did not do its batches: {}", self.name, output.status).into());
        }
        self.runs.push(batches);
        Ok(())
    }

    fn of(&self, batch: usize) -> impl Iterator<Item = &Batch> {
        self.runs.iter().filter_map(move |run| run.get(batch))
    }

    /// Median wall time and mean CPU time of the first or second batches.
    fn figures(&self, batch: usize) -> (f64, f64) {
        let mut wall: Vec<f64> = self.of(batch).map(|batch| batch.wall).collect();
        if wall.is_empty() {
            return (f64::NAN, f64::NAN);
        }
        wall.sort_unstable_by(f64::total_cmp);
        let (low, high) = (wall[(wall.len() - 1) / 2], wall[wall.len() / 2]);
        let cpu = self.of(batch).map(|batch| batch.cpu).sum::<f64>() / wall.len() as f64;
        (f64::midpoint(low, high), cpu)
    }
}

/// The Python client, where it is installed: the interpreter and the script.
fn zenoo() -> Option<(PathBuf, PathBuf)> {
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let python = peers.join(".venv/bin/python");
    python.exists().then(|| (python, peers.join("odoo_bench.py")))
}

fn compare(rounds: usize, is_wanted: impl Fn(&str) -> bool) -> Outcome {
    let threads = std::thread::available_parallelism()?;
    println!("{K} sessions, {rounds} rounds, {threads} cores shared by client and server");
    println!("batchcall speaks JSON-2 with an API key, zenoo-rpc /jsonrpc with a password\n");
    if zenoo().is_none() {
        eprintln!("SKIPPED zenoo-rpc: it is not installed; `sh benches/peers/setup.sh` does that\n");
    }
    if is_wanted("rate") {
        rate(rounds)?;
    }
    if is_wanted("auto") {
        let (latency, slow) = (Duration::from_millis(30), Duration::from_millis(2));
        auto("", Costs { latency, row_cost: slow, max_body: 128 * MIB }, 0, rounds.min(3))?;
        let costs = Costs { latency, row_cost: Duration::from_micros(300), max_body: MIB };
        auto(", no body over 1 MiB", costs, 0, rounds)?;
        // So that the limit is felt: 1 MiB is some 1,000 rows.
        auto(", no body over 1 MiB, rows of 1 kB", costs, 900, rounds)?;
    }
    if is_wanted("bad") {
        bad_rows()?;
    }
    Ok(())
}

/// Rows per second and CPU time.
fn rate(rounds: usize) -> Outcome {
    println!("`create` of {ROWS} rows of 6 fields:\n");
    println!(
        "| latency | chunk | client | batch | wall | rows/s | client CPU | CPU, ours = 1 | ids in order |"
    );
    println!("|--:|--:|---|---|--:|--:|--:|--:|---|");
    for latency in [0, 50].map(Duration::from_millis) {
        for size in ["100", "1000"] {
            let mut contenders = vec![Contender::batchcall(size, 2, 0)?];
            contenders.extend(zenoo().map(|(python, script)| Contender::zenoo(python, script, size)));
            take_turns(
                &mut contenders,
                Costs { latency, row_cost: Duration::ZERO, max_body: 128 * MIB },
                rounds,
            );
            for (batch, title) in ["first", "second"].into_iter().enumerate() {
                let (_, ours) = contenders[0].figures(batch);
                for contender in &contenders {
                    let (wall, cpu) = contender.figures(batch);
                    let ordered = contender.of(batch).all(|batch| batch.ordered == "yes");
                    println!(
                        "| {} ms | {size} | {} | {title} | {wall:.3} s | {:.0} | {cpu:.3} s | {:.2} | {} |",
                        latency.as_millis(),
                        contender.name,
                        ROWS as f64 / wall,
                        cpu / ours,
                        if ordered { "yes" } else { "no" },
                    );
                }
            }
        }
    }
    println!();
    Ok(())
}

/// `BatchSize::Auto` beside fixed sizes.
fn auto(title: &str, costs: Costs, padding: usize, rounds: usize) -> Outcome {
    let sizes = ["auto", "100", "200", "500", "800", "1000", "2000", "4000"];
    let mut contenders: Vec<Contender> =
        sizes.iter().map(|size| Contender::batchcall(size, 1, padding)).collect::<Outcome<_>>()?;
    take_turns(&mut contenders, costs, rounds);

    let Costs { latency, row_cost, .. } = costs;
    println!(
        "`BatchSize::Auto`, {ROWS} rows at {} ms + {} ms a row{title}:\n",
        latency.as_millis(),
        row_cost.as_secs_f64() * 1e3
    );
    println!("| size | wall | rows/s | x best fixed | requests |");
    println!("|--:|--:|--:|--:|--:|");
    let walls: Vec<f64> = contenders.iter().map(|contender| contender.figures(0).0).collect();
    let best = walls.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
    for (contender, wall) in contenders.iter().zip(walls) {
        let requests = contender.of(0).last().map_or("", |batch| &batch.requests);
        if contender.failures > 0 {
            println!("| {} | failed {} times | | | |", contender.size, contender.failures);
            continue;
        }
        let rate = ROWS as f64 / wall;
        println!("| {} | {wall:.3} s | {rate:.0} | {:.3} | {requests} |", contender.size, wall / best);
    }
    println!();
    Ok(())
}

/// Runs contenders for some rounds, in another order each, each run on a new server.
fn take_turns(contenders: &mut [Contender], costs: Costs, rounds: usize) {
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let contender = &mut contenders[(place + round) % contenders.len()];
            if let Err(e) = contender.run(costs) {
                eprintln!("FAILED {}, size {}: {e}\n", contender.name, contender.size);
                contender.failures += 1;
            }
        }
    }
}

// ---------------------------------------------------------------- bad rows

/// How many requests it takes to create all rows but the bad ones.
fn bad_rows() -> Outcome {
    const OF: usize = 1024;
    println!("Requests to create {OF} rows of which some are bad, and the rows created:\n");
    println!("| bad rows | where | chunk | batchcall | zenoo-rpc | one by one, by arithmetic |");
    println!("|--:|---|--:|--:|--:|--:|");
    let costs = Costs { latency: Duration::ZERO, row_cost: Duration::ZERO, max_body: 128 * MIB };
    for (k, spread) in
        [(0, true), (1, true), (2, true), (5, true), (10, true), (10, false), (50, true), (100, true)]
    {
        let mut bad: Vec<usize> =
            (0..k).map(|i| if spread { (i * OF + OF / 2) / k + i * 7 % 5 } else { 500 + i }).collect();
        bad.iter_mut().for_each(|place| *place = (*place).min(OF - 1));
        bad.dedup();
        for size in [OF, 100] {
            let sandbox_of_ours = sandbox(costs, true)?;
            let client = odoo(sandbox_of_ours.url())?;
            let mut rows = partners(OF, 0);
            bad.iter().for_each(|&place| rows[place].name = None);
            let report = Executor::new(&client)
                .batch_size(size)
                .max_concurrent(K)
                .execute([Operation::create("res.partner", &rows)?])?;
            let failed: Vec<usize> = report.failed().map(|entry| entry.record()).collect();
            if failed != bad || report.totals().created != OF - bad.len() {
                return Err(format!("the bad rows are {bad:?}, not {failed:?}").into());
            }
            let ours = format!("{} ({} rows)", report.stats().requests, report.totals().created);
            client.close()?;
            sandbox_of_ours.stop();

            let peer = zenoo().filter(|_| k > 0).map(|peer| requests_of_zenoo(peer, costs, OF, size, &bad));
            let chunks = OF.div_ceil(size);
            let singly: usize = (0..chunks)
                .map(|chunk| chunk * size..((chunk + 1) * size).min(OF))
                .map(|chunk| 1 + if bad.iter().any(|place| chunk.contains(place)) { chunk.len() } else { 0 })
                .sum();
            println!(
                "| {} | {} | {size} | {ours} | {} | {singly} |",
                bad.len(),
                if spread { "spread" } else { "in a row" },
                peer.transpose()?.unwrap_or_else(|| "-".to_owned()),
            );
        }
    }
    println!();
    Ok(())
}

/// How many requests the peer needs, login left out, and how many rows it made.
fn requests_of_zenoo(
    (python, script): (PathBuf, PathBuf),
    costs: Costs,
    rows: usize,
    size: usize,
    bad: &[usize],
) -> Outcome<String> {
    let sandbox = sandbox(costs, true)?;
    let places: Vec<String> = bad.iter().map(usize::to_string).collect();
    let output = Command::new(python)
        .arg(script)
        .args([sandbox.url(), &rows.to_string(), &size.to_string(), &places.join(",")])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let created = text.lines().find_map(|line| line.strip_prefix("created ")).ok_or("it did not create")?;
    // The third of its login's three calls asks for the user's context: it is data for the server.
    let requests = sandbox.history().data_requests().saturating_sub(1);
    sandbox.stop();
    Ok(format!("{requests} ({created} rows)"))
}
