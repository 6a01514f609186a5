//! `[ingest]`: limits of extraction and the size of the groups that indexes are written in.
//!
//! Called by: `config`, `app`, `worker`, `appliance`. Talks to: nothing.
//! Invariants: every limit is finite, so that no file can take the appliance with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Problem;

/// How files are read and indexed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// Text kept of one document, in bytes; the rest is reported as truncated.
    pub max_text_per_document: u64,
    /// Largest file parsed whole in memory by formats that need it (PDF, mail, HTML), in bytes.
    pub max_parse_bytes: u64,
    /// Children taken out of one container.
    pub max_children: u32,
    /// Largest single child, in bytes.
    pub max_child_bytes: u64,
    /// Most bytes taken out of one archive, all files together.
    pub max_archive_bytes: u64,
    /// Most bytes taken out of one dropped file, those of archives inside archives included.
    pub max_nested_bytes: u64,
    /// How many files deep inside others a file may lie (an archive in a mail in an archive, …).
    pub max_depth: u32,
    /// Extraction processes that run at once for one tenant; where several have work, one more.
    pub extraction_children: usize,
    /// Wall-clock seconds after which the extraction of one document is killed.
    pub extraction_seconds: u64,
    /// Address space of one extraction process, in bytes.
    pub extraction_memory: u64,
    /// Documents after which an extraction process is replaced by a fresh one.
    pub documents_per_child: u32,
    /// Most documents in one full-text or vector commit.
    pub group_documents: usize,
    /// Most chunks in one vector append.
    pub group_chunks: usize,
    /// Milliseconds a commit waits for its group to fill while more work is on its way.
    pub group_wait_ms: u64,
    /// Tokens of body text in one chunk; the title and headings come on top.
    pub chunk_tokens: usize,
    /// Seconds between two rescans of the drop folder.
    pub inbox_rescan_seconds: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            max_text_per_document: 50 << 20,
            max_parse_bytes: 256 << 20,
            max_children: 1_000_000,
            max_child_bytes: 16 << 30,
            max_archive_bytes: 64 << 30,
            max_nested_bytes: 128 << 30,
            max_depth: 16,
            extraction_children: 2,
            extraction_seconds: 60,
            extraction_memory: 2 << 30,
            documents_per_child: 500,
            group_documents: 256,
            group_chunks: 2048,
            group_wait_ms: 400,
            chunk_tokens: 200,
            inbox_rescan_seconds: 5,
        }
    }
}

impl IngestConfig {
    /// Wall-clock limit of one extraction.
    pub fn extraction_time(&self) -> Duration {
        Duration::from_secs(self.extraction_seconds)
    }

    /// How long a group may wait to fill.
    pub fn group_wait(&self) -> Duration {
        Duration::from_millis(self.group_wait_ms)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if !(32..=400).contains(&self.chunk_tokens) {
            problems.push(Problem::new("ingest.chunk_tokens", "must lie between 32 and 400"));
        }
        if self.extraction_children == 0 || self.extraction_children > 64 {
            problems.push(Problem::new("ingest.extraction_children", "must lie between 1 and 64"));
        }
        if self.extraction_memory < 256 << 20 {
            problems.push(Problem::new("ingest.extraction_memory", "must be at least 256 MiB"));
        }
        let positive = [
            ("ingest.max_text_per_document", self.max_text_per_document),
            ("ingest.max_parse_bytes", self.max_parse_bytes),
            ("ingest.max_children", u64::from(self.max_children)),
            ("ingest.max_child_bytes", self.max_child_bytes),
            ("ingest.max_archive_bytes", self.max_archive_bytes),
            ("ingest.max_nested_bytes", self.max_nested_bytes),
            ("ingest.max_depth", u64::from(self.max_depth)),
            ("ingest.extraction_seconds", self.extraction_seconds),
            ("ingest.documents_per_child", u64::from(self.documents_per_child)),
            ("ingest.group_documents", self.group_documents as u64),
            ("ingest.group_chunks", self.group_chunks as u64),
            ("ingest.inbox_rescan_seconds", self.inbox_rescan_seconds),
        ];
        for (key, value) in positive {
            if value == 0 {
                problems.push(Problem::new(key, "must be above 0"));
            }
        }
    }
}
