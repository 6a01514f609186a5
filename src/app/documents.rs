//! Documents: listed, opened, read, downloaded.
//!
//! Called by: `http`. Talks to: catalogue, blobs.
//! Invariants: a removed document and one that never was are the same `NotFound`.

use super::audit::{self, Action, Event};
use super::{Error, blocking, index};
use crate::auth::CanRead;
use crate::tenant::{BlobReader, CatalogReader, StoredText, TenantHandle};
use crate::types::{DocumentId, ItemKey};

pub use crate::tenant::{DateMentionRow, DocumentRow, OutlineEntry, ThreadMail};

/// A document with everything the document view shows but its text.
#[derive(Debug)]
pub struct DocumentDetail {
    pub row: DocumentRow,
    pub also_at: Vec<String>,
    pub children: u64,
    /// Length, outline and pages of the text, where there is one.
    pub text: Option<StoredText>,
    /// How many tables of it are kept as data.
    pub tables: u64,
    /// The first dates its text mentions.
    pub date_mentions: Vec<DateMentionRow>,
    /// The mails of its conversation, itself included, where there are others.
    pub thread: Vec<ThreadMail>,
}

/// Dates shown of one document.
const DATES_SHOWN: usize = 500;

/// A page of documents.
#[derive(Debug)]
pub struct DocumentList {
    pub documents: Vec<DocumentRow>,
    pub next_cursor: Option<DocumentId>,
}

/// Documents after `cursor`, optionally those whose source or title contains `containing`, which
/// is a query and goes on record as one.
///
/// # Errors
/// `Invalid` for a cursor that names no document.
pub async fn list<A: CanRead>(
    tenant: &TenantHandle<A>,
    containing: Option<String>,
    cursor: Option<DocumentId>,
    newest_first: bool,
    limit: usize,
) -> Result<DocumentList, Error> {
    // Leafing on is the same query.
    let query = containing.clone().filter(|_| cursor.is_none());
    let listed = page(tenant, containing, cursor, newest_first, limit).await;
    let Some(query) = query else { return listed };
    let event = Event::new(Action::Search).about(&query).with("mode", "names");
    let event = match &listed {
        Ok(listed) => event.with("results", listed.documents.len()),
        Err(_) => event,
    };
    audit::concluded(tenant, event, listed).await
}

async fn page<A: CanRead>(
    tenant: &TenantHandle<A>,
    containing: Option<String>,
    cursor: Option<DocumentId>,
    newest_first: bool,
    limit: usize,
) -> Result<DocumentList, Error> {
    let found = tenant
        .read(move |catalog| {
            let after = match cursor {
                None => None,
                Some(id) => match catalog.document(id)? {
                    None => return Ok(None),
                    Some(row) => Some(row.key),
                },
            };
            catalog.documents(containing.as_deref(), after, newest_first, limit + 1).map(Some)
        })
        .await?;
    let mut documents =
        found.ok_or_else(|| Error::invalid("the cursor names no document of this tenant"))?;
    let more = documents.len() > limit;
    documents.truncate(limit);
    let next_cursor = if more { documents.last().map(|row| row.id) } else { None };
    Ok(DocumentList { documents, next_cursor })
}

/// One document.
///
/// # Errors
/// `NotFound`.
pub async fn detail<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<DocumentDetail, Error> {
    let event = Event::new(Action::DocumentRead).on("document", document).with("part", "facts");
    audit::concluded(tenant, event, facts(tenant, document).await).await
}

async fn facts<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<DocumentDetail, Error> {
    tenant
        .read(move |catalog| {
            let Some(row) = catalog.document(document)? else {
                return Ok(None);
            };
            let item = text_item(catalog, &row)?;
            let text = catalog.text(item)?;
            Ok(Some(DocumentDetail {
                also_at: other_sources(catalog, &row)?,
                children: catalog.child_count(row.key)?,
                text,
                tables: catalog.table_count(item)?,
                thread: catalog.thread(item)?,
                date_mentions: catalog.date_mentions(item, DATES_SHOWN)?,
                row,
            }))
        })
        .await?
        .ok_or(Error::NotFound)
}

/// Every other source of the same bytes.
fn other_sources(
    catalog: &CatalogReader<'_>,
    row: &DocumentRow,
) -> Result<Vec<String>, crate::tenant::CatalogError> {
    let Some(holder) = row.duplicate_of else { return catalog.also_at(row.key) };
    let mut sources = Vec::new();
    if let Some(holder) = catalog.document_by_key(holder)? {
        sources.push(holder.source);
    }
    sources.extend(catalog.also_at(holder)?.into_iter().filter(|source| *source != row.source));
    Ok(sources)
}

/// The revision whose text people read: the one that searches show, so that offsets of a passage
/// fit; for a duplicate, that of the document that holds the same bytes.
pub(super) fn text_item(
    catalog: &CatalogReader<'_>,
    row: &DocumentRow,
) -> Result<ItemKey, crate::tenant::CatalogError> {
    if let Some(holder) = row.duplicate_of
        && let Some(holder) = catalog.document_by_key(holder)?
    {
        return Ok(holder.fulltext_item.unwrap_or(holder.item));
    }
    Ok(row.fulltext_item.unwrap_or(row.item))
}

/// The part of a document's text from `start` to `end`, in Unicode scalar values, and the length
/// of the whole.
///
/// # Errors
/// `NotFound` also for a document without text.
pub async fn text<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    start: u64,
    end: Option<u64>,
) -> Result<(String, u64), Error> {
    let event = Event::new(Action::DocumentRead)
        .on("document", document)
        .with("part", "text")
        .with("start", start)
        .with_some("end", end);
    audit::concluded(tenant, event, slice(tenant, document, start, end).await).await
}

async fn slice<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    start: u64,
    end: Option<u64>,
) -> Result<(String, u64), Error> {
    let (item, stored) = tenant
        .read(move |catalog| {
            let Some(row) = catalog.document(document)? else {
                return Ok(None);
            };
            let item = text_item(catalog, &row)?;
            Ok(catalog.text(item)?.map(|text| (item, text)))
        })
        .await?
        .ok_or(Error::NotFound)?;
    blocking(move || {
        let text = index::decompress(item.0, &stored.body_zstd)?;
        let count = end.unwrap_or(u64::MAX).saturating_sub(start);
        let skip = usize::try_from(start).unwrap_or(usize::MAX);
        let take = usize::try_from(count).unwrap_or(usize::MAX);
        let slice = if skip == 0 && take >= text.len() {
            text
        } else {
            text.chars().skip(skip).take(take).collect()
        };
        Ok((slice, stored.length_chars))
    })
    .await
}

/// The original bytes of a document.
#[derive(Debug)]
pub struct Original {
    pub content: BlobReader,
    pub name: String,
    pub media_type: Option<String>,
}

/// Opens the original of a document's newest revision.
///
/// # Errors
/// `NotFound`.
pub async fn original<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<Original, Error> {
    let event = Event::new(Action::DocumentDownload).on("document", document);
    audit::concluded(tenant, event, open_original(tenant, document).await).await
}

async fn open_original<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<Original, Error> {
    let row =
        tenant.read(move |catalog| catalog.document(document)).await?.ok_or(Error::NotFound)?;
    let blob = row.blob.ok_or(Error::NotFound)?;
    let content = tenant.blobs()?.read(&blob).await?;
    let name = row.source.rsplit('/').next().unwrap_or(&row.source).to_owned();
    Ok(Original { content, name, media_type: row.media_type })
}
