//! Signing in: which protocol, and who we are, found out once for all sessions where that is possible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Args, Call};
use super::client::{Client, Conversation};
use super::context::Context;
use super::protocol::{self, JSON2_SINCE, Protocol};
use super::refusal::Refusal;
use super::rpc::Reply;
use super::verbs::FieldInfo;
use super::{json2, rpc};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Cookies, Nature, Request};
use crate::secret::Secret;

/// For how long a server takes no logins after ten that failed (`base.login_cooldown_duration`).
const COOLDOWN: Duration = Duration::from_secs(60);

/// What is known about the server.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) protocol: Option<Protocol>,
    /// The major version.
    pub(super) version: Option<u64>,
    /// The fields of models.
    pub(super) fields: HashMap<String, Arc<BTreeMap<String, FieldInfo>>>,
    /// Of the user, by a protocol without sessions: the credentials are proven.
    uid: Option<i64>,
}

impl Client {
    /// Signs in, and says whether that took a request.
    pub(super) fn sign_in(&self, conversation: &mut Conversation) -> Result<bool> {
        conversation.cookies = Cookies::default();
        // The others wait: what is found out now, they need not ask.
        let mut known = self.known();
        let protocol = self.choose(&mut known, conversation)?;
        conversation.protocol = protocol;
        if protocol == Protocol::WebSession {
            // Every session has a login of its own.
            drop(known);
            return match self.authenticate(conversation)? {
                true => Ok(true),
                false => {
                    let mut known = self.known();
                    known.protocol = Some(Protocol::JsonRpc);
                    drop(known);
                    self.sign_in(conversation)
                }
            };
        }
        if let Some(uid) = known.uid {
            conversation.uid = uid;
            return Ok(false);
        }
        let uid = match protocol {
            Protocol::Json2 => self.prove_key(conversation)?,
            _ => self.look_up_uid(conversation)?,
        };
        known.uid = Some(uid);
        conversation.uid = uid;
        Ok(true)
    }

    /// The credentials have to be proven again.
    pub(super) fn doubt_credentials(&self) {
        self.known().uid = None;
    }

    /// Which protocol: as it was forced, or by what the server has.
    fn choose(&self, known: &mut Known, conversation: &mut Conversation) -> Result<Protocol> {
        let settings = &self.settings;
        if let Some(protocol) = settings.protocol.or(known.protocol) {
            return Ok(protocol);
        }
        let password = settings.password.is_some();
        let protocol = if settings.api_key.is_some() {
            let version = protocol::ask_version(&settings.base, &mut conversation.wire)?;
            known.version = version;
            match version {
                Some(version) if version >= JSON2_SINCE => Protocol::Json2,
                _ if password => Protocol::WebSession,
                _ if settings.user.is_some() && settings.database.is_some() => Protocol::JsonRpc,
                _ => {
                    let message = "the server has no JSON-2 (Odoo 19 and later): \
                                   it takes an API key with user(..) and database(..)";
                    return Err(Error::new(ErrorKind::Invalid, message)
                        .with_operation("login")
                        .with_delivery(Delivery::NotSent));
                }
            }
        } else {
            Protocol::WebSession
        };
        known.protocol = Some(protocol);
        Ok(protocol)
    }

    fn user_and_database(&self) -> Result<(&str, &str)> {
        match (&self.settings.user, &self.settings.database) {
            (Some(user), Some(database)) => Ok((user, database)),
            _ => Err(Error::new(ErrorKind::Invalid, "a login needs the user and the database")),
        }
    }

    /// The password, or the key that stands for it.
    pub(super) fn secret(&self) -> Result<&Secret> {
        let settings = &self.settings;
        let secret = settings.api_key.as_ref().or(settings.password.as_ref());
        secret.ok_or_else(|| Error::new(ErrorKind::Invalid, "there are no credentials"))
    }

    /// A web session; `false` where the server has none and nobody demanded one.
    ///
    /// `X-Odoo-Database` would make it one without a cookie, and an old cookie would be rotated: a login
    /// goes out with neither.
    fn authenticate(&self, conversation: &mut Conversation) -> Result<bool> {
        let (user, database) = self.user_and_database()?;
        let password = self.settings.password.as_ref().map_or("", Secret::expose);
        let id = self.next_id();
        let params = json!({"db": database, "login": user, "password": password});
        let request = rpc::session(&self.settings.base, "/web/session/authenticate", &params, id)?;
        let request = login(request);
        let answer = conversation.wire.send(&request)?;
        let there_is_none = answer.status() == 404 && self.settings.protocol.is_none();
        if there_is_none {
            return Ok(false);
        }
        let session = match rpc::read(&answer, &request, id).map_err(settled)? {
            Reply::Result(session) => session,
            Reply::Refusal(refusal) => return Err(self.refused(refusal, &answer, &request)),
        };
        let Some(uid) = session.get("uid").and_then(Value::as_i64) else {
            let message = "the password is right, and the user needs a second factor: use an API key";
            return Err(answer.to_error(&request, ErrorKind::Auth, message));
        };
        answer.set_cookies().for_each(|line| conversation.cookies.set(line));
        if conversation.cookies.is_empty() {
            let message = "the login was accepted, but no session came with it";
            return Err(settled(answer.to_error(&request, ErrorKind::Protocol, message)));
        }
        conversation.uid = uid;
        let version = session.get("server_version_info").and_then(protocol::major);
        if version.is_some() {
            self.known().version = version;
        }
        Ok(true)
    }

    /// Who the user of `/jsonrpc` is. A refusal is `false` and no error.
    fn look_up_uid(&self, conversation: &mut Conversation) -> Result<i64> {
        let (user, database) = self.user_and_database()?;
        let id = self.next_id();
        let args = json!([database, user, self.secret()?.expose(), {}]);
        let request = login(rpc::service(&self.settings.base, "common", "authenticate", &args, id)?);
        let answer = conversation.wire.send(&request)?;
        match rpc::read(&answer, &request, id).map_err(settled)? {
            Reply::Result(uid) => uid.as_i64().ok_or_else(|| {
                let message = "the server knows no such user, or not with this password or key";
                answer.to_error(&request, ErrorKind::Auth, message)
            }),
            Reply::Refusal(refusal) => Err(self.refused(refusal, &answer, &request)),
        }
    }

    /// Whether the key of JSON-2 is good: otherwise every session would find out by itself.
    fn prove_key(&self, conversation: &mut Conversation) -> Result<i64> {
        let (context, args) = (Context::new(), Args::new());
        let method = ("res.users", "context_get");
        let call = Call::from(&args);
        let request = login(json2::call(&self.settings.base, self.key()?, method, call, &context, None)?);
        let answer = conversation.wire.send(&request)?;
        match json2::read(&answer, &request).map_err(settled)? {
            Reply::Result(context) => Ok(context.get("uid").and_then(Value::as_i64).unwrap_or_default()),
            Reply::Refusal(refusal) => Err(self.refused(refusal, &answer, &request)),
        }
    }

    /// The error of a login that was refused.
    fn refused(&self, refusal: Refusal, answer: &Answer, request: &Request) -> Error {
        if refusal.is_cooldown() {
            self.cool_down(COOLDOWN);
            let message = "too many logins failed: the server takes none from this address for a minute";
            return answer.to_error(request, ErrorKind::RateLimited, message).with_retry_after(COOLDOWN);
        }
        let error = refusal.into_error(answer, request, "", "");
        let name = error.remote_name().unwrap_or_default();
        // The server's words would tell where its database server is.
        let no_database = name == "psycopg2.OperationalError" || error.message() == "Database not found.";
        if no_database {
            let database = self.settings.database.as_deref().unwrap_or_default();
            let message = format!("the server cannot open the database {database:?}");
            let name = name.to_owned();
            return answer.to_error(request, ErrorKind::NotFound, message).with_remote_name(name);
        }
        settled(error)
    }
}

/// A login changes nothing that matters: one that is lost may go again.
fn login(request: Request) -> Request {
    request.nature(Nature::Keyed).operation("login")
}

/// No call is in doubt because of a login.
fn settled(error: Error) -> Error {
    error.with_resendable(true)
}
