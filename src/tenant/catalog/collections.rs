//! Collections: named groups of documents, the unit of access inside a tenant.
//!
//! Called by: `app::collections`. Talks to: `collection`.
//! Invariants: a name is unique in its tenant; a collection is never renamed, because sources are
//! unique in it.

use rusqlite::params;

use super::rows::id;
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::CollectionId;

/// A collection with the number of its live documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRow {
    pub id: CollectionId,
    pub name: String,
    pub documents: u64,
}

impl CatalogReader<'_> {
    /// All collections, by name.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn collections(&self) -> Result<Vec<CollectionRow>, CatalogError> {
        self.all(
            "list collections",
            "SELECT c.id, c.name, (SELECT count(*) FROM document d \
             WHERE d.collection = c.key AND d.deleted_at IS NULL) \
             FROM collection c ORDER BY c.name",
            [],
            |row| {
                Ok(CollectionRow {
                    id: id(row, 0)?,
                    name: row.get(1)?,
                    documents: row.get::<_, i64>(2)?.unsigned_abs(),
                })
            },
        )
    }
}

impl CatalogWriter<'_> {
    /// The key of the collection of this name, made where there is none.
    pub(super) fn collection(&self, name: &str) -> Result<i64, CatalogError> {
        let find = "SELECT key FROM collection WHERE name = ?1";
        if let Some(key) = self.one("find a collection", find, [name], |row| row.get(0))? {
            return Ok(key);
        }
        self.execute(
            "add a collection",
            "INSERT INTO collection (id, name, created_at) VALUES (?1, ?2, ?3)",
            params![CollectionId::generate().to_string(), name, self.now_us()],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// Makes a collection; the one that is there where the name is taken.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn add_collection(&self, name: &str) -> Result<CollectionRow, CatalogError> {
        self.collection(name)?;
        let all = self.collections()?;
        let found = all.into_iter().find(|collection| collection.name == name);
        Ok(found.expect("invariant: it was there or has just been made"))
    }
}
