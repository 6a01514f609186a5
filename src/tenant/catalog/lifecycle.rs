//! Removing, retrying and rebuilding.
//!
//! Called by: `app::remove`, `app::retry`, `app::rebuild`, `app::index`. Talks to: every table.
//! Invariants: the tombstone commits first, so a removed document is invisible at once; a blob is
//! forgotten only when no live item names it; another source of the same bytes takes over.

use rusqlite::params;

use super::queue::{ClaimedJob, JobKind};
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{DocumentId, DocumentKey, ItemKey, ItemState};

/// A projection that can be rebuilt from the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    Fulltext,
    Vectors,
}

impl Projection {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fulltext => "fulltext",
            Self::Vectors => "vectors",
        }
    }
}

/// An item whose rows and projections are to go.
#[derive(Clone, Debug)]
pub struct PurgeItem {
    pub item: ItemKey,
    /// The blob, where this item was the last to name it.
    pub orphaned_blob: Option<String>,
}

impl CatalogReader<'_> {
    /// Finds live documents by id or by source.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn resolve_documents(&self, id_or_source: &str) -> Result<Vec<DocumentId>, CatalogError> {
        self.all(
            "find documents",
            "SELECT id FROM document WHERE (id = ?1 OR source = ?1) AND deleted_at IS NULL",
            [id_or_source],
            |row| super::rows::id(row, 0),
        )
    }

    /// True where any item, of whatever state, or an upload under way still names this blob.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn blob_is_named(&self, blob: &str) -> Result<bool, CatalogError> {
        let found = self.one(
            "look for a blob",
            "SELECT 1 FROM item WHERE blob = ?1 \
             UNION ALL SELECT 1 FROM upload_part WHERE blob = ?1 LIMIT 1",
            [blob],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The digest of every blob that any item or any upload under way names.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn named_blobs(&self) -> Result<Vec<String>, CatalogError> {
        self.all(
            "list blobs",
            "SELECT blob FROM item WHERE blob IS NOT NULL UNION SELECT blob FROM upload_part",
            [],
            |row| row.get(0),
        )
    }

    /// True where a job of any kind waits, whether its time has come or not.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn has_job(&self) -> Result<bool, CatalogError> {
        Ok(self.one("look for a job", "SELECT 1 FROM job LIMIT 1", [], |_| Ok(()))?.is_some())
    }

    /// A setting of the tenant.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>, CatalogError> {
        self.one("read a setting", "SELECT value FROM setting WHERE name = ?1", [name], |row| {
            row.get(0)
        })
    }

    pub(super) fn family(&self, document: DocumentKey) -> Result<Vec<DocumentKey>, CatalogError> {
        self.all(
            "list a document and its children",
            "WITH RECURSIVE family (key) AS (SELECT ?1 UNION \
             SELECT d.key FROM document d JOIN family f ON d.parent = f.key) \
             SELECT key FROM family",
            [document.0],
            |row| Ok(DocumentKey(row.get(0)?)),
        )
    }
}

impl CatalogWriter<'_> {
    /// Changes a setting of the tenant.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), CatalogError> {
        self.execute(
            "change a setting",
            "INSERT INTO setting (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }

    /// Takes a setting of the tenant away; false where there is none.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn forget_setting(&self, name: &str) -> Result<bool, CatalogError> {
        let sql = "DELETE FROM setting WHERE name = ?1";
        Ok(self.execute("take a setting away", sql, [name])? > 0)
    }

    /// Removes a document and everything found inside it; returns how many documents went.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn remove_document(&self, document: DocumentId) -> Result<u64, CatalogError> {
        let Some(row) = self.document(document)? else {
            return Ok(0);
        };
        let mut removed = 0;
        for member in self.family(row.key)? {
            let gone = self.execute(
                "remove a document",
                "UPDATE document SET deleted_at = ?2, fulltext_item = NULL, vector_item = NULL \
                 WHERE key = ?1 AND deleted_at IS NULL",
                params![member.0, self.now_us()],
            )?;
            if gone == 0 {
                continue;
            }
            removed += 1;
            self.forget_passwords(member)?;
            self.remove_items(member)?;
        }
        Ok(removed)
    }

    fn remove_items(&self, document: DocumentKey) -> Result<(), CatalogError> {
        let items = self.all(
            "list the items of a document",
            "SELECT key, state FROM item WHERE document = ?1 AND state <> 'deleted'",
            [document.0],
            |row| Ok((ItemKey(row.get(0)?), super::rows::state(row, 1)?)),
        )?;
        for (item, state) in items {
            self.drop_jobs(item)?;
            if state != ItemState::Superseded {
                self.settle(
                    item,
                    ItemState::Deleted,
                    Some("removed"),
                    Some("Removed on request."),
                )?;
            }
            if state != ItemState::Duplicate {
                self.promote_duplicates(document, item)?;
            }
            self.enqueue(JobKind::Purge, item)?;
        }
        Ok(())
    }

    /// Makes the oldest other source of the same bytes their holder, since `document` no longer is.
    pub(super) fn promote_duplicates(
        &self,
        document: DocumentKey,
        old: ItemKey,
    ) -> Result<(), CatalogError> {
        let heirs = self.all(
            "find other sources of the same bytes",
            "SELECT i.key, d.key FROM item i \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             JOIN item old ON old.key = ?2 \
             WHERE i.duplicate_of = ?1 AND i.state = 'duplicate' AND d.key <> ?1 \
             AND i.blob = old.blob AND d.deleted_at IS NULL ORDER BY d.key",
            params![document.0, old.0],
            |row| Ok((ItemKey(row.get(0)?), DocumentKey(row.get(1)?))),
        )?;
        let Some(((heir, heir_document), others)) = heirs.split_first() else {
            return Ok(());
        };
        self.execute(
            "promote a duplicate",
            "UPDATE item SET duplicate_of = NULL WHERE key = ?1",
            [heir.0],
        )?;
        self.mark_waiting(*heir, "queued", "Waiting to be read.")?;
        self.enqueue(JobKind::Extract, *heir)?;
        for (other, _) in others {
            self.execute(
                "point a duplicate at its new holder",
                "UPDATE item SET duplicate_of = ?2 WHERE key = ?1",
                params![other.0, heir_document.0],
            )?;
        }
        Ok(())
    }

    /// Queues the failed or unsupported revision of a document again; false where it is neither.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn retry_document(&self, document: DocumentId) -> Result<bool, CatalogError> {
        let Some(row) = self.document(document)? else {
            return Ok(false);
        };
        if !matches!(row.state, ItemState::Failed | ItemState::Unsupported) {
            return Ok(false);
        }
        self.retry_item(row.item)
    }

    /// Queues every current item in `state` again; returns how many.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn retry_all(&self, state: ItemState) -> Result<u64, CatalogError> {
        let items = self.all(
            "list items to retry",
            "SELECT i.key FROM item i \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             WHERE i.state = ?1 AND d.deleted_at IS NULL",
            [state.as_str()],
            |row| Ok(ItemKey(row.get(0)?)),
        )?;
        let mut retried = 0;
        for item in items {
            retried += u64::from(self.retry_item(item)?);
        }
        Ok(retried)
    }

    /// Queues an item again. One that was refused has no bytes here: its container is read again.
    fn retry_item(&self, item: ItemKey) -> Result<bool, CatalogError> {
        let to_read = self.one(
            "find what to read again",
            "SELECT r.key FROM item i JOIN item r ON r.key = CASE WHEN i.blob IS NULL \
             THEN i.parent ELSE i.key END JOIN document d ON d.current_item = r.key \
             AND d.key = r.document \
             WHERE i.key = ?1 AND r.blob IS NOT NULL AND d.deleted_at IS NULL",
            [item.0],
            |row| Ok(ItemKey(row.get(0)?)),
        )?;
        let Some(to_read) = to_read else { return Ok(false) };
        self.forget_ocr_problems(to_read)?;
        self.mark_waiting(to_read, "queued", "Waiting to be read again.")?;
        self.enqueue(JobKind::Extract, to_read)?;
        Ok(true)
    }

    /// Hides a projection and queues it to be written anew; returns how many items are queued.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn rebuild(&self, projection: Projection) -> Result<u64, CatalogError> {
        let (kind, hide, reason) = match projection {
            Projection::Fulltext => (
                JobKind::Fulltext,
                "UPDATE document SET fulltext_item = NULL \
                 WHERE key = (SELECT document FROM item WHERE key = ?1) AND fulltext_item = ?1",
                "rebuilding_fulltext",
            ),
            Projection::Vectors => (
                JobKind::Embed,
                "UPDATE document SET vector_item = NULL \
                 WHERE key = (SELECT document FROM item WHERE key = ?1) AND vector_item = ?1",
                "rebuilding_vectors",
            ),
        };
        let items = self.all(
            "list items to rebuild",
            "SELECT i.key FROM item i \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             WHERE i.extracted = 1 AND i.chunk_count > 0 AND i.state IN ('indexed', 'waiting') \
             AND d.deleted_at IS NULL",
            [],
            |row| Ok(ItemKey(row.get(0)?)),
        )?;
        for item in &items {
            self.execute("hide a projection", hide, [item.0])?;
            self.mark_waiting(*item, reason, "Its index is being rebuilt.")?;
            self.enqueue(kind, *item)?;
        }
        Ok(items.len() as u64)
    }

    /// Rebuilds a projection that turned out to be empty, if the catalogue says it should not be.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn rebuild_if_ready(&self, projection: Projection) -> Result<u64, CatalogError> {
        let ready = match projection {
            Projection::Fulltext => "d.fulltext_item",
            Projection::Vectors => "d.vector_item",
        };
        let documents = self.count(
            "count documents of a projection",
            &format!(
                "SELECT count(*) FROM document d JOIN item i ON i.key = {ready} \
                 WHERE i.chunk_count > 0"
            ),
            [],
        )?;
        if documents == 0 { Ok(0) } else { self.rebuild(projection) }
    }

    /// Removes what the catalogue holds of purged items beyond their ledger entry.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn purge_rows(&self, jobs: &[ClaimedJob]) -> Result<Vec<PurgeItem>, CatalogError> {
        let mut purged = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.is_visible(job.item)? {
                self.finish_purge(job)?;
                continue;
            }
            self.clear_text(job.item)?;
            self.clear_ocr(job.item)?;
            let blob = self
                .one(
                    "read the blob of an item",
                    "SELECT blob FROM item WHERE key = ?1",
                    [job.item.0],
                    |row| row.get::<_, Option<String>>(0),
                )?
                .flatten();
            self.execute(
                "forget the blob of an item",
                "UPDATE item SET blob = NULL, extracted = 0 WHERE key = ?1",
                [job.item.0],
            )?;
            let orphaned_blob = match blob {
                Some(blob) if !self.blob_is_named(&blob)? => Some(blob),
                _ => None,
            };
            purged.push(PurgeItem { item: job.item, orphaned_blob });
        }
        Ok(purged)
    }
}
