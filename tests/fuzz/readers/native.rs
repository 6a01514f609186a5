//! No shared library: what `extract` asks of `src/native`, answered with "missing".
//!
//! Called by: `extract::pdf`. Talks to: nothing.
//! Invariants: nothing is ever loaded.

use std::path::Path;

/// The one library that readers name.
#[derive(Clone, Copy, Debug)]
pub enum NativeLibrary {
    Pdfium,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} has no part here{1}")]
pub struct NativeError(NativeLibrary, String);

impl NativeError {
    pub fn load(library: NativeLibrary, reason: String) -> Self {
        Self(library, reason)
    }
}

pub fn pdfium(_: &Path) -> Result<&'static Path, NativeError> {
    Err(NativeError(NativeLibrary::Pdfium, String::new()))
}
