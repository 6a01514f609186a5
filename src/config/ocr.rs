//! `[ocr]`: whether and how pictures are read by the OCR program of the system.
//!
//! Called by: `config`, `appliance`. Talks to: nothing.
//! Invariants: a language is the name of a pack and nothing else, since it becomes part of a
//! command line; every limit is finite.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Problem;

/// How pictures and scanned pages are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OcrSection {
    /// Turns OCR off although the program is there.
    pub enabled: bool,
    /// Languages of the pages, most frequent first; those without a language pack are passed over.
    pub languages: Vec<String>,
    /// The program, where it is neither in `/usr/bin` nor in `/usr/local/bin`.
    pub program: Option<PathBuf>,
    /// Pages read at once. 0 is half of the processors, at most 4.
    pub processes: usize,
    /// Seconds of computing after which the reading of one page is ended; it may take five times
    /// that by the clock, since everything else goes first.
    pub page_seconds: u64,
    /// Address space of one process, in bytes.
    pub memory: u64,
}

impl Default for OcrSection {
    fn default() -> Self {
        Self {
            enabled: true,
            languages: vec!["eng".to_owned(), "deu".to_owned()],
            program: None,
            processes: 0,
            page_seconds: 120,
            memory: 1536 << 20,
        }
    }
}

impl OcrSection {
    /// Processor time for one page.
    pub fn page_time(&self) -> Duration {
        Duration::from_secs(self.page_seconds)
    }

    /// Pages read at once.
    pub fn concurrency(&self) -> usize {
        let half = std::thread::available_parallelism().map_or(1, |all| all.get() / 2);
        if self.processes == 0 { half.clamp(1, 4) } else { self.processes }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let name = |language: &String| {
            let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
            (1..40).contains(&language.len()) && language.chars().all(sound)
        };
        if self.languages.len() > 20 || !self.languages.iter().all(name) {
            problems.push(Problem::new("ocr.languages", "must be names of packs, such as \"eng\""));
        }
        if self.processes > 64 {
            problems.push(Problem::new("ocr.processes", "must be at most 64"));
        }
        if self.page_seconds == 0 || self.page_seconds > 3600 {
            problems.push(Problem::new("ocr.page_seconds", "must lie between 1 and 3600"));
        }
        if self.memory < 256 << 20 {
            problems.push(Problem::new("ocr.memory", "must be at least 256 MiB"));
        }
        if self.program.as_ref().is_some_and(|program| !program.is_absolute()) {
            problems.push(Problem::new("ocr.program", "must be an absolute path"));
        }
    }
}
