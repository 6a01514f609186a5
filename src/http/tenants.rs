//! Tenants over HTTP.
//!
//! Called by: the router. Talks to: `app::tenants`.
//! Invariants: only the admin and the operator make and remove tenants; to anybody else those
//! routes look like an absent tenant.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Body, Caller, Params, Tenant, TenantName, cursor, page_limit};
use crate::app::App;
use crate::app::tenants::{self, TenantDetail, TenantRecord};
use crate::auth::Read;
use crate::types::{LedgerTotals, TenantId};

#[derive(Serialize, ToSchema)]
pub(super) struct TenantSummary {
    #[schema(value_type = String)]
    id: TenantId,
    name: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<TenantRecord> for TenantSummary {
    fn from(record: TenantRecord) -> Self {
        Self { id: record.id, name: record.name, created_at: record.created_at }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct TenantPage {
    tenants: Vec<TenantSummary>,
    #[schema(value_type = Option<String>)]
    next_cursor: Option<TenantId>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewTenant {
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TenantView {
    #[serde(flatten)]
    summary: TenantSummary,
    totals: LedgerTotals,
    bytes: BytesView,
    /// Drop folder on the server.
    inbox: String,
    vectors: Option<VectorsView>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BytesView {
    blobs: u64,
    catalogue: u64,
    fulltext: u64,
    vectors: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct VectorsView {
    rows: u64,
    /// `exact` or `ivf`.
    index: &'static str,
    index_building: bool,
}

impl From<TenantDetail> for TenantView {
    fn from(detail: TenantDetail) -> Self {
        Self {
            summary: detail.record.into(),
            totals: detail.totals,
            bytes: BytesView {
                blobs: detail.bytes.blobs,
                catalogue: detail.bytes.catalogue,
                fulltext: detail.bytes.fulltext,
                vectors: detail.bytes.vectors,
            },
            inbox: detail.inbox.display().to_string(),
            vectors: detail.vectors.map(|state| VectorsView {
                rows: state.rows,
                index: if state.indexed { "ivf" } else { "exact" },
                index_building: state.index_building,
            }),
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub(super) struct PageParams {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Tenants this caller may open.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(PageParams),
    responses((status = 200, body = TenantPage)))]
pub(super) async fn list_tenants(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<TenantPage>, Failure> {
    let after = cursor(page.cursor.as_deref())?;
    let (tenants, next_cursor) = tenants::list(&app, actor, after, page_limit(page.limit)).await?;
    Ok(Json(TenantPage { tenants: tenants.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Makes a tenant.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = TenantSummary), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create_tenant(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Body(new): Body<NewTenant>,
) -> Result<(StatusCode, Json<TenantSummary>), Failure> {
    if !app.authority.may_administer(&actor) {
        return Err(Failure::not_found());
    }
    let record = tenants::create(&app, new.name).await?;
    Ok((StatusCode::CREATED, Json(record.into())))
}

/// A tenant with its numbers.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 200, body = TenantView), (status = 404, body = Problem)))]
pub(super) async fn get_tenant(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
) -> Result<Json<TenantView>, Failure> {
    Ok(Json(tenants::detail(&app, &tenant).await?.into()))
}

/// Removes a tenant with everything it holds.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete_tenant(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    TenantName(tenant): TenantName,
) -> Result<StatusCode, Failure> {
    tenants::remove(&app, actor, tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}
