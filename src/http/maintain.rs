//! Retrying, unlocking and rebuilding over HTTP.
//!
//! Called by: the router. Talks to: `app::maintain`.
//! Invariants: all answer once the work is queued; a password is only ever passed on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::error::{Failure, Problem};
use super::extract::{Body, Id, Tenant};
use crate::app::App;
use crate::app::maintain::{self, Projection};
use crate::auth::Write;
use crate::types::{DocumentId, ItemState};

#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    retried: u64,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RetryRequest {
    /// `failed` or `unsupported`.
    state: ItemState,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordRequest {
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ProjectionName {
    Fulltext,
    Vectors,
    All,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RebuildRequest {
    projection: ProjectionName,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Queued {
    queued: u64,
}

/// Tries a failed or unsupported document again.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/documents/{id}/retry", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 202, body = Retried), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn retry_document(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<DocumentId>,
) -> Result<(StatusCode, Json<Retried>), Failure> {
    let retried = maintain::retry_document(&app, &tenant, id).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { retried })))
}

/// Gives a password for a document that is locked by one, and reads it again.
///
/// The password is kept, encrypted, while the document is there, and also tried on what is found in
/// it. One that does not open the document is forgotten, and the ledger says so.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/documents/{id}/password", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = PasswordRequest,
    responses((status = 202, body = Retried), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn give_password(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Id(id): Id<DocumentId>,
    Body(request): Body<PasswordRequest>,
) -> Result<(StatusCode, Json<Retried>), Failure> {
    let password = Zeroizing::new(request.password);
    let retried = maintain::unlock_document(&app, &tenant, id, password).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { retried })))
}

/// Tries every failed or every unsupported item again.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/retry", tag = "ledger",
    params(("tenant" = String, Path)), request_body = RetryRequest,
    responses((status = 202, body = Retried), (status = 404, body = Problem)))]
pub(super) async fn retry_items(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Body(request): Body<RetryRequest>,
) -> Result<(StatusCode, Json<Retried>), Failure> {
    let retried = maintain::retry_all(&app, &tenant, request.state).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { retried })))
}

/// Writes a projection anew from the catalogue.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/rebuild", tag = "tenants",
    params(("tenant" = String, Path)), request_body = RebuildRequest,
    responses((status = 202, body = Queued), (status = 404, body = Problem)))]
pub(super) async fn rebuild(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Body(request): Body<RebuildRequest>,
) -> Result<(StatusCode, Json<Queued>), Failure> {
    let projections: &[Projection] = match request.projection {
        ProjectionName::Fulltext => &[Projection::Fulltext],
        ProjectionName::Vectors => &[Projection::Vectors],
        ProjectionName::All => &[Projection::Fulltext, Projection::Vectors],
    };
    let queued = maintain::rebuild(&app, &tenant, projections).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { queued })))
}
