//! Whose turn it is: weighted fair sharing of one lane among the tenants that have work in it.
//!
//! Called by: `app::schedule`. Talks to: nothing; pure.
//! Invariants: the tenant with the least service per share goes next, and among equals the one
//! that has waited longest; one that was idle starts level with the others, so waiting earns no
//! credit; there are at most as many accounts as tenants.
//! Why: virtual time (start-time fair queueing, Goyal, Vin and Cheng 1997). Units differ in cost
//! and their cost is known only when they end, so each is charged like the tenant's last one when
//! it starts and set right when it ends; counting turns instead would favour long units.

use std::collections::HashMap;
use std::time::Duration;

use crate::types::TenantId;

/// Virtual time is nanoseconds of service, times this, over the share.
const SCALE: u128 = 1 << 20;

/// The least a unit costs, so that units too short to be measured are still taken in turns.
const LEAST_COST: Duration = Duration::from_micros(1);

/// The tenants of one lane.
#[derive(Default)]
pub(super) struct Line {
    accounts: HashMap<TenantId, Account>,
    /// Where the unit that was handed out last started, in virtual time.
    now: u128,
    arrivals: u64,
    running: usize,
    /// Workers of the lane, where one of them is kept for tenants that have none.
    kept_of: Option<usize>,
}

#[derive(Default)]
struct Account {
    /// Service received, per share; units that run are charged in advance.
    service: u128,
    /// Number of its arrival; none while it does not wait.
    waiting: Option<u64>,
    running: usize,
    /// Cost of its last unit, per share.
    last: u128,
}

/// A tenant's turn for one unit of work.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) tenant: TenantId,
    charged: u128,
}

impl Line {
    /// Keeps one of the lane's workers for tenants that have none, so that units of any length
    /// leave room for others.
    pub(super) fn keep_one_of(&mut self, workers: usize) {
        self.kept_of = (workers > 1).then_some(workers);
    }

    /// Notes that a tenant has work.
    pub(super) fn arrive(&mut self, tenant: TenantId) {
        let (now, arrival) = (self.now, self.arrivals);
        let account = self.accounts.entry(tenant).or_default();
        if account.waiting.is_none() {
            if account.running == 0 {
                account.service = account.service.max(now);
            }
            account.waiting = Some(arrival);
            self.arrivals += 1;
        }
    }

    /// The next turn, if a tenant waits that may have one.
    pub(super) fn take(&mut self) -> Option<Turn> {
        let last_one = self.kept_of.is_some_and(|workers| self.running + 1 >= workers);
        let (_, tenant) = self
            .accounts
            .iter()
            .filter(|(_, account)| account.running == 0 || !last_one)
            .filter_map(|(tenant, account)| Some(((account.service, account.waiting?), *tenant)))
            .min_by_key(|(turn, _)| *turn)?;
        let account = self.accounts.get_mut(&tenant)?;
        self.now = self.now.max(account.service);
        account.waiting = None;
        account.running += 1;
        self.running += 1;
        let charged = account.last;
        account.service += charged;
        self.forget_idle();
        Some(Turn { tenant, charged })
    }

    /// Ends a turn: charges what it cost, and queues the tenant again if it has `more` work.
    pub(super) fn finish(&mut self, turn: &Turn, cost: Duration, share: u64, more: bool) {
        self.running = self.running.saturating_sub(1);
        let Some(account) = self.accounts.get_mut(&turn.tenant) else { return };
        let cost = cost.max(LEAST_COST).as_nanos() * SCALE / u128::from(share.max(1));
        account.service = account.service.saturating_sub(turn.charged) + cost;
        account.last = cost;
        account.running = account.running.saturating_sub(1);
        if more && account.waiting.is_none() {
            account.waiting = Some(self.arrivals);
            self.arrivals += 1;
        }
        if self.running == 0 && !self.is_waited_in() {
            // Nobody is behind: whoever comes next starts where the last one ended.
            self.now = self.accounts.values().map(|account| account.service).max().unwrap_or(0);
            self.forget_idle();
        }
    }

    /// Forgets a tenant that is gone.
    pub(super) fn forget(&mut self, tenant: TenantId) {
        self.accounts.remove(&tenant);
    }

    /// True while somebody waits.
    pub(super) fn is_waited_in(&self) -> bool {
        self.accounts.values().any(|account| account.waiting.is_some())
    }

    /// True while a tenant other than this one waits.
    pub(super) fn others_wait(&self, tenant: TenantId) -> bool {
        self.accounts.iter().any(|(other, account)| *other != tenant && account.waiting.is_some())
    }

    /// An idle account that is not ahead of the line says nothing any more.
    fn forget_idle(&mut self) {
        let now = self.now;
        self.accounts.retain(|_, account| {
            account.waiting.is_some() || account.running > 0 || account.service > now
        });
    }
}

#[cfg(test)]
mod tests;
