//! The stages of a document after it was taken in, each ending in one commit.
//!
//! Called by: `app::index`. Talks to: `item`, `document`, `text`, `chunk`, `job`, and what goes with
//! them.
//! Invariants: every stage may run again and leaves the same rows; a new revision hides the old
//! one everywhere with its first commit; what is read again is found by what was read before until
//! each index has the new; finishing needs the job's lease.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::chunks::{ChunkInput, voice_of};
use super::documents::OutlineEntry;
use super::nesting::{Nesting, PASSWORD_REQUIRED};
use super::ocr::OcrPlan;
use super::queue::{ClaimedJob, JobKind};
use super::rows::to_json;
use super::tables::NewTable;
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{ChunkKey, DocumentKey, FormatHint, ItemKey, ItemState, Voice};

/// What extraction needs to know about an item.
#[derive(Clone, Debug)]
pub struct ExtractInput {
    pub item: ItemKey,
    pub collection: String,
    pub source: String,
    pub blob: String,
    pub declared_type: Option<String>,
    pub format: Option<FormatHint>,
    /// True where the item is the newest revision of a live document.
    pub is_current: bool,
    /// What it lies in.
    pub nesting: Nesting,
}

/// The outcome of extraction and chunking.
#[derive(Clone, Debug)]
pub struct ExtractionRecord {
    pub media_type: String,
    pub title: String,
    /// ISO 639-1 code, or `other`.
    pub language: String,
    pub authors: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    pub warnings: Vec<String>,
    pub truncated_at: Option<u64>,
    pub content_date: Option<Timestamp>,
    pub event_date: Option<Timestamp>,
    pub text_zstd: Vec<u8>,
    pub length_chars: u64,
    pub outline: Vec<OutlineEntry>,
    /// Offset of each page's first character.
    pub page_starts: Vec<u64>,
    pub chunks: Vec<ChunkInput>,
    /// Its tables as data, in the order of the text.
    pub tables: Vec<NewTable>,
    /// Holds nothing but other files.
    pub container: bool,
    /// Pages whose text is in pictures.
    pub ocr: OcrPlan,
}

/// A file without text, and why.
#[derive(Clone, Debug)]
pub struct Unreadable {
    pub state: ItemState,
    pub reason: String,
    pub detail: String,
    pub media_type: Option<String>,
}

/// What the full-text index needs to know about an item.
#[derive(Clone, Debug)]
pub struct FulltextSource {
    pub item: ItemKey,
    pub title: String,
    pub language: String,
    pub headings: String,
    pub text_zstd: Vec<u8>,
    pub source: String,
    pub media_type: String,
    /// Names and addresses of those who wrote it.
    pub authors: Vec<String>,
    /// The same of those a mail went to.
    pub recipients: Vec<String>,
    pub date: Timestamp,
    /// The date the document gives itself.
    pub written: Option<Timestamp>,
    /// The offset from UTC in which it writes that date: `+11:00`.
    pub utc_offset: Option<String>,
    /// The language it says it is in: `en-GB`.
    pub lang: Option<String>,
    /// Address of the person a mail is from.
    pub from_address: Option<String>,
    pub chunks: Vec<FulltextChunk>,
}

/// One chunk of it.
#[derive(Clone, Debug)]
pub struct FulltextChunk {
    pub key: ChunkKey,
    pub text: String,
    pub voice: Voice,
}

impl CatalogReader<'_> {
    /// What extraction needs to know; `None` where the item is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn extract_input(&self, item: ItemKey) -> Result<Option<ExtractInput>, CatalogError> {
        let Some(nesting) = self.nesting(item)? else { return Ok(None) };
        self.one(
            "read what to extract",
            "SELECT i.key, c.name, d.source, i.blob, i.declared_type, i.format, \
                    d.current_item = i.key AND d.deleted_at IS NULL \
             FROM item i JOIN document d ON d.key = i.document \
             JOIN collection c ON c.key = d.collection \
             WHERE i.key = ?1 AND i.blob IS NOT NULL",
            [item.0],
            |row| {
                Ok(ExtractInput {
                    item: ItemKey(row.get(0)?),
                    collection: row.get(1)?,
                    source: row.get(2)?,
                    blob: row.get(3)?,
                    declared_type: row.get(4)?,
                    format: row
                        .get::<_, Option<String>>(5)?
                        .and_then(|word| super::accept::parse_format(&word)),
                    is_current: row.get(6)?,
                    nesting: nesting.clone(),
                })
            },
        )
    }

    /// What the full-text index needs; `None` where the item has no text or is no longer current.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn fulltext_source(&self, item: ItemKey) -> Result<Option<FulltextSource>, CatalogError> {
        let found = self.one(
            "read what to index",
            "SELECT i.title, i.language, t.outline, t.body_zstd, d.source, i.media_type, \
                    coalesce(i.event_date, i.content_date, i.file_date, i.received_at), \
                    i.content_date, i.authors, i.metadata, \
                     json_extract(i.metadata, '$.utc_offset'), \
                     json_extract(i.metadata, '$.lang'), \
                     json_extract(i.metadata, '$.from_address') \
             FROM item i JOIN document d ON d.key = i.document JOIN text t ON t.item = i.key \
             WHERE i.key = ?1 AND d.current_item = i.key AND d.deleted_at IS NULL",
            [item.0],
            |row| {
                let outline: Vec<OutlineEntry> = super::rows::json(row, 2)?;
                let headings: Vec<&str> = outline.iter().map(|entry| entry.text.as_str()).collect();
                Ok(FulltextSource {
                    item,
                    title: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                    language: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                    headings: headings.join("\n"),
                    text_zstd: row.get(3)?,
                    source: row.get(4)?,
                    media_type: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
                    authors: super::rows::json(row, 8)?,
                    recipients: recipients(super::rows::json(row, 9)?),
                    date: super::rows::time(row, 6)?,
                    written: super::rows::optional_time(row, 7)?,
                    utc_offset: row.get(10)?,
                    lang: row.get(11)?,
                    from_address: row.get(12)?,
                    chunks: Vec::new(),
                })
            },
        )?;
        let Some(mut source) = found else {
            return Ok(None);
        };
        source.chunks = self.all(
            "read chunks to index",
            "SELECT key, body, input FROM chunk WHERE item = ?1 ORDER BY ordinal",
            [item.0],
            |row| {
                Ok(FulltextChunk {
                    key: ChunkKey(row.get(0)?),
                    text: row.get(1)?,
                    voice: voice_of(row.get_ref(2)?.as_blob()?),
                })
            },
        )?;
        Ok(Some(source))
    }

    pub(super) fn is_visible(&self, item: ItemKey) -> Result<bool, CatalogError> {
        let count = self.count(
            "check visibility",
            "SELECT count(*) FROM document WHERE key = (SELECT document FROM item WHERE key = ?1) \
             AND (fulltext_item = ?1 OR vector_item = ?1)",
            [item.0],
        )?;
        Ok(count > 0)
    }

    fn document_of(&self, item: ItemKey) -> Result<Option<Owner>, CatalogError> {
        self.one(
            "read the document of an item",
            "SELECT d.key, d.current_item = ?1 AND d.deleted_at IS NULL, d.fulltext_item, \
             d.vector_item FROM item i JOIN document d ON d.key = i.document WHERE i.key = ?1",
            [item.0],
            |row| {
                Ok(Owner {
                    document: DocumentKey(row.get(0)?),
                    is_current: row.get(1)?,
                    fulltext: row.get::<_, Option<i64>>(2)?.map(ItemKey),
                    vectors: row.get::<_, Option<i64>>(3)?.map(ItemKey),
                })
            },
        )
    }
}

/// Whoever a mail went to, as far as its facts say.
fn recipients(mut facts: BTreeMap<String, String>) -> Vec<String> {
    ["to", "cc", "bcc"].into_iter().filter_map(|key| facts.remove(key)).collect()
}

/// The document an item belongs to, and what is visible of it.
struct Owner {
    document: DocumentKey,
    /// True where the item is the newest revision of a live document.
    is_current: bool,
    fulltext: Option<ItemKey>,
    vectors: Option<ItemKey>,
}

impl CatalogWriter<'_> {
    /// Commits the text and chunks of an item and queues its projections; false where the lease
    /// was lost. An item that is no longer current is left to its purge.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn record_extraction(
        &self,
        job: &ClaimedJob,
        record: &ExtractionRecord,
    ) -> Result<bool, CatalogError> {
        if !self.finish_job(job)? {
            return Ok(false);
        }
        let item = job.item;
        self.clear_derived(item)?;
        // What searches show of it stands until both indexes are written anew.
        let stands = self.is_visible(item)?;
        if stands {
            self.execute(
                "note what the index has an item under",
                "INSERT INTO reread (item, language) SELECT key, language FROM item \
                 WHERE key = ?1 ON CONFLICT (item) DO NOTHING",
                [item.0],
            )?;
        }
        self.execute(
            "record an extraction",
            "UPDATE item SET media_type = ?2, title = ?3, language = ?4, authors = ?5, \
             metadata = ?6, warnings = ?7, truncated_at = ?8, content_date = ?9, \
             event_date = ?10, extracted = 1, chunk_count = ?11, reason = 'indexing', \
             detail = 'Read; waiting to be indexed.' WHERE key = ?1",
            params![
                item.0,
                record.media_type,
                record.title,
                record.language,
                to_json(&record.authors)?,
                to_json(&record.metadata)?,
                to_json(&record.warnings)?,
                record.truncated_at.map(|at| i64::try_from(at).unwrap_or(i64::MAX)),
                record.content_date.map(Timestamp::as_microsecond),
                record.event_date.map(Timestamp::as_microsecond),
                record.chunks.len() as i64,
            ],
        )?;
        self.execute(
            "record a text",
            "INSERT INTO text (item, body_zstd, length_chars, outline, page_starts) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                item.0,
                record.text_zstd,
                record.length_chars as i64,
                to_json(&record.outline)?,
                to_json(&record.page_starts)?
            ],
        )?;
        self.replace_chunks(item, &record.chunks)?;
        self.insert_tables(item, &record.tables)?;
        self.remove_vanished_children(item)?;
        self.plan_ocr(item, &record.ocr)?;
        if record.container && record.chunks.is_empty() {
            let children = self.count(
                "count children",
                "SELECT count(*) FROM item WHERE parent = ?1",
                [item.0],
            )?;
            return self.settle_container(item, children).map(|()| true);
        }
        self.enqueue(JobKind::Fulltext, item)?;
        if stands {
            // Also takes it from whoever is about to show vectors of the chunks before.
            self.enqueue(JobKind::Embed, item)?;
        }
        Ok(true)
    }

    /// Notes that the full-text index holds an item as it was read last.
    pub(super) fn note_written(&self, item: ItemKey) -> Result<(), CatalogError> {
        let sql = "DELETE FROM reread WHERE item = ?1";
        self.execute("forget what the index had an item under", sql, [item.0])?;
        Ok(())
    }

    /// True where a projection of an item is still to be written.
    fn is_queued(&self, kind: JobKind, item: ItemKey) -> Result<bool, CatalogError> {
        let sql = "SELECT 1 FROM job WHERE kind = ?1 AND item = ?2";
        let asked = params![kind.as_str(), item.0];
        Ok(self.one("look for a job", sql, asked, |_| Ok(()))?.is_some())
    }

    /// Removes documents that an older revision of this container held and this one does not.
    pub(super) fn remove_vanished_children(&self, item: ItemKey) -> Result<(), CatalogError> {
        let vanished = self.all(
            "list vanished children",
            "SELECT d.id FROM document d JOIN item i ON i.key = ?1 \
             WHERE d.parent = i.document AND d.deleted_at IS NULL AND NOT EXISTS \
             (SELECT 1 FROM item child WHERE child.document = d.key AND child.parent = ?1)",
            [item.0],
            |row| super::rows::id(row, 0),
        )?;
        for document in vanished {
            self.remove_document(document)?;
        }
        Ok(())
    }

    fn settle_container(&self, item: ItemKey, children: u64) -> Result<(), CatalogError> {
        let documents =
            if children == 1 { "1 document".to_owned() } else { format!("{children} documents") };
        self.settle(
            item,
            ItemState::Indexed,
            Some("container"),
            Some(&format!("Holds {documents}, each listed by itself.")),
        )?;
        if let Some(Owner { document, is_current: true, fulltext: old, .. }) =
            self.document_of(item)?
        {
            self.execute(
                "show a container",
                "UPDATE document SET fulltext_item = ?2, vector_item = ?2 WHERE key = ?1",
                params![document.0, item.0],
            )?;
            if let Some(old) = old.filter(|old| *old != item) {
                self.retire(document, old)?;
            }
        }
        Ok(())
    }

    /// Records that an item has no text, and why; false where the lease was lost.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn record_unreadable(
        &self,
        job: &ClaimedJob,
        unreadable: &Unreadable,
    ) -> Result<bool, CatalogError> {
        if !self.finish_job(job)? {
            return Ok(false);
        }
        self.drop_jobs(job.item)?;
        if unreadable.reason == PASSWORD_REQUIRED
            && let Some(owner) = self.document_of(job.item)?
        {
            // None of those given for it has opened it.
            self.forget_passwords(owner.document)?;
        }
        if let Some(media_type) = &unreadable.media_type {
            self.execute(
                "note the media type",
                "UPDATE item SET media_type = ?2 WHERE key = ?1",
                params![job.item.0, media_type],
            )?;
        }
        self.settle(
            job.item,
            unreadable.state,
            Some(&unreadable.reason),
            Some(&unreadable.detail),
        )?;
        Ok(true)
    }

    /// Flips a group of items to searchable by full text. `embed` says whether vectors follow;
    /// where they cannot, the item settles as found by keyword only.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn fulltext_ready(&self, jobs: &[ClaimedJob], embed: bool) -> Result<(), CatalogError> {
        for job in jobs {
            let item = job.item;
            let Some(owner) = self.owner_to_flip(job)? else { continue };
            self.execute(
                "flip full text",
                "UPDATE document SET fulltext_item = ?2, \
                 vector_item = CASE WHEN vector_item = ?2 THEN vector_item END WHERE key = ?1",
                params![owner.document.0, item.0],
            )?;
            let mut old = vec![owner.fulltext, owner.vectors];
            old.dedup();
            for old in old.into_iter().flatten().filter(|old| *old != item) {
                self.retire(owner.document, old)?;
            }
            self.note_written(item)?;
            let queued = self.is_queued(JobKind::Embed, item)?;
            if owner.vectors == Some(item) && !queued {
                self.settle_indexed(item)?;
            } else {
                if !queued {
                    self.enqueue(JobKind::Embed, item)?;
                }
                if embed {
                    self.mark_waiting(
                        item,
                        "awaiting_vectors",
                        "Found by keyword; its vectors are being computed.",
                    )?;
                } else {
                    self.settle_without_vectors(item)?;
                }
            }
        }
        Ok(())
    }

    /// Finishes a projection's job and gives the document to flip; `None` where the lease was lost
    /// or the item is no longer current, in which case what was written is queued to be purged.
    fn owner_to_flip(&self, job: &ClaimedJob) -> Result<Option<Owner>, CatalogError> {
        let held = self.finish_job(job)?;
        let Some(owner) = self.document_of(job.item)? else { return Ok(None) };
        if !owner.is_current {
            self.enqueue(JobKind::Purge, job.item)?;
            return Ok(None);
        }
        Ok(held.then_some(owner))
    }

    /// Settles every item that waits for vectors, in a process that has no model.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn settle_all_without_vectors(&self) -> Result<(), CatalogError> {
        let items = self.all(
            "list items that wait for vectors",
            "SELECT key FROM item WHERE state = 'waiting' AND reason = 'awaiting_vectors'",
            [],
            |row| Ok(ItemKey(row.get(0)?)),
        )?;
        items.into_iter().try_for_each(|item| self.settle_without_vectors(item))
    }

    /// Settles an item whose vectors cannot be computed for now. Its embed job stays queued and
    /// goes on once a model is there.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn settle_without_vectors(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.settle(
            item,
            ItemState::Indexed,
            Some("no_vectors"),
            Some("Found by keyword only: the embedding model is not available."),
        )
    }

    /// Flips a group of items to searchable by vector.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn vectors_ready(&self, jobs: &[ClaimedJob]) -> Result<(), CatalogError> {
        for job in jobs {
            let item = job.item;
            let Some(owner) = self.owner_to_flip(job)? else { continue };
            self.execute(
                "flip vectors",
                "UPDATE document SET vector_item = ?2 WHERE key = ?1",
                params![owner.document.0, item.0],
            )?;
            if owner.fulltext == Some(item) && !self.is_queued(JobKind::Fulltext, item)? {
                self.settle_indexed(item)?;
            }
        }
        Ok(())
    }

    /// Ends an item whose job failed too often.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn give_up(
        &self,
        job: &ClaimedJob,
        kind: JobKind,
        cause: &str,
    ) -> Result<(), CatalogError> {
        if kind == JobKind::Purge {
            // What was removed has to go in the end, however long it takes.
            return self.return_job(job, SignedDuration::from_mins(5), cause, false);
        }
        if kind == JobKind::Ocr {
            return self.give_up_on_ocr(job, cause);
        }
        if !self.finish_job(job)? {
            return Ok(());
        }
        self.drop_jobs(job.item)?;
        self.settle(
            job.item,
            ItemState::Failed,
            Some("gave_up"),
            Some(&format!("Gave up after {} attempts: {cause}", job.attempts)),
        )
    }

    /// Ends a purge.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn finish_purge(&self, job: &ClaimedJob) -> Result<bool, CatalogError> {
        self.finish_job(job)
    }

    pub(super) fn settle(
        &self,
        item: ItemKey,
        state: ItemState,
        reason: Option<&str>,
        detail: Option<&str>,
    ) -> Result<(), CatalogError> {
        self.execute(
            "settle an item",
            "UPDATE item SET state = ?2, reason = ?3, detail = ?4, settled_at = ?5 WHERE key = ?1",
            params![item.0, state.as_str(), reason, detail, self.now_us()],
        )?;
        Ok(())
    }

    pub(super) fn mark_waiting(
        &self,
        item: ItemKey,
        reason: &str,
        detail: &str,
    ) -> Result<(), CatalogError> {
        self.execute(
            "mark an item as waiting",
            "UPDATE item SET state = 'waiting', reason = ?2, detail = ?3, settled_at = NULL \
             WHERE key = ?1",
            params![item.0, reason, detail],
        )?;
        Ok(())
    }

    /// Ends a revision that a newer one has replaced, and frees the bytes' other sources from it.
    pub(super) fn retire(&self, document: DocumentKey, old: ItemKey) -> Result<(), CatalogError> {
        self.supersede(old)?;
        self.promote_duplicates(document, old)
    }

    pub(super) fn supersede(&self, old: ItemKey) -> Result<(), CatalogError> {
        self.drop_jobs(old)?;
        self.settle(
            old,
            ItemState::Superseded,
            Some("newer_revision"),
            Some("A newer revision of this document has taken its place."),
        )?;
        self.enqueue(JobKind::Purge, old).map(drop)
    }
}
