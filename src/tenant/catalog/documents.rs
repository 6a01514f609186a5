//! Documents as people see them: listed, opened, found.
//!
//! Called by: `app`. Talks to: `document`, `item`, `text`.
//! Invariants: a deleted document is not found; what a search shows is the ready revision of the
//! projection that found it.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Row, params, params_from_iter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::{id, json, optional_id, optional_time, placeholders, state, time};
use super::{CatalogError, CatalogReader};
use crate::types::{Dates, DocumentId, DocumentKey, ItemKey, ItemState};

/// A heading and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutlineEntry {
    pub level: u8,
    pub text: String,
    /// Offset in Unicode scalar values.
    pub start: u64,
}

/// A document with its newest revision.
#[derive(Clone, Debug)]
pub struct DocumentRow {
    pub key: DocumentKey,
    pub id: DocumentId,
    pub source: String,
    pub item: ItemKey,
    pub revision: u32,
    pub parent: Option<DocumentId>,
    pub title: Option<String>,
    pub media_type: Option<String>,
    pub size_bytes: u64,
    pub language: Option<String>,
    pub state: ItemState,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub dates: Dates,
    pub authors: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    pub warnings: Vec<String>,
    pub truncated_at: Option<u64>,
    pub chunks: u64,
    pub blob: Option<String>,
    pub fulltext_item: Option<ItemKey>,
    pub vector_item: Option<ItemKey>,
    /// The document that holds the same bytes, where this one is a duplicate.
    pub duplicate_of: Option<DocumentKey>,
}

/// The text of an item.
#[derive(Clone, Debug)]
pub struct StoredText {
    pub body_zstd: Vec<u8>,
    pub length_chars: u64,
    pub outline: Vec<OutlineEntry>,
    pub page_starts: Vec<u64>,
}

/// What a search result shows of a document.
#[derive(Clone, Debug)]
pub struct HitDocument {
    pub item: ItemKey,
    pub document: DocumentKey,
    pub id: DocumentId,
    pub source: String,
    pub also_at: Vec<String>,
    pub title: String,
    pub media_type: String,
    pub language: String,
    pub dates: Dates,
    pub in_fulltext: bool,
    pub in_vectors: bool,
}

/// An item that some projection may show.
#[derive(Clone, Copy, Debug)]
pub struct ReadyItem {
    pub item: ItemKey,
    pub in_fulltext: bool,
    pub in_vectors: bool,
}

/// Which items may be shown: ready revisions of live documents.
const READY: &str = "FROM item i JOIN document d ON d.key = i.document \
     WHERE d.deleted_at IS NULL AND (d.fulltext_item = i.key OR d.vector_item = i.key)";

const DOCUMENT_SELECT: &str = "SELECT d.key, d.id, d.source, i.key, i.revision, p.id, i.title, \
     coalesce(i.media_type, i.declared_type), i.size_bytes, i.language, i.state, i.reason, \
     i.detail, i.file_date, i.content_date, i.event_date, i.received_at, i.authors, i.metadata, \
     i.warnings, i.truncated_at, i.chunk_count, i.blob, d.fulltext_item, d.vector_item, \
     i.duplicate_of \
     FROM document d JOIN item i ON i.key = d.current_item LEFT JOIN document p ON p.key = d.parent \
     WHERE d.deleted_at IS NULL";

fn read_dates(row: &Row<'_>, first: usize) -> rusqlite::Result<Dates> {
    Ok(Dates {
        file: optional_time(row, first)?,
        content: optional_time(row, first + 1)?,
        event: optional_time(row, first + 2)?,
        ingest: time(row, first + 3)?,
    })
}

fn read_document(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    Ok(DocumentRow {
        key: DocumentKey(row.get(0)?),
        id: id(row, 1)?,
        source: row.get(2)?,
        item: ItemKey(row.get(3)?),
        revision: row.get(4)?,
        parent: optional_id(row, 5)?,
        title: row.get(6)?,
        media_type: row.get(7)?,
        size_bytes: row.get::<_, i64>(8)?.unsigned_abs(),
        language: row.get(9)?,
        state: state(row, 10)?,
        reason: row.get(11)?,
        detail: row.get(12)?,
        dates: read_dates(row, 13)?,
        authors: json(row, 17)?,
        metadata: json(row, 18)?,
        warnings: json(row, 19)?,
        truncated_at: row.get::<_, Option<i64>>(20)?.map(i64::unsigned_abs),
        chunks: row.get::<_, i64>(21)?.unsigned_abs(),
        blob: row.get(22)?,
        fulltext_item: row.get::<_, Option<i64>>(23)?.map(ItemKey),
        vector_item: row.get::<_, Option<i64>>(24)?.map(ItemKey),
        duplicate_of: row.get::<_, Option<i64>>(25)?.map(DocumentKey),
    })
}

impl CatalogReader<'_> {
    /// A live document.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn document(&self, id: DocumentId) -> Result<Option<DocumentRow>, CatalogError> {
        self.one(
            "read a document",
            &format!("{DOCUMENT_SELECT} AND d.id = ?1"),
            [id.to_string()],
            read_document,
        )
    }

    /// A live document by row key.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn document_by_key(&self, key: DocumentKey) -> Result<Option<DocumentRow>, CatalogError> {
        self.one(
            "read a document",
            &format!("{DOCUMENT_SELECT} AND d.key = ?1"),
            [key.0],
            read_document,
        )
    }

    /// Live documents by the time they first came, beyond `cursor`; `containing` restricts them to
    /// sources or titles that contain it.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn documents(
        &self,
        containing: Option<&str>,
        cursor: Option<DocumentKey>,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<DocumentRow>, CatalogError> {
        let (beyond, direction, start) =
            if newest_first { ("<", "DESC", i64::MAX) } else { (">", "ASC", 0) };
        self.all(
            "list documents",
            &format!(
                "{DOCUMENT_SELECT} AND d.key {beyond} ?1 \
                 AND (?2 IS NULL OR instr(d.source, ?2) > 0 OR instr(i.title, ?2) > 0) \
                 ORDER BY d.key {direction} LIMIT ?3"
            ),
            params![cursor.map_or(start, |key| key.0), containing, limit as i64],
            read_document,
        )
    }

    /// Live documents directly inside another.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn child_count(&self, document: DocumentKey) -> Result<u64, CatalogError> {
        self.count(
            "count children",
            "SELECT count(*) FROM document WHERE parent = ?1 AND deleted_at IS NULL",
            [document.0],
        )
    }

    /// Other live sources that hold the same bytes as this document.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn also_at(&self, document: DocumentKey) -> Result<Vec<String>, CatalogError> {
        self.all(
            "list other sources",
            "SELECT d.source FROM item i \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             WHERE i.duplicate_of = ?1 AND d.key <> ?1 AND d.deleted_at IS NULL \
             ORDER BY d.key LIMIT 20",
            [document.0],
            |row| row.get(0),
        )
    }

    /// The text of an item.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn text(&self, item: ItemKey) -> Result<Option<StoredText>, CatalogError> {
        self.one(
            "read a text",
            "SELECT body_zstd, length_chars, outline, page_starts FROM text WHERE item = ?1",
            [item.0],
            |row| {
                Ok(StoredText {
                    body_zstd: row.get(0)?,
                    length_chars: row.get::<_, i64>(1)?.unsigned_abs(),
                    outline: json(row, 2)?,
                    page_starts: json(row, 3)?,
                })
            },
        )
    }

    /// Those of `items` that are the ready revision of a live document in some projection: this is
    /// what makes a stale projection row invisible.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ready_items(&self, items: &[ItemKey]) -> Result<Vec<ReadyItem>, CatalogError> {
        let mut ready = Vec::with_capacity(items.len());
        for group in items.chunks(500) {
            ready.extend(self.all(
                "read ready items",
                &format!(
                    "SELECT i.key, d.fulltext_item IS i.key, d.vector_item IS i.key \
                     {READY} AND i.key IN ({})",
                    placeholders(group.len())
                ),
                params_from_iter(group.iter().map(|key| key.0)),
                |row| {
                    Ok(ReadyItem {
                        item: ItemKey(row.get(0)?),
                        in_fulltext: row.get(1)?,
                        in_vectors: row.get(2)?,
                    })
                },
            )?);
        }
        Ok(ready)
    }

    /// Every item that a search may show.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn searchable_items(&self) -> Result<HashSet<ItemKey>, CatalogError> {
        // What `READY` admits, without a look at each item.
        let items = self.all(
            "list searchable items",
            "SELECT fulltext_item, vector_item FROM document WHERE deleted_at IS NULL",
            [],
            |row| Ok([row.get::<_, Option<i64>>(0)?, row.get(1)?]),
        )?;
        Ok(items.into_iter().flatten().flatten().map(ItemKey).collect())
    }

    /// The documents behind items that a search shows, without items that are no ready revision
    /// any more.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn hit_documents(
        &self,
        items: &[ItemKey],
    ) -> Result<HashMap<ItemKey, HitDocument>, CatalogError> {
        let mut found = HashMap::with_capacity(items.len());
        for group in items.chunks(500) {
            let documents = self.all(
                "read found documents",
                &format!(
                    "SELECT i.key, d.key, d.id, d.source, i.title, i.media_type, i.language, \
                     i.file_date, i.content_date, i.event_date, i.received_at, \
                     d.fulltext_item IS i.key, d.vector_item IS i.key \
                     {READY} AND i.key IN ({})",
                    placeholders(group.len())
                ),
                params_from_iter(group.iter().map(|key| key.0)),
                |row| {
                    Ok(HitDocument {
                        item: ItemKey(row.get(0)?),
                        document: DocumentKey(row.get(1)?),
                        id: id(row, 2)?,
                        source: row.get(3)?,
                        also_at: Vec::new(),
                        title: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
                        media_type: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
                        language: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
                        dates: read_dates(row, 7)?,
                        in_fulltext: row.get(11)?,
                        in_vectors: row.get(12)?,
                    })
                },
            )?;
            found.extend(documents.into_iter().map(|document| (document.item, document)));
        }
        Ok(found)
    }

    /// Language codes of the tenant's indexed documents, those too that the index is about to
    /// give up.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn languages(&self) -> Result<Vec<String>, CatalogError> {
        self.all(
            "list languages",
            // One step of the index per language; DISTINCT would read all of it.
            "WITH RECURSIVE used (language) AS ( \
                 SELECT min(language) FROM item \
                 UNION ALL \
                 SELECT (SELECT min(language) FROM item WHERE language > used.language) \
                 FROM used WHERE used.language IS NOT NULL) \
             SELECT language FROM used WHERE language IS NOT NULL \
             UNION SELECT language FROM reread WHERE language IS NOT NULL ORDER BY language",
            [],
            |row| row.get(0),
        )
    }

    /// Documents found by keyword whose vectors are still awaited.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn documents_without_vectors(&self) -> Result<u64, CatalogError> {
        self.count(
            "count documents without vectors",
            "SELECT count(*) FROM job WHERE kind = 'embed'",
            [],
        )
    }
}
