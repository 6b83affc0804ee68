//! A stand-in Acumatica.
//!
//! The builder is here; [`site`] finds the way of a request through sessions and licence, the other files
//! serve one kind of request each.

mod action;
mod apply;
mod data;
pub(super) mod date;
mod describe;
mod envelope;
mod errors;
mod files;
mod filter;
mod inquiry;
mod licence;
mod oauth;
mod options;
mod process;
mod record;
mod schema;
mod seed;
mod session;
mod sign_in;
mod site;
mod swagger;
mod token;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::faults::Faults;
use super::http::Manner;
use super::plan::FaultPlan;
use super::recorder::Recorder;
use super::running::Sandbox;
use super::server::{Server, Shared};
use crate::Result;
use licence::Licence;
pub use session::SeatRefusal;
use session::Sessions;
use site::Site;

/// How the server answers a GET for a record that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissingRecord {
    /// HTTP 404.
    #[default]
    NotFound,
    /// HTTP 500 with a `NoEntitySatisfiesTheConditionException`, as older versions are reported to answer.
    ServerError,
}

impl Sandbox {
    /// A stand-in Acumatica, to be configured and started.
    ///
    /// It knows the tenant `Company`, the user `admin` with the password `admin`, the endpoint `Default` in
    /// the versions `20.200.001`, `24.200.001` (contract 4) and `26.200.001` (contract 5), and the entities
    /// `Customer`, `SalesOrder`, `StockItem` and `Warehouse`.
    pub fn acumatica() -> AcumaticaSandbox {
        AcumaticaSandbox::default()
    }
}

/// A stand-in Acumatica that is not started yet.
///
/// What it keeps of the real one, and where it is known from:
///
/// - Sign-in answers 204 with cookies, a wrong password HTTP 500 with a `PXException` (recorded traffic
///   2023). The session hangs on `ASP.NET_SessionId`; `.ASPXAUTH` is sent as well, but it is `secure`, and
///   a strict client drops it over plain HTTP.
/// - One request of a session is served at a time. An idle session is reclaimed after 10 minutes.
/// - Without a free seat, sign-in is refused in one of the four ways that are known: [`SeatRefusal`].
/// - From half of the requests per minute on, requests are delayed; as many requests as there are cores are
///   served, 20 more wait, the rest gets 429; sign-out waits for nothing (Integration Development Guide
///   2026 R1).
/// - PUT inserts or updates, `If-Match: *` and `If-None-Match: *` choose, PATCH updates only. The answer holds
///   what was sent, the keys, and what `$select` and `$expand` name.
/// - Fields that do not exist or cannot be set are ignored with 200; detail rows without an id are added,
///   so that sending a document again duplicates its lines.
/// - Errors come as the entity with `"error"` beside the values (422), as `modelState` (400), and as a chain
///   of exceptions (500).
/// - A key with a slash is found by its GUID or by `$filter`, not by its path.
///
/// Some facts are weak, and chosen here: the status for a missing record ([`MissingRecord`]), the status
/// of a refused filter (500), the body of 429 and 412, and that a failed long-running action answers 500
/// where its status is asked.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
///
/// let sandbox = Sandbox::acumatica()
///     .seats(3)
///     .faults(Faults::none().at_on(Calls::Login, 1, Fault::BadGateway))
///     .start()?;
///
/// let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
/// stream.write_all(b"POST /entity/auth/login HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer).unwrap();
///
/// assert!(answer.starts_with("HTTP/1.1 502"));
/// assert_eq!(sandbox.history().answered(502), 1);
/// assert_eq!(sandbox.history().logins(), 0);
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct AcumaticaSandbox {
    port: u16,
    seats: usize,
    session_idle: Duration,
    expire_after: Option<u64>,
    cores: Option<usize>,
    queue: usize,
    requests_per_minute: Option<u32>,
    minute: Duration,
    seed: u64,
    faults: Faults,
    customers: usize,
    record_requests: bool,
    keep_alive: Option<Duration>,
    settings: Settings,
}

/// What the handlers need to know.
#[derive(Clone)]
struct Settings {
    base_path: String,
    tenant: String,
    users: Vec<(String, String)>,
    seat_refusal: SeatRefusal,
    latency: Duration,
    action_time: Duration,
    missing: MissingRecord,
    forbidden: Vec<String>,
    view_only: Vec<String>,
    client: (String, String),
    token_life: Duration,
}

impl Default for AcumaticaSandbox {
    fn default() -> Self {
        Self {
            port: 0,
            seats: usize::MAX,
            session_idle: Duration::from_secs(600),
            expire_after: None,
            cores: None,
            queue: 20,
            requests_per_minute: None,
            minute: Duration::from_secs(60),
            seed: 0,
            faults: Faults::none(),
            customers: 100,
            record_requests: true,
            keep_alive: None,
            settings: Settings {
                base_path: String::new(),
                tenant: "Company".into(),
                users: vec![("admin".into(), "admin".into())],
                seat_refusal: SeatRefusal::default(),
                latency: Duration::ZERO,
                action_time: Duration::from_millis(500),
                missing: MissingRecord::default(),
                forbidden: Vec::new(),
                view_only: Vec::new(),
                client: ("4751CD4D-6A0C-5B4E-9D0A-5E8F5D7D2F5E@Company".into(), "secret".into()),
                token_life: Duration::from_secs(3600),
            },
        }
    }
}

impl AcumaticaSandbox {
    /// The port to listen on; 0 takes a free one. Defaults to 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How many sessions may be open at once: the licence's API users. Defaults to no limit.
    pub fn seats(mut self, seats: usize) -> Self {
        self.seats = seats;
        self
    }

    /// How a login without a free seat is refused. Defaults to [`SeatRefusal::TooManyRequests`].
    pub fn seat_refusal(mut self, refusal: SeatRefusal) -> Self {
        self.settings.seat_refusal = refusal;
        self
    }

    /// How long the server works on each request, sign-out apart. A session's next request waits for it.
    /// Defaults to zero.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// How long a session lives without a request. Defaults to 10 minutes.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session_idle = idle;
        self
    }

    /// Ends each session after this many data requests: the next one gets 401. Defaults to never.
    pub fn expire_after(mut self, requests: u64) -> Self {
        self.expire_after = Some(requests);
        self
    }

    /// The licence's requests per minute: from half of them on, requests are delayed. Defaults to no limit.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// How long that minute lasts: a test need not wait for a whole one. Defaults to 60 seconds.
    pub fn minute(mut self, minute: Duration) -> Self {
        self.minute = minute;
        self
    }

    /// The licence's processing cores: how many requests are served at once. Defaults to no limit.
    pub fn cores(mut self, cores: usize) -> Self {
        self.cores = Some(cores.max(1));
        self
    }

    /// How many requests may wait for a core or for the minute before more are declined with 429.
    /// Defaults to 20.
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// How long a connection may be silent before the server closes it: clients that keep it meet a stale
    /// one. Defaults to no limit.
    pub fn keep_alive(mut self, silence: Duration) -> Self {
        self.keep_alive = Some(silence.max(Duration::from_millis(1)));
        self
    }

    /// Adds a user who may sign in and read, but not write. As on the real one, a PUT of such a user is
    /// answered with 200 and saves nothing. Defaults to none.
    pub fn view_only_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        let name = name.into();
        self.settings.view_only.push(name.clone());
        self.user(name, password)
    }

    /// The path below which the instance lives, such as `/Inst`. Defaults to none.
    pub fn base_path(mut self, path: impl AsRef<str>) -> Self {
        let path = path.as_ref().trim_matches('/');
        self.settings.base_path = if path.is_empty() { String::new() } else { format!("/{path}") };
        self
    }

    /// The seed of the faults. Defaults to 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What goes wrong. Defaults to nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Adds a user. Defaults to `admin` with the password `admin`, who stays.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        let name = name.into();
        self.settings.users.retain(|(known, _)| *known != name);
        self.settings.users.push((name, password.into()));
        self
    }

    /// The name of the tenant. Defaults to `Company`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.settings.tenant = tenant.into();
        self
    }

    /// The OAuth client: its id, which ends in `@` and the tenant, and its secret. Defaults to
    /// `4751CD4D-6A0C-5B4E-9D0A-5E8F5D7D2F5E@Company` and `secret`.
    pub fn oauth_client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.settings.client = (id.into(), secret.into());
        self
    }

    /// How long an access token is good for. Defaults to one hour.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.settings.token_life = life;
        self
    }

    /// How long a long-running action goes on after its 202. Defaults to 500 ms.
    pub fn action_time(mut self, time: Duration) -> Self {
        self.settings.action_time = time;
        self
    }

    /// How a GET for a record that does not exist is answered. Defaults to [`MissingRecord::NotFound`].
    pub fn missing_record(mut self, missing: MissingRecord) -> Self {
        self.settings.missing = missing;
        self
    }

    /// Adds an entity that the user may not access: its requests get 403. Defaults to none.
    pub fn forbid(mut self, entity: impl Into<String>) -> Self {
        self.settings.forbidden.push(entity.into());
        self
    }

    /// How many customers there are at the start, from `CUST001` on. Defaults to 100.
    pub fn customers(mut self, customers: usize) -> Self {
        self.customers = customers;
        self
    }

    /// Whether the history keeps each request; a benchmark of millions may not want it. Defaults to `true`.
    pub fn record_requests(mut self, record: bool) -> Self {
        self.record_requests = record;
        self
    }

    /// Starts the server on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) if the port is taken.
    pub fn start(self) -> Result<Sandbox> {
        let recorder = Arc::new(Recorder::new());
        recorder.keep_requests(self.record_requests);
        let base_path = self.settings.base_path.clone();
        let site = Site::new(
            self.settings,
            Sessions::new(self.seats, self.session_idle, Arc::clone(&recorder)),
            Licence::new(self.cores, self.queue, self.requests_per_minute, self.minute),
            seed::store(self.customers),
            self.expire_after,
            Arc::clone(&recorder),
        );
        let shared = Shared {
            site: Arc::new(site),
            recorder,
            faults: RwLock::new(Arc::new(FaultPlan::new(self.faults, self.seed))),
            requests: AtomicU64::new(0),
            keep_alive: self.keep_alive,
            longest_body: 64 * 1024 * 1024,
            manner: Manner { version: "HTTP/1.1", server: "Microsoft-IIS/10.0", closes: false },
        };
        Ok(Sandbox::new(Server::start(self.port, shared)?, &base_path, self.seed))
    }
}

impl fmt::Debug for AcumaticaSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No users and secrets: they may be copies of real ones.
        f.debug_struct("AcumaticaSandbox")
            .field("port", &self.port)
            .field("seats", &self.seats)
            .field("cores", &self.cores)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
