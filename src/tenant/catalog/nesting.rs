//! Files inside files: how deep one lies, how much came out of one, which passwords hold for it.
//!
//! Called by: `stage`, `lifecycle`, `app::index`, `app::maintain`. Talks to: `item`,
//! `document_password`, `nested`.
//! Invariants: what a file holds is counted once, however often it is read; a removed document
//! has no passwords.
//! Why passwords stay: a file is read again whenever its reader has improved, and what it holds may
//! be locked with the same one. One that opens nothing is forgotten when the reading has failed.

use rusqlite::params;

use super::{CatalogError, CatalogReader, CatalogWriter, NewDrop};
use crate::types::{DocumentId, DocumentKey, ItemKey};

/// More levels than any limit of depth allows, so that no row makes this loop.
const MOST_LEVELS: u32 = 1000;
/// Reason of an item that a password opens.
pub const PASSWORD_REQUIRED: &str = "password_required";
/// Passwords tried on one file.
const MOST_PASSWORDS: u32 = 16;

/// Where an item stands among the files it was found in.
#[derive(Clone, PartialEq, Eq)]
pub struct Nesting {
    /// The file that was dropped; the item itself where nothing holds it.
    pub top: ItemKey,
    pub top_bytes: u64,
    /// How many files it lies in.
    pub depth: u32,
    /// Passwords given for the item and for what it lies in, the nearest first.
    pub passwords: Vec<String>,
}

impl std::fmt::Debug for Nesting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nesting")
            .field("top", &self.top)
            .field("depth", &self.depth)
            .field("passwords", &self.passwords.len())
            .finish_non_exhaustive()
    }
}

/// An item and all it lies in.
const LINEAGE: &str = "WITH RECURSIVE lineage (key, parent, document, bytes, depth) AS ( \
     SELECT key, parent, document, size_bytes, 0 FROM item WHERE key = ?1 UNION ALL \
     SELECT i.key, i.parent, i.document, i.size_bytes, l.depth + 1 \
     FROM item i JOIN lineage l ON i.key = l.parent WHERE l.depth < ?2)";

impl CatalogReader<'_> {
    /// Where an item stands; `None` where it is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn nesting(&self, item: ItemKey) -> Result<Option<Nesting>, CatalogError> {
        let top = self.one(
            "find what was dropped",
            &format!("{LINEAGE} SELECT key, bytes, depth FROM lineage ORDER BY depth DESC LIMIT 1"),
            params![item.0, MOST_LEVELS],
            |row| Ok((ItemKey(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?)),
        )?;
        let Some((top, top_bytes, depth)) = top else { return Ok(None) };
        let passwords = self.all(
            "list passwords",
            &format!(
                "{LINEAGE} SELECT p.password FROM lineage l JOIN document_password p \
                 ON p.document = l.document ORDER BY l.depth, p.key DESC LIMIT ?3"
            ),
            params![item.0, MOST_LEVELS, MOST_PASSWORDS],
            |row| row.get(0),
        )?;
        Ok(Some(Nesting { top, top_bytes, depth, passwords }))
    }

    /// Bytes taken out of a dropped file so far, on all levels together.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn nested_bytes(&self, top: ItemKey) -> Result<u64, CatalogError> {
        self.count("read how much was taken", "SELECT bytes FROM nested WHERE top = ?1", [top.0])
    }

    /// True where a child was taken in before by the same parent.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn was_taken(&self, drop: &NewDrop) -> Result<bool, CatalogError> {
        let found = self.one(
            "look for a child taken in before",
            "SELECT 1 FROM item i JOIN document d ON d.key = i.document \
             WHERE d.source = ?1 AND i.parent = ?2 AND i.blob = ?3",
            params![drop.source, drop.parent.map(|key| key.0), drop.blob],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl CatalogWriter<'_> {
    /// Adds to what was taken out of a dropped file.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn add_nested(&self, top: ItemKey, bytes: u64) -> Result<(), CatalogError> {
        self.execute(
            "count what was taken",
            "INSERT INTO nested (top, bytes) VALUES (?1, ?2) \
             ON CONFLICT (top) DO UPDATE SET bytes = bytes + excluded.bytes",
            params![top.0, i64::try_from(bytes).unwrap_or(i64::MAX >> 8)],
        )?;
        Ok(())
    }

    /// Keeps a password for a locked document and queues it to be read again; false where it is not
    /// locked, `None` where it is not there. What its container could not open is read with the
    /// container, so the password is the container's.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn unlock_document(
        &self,
        document: DocumentId,
        password: &str,
    ) -> Result<Option<bool>, CatalogError> {
        let Some(row) = self.document(document)? else { return Ok(None) };
        let locked = self.one(
            "find what a password opens",
            "SELECT r.document FROM item i JOIN item r ON r.key = CASE WHEN i.blob IS NULL \
             THEN i.parent ELSE i.key END \
             WHERE i.key = ?1 AND i.state = 'failed' AND i.reason = ?2",
            params![row.item.0, PASSWORD_REQUIRED],
            |found| Ok(DocumentKey(found.get(0)?)),
        )?;
        let Some(locked) = locked else { return Ok(Some(false)) };
        if !self.retry_document(document)? {
            return Ok(Some(false));
        }
        self.give_password(locked, password)?;
        Ok(Some(true))
    }

    /// Keeps a password for a document and all that is found in it. The one given last is tried
    /// first.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn give_password(&self, document: DocumentKey, password: &str) -> Result<(), CatalogError> {
        self.execute(
            "keep a password",
            "INSERT OR REPLACE INTO document_password (document, password) VALUES (?1, ?2)",
            params![document.0, password],
        )?;
        self.execute(
            "forget old passwords",
            "DELETE FROM document_password WHERE document = ?1 AND key NOT IN \
             (SELECT key FROM document_password WHERE document = ?1 ORDER BY key DESC LIMIT ?2)",
            params![document.0, MOST_PASSWORDS],
        )?;
        Ok(())
    }

    /// Forgets the passwords of a document.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn forget_passwords(&self, document: DocumentKey) -> Result<(), CatalogError> {
        self.execute(
            "forget passwords",
            "DELETE FROM document_password WHERE document = ?1",
            [document.0],
        )?;
        Ok(())
    }
}
