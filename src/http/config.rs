//! How the requests of one client are sent: limits, patience, trust.

use std::time::Duration;

use ureq::config::Config;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::engine::retry::RetryPolicy;
use crate::error::{Error, ErrorKind, Result};

/// What the builder of a backend sets; every field has a default.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    /// From the name look-up to the end of the TLS handshake. Defaults to 10 s.
    pub(crate) connect_timeout: Duration,
    /// One attempt, from the name look-up to the last byte of the answer. Defaults to 60 s.
    pub(crate) timeout: Duration,
    /// The longest body that is read, after decompression. Defaults to 16 MiB.
    pub(crate) max_body: usize,
    /// Defaults to [`RetryPolicy::new`].
    pub(crate) retry: RetryPolicy,
    /// How long the host may refuse every request before calls fail. Defaults to 60 s.
    pub(crate) patience: Duration,
    /// Evenly spaced. Defaults to no limit.
    pub(crate) requests_per_second: Option<f64>,
    /// In any 60 seconds; evenly spaced once half of them are used. Defaults to no limit.
    pub(crate) requests_per_minute: Option<u32>,
    /// Sends passwords to whoever answers. Defaults to `false`.
    pub(crate) danger_accept_invalid_certificates: bool,
    /// Certificates in PEM, trusted instead of the public authorities. Defaults to none.
    pub(crate) root_certificates: Vec<Vec<u8>>,
    /// Defaults to `batchcall/<version>`.
    pub(crate) user_agent: String,
    /// How long an unused connection is kept. Defaults to 15 s.
    pub(crate) max_idle_age: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            max_body: 16 << 20,
            retry: RetryPolicy::new(),
            patience: Duration::from_secs(60),
            requests_per_second: None,
            requests_per_minute: None,
            danger_accept_invalid_certificates: false,
            root_certificates: Vec::new(),
            user_agent: concat!("batchcall/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_idle_age: Duration::from_secs(15),
        }
    }
}

impl HttpConfig {
    /// Refuses figures that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, what));
        if self.connect_timeout.is_zero() || self.timeout.is_zero() {
            return invalid("a timeout of zero lets no request through");
        }
        if self.requests_per_second.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return invalid("requests per second must be a number above zero");
        }
        if self.requests_per_minute == Some(0) {
            return invalid("requests per minute must be above zero");
        }
        Ok(())
    }

    /// The same for the HTTP client underneath. No timeouts: the socket keeps them, see
    /// [`socket`](super::socket). The proxy comes from the environment.
    pub(super) fn to_agent(&self) -> Result<Config> {
        Ok(Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(self.user_agent.as_str())
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(self.max_idle_age)
            .timeout_await_100(None)
            .tls_config(self.to_tls()?)
            .build())
    }

    fn to_tls(&self) -> Result<TlsConfig> {
        let mut tls = TlsConfig::builder().disable_verification(self.danger_accept_invalid_certificates);
        if !self.root_certificates.is_empty() {
            let mut roots: Vec<Certificate<'static>> = Vec::new();
            for pem in &self.root_certificates {
                let before = roots.len();
                for item in parse_pem(pem) {
                    match item {
                        Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
                        Ok(_) => {}
                        Err(e) => {
                            return Err(Error::new(ErrorKind::Invalid, "a root certificate is not PEM")
                                .with_source(e));
                        }
                    }
                }
                if roots.len() == before {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        "a root certificate file holds no certificate (-----BEGIN CERTIFICATE-----)",
                    ));
                }
            }
            tls = tls.root_certs(RootCerts::from(roots));
        }
        Ok(tls.build())
    }
}
