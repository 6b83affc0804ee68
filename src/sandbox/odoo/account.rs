//! Who may sign in: passwords, API keys, and the pause after ten wrong ones.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sandbox::lock;

/// A user who can sign in.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) login: String,
    pub(super) password: String,
    pub(super) key: String,
    pub(super) is_limited: bool,
}

/// All users who can sign in, and what was tried in vain.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) all: Vec<Account>,
    /// How often, and when last.
    failures: Mutex<(u32, Option<Instant>)>,
    cooldown: Duration,
}

/// After this many wrong passwords in a row nobody is let in for a while (`base.login_cooldown_after`).
const MOST_FAILURES: u32 = 10;

impl Accounts {
    pub(super) fn new(all: Vec<Account>, cooldown: Duration) -> Self {
        Self { all, failures: Mutex::default(), cooldown }
    }

    pub(super) fn by_login(&self, login: &str) -> Option<&Account> {
        self.all.iter().find(|account| account.login == login)
    }

    pub(super) fn by_id(&self, id: i64) -> Option<&Account> {
        self.all.iter().find(|account| account.id == id)
    }

    pub(super) fn by_key(&self, key: &str) -> Option<&Account> {
        self.all.iter().find(|account| account.key == key)
    }

    /// Signs in on the web: with the password alone, and not while it cools down. All clients are on one
    /// machine, so that there is one count.
    pub(super) fn sign_in(&self, login: &str, password: &str) -> Result<&Account, Refused> {
        let mut failures = lock(&self.failures);
        if failures.0 >= MOST_FAILURES && failures.1.is_some_and(|last| last.elapsed() < self.cooldown) {
            return Err(Refused::TooManyFailures);
        }
        match self.by_login(login).filter(|account| account.password == password) {
            Some(account) => {
                *failures = (0, None);
                Ok(account)
            }
            None => {
                *failures = (failures.0 + 1, Some(Instant::now()));
                Err(Refused::Denied)
            }
        }
    }
}

/// Why nobody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Denied,
    TooManyFailures,
}

impl Account {
    /// Whether this is the password, or the API key in its place.
    pub(super) fn has_secret(&self, secret: &str) -> bool {
        self.password == secret || self.key == secret
    }
}
