//! Uploads that go on where they broke off, by the tus protocol 1.0.0.
//!
//! Called by: the router. Talks to: `app::uploads`.
//! Invariants: every answer, a refusal too, carries the version of the protocol; a request of
//! another version changes nothing; the answer to the last bytes names the document.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{Failure, Problem};
use super::extract::{Id, Tenant};
use crate::app::uploads::{self, Checksum, UploadRow};
use crate::app::{self, App};
use crate::auth::Write;
use crate::tenant::TenantHandle;
use crate::types::UploadId;

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,expiration,termination,checksum";
/// The type of a body that holds bytes of an upload.
const OFFSET_TYPE: &str = "application/offset+octet-stream";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
/// What an upload became.
const DOCUMENT: HeaderName = HeaderName::from_static("x-cairn-document");
const ITEM: HeaderName = HeaderName::from_static("x-cairn-item");
const OUTCOME: HeaderName = HeaderName::from_static("x-cairn-outcome");

/// A refusal with a status that only this protocol has, or that of its error.
struct Refusal {
    failure: Failure,
    status: Option<u16>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None }
    }
}

impl From<app::Error> for Refusal {
    fn from(error: app::Error) -> Self {
        let status = matches!(error, app::Error::ChecksumMismatch).then_some(460);
        Self { failure: error.into(), status }
    }
}

impl Refusal {
    fn with_status(status: StatusCode, detail: &str) -> Self {
        Self { failure: Failure::invalid(detail), status: Some(status.as_u16()) }
    }
}

/// The answer, whatever came of it, with the version on it.
fn answer(outcome: Result<Response, Refusal>) -> Response {
    let mut response = match outcome {
        Ok(response) => response,
        Err(Refusal { failure, status }) => {
            let mut response = failure.into_response();
            if let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) {
                *response.status_mut() = status;
            }
            if response.status() == StatusCode::PRECONDITION_FAILED {
                response.headers_mut().insert(TUS_VERSION, HeaderValue::from_static(VERSION));
            }
            response
        }
    };
    response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Failure> {
    text(headers, name)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Failure::invalid(format!("the header {name} is missing or no number")))
}

/// Refuses a request of another version.
fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(TUS_RESUMABLE).is_some_and(|version| version == VERSION) {
        return Ok(());
    }
    let detail = "send the header Tus-Resumable: 1.0.0, the only version that is known here";
    Err(Refusal::with_status(StatusCode::PRECONDITION_FAILED, detail))
}

/// How an upload stands, as headers.
fn state(row: &UploadRow) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(UPLOAD_OFFSET, row.received.into());
    let expires = row.expires_at.to_zoned(jiff::tz::TimeZone::UTC);
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(UPLOAD_EXPIRES, &expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(finished) = &row.finished {
        put(DOCUMENT, &finished.document.to_string());
        put(ITEM, &finished.item.to_string());
        put(OUTCOME, &finished.outcome);
    }
    headers
}

/// True where a body holds bytes of an upload.
fn holds_bytes(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == OFFSET_TYPE)
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refusal> {
    let given = text(headers, &UPLOAD_CHECKSUM);
    Ok(given.map(|given| Checksum::parse(&given)).transpose()?)
}

/// What of the tus protocol is spoken here.
#[utoipa::path(options, path = "/api/v1/tenants/{tenant}/uploads", tag = "uploads",
    params(("tenant" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn discover(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
) -> Response {
    let discovered = async {
        let standing = app.standing(tenant.id()).await?;
        let most = standing.limits().upload_bytes.min(app.server.max_upload_bytes);
        let headers = [
            (TUS_VERSION, HeaderValue::from_static(VERSION)),
            (TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS)),
            (TUS_CHECKSUM_ALGORITHM, HeaderValue::from_static("sha256")),
            (TUS_MAX_SIZE, most.into()),
        ];
        Ok::<_, Refusal>((StatusCode::NO_CONTENT, headers).into_response())
    };
    answer(discovered.await)
}

/// Begins an upload that may be sent in pieces, by the tus protocol.
///
/// `Upload-Length` says how long it is. `Upload-Metadata` may hold `filename` (or `source`, a
/// path), `filetype`, `collection`, `file_date` and `format`. A body of the type
/// `application/offset+octet-stream` is its first piece. `Location` of the answer is where the
/// others go.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/uploads", tag = "uploads",
    params(("tenant" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 201), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn create_upload(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    request: Request,
) -> Response {
    let created = async {
        let headers = request.headers();
        check_version(headers)?;
        let checksum = checksum(headers)?;
        let length = number(headers, &UPLOAD_LENGTH)?;
        let metadata = text(headers, &UPLOAD_METADATA).unwrap_or_default();
        let with_bytes = holds_bytes(headers);
        let mut row = uploads::create(&app, &tenant, length, metadata).await?;
        if with_bytes && row.finished.is_none() {
            let bytes = request.into_body().into_data_stream();
            row = uploads::append(&app, &tenant, row.id, 0, checksum, bytes).await?;
        }
        let mut headers = state(&row);
        let location = format!("/api/v1/tenants/{}/uploads/{}", tenant.id(), row.id);
        if let Ok(location) = HeaderValue::from_str(&location) {
            headers.insert(header::LOCATION, location);
        }
        Ok::<_, Refusal>((StatusCode::CREATED, headers).into_response())
    };
    answer(created.await)
}

/// How far an upload is; once it is all here, also which document it became.
#[utoipa::path(head, path = "/api/v1/tenants/{tenant}/uploads/{id}", tag = "uploads",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200), (status = 404), (status = 412)))]
pub(super) async fn get_upload(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<UploadId>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        check_version(&headers)?;
        let row = uploads::status(&app, &tenant, id).await?;
        let mut headers = state(&row);
        headers.insert(UPLOAD_LENGTH, row.length.into());
        if let Ok(metadata) = HeaderValue::from_str(&row.metadata)
            && !row.metadata.is_empty()
        {
            headers.insert(UPLOAD_METADATA, metadata);
        }
        Ok::<_, Refusal>((StatusCode::OK, headers).into_response())
    };
    answer(found.await)
}

/// Adds a piece that begins at `Upload-Offset`. The answer to the last one names the document.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/uploads/{id}", tag = "uploads",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 415, body = Problem),
        (status = 460, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn append_upload(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<UploadId>,
    request: Request,
) -> Response {
    append(&app, &tenant, id, request).await
}

/// The same, or the removal, for a client behind something that lets neither method through:
/// `X-HTTP-Method-Override` says which.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/uploads/{id}", tag = "uploads",
    params(("tenant" = String, Path), ("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204), (status = 404, body = Problem), (status = 405, body = Problem)))]
pub(super) async fn overridden_upload(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<UploadId>,
    request: Request,
) -> Response {
    match text(request.headers(), &METHOD_OVERRIDE).as_deref() {
        Some("PATCH") => append(&app, &tenant, id, request).await,
        Some("DELETE") => remove(&app, &tenant, id, request.headers()).await,
        _ => {
            let detail = "a piece is sent with PATCH, or with X-HTTP-Method-Override: PATCH";
            answer(Err(Refusal::with_status(StatusCode::METHOD_NOT_ALLOWED, detail)))
        }
    }
}

async fn append(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
    request: Request,
) -> Response {
    let appended = async {
        let headers = request.headers();
        check_version(headers)?;
        if !holds_bytes(headers) {
            let detail = "the body must have the type application/offset+octet-stream";
            return Err(Refusal::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let (from, checksum) = (number(headers, &UPLOAD_OFFSET)?, checksum(headers)?);
        let bytes = request.into_body().into_data_stream();
        let row = uploads::append(app, tenant, id, from, checksum, bytes).await?;
        Ok((StatusCode::NO_CONTENT, state(&row)).into_response())
    };
    answer(appended.await)
}

/// Gives an upload up; what came of it is removed. A document it became stays.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/uploads/{id}", tag = "uploads",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(super) async fn delete_upload(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<UploadId>,
    headers: HeaderMap,
) -> Response {
    remove(&app, &tenant, id, &headers).await
}

async fn remove(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
    headers: &HeaderMap,
) -> Response {
    let deleted = async {
        check_version(headers)?;
        uploads::remove(app, tenant, id).await?;
        Ok::<_, Refusal>(StatusCode::NO_CONTENT.into_response())
    };
    answer(deleted.await)
}
