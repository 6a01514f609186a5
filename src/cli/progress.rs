//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.
//!
//! Called by: `cli::add`, `cli::eval`, `cli::maintain`, `cli::wait`. Talks to: standard error.
//! Invariants: nothing is written to standard output; a reader that has gone does no harm.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::pages::LedgerPage;
use super::terminal::{count, duration};
use crate::types::{LedgerTotals, Throughput};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

const UPLOAD_BAR: &str =
    "uploading {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left, {msg}";
const COUNT_BAR: &str = "{prefix} {bar:30} {human_pos}/{human_len} {msg}";

/// Files on their way in. Cloned into every upload.
#[derive(Clone)]
pub struct UploadProgress {
    bar: ProgressBar,
    lines: Option<Arc<Lines>>,
    sent_bytes: Arc<AtomicU64>,
    done_files: Arc<AtomicU64>,
    files: u64,
    bytes: u64,
}

impl UploadProgress {
    /// Progress over `files` files with `bytes` bytes in all.
    pub fn new(files: u64, bytes: u64) -> Self {
        let (bar, lines) = start(bytes, UPLOAD_BAR);
        let progress = Self {
            bar,
            lines: lines.map(Arc::new),
            sent_bytes: Arc::default(),
            done_files: Arc::default(),
            files,
            bytes,
        };
        progress.bar.set_message(progress.files_done());
        progress
    }

    /// More bytes have left.
    pub fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
        self.line();
    }

    /// One file was acknowledged or refused.
    pub fn file_done(&self) {
        self.done_files.fetch_add(1, Ordering::Relaxed);
        self.bar.set_message(self.files_done());
        self.line();
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn files_done(&self) -> String {
        format!("{} of {}", self.done_files.load(Ordering::Relaxed), count(self.files, "file"))
    }

    fn line(&self) {
        if let Some(lines) = &self.lines {
            lines.maybe(|| {
                let sent = HumanBytes(self.sent_bytes.load(Ordering::Relaxed));
                let bytes = HumanBytes(self.bytes);
                format!("uploaded {} ({sent} of {bytes})", self.files_done())
            });
        }
    }
}

/// Items on their way into the indexes.
pub struct IndexProgress {
    bar: ProgressBar,
    lines: Option<Lines>,
    /// Items that were settled before.
    settled_before: u64,
}

impl IndexProgress {
    /// Progress from the totals as they were before anything was added.
    pub fn new(before: &LedgerTotals) -> Self {
        let (bar, lines) = start(0, COUNT_BAR);
        bar.set_prefix("indexing");
        Self { bar, lines, settled_before: before.received.saturating_sub(before.waiting) }
    }

    /// Shows where the ledger stands now.
    pub fn observe(&self, page: &LedgerPage) {
        let totals = &page.totals;
        let all = totals.received.saturating_sub(self.settled_before);
        let settled = all.saturating_sub(totals.waiting);
        self.bar.set_length(all);
        self.bar.set_position(settled);
        self.bar.set_message(rate(&page.throughput));
        if let Some(lines) = &self.lines {
            lines.maybe(|| {
                let rate = rate(&page.throughput);
                let gap = if rate.is_empty() { "" } else { ", " };
                format!("indexed {settled} of {}{gap}{rate}", count(all, "item"))
            });
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Steps of a known number, such as the queries of an evaluation.
pub struct StepProgress {
    bar: ProgressBar,
    lines: Option<Lines>,
    what: String,
}

impl StepProgress {
    /// Progress over `steps` steps of `what`.
    pub fn new(what: impl Into<String>, steps: u64) -> Self {
        let what = what.into();
        let (bar, lines) = start(steps, COUNT_BAR);
        bar.set_prefix(what.clone());
        Self { bar, lines, what }
    }

    /// One more step is done.
    pub fn step(&self) {
        self.bar.inc(1);
        if let Some(lines) = &self.lines {
            lines.maybe(|| {
                let all = self.bar.length().unwrap_or_default();
                format!("{}: {} of {all}", self.what, self.bar.position())
            });
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Rate and remaining time, as far as they are known.
fn rate(throughput: &Throughput) -> String {
    let mut parts = Vec::new();
    if let Some(documents) = throughput.documents_per_s {
        parts.push(format!("{documents:.1} documents/s"));
    }
    if let Some(chunks) = throughput.chunks_per_s {
        parts.push(format!("{chunks:.1} chunks/s"));
    }
    if let Some(seconds) = throughput.eta_s {
        parts.push(format!("{} left", duration(Duration::from_secs(seconds))));
    }
    parts.join(", ")
}

/// A bar where there is a terminal; else a hidden bar and lines.
fn start(length: u64, template: &str) -> (ProgressBar, Option<Lines>) {
    if !io::stderr().is_terminal() {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        return (bar, Some(Lines::new()));
    }
    let style = ProgressStyle::with_template(template)
        .expect("invariant: the template is valid")
        .progress_chars("━╸ ");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.set_style(style);
    (bar, None)
}

/// Writes at most one line every few seconds.
struct Lines {
    last: Mutex<Instant>,
}

impl Lines {
    fn new() -> Self {
        Self { last: Mutex::new(Instant::now()) }
    }

    fn maybe(&self, line: impl FnOnce() -> String) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            // Progress that nobody reads is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", line());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_rates_are_shown() {
        assert_eq!(rate(&Throughput::default()), "");
        let known = Throughput {
            documents_per_s: Some(12.34),
            chunks_per_s: None,
            chunks_waiting: 7,
            eta_s: Some(75),
        };
        assert_eq!(rate(&known), "12.3 documents/s, 1 min 15 s left");
    }

    #[test]
    fn the_bar_templates_are_valid() {
        for template in [UPLOAD_BAR, COUNT_BAR] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
