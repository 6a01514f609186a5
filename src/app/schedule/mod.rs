//! Which tenants have work, kind by kind, each tenant by its share.
//!
//! Called by: `app` (after a commit that queued work), `worker`. Talks to: nothing.
//! Invariants: a tenant woken after its commit is visited; every unit is charged to its tenant when
//! it ends, so no tenant starves another, whatever it holds.

mod line;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::tenant::JobKind;
use crate::types::TenantId;

use line::{Line, Turn};

/// How long a unit goes on while others wait. Checked between steps of a unit, so it may take one
/// step longer.
pub const UNIT_TIME: Duration = Duration::from_secs(2);

/// The lines in front of the workers.
#[derive(Clone)]
pub struct Schedule {
    lanes: Arc<[Lane; JobKind::ALL.len()]>,
    tenants: broadcast::Sender<TenantChange>,
}

/// A tenant came or went while the appliance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantChange {
    Arrived(TenantId),
    Departed(TenantId),
}

impl Default for Schedule {
    fn default() -> Self {
        Self { lanes: Arc::default(), tenants: broadcast::Sender::new(1024) }
    }
}

#[derive(Default)]
struct Lane {
    line: Mutex<Line>,
    wake: Notify,
}

impl Lane {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tenant taken out of a line for one unit of work, to be given back with what it cost.
#[derive(Debug)]
pub struct ScheduledTenant {
    pub tenant: TenantId,
    kind: JobKind,
    turn: Turn,
}

impl Schedule {
    /// Tells watchers that a tenant was made.
    pub fn arrive(&self, tenant: TenantId) {
        // Nobody watching is no error: a command without workers has none.
        let _ = self.tenants.send(TenantChange::Arrived(tenant));
    }

    /// Tells watchers that a tenant was removed.
    pub fn depart(&self, tenant: TenantId) {
        for kind in JobKind::ALL {
            self.lane(kind).line().forget(tenant);
        }
        let _ = self.tenants.send(TenantChange::Departed(tenant));
    }

    /// Tenants that come and go from now on.
    pub fn tenant_changes(&self) -> broadcast::Receiver<TenantChange> {
        self.tenants.subscribe()
    }

    /// Keeps one of the `workers` of a lane for tenants that have none of them.
    pub fn keep_one_of(&self, kind: JobKind, workers: usize) {
        self.lane(kind).line().keep_one_of(workers);
    }

    /// Puts a tenant in every line.
    pub fn wake(&self, tenant: TenantId) {
        for kind in JobKind::ALL {
            self.wake_for(kind, tenant);
        }
    }

    /// Puts a tenant in the line for one kind of work.
    pub fn wake_for(&self, kind: JobKind, tenant: TenantId) {
        let lane = self.lane(kind);
        lane.line().arrive(tenant);
        lane.wake.notify_one();
    }

    /// Puts a tenant in the line for one kind of work after `delay`, for work that was put off.
    pub fn wake_later(&self, kind: JobKind, tenant: TenantId, delay: Duration) {
        let schedule = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            schedule.wake_for(kind, tenant);
        });
    }

    /// Takes the tenant whose turn it is, waiting for one if the line is empty.
    pub async fn next(&self, kind: JobKind) -> ScheduledTenant {
        let lane = self.lane(kind);
        loop {
            let taken = {
                let mut line = lane.line();
                let taken = line.take();
                if taken.is_some() && line.is_waited_in() {
                    // Another worker of the lane may serve the next tenant.
                    lane.wake.notify_one();
                }
                taken
            };
            if let Some(turn) = taken {
                return ScheduledTenant { tenant: turn.tenant, kind, turn };
            }
            lane.wake.notified().await;
        }
    }

    /// Ends a unit of work: charges its cost to the tenant's `share`, and puts the tenant back in
    /// the line if it has `more`.
    pub fn finish(&self, scheduled: &ScheduledTenant, cost: Duration, share: u64, more: bool) {
        let lane = self.lane(scheduled.kind);
        lane.line().finish(&scheduled.turn, cost, share, more);
        lane.wake.notify_one();
    }

    /// True where a unit that began at `since` should end so that others get their turn.
    pub fn should_yield(&self, kind: JobKind, tenant: TenantId, since: std::time::Instant) -> bool {
        since.elapsed() >= UNIT_TIME && self.lane(kind).line().others_wait(tenant)
    }

    fn lane(&self, kind: JobKind) -> &Lane {
        let at = JobKind::ALL.iter().position(|other| *other == kind).unwrap_or(0);
        &self.lanes[at]
    }
}
