//! Audit trails over HTTP: leafed through, exported, checked.
//!
//! Called by: the router. Talks to: `app::audit`.
//! Invariants: a trail is for those who may audit and says nothing of what documents hold; what
//! the trail keeps is for those who manage the tenant to say, so that an auditor cannot turn on
//! the text of queries.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Administrator;
use super::error::{Failure, Problem};
use super::extract::{Body, Params, Tenant, cursor, page_limit};
use super::search::time;
use crate::app::App;
use crate::app::audit::{self, Entry, Trail, TrailPage, TrailQuery, Verdict};
use crate::auth::{Audit, Manage};

#[derive(Deserialize, IntoParams)]
pub(super) struct AuditParams {
    /// An action such as `document.read`, or all of a kind, such as `document`.
    action: Option<String>,
    /// Kind, id or name of an actor.
    actor: Option<String>,
    /// Day or RFC 3339 time; nothing before it.
    after: Option<String>,
    /// Day or RFC 3339 time; nothing from then on.
    before: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ExportParams {
    /// Sequence of the first entry; 1 where absent.
    first: Option<u64>,
    /// Entries at most; all where absent.
    limit: Option<usize>,
}

/// Entries, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditVerdict {
    /// True where every entry is as it was written and none is missing.
    ok: bool,
    /// Entries that are sound, from the first on.
    entries: u64,
    /// The first entry that is bad or missing.
    first_bad: Option<u64>,
    /// What is wrong with it.
    reason: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct AuditPolicy {
    /// True where the text of queries and questions is kept, not only length and digest.
    query_text: bool,
}

impl From<TrailPage> for AuditPage {
    fn from(page: TrailPage) -> Self {
        let next_cursor = page.next_cursor.map(|sequence| sequence.to_string());
        Self { entries: page.entries, next_cursor }
    }
}

impl From<Verdict> for AuditVerdict {
    fn from(verdict: Verdict) -> Self {
        Self {
            ok: verdict.flaw.is_none(),
            entries: verdict.entries,
            first_bad: verdict.flaw.as_ref().map(|flaw| flaw.sequence),
            reason: verdict.flaw.map(|flaw| flaw.to_string()),
        }
    }
}

fn query(params: AuditParams) -> Result<TrailQuery, Failure> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(TrailQuery {
        action: given(params.action),
        actor: given(params.actor),
        after: time("after", params.after)?,
        before: time("before", params.before)?,
        cursor: cursor(params.cursor.as_deref())?,
        limit: page_limit(params.limit),
    })
}

async fn page(trail: &Trail, params: AuditParams) -> Result<Json<AuditPage>, Failure> {
    Ok(Json(trail.page(query(params)?).await?.into()))
}

async fn export(trail: Trail, params: ExportParams) -> Result<Response, Failure> {
    let first = params.first.unwrap_or(1).max(1);
    let lines = trail.export(first, params.limit.unwrap_or(usize::MAX)).await?;
    let mut response = ResponseBody::from_stream(lines).into_response();
    let kind = HeaderValue::from_static("application/jsonl");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    let disposition = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// The tenant's audit trail, newest first.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/audit", tag = "audit",
    params(("tenant" = String, Path), AuditParams),
    responses((status = 200, body = AuditPage), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get_audit(
    Tenant(tenant): Tenant<Audit>,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditPage>, Failure> {
    page(&Trail::Tenant(tenant), params).await
}

/// The tenant's audit trail with its chain, oldest first, one entry a line.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/audit/export", tag = "audit",
    params(("tenant" = String, Path), ExportParams),
    responses((status = 200, body = String, content_type = "application/jsonl"),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn export_audit(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Audit>,
    Params(params): Params<ExportParams>,
) -> Result<Response, Failure> {
    audit::allow_export(&app, &tenant).await?;
    export(Trail::Tenant(tenant), params).await
}

/// Checks the tenant's audit trail for any edit, removal or reorder.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/audit/verify", tag = "audit",
    params(("tenant" = String, Path)),
    responses((status = 200, body = AuditVerdict), (status = 404, body = Problem)))]
pub(super) async fn verify_audit(
    Tenant(tenant): Tenant<Audit>,
) -> Result<Json<AuditVerdict>, Failure> {
    Ok(Json(Trail::Tenant(tenant).verify().await?.into()))
}

/// What the tenant's audit trail keeps.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/audit/policy", tag = "audit",
    params(("tenant" = String, Path)),
    responses((status = 200, body = AuditPolicy), (status = 404, body = Problem)))]
pub(super) async fn get_audit_policy(
    Tenant(tenant): Tenant<Audit>,
) -> Result<Json<AuditPolicy>, Failure> {
    Ok(Json(AuditPolicy { query_text: audit::keeps_query_text(&tenant).await? }))
}

/// Changes what the tenant's audit trail keeps from now on.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/audit/policy", tag = "audit",
    params(("tenant" = String, Path)), request_body = AuditPolicy,
    responses((status = 200, body = AuditPolicy), (status = 404, body = Problem)))]
pub(super) async fn change_audit_policy(
    Tenant(tenant): Tenant<Manage>,
    Body(policy): Body<AuditPolicy>,
) -> Result<Json<AuditPolicy>, Failure> {
    audit::keep_query_text(&tenant, policy.query_text).await?;
    Ok(Json(policy))
}

/// The appliance's own audit trail, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditParams),
    responses((status = 200, body = AuditPage), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get_appliance_audit(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditPage>, Failure> {
    page(&Trail::Appliance(app, actor), params).await
}

/// The appliance's own audit trail with its chain, oldest first, one entry a line.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportParams),
    responses((status = 200, body = String, content_type = "application/jsonl"), (status = 404, body = Problem)))]
pub(super) async fn export_appliance_audit(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    Params(params): Params<ExportParams>,
) -> Result<Response, Failure> {
    export(Trail::Appliance(app, actor), params).await
}

/// Checks the appliance's own audit trail for any edit, removal or reorder.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit",
    responses((status = 200, body = AuditVerdict), (status = 404, body = Problem)))]
pub(super) async fn verify_appliance_audit(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
) -> Result<Json<AuditVerdict>, Failure> {
    Ok(Json(Trail::Appliance(app, actor).verify().await?.into()))
}
