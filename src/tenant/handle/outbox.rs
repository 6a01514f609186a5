//! Entries about a tenant that were made outside of it, on their way into its trail.
//!
//! Called by: the registry when it opens a tenant, `app` after a change and in its rounds. Talks to:
//! `system::outbox`, catalogue.
//! Invariants: each entry gets into the trail once, whenever the process dies; what cannot be
//! written now waits.

use std::sync::PoisonError;

use super::{TenantHandle, Unlocked};
use crate::auth::CanWrite;
use crate::failpoint::Failpoint;
use crate::tenant::RegistryError;
use crate::tenant::catalog::CatalogError;

impl Unlocked {
    /// Takes what waits for this tenant. Blocks.
    pub(in crate::tenant) fn take_from_outbox(&self) -> Result<(), RegistryError> {
        // One at a time: what somebody else takes meanwhile would look new.
        let _turn = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let (system, faults) = (&self.context.system, &self.context.faults);
        let waiting = system.outbox(self.id).map_err(RegistryError::System)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let failed = |source| RegistryError::Catalog { tenant: self.id, source };
        let injected = |source| RegistryError::Directory { tenant: self.id, source };
        faults.pass(Failpoint::AuditWaiting).map_err(injected)?;
        let stores = self.stores().map_err(|locked| failed(CatalogError::Locked(locked)))?;
        // What was done before goes before: a search by a key stands above its end.
        self.commit_audit(&stores).map_err(failed)?;
        let now = self.context.clock.now();
        stores.catalog.write(now, |catalog| catalog.record_waiting(&waiting)).map_err(failed)?;
        faults.pass(Failpoint::AuditTaken).map_err(injected)?;
        system.clear_outbox(self.id, &waiting).map_err(RegistryError::System)
    }
}

impl<A: CanWrite> TenantHandle<A> {
    /// Takes the entries into the trail that wait for it in the appliance database.
    ///
    /// # Errors
    /// When either database cannot be written; what was not taken waits.
    pub async fn take_from_outbox(&self) -> Result<(), RegistryError> {
        let inner = self.inner.clone();
        let interrupted = |source| RegistryError::Catalog {
            tenant: self.id(),
            source: CatalogError::Interrupted(source),
        };
        tokio::task::spawn_blocking(move || inner.take_from_outbox()).await.map_err(interrupted)?
    }
}
