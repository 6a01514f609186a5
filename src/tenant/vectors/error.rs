//! What can go wrong with a tenant's vectors.
//!
//! Called by: `tenant::vectors` and its callers. Talks to: nothing.
//! Invariants: no variant carries document text or a source path.

use std::path::PathBuf;

use arrow_schema::ArrowError;

use crate::tenant::latch::Locked;

/// A vector table that could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    #[error("the tenant is locked")]
    Locked(#[source] Locked),

    #[error("{} cannot hold vector tables", path.display())]
    Directory { path: PathBuf },

    #[error("leftovers of interrupted writes in {} cannot be removed", path.display())]
    Leftovers {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },

    /// The engine refused or failed an operation; `source` says why.
    #[error("vector table {table}: {operation} failed")]
    Engine {
        table: String,
        operation: &'static str,
        #[source]
        source: Box<lancedb::Error>,
    },

    /// The table on disk was made by another model, or by another version of this layout.
    #[error("vector table {table} holds {found}, not {expected}")]
    Mismatch { table: String, expected: String, found: String },

    #[error("the vector of chunk {chunk} has {found} dimensions, not {expected}")]
    Dimension { chunk: i64, expected: usize, found: usize },

    #[error("the vector of chunk {chunk} is not of length one")]
    NotNormalised { chunk: i64 },

    #[error("the query vector has {found} dimensions, not {expected}")]
    QueryDimension { expected: usize, found: usize },

    #[error("a batch of vectors could not be laid out")]
    Layout {
        #[source]
        source: ArrowError,
    },

    /// A result lacks a column, or has it in another type.
    #[error("a result has no usable column {column}")]
    Column { column: &'static str },

    /// The task that did the work panicked, or the runtime is shutting down.
    #[error("{operation} of vectors did not finish")]
    Lost {
        operation: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },
}
