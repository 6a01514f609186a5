//! Which worker reads which file.
//!
//! Called by: `app`. Talks to: `extraction::child`.
//! Invariants: at most `children` processes exist; a worker is only ever given files of the
//! tenant it was started for; an idle worker of another tenant makes room for a new one, the one
//! idle for longest first.
//!
//! Why a crash is retried once in a fresh process, and only if the crashed one had read other
//! files: an earlier file may have damaged it or used up its memory. A file that crashes a fresh
//! process will crash the next one too.

use std::io::{self, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncSeekExt;
use tokio::sync::Semaphore;

use super::child::{Turn, WorkerProcess};
use super::{ChildSink, Confinement, Extraction, ExtractionConfig, ExtractionError, FileSource};
use crate::extract::protocol::{Opening, patience};
use crate::extract::{ExtractLimits, ExtractRequest};
use crate::types::{ExtractFailureCode, TenantId};

/// Child processes that read files.
pub struct ExtractionPool {
    config: ExtractionConfig,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Longest idle first.
    idle: Vec<(TenantId, WorkerProcess)>,
    busy: usize,
    confinement: Option<Confinement>,
}

impl ExtractionPool {
    /// A pool without processes; they are started as files come.
    pub fn new(config: ExtractionConfig) -> Self {
        let config = ExtractionConfig { children: config.children.max(1), ..config };
        let permits = Semaphore::new(config.children);
        Self { config, permits, state: Mutex::default() }
    }

    /// Files that can be read at the same time.
    pub fn concurrency(&self) -> usize {
        self.config.children
    }

    /// Reads one file of `tenant` in a child process, waiting until one is free. Files found
    /// inside go to `children` while the file is still being read. Limits are the stricter ones of
    /// `request` and of the pool.
    ///
    /// Cancel safe: dropping the future kills the process.
    ///
    /// # Errors
    /// The outer error is a fault on our side, after which the file may be tried again; the inner
    /// one is the file's own.
    pub async fn extract(
        &self,
        tenant: TenantId,
        mut request: ExtractRequest,
        source: &mut dyn FileSource,
        children: &mut dyn ChildSink,
    ) -> Result<Extraction, ExtractionError> {
        request.limits = stricter(&request.limits, &self.config.limits);
        let _permit = self.permits.acquire().await.map_err(|_| ExtractionError::Closed)?;
        let seat = Seat::take(&self.state);
        let unreadable =
            |name: &str, source| ExtractionError::Source { name: name.to_owned(), source };
        let length = length(source).await.map_err(|error| unreadable(&request.name, error))?;
        let config = ExtractionConfig {
            time_limit: self.config.time_limit.saturating_mul(patience(length)),
            ..self.config.clone()
        };
        let opening = Opening { request, length };
        let mut worker = self.worker(tenant).await?;
        let mut retried = false;
        loop {
            let used_before = worker.served() > 0;
            let turn = Box::pin(worker.read_file(&config, &opening, source, children)).await?;
            match turn {
                Turn::Answered { extraction, reusable } => {
                    if reusable && worker.served() < self.config.documents_per_child {
                        seat.leave(tenant, worker);
                    }
                    return Ok(*extraction);
                }
                Turn::Lost { loss, delivered } => {
                    let mut failure = worker.explain(&loss, &config).await;
                    let crashed = matches!(
                        failure.code,
                        ExtractFailureCode::WorkerCrashed | ExtractFailureCode::OutOfMemory
                    );
                    if crashed && used_before && !delivered {
                        let rewound = source.rewind().await;
                        rewound.map_err(|error| unreadable(&opening.request.name, error))?;
                        retried = true;
                        worker = self.spawn().await?;
                        continue;
                    }
                    if retried {
                        failure.message.push_str(", a second time in a fresh process");
                    } else if crashed && used_before {
                        failure.message.push_str("; it had read other files before");
                    }
                    return Ok(Err(failure));
                }
            }
        }
    }

    /// Which layers confined the newest worker; none before the first one.
    pub fn confinement(&self) -> Option<Confinement> {
        self.state().confinement
    }

    /// Ends the idle workers of a tenant, as when it is locked or deleted.
    pub fn forget(&self, tenant: TenantId) {
        self.state().idle.retain(|(owner, _)| *owner != tenant);
    }

    /// An idle worker of the tenant, or a new one.
    async fn worker(&self, tenant: TenantId) -> Result<WorkerProcess, ExtractionError> {
        while let Some(mut worker) = self.take_idle(tenant) {
            if worker.is_alive() {
                return Ok(worker);
            }
        }
        self.make_room();
        self.spawn().await
    }

    async fn spawn(&self) -> Result<WorkerProcess, ExtractionError> {
        let worker = WorkerProcess::spawn(&self.config).await?;
        self.state().confinement = Some(worker.confinement());
        Ok(worker)
    }

    fn take_idle(&self, tenant: TenantId) -> Option<WorkerProcess> {
        let mut state = self.state();
        let newest = state.idle.iter().rposition(|(owner, _)| *owner == tenant)?;
        Some(state.idle.remove(newest).1)
    }

    /// Ends idle workers until one more fits beside the busy ones, of which the caller is one.
    fn make_room(&self) {
        let mut state = self.state();
        let surplus = (state.idle.len() + state.busy).saturating_sub(self.config.children);
        let surplus = surplus.min(state.idle.len());
        state.idle.drain(..surplus);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the busy; given up when dropped.
struct Seat<'p> {
    state: &'p Mutex<State>,
}

impl<'p> Seat<'p> {
    fn take(state: &'p Mutex<State>) -> Self {
        state.lock().unwrap_or_else(PoisonError::into_inner).busy += 1;
        Self { state }
    }

    /// Gives the place up and leaves the worker for later, in one step.
    fn leave(self, tenant: TenantId, worker: WorkerProcess) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.push((tenant, worker));
        state.busy -= 1;
        drop(state);
        std::mem::forget(self);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).busy -= 1;
    }
}

/// How long a file is; it stands at its start afterwards.
async fn length(source: &mut dyn FileSource) -> io::Result<u64> {
    let length = source.seek(SeekFrom::End(0)).await?;
    source.rewind().await?;
    Ok(length)
}

fn stricter(a: &ExtractLimits, b: &ExtractLimits) -> ExtractLimits {
    ExtractLimits {
        max_text_bytes: a.max_text_bytes.min(b.max_text_bytes),
        max_parse_bytes: a.max_parse_bytes.min(b.max_parse_bytes),
        max_children: a.max_children.min(b.max_children),
        max_child_bytes: a.max_child_bytes.min(b.max_child_bytes),
        max_total_bytes: a.max_total_bytes.min(b.max_total_bytes),
    }
}
