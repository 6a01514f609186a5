//! Synchronised sources over HTTP.
//!
//! Called by: the router; `http::events` shows them too. Talks to: `app::sources`.
//! Invariants: readers see the sources of their collections, owners and their keys change them; a
//! password goes in and never comes out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::error::{Failure, Problem};
use super::extract::{Body, Id, Tenant, given};
use crate::app::App;
use crate::app::sources::{
    self, Change, Security, SettingsChange, SourceDetail, SourceSettings, Wanted,
};
use crate::auth::{Manage, Read};
use crate::types::{Deletions, RunCounts, RunOutcome, SourceId, SourceRun};

/// Runs shown with one source.
const RUNS_SHOWN: u32 = 20;

/// What a source is about at this moment.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SourceState {
    Running,
    /// Its turn comes when others are done.
    Due,
    Paused,
    Idle,
    /// The tenant is at a limit; it goes on when there is room.
    Waiting,
    /// The last run failed; the next may not.
    Failed,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SourceView {
    #[schema(value_type = String)]
    id: SourceId,
    name: String,
    collection: String,
    #[serde(flatten)]
    settings: SourceSettings,
    has_password: bool,
    interval_seconds: u64,
    deletions: Deletions,
    paused: bool,
    created_by: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    state: SourceState,
    /// Things taken in that are there; gone there and kept here.
    items: u64,
    missing: u64,
    /// What the run that goes on did so far.
    running: Option<RunCounts>,
    last_run: Option<SourceRun>,
    /// Absent while it is paused.
    #[schema(value_type = Option<String>)]
    next_run_at: Option<Timestamp>,
}

impl From<SourceDetail> for SourceView {
    fn from(detail: SourceDetail) -> Self {
        let SourceDetail { row, settings, running, .. } = detail;
        let last = row.last_run.as_ref().map(|run| run.outcome);
        let state = match last {
            _ if running.is_some() => SourceState::Running,
            _ if row.run_asked => SourceState::Due,
            _ if row.paused => SourceState::Paused,
            Some(RunOutcome::Waiting) => SourceState::Waiting,
            Some(RunOutcome::Failed) => SourceState::Failed,
            None | Some(RunOutcome::Stopped) => SourceState::Due,
            Some(RunOutcome::Done | RunOutcome::Partial) => SourceState::Idle,
        };
        Self {
            id: row.id,
            next_run_at: (!row.paused).then_some(row.next_run_at),
            name: row.name,
            collection: row.collection,
            settings,
            has_password: row.has_secret,
            interval_seconds: row.interval_seconds,
            deletions: row.deletions,
            paused: row.paused,
            created_by: row.created_by,
            created_at: row.created_at,
            state,
            items: row.items,
            missing: row.missing,
            running,
            last_run: row.last_run,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SourceList {
    sources: Vec<SourceView>,
}

/// A source with its last runs.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceHistory {
    #[serde(flatten)]
    source: SourceView,
    /// Newest first.
    runs: Vec<SourceRun>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewSource {
    /// Its documents are listed below this name.
    name: String,
    /// Name of the collection that its documents go to.
    collection: Option<String>,
    #[serde(flatten)]
    settings: SourceSettings,
    /// What signs in at a mailbox.
    password: Option<String>,
    /// Seconds between two runs.
    interval_seconds: Option<u64>,
    /// What becomes of documents that are gone there: directories `remove`, mailboxes `keep`.
    deletions: Option<Deletions>,
    #[serde(default)]
    paused: bool,
}

/// What is to be different; absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceChanges {
    /// Its documents move below this name, by its next run.
    name: Option<String>,
    /// Documents stay in their collection: another one is refused.
    collection: Option<String>,
    /// Of a directory. Another directory is refused, unless it is the `same_place`.
    path: Option<String>,
    /// Of a mailbox, as are those below. Another host or user is refused, unless it is the
    /// `same_place`; the password has to be given again with each of them but the folders.
    host: Option<String>,
    /// `null` is the usual port.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    port: Option<Option<u16>>,
    security: Option<Security>,
    user: Option<String>,
    /// All where empty.
    folders: Option<Vec<String>>,
    /// `null` trusts what this machine trusts.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    certificate: Option<Option<String>>,
    allow_plain: Option<bool>,
    /// It is the same place under a new name: a share mounted elsewhere, a renamed server or user.
    #[serde(default)]
    same_place: bool,
    password: Option<String>,
    interval_seconds: Option<u64>,
    deletions: Option<Deletions>,
    paused: Option<bool>,
}

impl From<SourceChanges> for Change {
    fn from(changes: SourceChanges) -> Self {
        Self {
            name: changes.name,
            collection: changes.collection,
            settings: SettingsChange {
                path: changes.path.map(Into::into),
                host: changes.host,
                port: changes.port,
                security: changes.security,
                user: changes.user,
                folders: changes.folders,
                certificate: changes.certificate,
                allow_plain: changes.allow_plain,
            },
            same_place: changes.same_place,
            password: changes.password.map(Zeroizing::new),
            interval_seconds: changes.interval_seconds,
            deletions: changes.deletions,
            paused: changes.paused,
        }
    }
}

/// How a run is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WantedRun {
    /// It is right that so much is gone there: remove it here too.
    gone_confirmed: bool,
}

/// Sources of a tenant, as far as their collections are in the caller's sight.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/sources", tag = "sources",
    params(("tenant" = String, Path)),
    responses((status = 200, body = SourceList), (status = 404, body = Problem)))]
pub(super) async fn list_sources(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
) -> Result<Json<SourceList>, Failure> {
    let found = sources::list(&app, &tenant).await?;
    Ok(Json(SourceList { sources: found.into_iter().map(Into::into).collect() }))
}

/// Makes a source; it is read at once.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/sources", tag = "sources",
    params(("tenant" = String, Path)), request_body = NewSource,
    responses((status = 201, body = SourceView), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create_source(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Body(new): Body<NewSource>,
) -> Result<(StatusCode, Json<SourceView>), Failure> {
    let wanted = Wanted {
        name: new.name,
        collection: new.collection,
        settings: new.settings,
        password: new.password.map(Zeroizing::new),
        interval_seconds: new.interval_seconds,
        deletions: new.deletions,
        paused: new.paused,
    };
    let made = sources::create(&app, &tenant, wanted).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// A source with its last runs.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/sources/{id}", tag = "sources",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = SourceHistory), (status = 404, body = Problem)))]
pub(super) async fn get_source(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<SourceId>,
) -> Result<Json<SourceHistory>, Failure> {
    let mut found = sources::show(&app, &tenant, &id.to_string(), RUNS_SHOWN).await?;
    let runs = std::mem::take(&mut found.runs);
    Ok(Json(SourceHistory { source: found.into(), runs }))
}

/// Changes a source; also pauses it and has it go on. What was taken in stays.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/sources/{id}", tag = "sources",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = SourceChanges,
    responses((status = 200, body = SourceView), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn change_source(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Id(id): Id<SourceId>,
    Body(changes): Body<SourceChanges>,
) -> Result<Json<SourceView>, Failure> {
    Ok(Json(sources::change(&app, &tenant, &id.to_string(), changes.into()).await?.into()))
}

/// Removes a source; its documents stay.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/sources/{id}", tag = "sources",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete_source(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Id(id): Id<SourceId>,
) -> Result<StatusCode, Failure> {
    sources::remove(&app, &tenant, &id.to_string()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has a source read as soon as it can be, also while it is paused.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/sources/{id}/run", tag = "sources",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = WantedRun,
    responses((status = 202, body = SourceView), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn run_source(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Id(id): Id<SourceId>,
    Body(wanted): Body<WantedRun>,
) -> Result<(StatusCode, Json<SourceView>), Failure> {
    let asked = sources::ask_run(&app, &tenant, &id.to_string(), wanted.gone_confirmed).await?;
    Ok((StatusCode::ACCEPTED, Json(asked.into())))
}
