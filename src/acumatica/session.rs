//! A session: sends a request as who it is, signs in again when it has expired, reads refusals.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::address;
use super::client::{Client, Conversation, authorization};
use super::query::{Dialect, Query};
use super::refusal;
use super::scope::Scope;
use crate::engine::connect::{Interrupt, Pause, Worker};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Method, Request, Wire};

/// How often a session that the server accepted and then did not know is opened anew, before the call
/// fails; while other sessions are served it counts from the start again.
const UNKNOWN_SESSIONS: usize = 8;

/// How often a login in the middle of a call is tried again that failed for a reason that passes.
const PASSING: usize = 2;

/// A session on an Acumatica server.
///
/// The server works on one request of a session at a time, so a session is used by one worker. One
/// that expires signs in again, once for each request. When it is dropped it goes back to its client.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Arc<Client>,
    conversation: Option<Conversation>,
    pub(super) worker: Worker,
    scope: Scope,
    /// A call has failed because a good login led to no session: the next one does not find out again.
    given_up: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.settings.base).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(client: Arc<Client>, conversation: Conversation, worker: &Worker) -> Self {
        let mut session = Self {
            client,
            conversation: None,
            worker: worker.clone(),
            scope: Scope::default(),
            given_up: false,
        };
        session.adopt(conversation);
        session
    }

    pub(super) fn interrupt(&self) -> Interrupt {
        match &self.conversation {
            Some(conversation) => conversation.wire.interrupt(),
            None => Box::new(|| {}),
        }
    }

    /// Goes on with this conversation, which may be another one in the middle of a call.
    fn adopt(&mut self, conversation: Conversation) {
        self.worker.on_interrupt(conversation.wire.interrupt());
        self.conversation = Some(conversation);
    }

    /// Takes the conversation away, out of reach of interrupts: its logout is not one of the calls.
    fn part(&mut self) -> Option<Conversation> {
        self.worker.on_interrupt(Box::new(|| {}));
        self.conversation.take()
    }

    /// The server may be busy with this session for longer: it is not used again.
    pub(super) fn distrust(&mut self) {
        if let Some(conversation) = &mut self.conversation {
            conversation.suspect = true;
        }
    }

    /// A connection for requests outside the session, which ends with the session's I/O.
    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        self.conversation.as_mut().map(|conversation| &mut conversation.wire)
    }

    /// Runs requests in a branch or at a business date other than those of the sign-in.
    ///
    /// ```no_run
    /// # let client = batchcall::Acumatica::from_env()?;
    /// # let mut session = client.session()?;
    /// use batchcall::acumatica::{Date, Scope};
    ///
    /// let scope = Scope::new().branch("MAIN").business_date(Date::new(2026, 1, 31)?);
    /// let order = session.with_scope(scope, |session| session.get_by_id("SalesOrder", ("SO", "SO005207")))?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn with_scope<R>(&mut self, scope: Scope, run: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::replace(&mut self.scope, scope);
        let result = run(self);
        self.scope = outer;
        result
    }

    /// Gives the session back to its client and says how that went.
    pub(super) fn close(mut self) -> Result<()> {
        self.release()
    }

    fn release(&mut self) -> Result<()> {
        match self.part() {
            Some(mut conversation) => {
                // One that the server does not know is of no use to the next.
                conversation.suspect |= self.given_up;
                self.client.give_back(conversation, self.worker.time_to_close())
            }
            None => Ok(()),
        }
    }

    /// Sends a request as this session, signing in again if it has expired. Only a 2xx comes back.
    pub(super) fn send(&mut self, request: &mut Request) -> Result<Answer> {
        self.send_unless(request, |_, _| false)
    }

    /// As [`send`](Self::send), where some refusals are fine too. Each is told with whether the request may
    /// have been applied before, its answer lost.
    pub(super) fn send_unless(
        &mut self,
        request: &mut Request,
        mut fine: impl FnMut(&Error, bool) -> bool,
    ) -> Result<Answer> {
        let (mut again, mut had_worked, mut lost) = (false, false, false);
        let mut unknown = 0;
        let mut served = self.client.served();
        let mut waits = self.client.seat_waits();
        loop {
            let answer = self.send_as_is(request).map_err(|error| told(error, lost))?;
            lost |= answer.is_after_loss();
            let conversation = self.conversation.as_mut().expect("a request was sent on it");
            if answer.is_success() {
                conversation.proven = true;
                self.given_up = false;
                self.client.count_served();
                return Ok(answer);
            }
            let error = refusal::read(&answer, request);
            if fine(&error, lost) {
                return Ok(answer);
            }
            let is_unknown = answer.status() == 401 || is_login_page(&answer);
            if !is_unknown && error.kind() != ErrorKind::SeatLimit {
                // Only a request that got as far as this can say such things.
                conversation.proven |= matches!(answer.status(), 400 | 403..=422);
                return Err(error);
            }
            let expired = is_unknown && (conversation.proven || self.client.has_tokens());
            if expired && !again {
                // It had worked: it has expired, or somebody ended it. Or its token was refused.
                again = true;
                had_worked = conversation.proven;
                self.sign_in_again(request).map_err(|error| told(error, lost))?;
                continue;
            }
            if is_unknown && (had_worked || self.given_up) && !self.client.has_met_unknown_sessions() {
                // Signed in anew, and refused: that will not change by doing it once more.
                self.given_up = true;
                let message = format!("refused straight after a good login: {}", error.message());
                return Err(answer.to_error(request, ErrorKind::Auth, message));
            }
            // A good login, and the first request is refused: one of the ways in which the server says that
            // all seats are taken. With tokens, which open a session with its first request, all of them are.
            if is_unknown {
                self.client.met_unknown_session();
            }
            if self.client.served() != served {
                served = self.client.served();
                unknown = 0;
            }
            unknown += 1;
            if self.given_up || unknown > UNKNOWN_SESSIONS {
                self.given_up = true;
                let message = if is_unknown {
                    format!(
                        "a login was accepted, and its session unknown right after it: {}",
                        error.message()
                    )
                } else {
                    error.message().to_owned()
                };
                return Err(answer.to_error(request, ErrorKind::SeatLimit, message));
            }
            let wait = waits.next().unwrap_or_default();
            let seat = self.wait_for_seat(wait);
            self.seated(request, seat).map_err(|error| told(error, lost))?;
        }
    }

    fn send_as_is(&mut self, request: &mut Request) -> Result<Answer> {
        if self.conversation.as_ref().is_none_or(|conversation| conversation.suspect) {
            self.sign_in_again(request)?;
        }
        let conversation = self.conversation.as_mut().expect("a session was opened above");
        if let Err(error) = self.client.renew_token(conversation) {
            return Err(self.refused(request, &error));
        }
        match conversation.cookies.is_empty() {
            false => request.set_header("Cookie", conversation.cookies.header()),
            // A session that opens with its first request must not go out under the name of another.
            true => request.remove_header("Cookie"),
        }
        if let Some(bearer) = &conversation.bearer {
            request.set_header("Authorization", authorization(&bearer.token));
        }
        // Until the answer is there, the server may be busy with it, and the session with the server.
        conversation.suspect = true;
        let answer = if self.client.has_tokens() && !conversation.proven {
            send_as_login(&mut conversation.wire, request)
        } else {
            conversation.wire.send(request)
        };
        conversation.suspect = match &answer {
            Ok(_) => false,
            Err(error) => error.delivery() != Some(Delivery::NotSent),
        };
        let answer = answer?;
        answer.set_cookies().for_each(|line| conversation.cookies.set(line));
        Ok(answer)
    }

    /// Opens the session anew. An error is one of a request that was not sent.
    fn sign_in_again(&mut self, request: &Request) -> Result<()> {
        let seat = match &mut self.conversation {
            Some(conversation) if !conversation.suspect && !conversation.wire.is_interrupted() => {
                let is_login = !self.client.has_tokens();
                self.client.log_in_again(conversation).map(|()| is_login)
            }
            _ => {
                // The old one is logged out: a request of it may still be running and would hold the
                // new ones up.
                self.give_up_seat();
                self.worker.check().and_then(|()| self.take_seat())
            }
        };
        self.seated(request, seat)
    }

    /// Sees to it that a seat is taken in the end, whatever came of the first attempt. `true`: by a login.
    fn seated(&mut self, request: &Request, mut seat: Result<bool>) -> Result<()> {
        let mut waits = self.client.seat_waits();
        let mut failures = 0;
        loop {
            match seat {
                Ok(logged_in) => {
                    if logged_in {
                        self.worker.count_login();
                    }
                    return Ok(());
                }
                Err(error) => {
                    self.give_up_seat();
                    let passes = error.is_retryable() && error.attempts() <= 1 && failures < PASSING;
                    let goes_on = error.kind() == ErrorKind::SeatLimit || passes;
                    if !goes_on || self.worker.is_stopped() {
                        return Err(self.refused(request, &error));
                    }
                    failures += usize::from(error.kind() != ErrorKind::SeatLimit);
                }
            }
            seat = self.wait_for_seat(waits.next().unwrap_or_default());
        }
    }

    /// The error of a request that was not sent because nobody could sign in.
    fn refused(&self, request: &Request, error: &Error) -> Error {
        if error.kind() == ErrorKind::Auth {
            self.worker.end_batch(error);
        }
        request.label(unsent(error))
    }

    /// Logs the session out, as far as there is one, and frees its place.
    fn give_up_seat(&mut self) {
        if let Some(conversation) = self.part() {
            let _ = self.client.log_out(conversation, self.worker.time_to_close());
        }
    }

    /// Waits, and takes a session that another worker gave back meanwhile, or opens one. `true`: opened.
    fn wait_for_seat(&mut self, wait: Duration) -> Result<bool> {
        self.give_up_seat();
        let mut left = wait;
        while !left.is_zero() {
            if let Some(idle) = self.client.take_idle(&self.worker) {
                self.adopt(idle);
                return Ok(false);
            }
            let slice = left.min(Duration::from_millis(100));
            self.worker.pause(slice, Pause::Limit)?;
            left -= slice;
        }
        self.take_seat()
    }

    /// Takes a session that nobody uses, or opens one. `true`: opened.
    fn take_seat(&mut self) -> Result<bool> {
        if let Some(idle) = self.client.take_idle(&self.worker) {
            self.adopt(idle);
            return Ok(false);
        }
        let conversation = self.client.open(&self.worker)?;
        self.adopt(conversation);
        Ok(true)
    }

    /// The address of the endpoint: `https://host/entity/Default/24.200.001`.
    pub(super) fn endpoint(&mut self) -> Result<(String, Dialect)> {
        let client = Arc::clone(&self.client);
        if let Some(known) = client.endpoint.get() {
            return Ok(known.clone());
        }
        let worker = self.worker.clone();
        let version = client.version(&worker, || self.newest_version())?;
        let settings = &client.settings;
        let dialect = settings.dialect.unwrap_or_else(|| Dialect::of_version(&version));
        let path = format!("/entity/{}/{}", address::segment(&settings.endpoint), address::segment(&version));
        Ok(client.endpoint.get_or_init(|| (settings.base.join(&path), dialect)).clone())
    }

    /// A request for an entity of the endpoint; `below` is what follows the entity's name.
    pub(super) fn entity_request(
        &mut self,
        method: Method,
        entity: &str,
        below: &str,
        query: Option<&Query>,
    ) -> Result<Request> {
        let name = address::name("an entity", entity)?;
        let (endpoint, dialect) = self.endpoint()?;
        let query = match query.map(|query| query.to_query_string(dialect)).transpose()? {
            Some(query) if !query.is_empty() => format!("?{query}"),
            _ => String::new(),
        };
        let key = percent_decode_str(below).decode_utf8_lossy();
        let request = Request::new(method, format!("{endpoint}/{name}{below}{query}"))
            .header("Accept", "application/json")
            .entity(format!("{entity}{key}"));
        Ok(self.scope.add_to(request))
    }

    /// The newest version of the endpoint that the server has.
    fn newest_version(&mut self) -> Result<String> {
        #[derive(Deserialize)]
        struct Directory {
            #[serde(default)]
            endpoints: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct Listed {
            name: String,
            version: String,
        }
        let url = self.client.settings.base.join("/entity");
        let mut request =
            Request::new(Method::GET, url).header("Accept", "application/json").operation("find endpoint");
        let proven = self.conversation.as_ref().is_some_and(|conversation| conversation.proven);
        let answer = self.send(&mut request)?;
        if let Some(conversation) = &mut self.conversation {
            // It is answered without a session too, so it says nothing of this one.
            conversation.proven &= proven;
        }
        let directory: Directory = answer.json(&request)?;
        let wanted = &self.client.settings.endpoint;
        let newest = directory
            .endpoints
            .iter()
            .filter(|listed| listed.name.eq_ignore_ascii_case(wanted))
            .max_by_key(|listed| numbers(&listed.version));
        newest.map(|listed| listed.version.clone()).ok_or_else(|| {
            let mut names: Vec<_> = directory.endpoints.iter().map(|listed| listed.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let message = format!("the server has no endpoint {wanted:?}; it has {}", names.join(", "));
            answer.to_error(&request, ErrorKind::NotFound, message)
        })
    }
}

/// A version by its numbers, so that 24.200 comes after 9.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Some servers send a session that has expired to the login page.
fn is_login_page(answer: &Answer) -> bool {
    (300..400).contains(&answer.status())
        && answer
            .header("location")
            .is_some_and(|location| location.to_ascii_lowercase().contains("login.aspx"))
}

/// Sends a request that opens its session, as the first one with a token does: a 429 that tells of seats
/// is one session's own matter, as at a login, and no sign to all of them to go slower.
fn send_as_login(wire: &mut Wire, request: &Request) -> Result<Answer> {
    let answer = wire.send(&request.clone().throttling_is_final())?;
    if matches!(answer.status(), 429 | 503) {
        let error = refusal::read(&answer, request);
        if error.kind() != ErrorKind::SeatLimit && !error.is_in_doubt() {
            return wire.send(request);
        }
    }
    Ok(answer)
}

/// An error of a request that may have been applied before, its answer lost.
fn told(error: Error, lost: bool) -> Error {
    if lost { error.with_delivery(Delivery::MaybeSent).with_resendable(true) } else { error }
}

/// What a failed login means for the request that needed it: it was not sent.
fn unsent(error: &Error) -> Error {
    let told = Error::new(error.kind(), format!("could not sign in again: {}", error.message()));
    let told = told.with_delivery(Delivery::NotSent);
    match error.status() {
        Some(status) => told.with_status(status),
        None => told,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.release();
    }
}
