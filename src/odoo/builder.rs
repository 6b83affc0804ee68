//! How a client is set up: every setting, checked together before anything is sent.

use std::time::Duration;

use super::client::{Odoo, Settings};
use super::context::Context;
use super::protocol::Protocol;
use crate::engine::retry::RetryPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Base, Host, HttpConfig};
use crate::secret::Secret;

/// Sets up an [`Odoo`] client. Nothing is sent before the first call needs it.
///
/// ```
/// use batchcall::odoo::Odoo;
///
/// let client = Odoo::builder("https://erp.example.com")
///     .database("production")
///     .login("admin", "secret")
///     .max_sessions(4)
///     .build()?;
/// assert!(!format!("{client:?}").contains("secret"));
///
/// // Everything that is wrong is said at once.
/// let error = Odoo::builder("erp.example.com").max_sessions(0).build().unwrap_err();
/// assert!(error.message().contains("scheme") && error.message().contains("max_sessions"));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until build is called"]
pub struct OdooBuilder {
    url: String,
    database: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    api_key: Option<Secret>,
    protocol: Option<Protocol>,
    context: Context,
    lean: bool,
    max_sessions: Option<usize>,
    idle_timeout: Duration,
    http: HttpConfig,
}

impl OdooBuilder {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: None,
            user: None,
            password: None,
            api_key: None,
            protocol: None,
            context: Context::new(),
            lean: true,
            max_sessions: None,
            idle_timeout: Duration::from_secs(3600),
            // The server ends a request after 120 s, and may wait 30 s for locks before it says so.
            http: HttpConfig { timeout: Duration::from_secs(150), ..HttpConfig::default() },
        }
    }

    /// From variables of the environment, or from wherever `variable` looks them up.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let get = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let password = variable("ODOO_PASSWORD").filter(|value| !value.is_empty());
        let (user, key) = (get("ODOO_USERNAME"), get("ODOO_API_KEY"));
        let mut missing = Vec::new();
        let url = get("ODOO_URL");
        if url.is_none() {
            missing.push("ODOO_URL");
        }
        if key.is_none() {
            if user.is_none() {
                missing.push("ODOO_USERNAME");
            }
            if password.is_none() {
                missing.push("ODOO_PASSWORD (or ODOO_API_KEY)");
            }
        }
        let (Some(url), true) = (url, missing.is_empty()) else {
            return invalid(format!("variables are missing from the environment: {}", missing.join(", ")));
        };
        let mut builder = Self::new(url);
        builder.database = get("ODOO_DATABASE");
        builder.user = user;
        builder.password = password.map(Secret::from);
        builder.api_key = key.map(Secret::from);
        if let Some(name) = get("ODOO_PROTOCOL") {
            builder.protocol = Protocol::named(&name);
            if builder.protocol.is_none() {
                return invalid(format!("ODOO_PROTOCOL is {name:?}, not json2, web-session or jsonrpc"));
            }
        }
        if let Some(sessions) = get("ODOO_MAX_SESSIONS") {
            match sessions.parse() {
                Ok(sessions) => builder.max_sessions = Some(sessions),
                Err(_) => return invalid(format!("ODOO_MAX_SESSIONS is {sessions:?}, not a number")),
            }
        }
        Ok(builder)
    }

    /// The database. Defaults to none: with an API key and one database on the host, that is enough.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// The user's name and password. Defaults to none: this or [`api_key`](Self::api_key) is needed.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// An API key of the user. Defaults to none: this or [`login`](Self::login) is needed.
    ///
    /// Servers before Odoo 19 take a key in place of the password, so they need the user's name too:
    /// [`user`](Self::user).
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The user's name, for an API key on a server before Odoo 19. Defaults to none.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// How calls are sent. Defaults to what the server has: with an API key JSON-2 from Odoo 19 on; else
    /// with a password the web session; else JSON-RPC.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Keys of the context of every call. Defaults to none: the server's language and UTC.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Whether creating many records leaves out tracking and notes: [`Context::lean`]. Defaults to `true`.
    pub fn lean(mut self, lean: bool) -> Self {
        self.lean = lean;
        self
    }

    /// How many sessions this client opens at most, over all batches. A batch with more workers goes on
    /// with these. Defaults to no limit of its own.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// How long an unused session is kept for the next batch. Defaults to 1 hour.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long one request may take, from the name look-up to the last byte of the answer. Defaults to
    /// 150 s: longer than a server works on one by default, so that it is the server that gives up, which
    /// rolls back, and not the client, which would not know.
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

    /// The most requests in a minute, of all sessions together. Defaults to no limit.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.http.requests_per_minute = Some(requests);
        self
    }

    /// One request in a second, as Odoo asks of users of Odoo Online.
    pub fn odoo_online(self) -> Self {
        self.requests_per_second(1.0)
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
    pub fn build(self) -> Result<Odoo> {
        let mut problems = Vec::new();
        let base = Base::parse(&self.url).map_err(|problem| problems.push(problem)).ok();
        let retry = self.http.retry.clone();
        let host = Host::new(self.http).map_err(|error| problems.push(error.message().to_owned())).ok();
        let mut problem = |wrong: bool, what: &str| {
            if wrong {
                problems.push(what.to_owned());
            }
        };
        let (password, key, user) = (self.password.is_some(), self.api_key.is_some(), self.user.is_some());
        problem(!password && !key, "no credentials: login(..) or api_key(..) is needed");
        match self.protocol {
            Some(Protocol::Json2) => {
                problem(password && !key, "JSON-2 takes no password: api_key(..) is needed");
            }
            Some(Protocol::WebSession) => {
                problem(key && !password, "the web session takes no API key: login(..) is needed");
            }
            Some(Protocol::JsonRpc) => problem(key && !user, "JSON-RPC needs the key's user: user(..)"),
            None => {}
        }
        // JSON-2 alone can do without.
        let may_be_json2 = self.protocol.is_none_or(|protocol| protocol == Protocol::Json2);
        problem(self.database.is_none() && !(key && may_be_json2), "the database is missing: database(..)");
        problem(self.max_sessions == Some(0), "max_sessions is 0");
        for (value, what) in [(&self.database, "the database is empty"), (&self.user, "the user is empty")] {
            problem(value.as_ref().is_some_and(|value| value.trim().is_empty()), what);
        }
        for (secret, what) in
            [(&self.password, "the password is empty"), (&self.api_key, "the API key is empty")]
        {
            problem(secret.as_ref().is_some_and(Secret::is_empty), what);
        }
        let (Some(base), Some(host), true) = (base, host, problems.is_empty()) else {
            return Err(Error::new(ErrorKind::Invalid, problems.join("; ")));
        };
        Ok(Odoo::new(Settings {
            base,
            database: self.database,
            user: self.user,
            password: self.password,
            api_key: self.api_key,
            protocol: self.protocol,
            context: self.context,
            lean: self.lean,
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
        let error = OdooBuilder::from_variables(|_| None).unwrap_err();
        for name in ["ODOO_URL", "ODOO_USERNAME", "ODOO_PASSWORD", "ODOO_API_KEY"] {
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn variables_set_what_they_name() {
        let values = |name: &str| {
            let value = match name {
                "ODOO_URL" => "https://h",
                "ODOO_DATABASE" => "db",
                "ODOO_USERNAME" => "admin",
                "ODOO_PASSWORD" => " with blanks ",
                "ODOO_PROTOCOL" => "jsonrpc",
                "ODOO_MAX_SESSIONS" => "2",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let builder = OdooBuilder::from_variables(values).unwrap();
        assert_eq!(builder.password.as_ref().unwrap().expose(), " with blanks ", "a password is not trimmed");
        assert_eq!((builder.protocol, builder.max_sessions), (Some(Protocol::JsonRpc), Some(2)));
        assert!(builder.build().is_ok());
    }

    #[test]
    fn settings_that_do_not_go_together_are_named() {
        let builder = || OdooBuilder::new("https://h");
        for (builder, word) in [
            (builder().database("db"), "no credentials"),
            (builder().login("admin", "pw"), "database"),
            (builder().database("db").login("admin", "pw").protocol(Protocol::Json2), "api_key"),
            (builder().database("db").api_key("k").protocol(Protocol::WebSession), "login"),
            (builder().database("db").api_key("k").protocol(Protocol::JsonRpc), "user"),
            (builder().api_key("k").user("admin").protocol(Protocol::JsonRpc), "database"),
            (builder().api_key(""), "API key is empty"),
            (builder().api_key("k").requests_per_second(0.0), "per second"),
        ] {
            let error = builder.build().unwrap_err();
            assert!(error.message().contains(word), "{word}: {error}");
        }
        assert!(builder().api_key("k").odoo_online().build().is_ok(), "the host may decide the database");
    }
}
