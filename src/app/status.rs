//! What the appliance can do at present, and what people should know about it.
//!
//! Called by: `http`. Talks to: the home volume, `/proc`.
//! Invariants: a missing model is said here and on the page, not only in a log.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Error, Inference, blocking, tenants};
use crate::auth::Actor;

/// State of an appliance.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// What people call this appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub version: String,
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    pub home_free_bytes: u64,
    pub resident_bytes: Option<u64>,
    pub model: ModelStatus,
    pub ocr: OcrStatus,
    /// Sentences to show on top of every page.
    pub notices: Vec<String>,
}

/// State of the embedding model.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    /// `ready`, `missing` or `failed`.
    pub state: String,
    pub detail: String,
    pub id: Option<String>,
    pub language: Option<String>,
    pub dimension: Option<usize>,
    pub runtime_version: Option<String>,
}

/// Whether pictures and scanned pages are read.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OcrStatus {
    /// `ready` or `missing`.
    pub state: String,
    pub detail: String,
    pub version: Option<String>,
    /// Languages that pages are read in.
    pub languages: Vec<String>,
    /// Every language pack found.
    pub installed: Vec<String>,
}

/// Free space below which people are warned, in bytes.
const LOW_SPACE: u64 = 2 << 30;

/// The present state, with notices for this actor.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn status(app: &Arc<App>, actor: &Actor) -> Result<Status, Error> {
    let (shared, whose) = (app.clone(), actor.clone());
    let (home_free_bytes, own, name) = blocking(move || {
        let own = tenants::belonging(&shared, &whose)?;
        Ok((free_bytes(&shared), own, shared.system.appliance_name()?))
    })
    .await?;
    let model = model_status(&app.inference);
    let ocr = ocr_status(app).await;
    let mut notices = Vec::new();
    if model.state != "ready" {
        notices.push(format!(
            "Search works by keyword only: {} Run `cairn doctor` for what to do.",
            model.detail
        ));
    }
    if app.scratch.is_none() {
        notices.push(
            "No directory in memory has room for temporary files, so no vector index is built and \
             searches compare every vector. Make /dev/shm larger and start Cairn again."
                .to_owned(),
        );
    }
    if let Some(missing) = missing_layers(app) {
        notices.push(format!(
            "Files are read with less protection than intended, because this system lacks \
             {missing}. Run `cairn doctor` for what to do."
        ));
    }
    if home_free_bytes < LOW_SPACE {
        notices.push(format!(
            "Only {} MiB are free on the volume that holds Cairn's data.",
            home_free_bytes >> 20
        ));
    }
    notices.extend(clock_behind(app).await?);
    // Of other tenants nobody learns here that they are there.
    let all = app.authority.may_operate(actor);
    notices.extend(app.quotas.warnings(|tenant| all || own.contains(&tenant)));
    Ok(Status {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: app.started_at,
        home_free_bytes,
        resident_bytes: resident_bytes(),
        model,
        ocr,
        notices,
    })
}

/// How far the clock may be behind the record: it is set back by as much every autumn night that
/// somebody sets it by hand.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A sentence where the clock stands before what was put on record last.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn clock_behind(app: &Arc<App>) -> Result<Option<String>, Error> {
    let shared = app.clone();
    let latest = blocking(move || Ok(shared.system.latest_audit()?)).await?;
    let now = app.clock.now();
    Ok(latest.filter(|latest| latest.duration_since(now) > CLOCK_TOLERANCE).map(|latest| {
        format!(
            "This machine's clock says {now:.0}, but something was put on record at {latest:.0}: \
             the clock was set back or its battery is empty. Until it is right, dates of what is \
             added are wrong, and codes of authenticators are refused."
        )
    }))
}

/// What the kernel does not give the processes that read files.
fn missing_layers(app: &App) -> Option<&'static str> {
    let layers = app.extraction.confinement()?;
    match (layers.landlock_abi.is_some(), layers.seccomp) {
        (true, true) => None,
        (false, true) => Some("Landlock"),
        (true, false) => Some("system call filters"),
        (false, false) => Some("Landlock and system call filters"),
    }
}

async fn ocr_status(app: &App) -> OcrStatus {
    match app.ocr.engine().await {
        Ok(engine) => OcrStatus {
            state: "ready".to_owned(),
            detail: "Pictures and scanned pages are read by tesseract.".to_owned(),
            version: Some(engine.version.clone()),
            languages: engine.languages.clone(),
            installed: engine.installed.clone(),
        },
        Err(absence) => OcrStatus {
            state: "missing".to_owned(),
            detail: absence.to_string(),
            version: None,
            languages: Vec::new(),
            installed: Vec::new(),
        },
    }
}

fn model_status(inference: &Inference) -> ModelStatus {
    let without = |state: &str, detail: &str| ModelStatus {
        state: state.to_owned(),
        detail: detail.to_owned(),
        id: None,
        language: None,
        dimension: None,
        runtime_version: None,
    };
    match inference {
        Inference::Missing(detail) => without("missing", detail),
        Inference::Failed(detail) => without("failed", detail),
        Inference::Ready(embedder) => {
            let info = embedder.info();
            ModelStatus {
                state: "ready".to_owned(),
                detail: "The embedding model works.".to_owned(),
                id: Some(info.id.clone()),
                language: Some(info.language.clone()),
                dimension: Some(info.dimension),
                runtime_version: Some(embedder.runtime().version.clone()),
            }
        }
    }
}

/// Free bytes on the home volume; 0 where it cannot be asked. Blocks.
pub fn free_bytes(app: &App) -> u64 {
    crate::disk::free_bytes(&app.home.path).unwrap_or(0)
}

/// Resident memory of this process, in bytes.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
