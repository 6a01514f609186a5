//! Is it alive, is it ready, what can it do.
//!
//! Called by: the router. Talks to: `app::status`, `app::doctor`.
//! Invariants: `/health` and `/ready` need no sign-in and tell nothing about any tenant.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Watcher};
use super::error::{Failure, Problem};
use crate::app::doctor::{self, Check};
use crate::app::status::{self, Status};
use crate::app::{App, blocking};

#[derive(Serialize)]
pub(super) struct Health {
    pub(super) status: &'static str,
}

/// The process answers.
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The appliance database answers.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    match blocking(move || Ok(app.system.list_tenants(None, 1)?)).await {
        Ok(_) => (StatusCode::OK, Json(Health { status: "ready" })),
        Err(error) => {
            tracing::error!("not ready: {}", crate::error::chain(&error));
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not_ready" }))
        }
    }
}

/// Version, model, and what people should know.
#[utoipa::path(get, path = "/api/v1/status", tag = "appliance",
    responses((status = 200, body = Status), (status = 401, body = Problem)))]
pub(super) async fn get_status(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
) -> Result<Json<Status>, Failure> {
    Ok(Json(status::status(&app, &actor).await?))
}

#[derive(Serialize, ToSchema)]
pub(super) struct DoctorView {
    checks: Vec<Check>,
}

/// Checks of the installation, each with what to do if it fails.
#[utoipa::path(get, path = "/api/v1/doctor", tag = "appliance",
    responses((status = 200, body = DoctorView), (status = 404, body = Problem)))]
pub(super) async fn get_doctor(
    State(app): State<Arc<App>>,
    _watcher: Watcher,
) -> Result<Json<DoctorView>, Failure> {
    Ok(Json(DoctorView { checks: doctor::examine(&app).await? }))
}
