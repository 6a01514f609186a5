//! Which tenants have work, kind by kind, each tenant in its turn.
//!
//! Called by: `app` (after a commit that queued work), `worker`. Talks to: nothing.
//! Invariants: a tenant woken after its commit is visited; one with much work goes to the back of
//! the line after every unit, so no tenant starves another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::tenant::JobKind;
use crate::types::TenantId;

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
    line: Mutex<VecDeque<TenantId>>,
    wake: Notify,
}

/// A tenant taken out of a line for one unit of work.
#[derive(Debug)]
pub struct ScheduledTenant {
    pub tenant: TenantId,
}

impl Schedule {
    /// Tells watchers that a tenant was made.
    pub fn arrive(&self, tenant: TenantId) {
        // Nobody watching is no error: a command without workers has none.
        let _ = self.tenants.send(TenantChange::Arrived(tenant));
    }

    /// Tells watchers that a tenant was removed.
    pub fn depart(&self, tenant: TenantId) {
        let _ = self.tenants.send(TenantChange::Departed(tenant));
    }

    /// Tenants that come and go from now on.
    pub fn tenant_changes(&self) -> broadcast::Receiver<TenantChange> {
        self.tenants.subscribe()
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
        let mut line = lane.line.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.contains(&tenant) {
            line.push_back(tenant);
        }
        drop(line);
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
                let mut line = lane.line.lock().unwrap_or_else(PoisonError::into_inner);
                let taken = line.pop_front();
                if !line.is_empty() {
                    // Another worker of the lane may serve the next tenant.
                    lane.wake.notify_one();
                }
                taken
            };
            if let Some(tenant) = taken {
                return ScheduledTenant { tenant };
            }
            lane.wake.notified().await;
        }
    }

    fn lane(&self, kind: JobKind) -> &Lane {
        let at = JobKind::ALL.iter().position(|other| *other == kind).unwrap_or(0);
        &self.lanes[at]
    }
}
