//! Serves a stand-in Acumatica on loopback, for any client, until Ctrl-C or the end of standard input.
//!
//! ```sh
//! cargo run --example sandbox --all-features -- --port 8088 --seats 3
//! ```
//!
//! Sign in as `admin` with the password `admin`, tenant `Company`, endpoint `Default` `24.200.001`.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use batchcall::Error;
use batchcall::sandbox::{
    AcumaticaSandbox, Calls, Fault, Faults, MissingRecord, RetryAfter, Sandbox, SeatRefusal,
};
use lexopt::prelude::*;

const HELP: &str = "\
A stand-in Acumatica on loopback.

Server:
  --port N               port to listen on (8088; 0 for a free one)
  --base-path PATH       path of the instance, such as /Inst
  --seed N               seed of the faults (0)
  --user NAME:PASSWORD   one more user (admin:admin is there)
  --view-only N:P        one more user, whose writes are ignored with 200
  --tenant NAME          name of the tenant (Company)
  --customers N          customers at the start (100)
  --forbid ENTITY        this entity answers 403
  --missing-500          a missing record is HTTP 500 instead of 404
  --no-request-log       do not keep requests in memory

Limits:
  --seats N              sessions at once (no limit)
  --seat-refusal HOW     429 | 500 | 302 | 401
  --latency MS           work on each request
  --keep-alive SECONDS   a silent connection is closed
  --idle SECONDS         a session lives this long without a request (600)
  --expire-after N       a session ends after N data requests
  --per-minute N         licence: requests a minute
  --minute SECONDS       how long that minute lasts (60)
  --cores N              licence: requests served at once
  --queue N              licence: requests that wait (20)
  --action-time MS       how long a long-running action goes on (500)
  --token-life SECONDS   how long an access token is good (3600)

Faults, each with a probability from 0 to 1, on data requests:
  --reset-before P       connection reset, nothing applied
  --reset-during P       connection reset in the middle of the request, nothing applied
  --reset-after P        applied, then connection reset
  --close-after P        applied and answered, then the connection is closed
  --twice P              applied, the answer comes twice
  --close-before P       connection closed instead of an answer, nothing applied
  --truncate P           applied, half of the answer
  --trickle P            applied, the answer comes a byte each 10 ms
  --wrong-length P       applied, Content-Length is 10 too large
  --garbage P            applied, the answer is not JSON
  --too-many P           429
  --unavailable P        503
  --retry-after WHAT     of 429 and 503: none | SECONDS | date:SECONDS | garbage (none)
  --bad-gateway P        502, nothing applied
  --gateway-timeout P    504, applied
  --html P               500 with an HTML page
  --expire P             the session of the request ends
  --slow P               one second more
  --hang P               no answer, nothing applied
  --hang-after P         applied, no answer
  --outage EVERY:LENGTH  of each EVERY data requests the first LENGTH get 503
  --lose-put N           the N-th PUT is applied and its answer lost
  --logout-fails         sign-out answers 500
  --logout-hangs         sign-out does not answer
";

/// Makes a fault; those of 429 and 503 say when to come back.
type MakeFault = fn(RetryAfter) -> Fault;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("{e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Error> {
    let mut server = Sandbox::acumatica();
    let mut faults = Faults::none();
    let mut retry_after = RetryAfter::None;
    let mut on: Vec<String> = Vec::new();
    let mut port = 8088;
    let mut rates: Vec<(f64, MakeFault)> = Vec::new();

    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next().map_err(Error::other)? {
        let Long(name) = arg else {
            println!("{HELP}");
            return Err(Error::other(arg.unexpected()));
        };
        let name = name.to_owned();
        if name == "help" {
            println!("{HELP}");
            return Ok(());
        }
        if let Some(fault) = rate(&name) {
            let probability: f64 = value(&mut args)?;
            rates.push((probability, fault));
            continue;
        }
        server = match name.as_str() {
            "port" => {
                port = value(&mut args)?;
                continue;
            }
            "retry-after" => {
                retry_after = parse_retry_after(&value::<String>(&mut args)?)?;
                continue;
            }
            "outage" => {
                let (every, length) = pair(&value::<String>(&mut args)?)?;
                faults =
                    faults.burst(number(&every)?, number(&length)?, Fault::Unavailable(RetryAfter::None));
                continue;
            }
            "lose-put" => {
                faults = faults.at_on(Calls::Put, value(&mut args)?, Fault::ResetAfter);
                continue;
            }
            "logout-fails" => {
                faults = faults.rate_on(Calls::Logout, 1.0, Fault::Html(500));
                continue;
            }
            "logout-hangs" => {
                faults = faults.rate_on(Calls::Logout, 1.0, Fault::Hang);
                continue;
            }
            _ => configure(server, &name, &mut args, &mut on)?,
        };
    }
    for (probability, fault) in rates {
        faults = faults.rate(probability, fault(retry_after));
    }

    let described = faults.to_string();
    let sandbox = server.port(port).faults(faults).start()?;
    println!("Acumatica stand-in at {}", sandbox.url());
    println!(
        "user admin, password admin, endpoint Default 24.200.001, tenant Company unless --tenant names another"
    );
    println!("limits: {}", if on.is_empty() { "none".to_owned() } else { on.join(", ") });
    println!("faults: {described}");
    println!("Ctrl-C or the end of standard input stops it.");

    wait_for_the_end();
    println!("{}", sandbox.history());
    println!("{} sessions were still open.", sandbox.open_sessions());
    sandbox.stop();
    Ok(())
}

/// Returns when standard input ends: a pipe that its owner closes stops the program, so that a script cannot
/// leave it behind. `/dev/null`, which a shell gives to what it starts with `&`, is no such pipe.
fn wait_for_the_end() {
    #[cfg(unix)]
    {
        use std::io::IsTerminal;
        use std::os::unix::fs::FileTypeExt;
        let is_device = std::fs::metadata("/dev/stdin").is_ok_and(|input| input.file_type().is_char_device());
        if is_device && !std::io::stdin().is_terminal() {
            loop {
                std::thread::park();
            }
        }
    }
    let mut input = std::io::stdin().lock();
    let mut some = [0; 256];
    while input.read(&mut some).is_ok_and(|read| read > 0) {}
}

fn configure(
    server: AcumaticaSandbox,
    name: &str,
    args: &mut lexopt::Parser,
    on: &mut Vec<String>,
) -> Result<AcumaticaSandbox, Error> {
    if matches!(name, "missing-500" | "no-request-log") {
        on.push(name.to_owned());
        return Ok(match name {
            "missing-500" => server.missing_record(MissingRecord::ServerError),
            _ => server.record_requests(false),
        });
    }
    let text: String = value(args)?;
    let configured = match name {
        "base-path" => server.base_path(&text),
        "seed" => server.seed(number(&text)?),
        "user" => {
            let (user, password) = pair(&text)?;
            // The password is not for the screen.
            on.push(format!("user {user}"));
            return Ok(server.user(user, password));
        }
        "view-only" => {
            let (user, password) = pair(&text)?;
            on.push(format!("view-only user {user}"));
            return Ok(server.view_only_user(user, password));
        }
        "tenant" => server.tenant(&text),
        "customers" => server.customers(number(&text)?),
        "forbid" => server.forbid(&text),
        "seats" => server.seats(number(&text)?),
        "seat-refusal" => server.seat_refusal(match text.as_str() {
            "429" => SeatRefusal::TooManyRequests,
            "500" => SeatRefusal::LoginLimit,
            "302" => SeatRefusal::Redirect,
            "401" => SeatRefusal::UnauthorizedAfterLogin,
            _ => return Err(Error::other("--seat-refusal is 429, 500, 302 or 401")),
        }),
        "latency" => server.latency(Duration::from_millis(number(&text)?)),
        "idle" => server.session_idle(seconds(&text)?),
        "keep-alive" => server.keep_alive(seconds(&text)?),
        "expire-after" => server.expire_after(number(&text)?),
        "per-minute" => server.requests_per_minute(number(&text)?),
        "minute" => server.minute(seconds(&text)?),
        "cores" => server.cores(number(&text)?),
        "queue" => server.queue(number(&text)?),
        "action-time" => server.action_time(Duration::from_millis(number(&text)?)),
        "token-life" => server.token_life(seconds(&text)?),
        _ => return Err(Error::other(format!("unknown flag --{name}; see --help"))),
    };
    on.push(format!("{name} {text}"));
    Ok(configured)
}

/// The fault of a flag that takes a probability.
fn rate(name: &str) -> Option<MakeFault> {
    Some(match name {
        "reset-before" => |_| Fault::ResetBefore,
        "reset-during" => |_| Fault::ResetDuring,
        "reset-after" => |_| Fault::ResetAfter,
        "close-after" => |_| Fault::CloseAfter,
        "twice" => |_| Fault::Twice,
        "close-before" => |_| Fault::CloseBefore,
        "truncate" => |_| Fault::Truncate,
        "trickle" => |_| Fault::Trickle(Duration::from_millis(10)),
        "wrong-length" => |_| Fault::WrongLength(10),
        "garbage" => |_| Fault::Garbage,
        "too-many" => Fault::TooManyRequests,
        "unavailable" => Fault::Unavailable,
        "bad-gateway" => |_| Fault::BadGateway,
        "gateway-timeout" => |_| Fault::GatewayTimeout,
        "html" => |_| Fault::Html(500),
        "expire" => |_| Fault::ExpireSession,
        "slow" => |_| Fault::Latency(Duration::from_secs(1)),
        "hang" => |_| Fault::Hang,
        "hang-after" => |_| Fault::HangAfter,
        _ => return None,
    })
}

fn parse_retry_after(text: &str) -> Result<RetryAfter, Error> {
    Ok(match text {
        "none" => RetryAfter::None,
        "garbage" => RetryAfter::Garbage,
        _ => match text.strip_prefix("date:") {
            Some(seconds) => RetryAfter::Date(number(seconds)?),
            None => RetryAfter::Seconds(number(text)?),
        },
    })
}

fn value<T>(args: &mut lexopt::Parser) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    args.value().and_then(|value| value.parse()).map_err(Error::other)
}

fn number<T>(text: &str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|e| Error::other(format!("{text}: {e}")))
}

fn seconds(text: &str) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(number(text)?).map_err(Error::other)
}

fn pair(text: &str) -> Result<(String, String), Error> {
    let (left, right) =
        text.split_once(':').ok_or_else(|| Error::other(format!("{text}: a colon is missing")))?;
    Ok((left.to_owned(), right.to_owned()))
}
