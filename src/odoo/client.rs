//! The client: whom to talk to, and the sessions that are open.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::builder::OdooBuilder;
use super::context::Context;
use super::json2::{Key, Names};
use super::login::Known;
use super::protocol::Protocol;
use super::rpc;
use super::session::Session;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::engine::retry::RetryPolicy;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Base, Cookies, Host, Nature, Seats, Wire};
use crate::secret::Secret;

/// How long a session may take to be logged out when nothing presses.
const LOGOUT: Duration = Duration::from_secs(5);

/// A client of one Odoo server: give it to [`BatchCall::new`](crate::BatchCall::new), or take a
/// [`session`](Self::session) by hand.
///
/// How calls are sent is found out once, see [`Protocol`]. Sessions stay open from one batch to the next,
/// so a second batch costs no login; they are logged out by [`close`](Self::close), or when the last clone
/// of the client is dropped. A clone is the same client.
///
/// ```no_run
/// use batchcall::odoo::field;
/// use batchcall::{BatchCall, Odoo};
///
/// let client = Odoo::builder("https://erp.example.com").database("production").api_key("..").build()?;
///
/// let countries = ["BE", "FR", "NL"];
/// let report = BatchCall::new(&client)
///     .calls(countries, |session, code| {
///         session.search_count("res.partner", field("country_id.code").eq(*code))
///     })
///     .execute()?;
/// println!("{report}");
/// client.close()?;
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone)]
pub struct Odoo(pub(super) Arc<Client>);

/// What a client is set up with.
pub(super) struct Settings {
    pub(super) base: Base,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) api_key: Option<Secret>,
    pub(super) protocol: Option<Protocol>,
    pub(super) context: Context,
    pub(super) lean: bool,
    pub(super) max_sessions: Option<usize>,
    pub(super) idle_timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) host: Host,
}

/// What the clones of a client and its sessions share.
pub(super) struct Client {
    pub(super) settings: Settings,
    pub(super) names: Names,
    /// What was found out about the server. Held while it is asked: the others wait for the answer.
    known: Mutex<Known>,
    seats: Seats<Conversation, Cookies>,
    /// Why nobody may log in any more, once credentials were refused.
    barred: OnceLock<String>,
    /// Until when the server takes no logins.
    cooldown: Mutex<Option<Instant>>,
    requests: AtomicU64,
}

/// One authenticated conversation with the server.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) wire: Wire,
    pub(super) protocol: Protocol,
    /// Of the web session; the other protocols have none.
    pub(super) cookies: Cookies,
    /// Of the user, for `/jsonrpc`.
    pub(super) uid: i64,
}

impl Odoo {
    /// Sets up a client of the server at a base URL, such as `https://erp.example.com`.
    pub fn builder(url: impl Into<String>) -> OdooBuilder {
        OdooBuilder::new(url)
    }

    /// A client set up by the environment: `ODOO_URL`, and `ODOO_USERNAME` with `ODOO_PASSWORD` or
    /// `ODOO_API_KEY`; where they are set also `ODOO_DATABASE`, `ODOO_PROTOCOL` (`json2`, `web-session` or
    /// `jsonrpc`) and `ODOO_MAX_SESSIONS`.
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
    pub fn builder_from_env() -> Result<OdooBuilder> {
        OdooBuilder::from_variables(|name| std::env::var(name).ok())
    }

    pub(super) fn new(settings: Settings) -> Self {
        let seats = Seats::new(settings.max_sessions);
        Self(Arc::new(Client {
            settings,
            names: Names::default(),
            known: Mutex::default(),
            seats,
            barred: OnceLock::new(),
            cooldown: Mutex::default(),
            requests: AtomicU64::new(1),
        }))
    }

    /// A session to use by hand; it goes back to the client when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`Connect::connect`]: [`Auth`](ErrorKind::Auth), [`SeatLimit`](ErrorKind::SeatLimit),
    /// [`RateLimited`](ErrorKind::RateLimited) while the server takes no logins, or what befell the login.
    pub fn session(&self) -> Result<Session> {
        self.connect(&Worker::detached(Deadline::never()))
    }

    /// How calls are sent, once that is known.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.0.known().protocol.or(self.0.settings.protocol)
    }

    /// How many sessions are open, used or not.
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
    /// The error of the first session that could not be logged out; another `close` tries again.
    pub fn close(&self) -> Result<()> {
        self.0.close_idle()
    }
}

impl Connect for Odoo {
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

    fn interrupt(&self, session: &Session) -> Option<Interrupt> {
        Some(session.interrupt())
    }

    fn disconnect(&self, session: Session) -> Result<()> {
        session.close()
    }
}

impl Client {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other request of the client has.
    pub(super) fn next_id(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// The API key with the database, for JSON-2.
    pub(super) fn key(&self) -> Result<Key<'_>> {
        let settings = &self.settings;
        let key = settings.api_key.as_ref();
        let key = key.ok_or_else(|| Error::new(ErrorKind::Invalid, "JSON-2 needs an API key"))?;
        Ok(Key { key, database: settings.database.as_deref() })
    }

    /// A new session.
    pub(super) fn open(&self, worker: &Worker) -> Result<Conversation> {
        self.check_barred()?;
        self.check_cooldown()?;
        for cookies in self.seats.take_overdue() {
            if self.destroy(&cookies, worker.time_to_close(), None).is_err() {
                self.seats.put_off(cookies);
            }
        }
        self.seats.reserve()?;
        let mut conversation = Conversation {
            wire: self.settings.host.wire(worker),
            // Found out by the login.
            protocol: Protocol::JsonRpc,
            cookies: Cookies::default(),
            uid: 0,
        };
        match self.log_in(&mut conversation) {
            Ok(asked) => {
                if !asked {
                    worker.reused_session();
                }
                Ok(conversation)
            }
            Err(error) => {
                self.seats.release();
                Err(error)
            }
        }
    }

    /// A session that is open and unused.
    fn take_idle(&self, worker: &Worker) -> Option<Conversation> {
        loop {
            let (mut conversation, idle) = self.seats.take()?;
            conversation.wire.attach(worker);
            if idle < self.settings.idle_timeout {
                return Some(conversation);
            }
            let _ = self.log_out(conversation, worker.time_to_close());
        }
    }

    /// Gives a session back: for the next to use, or to be logged out.
    pub(super) fn give_back(&self, conversation: Conversation, time: Duration) -> Result<()> {
        if conversation.wire.is_interrupted() || self.barred.get().is_some() {
            return self.log_out(conversation, time);
        }
        self.seats.give_back(conversation);
        Ok(())
    }

    /// Signs in, and says whether that took a request of its own: by JSON-2 and `/jsonrpc` one proves the
    /// credentials for all sessions.
    pub(super) fn log_in(&self, conversation: &mut Conversation) -> Result<bool> {
        self.check_barred()?;
        self.check_cooldown()?;
        self.sign_in(conversation).inspect_err(|error| {
            if error.kind() == ErrorKind::Auth {
                self.bar(error);
            }
        })
    }

    /// Whoever tries refused credentials again helps to lock everybody out.
    pub(super) fn bar(&self, error: &Error) {
        let _ = self.barred.set(error.message().to_owned());
    }

    fn check_barred(&self) -> Result<()> {
        match self.barred.get() {
            None => Ok(()),
            Some(message) => Err(Error::new(ErrorKind::Auth, message.as_str())
                .with_operation("login")
                .with_delivery(Delivery::NotSent)),
        }
    }

    fn check_cooldown(&self) -> Result<()> {
        let until = *self.cooldown.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => {
                let message = "the server takes no logins from this address for a while";
                Err(Error::new(ErrorKind::RateLimited, message)
                    .with_operation("login")
                    .with_delivery(Delivery::NotSent)
                    .with_retry_after(left))
            }
        }
    }

    /// The server takes no logins for that time.
    pub(super) fn cool_down(&self, time: Duration) {
        *self.cooldown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    /// Logs a session out; one that cannot be in time is kept for the next opportunity.
    fn log_out(&self, mut conversation: Conversation, time: Duration) -> Result<()> {
        let ended = self.destroy(&conversation.cookies, time, Some(&mut conversation.wire));
        self.seats.release();
        if ended.is_err() {
            self.seats.put_off(conversation.cookies);
        }
        ended
    }

    /// Ends what the server keeps under these cookies; the other protocols leave nothing there.
    fn destroy(&self, cookies: &Cookies, time: Duration, wire: Option<&mut Wire>) -> Result<()> {
        if cookies.is_empty() {
            return Ok(());
        }
        let id = self.next_id();
        let params = serde_json::Value::Object(serde_json::Map::new());
        let request = rpc::session(&self.settings.base, "/web/session/destroy", &params, id)?
            .nature(Nature::Keyed)
            .header("Cookie", cookies.header())
            .operation("logout");
        let answer = match wire {
            Some(wire) => wire.send_once(&request, time)?,
            None => self.settings.host.send_once(&request, time)?,
        };
        match rpc::read(&answer, &request, id)? {
            rpc::Reply::Refusal(refusal) if !refusal.is_session_over() => {
                Err(refusal.into_error(&answer, &request, "", ""))
            }
            _ => Ok(()),
        }
    }

    fn close_idle(&self) -> Result<()> {
        self.seats.close(
            |conversation| self.log_out(conversation, LOGOUT),
            |cookies| self.destroy(&cookies, LOGOUT, None).inspect_err(|_| self.seats.put_off(cookies)),
        )
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.close_idle();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.settings.base).finish_non_exhaustive()
    }
}

impl fmt::Debug for Odoo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.0.settings;
        f.debug_struct("Odoo")
            .field("base", &settings.base)
            .field("database", &settings.database)
            .field("user", &settings.user)
            .field("protocol", &self.protocol())
            .field("max_sessions", &settings.max_sessions)
            .field("open_sessions", &self.open_sessions())
            .finish_non_exhaustive()
    }
}
