//! Opening a connection: the address, TLS, and the time it may take.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Client, Config};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::settings::{Settings, Target};

/// How long a connection that says nothing is believed to live.
const KEEPALIVE: Duration = Duration::from_secs(15);

const NO_CERTIFICATE: &str = "a root certificate is not a certificate in PEM form";

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent)
}

/// Opens a connection and gives what a cancel needs besides.
pub(super) fn open(settings: &Settings, deadline: Deadline) -> Result<(Client, MakeRustlsConnect)> {
    #[allow(irrefutable_let_patterns, reason = "the only target without the feature for SQLite")]
    let Target::Postgres(address) = &settings.target else {
        return Err(invalid("the address is not one of PostgreSQL"));
    };
    let mut config = parse(address.expose())?;
    let tls = tls(&config, settings)?;
    let limit =
        deadline.remaining().map_or(settings.connect_timeout, |left| left.min(settings.connect_timeout));
    if limit.is_zero() {
        return Err(Error::new(ErrorKind::Timeout, "the deadline passed before the connection was opened")
            .with_delivery(Delivery::NotSent));
    }
    config.connect_timeout(limit).keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3);
    config.keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("batchcall");
    }
    // The client's own limit ends with the TCP connection; a server that accepts and is then silent would
    // be waited for without end. Such a wait is left behind with its thread.
    let (sender, receiver) = mpsc::channel();
    let connector = tls.clone();
    thread::Builder::new()
        .name("batchcall-connect".to_owned())
        .spawn(move || {
            let _ = sender.send(config.connect(connector));
        })
        .map_err(Error::other)?;
    match receiver.recv_timeout(limit) {
        Ok(Ok(client)) => Ok((client, tls)),
        Ok(Err(error)) => Err(failure::opening(&error)),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(Error::new(ErrorKind::Timeout, format!("no connection to PostgreSQL within {limit:.1?}"))
                .with_delivery(Delivery::NotSent))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(Error::new(ErrorKind::Connect, "opening the connection failed")
                .with_delivery(Delivery::NotSent))
        }
    }
}

/// Reads the address. The parser's own message is not shown, for it may quote the password.
fn parse(address: &str) -> Result<Config> {
    // Certificates are verified whenever TLS is required, so the stricter words mean the same.
    let mut address = address.to_owned();
    for strict in ["sslmode=verify-full", "sslmode=verify-ca"] {
        address = address.replace(strict, "sslmode=require");
    }
    address.parse().map_err(|_| {
        invalid(
            "the address of the database cannot be read: give postgres://user:password@host:port/database",
        )
    })
}

fn tls(config: &Config, settings: &Settings) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for pem in &settings.root_certificates {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
            added.ok_or_else(|| invalid(NO_CERTIFICATE))?;
        }
        if roots.len() == before {
            return Err(invalid(NO_CERTIFICATE));
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?;
    let config = match config.get_ssl_mode() {
        // "If the server offers it": against someone in between it is no better than none, and most servers
        // that offer it have a certificate of their own making.
        SslMode::Prefer => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth(),
        _ => builder.with_root_certificates(roots).with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Takes any certificate whose key is the server's.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
