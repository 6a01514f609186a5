//! The supervisor of extraction workers: every file is read in a child process, never here.
//!
//! Called by: `app`. Talks to: child processes running `extract::run_worker`, through
//! `extract::protocol`.
//! Invariants: a child serves one tenant in its life; nothing a child says is trusted beyond what
//! `conversation` checks; a child that crashed, stalled or broke the protocol is never used again.
//!
//! `pool` decides which child reads a file, `child` is one process, `conversation` is one file's
//! exchange with it, `sending` is the file's side of that, `ocr` reads pictures, `checks` is what
//! answers must keep to.

mod checks;
mod child;
mod conversation;
mod ocr;
mod pool;
mod sending;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncSeek};

pub use self::ocr::{OCR_PACKAGES, Ocr, OcrAbsence, OcrConfig, OcrEngine, OcrPage};
pub use self::pool::ExtractionPool;
use crate::extract::ExtractLimits;
pub use crate::extract::protocol::Confinement;
use crate::extract::protocol::ProtocolError;
use crate::types::{ChildHeader, ExtractFailure, ExtractedDocument};

/// How the pool works.
#[derive(Clone, Debug)]
pub struct ExtractionConfig {
    /// The program that serves `extract-worker`; this binary itself.
    pub worker_exe: PathBuf,
    /// Most child processes at a time, busy and idle ones together. At least 1.
    pub children: usize,
    /// Wall-clock time one file may take; large ones may take it several times. For a file that
    /// holds others it is the time without any sign of life, because taking the others in is the
    /// caller's own work.
    pub time_limit: Duration,
    /// Address space of a child in bytes. Below about 1 GiB large PDF and HTML files fail.
    pub memory_limit_bytes: u64,
    /// Limits that also hold for what a child claims to have found, whatever a request says.
    pub limits: ExtractLimits,
    /// Files a child reads before a fresh one takes its place.
    pub documents_per_child: u32,
}

/// What became of a file: its text, or the file's own fault.
pub type Extraction = Result<ExtractedDocument, ExtractFailure>;

/// A file that is read from its start, and any part of it again.
pub trait FileSource: AsyncRead + AsyncSeek + Send + Unpin {}

impl<S: AsyncRead + AsyncSeek + Send + Unpin> FileSource for S {}

/// Takes the files found inside another while it is being read.
#[async_trait]
pub trait ChildSink: Send {
    /// Takes one file. `body` may be left unread, wholly or in part. A body that fails half-way
    /// must not be kept: the worker died before its end.
    ///
    /// # Errors
    /// Any error ends the extraction with [`ExtractionError::Sink`].
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()>;
}

/// A fault that is not the file's: the same file may be read later. What it says may be logged,
/// so it leaves the file's name out.
#[derive(Debug, thiserror::Error)]
pub enum ExtractionError {
    #[error("the extraction worker {} cannot be started", .exe.display())]
    Spawn {
        exe: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the request cannot be sent to an extraction worker")]
    Request {
        name: String,
        #[source]
        source: ProtocolError,
    },
    #[error("the bytes of the file cannot be read")]
    Source {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("a file found inside cannot be taken in")]
    Sink {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the OCR program cannot be run: {why}")]
    Ocr { why: String },
    #[error("the extraction pool is closed")]
    Closed,
}
