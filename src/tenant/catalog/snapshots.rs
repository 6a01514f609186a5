//! Connections that wait for the next reader, and the snapshots they keep open meanwhile.
//!
//! Called by: `tenant::catalog`. Talks to: connections of its own.
//! Invariants: a reader sees all that was committed before it began, but for the trail, whose
//! readers call [`Snapshots::renew`] first; a snapshot that shows less than was committed is ended
//! at once, so that it does not hold back the write-ahead log.
//! Why snapshots are kept: SQLite empties a connection's page cache when anything at all was
//! committed since its last snapshot, and to fill it again every page is decrypted again. While
//! people search, the trail is committed several times a second, and no search reads it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{CatalogError, failed};

/// Idle read connections kept per tenant.
const IDLE_READERS: usize = 4;
/// Commits of the trail after which snapshots are ended all the same: the log grows by a few pages
/// with each, and cannot begin anew while somebody reads from its old end.
const TRAIL_COMMITS: u32 = 32;

/// The readers of one catalogue.
#[derive(Default)]
pub(super) struct Snapshots {
    idle: Mutex<Vec<Reader>>,
    /// Counts what was committed and readers have to see.
    version: AtomicU64,
    trail_commits: AtomicU32,
}

/// A connection that nobody reads from at present.
struct Reader {
    connection: Connection,
    /// Its open snapshot shows all that was committed up to this version.
    shows: Option<u64>,
}

impl Snapshots {
    /// Runs `work` over one snapshot, on a connection by `connect` where none is idle. Blocks.
    pub(super) fn read<T>(
        &self,
        connect: impl FnOnce() -> Result<Connection, CatalogError>,
        work: impl FnOnce(&Connection) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        // Taken before the snapshot begins, which may therefore show more but never less.
        let version = self.version.load(Ordering::Acquire);
        let waiting = self.idle().pop();
        let (connection, shows) = match waiting {
            Some(reader) => (reader.connection, reader.shows),
            None => (connect()?, None),
        };
        if shows != Some(version) {
            end(&connection)
                .and_then(|()| connection.execute_batch("BEGIN DEFERRED"))
                .map_err(failed("begin snapshot"))?;
        }
        let outcome = work(&connection);
        self.give_back(connection, version, outcome.is_ok());
        outcome
    }

    /// Ends every snapshot that waits: the next reader sees what was committed until now.
    pub(super) fn renew(&self) {
        self.version.fetch_add(1, Ordering::Release);
        // Those that are being read from are not kept when they come back.
        self.idle().retain_mut(|reader| {
            reader.shows = None;
            end(&reader.connection).is_ok()
        });
    }

    /// Counts a commit that nobody but readers of the trail has to see; true where snapshots are
    /// to be ended before it all the same.
    pub(super) fn trail_grows(&self) -> bool {
        self.trail_commits.fetch_add(1, Ordering::Relaxed) % TRAIL_COMMITS == TRAIL_COMMITS - 1
    }

    fn give_back(&self, connection: Connection, version: u64, keep: bool) {
        let mut idle = self.idle();
        if idle.len() == IDLE_READERS {
            return;
        }
        // Looked at under the lock that `renew` takes after it has counted on.
        let current = keep && self.version.load(Ordering::Acquire) == version;
        if current || end(&connection).is_ok() {
            idle.push(Reader { connection, shows: current.then_some(version) });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the snapshot of a connection, where it has one; a failed read may have ended it.
fn end(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK") }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use jiff::Timestamp;

    use super::super::{AuditReader, Catalog};
    use super::*;
    use crate::audit::{Action, Event, Occasion, Origin, Party, Record};
    use crate::tenant::testing;

    fn open(dir: &Path) -> Catalog {
        Catalog::open(&dir.join("tenant.db"), &testing::keyring("tenant", 1)).unwrap()
    }

    fn record() -> Record {
        let occasion = Occasion {
            at: Timestamp::UNIX_EPOCH,
            actor: Party::anonymous(),
            origin: Origin::default(),
        };
        occasion.record(Event::new(Action::Search))
    }

    fn set(catalog: &Catalog, value: &str) {
        catalog.write(Timestamp::UNIX_EPOCH, |catalog| catalog.set_setting("a", value)).unwrap();
    }

    fn get(catalog: &Catalog) -> Option<String> {
        catalog.read(|catalog| catalog.setting("a")).unwrap()
    }

    fn append(catalog: &Catalog) {
        catalog.append_to_trail(Timestamp::UNIX_EPOCH, vec![record()]).unwrap();
    }

    /// Entries of the trail in the snapshot that a reader of something else gets.
    fn entries_beside(catalog: &Catalog) -> u64 {
        catalog.read(|catalog| AuditReader::new(catalog).verify()).unwrap().entries
    }

    #[test]
    fn a_reader_sees_what_was_written_just_before() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        for number in 0..100 {
            let value = number.to_string();
            set(&catalog, &value);
            assert_eq!(get(&catalog), Some(value));
            append(&catalog);
        }
    }

    #[test]
    fn a_reader_among_writers_never_sees_less_than_was_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        let newest = AtomicU32::new(0);
        set(&catalog, "0");
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    while newest.load(Ordering::SeqCst) < 300 {
                        let acknowledged = newest.load(Ordering::SeqCst);
                        let seen: u32 = get(&catalog).unwrap().parse().unwrap();
                        assert!(seen >= acknowledged, "{seen} < {acknowledged}");
                    }
                });
            }
            for number in 1..=300 {
                set(&catalog, &number.to_string());
                newest.store(number, Ordering::SeqCst);
                append(&catalog);
            }
        });
    }

    #[test]
    fn a_reader_of_the_trail_sees_every_entry() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        for number in 1..=5 {
            append(&catalog);
            get(&catalog);
            let entries = catalog.read_trail(|trail| trail.verify()).unwrap().entries;
            assert_eq!(entries, number);
        }
    }

    #[test]
    fn a_commit_of_the_trail_ends_no_snapshot_and_any_other_ends_all() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        assert_eq!(entries_beside(&catalog), 0);
        append(&catalog);
        assert_eq!(entries_beside(&catalog), 0, "with its page cache");
        set(&catalog, "1");
        assert_eq!(entries_beside(&catalog), 1);
        (1..TRAIL_COMMITS).for_each(|_| append(&catalog));
        assert_eq!(entries_beside(&catalog), u64::from(TRAIL_COMMITS), "and now and then one");
    }

    #[test]
    fn snapshots_do_not_let_the_log_grow_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        let log: PathBuf = dir.path().join("tenant.db-wal");
        let mut longest = 0;
        for _ in 0..2_000 {
            append(&catalog);
            get(&catalog);
            longest = longest.max(std::fs::metadata(&log).unwrap().len());
        }
        assert!(longest < 8 << 20, "{longest} bytes");
        catalog.shrink_log().unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    }

    #[test]
    fn a_read_that_fails_harms_none_that_follows() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        set(&catalog, "1");
        let failed: Result<(), CatalogError> = catalog.read(|reader| {
            reader.setting("a")?;
            Err(CatalogError::Corrupt { what: "a test", source: "on purpose".into() })
        });
        assert!(failed.is_err());
        set(&catalog, "2");
        assert_eq!(get(&catalog).as_deref(), Some("2"));
    }
}
