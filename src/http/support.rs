//! The support archive over HTTP.
//!
//! Called by: the router. Talks to: `app::support`.
//! Invariants: for who administers the appliance; to anybody else the routes look absent.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Administrator, Caller};
use super::error::{Failure, Problem};
use super::extract::Params;
use crate::app::App;
use crate::app::audit::{self, Action, Event};
use crate::app::support::{self, LOG_LINES, Listed};
use crate::error::ErrorCode;

/// Most lines of the log that may be asked for.
const MAX_LOG_LINES: usize = 100_000;

#[derive(Deserialize, IntoParams)]
pub(super) struct SupportParams {
    /// Lines of the log to take along; 2000 where absent.
    log_lines: Option<usize>,
}

impl SupportParams {
    fn log_lines(&self) -> usize {
        self.log_lines.unwrap_or(LOG_LINES).min(MAX_LOG_LINES)
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SupportList {
    entries: Vec<Listed>,
}

/// What a support archive would hold now.
#[utoipa::path(get, path = "/api/v1/support", tag = "appliance", params(SupportParams),
    responses((status = 200, body = SupportList), (status = 404, body = Problem)))]
pub(super) async fn list_support(
    State(app): State<Arc<App>>,
    _admin: Administrator,
    Caller(actor): Caller,
    Params(params): Params<SupportParams>,
) -> Result<Json<SupportList>, Failure> {
    let entries = support::collect(&app, actor, params.log_lines()).await?;
    Ok(Json(SupportList { entries: entries.iter().map(Listed::from).collect() }))
}

/// The support archive: versions, settings, checks, numbers and the log, masked.
#[utoipa::path(get, path = "/api/v1/support/archive", tag = "appliance", params(SupportParams),
    responses((status = 200, body = Vec<u8>, content_type = "application/x-tar"),
        (status = 404, body = Problem)))]
pub(super) async fn get_support_archive(
    State(app): State<Arc<App>>,
    Administrator(by): Administrator,
    Params(params): Params<SupportParams>,
) -> Result<([(HeaderName, &'static str); 2], Vec<u8>), Failure> {
    let entries = support::collect(&app, by.clone(), params.log_lines()).await?;
    let event = Event::new(Action::ApplianceSupportArchive).with("log_lines", params.log_lines());
    audit::record_appliance(&app, &by, event).await?;
    let bytes = support::archive(&entries, app.clock.now())
        .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"cairn-support.tar\""),
    ];
    Ok((headers, bytes))
}
