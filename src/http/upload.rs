//! Uploads: a raw body, or a multipart form with one or many files.
//!
//! Called by: the router. Talks to: `app::ingest`.
//! Invariants: bytes are streamed through, nothing is parsed here; the answer is sent after the
//! upload is durable.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Params, Tenant};
use crate::app::App;
use crate::app::ingest::{self, Receipt, Upload};
use crate::auth::Write;
use crate::tenant::TenantHandle;
use crate::types::{DocumentId, FormatHint, JobId, LedgerItem};

#[derive(Clone, Deserialize, IntoParams)]
pub(super) struct UploadParams {
    /// Path under which the document is kept; the file name of a form where absent.
    source: Option<String>,
    /// Last modification, RFC 3339.
    #[param(value_type = Option<String>)]
    file_date: Option<Timestamp>,
    /// `documents-jsonl`: one document per line. `text`: plain text, whatever it looks like.
    #[param(value_type = Option<String>)]
    format: Option<FormatHint>,
    /// Collection to put it in.
    collection: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentRef {
    #[schema(value_type = String)]
    id: DocumentId,
    source: String,
    revision: u32,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    document: DocumentRef,
    item: LedgerItem,
    #[schema(value_type = Option<String>)]
    job: Option<JobId>,
    /// `accepted`, `duplicate` or `unchanged`.
    outcome: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Acceptance {
    #[serde(flatten)]
    first: Accepted,
    /// Every file of a form that held several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documents: Vec<Accepted>,
}

impl From<Receipt> for Accepted {
    fn from(receipt: Receipt) -> Self {
        Self {
            document: DocumentRef {
                id: receipt.accepted.document,
                source: receipt.source,
                revision: receipt.accepted.revision,
            },
            item: receipt.item,
            job: receipt.accepted.job,
            outcome: receipt.accepted.outcome.as_str(),
        }
    }
}

/// Takes a document in. Answers once it is durable; reading and indexing follow.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/documents", tag = "documents",
    params(("tenant" = String, Path), UploadParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = Acceptance), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 429, body = Problem),
        (status = 507, body = Problem)))]
pub(super) async fn upload_document(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<(StatusCode, Json<Acceptance>), Failure> {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let acceptance =
        if content_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/form-data")) {
            from_form(&app, &tenant, params, request).await?
        } else {
            let upload = Upload {
                source: params.source.unwrap_or_default(),
                collection: params.collection,
                file_date: params.file_date,
                declared_type: content_type.filter(|kind| says_something(kind)),
                format: params.format,
                size_bytes: length,
            };
            let bytes = request.into_body().into_data_stream();
            let receipt = ingest::accept(&app, &tenant, upload, bytes).await?;
            Acceptance { first: receipt.into(), documents: Vec::new() }
        };
    Ok((StatusCode::ACCEPTED, Json(acceptance)))
}

/// Types that senders fill in by default and that say nothing about the bytes.
fn says_something(content_type: &str) -> bool {
    !content_type.starts_with("application/octet-stream")
        && !content_type.starts_with("application/x-www-form-urlencoded")
}

async fn from_form(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    params: UploadParams,
    request: Request,
) -> Result<Acceptance, Failure> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let mut accepted: Vec<Accepted> = Vec::new();
    while let Some(field) =
        form.next_field().await.map_err(|error| Failure::invalid(error.body_text()))?
    {
        let Some(name) = field.file_name().map(str::to_owned) else {
            continue;
        };
        let upload = Upload {
            source: params.source.clone().unwrap_or(name),
            collection: params.collection.clone(),
            file_date: params.file_date,
            declared_type: field
                .content_type()
                .filter(|kind| says_something(kind))
                .map(str::to_owned),
            format: params.format,
            size_bytes: None,
        };
        accepted.push(ingest::accept(app, tenant, upload, field).await?.into());
    }
    if accepted.len() > 1 {
        let first = accepted.remove(0);
        let copy = Accepted {
            document: DocumentRef {
                id: first.document.id,
                source: first.document.source.clone(),
                revision: first.document.revision,
            },
            item: first.item.clone(),
            job: first.job,
            outcome: first.outcome,
        };
        accepted.insert(0, copy);
        return Ok(Acceptance { first, documents: accepted });
    }
    match accepted.pop() {
        Some(first) => Ok(Acceptance { first, documents: Vec::new() }),
        None => Err(Failure::invalid("the form holds no file")),
    }
}
