//! The appliance database: tenants by name, users and their memberships, API keys, one-time links,
//! sessions, the count of failed sign-ins, and the appliance's audit trail.
//!
//! Called by: `auth`, `tenant::Registry`, `app`. Talks to: `system.db`.
//! Invariants: it holds no content of any tenant; tokens are stored as digests only; the file is
//! encrypted with the appliance's own key.

mod anchors;
mod api_keys;
mod audit;
mod deletions;
mod links;
mod memberships;
mod migration;
mod outbox;
mod second_factor;
mod sessions;
mod tenants;
mod throttle;
pub(crate) mod trail;
mod unit;
mod users;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicI64;

use jiff::Timestamp;
use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use rusqlite::Connection;

use crate::audit::ChainKeys;
use crate::crypto::{KeyPurpose, Keyring};
use crate::database::{self, DatabaseError};

pub(crate) use anchors::Anchor;
pub use api_keys::{ApiKey, KeyHolder, RevokedKey};
pub use deletions::Deletion;
pub use links::Link;
pub use memberships::{Membership, TenantMembership};
pub(crate) use outbox::Waiting;
pub use sessions::{SessionHolder, SessionRecord};
pub use tenants::{TenantRecord, TenantUpdate};
pub use throttle::{Attempt, ThrottleKey};
pub use trail::TrailQuery;
pub use users::{Credentials, User, UserUpdate};

/// Format of the home directory; a later release migrates from it.
pub const HOME_FORMAT: u32 = 2;

/// The appliance database could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    #[error("open {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("the appliance database")]
    Database(#[source] DatabaseError),
    #[error("look at {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the keys hold none for the appliance database")]
    NoKey,
    #[error("{path} has format {found}; this release reads format {HOME_FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error("appliance database: {operation}")]
    Sqlite { operation: &'static str, source: rusqlite::Error },
    #[error("{name:?} is taken already")]
    NameTaken { name: String },
    #[error("this is the only admin who can sign in; make another one first")]
    LastAdmin,
}

/// Handle to the appliance database. Calls are short and block.
pub struct System {
    /// One thread may take it again while it has it: see [`System::together`].
    connection: ReentrantMutex<Connection>,
    audit: ChainKeys,
    /// The latest time in the audit trail, in microseconds; the smallest number until it is asked
    /// for.
    latest_audit: AtomicI64,
}

impl System {
    /// Opens the database, creating it where it is absent. One of format 1, which was not
    /// encrypted, is encrypted and brought to the present format; one that still has the key of
    /// an earlier epoch gets the current one. The caller holds the home.
    ///
    /// # Errors
    /// When the file cannot be opened, has another key or was written by another format.
    pub fn open(path: &Path, keyring: &Keyring) -> Result<Self, SystemError> {
        let key = keyring
            .subkey(keyring.current_epoch(), KeyPurpose::System)
            .ok_or(SystemError::NoKey)?;
        let plain = path.exists()
            && database::is_plain(path)
                .map_err(|source| SystemError::Io { path: path.to_owned(), source })?;
        if plain {
            database::encrypt(path, &key).map_err(SystemError::Database)?;
        }
        let opened = match database::open(path, &key) {
            Err(DatabaseError::WrongKey { .. }) => open_older(path, keyring),
            opened => opened,
        };
        let mut connection = opened.map_err(SystemError::Database)?;
        prepare(&mut connection, path)?;
        let audit = ChainKeys::of(keyring);
        trail::open(&connection, &audit)
            .map_err(|source| SystemError::Open { path: path.to_owned(), source })?;
        Ok(Self {
            connection: ReentrantMutex::new(connection),
            audit,
            latest_audit: AtomicI64::new(i64::MIN),
        })
    }

    fn connection(&self) -> ReentrantMutexGuard<'_, Connection> {
        self.connection.lock()
    }
}

/// Opens a database that has a key of an earlier epoch, after giving it the current one.
fn open_older(path: &Path, keyring: &Keyring) -> Result<Connection, DatabaseError> {
    let current = keyring.current_epoch();
    let wrong_key = || DatabaseError::WrongKey { path: path.to_owned() };
    let key = keyring.subkey(current, KeyPurpose::System).ok_or_else(wrong_key)?;
    for epoch in keyring.epochs().into_iter().filter(|epoch| *epoch != current) {
        let Some(older) = keyring.subkey(epoch, KeyPurpose::System) else { continue };
        match database::change_key(path, &older, &key) {
            Err(DatabaseError::WrongKey { .. }) => {}
            changed => {
                changed?;
                return database::open(path, &key);
            }
        }
    }
    Err(wrong_key())
}

/// Brings an open database to the present format.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), SystemError> {
    let open = |source| SystemError::Open { path: path.to_owned(), source };
    let schema = include_str!("schema.sql");
    let found: u32 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
    match found {
        0 => connection
            .execute_batch(&format!("BEGIN; {schema} PRAGMA user_version = {HOME_FORMAT}; COMMIT;"))
            .map_err(open),
        1 => migration::from_format_1(connection, schema).map_err(open),
        HOME_FORMAT => Ok(()),
        found => Err(SystemError::Format { path: path.to_owned(), found }),
    }?;
    connection.execute_batch(include_str!("additions.sql")).map_err(open)
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> SystemError {
    move |source| SystemError::Sqlite { operation, source }
}

/// `NameTaken` where a row broke a uniqueness rule, else the plain failure.
fn taken(operation: &'static str, name: &str) -> impl FnOnce(rusqlite::Error) -> SystemError {
    move |source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => {
            SystemError::NameTaken { name: name.to_owned() }
        }
        _ => SystemError::Sqlite { operation, source },
    }
}

/// A stored word or id as the value it stands for.
fn parsed<T>(column: usize, text: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| unreadable(column, error))
}

fn timestamp(column: usize, microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|error| unreadable(column, error))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
