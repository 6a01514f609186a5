//! Limits and their use over HTTP.
//!
//! Called by: the router. Talks to: `app::usage`.
//! Invariants: numbers only; who may see them is decided in `app`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::error::{Failure, Problem};
use super::extract::TenantName;
use crate::app::App;
use crate::app::usage::{self, TierRow, Usage};

#[derive(Serialize, ToSchema)]
pub(super) struct TierList {
    tiers: Vec<TierRow>,
}

/// Every tier with its limits and features.
#[utoipa::path(get, path = "/api/v1/tiers", tag = "tenants",
    responses((status = 200, body = TierList), (status = 401, body = Problem)))]
pub(super) async fn list_tiers(_caller: Caller) -> Json<TierList> {
    Json(TierList { tiers: usage::tiers() })
}

/// How much of its limits a tenant uses.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/usage", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")),
    responses((status = 200, body = Usage), (status = 404, body = Problem)))]
pub(super) async fn get_usage(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    TenantName(tenant): TenantName,
) -> Result<Json<Usage>, Failure> {
    Ok(Json(usage::usage(&app, actor, tenant).await?))
}
