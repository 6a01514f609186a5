//! Opening a catalogue: the key that fits, the tables, the formats before this one.
//!
//! Called by: `tenant::stores`, `tenant::migration`, `tenant::rotation`, `tenant::registry`. Talks to: `database`.
//! Invariants: a new catalogue is made under the current epoch; one of an earlier epoch opens as
//! well, until a rotation has come to its end; a catalogue of the format before is opened but not
//! ready until [`Catalog::finish_migration`] has committed.

use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::scope::LimitedReaders;
use super::snapshots::Snapshots;
use super::{Catalog, CatalogError, FORMAT, FORMER_FORMAT, Projection, WITHOUT_DERIVED, failed};
use crate::audit::ChainKeys;
use crate::crypto::{KeyPurpose, Keyring, SecretKey, hex, unhex};
use crate::database::{self, DatabaseError};
use crate::system::trail;

/// The setting that holds the key under which blobs are named on disk.
const BLOB_NAMES: &str = "blob_names";

/// The setting that names the audit chain of a tenant that began as another one, elsewhere.
pub(super) const AUDIT_CHAIN: &str = "audit_chain";

/// What was added to the tables without a format of its own: made wherever it is not there.
const ADDED: &str = concat!(
    include_str!("nesting.sql"),
    include_str!("ocr.sql"),
    include_str!("uploads.sql"),
    include_str!("reread.sql"),
    include_str!("originals.sql"),
    include_str!("source.sql"),
    include_str!("document_table.sql"),
    include_str!("chunk_cells.sql")
);

impl Catalog {
    /// Opens the catalogue at `path`, making it where there is none.
    pub(in crate::tenant) fn open(path: &Path, keyring: &Keyring) -> Result<Self, CatalogError> {
        let open = |source| CatalogError::Open { path: path.to_owned(), source };
        let (_, key, mut writer) = unlock(path, keyring)?;
        tune(&writer).map_err(open)?;
        let found: u32 =
            writer.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
        let format = match found {
            0 => {
                let made = writer.transaction().map_err(open)?;
                lay_out(&made).map_err(open)?;
                name_blobs(&made)?;
                made.commit().map_err(open)?;
                FORMAT
            }
            WITHOUT_DERIVED => {
                // What the tables hold is made when the text is next indexed.
                let made = writer.transaction().map_err(open)?;
                made.execute_batch(include_str!("format_3.sql")).map_err(open)?;
                made.pragma_update(None, "user_version", FORMAT).map_err(open)?;
                made.commit().map_err(open)?;
                FORMAT
            }
            FORMER_FORMAT | FORMAT => found,
            found => {
                return Err(CatalogError::Format { path: path.to_owned(), found });
            }
        };
        writer.execute_batch(ADDED).map_err(open)?;
        let chain = named_chain(&writer).map_err(open)?;
        let audit = ChainKeys::named(chain.as_deref().unwrap_or(keyring.scope()), keyring);
        trail::open(&writer, &audit).map_err(open)?;
        // The home lock says that no other process works here: leases of a dead one are void.
        writer
            .execute("UPDATE job SET lease_until = NULL WHERE lease_until IS NOT NULL", [])
            .map_err(open)?;
        Ok(Self {
            path: path.to_owned(),
            key,
            format,
            limited: LimitedReaders::default(),
            audit,
            writer: Mutex::new(writer),
            snapshots: Snapshots::default(),
        })
    }

    /// True while the catalogue has the format before this one.
    pub(in crate::tenant) fn is_former(&self) -> bool {
        self.format == FORMER_FORMAT
    }

    /// The key under which blobs are named on disk, making it where a migration has none yet.
    pub(in crate::tenant) fn blob_names(&self, now: Timestamp) -> Result<SecretKey, CatalogError> {
        let key = self.write(now, |catalog| {
            if self.is_former() {
                name_blobs(catalog.connection)?;
            }
            catalog.setting(BLOB_NAMES)
        })?;
        key.and_then(|digits| unhex(&digits))
            .and_then(|bytes| SecretKey::from_slice(&bytes))
            .ok_or_else(|| CatalogError::Corrupt {
                what: "the key of blob names",
                source: "it is missing or no key".into(),
            })
    }

    /// Brings a catalogue of the format before to this one: new tables, and both projections
    /// queued to be made anew. One transaction: before it the migration begins again, after it
    /// there is none.
    pub(in crate::tenant) fn finish_migration(
        &mut self,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        self.write(now, |catalog| {
            let migrate = failed("bring the catalogue to a new format");
            catalog
                .transaction
                .execute_batch(concat!(include_str!("format_2.sql"), include_str!("format_3.sql")))
                .map_err(migrate)?;
            catalog.rebuild_if_ready(Projection::Fulltext)?;
            catalog.rebuild_if_ready(Projection::Vectors)?;
            let mark = failed("record the new format of the catalogue");
            catalog.connection.pragma_update(None, "user_version", FORMAT).map_err(mark)
        })?;
        self.format = FORMAT;
        Ok(())
    }

    /// Gives the catalogue at `path` the key of the current epoch, where it has an earlier one.
    /// It must not be open.
    pub(in crate::tenant) fn rekey(path: &Path, keyring: &Keyring) -> Result<(), CatalogError> {
        if !path.exists() {
            return Ok(());
        }
        let (epoch, key, connection) = unlock(path, keyring)?;
        drop(connection);
        match keyring.subkey(keyring.current_epoch(), KeyPurpose::Catalogue) {
            Some(current) if epoch != keyring.current_epoch() => {
                database::change_key(path, &key, &current).map_err(CatalogError::Database)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn connect(&self) -> Result<Connection, CatalogError> {
        let connection = database::open(&self.path, &self.key).map_err(CatalogError::Database)?;
        tune(&connection)
            .map_err(|source| CatalogError::Open { path: self.path.clone(), source })?;
        Ok(connection)
    }
}

/// Opens the database with whichever epoch's key fits, the newest first.
fn unlock(path: &Path, keyring: &Keyring) -> Result<(u32, SecretKey, Connection), CatalogError> {
    for epoch in keyring.epochs() {
        let Some(key) = keyring.subkey(epoch, KeyPurpose::Catalogue) else { continue };
        match database::open(path, &key) {
            Ok(connection) => return Ok((epoch, key, connection)),
            Err(DatabaseError::WrongKey { .. }) => {}
            Err(source) => return Err(CatalogError::Database(source)),
        }
    }
    Err(CatalogError::WrongKey { path: path.to_owned() })
}

/// Makes the tables of a catalogue.
pub(super) fn lay_out(made: &Connection) -> rusqlite::Result<()> {
    made.execute_batch(concat!(include_str!("schema.sql"), include_str!("format_3.sql")))?;
    made.execute_batch(ADDED)?;
    made.pragma_update(None, "user_version", FORMAT)
}

fn named_chain(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM setting WHERE name = ?1", [AUDIT_CHAIN], |row| row.get(0))
        .optional()
}

fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA cache_size = -16384;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Makes the key under which blobs are named, unless there is one.
fn name_blobs(connection: &Connection) -> Result<(), CatalogError> {
    let key = SecretKey::generate().map_err(CatalogError::Random)?;
    connection
        .execute(
            "INSERT OR IGNORE INTO setting (name, value) VALUES (?1, ?2)",
            (BLOB_NAMES, hex(key.expose())),
        )
        .map_err(failed("make the key of blob names"))?;
    Ok(())
}
