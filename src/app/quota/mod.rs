//! What each tenant may use, and what it uses: asked before anything is done for it.
//!
//! Called by: `app`, `worker`, `sources`, `http`. Talks to: `system`, catalogue.
//! Invariants: a caller without a right to the tenant never gets this far, so a limit tells
//! strangers nothing; one record per tenant and process, bounded by the number of tenants; the
//! catalogue is counted only where a number is missing, old, or would refuse somebody.

mod counter;
mod exceeded;
mod patience;
mod rate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{App, Error, blocking};
use crate::auth::{Actor, AuthError, CanRead};
use crate::system::{System, TenantRecord};
use crate::tenant::{Amounts, TenantHandle};
use crate::types::{Feature, Limits, TenantId, TenantState, Tier};

pub use counter::Hold;
pub use exceeded::Exceeded;
pub use patience::Patience;
pub use rate::QueryPlace;

use counter::Counter;
use rate::{QUERY_PATIENCE, QueryPlaces, RequestRate};

/// What the appliance has decided about a tenant.
#[derive(Clone, Debug)]
pub struct Policy {
    pub name: String,
    pub tier: Tier,
    pub state: TenantState,
    /// True while its keys may not be used, whatever else it is.
    pub locked: bool,
    pub limits: Limits,
}

impl From<&TenantRecord> for Policy {
    fn from(record: &TenantRecord) -> Self {
        Self {
            name: record.name.clone(),
            tier: record.tier,
            state: record.state,
            locked: record.locked,
            limits: record.tier.limits().with(&record.limits),
        }
    }
}

/// Limits and use of all tenants that were seen since the start.
pub struct Quotas {
    system: Arc<System>,
    standings: Mutex<HashMap<TenantId, Arc<Standing>>>,
}

impl Quotas {
    /// The limits recorded in `system`.
    pub fn new(system: Arc<System>) -> Self {
        Self { system, standings: Mutex::default() }
    }

    /// How a tenant stands. Blocks on first use.
    ///
    /// # Errors
    /// `NotFound`, or when the appliance database cannot be read.
    pub fn standing(&self, tenant: TenantId) -> Result<Arc<Standing>, Error> {
        if let Some(known) = self.known(tenant) {
            return Ok(known);
        }
        let record = self.system.find_tenant(&tenant.to_string())?.ok_or(Error::NotFound)?;
        let mut standings = self.standings();
        // Somebody may have been faster; there must be one counter.
        let standing = standings
            .entry(tenant)
            .or_insert_with(|| Arc::new(Standing::new(Policy::from(&record))));
        Ok(standing.clone())
    }

    /// Takes over a change of a tenant's name, tier, limits or state.
    pub fn change(&self, record: &TenantRecord) {
        let policy = Policy::from(record);
        // Also where it is not known yet: somebody may be about to note what was read before.
        let mut standings = self.standings();
        match standings.get(&record.id) {
            Some(standing) => *standing.policy_mut() = policy,
            None => drop(standings.insert(record.id, Arc::new(Standing::new(policy)))),
        }
    }

    /// Notes that documents or their bytes were removed, so that room shows at once.
    pub fn note_removal(&self, tenant: TenantId) {
        if let Some(standing) = self.known(tenant) {
            standing.counter.note_removal();
        }
    }

    /// Forgets a tenant that is gone.
    pub fn forget(&self, tenant: TenantId) {
        self.standings().remove(&tenant);
    }

    /// Warnings about tenants that `wanted` selects, as sentences, by name.
    pub fn warnings(&self, wanted: impl Fn(TenantId) -> bool) -> Vec<String> {
        let standings: Vec<(TenantId, Arc<Standing>)> =
            self.standings().iter().map(|(id, standing)| (*id, standing.clone())).collect();
        let mut sentences: Vec<String> = standings
            .into_iter()
            .filter(|(id, _)| wanted(*id))
            .flat_map(|(_, standing)| {
                let policy = standing.policy();
                let warnings = standing.used().map(|used| warnings(used, &policy.limits));
                warnings
                    .unwrap_or_default()
                    .into_iter()
                    .map(move |warning| format!("Tenant {}: {}", policy.name, warning.sentence()))
            })
            .collect();
        sentences.sort_unstable();
        sentences
    }

    fn known(&self, tenant: TenantId) -> Option<Arc<Standing>> {
        self.standings().get(&tenant).cloned()
    }

    fn standings(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Standing>>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one tenant stands.
pub struct Standing {
    policy: Mutex<Policy>,
    counter: Arc<Counter>,
    requests: Mutex<RequestRate>,
    queries: Mutex<QueryPlaces>,
}

impl Standing {
    fn new(policy: Policy) -> Self {
        Self {
            requests: Mutex::new(RequestRate::new(policy.limits.requests_per_second)),
            queries: Mutex::new(QueryPlaces::new(policy.limits.concurrent_queries)),
            policy: Mutex::new(policy),
            counter: Arc::default(),
        }
    }

    /// What was decided about the tenant.
    pub fn policy(&self) -> Policy {
        self.policy_mut().clone()
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.policy_mut().limits
    }

    /// True while background work is done for the tenant.
    pub fn is_active(&self) -> bool {
        self.policy_mut().state == TenantState::Active
    }

    /// Refuses what changes a tenant that is not served.
    ///
    /// # Errors
    /// `TenantClosed`.
    pub fn must_be_active(&self) -> Result<(), Error> {
        match self.policy_mut().state {
            TenantState::Active => Ok(()),
            TenantState::Suspended => Err(AuthError::TenantSuspended.into()),
            TenantState::Locked => Err(AuthError::TenantLocked.into()),
        }
    }

    /// Counts a request of a member. The console is let through: whoever holds it must be able to
    /// look at a tenant that is busy.
    ///
    /// # Errors
    /// `Quota` with the time to wait.
    pub fn admit(&self, actor: &Actor) -> Result<(), Error> {
        if matches!(actor, Actor::Console | Actor::System(_)) {
            return Ok(());
        }
        let per_second = self.limits().requests_per_second;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(requests.admit(per_second)?)
    }

    /// A place among the running queries, for as long as the answer takes.
    ///
    /// # Errors
    /// `Quota` where none comes free within a moment.
    pub async fn query_place(&self) -> Result<QueryPlace, Error> {
        let limit = self.limits().concurrent_queries;
        let places = self.queries.lock().unwrap_or_else(PoisonError::into_inner).places(limit);
        Ok(rate::place(places, limit, QUERY_PATIENCE).await?)
    }

    /// Refuses what the tenant's tier does not include.
    ///
    /// # Errors
    /// `NotInTier`.
    pub fn require(&self, feature: Feature) -> Result<(), Error> {
        let tier = self.policy_mut().tier;
        if tier.features().contains(&feature) {
            Ok(())
        } else {
            Err(Error::NotInTier { feature, tier })
        }
    }

    /// What the tenant holds, as far as is known without asking its catalogue.
    pub fn used(&self) -> Option<Amounts> {
        self.counter.used()
    }

    /// What the tenant holds, from the catalogue unless it was asked a moment ago.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn count<A: CanRead>(&self, tenant: &TenantHandle<A>) -> Result<Amounts, Error> {
        match self.counter.used() {
            Some(used) if !self.counter.wants_correction() => Ok(used),
            _ => self.correct(tenant).await,
        }
    }

    /// Keeps room for something on its way in. Before anybody is refused, the catalogue is asked.
    ///
    /// # Errors
    /// `Quota` with the first limit in the way.
    pub async fn room<A: CanRead>(
        &self,
        tenant: &TenantHandle<A>,
        wanted: Amounts,
    ) -> Result<Hold, Error> {
        if self.counter.used().is_none() {
            self.correct(tenant).await?;
        }
        let limits = self.limits();
        let mut hold = self.counter.hold();
        match hold.grow(wanted, &limits) {
            Err(_) if self.counter.wants_correction() => {
                self.correct(tenant).await?;
                hold.grow(wanted, &limits)?;
            }
            outcome => outcome?,
        }
        Ok(hold)
    }

    /// Finds out whether one more may wait to be indexed, before anything is done for it.
    ///
    /// # Errors
    /// `Quota` where the queue is full.
    pub async fn queue_has_room<A: CanRead>(&self, tenant: &TenantHandle<A>) -> Result<(), Error> {
        let one = Amounts { jobs_in_flight: 1, ..Amounts::default() };
        self.room(tenant, one).await.map(drop)
    }

    /// Room of nothing, to be grown by what turns out to be new among `most`.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn some_room<A: CanRead>(
        &self,
        tenant: &TenantHandle<A>,
        most: Amounts,
    ) -> Result<Hold, Error> {
        let fits = self.counter.hold().grow(most, &self.limits()).is_ok();
        if self.counter.used().is_none() || (!fits && self.counter.wants_correction()) {
            self.correct(tenant).await?;
        }
        Ok(self.counter.hold())
    }

    async fn correct<A: CanRead>(&self, tenant: &TenantHandle<A>) -> Result<Amounts, Error> {
        let mark = self.counter.mark();
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method by its name is for one lifetime of the snapshot only"
        )]
        let truth = tenant.read(|catalog| catalog.amounts()).await?;
        Ok(self.counter.correct(&mark, truth))
    }

    fn policy_mut(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Share of a limit from which on people are warned, in percent.
const WARN_PERCENT: u64 = 80;

/// A limit that is nearly or fully reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the limit.
    pub limit: &'static str,
    pub used: u64,
    pub of: u64,
}

impl Warning {
    /// For people.
    pub fn sentence(&self) -> String {
        let percent = u128::from(self.used) * 100 / u128::from(self.of.max(1));
        format!("{percent} % of the limit {} ({} of {}) is taken.", self.limit, self.used, self.of)
    }
}

/// The limits of which at least four fifths are taken.
pub fn warnings(used: Amounts, limits: &Limits) -> Vec<Warning> {
    [
        ("stored_bytes", used.stored_bytes, limits.stored_bytes),
        ("documents", used.documents, limits.documents),
        ("jobs_in_flight", used.jobs_in_flight, limits.jobs_in_flight),
    ]
    .into_iter()
    .filter(|(_, used, of)| u128::from(*used) * 100 >= u128::from(*of) * u128::from(WARN_PERCENT))
    .map(|(limit, used, of)| Warning { limit, used, of })
    .collect()
}

impl App {
    /// How a tenant stands, off the async threads where it is not known yet.
    ///
    /// # Errors
    /// `NotFound`, or when the appliance database cannot be read.
    pub async fn standing(self: &Arc<Self>, tenant: TenantId) -> Result<Arc<Standing>, Error> {
        if let Some(known) = self.quotas.known(tenant) {
            return Ok(known);
        }
        let app = self.clone();
        blocking(move || app.quotas.standing(tenant)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_warned_from_four_fifths_on() {
        let limits = Limits { stored_bytes: 1_000, documents: 10, ..Tier::Casual.limits() };
        let used = Amounts { stored_bytes: 799, documents: 8, jobs_in_flight: 0 };
        let warned = warnings(used, &limits);
        assert_eq!(warned, [Warning { limit: "documents", used: 8, of: 10 }]);
        assert_eq!(warned[0].sentence(), "80 % of the limit documents (8 of 10) is taken.");
    }
}
