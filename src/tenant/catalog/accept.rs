//! Taking something in: the document row, its ledger item and its job, in one transaction.
//!
//! Called by: `app::ingest`. Talks to: `collection`, `document`, `item`, `job`.
//! Invariants: the blob is durable before this runs; taking the same child of the same parent in
//! twice changes nothing, so a container may be read again after a crash.

use jiff::Timestamp;
use rusqlite::params;

use super::queue::JobKind;
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{DocumentId, DocumentKey, FormatHint, ItemId, ItemKey, ItemState, JobId};

/// Something dropped, whose bytes are stored.
#[derive(Clone, Debug)]
pub struct NewDrop {
    pub collection: String,
    pub source: String,
    /// Digest of the bytes, naming the blob.
    pub blob: String,
    pub size_bytes: u64,
    pub file_date: Option<Timestamp>,
    /// Media type the sender declared.
    pub declared_type: Option<String>,
    pub format: Option<FormatHint>,
    /// The item it was found in.
    pub parent: Option<ItemKey>,
}

/// What became of a drop at the moment it was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new document or revision; work is queued.
    Accepted,
    /// The same bytes are held under another source of the collection.
    Duplicate,
    /// The same bytes are held under this very source.
    Unchanged,
}

impl Outcome {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The acknowledgement of a drop.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub document: DocumentId,
    pub item: ItemId,
    pub item_key: ItemKey,
    pub revision: u32,
    pub job: Option<JobId>,
    pub outcome: Outcome,
}

struct Current {
    key: ItemKey,
    id: ItemId,
    revision: u32,
    blob: Option<String>,
    format: Option<String>,
    parent: Option<ItemKey>,
}

impl CatalogReader<'_> {
    fn current_item(&self, document: DocumentKey) -> Result<Option<Current>, CatalogError> {
        self.one(
            "read the current revision",
            "SELECT i.key, i.id, i.revision, i.blob, i.format, i.parent \
             FROM document d JOIN item i ON i.key = d.current_item \
             WHERE d.key = ?1 AND d.deleted_at IS NULL",
            [document.0],
            |row| {
                Ok(Current {
                    key: ItemKey(row.get(0)?),
                    id: super::rows::id(row, 1)?,
                    revision: row.get(2)?,
                    blob: row.get(3)?,
                    format: row.get(4)?,
                    parent: row.get::<_, Option<i64>>(5)?.map(ItemKey),
                })
            },
        )
    }

    /// The live document of the collection that holds these bytes and is no duplicate itself.
    fn holder_of(
        &self,
        collection: i64,
        blob: &str,
        format: Option<&str>,
        other_than: DocumentKey,
    ) -> Result<Option<(DocumentKey, String)>, CatalogError> {
        self.one(
            "look for the same bytes",
            "SELECT d.key, d.source FROM item i INDEXED BY item_original \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             WHERE i.blob = ?1 AND i.format IS ?2 AND d.collection = ?3 AND d.key <> ?4 \
             AND d.deleted_at IS NULL AND i.state <> 'duplicate' ORDER BY d.key LIMIT 1",
            params![blob, format, collection, other_than.0],
            |row| Ok((DocumentKey(row.get(0)?), row.get(1)?)),
        )
    }
}

impl CatalogWriter<'_> {
    /// Records a drop and queues its extraction.
    ///
    /// # Errors
    /// When the catalogue cannot be written; then nothing of the drop is recorded.
    pub fn accept(&self, drop: &NewDrop) -> Result<Accepted, CatalogError> {
        let collection = self.collection(&drop.collection)?;
        if let Some(outdated) = self.outdated_child(collection, drop)? {
            return Ok(outdated);
        }
        let (document, document_id) = self.document(collection, drop)?;
        let format = drop.format.map(format_word);
        let current = self.current_item(document)?;
        if let Some(current) = &current
            && current.blob.as_deref() == Some(drop.blob.as_str())
            && current.format.as_deref() == format
        {
            return self.accept_unchanged(drop, document, document_id, current);
        }
        let revision = self.next_revision(document)?;
        let holder = self.holder_of(collection, &drop.blob, format, document)?;
        let item = ItemId::generate();
        let (state, reason, detail, settled) = match &holder {
            None => (ItemState::Waiting, "queued", "Waiting to be read.".to_owned(), None),
            Some((_, source)) => (
                ItemState::Duplicate,
                "same_content",
                format!("The same bytes are already here as {source}."),
                Some(self.now_us()),
            ),
        };
        let item_key = self.insert_item(&NewItem {
            id: item,
            document,
            revision,
            drop,
            blob: Some(&drop.blob),
            state,
            reason,
            detail: &detail,
            duplicate_of: holder.as_ref().map(|(key, _)| *key),
            settled,
        })?;
        self.make_current(document, item_key)?;
        if let Some(old) = current {
            self.step_aside(document, &old, holder.is_some())?;
        }
        let (job, outcome) = if holder.is_some() {
            (None, Outcome::Duplicate)
        } else {
            (Some(self.enqueue(JobKind::Extract, item_key)?), Outcome::Accepted)
        };
        Ok(Accepted { document: document_id, item, item_key, revision, job, outcome })
    }

    /// Records a drop that is not taken in, as an item without bytes. Refusing the same
    /// child of the same parent again changes its reason only.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn refuse(
        &self,
        drop: &NewDrop,
        state: ItemState,
        reason: &'static str,
        detail: &str,
    ) -> Result<ItemKey, CatalogError> {
        let collection = self.collection(&drop.collection)?;
        if let Some(outdated) = self.outdated_child(collection, drop)? {
            return Ok(outdated.item_key);
        }
        let (document, _) = self.document(collection, drop)?;
        let current = self.current_item(document)?;
        if let Some(current) = &current
            && current.blob.is_none()
            && current.parent == drop.parent
        {
            self.settle(current.key, state, Some(reason), Some(detail))?;
            return Ok(current.key);
        }
        let item_key = self.insert_item(&NewItem {
            id: ItemId::generate(),
            document,
            revision: self.next_revision(document)?,
            drop,
            blob: None,
            state,
            reason,
            detail,
            duplicate_of: None,
            settled: Some(self.now_us()),
        })?;
        self.make_current(document, item_key)?;
        if let Some(old) = current {
            self.step_aside(document, &old, false)?;
        }
        Ok(item_key)
    }

    fn next_revision(&self, document: DocumentKey) -> Result<u32, CatalogError> {
        let newest = self.count(
            "find the next revision",
            "SELECT max(revision) FROM item WHERE document = ?1",
            [document.0],
        )?;
        Ok(1 + newest as u32)
    }

    fn make_current(&self, document: DocumentKey, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "make the revision current",
            "UPDATE document SET current_item = ?2, deleted_at = NULL WHERE key = ?1",
            params![document.0, item.0],
        )?;
        Ok(())
    }

    fn accept_unchanged(
        &self,
        drop: &NewDrop,
        document: DocumentKey,
        document_id: DocumentId,
        current: &Current,
    ) -> Result<Accepted, CatalogError> {
        let known = if current.parent == drop.parent && drop.parent.is_some() {
            Some((current.id, current.key))
        } else {
            self.child_item(document, drop)?
        };
        let (item, item_key) = if let Some(known) = known {
            known
        } else {
            let item = ItemId::generate();
            let detail = "The same bytes were already here under this source.";
            let key = self.insert_item(&NewItem {
                id: item,
                document,
                revision: current.revision,
                drop,
                blob: Some(&drop.blob),
                state: ItemState::Duplicate,
                reason: "unchanged",
                detail,
                duplicate_of: Some(document),
                settled: Some(self.now_us()),
            })?;
            (item, key)
        };
        Ok(Accepted {
            document: document_id,
            item,
            item_key,
            revision: current.revision,
            job: None,
            outcome: Outcome::Unchanged,
        })
    }

    /// The item of a child that an earlier reading of the same parent gave, where it is not to be
    /// taken in once more: the document was removed since, or something newer has taken its place.
    fn outdated_child(
        &self,
        collection: i64,
        drop: &NewDrop,
    ) -> Result<Option<Accepted>, CatalogError> {
        let Some(parent) = drop.parent else { return Ok(None) };
        self.one(
            "look for a child that is outdated",
            "SELECT d.id, i.id, i.key, i.revision FROM document d \
             JOIN item i ON i.document = d.key AND i.parent = ?3 \
             LEFT JOIN item c ON c.key = d.current_item \
             WHERE d.collection = ?1 AND d.source = ?2 AND (d.deleted_at IS NOT NULL \
                 OR c.key > i.key AND c.parent IS NOT ?3) ORDER BY i.key DESC LIMIT 1",
            params![collection, drop.source, parent.0],
            |row| {
                Ok(Accepted {
                    document: super::rows::id(row, 0)?,
                    item: super::rows::id(row, 1)?,
                    item_key: ItemKey(row.get(2)?),
                    revision: row.get(3)?,
                    job: None,
                    outcome: Outcome::Unchanged,
                })
            },
        )
    }

    /// The item of a child that its parent's reading was interrupted after.
    fn child_item(
        &self,
        document: DocumentKey,
        drop: &NewDrop,
    ) -> Result<Option<(ItemId, ItemKey)>, CatalogError> {
        let Some(parent) = drop.parent else { return Ok(None) };
        self.one(
            "look for a child taken in before",
            "SELECT id, key FROM item WHERE document = ?1 AND parent = ?2 AND blob = ?3",
            params![document.0, parent.0, drop.blob],
            |row| Ok((super::rows::id(row, 0)?, ItemKey(row.get(1)?))),
        )
    }

    /// Retires the revision before the newest. One that is visible stays so until the new one's
    /// first commit, unless the new one is a duplicate, which never commits.
    fn step_aside(
        &self,
        document: DocumentKey,
        old: &Current,
        new_is_duplicate: bool,
    ) -> Result<(), CatalogError> {
        if !new_is_duplicate && self.is_visible(old.key)? {
            return Ok(());
        }
        self.retire(document, old.key)?;
        if new_is_duplicate {
            // What is visible may be older still, if the revision before this one failed.
            for visible in self.visible_items(document)? {
                self.retire(document, visible)?;
            }
            self.execute(
                "hide the old revisions",
                "UPDATE document SET fulltext_item = NULL, vector_item = NULL WHERE key = ?1",
                [document.0],
            )?;
        }
        Ok(())
    }

    fn visible_items(&self, document: DocumentKey) -> Result<Vec<ItemKey>, CatalogError> {
        self.all(
            "list what is visible of a document",
            "SELECT fulltext_item FROM document WHERE key = ?1 AND fulltext_item IS NOT NULL \
             UNION SELECT vector_item FROM document WHERE key = ?1 AND vector_item IS NOT NULL",
            [document.0],
            |row| Ok(ItemKey(row.get(0)?)),
        )
    }

    fn document(
        &self,
        collection: i64,
        drop: &NewDrop,
    ) -> Result<(DocumentKey, DocumentId), CatalogError> {
        let parent = match drop.parent {
            None => None,
            Some(item) => self.one(
                "find the parent document",
                "SELECT document FROM item WHERE key = ?1",
                [item.0],
                |row| row.get::<_, i64>(0),
            )?,
        };
        let found = self.one(
            "find a document",
            "SELECT key, id FROM document WHERE collection = ?1 AND source = ?2",
            params![collection, drop.source],
            |row| Ok((DocumentKey(row.get(0)?), super::rows::id(row, 1)?)),
        )?;
        if let Some((key, id)) = found {
            self.execute(
                "note the parent",
                "UPDATE document SET parent = ?2 WHERE key = ?1 AND parent IS NOT ?2",
                params![key.0, parent],
            )?;
            return Ok((key, id));
        }
        let id = DocumentId::generate();
        self.execute(
            "add a document",
            "INSERT INTO document (id, collection, source, parent, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id.to_string(), collection, drop.source, parent, self.now_us()],
        )?;
        Ok((DocumentKey(self.transaction.last_insert_rowid()), id))
    }

    fn insert_item(&self, new: &NewItem<'_>) -> Result<ItemKey, CatalogError> {
        self.execute(
            "add a ledger item",
            "INSERT INTO item (id, document, revision, parent, blob, size_bytes, format, \
             declared_type, file_date, received_at, settled_at, state, reason, detail, \
             duplicate_of) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                new.id.to_string(),
                new.document.0,
                new.revision,
                new.drop.parent.map(|key| key.0),
                new.blob,
                i64::try_from(new.drop.size_bytes).unwrap_or(i64::MAX),
                new.drop.format.map(format_word),
                new.drop.declared_type,
                new.drop.file_date.map(Timestamp::as_microsecond),
                self.now_us(),
                new.settled,
                new.state.as_str(),
                new.reason,
                new.detail,
                new.duplicate_of.map(|key| key.0),
            ],
        )?;
        Ok(ItemKey(self.transaction.last_insert_rowid()))
    }
}

struct NewItem<'a> {
    id: ItemId,
    document: DocumentKey,
    revision: u32,
    drop: &'a NewDrop,
    blob: Option<&'a str>,
    state: ItemState,
    reason: &'static str,
    detail: &'a str,
    duplicate_of: Option<DocumentKey>,
    settled: Option<i64>,
}

/// The word stored for a format hint.
pub(super) fn format_word(format: FormatHint) -> &'static str {
    match format {
        FormatHint::DocumentsJsonl => "documents-jsonl",
        FormatHint::DocumentJson => "document-json",
        FormatHint::Text => "text",
        // Asked for while a page is read or shown, never of a file that is taken in.
        FormatHint::PdfPages { .. } | FormatHint::PdfPicture { .. } => "pdf",
    }
}

/// The format hint a stored word names.
pub(super) fn parse_format(word: &str) -> Option<FormatHint> {
    [FormatHint::DocumentsJsonl, FormatHint::DocumentJson, FormatHint::Text]
        .into_iter()
        .find(|format| format_word(*format) == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::catalog::Catalog;
    use crate::tenant::testing::keyring;

    fn drop(source: &str, blob: char, parent: Option<ItemKey>) -> NewDrop {
        NewDrop {
            collection: "documents".to_owned(),
            source: source.to_owned(),
            blob: blob.to_string().repeat(64),
            size_bytes: 1,
            file_date: None,
            declared_type: None,
            format: None,
            parent,
        }
    }

    #[test]
    fn a_container_that_is_read_again_brings_nothing_back_and_puts_nothing_old_over_new() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&dir.path().join("tenant.db"), &keyring("t", 1)).unwrap();
        let work = |catalog: &CatalogWriter<'_>| {
            // Not the private one of the same name.
            let shown = |document| CatalogReader::document(catalog, document);
            let zip = catalog.accept(&drop("a.zip", '0', None))?.item_key;
            let inside = |source: &str, blob| drop(source, blob, Some(zip));
            let removed = catalog.accept(&inside("a.zip/removed.txt", '1'))?;
            let replaced = catalog.accept(&inside("replaced.txt", '2'))?;
            let kept = catalog.accept(&inside("a.zip/kept.txt", '3'))?;
            catalog.remove_document(removed.document)?;
            let newer = catalog.accept(&drop("replaced.txt", '4', None))?;

            // The same reading once more, of which one file now says something else.
            for (source, blob, before) in
                [("a.zip/removed.txt", '1', &removed), ("replaced.txt", '2', &replaced)]
            {
                let again = catalog.accept(&inside(source, blob))?;
                assert_eq!((again.outcome, again.item_key), (Outcome::Unchanged, before.item_key));
                let refused = catalog.refuse(&inside(source, blob), ItemState::Failed, "a", "b")?;
                assert_eq!(refused, before.item_key);
            }
            assert!(shown(removed.document)?.is_none(), "it was removed");
            let newest = shown(newer.document)?.unwrap();
            assert_eq!(newest.item, newer.item_key, "what came later stays");
            let again = catalog.accept(&inside("a.zip/kept.txt", '5'))?;
            assert_eq!((again.outcome, again.document), (Outcome::Accepted, kept.document));
            // An archive that is put in anew brings all it has.
            let newer_zip = catalog.accept(&drop("a.zip", '6', None))?.item_key;
            let back = catalog.accept(&drop("a.zip/removed.txt", '1', Some(newer_zip)))?;
            assert!(shown(back.document)?.is_some());
            Ok(())
        };
        catalog.write(Timestamp::UNIX_EPOCH, work).unwrap();
    }
}
