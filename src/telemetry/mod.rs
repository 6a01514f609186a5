//! Logs: one line per event, as text for people or JSON for collectors, on standard error and in
//! a rotating file in the home.
//!
//! Called by: `cli` (for `serve` only). Talks to: standard error, `<home>/logs`.
//! Invariants: document text, query text, file names and keys are never logged, nor is the message
//! of a panic, which quotes what was being worked on; where it happened is.

mod rotation;

use std::io;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Config, DEFAULT_LOG};
use rotation::RotatingLog;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("open the log {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("a subscriber for logs is set already")]
    Set(#[source] TryInitError),
}

/// Starts logging for the life of the process.
///
/// # Errors
/// When the log file cannot be opened, or logging was started before.
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(&config.server.log).unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let path = config.home.log_path();
    let log = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| RotatingLog::open(&path))
        .map_err(|source| TelemetryError::Open { path, source })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log.and(io::stderr))
        .with_target(false)
        .with_ansi(false);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("a thread panicked at {place}");
    }));
    if config.server.log_json {
        lines.json().finish().try_init().map_err(TelemetryError::Set)
    } else {
        lines.finish().try_init().map_err(TelemetryError::Set)
    }
}
