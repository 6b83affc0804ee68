//! A schema of its own on the server of `BATCHCALL_TEST_POSTGRES`, for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use batchcall::Database;

/// A schema that is gone with this.
pub(crate) struct Schema {
    pub(crate) server: String,
    pub(crate) name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Schema {
    /// A new one; `None`, said aloud, if there is no server. In CI that is a failure.
    pub(crate) fn create() -> Option<Self> {
        let Ok(server) = std::env::var("BATCHCALL_TEST_POSTGRES") else {
            let required =
                ["CI", "BATCHCALL_REQUIRE_POSTGRES"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!required, "BATCHCALL_TEST_POSTGRES is not set: no test ran on PostgreSQL");
            eprintln!("SKIPPED: BATCHCALL_TEST_POSTGRES is not set, so this did not run on PostgreSQL");
            return None;
        };
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Database::open(&server).unwrap().execute(&format!("CREATE SCHEMA {name}"), ()).unwrap();
        Some(Self { server, name })
    }

    /// A URL whose connections work in it, with more options of the server.
    pub(crate) fn url(&self, options: &str) -> String {
        let gap = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{gap}options=-csearch_path%3D{}{options}", self.server, self.name)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let sql = format!("DROP SCHEMA {} CASCADE", self.name);
        let dropped = Database::open(&self.server).and_then(|db| db.execute(&sql, ()));
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}
