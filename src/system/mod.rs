//! The appliance database: tenants by name, API keys, one-time links, browser sessions.
//!
//! Called by: `auth`, `tenant::Registry`, `app`. Talks to: `system.db`.
//! Invariants: it holds no content of any tenant; secrets are stored as digests only.

mod access;
mod tenants;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;

pub use access::{ApiKey, KeyHolder};
pub use tenants::TenantRecord;

/// Format of the home directory; a later release migrates from it.
pub const HOME_FORMAT: u32 = 1;

/// The appliance database could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    #[error("open {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("{path} has format {found}; this release reads format {HOME_FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error("appliance database: {operation}")]
    Sqlite { operation: &'static str, source: rusqlite::Error },
    #[error("a tenant named {name:?} is there already")]
    NameTaken { name: String },
}

/// Handle to the appliance database. Calls are short and block.
pub struct System {
    connection: Mutex<Connection>,
}

impl System {
    /// Opens the database, creating it where it is absent.
    ///
    /// # Errors
    /// When the file cannot be opened or was written by another format.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens system.db")]
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let open = |source| SystemError::Open { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(open)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;",
            )
            .map_err(open)?;
        let found: u32 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
        match found {
            0 => connection
                .execute_batch(&format!(
                    "BEGIN; {} PRAGMA user_version = {HOME_FORMAT}; COMMIT;",
                    include_str!("schema.sql")
                ))
                .map_err(open)?,
            HOME_FORMAT => {}
            found => {
                return Err(SystemError::Format { path: path.to_owned(), found });
            }
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> SystemError {
    move |source| SystemError::Sqlite { operation, source }
}
