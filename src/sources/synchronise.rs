//! When sources run: by their interval, when somebody asks, and when a directory changes.
//!
//! Called by: `appliance`. Talks to: `app`, `sources::run`.
//! Invariants: one run per tenant at a time, tenants beside each other; a tenant is opened only to
//! read when its sources are due and to run them; sources of a tenant that is locked or suspended
//! wait.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::directory::Growing;
use super::run::run;
use super::watching::{CALM, Watching};
use crate::app::sources::{SourceRow, SourceSettings};
use crate::app::{App, Error, TenantChange, stop_asked, tenants};
use crate::auth::SystemActor;
use crate::error::chain;
use crate::types::{SourceId, TenantId};

/// Longest sleep between two looks at what is due.
const LOOK: Duration = Duration::from_secs(5);

/// Pause before a tenant that could not be opened is looked at again.
const AFTER_FAILURE: Duration = Duration::from_secs(15);

/// Runs the synchronised sources of all tenants.
pub struct Synchroniser {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Synchroniser {
    /// Starts.
    pub fn start(app: Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(go(app, stopped));
        Self { stop, task }
    }

    /// Stops after the thing that each run is taking in.
    pub async fn stop(self) {
        // One that ended already is no error.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!("the runs of sources died: {error}");
        }
    }
}

/// What is known of a tenant.
#[derive(Default)]
struct Tenant {
    /// When its next source is due; `None` where none is.
    due: Option<Timestamp>,
    running: bool,
    /// Something changed, also while a run went on.
    stale: bool,
}

/// What a visit to a tenant found out.
struct Visit {
    tenant: TenantId,
    due: Result<Option<Timestamp>, Error>,
}

/// What outlives a run.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// Files still being written, by source.
    growing: Arc<std::sync::Mutex<HashMap<SourceId, Growing>>>,
}

impl Kept {
    fn growing(&self, source: SourceId) -> Growing {
        let mut all = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.entry(source).or_default().clone()
    }
}

async fn go(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut changes = app.sources.changes();
    let mut arrivals = app.schedule.tenant_changes();
    let mut known: HashMap<TenantId, Tenant> = HashMap::new();
    let mut visits: JoinSet<Visit> = JoinSet::new();
    let (kept, watching) = (Kept::default(), Watching::new());
    let mut listed = false;
    loop {
        if !listed {
            listed = list(&app, &mut known).await;
        }
        let now = app.clock.now();
        for (id, tenant) in &mut known {
            if !tenant.running && (tenant.stale || tenant.due.is_some_and(|due| due <= now)) {
                (tenant.running, tenant.stale) = (true, false);
                visits.spawn(visit(
                    app.clone(),
                    *id,
                    kept.clone(),
                    watching.clone(),
                    stopped.clone(),
                ));
            }
        }
        let pause = pause(&known, now);
        tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => break,
            Some(visited) = visits.join_next() => settle(&app, &mut known, visited),
            changed = changes.recv() => match changed {
                Ok(tenant) => known.entry(tenant).or_default().stale = true,
                Err(_) => known.values_mut().for_each(|tenant| tenant.stale = true),
            },
            change = arrivals.recv() => match change {
                Ok(TenantChange::Departed(tenant)) => {
                    known.remove(&tenant);
                    watching.keep(tenant, &HashSet::new());
                }
                _ => listed = false,
            },
            tenant = watching.touched() => {
                if let Some(tenant) = known.get_mut(&tenant) {
                    tenant.stale = true;
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    while visits.join_next().await.is_some() {}
}

/// Notes tenants that are new; false where the list cannot be read.
async fn list(app: &Arc<App>, known: &mut HashMap<TenantId, Tenant>) -> bool {
    match tenants::all(app).await {
        Ok(tenants) => {
            for id in tenants {
                known.entry(id).or_insert(Tenant { stale: true, ..Tenant::default() });
            }
            true
        }
        Err(error) => {
            tracing::warn!("tenants cannot be listed: {}", chain(&error));
            false
        }
    }
}

fn pause(known: &HashMap<TenantId, Tenant>, now: Timestamp) -> Duration {
    known
        .values()
        .filter(|tenant| !tenant.running)
        .filter_map(|tenant| tenant.due)
        .map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO))
        .min()
        .map_or(LOOK, |soonest| soonest.clamp(Duration::from_millis(50), LOOK))
}

fn settle(
    app: &Arc<App>,
    known: &mut HashMap<TenantId, Tenant>,
    visited: Result<Visit, tokio::task::JoinError>,
) {
    let Ok(Visit { tenant: id, due }) = visited else {
        tracing::error!("a run of a source died");
        // Which one cannot be told: all are looked at again.
        for tenant in known.values_mut() {
            (tenant.running, tenant.stale) = (false, true);
        }
        return;
    };
    let Some(tenant) = known.get_mut(&id) else { return };
    tenant.running = false;
    match due {
        Ok(due) => tenant.due = due,
        Err(Error::NotFound) => drop(known.remove(&id)),
        Err(error) => {
            if !error.is_for_the_tenant() {
                tracing::warn!(tenant = %id, "sources cannot be read: {}", chain(&error));
            }
            let later = jiff::SignedDuration::try_from(AFTER_FAILURE).unwrap_or_default();
            tenant.due = app.clock.now().checked_add(later).ok();
        }
    }
}

/// Runs what is due of a tenant and reads when the next is.
async fn visit(
    app: Arc<App>,
    tenant: TenantId,
    kept: Kept,
    watching: Watching,
    stopped: watch::Receiver<bool>,
) -> Visit {
    let due = run_due(&app, tenant, &kept, &watching, &stopped).await;
    app.close_if_idle(tenant).await;
    Visit { tenant, due }
}

async fn run_due(
    app: &Arc<App>,
    tenant: TenantId,
    kept: &Kept,
    watching: &Watching,
    stopped: &watch::Receiver<bool>,
) -> Result<Option<Timestamp>, Error> {
    app.standing(tenant).await?.must_be_active()?;
    let handle = app.open_for_work(tenant, SystemActor::Source).await?;
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method by its name is for one lifetime of the snapshot only"
    )]
    let sources = handle.read(|catalog| catalog.sources()).await?;
    watching.keep(tenant, &sources.iter().map(|source| source.id).collect());
    for source in sources {
        if *stopped.borrow() {
            break;
        }
        let now = app.clock.now();
        let touched = !source.paused && watching.is_touched(source.id);
        if touched {
            // Where reading takes long, changes are gathered for as long.
            tokio::time::sleep(calm(&source)).await;
        }
        watching.take_touched(source.id);
        if touched || source.due_at().is_some_and(|due| due <= now) {
            let place = place(&source);
            let (id, growing) = (source.id, kept.growing(source.id));
            run(app, &handle, source, growing, stopped).await?;
            if let Some(place) = place {
                watching.watch(app, tenant, id, place).await;
            }
        }
    }
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method by its name is for one lifetime of the snapshot only"
    )]
    let due = handle.read(|catalog| catalog.next_source_run()).await?;
    Ok(due)
}

/// How long changes of a directory are gathered before it is read.
fn calm(source: &SourceRow) -> Duration {
    let took = source.last_run.as_ref().map(|run| run.ended_at.duration_since(run.started_at));
    let took = took.and_then(|took| Duration::try_from(took).ok()).unwrap_or_default();
    took.clamp(CALM, Duration::from_secs(source.interval_seconds).max(CALM))
}

/// The directory of a source that is one.
fn place(source: &SourceRow) -> Option<std::path::PathBuf> {
    match SourceSettings::read(&source.settings) {
        Ok(SourceSettings::Directory(settings)) => Some(settings.path),
        _ => None,
    }
}
