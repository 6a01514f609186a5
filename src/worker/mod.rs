//! The background of an appliance: lanes of work that visit tenants, each by its share.
//!
//! Called by: `appliance`. Talks to: `app`.
//! Invariants: one lane per kind of job, several workers where the kind allows it; every unit is
//! charged to its tenant; a unit that panics or fails is logged and the lane goes on; the jobs of a
//! tenant that is suspended or locked wait; on shutdown a unit in progress is finished or, if that
//! takes too long, abandoned to its lease.

mod maintenance;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::index::{JobKind, LEASE, Progress, run_unit};
use crate::app::{App, Error, maintain, stop_asked, tenants};
use crate::auth::SystemActor;
use crate::error::chain;
use crate::types::TenantId;

/// Pause before a tenant whose catalogue failed is visited again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long shutdown waits for units in progress.
const GRACE: Duration = Duration::from_secs(20);

/// All lanes of one appliance.
pub struct Workers {
    stop: watch::Sender<bool>,
    lanes: JoinSet<()>,
}

impl Workers {
    /// Starts every lane, and puts every tenant in order behind them.
    pub fn start(app: &Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut lanes = JoinSet::new();
        for kind in JobKind::ALL {
            let workers = match kind {
                // A file that holds others is read for as long as they come, in one unit: no tenant
                // may hold all workers.
                JobKind::Extract => {
                    app.schedule.keep_one_of(kind, app.extraction.concurrency());
                    app.extraction.concurrency()
                }
                // One reads and stores while the other keeps the model busy.
                JobKind::Embed => 2,
                JobKind::Ocr => app.ocr.concurrency(),
                JobKind::Fulltext | JobKind::Purge => 1,
            };
            for _ in 0..workers {
                lanes.spawn(lane(app.clone(), kind, stopped.clone()));
            }
        }
        lanes.spawn(prepare_all(app.clone(), stopped.clone()));
        lanes.spawn(maintenance::run(app.clone(), stopped));
        Self { stop, lanes }
    }

    /// Stops the lanes, letting units in progress finish within a bounded time.
    pub async fn stop(mut self) {
        // Lanes that ended already are no error.
        let _ = self.stop.send(true);
        let finish = async { while self.lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, finish).await.is_err() {
            tracing::warn!("a unit of work was abandoned; its lease lets it run again");
            self.lanes.abort_all();
        }
    }
}

/// Wakes every tenant that may have work left from before. It runs beside the lanes, so that a
/// server with many tenants is ready at once.
async fn prepare_all(app: Arc<App>, stopped: watch::Receiver<bool>) {
    let tenants = match tenants::all(&app).await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::error!("tenants cannot be listed at the start: {}", chain(&error));
            return;
        }
    };
    for tenant in tenants {
        if *stopped.borrow() {
            return;
        }
        maintain::put_in_order(&app, tenant).await;
    }
}

async fn lane(app: Arc<App>, kind: JobKind, mut stopped: watch::Receiver<bool>) {
    loop {
        let scheduled = tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => return,
            scheduled = app.schedule.next(kind) => scheduled,
        };
        let (tenant, began) = (scheduled.tenant, Instant::now());
        let unit = tokio::spawn(visit(app.clone(), tenant, kind)).await;
        let (share, more) = match unit {
            Ok(Ok(visited)) => (visited.share, visited.progress == Progress::Busy),
            // Removed or locked while it stood in the line.
            Ok(Err(error)) if matches!(error, Error::NotFound) || error.is_for_the_tenant() => {
                (1, false)
            }
            Ok(Err(error)) => {
                tracing::error!(
                    tenant = %tenant, kind = kind.as_str(), code = error.code().as_str(),
                    "a tenant cannot be worked on: {}", chain(&error)
                );
                come_back(&app, kind, tenant);
                (1, false)
            }
            Err(panicked) => {
                tracing::error!(tenant = %tenant, kind = kind.as_str(), "a unit of work died: {}", chain(&panicked));
                come_back(&app, kind, tenant);
                (1, false)
            }
        };
        app.schedule.finish(&scheduled, began.elapsed(), share, more);
    }
}

/// Visits a tenant again after a failure: soon, and once more when the leases of what was being
/// worked on have run out.
fn come_back(app: &App, kind: JobKind, tenant: TenantId) {
    app.schedule.wake_later(kind, tenant, AFTER_FAILURE);
    app.schedule.wake_later(kind, tenant, LEASE.unsigned_abs() + AFTER_FAILURE);
}

/// What a visit did, and the share its tenant pays by.
struct Visited {
    progress: Progress,
    share: u64,
}

async fn visit(app: Arc<App>, tenant: TenantId, kind: JobKind) -> Result<Visited, Error> {
    let standing = app.standing(tenant).await?;
    let share = standing.limits().ingest_share;
    if !standing.is_active() {
        // Its jobs wait; it is woken when it is served again.
        return Ok(Visited { progress: Progress::Idle, share });
    }
    let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
    let progress = run_unit(&app, &handle, kind).await?;
    Ok(Visited { progress, share })
}
