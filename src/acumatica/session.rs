//! A session: sends a request as who it is, signs in again when it has expired, reads refusals.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::address;
use super::client::{Client, Conversation, authorization};
use super::query::{Dialect, Query};
use super::refusal;
use super::scope::Scope;
use crate::engine::connect::{Interrupt, Pause, Worker};
use crate::engine::retry::Backoff;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Method, Request};
use std::sync::Arc;

/// How often a session that the server accepted and then did not know is opened anew, before the call fails.
const UNKNOWN_SESSIONS: usize = 8;

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
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.settings.base).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(client: Arc<Client>, conversation: Conversation, worker: &Worker) -> Self {
        Self { client, conversation: Some(conversation), worker: worker.clone(), scope: Scope::default() }
    }

    pub(super) fn interrupt(&self) -> Interrupt {
        match &self.conversation {
            Some(conversation) => conversation.wire.interrupt(),
            None => Box::new(|| {}),
        }
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
        match self.conversation.take() {
            Some(conversation) => self.client.give_back(conversation, self.worker.time_to_close()),
            None => Ok(()),
        }
    }

    /// Sends a request as this session, signing in again if it has expired. Only a 2xx comes back.
    pub(super) fn send(&mut self, request: &mut Request) -> Result<Answer> {
        self.send_unless(request, |_| false)
    }

    /// As [`send`](Self::send), where some other answers are fine too.
    pub(super) fn send_unless(
        &mut self,
        request: &mut Request,
        fine: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let mut unknown = 0;
        let mut again = false;
        let mut waits =
            Backoff::new(Duration::from_millis(500), Duration::from_secs(20), fastrand::Rng::new());
        loop {
            let answer = self.send_as_is(request)?;
            if answer.is_success() || fine(&answer) {
                return Ok(answer);
            }
            let error = refusal::read(&answer, request);
            if answer.status() != 401 && !is_login_page(&answer) {
                return Err(error);
            }
            let conversation = self.conversation.as_ref().expect("a request was sent on it");
            if conversation.proven && !again {
                // It had worked: it has expired, or somebody ended it.
                again = true;
                self.sign_in_again(request)?;
            } else if again {
                // Signed in anew, and refused: that will not change by doing it once more.
                let message = format!("refused straight after a good login: {}", error.message());
                return Err(answer.to_error(request, ErrorKind::Auth, message));
            } else {
                // A good login, and the first request is refused: one of the ways in which the server
                // says that all seats are taken.
                unknown += 1;
                if unknown > UNKNOWN_SESSIONS {
                    let message = format!(
                        "{UNKNOWN_SESSIONS} logins were accepted, and each session was unknown right after it"
                    );
                    return Err(answer.to_error(request, ErrorKind::SeatLimit, message));
                }
                self.wait_for_seat(request, waits.next().unwrap_or_default())?;
            }
        }
    }

    fn send_as_is(&mut self, request: &mut Request) -> Result<Answer> {
        if self.conversation.as_ref().is_none_or(|conversation| conversation.suspect) {
            self.sign_in_again(request)?;
        }
        let conversation = self.conversation.as_mut().expect("a session was opened above");
        if !conversation.cookies.is_empty() {
            request.set_header("Cookie", conversation.cookies.header());
        }
        if let Some(bearer) = &conversation.bearer {
            request.set_header("Authorization", authorization(&bearer.token));
        }
        // Until the answer is there, the server may be busy with it, and the session with the server.
        conversation.suspect = true;
        let answer = conversation.wire.send(request);
        conversation.suspect = match &answer {
            Ok(_) => false,
            Err(error) => error.delivery() != Some(Delivery::NotSent),
        };
        let answer = answer?;
        answer.set_cookies().for_each(|line| conversation.cookies.set(line));
        conversation.proven |= answer.status() != 401;
        Ok(answer)
    }

    /// Opens the session anew. An error is one of a request that was not sent.
    fn sign_in_again(&mut self, request: &Request) -> Result<()> {
        let signed_in = match &mut self.conversation {
            Some(conversation) if !conversation.suspect && !conversation.wire.is_interrupted() => {
                let refused = conversation.bearer.as_ref().map(|bearer| bearer.generation);
                self.client.log_in(conversation, refused)
            }
            _ => {
                // The old one is logged out: a request of it may still be running and would hold the
                // new ones up.
                if let Some(old) = self.conversation.take() {
                    let _ = self.client.log_out(old, self.worker.time_to_close());
                }
                if let Some(idle) = self.client.take_idle(&self.worker) {
                    self.conversation = Some(idle);
                    return Ok(());
                }
                self.worker.check().and_then(|()| self.client.open(&self.worker)).map(|new| {
                    self.conversation = Some(new);
                })
            }
        };
        match signed_in {
            Ok(()) => {
                self.worker.count_login();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::SeatLimit => {
                let mut waits =
                    Backoff::new(Duration::from_millis(500), Duration::from_secs(20), fastrand::Rng::new());
                self.drop_lost();
                loop {
                    let wait = waits.next().unwrap_or_default();
                    match self.wait_for_seat(request, wait) {
                        Err(error) if error.kind() == ErrorKind::SeatLimit => {}
                        ended => return ended,
                    }
                }
            }
            Err(error) => {
                self.drop_lost();
                if error.kind() == ErrorKind::Auth {
                    self.worker.end_batch(&error);
                }
                Err(request.label(unsent(&error)))
            }
        }
    }

    /// A conversation that has no session behind it any more.
    fn drop_lost(&mut self) {
        if self.conversation.take().is_some() {
            self.client.forget();
        }
    }

    /// Waits, and takes a session that another worker gave back meanwhile, or opens one.
    fn wait_for_seat(&mut self, request: &Request, wait: Duration) -> Result<()> {
        if let Some(unknown) = self.conversation.take() {
            let _ = self.client.log_out(unknown, self.worker.time_to_close());
        }
        let mut left = wait;
        loop {
            if let Some(idle) = self.client.take_idle(&self.worker) {
                self.conversation = Some(idle);
                return Ok(());
            }
            if left.is_zero() {
                break;
            }
            let slice = left.min(Duration::from_millis(100));
            self.worker.pause(slice, Pause::Limit).map_err(|error| request.label(error))?;
            left -= slice;
        }
        match self.client.open(&self.worker) {
            Ok(conversation) => {
                self.worker.count_login();
                self.conversation = Some(conversation);
                Ok(())
            }
            Err(error) => Err(request.label(unsent(&error))),
        }
    }

    /// The address of the endpoint: `https://host/entity/Default/24.200.001`.
    pub(super) fn endpoint(&mut self) -> Result<(String, Dialect)> {
        let client = Arc::clone(&self.client);
        if let Some(known) = client.endpoint.get() {
            return Ok(known.clone());
        }
        let version = client.version(|| self.newest_version())?;
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
        let answer = self.send(&mut request)?;
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
