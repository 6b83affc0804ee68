//! OAuth 2.0: tokens, and the sessions that they open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use super::errors;
use super::session::Session;
use super::site::Site;
use crate::sandbox::history::Refusal;
use crate::sandbox::http::{Head, Request, Response, form};
use crate::sandbox::lock;

/// The tokens that were handed out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    access: HashMap<String, (Grant, Instant)>,
    refresh: HashMap<String, Grant>,
    codes: HashMap<String, Grant>,
}

/// What a user agreed to.
#[derive(Debug, Clone)]
struct Grant {
    scope: String,
    /// The session of the grant. With `api` each access token opens its own; with `api offline_access` one
    /// serves the grant over all refreshes (Integration Development Guide 2026 R1).
    session: Arc<Mutex<Option<String>>>,
}

impl Grant {
    fn new(scope: String) -> Self {
        Self { scope, session: Arc::default() }
    }

    fn has(&self, scope: &str) -> bool {
        self.scope.split_whitespace().any(|part| part == scope)
    }
}

impl Site {
    pub(super) fn identity(&self, request: &Request, what: &str) -> Response {
        match (request.head.method.as_str(), what.to_ascii_lowercase().as_str()) {
            ("POST", "connect/token") => self.token(request),
            ("GET", "connect/authorize") => self.authorize(&request.head),
            // The session outlives the token that is revoked (reports from the field).
            ("POST", "connect/revocation") => {
                let body = String::from_utf8_lossy(&request.body);
                let mut tokens = lock(&self.tokens);
                for (_, token) in form(&body).iter().filter(|(name, _)| name == "token") {
                    tokens.access.remove(token);
                    tokens.refresh.remove(token);
                }
                Response::new(200)
            }
            ("GET", ".well-known/openid-configuration") => self.discovery(&request.head),
            _ => Response::html(404, "Not Found"),
        }
    }

    fn discovery(&self, head: &Head) -> Response {
        let host = head.header("host").unwrap_or("127.0.0.1");
        let root = format!("http://{host}{}/identity", self.settings.base_path);
        Response::json(
            200,
            &json!({
                "issuer": root,
                "authorization_endpoint": format!("{root}/connect/authorize"),
                "token_endpoint": format!("{root}/connect/token"),
                "revocation_endpoint": format!("{root}/connect/revocation"),
                "scopes_supported": ["openid", "profile", "api", "offline_access", "api:concurrent_access"],
                "grant_types_supported": ["authorization_code", "implicit", "password", "refresh_token"],
                "response_types_supported": ["code", "token", "id_token", "code id_token"],
            }),
        )
    }

    /// The consent page, without the page: the user always agrees.
    fn authorize(&self, head: &Head) -> Response {
        let query = head.query();
        let find = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        if find("client_id") != Some(&self.settings.client.0) {
            return refuse("invalid_client", None);
        }
        let (Some("code"), Some(back)) = (find("response_type"), find("redirect_uri")) else {
            return refuse("invalid_request", None);
        };
        let code = self.sessions.random(32);
        lock(&self.tokens).codes.insert(code.clone(), Grant::new(find("scope").unwrap_or("api").to_owned()));
        let mut to = format!("{back}{}code={code}", if back.contains('?') { '&' } else { '?' });
        if let Some(state) = find("state") {
            let state = percent_encoding::utf8_percent_encode(state, percent_encoding::NON_ALPHANUMERIC);
            to.push_str(&format!("&state={state}"));
        }
        Response::new(302).header("Location", to)
    }

    fn token(&self, request: &Request) -> Response {
        let body = String::from_utf8_lossy(&request.body);
        let fields = form(&body);
        let find =
            |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
        let (id, secret) = match basic(&request.head) {
            Some(pair) => pair,
            None => (find("client_id").to_owned(), find("client_secret").to_owned()),
        };
        if (id, secret) != self.settings.client {
            return refuse("invalid_client", None);
        }
        let grant = match find("grant_type") {
            "password" if self.is_right(find("username"), find("password"), None) => {
                Some(Grant::new(if find("scope").is_empty() { "api".into() } else { find("scope").into() }))
            }
            "password" => {
                self.recorder.refused(Refusal::Credentials);
                return refuse("invalid_grant", Some("invalid_username_or_password"));
            }
            "authorization_code" => lock(&self.tokens).codes.remove(find("code")),
            // Each refresh token is good for one use.
            "refresh_token" => lock(&self.tokens).refresh.remove(find("refresh_token")),
            _ => return refuse("unsupported_grant_type", None),
        };
        let Some(grant) = grant else { return refuse("invalid_grant", None) };
        self.hand_out(grant)
    }

    fn hand_out(&self, grant: Grant) -> Response {
        let access = self.sessions.random(32);
        let mut answer = json!({
            "access_token": access,
            "expires_in": self.settings.token_life.as_secs(),
            "token_type": "Bearer",
            "scope": grant.scope,
        });
        let mut tokens = lock(&self.tokens);
        if grant.has("offline_access") {
            let refresh = self.sessions.random(32);
            answer["refresh_token"] = refresh.as_str().into();
            tokens.refresh.insert(refresh, grant.clone());
        }
        let expires = Instant::now() + self.settings.token_life;
        tokens.access.insert(access, (grant, expires));
        Response::json(200, &answer).header("Cache-Control", "no-store")
    }

    fn grant_of(&self, token: &str) -> Option<Grant> {
        let mut tokens = lock(&self.tokens);
        let (grant, expires) = tokens.access.get(token)?;
        if *expires > Instant::now() {
            return Some(grant.clone());
        }
        let (grant, _) = tokens.access.remove(token)?;
        drop(tokens);
        // The session of a token without refresh ends with the token.
        if !grant.has("offline_access")
            && let Some(id) = lock(&grant.session).take()
        {
            self.sessions.expire(&id);
        }
        None
    }

    /// The session that a request's token has open.
    pub(super) fn session_of_token(&self, head: &Head) -> Option<String> {
        let token = head.header("authorization")?.strip_prefix("Bearer ")?;
        let grant = self.grant_of(token.trim())?;
        lock(&grant.session).clone()
    }

    /// The session of a bearer token, opened if need be.
    pub(super) fn session_of_bearer(
        &self,
        token: &str,
        cookie: Option<&str>,
    ) -> Result<(Arc<Session>, bool), Response> {
        let grant = self.grant_of(token).ok_or_else(errors::unauthorized)?;
        if grant.has("api:concurrent_access") {
            // Many sessions, told apart by cookie: a client that keeps none opens one a request.
            if let Some(session) = cookie.and_then(|id| self.sessions.find(id)) {
                return Ok((session, false));
            }
            return self
                .sessions
                .open(false)
                .map(|session| (session, true))
                .ok_or_else(|| self.no_bearer_seat());
        }
        let mut held = lock(&grant.session);
        if let Some(session) = held.as_deref().and_then(|id| self.sessions.find(id)) {
            return Ok((session, false));
        }
        let session = self.sessions.open(false).ok_or_else(|| self.no_bearer_seat())?;
        *held = Some(session.id.clone());
        Ok((session, true))
    }

    fn no_bearer_seat(&self) -> Response {
        match self.no_seat() {
            // There is no login to succeed here: the 401 comes at once.
            response if response.status == 204 => errors::unauthorized(),
            response => response,
        }
    }

    /// Whether the request carries the right name and password, or a token: what OData asks for. No session
    /// is opened.
    pub(super) fn may_query(&self, head: &Head) -> bool {
        if let Some((name, password)) = basic(head) {
            // `name@tenant` is allowed as well.
            let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
            return self.is_right(name, &password, None);
        }
        let token = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| self.grant_of(token.trim()).is_some())
    }
}

fn refuse(error: &str, description: Option<&str>) -> Response {
    let mut body = json!({"error": error});
    if let Some(description) = description {
        body["error_description"] = Value::from(description);
    }
    Response::json(400, &body)
}

/// Name and password of HTTP Basic.
fn basic(head: &Head) -> Option<(String, String)> {
    let encoded = head.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(base64(encoded.trim())?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Decodes base64: a dozen lines instead of a dependency.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("YWRtaW46YWRtaW4=").unwrap(), b"admin:admin");
        assert_eq!(base64("YQ").unwrap(), b"a");
        assert_eq!(base64("Y!"), None);
    }
}
