//! Who the client is: a name and password for cookie sessions, or OAuth tokens shared by the sessions.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::client::alone_at;
use super::refusal;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Base, Method, Nature, Request, Wire};
use crate::secret::Secret;

/// A token is renewed this long before it runs out, or at three quarters of a shorter life, so that none
/// runs out on its way.
const EARLY: Duration = Duration::from_secs(60);

/// What a client signs in with.
#[derive(Debug)]
pub(super) enum Auth {
    Login(Login),
    OAuth(Tokens),
}

/// A name and password, with what belongs to the sign-in.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) name: String,
    pub(super) password: Secret,
    pub(super) tenant: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) locale: Option<String>,
}

impl Login {
    /// Never `company` beside `tenant`: the server refuses both together.
    pub(super) fn request(&self, base: &Base) -> Result<Request> {
        let mut body = json!({ "name": self.name, "password": self.password.expose() });
        for (field, value) in [("tenant", &self.tenant), ("branch", &self.branch), ("locale", &self.locale)] {
            if let Some(value) = value {
                body[field] = json!(value);
            }
        }
        Ok(Request::new(Method::POST, base.join("/entity/auth/login"))
            .nature(Nature::Keyed)
            .header("Accept", "application/json")
            .json(&body)?
            .operation("login")
            .throttling_is_final())
    }
}

/// What a refused login means. The server answers a wrong password with 500 (recorded), a taken seat in
/// four ways, the rest as it likes.
pub(super) fn refused_login(answer: &Answer, request: &Request) -> Error {
    let error = refusal::read(answer, request);
    let kind = match error.kind() {
        // Documented: 429 on login means that all seats are taken.
        ErrorKind::RateLimited => ErrorKind::SeatLimit,
        ErrorKind::Forbidden | ErrorKind::Rejected => ErrorKind::Auth,
        _ => return error,
    };
    let again = answer.to_error(request, kind, error.message());
    again.with_field_errors(error.field_errors().to_vec())
}

/// How a client gets its OAuth tokens. Needs HTTPS on a real server.
///
/// The grants are those of the Integration Development Guide, 2026 R1. The tokens are shared by all
/// sessions of the client and renewed once, by one of them, before they run out.
///
/// ```
/// use batchcall::acumatica::OAuth;
///
/// let oauth = OAuth::new("6B68F7F7@Company", "client-s3cret").tokens("acc3ss", "r3fresh");
/// assert!(!format!("{oauth:?}").contains("3"), "a secret is shown");
/// ```
#[derive(Clone)]
pub struct OAuth {
    client_id: String,
    client_secret: Secret,
    scope: String,
    pub(super) grant: Option<Grant>,
}

#[derive(Clone)]
pub(super) enum Grant {
    Password { name: String, password: Secret },
    Code { code: Secret, redirect_uri: String },
    Tokens { access: Secret, refresh: Option<Secret> },
}

impl OAuth {
    /// A connected application: its id (`GUID@Tenant`, which chooses the tenant) and secret.
    #[must_use]
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            scope: "api:concurrent_access offline_access".into(),
            grant: None,
        }
    }

    /// Resource owner grant: the user's name and password are exchanged for tokens.
    #[must_use]
    pub fn password(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.grant = Some(Grant::Password { name: name.into(), password: password.into() });
        self
    }

    /// Authorization code grant: a code that the user's browser brought back is exchanged for tokens.
    #[must_use]
    pub fn code(mut self, code: impl Into<Secret>, redirect_uri: impl Into<String>) -> Self {
        self.grant = Some(Grant::Code { code: code.into(), redirect_uri: redirect_uri.into() });
        self
    }

    /// Tokens that you have already: an access token, and a refresh token to renew it with.
    #[must_use]
    pub fn tokens(mut self, access: impl Into<Secret>, refresh: impl Into<Secret>) -> Self {
        self.grant = Some(Grant::Tokens { access: access.into(), refresh: Some(refresh.into()) });
        self
    }

    /// An access token alone: when it runs out, calls fail.
    #[must_use]
    pub fn access_token(mut self, access: impl Into<Secret>) -> Self {
        self.grant = Some(Grant::Tokens { access: access.into(), refresh: None });
        self
    }

    /// The scope asked for. `api` is one session per token; `api:concurrent_access` is a session for each
    /// worker. Defaults to `api:concurrent_access offline_access`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.grant {
            None => {
                problems.push("OAuth has no grant: call password, code, tokens or access_token".to_owned());
            }
            Some(Grant::Tokens { access, .. }) if access.is_empty() => {
                problems.push("the OAuth access token is empty".to_owned());
            }
            Some(Grant::Password { name, password }) if name.is_empty() || password.is_empty() => {
                problems.push("the OAuth user name or password is empty".to_owned());
            }
            _ => {}
        }
        let needs_client = !matches!(self.grant, Some(Grant::Tokens { refresh: None, .. }));
        if needs_client && self.client_id.is_empty() {
            problems.push("the OAuth client id is empty".to_owned());
        }
        problems
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = match &self.grant {
            None => "none",
            Some(Grant::Password { .. }) => "password",
            Some(Grant::Code { .. }) => "authorization_code",
            Some(Grant::Tokens { .. }) => "tokens",
        };
        f.debug_struct("OAuth")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("grant", &grant)
            .finish_non_exhaustive()
    }
}

/// The tokens of a client, shared by its sessions.
pub(super) struct Tokens {
    oauth: OAuth,
    state: Mutex<TokenState>,
    /// Held while a token is fetched: whoever else needs one waits for it instead of fetching another.
    renewing: Mutex<()>,
}

struct TokenState {
    grant: Grant,
    access: Option<Access>,
    /// Counts renewals: a session whose token was refused takes a newer one where there is one.
    generation: u64,
}

struct Access {
    token: Secret,
    /// When to fetch another one; `None`: when it is refused.
    renew: Option<Instant>,
}

/// A token to send, and which renewal it came from.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) token: Secret,
    pub(super) generation: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(oauth: OAuth) -> Self {
        let grant = oauth.grant.clone().unwrap_or(Grant::Tokens { access: Secret::new(""), refresh: None });
        let access = match &grant {
            Grant::Tokens { access, .. } => Some(Access { token: access.clone(), renew: None }),
            _ => None,
        };
        let state = Mutex::new(TokenState { grant, access, generation: 0 });
        Self { oauth, state, renewing: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token there is, if it is good for a while. `refused`: the renewal whose token was refused.
    pub(super) fn current(&self, refused: Option<u64>) -> Option<Bearer> {
        let state = self.state();
        let access = state.access.as_ref()?;
        let is_good = access.renew.is_none_or(|at| at > Instant::now())
            && refused.is_none_or(|generation| generation < state.generation);
        is_good.then(|| Bearer { token: access.token.clone(), generation: state.generation })
    }

    /// A token that is good for a while; fetched, if the one there is, is not.
    pub(super) fn bearer(&self, base: &Base, wire: &mut Wire, refused: Option<u64>) -> Result<Bearer> {
        if let Some(bearer) = self.current(refused) {
            return Ok(bearer);
        }
        let _alone = alone_at(&self.renewing, wire.worker())?;
        if let Some(bearer) = self.current(refused) {
            return Ok(bearer);
        }
        let grant = self.state().grant.clone();
        match self.exchange(&grant, base, wire) {
            // A refresh token that was used up or whose answer was lost: the password is still good.
            Err(error)
                if matches!(grant, Grant::Tokens { .. })
                    && (error.kind() == ErrorKind::Auth || error.delivery() == Some(Delivery::MaybeSent)) =>
            {
                match &self.oauth.grant {
                    Some(password @ Grant::Password { .. }) => self.exchange(password, base, wire),
                    _ => Err(error),
                }
            }
            exchanged => exchanged,
        }
    }

    fn exchange(&self, grant: &Grant, base: &Base, wire: &mut Wire) -> Result<Bearer> {
        let mut form = vec![
            ("client_id", self.oauth.client_id.as_str()),
            ("client_secret", self.oauth.client_secret.expose()),
        ];
        match grant {
            Grant::Password { name, password } => {
                form.push(("grant_type", "password"));
                form.push(("username", name));
                form.push(("password", password.expose()));
                form.push(("scope", &self.oauth.scope));
            }
            Grant::Code { code, redirect_uri } => {
                form.push(("grant_type", "authorization_code"));
                form.push(("code", code.expose()));
                form.push(("redirect_uri", redirect_uri));
            }
            Grant::Tokens { refresh: Some(refresh), .. } => {
                form.push(("grant_type", "refresh_token"));
                form.push(("refresh_token", refresh.expose()));
            }
            Grant::Tokens { refresh: None, .. } => {
                let message = "the access token was refused or ran out, and there is no refresh token";
                return Err(Error::new(ErrorKind::Auth, message));
            }
        }
        // A code or a refresh token is good once: if the answer is lost, so is the token.
        let nature = if matches!(grant, Grant::Password { .. }) { Nature::Keyed } else { Nature::Write };
        let request = Request::new(Method::POST, base.join("/identity/connect/token"))
            .nature(nature)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json")
            .body(encode_form(&form).into_bytes())
            .operation("token");
        let answer = wire.send(&request)?;
        if !answer.is_success() {
            // 400 invalid_grant is a wrong password or a used-up token.
            return Err(refused_login(&answer, &request));
        }
        let tokens: TokenAnswer = answer.json(&request)?;
        let access = Secret::new(tokens.access_token);
        let mut state = self.state();
        // A password can be used again when no refresh token came with the access token.
        match (grant, tokens.refresh_token.map(Secret::new)) {
            (_, Some(refresh)) => {
                state.grant = Grant::Tokens { access: access.clone(), refresh: Some(refresh) };
            }
            (Grant::Code { .. }, None) => {
                state.grant = Grant::Tokens { access: access.clone(), refresh: None };
            }
            (_, None) => {}
        }
        let renew = tokens.expires_in.and_then(|seconds| {
            let life = Duration::from_secs(seconds);
            Instant::now().checked_add(life - EARLY.min(life / 4))
        });
        state.access = Some(Access { token: access.clone(), renew });
        state.generation += 1;
        Ok(Bearer { token: access, generation: state.generation })
    }
}

fn encode_form(form: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.oauth.fmt(f)
    }
}
