//! Failed sign-ins by account and by network address, and how long to wait after them.
//!
//! Called by: `auth`. Talks to: `system.db`.
//! Invariants: an attempt is counted before it is tried, so many at once gain nothing; a wait ends
//! by itself, so nobody is locked out for good; the count outlives a restart.

use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{System, SystemError, failed};
use crate::crypto::TokenDigest;

/// What failures are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottleKey {
    /// Digest of an account's name, be there such an account or not.
    Account(TokenDigest),
    /// The same from an address where somebody is signed in to it.
    AccountAt(TokenDigest),
    /// Codes given with a one-time link for an account.
    Link(TokenDigest),
    /// A network address, or the network that one household or host has.
    Source(String),
}

impl ThrottleKey {
    /// The key of an account's name, whatever its case.
    pub fn account(name: &str) -> Self {
        Self::Account(TokenDigest::of(&name.to_ascii_lowercase()))
    }

    /// The key of an account as seen from an address where somebody is signed in to it: failures of
    /// others elsewhere do not count there.
    pub fn account_at(name: &str, address: &str) -> Self {
        Self::AccountAt(TokenDigest::of(&format!("{}\n{address}", name.to_ascii_lowercase())))
    }

    /// The key of codes for an account that come with a one-time link, which nobody can guess.
    pub fn link(name: &str) -> Self {
        Self::Link(TokenDigest::of(&name.to_ascii_lowercase()))
    }

    /// The key of a network address. A host has a whole IPv6 network of 64 bits to itself.
    pub fn source(address: &str) -> Self {
        Self::Source(match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !0 << 64)),
            },
            _ => address.to_owned(),
        })
    }

    fn stored(&self) -> String {
        match self {
            Self::Account(digest) => format!("account:{}", digest.as_str()),
            Self::AccountAt(digest) => format!("account_at:{}", digest.as_str()),
            Self::Link(digest) => format!("link:{}", digest.as_str()),
            Self::Source(network) => format!("source:{network}"),
        }
    }

    /// Failures that cost no waiting. Many people may share an address, nobody an account.
    fn free(&self) -> i64 {
        match self {
            Self::Account(_) | Self::AccountAt(_) | Self::Link(_) => 4,
            Self::Source(_) => 20,
        }
    }
}

/// Whether a sign-in may be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is counted as a failure until it is excused or forgiven.
    Allowed,
    /// Not before this much time has passed.
    Refused { retry_after: SignedDuration },
}

/// Longest wait.
const MAX_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// One failure is forgotten in this time.
const FORGET_ONE: SignedDuration = SignedDuration::from_mins(15);
/// Counts without a failure for this long are thrown away.
const FORGET_ALL: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    failures: i64,
    last_at: i64,
    blocked_until: i64,
}

impl Count {
    /// Microseconds to wait. A count from the future says that the clock was put back since; it
    /// must not block until that time comes again.
    fn wait(&self, now: i64) -> i64 {
        if self.last_at > now { 0 } else { (self.blocked_until - now).max(0) }
    }

    fn after_failure(&self, now: i64, free: i64) -> Self {
        let forgotten = (now - self.last_at).max(0) / micros(FORGET_ONE);
        let failures = (self.failures - forgotten).max(0) + 1;
        let wait = match failures - free {
            ..=0 => 0,
            over => {
                micros(SignedDuration::from_secs(1 << (over - 1).min(20))).min(micros(MAX_WAIT))
            }
        };
        Self { failures, last_at: now, blocked_until: now + wait }
    }
}

fn micros(span: SignedDuration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl System {
    /// Counts an attempt against an account from an address, unless either has to wait. From a
    /// `trusted` address, one where somebody is signed in to the account, it need not wait for what
    /// others at that address do, a proxy perhaps; the account as seen from there has its own count.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn begin_attempt(
        &self,
        account: &ThrottleKey,
        source: &ThrottleKey,
        trusted: bool,
        now: Timestamp,
    ) -> Result<Attempt, SystemError> {
        let now = now.as_microsecond();
        self.transaction("count sign-in", |transaction| {
            let of_account = read(transaction, account)?;
            let of_source = read(transaction, source)?;
            let wait = of_account.wait(now).max(if trusted { 0 } else { of_source.wait(now) });
            if wait > 0 {
                let retry_after = SignedDuration::from_micros(wait);
                return Ok(Attempt::Refused { retry_after });
            }
            transaction
                .execute("DELETE FROM throttle WHERE last_at < ?1", [now - micros(FORGET_ALL)])?;
            write(transaction, account, of_account.after_failure(now, account.free()))?;
            write(transaction, source, of_source.after_failure(now, source.free()))?;
            Ok(Attempt::Allowed)
        })
    }

    /// Takes back one counted attempt, which was no failure.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn excuse_attempt(&self, key: &ThrottleKey) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "UPDATE throttle SET failures = max(failures - 1, 0), blocked_until = 0 \
                 WHERE key = ?1",
                [key.stored()],
            )
            .map(drop)
            .map_err(failed("excuse sign-in"))
    }

    /// Forgets every failure of an account or address.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forgive(&self, key: &ThrottleKey) -> Result<(), SystemError> {
        self.connection()
            .execute("DELETE FROM throttle WHERE key = ?1", [key.stored()])
            .map(drop)
            .map_err(failed("forgive failures"))
    }
}

fn read(transaction: &Connection, key: &ThrottleKey) -> rusqlite::Result<Count> {
    let found = transaction
        .query_row(
            "SELECT failures, last_at, blocked_until FROM throttle WHERE key = ?1",
            [key.stored()],
            |row| {
                Ok(Count {
                    failures: row.get(0)?,
                    last_at: row.get(1)?,
                    blocked_until: row.get(2)?,
                })
            },
        )
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn write(transaction: &Connection, key: &ThrottleKey, count: Count) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO throttle (key, failures, last_at, blocked_until) \
             VALUES (?1, ?2, ?3, ?4)",
            params![key.stored(), count.failures, count.last_at, count.blocked_until],
        )
        .map(drop)
}
