//! What is wrong with a configuration, said so that the admin can mend it.
//!
//! Called by: `config`. Talks to: nothing.
//! Invariants: a problem names the key and, once known, the file.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    key: &'static str,
    sentence: String,
    file: Option<PathBuf>,
}

impl Problem {
    /// A problem with the value of `key`.
    pub fn new(key: &'static str, sentence: impl Into<String>) -> Self {
        Self { key, sentence: sentence.into(), file: None }
    }

    /// The same, found in `file`.
    pub fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        write!(f, "{}: {}", self.key, self.sentence)
    }
}
