//! The ledger over HTTP.
//!
//! Called by: the router. Talks to: `app::ledger`.
//! Invariants: `received` is the sum of the other totals.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Order, Params, Tenant, cursor, page_limit};
use crate::app::ledger;
use crate::auth::Read;
use crate::types::{ItemId, ItemState, LedgerItem, LedgerTotals, Throughput};

#[derive(Deserialize, IntoParams)]
pub(super) struct LedgerParams {
    /// Only items in this state.
    #[param(value_type = Option<String>)]
    state: Option<ItemState>,
    cursor: Option<String>,
    /// Id of an item; nothing that came before it.
    since: Option<String>,
    /// `oldest` (first) or `newest`.
    #[param(value_type = Option<String>)]
    order: Option<Order>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LedgerView {
    #[serde(flatten)]
    totals: LedgerTotals,
    throughput: Throughput,
    items: Vec<LedgerItem>,
    #[schema(value_type = Option<String>)]
    next_cursor: Option<ItemId>,
}

/// Every item with its state and reason, and totals that add up.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/ledger", tag = "ledger",
    params(("tenant" = String, Path), LedgerParams),
    responses((status = 200, body = LedgerView), (status = 404, body = Problem)))]
pub(super) async fn get_ledger(
    Tenant(tenant): Tenant<Read>,
    Params(params): Params<LedgerParams>,
) -> Result<Json<LedgerView>, Failure> {
    let request = ledger::PageRequest {
        state: params.state,
        cursor: cursor(params.cursor.as_deref())?,
        since: cursor(params.since.as_deref())?,
        newest_first: params.order == Some(Order::Newest),
        limit: page_limit(params.limit),
    };
    let page = ledger::page(&tenant, request).await?;
    Ok(Json(LedgerView {
        totals: page.totals,
        throughput: page.throughput,
        items: page.items,
        next_cursor: page.next_cursor,
    }))
}
