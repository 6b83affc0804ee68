//! TLS to PostgreSQL: on the server that `BATCHCALL_POSTGRES_TLS=1 sh tests/postgres.sh` starts.

use batchcall::{Database, ErrorKind};

/// The server's URL without parameters, and its certificate.
fn server() -> Option<(String, String)> {
    let Ok(file) = std::env::var("BATCHCALL_TEST_POSTGRES_CERTIFICATE") else {
        eprintln!(
            "SKIPPED: BATCHCALL_TEST_POSTGRES_CERTIFICATE is not set; tests/run.sh runs this by itself"
        );
        return None;
    };
    Some((std::env::var("BATCHCALL_TEST_POSTGRES").unwrap(), std::fs::read_to_string(file).unwrap()))
}

fn is_encrypted(db: &Database) -> bool {
    db.query::<bool>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", ()).unwrap()[0]
}

#[test]
fn a_certificate_that_is_trusted_is_taken() {
    let Some((url, certificate)) = server() else { return };
    for mode in ["require", "verify-full"] {
        let builder = Database::builder(&format!("{url}?sslmode={mode}"));
        let db = builder.root_certificate(certificate.clone()).build().unwrap();
        assert!(is_encrypted(&db), "{mode}");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_for_good() {
    let Some((url, _)) = server() else { return };
    let error = Database::open(&format!("{url}?sslmode=require")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
}

#[test]
fn without_a_word_tls_is_taken_where_it_is_offered() {
    let Some((url, _)) = server() else { return };
    assert!(is_encrypted(&Database::open(&url).unwrap()));
    assert!(!is_encrypted(&Database::open(&format!("{url}?sslmode=disable")).unwrap()));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let Some((url, _)) = server() else { return };
    let error = Database::builder(&url).root_certificate("nonsense").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}
