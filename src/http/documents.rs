//! Documents over HTTP: listed, opened, read, downloaded, removed.
//!
//! Called by: the router. Talks to: `app::documents`, `app::maintain`, `app::pages`.
//! Invariants: an original is sent as a download and never rendered on this origin; its pages are
//! sent as pictures that were drawn elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Id, Number, Order, Params, Tenant, cursor, page_limit};
use super::flow::{PIECE, flowing};
use crate::app::documents::{
    self, DateMentionRow, DocumentDetail, DocumentRow, OutlineEntry, ThreadMail,
};
use crate::app::{App, maintain, pages};
use crate::auth::{Read, Write};
use crate::types::{Dates, DocumentId, ItemState};

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentSummary {
    #[schema(value_type = String)]
    id: DocumentId,
    source: String,
    title: Option<String>,
    media_type: Option<String>,
    size_bytes: u64,
    language: Option<String>,
    state: ItemState,
    reason: Option<String>,
    detail: Option<String>,
    revision: u32,
    dates: Dates,
}

impl From<&DocumentRow> for DocumentSummary {
    fn from(row: &DocumentRow) -> Self {
        Self {
            id: row.id,
            source: row.source.clone(),
            title: row.title.clone(),
            media_type: row.media_type.clone(),
            size_bytes: row.size_bytes,
            language: row.language.clone(),
            state: row.state,
            reason: row.reason.clone(),
            detail: row.detail.clone(),
            revision: row.revision,
            dates: row.dates,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentPage {
    documents: Vec<DocumentSummary>,
    #[schema(value_type = Option<String>)]
    next_cursor: Option<DocumentId>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentView {
    #[serde(flatten)]
    summary: DocumentSummary,
    authors: Vec<String>,
    metadata: BTreeMap<String, String>,
    /// Other sources that hold the same bytes.
    also_at: Vec<String>,
    #[schema(value_type = Option<String>)]
    parent: Option<DocumentId>,
    children: u64,
    chunks: u64,
    /// Unicode scalar values.
    text_length: u64,
    page_starts: Vec<u64>,
    outline: Vec<OutlineEntry>,
    has_fulltext: bool,
    has_vectors: bool,
    /// Byte of the original's text after which the rest was left out.
    truncated_at: Option<u64>,
    warnings: Vec<String>,
    /// Tables that are kept as data.
    tables: u64,
    /// Dates that the text mentions, the first 500.
    date_mentions: Vec<DateMentionRow>,
    /// The mails of its conversation, oldest first, itself included; empty where there is no other.
    thread: Vec<ThreadMail>,
}

impl From<DocumentDetail> for DocumentView {
    fn from(detail: DocumentDetail) -> Self {
        let row = detail.row;
        let summary = DocumentSummary::from(&row);
        let (text_length, page_starts, outline) = detail
            .text
            .map(|text| (text.length_chars, text.page_starts, text.outline))
            .unwrap_or_default();
        Self {
            summary,
            authors: row.authors,
            metadata: row.metadata,
            also_at: detail.also_at,
            parent: row.parent,
            children: detail.children,
            chunks: row.chunks,
            text_length,
            page_starts,
            outline,
            has_fulltext: row.fulltext_item.is_some(),
            has_vectors: row.vector_item.is_some(),
            truncated_at: row.truncated_at,
            warnings: row.warnings,
            tables: detail.tables,
            date_mentions: detail.date_mentions,
            thread: detail.thread,
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ListParams {
    /// Restricts to documents whose source or title contains this.
    q: Option<String>,
    cursor: Option<String>,
    /// `oldest` (first) or `newest`.
    #[param(value_type = Option<String>)]
    order: Option<Order>,
    limit: Option<usize>,
}

/// Documents of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents", tag = "documents",
    params(("tenant" = String, Path), ListParams),
    responses((status = 200, body = DocumentPage), (status = 404, body = Problem)))]
pub(super) async fn list_documents(
    Tenant(tenant): Tenant<Read>,
    Params(params): Params<ListParams>,
) -> Result<Json<DocumentPage>, Failure> {
    let after = cursor(params.cursor.as_deref())?;
    let wanted = params.q.filter(|q| !q.is_empty());
    let newest_first = params.order == Some(Order::Newest);
    let page =
        documents::list(&tenant, wanted, after, newest_first, page_limit(params.limit)).await?;
    Ok(Json(DocumentPage {
        documents: page.documents.iter().map(DocumentSummary::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// One document.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = DocumentView), (status = 404, body = Problem)))]
pub(super) async fn get_document(
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<DocumentId>,
) -> Result<Json<DocumentView>, Failure> {
    Ok(Json(documents::detail(&tenant, id).await?.into()))
}

#[derive(Serialize, ToSchema)]
pub(super) struct Deleted {
    /// Documents removed, children included.
    deleted: u64,
}

/// Removes a document and everything found inside it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/documents/{id}", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Deleted), (status = 404, body = Problem)))]
pub(super) async fn delete_document(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<DocumentId>,
) -> Result<Json<Deleted>, Failure> {
    Ok(Json(Deleted { deleted: maintain::remove(&app, &tenant, id).await? }))
}

#[derive(Deserialize, IntoParams)]
pub(super) struct SliceParams {
    /// First Unicode scalar value.
    start: Option<u64>,
    /// One past the last.
    end: Option<u64>,
}

/// The text of a document, or a part of it.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}/text", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path), SliceParams),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = Problem)))]
pub(super) async fn get_text(
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<DocumentId>,
    Params(slice): Params<SliceParams>,
) -> Result<Response, Failure> {
    let (text, length) = documents::text(&tenant, id, slice.start.unwrap_or(0), slice.end).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::HeaderName::from_static("x-text-length"), length.to_string()),
    ];
    Ok((headers, text).into_response())
}

/// The original bytes.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}/content", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
pub(super) async fn get_content(
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<DocumentId>,
) -> Result<Response, Failure> {
    let original = documents::original(&tenant, id).await?;
    let size_bytes = original.content.size_bytes();
    let mut response =
        flowing(ReaderStream::with_capacity(original.content, PIECE)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, size_bytes.into());
    // Never the declared type: a hostile page must not run on this origin.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    let disposition = format!("attachment; filename*=UTF-8''{}", percent_encoded(&original.name));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

#[derive(Deserialize, IntoParams)]
pub(super) struct PictureParams {
    /// Pixels, from 100 to 1600; 1200 where none is given.
    width: Option<u32>,
}

/// A page of a PDF as a picture, counted from 1.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}/pages/{number}", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path), ("number" = u32, Path), PictureParams),
    responses((status = 200, body = Vec<u8>, content_type = "image/png"), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn get_page(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<DocumentId>,
    Number(page): Number,
    Params(params): Params<PictureParams>,
) -> Result<Response, Failure> {
    let picture = pages::picture(&app, &tenant, id, page, params.width).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, picture).into_response())
}

/// RFC 8187 encoding of a file name.
fn percent_encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
