//! Tenants over HTTP.
//!
//! Called by: the router. Talks to: `app::tenants`, `app::lifecycle`, `app::deletion`.
//! Invariants: only admins and the console make, change and remove tenants; to anybody else those
//! routes look like an absent tenant. Whoever stands above tenants without belonging to one sees
//! what the appliance knows of it, and none of its numbers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Administrator, Caller};
use super::error::{Failure, Problem};
use super::extract::{Body, Granted, Params, TenantName, cursor, page_limit};
use crate::app::deletion::{self, DeletionCertificate, Signer};
use crate::app::tenants::{self, Listed, TenantDetail, TenantRecord, TenantUpdate};
use crate::app::{App, lifecycle};
use crate::auth::{Administer, Operate};
use crate::types::{LedgerTotals, TenantId, TenantState, Tier};

#[derive(Serialize, ToSchema)]
pub(super) struct TenantSummary {
    #[schema(value_type = String)]
    id: TenantId,
    name: String,
    tier: Tier,
    state: TenantState,
    /// True while its keys may not be used: it is locked, or suspended and locked besides.
    locked: bool,
    /// Files that lie unencrypted in the drop folder of a tenant that is locked or suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox_waiting: Option<u64>,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<TenantRecord> for TenantSummary {
    fn from(record: TenantRecord) -> Self {
        Listed { record, inbox_waiting: None }.into()
    }
}

impl From<Listed> for TenantSummary {
    fn from(Listed { record, inbox_waiting }: Listed) -> Self {
        Self {
            id: record.id,
            name: record.name,
            tier: record.tier,
            state: record.state,
            locked: record.locked,
            inbox_waiting,
            created_at: record.created_at,
        }
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
    tier: Option<Tier>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ChangedTenant {
    name: Option<String>,
    tier: Option<Tier>,
    /// What differs from the limits of the tier; replaces what differed before.
    #[schema(value_type = Option<Object>)]
    limits: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TenantView {
    #[serde(flatten)]
    summary: TenantSummary,
    /// Absent for a caller who does not belong to the tenant.
    #[serde(flatten)]
    numbers: Option<TenantNumbers>,
}

#[derive(Serialize, ToSchema)]
struct TenantNumbers {
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
    /// True where an index is due and the temporary directory has no room to build it.
    index_lacks_room: bool,
}

impl From<TenantDetail> for TenantView {
    fn from(detail: TenantDetail) -> Self {
        let numbers = TenantNumbers {
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
                index_lacks_room: state.index_lacks_room,
            }),
        };
        Self { summary: detail.listed.into(), numbers: Some(numbers) }
    }
}

impl From<tenants::Sight> for TenantView {
    fn from(sight: tenants::Sight) -> Self {
        match sight {
            tenants::Sight::Whole(detail) => (*detail).into(),
            tenants::Sight::Record(listed) => Self { summary: listed.into(), numbers: None },
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub(super) struct PageParams {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Tenants this caller belongs to or stands above.
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
    Administrator(actor): Administrator,
    Body(new): Body<NewTenant>,
) -> Result<(StatusCode, Json<TenantSummary>), Failure> {
    let record = tenants::create(&app, &actor, new.name, new.tier).await?;
    Ok((StatusCode::CREATED, Json(record.into())))
}

/// A tenant, with its numbers for whoever belongs to it.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 200, body = TenantView), (status = 404, body = Problem)))]
pub(super) async fn get_tenant(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    TenantName(tenant): TenantName,
) -> Result<Json<TenantView>, Failure> {
    Ok(Json(tenants::sight(&app, actor, tenant).await?.into()))
}

/// Changes name, tier or limits of a tenant.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")), request_body = ChangedTenant,
    responses((status = 200, body = TenantSummary), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn change_tenant(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Administer>,
    Body(change): Body<ChangedTenant>,
) -> Result<Json<TenantSummary>, Failure> {
    let ChangedTenant { name, tier, limits } = change;
    let update = TenantUpdate { name, tier, limits, ..TenantUpdate::default() };
    Ok(Json(lifecycle::change(&app, &grant, update).await?.into()))
}

macro_rules! turn_route {
    ($(#[$doc:meta])* $handler:ident, $action:ident, $level:ty, $path:literal) => {
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "tenants",
            params(("tenant" = String, Path, description = "Id or name")),
            responses((status = 200, body = TenantSummary), (status = 404, body = Problem),
                (status = 409, body = Problem)))]
        pub(super) async fn $handler(
            State(app): State<Arc<App>>,
            Granted(grant): Granted<$level>,
        ) -> Result<Json<TenantSummary>, Failure> {
            Ok(Json(lifecycle::$action(&app, &grant).await?.into()))
        }
    };
}

turn_route!(
    /// Turns a tenant's members away; its work waits and nothing of it is lost.
    suspend_tenant, suspend, Administer, "/api/v1/tenants/{tenant}/suspend"
);
turn_route!(
    /// Lets a suspended tenant's members in again.
    resume_tenant, resume, Administer, "/api/v1/tenants/{tenant}/resume"
);
turn_route!(
    /// Takes a tenant's keys out of memory; nobody reads it until it is unlocked.
    lock_tenant, lock, Operate, "/api/v1/tenants/{tenant}/lock"
);
turn_route!(
    /// Lets a locked tenant be opened again.
    unlock_tenant, unlock, Operate, "/api/v1/tenants/{tenant}/unlock"
);

/// Changes a tenant's data key. Catalogue and projections have the new one when this answers;
/// originals follow in the background, also after a restart.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/rotate-key", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 200, body = TenantSummary), (status = 404, body = Problem),
        (status = 423, body = Problem)))]
pub(super) async fn rotate_tenant_key(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Administer>,
) -> Result<Json<TenantSummary>, Failure> {
    Ok(Json(lifecycle::rotate_key(&app, grant).await?.into()))
}

/// Removes a tenant with everything it holds; the answer certifies it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 200, body = DeletionCertificate), (status = 404, body = Problem)))]
pub(super) async fn delete_tenant(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Administer>,
) -> Result<Json<DeletionCertificate>, Failure> {
    Ok(Json(deletion::remove(&app, grant).await?))
}

/// By what certificates and archives of this appliance are known.
#[utoipa::path(get, path = "/api/v1/signer", tag = "tenants",
    responses((status = 200, body = Signer), (status = 401, body = Problem)))]
pub(super) async fn get_signer(
    State(app): State<Arc<App>>,
    _anybody: Caller,
) -> Result<Json<Signer>, Failure> {
    Ok(Json(deletion::signer(&app).await?))
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeletionPage {
    deletions: Vec<DeletionCertificate>,
    #[schema(value_type = Option<String>)]
    next_cursor: Option<TenantId>,
}

/// Certificates of tenants that were removed.
#[utoipa::path(get, path = "/api/v1/deletions", tag = "tenants", params(PageParams),
    responses((status = 200, body = DeletionPage), (status = 404, body = Problem)))]
pub(super) async fn list_deletions(
    State(app): State<Arc<App>>,
    _admin: Administrator,
    Params(page): Params<PageParams>,
) -> Result<Json<DeletionPage>, Failure> {
    let after = cursor(page.cursor.as_deref())?;
    let (deletions, next_cursor) = deletion::list(&app, after, page_limit(page.limit)).await?;
    Ok(Json(DeletionPage { deletions, next_cursor }))
}
