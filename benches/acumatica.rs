//! What a batch against an Acumatica costs: `get_by_id` on ten sessions, beside a loop written by hand over
//! the same HTTP client, and beside `easy_acumatica`.
//!
//! ```sh
//! sh benches/peers/setup.sh       # once, for easy_acumatica
//! cargo bench --bench acumatica --all-features
//! ```
//!
//! The server is the sandbox, in a process of its own. Each client is a process of its own too, so that its
//! CPU time is its own; it runs the batch twice and times both: the first one logs in, the second one finds
//! the sessions open. Clients take turns, in another order each round. Wall times are medians; CPU times
//! are means, because the system counts them in steps of 10 ms. Results are compared with what was asked
//! for, outside the time.
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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batchcall::sandbox::Sandbox;
use batchcall::{Acumatica, BatchCall};
use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Sessions, for every client.
const K: usize = 10;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", latency] => serve(Duration::from_millis(latency.parse()?)),
        ["client", "batchcall", url, calls] => by_batchcall(url, calls.parse()?),
        ["client", "ureq", url, calls] => by_hand(url, calls.parse()?),
        _ if args.contains(&"--bench") => {
            let rounds = args.iter().skip_while(|arg| **arg != "--rounds").nth(1);
            compare(rounds.map_or(Ok(5), |rounds| rounds.parse())?)
        }
        _ => Ok(()), // `cargo test --benches` only builds it.
    }
}

// ---------------------------------------------------------------- the server

/// Serves until standard input ends: when whoever started it is gone.
fn serve(latency: Duration) -> Outcome {
    let sandbox = Sandbox::acumatica().latency(latency).record_requests(false).start()?;
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
    fn start(latency: Duration) -> Outcome<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", &latency.as_millis().to_string()])
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

/// The sandbox has a hundred customers, `CUST001` to `CUST100`.
fn ids(calls: usize) -> Vec<String> {
    (0..calls).map(|call| format!("CUST{:03}", call % 100 + 1)).collect()
}

/// This library.
fn by_batchcall(url: &str, calls: usize) -> Outcome {
    let ids = ids(calls);
    let client = Acumatica::builder(url)
        .login("admin", "admin")
        .tenant("Company")
        .endpoint("Default", "24.200.001")
        // What the licence says: then the sessions are opened together.
        .max_sessions(K)
        .build()?;
    for _ in 0..2 {
        let report = timed(|| {
            let batch = BatchCall::new(&client).max_concurrent(K);
            Ok(batch.calls(&ids, |session, id| session.get_by_id("Customer", id)).execute()?)
        })?;
        let found = report.into_all().map_err(|e| e.to_string())?;
        check(&ids, found.iter().map(|customer| customer.get_str("CustomerID")))?;
    }
    client.close()?;
    Ok(())
}

/// What one writes by hand: a thread and an agent for each session, cookies, a shared counter. No time
/// limits, no retries, no statistics, nothing told of a call that failed.
fn by_hand(url: &str, calls: usize) -> Outcome {
    let ids = ids(calls);
    let sessions: Vec<Mutex<Option<(ureq::Agent, String)>>> = (0..K).map(|_| Mutex::new(None)).collect();
    for _ in 0..2 {
        let mut found = timed(|| {
            let next = AtomicUsize::new(0);
            let found = Mutex::new(Vec::with_capacity(calls));
            std::thread::scope(|scope| {
                let work = |session: &Mutex<Option<(ureq::Agent, String)>>| -> Outcome {
                    let mut session = session.lock().map_err(|_| "a thread panicked")?;
                    if session.is_none() {
                        *session = Some(log_in(url)?);
                    }
                    let Some((agent, cookies)) = &*session else { return Ok(()) };
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(id) = ids.get(at) else { return Ok(()) };
                        let customer = agent
                            .get(format!("{url}/entity/Default/24.200.001/Customer/{id}"))
                            .header("Accept", "application/json")
                            .header("Cookie", cookies)
                            .call()?
                            .body_mut()
                            .read_to_vec()?;
                        let customer: Value = serde_json::from_slice(&customer)?;
                        found.lock().map_err(|_| "a thread panicked")?.push((at, customer));
                    }
                };
                let threads: Vec<_> =
                    sessions.iter().map(|session| scope.spawn(move || work(session))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
            })?;
            Ok(found.into_inner()?)
        })?;
        found.sort_unstable_by_key(|(at, _)| *at);
        check(&ids, found.iter().map(|(_, customer)| customer["CustomerID"]["value"].as_str()))?;
    }
    for session in sessions {
        let Some((agent, cookies)) = session.into_inner()? else { continue };
        agent.post(format!("{url}/entity/auth/logout")).header("Cookie", cookies).send_empty()?;
    }
    Ok(())
}

fn log_in(url: &str) -> Outcome<(ureq::Agent, String)> {
    let agent = ureq::Agent::new_with_defaults();
    let login = json!({ "name": "admin", "password": "admin", "tenant": "Company" });
    let answer = agent
        .post(format!("{url}/entity/auth/login"))
        .header("Content-Type", "application/json")
        .send(login.to_string())?;
    let set = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = set.filter_map(|line| line.to_str().ok()?.split(';').next()).collect();
    Ok((agent, cookies.join("; ")))
}

/// Runs a batch and prints what it took, for the process that compares.
fn timed<T>(run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let result = run()?;
    println!("batch {} {}", began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    Ok(result)
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

fn check<'a>(ids: &[String], found: impl ExactSizeIterator<Item = Option<&'a str>>) -> Outcome {
    if found.len() != ids.len() {
        return Err(format!("{} of {} results", found.len(), ids.len()).into());
    }
    for (id, found) in ids.iter().zip(found) {
        if found != Some(id.as_str()) {
            return Err(format!("asked for {id}, got {found:?}").into());
        }
    }
    Ok(())
}

// ------------------------------------------------------------ the comparison

/// One client in one setting.
struct Contender {
    name: &'static str,
    calls: usize,
    /// The program and its arguments before the server's address.
    command: Vec<PathBuf>,
    /// And after the number of calls.
    flags: &'static [&'static str],
    /// Whether it runs in the first round alone, because it takes so long.
    once: bool,
    /// Wall and CPU time: of all first batches, of all second batches.
    seconds: [Vec<(f64, f64)>; 2],
}

impl Contender {
    fn new(name: &'static str, calls: usize, command: &[&str]) -> Outcome<Self> {
        let mut whole = vec![std::env::current_exe()?];
        whole.extend(command.iter().map(PathBuf::from));
        Ok(Self { name, calls, command: whole, flags: &[], once: false, seconds: Default::default() })
    }

    /// The Python client, where it is installed.
    fn easy_acumatica(name: &'static str, calls: usize) -> Option<Self> {
        let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let python = peers.join(".venv/bin/python");
        python.exists().then(|| Self {
            name,
            calls,
            command: vec![python, peers.join("easy_acumatica_bench.py")],
            flags: &[],
            once: false,
            seconds: Default::default(),
        })
    }

    fn run(&mut self, url: &str) -> Outcome {
        let output = Command::new(&self.command[0])
            .args(&self.command[1..])
            .args([url, &self.calls.to_string()])
            .args(self.flags)
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let batches: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("batch ")?.split_once(' '))
            .map(|(wall, cpu)| Ok((wall.parse()?, cpu.parse()?)))
            .collect::<Outcome<_>>()?;
        let [first, second] = batches[..] else {
            return Err(format!("{} did not do its two batches: {}", self.name, output.status).into());
        };
        if !output.status.success() {
            return Err(format!("{}: {}", self.name, output.status).into());
        }
        self.seconds[0].push(first);
        self.seconds[1].push(second);
        Ok(())
    }

    /// Median wall time and mean CPU time of the first or second batches.
    fn figures(&self, batch: usize) -> (f64, f64) {
        let seconds = &self.seconds[batch];
        let mut wall: Vec<f64> = seconds.iter().map(|(wall, _)| *wall).collect();
        wall.sort_unstable_by(f64::total_cmp);
        let (low, high) = (wall[(wall.len() - 1) / 2], wall[wall.len() / 2]);
        let cpu = seconds.iter().map(|(_, cpu)| cpu).sum::<f64>() / seconds.len() as f64;
        (f64::midpoint(low, high), cpu)
    }
}

fn compare(rounds: usize) -> Outcome {
    let threads = std::thread::available_parallelism()?;
    println!("{K} sessions, {rounds} rounds, {threads} cores shared by client and server\n");

    let mut contenders = vec![
        Contender::new("batchcall", 1000, &["client", "batchcall"])?,
        Contender::new("loop over ureq", 1000, &["client", "ureq"])?,
    ];
    match Contender::easy_acumatica("easy_acumatica", 1000) {
        Some(peer) => {
            contenders.push(Contender { flags: &["--no-limit"], ..peer });
            let limited = Contender::easy_acumatica("easy_acumatica, its default limit", 100);
            contenders.extend(limited.map(|peer| Contender { once: true, ..peer }));
        }
        None => {
            eprintln!("SKIPPED easy_acumatica: it is not installed; `sh benches/peers/setup.sh` does that\n");
        }
    }
    setting(Duration::from_millis(20), &mut contenders, rounds)?;

    let mut contenders = vec![
        Contender::new("batchcall", 30_000, &["client", "batchcall"])?,
        Contender::new("loop over ureq", 30_000, &["client", "ureq"])?,
    ];
    contenders.extend(
        Contender::easy_acumatica("easy_acumatica", 1000)
            .map(|peer| Contender { flags: &["--no-limit"], ..peer }),
    );
    setting(Duration::ZERO, &mut contenders, rounds)
}

fn setting(latency: Duration, contenders: &mut [Contender], rounds: usize) -> Outcome {
    let server = Server::start(latency)?;
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let contender = &mut contenders[(place + round) % contenders.len()];
            if round == 0 || !contender.once {
                contender.run(&server.url)?;
            }
        }
    }

    println!("`get_by_id` at {} ms:\n", latency.as_millis());
    println!(
        "| client | calls | batch | wall | x ideal | calls/s | client CPU | CPU per call | CPU, ours = 1 |"
    );
    println!("|---|--:|---|--:|--:|--:|--:|--:|--:|");
    for (batch, title) in ["first, with logins", "second"].into_iter().enumerate() {
        let (_, our_cpu) = contenders[0].figures(batch);
        let ours = our_cpu / contenders[0].calls as f64;
        for contender in &*contenders {
            let (wall, cpu) = contender.figures(batch);
            let calls = contender.calls as f64;
            let ideal = latency.as_secs_f64() * (calls / K as f64).ceil();
            let times = if ideal > 0.0 { format!("{:.3}", wall / ideal) } else { "-".to_owned() };
            println!(
                "| {} | {calls} | {title} | {wall:.3} s | {times} | {:.0} | {cpu:.3} s | {:.0} us | {:.2} |",
                contender.name,
                calls / wall,
                cpu / calls * 1e6,
                cpu / calls / ours,
            );
        }
    }
    println!();
    Ok(())
}
