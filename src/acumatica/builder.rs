//! How a client is set up: every setting, checked together before anything is sent.

use std::time::Duration;

use super::auth::{Auth, Login, OAuth, Tokens};
use super::client::{Acumatica, Settings};
use super::query::Dialect;
use crate::engine::retry::RetryPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Base, Host, HttpConfig};
use crate::secret::Secret;

/// Sets up an [`Acumatica`] client. Nothing is sent before the first call needs it.
///
/// ```
/// use batchcall::acumatica::Acumatica;
///
/// let client = Acumatica::builder("https://erp.example.com/Inst")
///     .login("admin", "secret")
///     .tenant("Company")
///     .endpoint("Default", "24.200.001")
///     .max_sessions(3)
///     .build()?;
/// assert!(!format!("{client:?}").contains("secret"));
///
/// // Everything that is wrong is said at once.
/// let error = Acumatica::builder("erp.example.com").max_sessions(0).build().unwrap_err();
/// assert!(error.message().contains("scheme") && error.message().contains("max_sessions"));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until build is called"]
pub struct AcumaticaBuilder {
    url: String,
    login: Option<(String, Secret)>,
    oauth: Option<OAuth>,
    tenant: Option<String>,
    branch: Option<String>,
    locale: Option<String>,
    endpoint: String,
    version: Option<String>,
    dialect: Option<Dialect>,
    max_sessions: Option<usize>,
    idle_timeout: Duration,
    http: HttpConfig,
}

impl AcumaticaBuilder {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            login: None,
            oauth: None,
            tenant: None,
            branch: None,
            locale: None,
            endpoint: "Default".into(),
            version: None,
            dialect: None,
            max_sessions: None,
            idle_timeout: Duration::from_secs(8 * 60),
            http: HttpConfig::default(),
        }
    }

    /// From variables of the environment, or from wherever `variable` looks them up.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let needed = ["ACUMATICA_URL", "ACUMATICA_USERNAME", "ACUMATICA_PASSWORD"];
        let (Some(url), Some(name), Some(password)) = (get(needed[0]), get(needed[1]), variable(needed[2]))
        else {
            let missing: Vec<_> = needed.into_iter().filter(|name| get(name).is_none()).collect();
            let message = format!("variables are missing from the environment: {}", missing.join(", "));
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let mut builder = Self::new(url).login(name, password);
        builder.tenant = get("ACUMATICA_TENANT");
        builder.branch = get("ACUMATICA_BRANCH");
        builder.locale = get("ACUMATICA_LOCALE");
        if let Some(endpoint) = get("ACUMATICA_ENDPOINT") {
            builder.endpoint = endpoint;
        }
        builder.version = get("ACUMATICA_ENDPOINT_VERSION");
        if let Some(sessions) = get("ACUMATICA_MAX_SESSIONS") {
            let sessions = sessions.parse().map_err(|_| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("ACUMATICA_MAX_SESSIONS is {sessions:?}, not a number"),
                )
            })?;
            builder.max_sessions = Some(sessions);
        }
        Ok(builder)
    }

    /// The user's name and password. Defaults to none: this or [`oauth`](Self::oauth) is needed.
    pub fn login(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.login = Some((name.into(), password.into()));
        self
    }

    /// Signs in with OAuth tokens, which all sessions share. Defaults to none.
    pub fn oauth(mut self, oauth: OAuth) -> Self {
        self.oauth = Some(oauth);
        self
    }

    /// The tenant. Defaults to none, for servers that have one alone.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The branch to sign in to. Defaults to the user's own.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// The locale, such as `en-US`. Defaults to the server's.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// The endpoint and its version. Defaults to the newest version of `Default`, which is asked for
    /// (`GET /entity`) when the first call needs it.
    pub fn endpoint(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.endpoint = name.into();
        self.version = Some(version.into());
        self
    }

    /// The endpoint, in its newest version. Defaults to `Default`.
    pub fn newest_endpoint(mut self, name: impl Into<String>) -> Self {
        self.endpoint = name.into();
        self.version = None;
        self
    }

    /// How queries are written. Defaults to what the endpoint's version says; a custom endpoint, whose
    /// versions are its own, may need it said.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// How many sessions this client opens at most, over all batches: what the licence leaves it. A batch
    /// with more workers goes on with these. Defaults to no limit of its own.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// How long an unused session is kept for the next batch. The server ends it after 10 minutes
    /// (Integration Development Guide, 2026 R1). Defaults to 8 minutes.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long one request may take, from the name look-up to the last byte of the answer. Defaults
    /// to 60 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.http.timeout = timeout;
        self
    }

    /// How long opening a connection may take. Defaults to 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// How single requests are tried again. Defaults to [`RetryPolicy::new`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.http.retry = policy;
        self
    }

    /// How long a server that takes no requests at all is waited for before calls fail. Defaults to 60 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.http.patience = patience;
        self
    }

    /// The most requests in a second, of all sessions together. Defaults to no limit.
    pub fn requests_per_second(mut self, rate: f64) -> Self {
        self.http.requests_per_second = Some(rate);
        self
    }

    /// The most requests in a minute, of all sessions together, as the licence says (SM604000). From half
    /// of it on they are spread evenly, as the server would do. Defaults to no limit.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.http.requests_per_minute = Some(requests);
        self
    }

    /// The longest answer that is read, in bytes. Defaults to 16 MiB.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.http.max_body = bytes;
        self
    }

    /// Certificates in PEM that are trusted in place of the public authorities: for a company's own.
    /// Defaults to the public ones.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.root_certificates.push(pem.into());
        self
    }

    /// Talks to whoever answers, and tells them the password. For tests alone. Defaults to `false`.
    pub fn danger_accept_invalid_certificates(mut self, accept: bool) -> Self {
        self.http.danger_accept_invalid_certificates = accept;
        self
    }

    /// Makes the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) names everything that is wrong or missing.
    pub fn build(self) -> Result<Acumatica> {
        let mut problems = Vec::new();
        let base = Base::parse(&self.url).map_err(|problem| problems.push(problem)).ok();
        match (&self.login, &self.oauth) {
            (None, None) => problems.push("no credentials: call login or oauth".to_owned()),
            (Some(_), Some(_)) => problems.push("login and oauth are both set: choose one".to_owned()),
            (Some((name, password)), None) => {
                if name.trim().is_empty() {
                    problems.push("the user name is empty".to_owned());
                }
                if password.is_empty() {
                    problems.push("the password is empty".to_owned());
                }
            }
            (None, Some(oauth)) => problems.extend(oauth.problems()),
        }
        if self.max_sessions == Some(0) {
            problems.push("max_sessions is 0: at least 1 session is needed".to_owned());
        }
        for (what, text) in [
            ("endpoint", Some(&self.endpoint)),
            ("endpoint version", self.version.as_ref()),
            ("tenant", self.tenant.as_ref()),
        ] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                problems.push(format!("the {what} is empty"));
            }
        }
        let retry = self.http.retry.clone();
        let host = Host::new(self.http).map_err(|error| problems.push(error.message().to_owned())).ok();
        let (Some(base), Some(host), true) = (base, host, problems.is_empty()) else {
            return Err(Error::new(ErrorKind::Invalid, problems.join("; ")));
        };
        let auth = match (self.login, self.oauth) {
            (Some((name, password)), _) => Auth::Login(Login {
                name,
                password,
                tenant: self.tenant.clone(),
                branch: self.branch,
                locale: self.locale,
            }),
            (None, Some(oauth)) => Auth::OAuth(Tokens::new(oauth)),
            (None, None) => unreachable!("credentials were checked above"),
        };
        Ok(Acumatica::new(Settings {
            base,
            auth,
            tenant: self.tenant,
            endpoint: self.endpoint,
            version: self.version,
            dialect: self.dialect,
            max_sessions: self.max_sessions,
            idle_timeout: self.idle_timeout,
            retry,
            host,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let error =
            AcumaticaBuilder::from_variables(|name| (name == "ACUMATICA_USERNAME").then(|| "a".into()));
        let error = error.unwrap_err();
        assert!(error.message().contains("ACUMATICA_URL, ACUMATICA_PASSWORD"), "{error}");
        assert!(!error.message().contains("ACUMATICA_USERNAME"), "{error}");
    }

    #[test]
    fn variables_set_what_they_name() {
        let client = AcumaticaBuilder::from_variables(|name| {
            let value = match name {
                "ACUMATICA_URL" => "https://h/Inst/",
                "ACUMATICA_USERNAME" => "admin",
                "ACUMATICA_PASSWORD" => " with blanks ",
                "ACUMATICA_TENANT" => "Company",
                "ACUMATICA_ENDPOINT" => "Mine",
                "ACUMATICA_MAX_SESSIONS" => "2",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap();
        assert_eq!(client.login.unwrap().1.expose(), " with blanks ", "a password is not trimmed");
        assert_eq!((client.tenant.as_deref(), client.endpoint.as_str()), (Some("Company"), "Mine"));
        assert_eq!(client.max_sessions, Some(2));
    }
}
