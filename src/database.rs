//! SQLCipher databases: the one place that opens them, and how a file gets its first or its next
//! key.
//!
//! Called by: `system`, `tenant::catalog`. Talks to: SQLite, with every page encrypted.
//! Invariants: a key is given raw, so opening derives nothing slow; a key that does not fit is
//! [`DatabaseError::WrongKey`] and harms nothing; a change of key is one rename, before which the
//! old file is whole and after which the new one is. Builds that measure what encryption costs
//! leave the key out.
//! Why a copy and not `PRAGMA rekey`: that rewrites the file in place under a rollback journal,
//! and a database without a key cannot be given one that way at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use zeroize::Zeroizing;

use crate::crypto::{PASS_THROUGH, SecretKey, hex};
use crate::disk;

/// How every SQLite file that is not encrypted begins.
const PLAIN_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// How long a statement waits for another connection's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// A database could not be opened or given another key.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("open {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("{path} cannot be read with this key: it belongs to another key, or it is damaged")]
    WrongKey { path: PathBuf },
    #[error("write {path} anew under another key")]
    Rewrite { path: PathBuf, source: rusqlite::Error },
    #[error("{path} is still in use and cannot be given another key")]
    InUse { path: PathBuf },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl DatabaseError {
    /// True where the disk holding the database is full.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Rewrite { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::DiskFull)
            }
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::WrongKey { .. } | Self::InUse { .. } => false,
        }
    }
}

/// Opens the database at `path`, making an empty one where there is none. Blocks.
///
/// # Errors
/// `WrongKey` where the file was made with another key, is damaged, or is not encrypted.
pub fn open(path: &Path, key: &SecretKey) -> Result<Connection, DatabaseError> {
    let connection = connect(path, (!PASS_THROUGH).then_some(key))?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY;",
        )
        .map_err(|source| DatabaseError::Open { path: path.to_owned(), source })?;
    Ok(connection)
}

/// Makes a database for work that is thrown away unless it comes to its end, so that it needs no
/// journal. Whoever keeps the file syncs it. Blocks.
///
/// # Errors
/// When it cannot be made.
pub fn create_throwaway(path: &Path, key: &SecretKey) -> Result<Connection, DatabaseError> {
    let connection = connect(path, (!PASS_THROUGH).then_some(key))?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;",
        )
        .map_err(|source| DatabaseError::Open { path: path.to_owned(), source })?;
    Ok(connection)
}

/// Opens the database at `path` beside the connection's own, as the schema `name`. Blocks.
///
/// # Errors
/// `WrongKey` where the file was made with another key, is damaged, or is not encrypted.
pub fn attach(
    connection: &Connection,
    path: &Path,
    key: &SecretKey,
    name: &'static str,
) -> Result<(), DatabaseError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => DatabaseError::WrongKey { path: path.to_owned() },
        _ => DatabaseError::Open { path: path.to_owned(), source },
    };
    let file =
        path.to_str().ok_or_else(|| failed(rusqlite::Error::InvalidPath(path.to_owned())))?;
    let key = if PASS_THROUGH { Zeroizing::default() } else { raw(key) };
    connection
        .execute(&format!("ATTACH DATABASE ?1 AS {name} KEY ?2"), (file, key.as_str()))
        .map_err(failed)?;
    connection
        .query_row(&format!("SELECT count(*) FROM {name}.sqlite_master"), [], |_| Ok(()))
        .map_err(failed)
}

/// Moves what waits in the write-ahead log into the database and gives the log's space back,
/// where nobody reads from it; otherwise it stays for the next time. Blocks.
///
/// # Errors
/// When the database cannot be written; nothing is lost.
pub fn shrink_log(connection: &Connection) -> rusqlite::Result<()> {
    // The caller holds up writers, so readers are not waited for.
    connection.busy_timeout(Duration::ZERO)?;
    let shrunk = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    shrunk
}

/// True where there is a database that is not encrypted and has to be.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn is_plain(path: &Path) -> io::Result<bool> {
    if PASS_THROUGH {
        return Ok(false);
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let mut header = Vec::with_capacity(PLAIN_HEADER.len());
    file.take(PLAIN_HEADER.len() as u64).read_to_end(&mut header)?;
    Ok(header == PLAIN_HEADER)
}

/// Encrypts a database that has no key. Nothing else may have it open. Blocks; after a crash it
/// is called again if [`is_plain`] still says so.
///
/// # Errors
/// When it is in use or cannot be written; then it is as it was.
pub fn encrypt(path: &Path, key: &SecretKey) -> Result<(), DatabaseError> {
    rewrite(path, None, key)
}

/// Gives a database another key. Nothing else may have it open. Blocks; after a crash one of the
/// two keys opens it.
///
/// # Errors
/// When it is in use, `old` is not its key, or it cannot be written; then it is as it was.
pub fn change_key(path: &Path, old: &SecretKey, new: &SecretKey) -> Result<(), DatabaseError> {
    if PASS_THROUGH {
        return Ok(());
    }
    rewrite(path, Some(old), new)
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens a database")]
fn connect(path: &Path, key: Option<&SecretKey>) -> Result<Connection, DatabaseError> {
    let failed = |source| DatabaseError::Open { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(failed)?;
    if let Some(key) = key {
        // SQLCipher would tell a wrong key on standard error as well as in its answer.
        let statements = Zeroizing::new(format!(
            "PRAGMA cipher_log_level = NONE; PRAGMA key = \"{}\";",
            *raw(key)
        ));
        connection.execute_batch(&statements).map_err(failed)?;
    }
    connection.busy_timeout(BUSY).map_err(failed)?;
    // Nothing is read before the first query, so this is where a key turns out not to fit.
    match connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(DatabaseError::WrongKey { path: path.to_owned() })
        }
        checked => checked.map(|()| connection).map_err(failed),
    }
}

/// A key in SQLCipher's spelling of one that is not to be derived from a passphrase.
fn raw(key: &SecretKey) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex(key.expose()));
    Zeroizing::new(format!("x'{}'", *digits))
}

fn rewrite(path: &Path, old: Option<&SecretKey>, new: &SecretKey) -> Result<(), DatabaseError> {
    let fresh = beside(path, ".rekeying");
    // Left by a crash, and nobody's.
    remove(&fresh)?;
    remove(&beside(&fresh, "-journal"))?;
    let connection = connect(path, old)?;
    leave_wal(path, &connection)?;
    copy(&connection, &fresh, new)
        .map_err(|source| DatabaseError::Rewrite { path: path.to_owned(), source })?;
    drop(connection);
    // Beside the new file they would be taken for its own.
    for end in ["-wal", "-shm"] {
        remove(&beside(path, end))?;
    }
    let io = |what| move |source| DatabaseError::Io { what, path: path.to_owned(), source };
    File::open(&fresh).and_then(|file| file.sync_all()).map_err(io("sync the new"))?;
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    disk::sync_dir(dir).map_err(io("sync the directory of"))?;
    std::fs::rename(&fresh, path).map_err(io("replace"))?;
    disk::sync_dir(dir).map_err(io("sync the directory of"))
}

/// Brings everything into the main file, which needs it for itself.
fn leave_wal(path: &Path, connection: &Connection) -> Result<(), DatabaseError> {
    // Nothing else may be using it, so there is nobody to wait for.
    let mode = connection.busy_timeout(Duration::ZERO).and_then(|()| {
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0))
    });
    match mode {
        Ok(mode) if mode == "delete" => Ok(()),
        Ok(_) => Err(DatabaseError::InUse { path: path.to_owned() }),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(DatabaseError::InUse { path: path.to_owned() })
        }
        Err(source) => Err(DatabaseError::Rewrite { path: path.to_owned(), source }),
    }
}

fn copy(connection: &Connection, fresh: &Path, key: &SecretKey) -> rusqlite::Result<()> {
    let name = fresh.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(fresh.to_owned()))?;
    let version: u32 = connection.query_row("PRAGMA main.user_version", [], |row| row.get(0))?;
    connection.execute("ATTACH DATABASE ?1 AS fresh KEY ?2", (name, raw(key).as_str()))?;
    // A copy that does not come to its end is thrown away, so it needs no journal.
    connection.execute_batch("PRAGMA fresh.journal_mode = OFF; PRAGMA fresh.synchronous = OFF;")?;
    connection.query_row("SELECT sqlcipher_export('fresh')", [], |_| Ok(()))?;
    // The export leaves the version out.
    connection.execute_batch(&format!("PRAGMA fresh.user_version = {version};"))?;
    connection.execute("DETACH DATABASE fresh", []).map(drop)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), DatabaseError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DatabaseError::Io { what: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(not(feature = "pass-through-cipher"))]
#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "marker-in-a-row-5d1b";

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32])
    }

    fn fill(connection: &Connection) {
        connection
            .execute_batch(&format!(
                "CREATE TABLE note (key INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);
                 CREATE INDEX note_body ON note (body);
                 CREATE TRIGGER note_kept BEFORE DELETE ON note
                 BEGIN SELECT RAISE(ABORT, 'kept'); END;
                 INSERT INTO note (body) VALUES ('{MARKER}'), ('second');
                 PRAGMA user_version = 7;"
            ))
            .unwrap();
    }

    /// What `fill` made, all of it.
    fn assert_filled(connection: &Connection) {
        let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("PRAGMA user_version"), 7);
        assert_eq!(one("SELECT count(*) FROM note"), 2);
        assert_eq!(one("SELECT seq FROM sqlite_sequence"), 2);
        assert_eq!(one("SELECT count(*) FROM sqlite_master WHERE type = 'index'"), 1);
        assert!(connection.execute("DELETE FROM note", []).is_err(), "the trigger came along");
    }

    #[expect(clippy::disallowed_methods, reason = "a database of an earlier release")]
    fn plain(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        fill(&connection);
        connection
    }

    /// True where any file beside `path` holds the marker.
    fn shows_marker(path: &Path) -> bool {
        std::fs::read_dir(path.parent().unwrap()).unwrap().flatten().any(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
        })
    }

    #[test]
    fn what_is_written_is_read_with_the_key_and_with_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = open(&path, &key(1)).unwrap();
        fill(&connection);
        assert!(!shows_marker(&path), "also while the write-ahead log holds it");
        assert!(matches!(open(&path, &key(2)), Err(DatabaseError::WrongKey { .. })));
        drop(connection);
        assert!(matches!(open(&path, &key(2)), Err(DatabaseError::WrongKey { .. })));
        assert!(!is_plain(&path).unwrap());
        assert_filled(&open(&path, &key(1)).unwrap());
        let mode: String = open(&path, &key(1))
            .unwrap()
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_database_that_was_never_encrypted_is_recognised_and_encrypted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        assert!(!is_plain(&path).unwrap(), "none is not a plain one");
        // Closed without a checkpoint, as a crash leaves it.
        std::mem::forget(plain(&path));
        assert!(is_plain(&path).unwrap());
        assert!(matches!(open(&path, &key(1)), Err(DatabaseError::WrongKey { .. })));
        let copied = dir.path().join("crashed/a.db");
        std::fs::create_dir(copied.parent().unwrap()).unwrap();
        for end in ["", "-wal"] {
            std::fs::copy(beside(&path, end), beside(&copied, end)).unwrap();
        }
        // An attempt that was cut short leaves a file in the way.
        std::fs::write(beside(&copied, ".rekeying"), b"half a copy").unwrap();
        encrypt(&copied, &key(1)).unwrap();
        assert!(!is_plain(&copied).unwrap());
        assert!(!shows_marker(&copied));
        assert_filled(&open(&copied, &key(1)).unwrap());
    }

    #[test]
    fn after_a_change_of_key_only_the_new_one_fits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        fill(&open(&path, &key(1)).unwrap());
        assert!(change_key(&path, &key(9), &key(2)).is_err());
        assert_filled(&open(&path, &key(1)).unwrap());
        change_key(&path, &key(1), &key(2)).unwrap();
        assert!(matches!(open(&path, &key(1)), Err(DatabaseError::WrongKey { .. })));
        assert_filled(&open(&path, &key(2)).unwrap());
    }

    #[test]
    fn a_database_is_read_beside_another_with_its_own_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        // Open and written to all the while.
        let live = open(&path, &key(1)).unwrap();
        fill(&live);
        let copy = create_throwaway(&dir.path().join("copy.db"), &key(2)).unwrap();
        let refused = attach(&copy, &path, &key(3), "wrong");
        assert!(matches!(refused, Err(DatabaseError::WrongKey { .. })), "{refused:?}");
        attach(&copy, &path, &key(1), "source").unwrap();
        copy.execute_batch("BEGIN; CREATE TABLE note AS SELECT * FROM source.note;").unwrap();
        live.execute("INSERT INTO note (body) VALUES ('third')", []).unwrap();
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            copy.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((count("main.note"), count("source.note")), (2, 2), "one snapshot");
        copy.execute_batch("COMMIT").unwrap();
        assert_eq!((count("main.note"), count("source.note")), (2, 3));
        assert!(!shows_marker(&path));
    }

    #[test]
    fn a_database_in_use_keeps_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let user = open(&path, &key(1)).unwrap();
        fill(&user);
        user.execute_batch("BEGIN; SELECT count(*) FROM note;").unwrap();
        let refused = change_key(&path, &key(1), &key(2));
        assert!(matches!(refused, Err(DatabaseError::InUse { .. })), "{refused:?}");
        user.execute_batch("COMMIT").unwrap();
        drop(user);
        assert_filled(&open(&path, &key(1)).unwrap());
    }

    #[test]
    fn the_space_of_the_log_is_given_back_unless_somebody_reads_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let writer = open(&path, &key(1)).unwrap();
        fill(&writer);
        let log = || std::fs::metadata(beside(&path, "-wal")).unwrap().len();
        assert!(log() > 0);
        let reader = open(&path, &key(1)).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM note;").unwrap();
        shrink_log(&writer).unwrap();
        assert!(log() > 0, "somebody reads");
        reader.execute_batch("COMMIT").unwrap();
        shrink_log(&writer).unwrap();
        assert_eq!(log(), 0);
        assert_filled(&reader);
        assert_filled(&open(&path, &key(1)).unwrap());
    }

    #[test]
    fn a_damaged_page_is_an_error_and_never_other_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        fill(&open(&path, &key(1)).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096 + 100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let read = open(&path, &key(1)).and_then(|connection| {
            connection
                .query_row("SELECT group_concat(body) FROM note", [], |row| row.get::<_, String>(0))
                .map_err(|source| DatabaseError::Open { path: path.clone(), source })
        });
        assert!(read.is_err());
    }
}
