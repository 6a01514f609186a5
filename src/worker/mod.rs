//! The background of an appliance: lanes of work that visit tenants in turn.
//!
//! Called by: `appliance`. Talks to: `app`.
//! Invariants: one lane per kind of job, several workers where the kind allows it; a unit that
//! panics or fails is logged and the lane goes on; on shutdown a unit in progress is finished or,
//! if that takes too long, abandoned to its lease.

mod maintenance;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::index::{JobKind, LEASE, Progress, run_unit};
use crate::app::{App, Error, tenants};
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
                JobKind::Extract => app.extraction.concurrency(),
                // One reads and stores while the other keeps the model busy.
                JobKind::Embed => 2,
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
        prepare(&app, tenant).await;
    }
}

async fn prepare(app: &Arc<App>, tenant: TenantId) {
    let prepared = async {
        let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
        crate::app::maintain::prepare(app, &handle).await
    };
    if let Err(error) = prepared.await {
        tracing::error!(tenant = %tenant, "a tenant cannot be put in order: {}", chain(&error));
        app.schedule.wake(tenant);
    }
}

async fn lane(app: Arc<App>, kind: JobKind, mut stopped: watch::Receiver<bool>) {
    loop {
        let scheduled = tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => return,
            scheduled = app.schedule.next(kind) => scheduled,
        };
        let tenant = scheduled.tenant;
        let unit = tokio::spawn(visit(app.clone(), tenant, kind));
        match unit.await {
            Ok(Ok(Progress::Busy)) => app.schedule.wake_for(kind, tenant),
            Ok(Ok(Progress::Idle)) => {}
            // Removed while it stood in the line.
            Ok(Err(Error::NotFound)) => {}
            Ok(Err(error)) => {
                tracing::error!(
                    tenant = %tenant, kind = kind.as_str(), code = error.code().as_str(),
                    "a tenant cannot be worked on: {}", chain(&error)
                );
                come_back(&app, kind, tenant);
            }
            Err(panicked) => {
                tracing::error!(tenant = %tenant, kind = kind.as_str(), "a unit of work died: {panicked}");
                come_back(&app, kind, tenant);
            }
        }
    }
}

/// Visits a tenant again after a failure: soon, and once more when the leases of what was being
/// worked on have run out.
fn come_back(app: &App, kind: JobKind, tenant: TenantId) {
    app.schedule.wake_later(kind, tenant, AFTER_FAILURE);
    app.schedule.wake_later(kind, tenant, LEASE.unsigned_abs() + AFTER_FAILURE);
}

async fn visit(app: Arc<App>, tenant: TenantId, kind: JobKind) -> Result<Progress, Error> {
    match app.open_for_work(tenant, SystemActor::Worker).await {
        Ok(handle) => run_unit(&app, &handle, kind).await,
        Err(error) => Err(error),
    }
}

/// Resolves once the workers are asked to stop, or nobody is left to ask.
async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}
