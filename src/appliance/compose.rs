//! Builds every service of an open appliance, bottom up.
//!
//! Called by: `appliance::gate`. Talks to: every module below.
//! Invariants: wiring only; what is missing but not needed to go on becomes part of the state.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;

use super::ApplianceError;
use crate::app::{self, App, Inference, Schedule};
use crate::auth::{Authority, SessionLimits};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::disk;
use crate::error::chain;
use crate::extract::ExtractLimits;
use crate::extraction::{ExtractionConfig, ExtractionPool, Ocr, OcrConfig};
use crate::inference::{Embedder, InferenceConfig, InferenceError};
use crate::keys::{KekSource, KeyStore, SYSTEM_SCOPE};
use crate::scratch;
use crate::system::System;
use crate::tenant::{Registry, ResidentBudget, VectorSettings};
use crate::tls::Tls;

/// Builds every service, bottom up.
pub(super) fn compose(
    config: Config,
    keys: Arc<KeyStore>,
    tls: Arc<Tls>,
) -> Result<App, ApplianceError> {
    let home = config.home.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    empty_scratch(&config)?;
    let keyring = keys.ensure_keyring(SYSTEM_SCOPE).map_err(ApplianceError::Keys)?;
    let system = System::open(&home.system_db_path(), &keyring).map_err(ApplianceError::System)?;
    let system = Arc::new(system);
    let scratch = scratch::of_process();
    if let Err(error) = tls.adopt(keyring) {
        tracing::warn!("the certificate for TLS was not looked after: {}", chain(&error));
    }
    let inference = load_inference(&config);
    let reserve = disk::Reserve::new(home.reserve_path(), config.server.reserve_bytes);
    if let Err(error) = reserve.hold() {
        tracing::warn!("the disk reserve cannot be held: {error}");
    }
    let reading = extraction_config(&config)?;
    let ocr = Ocr::new(ocr_config(&config, &reading));
    let viewer = ExtractionPool::new(viewer_config(&reading));
    let extraction = ExtractionPool::new(reading);
    let registry = Registry::new(
        home.tenants_path(),
        system.clone(),
        keys,
        clock.clone(),
        config.faults.clone(),
        inference.model().cloned(),
        VectorSettings {
            index_cache_bytes: config.search.index_cache_bytes,
            metadata_cache_bytes: config.search.metadata_cache_bytes,
            exact_rows_limit: config.search.exact_rows_limit,
            allow_index: scratch.is_some(),
            resident: ResidentBudget::new(config.search.resident_bytes),
            scratch: scratch.clone(),
        },
    );
    registry.sweep();
    Ok(App {
        authority: Authority::new(system.clone(), clock.clone(), session_limits(&config)),
        quotas: app::quota::Quotas::new(system.clone()),
        streams: app::stream::Places::for_records(),
        watchers: app::stream::Places::for_watchers(),
        uploads: app::uploads::Turns::default(),
        settings: config.shown(),
        key_file: match KekSource::of(&config.keys, &home) {
            KekSource::File(path) => Some(path),
            KekSource::Passphrase | KekSource::Credential(_) => None,
        },
        started_at: clock.now(),
        home,
        server: config.server,
        ingest: config.ingest,
        clock,
        system,
        registry,
        extraction,
        viewer,
        ocr,
        inference,
        scratch,
        schedule: Schedule::default(),
        tls,
        reserve,
        sources: app::sources::Sources::new(config.sources),
        statistics: app::search::StatisticsCache::default(),
    })
}

fn session_limits(config: &Config) -> SessionLimits {
    SessionLimits {
        idle: SignedDuration::from_mins(i64::from(config.server.session_idle_minutes)),
        absolute: SignedDuration::from_hours(i64::from(config.server.session_hours)),
    }
}

fn empty_scratch(config: &Config) -> Result<(), ApplianceError> {
    let path = config.home.scratch_path();
    disk::empty_private_dir(&path).map_err(|source| ApplianceError::Io {
        what: "empty",
        path,
        source,
    })
}

fn extraction_config(config: &Config) -> Result<ExtractionConfig, ApplianceError> {
    let ingest = &config.ingest;
    let worker_exe = std::env::current_exe().map_err(|source| ApplianceError::Io {
        what: "find",
        path: PathBuf::from("/proc/self/exe"),
        source,
    })?;
    Ok(ExtractionConfig {
        worker_exe,
        // One more than a tenant can use: it is kept for the others.
        children: ingest.extraction_children + 1,
        time_limit: ingest.extraction_time(),
        memory_limit_bytes: ingest.extraction_memory,
        limits: ExtractLimits {
            max_text_bytes: ingest.max_text_per_document,
            max_parse_bytes: ingest.max_parse_bytes,
            max_children: ingest.max_children,
            max_child_bytes: ingest.max_child_bytes,
            max_total_bytes: ingest.max_archive_bytes,
        },
        documents_per_child: ingest.documents_per_child,
    })
}

/// One process is enough: it draws a page in a fraction of a second.
fn viewer_config(reading: &ExtractionConfig) -> ExtractionConfig {
    ExtractionConfig {
        children: 1,
        time_limit: reading.time_limit.min(app::pages::TIME_LIMIT),
        ..reading.clone()
    }
}

fn ocr_config(config: &Config, reading: &ExtractionConfig) -> OcrConfig {
    let ocr = &config.ocr;
    OcrConfig {
        worker_exe: reading.worker_exe.clone(),
        enabled: ocr.enabled,
        program: ocr.program.clone(),
        languages: ocr.languages.clone(),
        processes: ocr.concurrency(),
        time_limit: ocr.page_time(),
        memory_limit_bytes: ocr.memory,
    }
}

/// Loads the model and tests it; what is wrong with it becomes part of the appliance's state.
fn load_inference(config: &Config) -> Inference {
    let settings = InferenceConfig {
        model_dir: config.inference.model_dir.clone(),
        threads: config.inference.threads,
        batch_tokens: config.inference.batch_tokens,
        private_dir: config.home.scratch_path(),
    };
    let embedder = match Embedder::load(&settings) {
        Ok(embedder) => embedder,
        Err(error) => {
            tracing::error!("search works by keyword only: {}", chain(&error));
            let detail = format!("{}.", chain(&error));
            return match error {
                InferenceError::Runtime(_) | InferenceError::FileMissing { .. } => {
                    Inference::Missing(detail)
                }
                _ => Inference::Failed(detail),
            };
        }
    };
    match embedder.self_test() {
        Ok(test) if test.ok => Inference::Ready(embedder),
        Ok(test) => Inference::Failed(format!(
            "The model gives other vectors here than where it was made (cosine {:.4}).",
            test.min_cosine
        )),
        Err(error) => Inference::Failed(format!("The model does not run: {}.", chain(&error))),
    }
}
