//! The client: whom to talk to, and the sessions that are open.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::auth::{Auth, Bearer, refused_login};
use super::builder::AcumaticaBuilder;
use super::inquiry::Inquiries;
use super::query::Dialect;
use super::session::Session;
use crate::engine::connect::{Connect, Interrupt, Pause, Worker};
use crate::engine::retry::{Backoff, RetryPolicy};
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Base, Cookies, Host, Method, Request, Seats, Wire};
use crate::secret::Secret;

/// How long a session may take to be logged out when nothing presses.
const LOGOUT: Duration = Duration::from_secs(5);

/// How long one that waits to be logged out may keep a worker from logging in.
const OVERDUE: Duration = Duration::from_secs(1);

/// When the server has ended a session by itself for certain: after 10 minutes (Integration Development
/// Guide, 2026 R1), or 20 (reports from the field).
const ENDED: Duration = Duration::from_secs(20 * 60);

/// How soon a worker looks again whether another one is done with what only one may do.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A client of one Acumatica server: give it to [`BatchCall::new`](crate::BatchCall::new), or take a
/// [`session`](Self::session) by hand.
///
/// Its sessions stay open from one batch to the next, so a second batch costs no login; they are logged
/// out by [`close`](Self::close), or when the last clone of the client is dropped. A clone is the same
/// client.
///
/// ```no_run
/// use batchcall::{Acumatica, BatchCall};
///
/// let client = Acumatica::builder("https://erp.example.com")
///     .login("admin", "secret")
///     .tenant("Company")
///     .endpoint("Default", "24.200.001")
///     .max_sessions(3)
///     .build()?;
///
/// let ids = ["CUST001", "CUST002", "CUST003"];
/// let report = BatchCall::new(&client)
///     .calls(ids, |session, id| session.get_by_id("Customer", id))
///     .execute()?;
/// println!("{report}");
/// client.close()?;
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone)]
pub struct Acumatica(Arc<Client>);

/// What a client is set up with.
pub(super) struct Settings {
    pub(super) base: Base,
    pub(super) auth: Auth,
    pub(super) tenant: Option<String>,
    pub(super) endpoint: String,
    pub(super) version: Option<String>,
    pub(super) dialect: Option<Dialect>,
    pub(super) max_sessions: Option<usize>,
    pub(super) idle_timeout: Duration,
    /// How waits for a seat grow.
    pub(super) retry: RetryPolicy,
    pub(super) host: Host,
}

/// What the clones of a client and its sessions share.
pub(super) struct Client {
    pub(super) settings: Settings,
    seats: Seats<Conversation, Overdue>,
    /// The version that was asked for.
    newest: OnceLock<String>,
    /// The endpoint's address, once it is known.
    pub(super) endpoint: OnceLock<(String, Dialect)>,
    /// Held while the version is asked for: the others wait for the answer.
    asking: Mutex<()>,
    /// Why nobody may log in any more, once credentials were refused.
    barred: OnceLock<String>,
    /// When the credentials were last found good.
    vouched: Mutex<Option<Instant>>,
    /// Held by the one that finds out, after sessions have ended, whether the credentials are still good.
    vouching: Mutex<()>,
    /// Requests that a session was served.
    served: AtomicU64,
    /// Whether a login was ever accepted whose session was then unknown: one of the ways in which the
    /// server says that all seats are taken.
    unknown_sessions: AtomicBool,
    pub(super) inquirers: Inquirers,
}

/// What is known of the credentials where each request brings them along.
#[derive(Default)]
pub(super) struct Inquirers {
    /// Held by the first, until it is known whether they are good.
    pub(super) first: Mutex<()>,
    pub(super) accepted: AtomicBool,
    pub(super) refused: OnceLock<String>,
}

/// A session that could not be logged out in time.
struct Overdue {
    cookies: Cookies,
    bearer: Option<Bearer>,
    /// When the server has ended it by itself.
    until: Instant,
}

/// One authenticated conversation with the server.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) wire: Wire,
    pub(super) cookies: Cookies,
    pub(super) bearer: Option<Bearer>,
    /// Whether the server has taken a request of it since it was opened.
    pub(super) proven: bool,
    /// Whether the server may still be busy with a request of it.
    pub(super) suspect: bool,
}

impl Acumatica {
    /// Sets up a client of the server at a base URL, such as `https://erp.example.com/Inst`.
    pub fn builder(url: impl Into<String>) -> AcumaticaBuilder {
        AcumaticaBuilder::new(url)
    }

    /// A client set up by the environment: `ACUMATICA_URL`, `ACUMATICA_USERNAME` and `ACUMATICA_PASSWORD`;
    /// where they are set also `ACUMATICA_TENANT`, `ACUMATICA_BRANCH`, `ACUMATICA_LOCALE`,
    /// `ACUMATICA_ENDPOINT`, `ACUMATICA_ENDPOINT_VERSION` and `ACUMATICA_MAX_SESSIONS`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) names every variable that is missing.
    pub fn from_env() -> Result<Self> {
        Self::builder_from_env()?.build()
    }

    /// As [`from_env`](Self::from_env), for further settings.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn builder_from_env() -> Result<AcumaticaBuilder> {
        AcumaticaBuilder::from_variables(|name| std::env::var(name).ok())
    }

    pub(super) fn new(settings: Settings) -> Self {
        let most = settings.max_sessions;
        Self(Arc::new(Client {
            settings,
            seats: Seats::new(most),
            newest: OnceLock::new(),
            endpoint: OnceLock::new(),
            asking: Mutex::default(),
            barred: OnceLock::new(),
            vouched: Mutex::default(),
            vouching: Mutex::default(),
            served: AtomicU64::new(0),
            unknown_sessions: AtomicBool::new(false),
            inquirers: Inquirers::default(),
        }))
    }

    /// A session to use by hand; it goes back to the client when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`Connect::connect`]: [`Auth`](ErrorKind::Auth), [`SeatLimit`](ErrorKind::SeatLimit), or what
    /// befell the login request.
    pub fn session(&self) -> Result<Session> {
        self.connect(&Worker::detached(Deadline::never()))
    }

    /// Generic inquiries by OData: a backend of its own, because they need no session and so take no seat.
    ///
    /// ```no_run
    /// # let client = batchcall::Acumatica::from_env()?;
    /// use batchcall::BatchCall;
    /// use batchcall::acumatica::Query;
    ///
    /// let inquiries = client.inquiries();
    /// let report = BatchCall::new(&inquiries)
    ///     .calls(["AR-Customers", "IN-Stock"], |odata, name| odata.inquiry(name, Query::new()))
    ///     .execute()?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn inquiries(&self) -> Inquiries {
        Inquiries::new(self.0.clone())
    }

    /// How many sessions are open, used or not; one that could not be logged out counts until it is.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.0.seats.open()
    }

    /// Logs out every session that nobody uses, and those that could not be logged out before.
    ///
    /// Sessions still in use are logged out when the last clone of the client is gone.
    ///
    /// # Errors
    ///
    /// The error of the first session that could not be logged out; the server ends it after its
    /// time-out, and another `close` tries again.
    pub fn close(&self) -> Result<()> {
        self.0.close_idle()
    }
}

impl Connect for Acumatica {
    type Session = Session;

    fn connect(&self, worker: &Worker) -> Result<Session> {
        let conversation = match self.0.take_idle(worker) {
            Some(conversation) => {
                worker.reused_session();
                conversation
            }
            None => self.0.open(worker)?,
        };
        Ok(Session::new(self.0.clone(), conversation, worker))
    }

    fn max_sessions(&self) -> Option<usize> {
        self.0.settings.max_sessions
    }

    fn interrupt(&self, session: &Session) -> Option<Interrupt> {
        Some(session.interrupt())
    }

    fn disconnect(&self, session: Session) -> Result<()> {
        session.close()
    }
}

impl Client {
    /// A new session.
    pub(super) fn open(&self, worker: &Worker) -> Result<Conversation> {
        self.check_barred()?;
        // A seat that was left behind may be the one that is wanted now.
        self.log_out_overdue(worker);
        self.seats.reserve()?;
        let mut conversation = Conversation {
            wire: self.settings.host.wire(worker),
            cookies: Cookies::default(),
            bearer: None,
            proven: false,
            suspect: false,
        };
        worker.on_interrupt(conversation.wire.interrupt());
        match self.log_in(&mut conversation, None) {
            Ok(()) => Ok(conversation),
            Err(error) => {
                self.seats.release();
                Err(error)
            }
        }
    }

    /// A session that is open and unused, if there is one that the server has not ended.
    pub(super) fn take_idle(&self, worker: &Worker) -> Option<Conversation> {
        loop {
            let (mut conversation, idle) = self.seats.take()?;
            conversation.wire.attach(worker);
            if idle < self.settings.idle_timeout {
                return Some(conversation);
            }
            // Too old to trust. Its seat may still count, so it is logged out all the same.
            let _ = self.log_out(conversation, worker.time_to_close());
        }
    }

    /// Gives a session back: for the next to use, or to be logged out.
    pub(super) fn give_back(&self, conversation: Conversation, time: Duration) -> Result<()> {
        if conversation.suspect || conversation.wire.is_interrupted() || self.barred.get().is_some() {
            return self.log_out(conversation, time);
        }
        self.seats.give_back(conversation);
        Ok(())
    }

    /// Signs in: fills the cookies, or sees to a token. `refused`: the renewal whose token was refused.
    pub(super) fn log_in(&self, conversation: &mut Conversation, refused: Option<u64>) -> Result<()> {
        self.check_barred()?;
        conversation.proven = false;
        let result = match &self.settings.auth {
            Auth::Login(login) => login.request(&self.settings.base).and_then(|request| {
                conversation.cookies = Cookies::default();
                let answer = conversation.wire.send(&request)?;
                if !answer.is_success() {
                    return Err(refused_login(&answer, &request));
                }
                answer.set_cookies().for_each(|line| conversation.cookies.set(line));
                if conversation.cookies.is_empty() {
                    let message = "the login was accepted, but no session came with it";
                    return Err(answer.to_error(&request, ErrorKind::Protocol, message));
                }
                *self.vouched() = Some(Instant::now());
                Ok(())
            }),
            // The cookies stay: a new token goes on with the session of the old one.
            Auth::OAuth(tokens) => {
                tokens.bearer(&self.settings.base, &mut conversation.wire, refused).map(|bearer| {
                    conversation.bearer = Some(bearer);
                })
            }
        };
        result.inspect_err(|error| {
            if error.kind() == ErrorKind::Auth {
                // Whoever tries the same credentials again helps to lock the account.
                let _ = self.barred.set(error.message().to_owned());
            }
        })
    }

    /// Signs in again where a session has ended: with a name and password one goes first, so that
    /// sessions that ended all at once try a password that was changed meanwhile once and not once each.
    pub(super) fn log_in_again(&self, conversation: &mut Conversation) -> Result<()> {
        if matches!(self.settings.auth, Auth::OAuth(_)) {
            let refused = conversation.bearer.as_ref().map(|bearer| bearer.generation);
            return self.log_in(conversation, refused);
        }
        let ended = Instant::now();
        // It may live all the same: a 401 can come from a proxy. Then its seat must not be left behind.
        let time = conversation.wire.worker().time_to_close();
        let _ = self.send_logout(&conversation.cookies, None, time, Some(&mut conversation.wire));
        conversation.cookies = Cookies::default();
        let is_vouched_for = || self.vouched().is_some_and(|at| at >= ended);
        let mut alone = None;
        if !is_vouched_for() {
            alone = Some(alone_at(&self.vouching, conversation.wire.worker())?);
        }
        if is_vouched_for() {
            alone = None;
        }
        let result = self.log_in(conversation, None);
        drop(alone);
        result
    }

    /// Sees to it that the session's token is good for a while, where there are tokens.
    pub(super) fn renew_token(&self, conversation: &mut Conversation) -> Result<()> {
        let Auth::OAuth(tokens) = &self.settings.auth else { return Ok(()) };
        if let Some(bearer) = tokens.current(None) {
            conversation.bearer = Some(bearer);
            return Ok(());
        }
        let proven = conversation.proven;
        self.log_in(conversation, None)?;
        conversation.proven = proven;
        Ok(())
    }

    pub(super) fn has_tokens(&self) -> bool {
        matches!(self.settings.auth, Auth::OAuth(_))
    }

    fn vouched(&self) -> MutexGuard<'_, Option<Instant>> {
        self.vouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait for a seat: longer each time.
    pub(super) fn seat_waits(&self) -> Backoff {
        self.settings.retry.clone().attempts(u32::MAX).throttled_backoff()
    }

    /// How many requests sessions were served so far.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(super) fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn has_met_unknown_sessions(&self) -> bool {
        self.unknown_sessions.load(Ordering::Relaxed)
    }

    pub(super) fn met_unknown_session(&self) {
        self.unknown_sessions.store(true, Ordering::Relaxed);
    }

    fn check_barred(&self) -> Result<()> {
        match self.barred.get() {
            None => Ok(()),
            Some(message) => Err(Error::new(ErrorKind::Auth, message.as_str())
                .with_operation("login")
                .with_delivery(Delivery::NotSent)),
        }
    }

    /// Logs a session out; one that cannot be in time is kept for the next opportunity.
    pub(super) fn log_out(&self, mut conversation: Conversation, time: Duration) -> Result<()> {
        let ended = self.send_logout(
            &conversation.cookies,
            conversation.bearer.as_ref(),
            time,
            Some(&mut conversation.wire),
        );
        match ended {
            Ok(()) => self.seats.release(),
            // The server holds it until then, so it counts.
            Err(_) => {
                let Conversation { cookies, bearer, .. } = conversation;
                self.seats.put_off(Overdue { cookies, bearer, until: Instant::now() + ENDED });
            }
        }
        ended
    }

    /// Ends what the server keeps under these cookies. Sent outside the limits: the server answers it
    /// outside its queue (Integration Development Guide, 2026 R1).
    fn send_logout(
        &self,
        cookies: &Cookies,
        bearer: Option<&Bearer>,
        time: Duration,
        wire: Option<&mut Wire>,
    ) -> Result<()> {
        if cookies.is_empty() {
            return Ok(()); // It never came to a session.
        }
        let mut request = Request::new(Method::POST, self.settings.base.join("/entity/auth/logout"))
            .header("Cookie", cookies.header())
            .operation("logout");
        if let Some(bearer) = bearer {
            request = request.header("Authorization", authorization(&bearer.token));
        }
        let answer = match wire {
            // The session's own connection, unless it was interrupted or may still be busy.
            Some(wire) => wire.send_once(&request, time)?,
            None => self.settings.host.send_once(&request, time)?,
        };
        // 401: the server had ended it by itself.
        if answer.is_success() || answer.status() == 401 {
            Ok(())
        } else {
            Err(super::refusal::read(&answer, &request))
        }
    }

    fn log_out_overdue(&self, worker: &Worker) {
        let mut overdue = self.seats.take_overdue();
        while let Some(session) = overdue.pop() {
            // Half of what is left is for what the worker came for.
            let left = worker.deadline().remaining().map_or(OVERDUE, |left| OVERDUE.min(left / 2));
            if self.log_out_again(session, left).is_err() {
                break;
            }
        }
        // The next time begins with these, and not with the one that failed.
        overdue.into_iter().for_each(|session| self.seats.put_off(session));
    }

    /// Another attempt with a session that could not be logged out; it is kept when that fails too.
    fn log_out_again(&self, session: Overdue, time: Duration) -> Result<()> {
        let ended = self.send_logout(&session.cookies, session.bearer.as_ref(), time, None);
        if ended.is_ok() || session.until <= Instant::now() {
            self.seats.release();
            return Ok(());
        }
        self.seats.put_off(session);
        ended
    }

    fn close_idle(&self) -> Result<()> {
        self.seats.close(
            |conversation| self.log_out(conversation, LOGOUT),
            |session| self.log_out_again(session, LOGOUT),
        )
    }

    /// The endpoint's version: as it was set, or the newest that the server has.
    pub(super) fn version(&self, worker: &Worker, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        if let Some(version) = self.settings.version.as_ref().or_else(|| self.newest.get()) {
            return Ok(version.clone());
        }
        let _alone = alone_at(&self.asking, worker)?;
        match self.newest.get() {
            Some(version) => Ok(version.clone()),
            None => {
                let version = ask()?;
                Ok(self.newest.get_or_init(|| version).clone())
            }
        }
    }
}

/// Waits until nobody else is at something that only one may do at a time. Whatever ends the batch ends
/// the waiting: the other one may belong to a batch that has more time.
pub(super) fn alone_at<'a>(what: &'a Mutex<()>, worker: &Worker) -> Result<MutexGuard<'a, ()>> {
    loop {
        match what.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) => worker.pause(LOOK_AGAIN, Pause::Poll)?,
        }
    }
}

/// The `Authorization` header of a token.
pub(super) fn authorization(token: &Secret) -> String {
    format!("Bearer {}", token.expose())
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.close_idle();
    }
}

impl fmt::Debug for Acumatica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.0.settings;
        f.debug_struct("Acumatica")
            .field("base", &settings.base)
            .field("tenant", &settings.tenant)
            .field("endpoint", &settings.endpoint)
            .field("version", &settings.version)
            .field("max_sessions", &settings.max_sessions)
            .field("open_sessions", &self.open_sessions())
            .finish_non_exhaustive()
    }
}
