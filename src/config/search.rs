//! `[search]` and `[inference]`: the model, its threads, and when vectors get an index.
//!
//! Called by: `config`, `app`, `appliance`. Talks to: nothing.
//! Invariants: caches and batches are bounded.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problem;

/// Retrieval settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// Vector rows above which an approximate index is built; below, search is exact.
    pub exact_rows_limit: u64,
    /// Bytes of index pages cached per open tenant.
    pub index_cache_bytes: usize,
    /// Bytes of vector table metadata cached per open tenant.
    pub metadata_cache_bytes: usize,
    /// Bytes of vectors that all tenants together may hold in memory for exact search.
    pub resident_bytes: usize,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            // Comparing all of 50,000 sealed vectors takes 40 ms and more where they do not fit
            // into memory; an index over them answers in half of that.
            exact_rows_limit: 50_000,
            index_cache_bytes: 64 << 20,
            metadata_cache_bytes: 32 << 20,
            resident_bytes: 128 << 20,
        }
    }
}

impl SearchConfig {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.exact_rows_limit < 1_000 {
            problems.push(Problem::new(
                "search.exact_rows_limit",
                "must be at least 1000: an index over fewer rows loses recall and gains nothing",
            ));
        }
    }
}

/// The embedding model and what it may use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceSettings {
    /// A model folder other than the built-in one.
    pub model_dir: Option<PathBuf>,
    /// Threads per inference session; 0 means one per core.
    pub threads: usize,
    /// Padded tokens per batch; 0 means the built-in choice.
    pub batch_tokens: usize,
}

impl InferenceSettings {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.threads > 256 {
            problems.push(Problem::new("inference.threads", "must be at most 256"));
        }
        if self.batch_tokens > 65_536 {
            problems.push(Problem::new("inference.batch_tokens", "must be at most 65536"));
        }
    }
}
