//! The client: whom to talk to, and the sessions that are open.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::auth::{Auth, Bearer, refused_login};
use super::builder::AcumaticaBuilder;
use super::inquiry::Inquiries;
use super::query::Dialect;
use super::session::Session;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Base, Cookies, Host, Method, Request, Seats, Wire};
use crate::secret::Secret;

/// How long a session may take to be logged out when nothing presses.
const LOGOUT: Duration = Duration::from_secs(5);

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
    pub(super) host: Host,
}

/// What the clones of a client and its sessions share.
pub(super) struct Client {
    pub(super) settings: Settings,
    seats: Seats<Conversation, Cookies>,
    /// The version that was asked for. Held while it is asked for: the others wait for the answer.
    newest: Mutex<Option<String>>,
    /// The endpoint's address, once it is known.
    pub(super) endpoint: OnceLock<(String, Dialect)>,
    /// Why nobody may log in any more, once credentials were refused.
    barred: OnceLock<String>,
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
        let seats = Seats::new(settings.max_sessions);
        let (newest, endpoint, barred) = (Mutex::default(), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Client { settings, seats, newest, endpoint, barred }))
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
        self.log_out_overdue(worker.time_to_close());
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

    /// A session that the server no longer knows: nothing is left to log out.
    pub(super) fn forget(&self) {
        self.seats.release();
    }

    /// Signs in: fills the cookies, or sees to a token.
    pub(super) fn log_in(&self, conversation: &mut Conversation, refused: Option<u64>) -> Result<()> {
        self.check_barred()?;
        conversation.cookies = Cookies::default();
        conversation.proven = false;
        let result = match &self.settings.auth {
            Auth::Login(login) => login.request(&self.settings.base).and_then(|request| {
                let answer = conversation.wire.send(&request)?;
                if !answer.is_success() {
                    return Err(refused_login(&answer, &request));
                }
                answer.set_cookies().for_each(|line| conversation.cookies.set(line));
                if conversation.cookies.is_empty() {
                    let message = "the login was accepted, but no session came with it";
                    return Err(answer.to_error(&request, ErrorKind::Protocol, message));
                }
                Ok(())
            }),
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
        self.seats.release();
        if ended.is_err() {
            self.seats.put_off(conversation.cookies);
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

    fn log_out_overdue(&self, time: Duration) {
        for cookies in self.seats.take_overdue() {
            if self.send_logout(&cookies, None, time, None).is_err() {
                self.seats.put_off(cookies);
            }
        }
    }

    fn close_idle(&self) -> Result<()> {
        self.seats.close(
            |conversation| self.log_out(conversation, LOGOUT),
            |cookies| {
                self.send_logout(&cookies, None, LOGOUT, None).inspect_err(|_| self.seats.put_off(cookies))
            },
        )
    }

    /// The endpoint's version: as it was set, or the newest that the server has.
    pub(super) fn version(&self, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        if let Some(version) = &self.settings.version {
            return Ok(version.clone());
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some(version) => Ok(version.clone()),
            None => Ok(newest.insert(ask()?).clone()),
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
