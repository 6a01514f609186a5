//! What can go wrong with the full-text index.
//!
//! Called by: the other files of this module, `app`. Talks to: nothing.
//! Invariants: every variant names the index it is about.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenReadError, OpenWriteError};

use crate::tenant::latch::Locked;

/// A failure of the full-text index.
#[derive(Debug, thiserror::Error)]
pub enum FulltextError {
    #[error("the tenant is locked")]
    Locked(#[source] Locked),
    /// Made by a version with other fields, other word forms or another format. It holds nothing
    /// that cannot be made again: erase it and index anew.
    #[error("the full-text index in {} was made by another version", .path.display())]
    Outdated { path: PathBuf },
    #[error("cannot open the full-text index in {}", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: TantivyError,
    },
    /// Nothing of the failed write is in the index.
    #[error("cannot write the full-text index in {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: TantivyError,
    },
    #[error("cannot search the full-text index in {}", .path.display())]
    Search {
        path: PathBuf,
        #[source]
        source: TantivyError,
    },
    #[error("cannot erase the full-text index in {}", .path.display())]
    Erase {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl FulltextError {
    /// True where the disk is known to be full. A full disk that stopped an indexing thread shows
    /// as a failed write only.
    pub fn is_storage_full(&self) -> bool {
        let source = match self {
            Self::Locked(_) | Self::Outdated { .. } => return false,
            Self::Erase { source, .. } => return source.kind() == io::ErrorKind::StorageFull,
            Self::Open { source, .. }
            | Self::Write { source, .. }
            | Self::Search { source, .. } => source,
        };
        io_error(source).is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }
}

/// The operating system's error inside one of tantivy's, which does not chain it.
fn io_error(error: &TantivyError) -> Option<&Arc<io::Error>> {
    match error {
        TantivyError::IoError(error)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: error, .. })
        | TantivyError::LockFailure(LockError::IoError(error), _) => Some(error),
        _ => None,
    }
}

/// True where tantivy cannot read what another version of it wrote.
pub(super) fn is_outdated(error: &TantivyError) -> bool {
    matches!(
        error,
        TantivyError::IncompatibleIndex(_)
            | TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_))
    )
}
