//! Changes that take effect together or not at all.
//!
//! Called by: `system`; `auth` and `app`, which put a change and its audit entry into one unit.
//! Talks to: `system.db`.
//! Invariants: a unit that fails, by an error or a panic, leaves nothing behind; while it runs, no
//! other thread sees or changes the database.

use rusqlite::Connection;

use super::{System, SystemError, failed};

impl System {
    /// Runs changes as one unit: whatever this thread does to this database meanwhile is part of it.
    /// Units can be nested; an inner one that fails may be borne by the outer one.
    ///
    /// Everybody else waits, so nothing slow belongs into it, and no lock that is held elsewhere
    /// while this database is asked.
    ///
    /// # Errors
    /// Whatever `changes` returns, or that the database cannot be written.
    pub fn together<T, E: From<SystemError>>(
        &self,
        changes: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.connection();
        let unit = Unit::begin(&connection).map_err(failed("begin a change"))?;
        let done = changes()?;
        unit.keep().map_err(failed("commit a change"))?;
        Ok(done)
    }

    /// Runs statements that take effect together or not at all.
    pub(super) fn transaction<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SystemError> {
        let connection = self.connection();
        let unit = Unit::begin(&connection).map_err(failed(operation))?;
        let done = work(&connection).map_err(failed(operation))?;
        unit.keep().map_err(failed(operation))?;
        Ok(done)
    }
}

/// An open savepoint, which outside of a transaction is one (SQLite, "Savepoints"). It is undone
/// unless it is kept.
struct Unit<'a> {
    connection: &'a Connection,
    kept: bool,
}

impl<'a> Unit<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("SAVEPOINT unit")?;
        Ok(Self { connection, kept: false })
    }

    fn keep(mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("RELEASE unit")?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // Fails where SQLite has rolled all of it back already, as on a full disk.
            let _ = self.connection.execute_batch("ROLLBACK TO unit; RELEASE unit");
        }
    }
}
