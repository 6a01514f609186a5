//! Why text cannot be turned into vectors.
//!
//! Called by: every file of `inference`; matched by `app`. Talks to: nothing.
//! Invariants: a variant names the model or the folder concerned; sources are never repeated.

use std::error::Error;
use std::io;

use crate::native::NativeError;

/// A failure to load the model or to run it.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// ONNX Runtime cannot run here: see the source (processor, C library, sandbox).
    #[error("the embedding runtime is not available")]
    Runtime(#[from] NativeError),
    #[error("{file} of the model in {folder} cannot be read")]
    FileMissing {
        folder: String,
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file} of the model in {folder} is not the file its manifest names (SHA-256 {found})")]
    FileChanged { folder: String, file: String, found: String },
    #[error("{file} of the model in {folder} is malformed")]
    FileMalformed {
        folder: String,
        file: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the manifest of the model in {folder} is not usable: {reason}")]
    ManifestUnusable { folder: String, reason: String },
    #[error("the tokenizer of model {model} fails")]
    Tokenizer {
        model: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("model {model} does not load")]
    Load {
        model: String,
        #[source]
        source: fastembed::Error,
    },
    #[error("model {model} failed on a text")]
    Run {
        model: String,
        #[source]
        source: fastembed::Error,
    },
    #[error("model {model} returned vectors that are not usable: {reason}")]
    BadVectors { model: String, reason: &'static str },
    /// The process is stopping, or the run panicked.
    #[error("model {model} was interrupted")]
    Interrupted {
        model: String,
        #[source]
        source: tokio::task::JoinError,
    },
}
