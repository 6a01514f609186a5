//! A tenant's trail held against what the appliance database knows of it.
//!
//! Called by: the registry when it opens and closes a tenant, `app` in its rounds and when a trail is
//! checked. Talks to: `system::anchors`, the trail.
//! Invariants: an anchor is moved on only while the trail still has the entry it names, so that what
//! was put back once stays found.

use super::{TenantHandle, Unlocked};
use crate::audit::{Flaw, FlawKind, Verdict};
use crate::auth::{Audit, CanWrite};
use crate::error::chain;
use crate::system::{Anchor, SystemError};
use crate::tenant::RegistryError;
use crate::tenant::catalog::{AuditReader, CatalogError};
use crate::tenant::stores::Stores;

/// True where a trail has the entry that an anchor names.
fn holds(trail: &AuditReader<'_>, anchor: Anchor) -> Result<bool, CatalogError> {
    let found = trail.stretch(anchor.sequence, 1)?;
    Ok(found
        .first()
        .is_some_and(|entry| entry.sequence == anchor.sequence && entry.hash == anchor.hash))
}

impl Unlocked {
    /// Notes outside of the tenant how far its trail has come. Blocks.
    pub(in crate::tenant) fn drop_anchor(&self, stores: &Stores) -> Result<(), RegistryError> {
        let (system, id) = (&self.context.system, self.id);
        let known = system.audit_anchor(id).map_err(RegistryError::System)?;
        let newest = stores.catalog.read_trail(|trail| {
            if let Some(anchor) = known
                && !holds(trail, anchor)?
            {
                return Ok(None);
            }
            trail.newest()
        });
        let newest = newest.map_err(|source| RegistryError::Catalog { tenant: id, source })?;
        match newest {
            Some((sequence, hash)) => system
                .set_audit_anchor(id, Anchor { sequence, hash })
                .map_err(RegistryError::System),
            None => Ok(()),
        }
    }

    /// The same where nothing depends on it. Blocks.
    pub(super) fn drop_anchor_if_possible(&self, stores: &Stores) {
        if let Err(error) = self.drop_anchor(stores) {
            tracing::warn!(
                tenant = %self.id,
                "it is not noted how far an audit trail has come: {}", chain(&error)
            );
        }
    }

    /// Says in the log where the trail lacks entries that it had. Blocks.
    pub(in crate::tenant) fn look_for_anchor(&self) {
        let flaw = self.stores().map_err(CatalogError::Locked).and_then(|stores| {
            let Ok(Some(anchor)) = self.anchor() else { return Ok(None) };
            stores.catalog.read_trail(|trail| put_back(trail, anchor))
        });
        if let Ok(Some(flaw)) = flaw {
            tracing::error!(tenant = %self.id, "the audit trail of a tenant is not whole: {flaw}");
        }
    }

    fn anchor(&self) -> Result<Option<Anchor>, SystemError> {
        self.context.system.audit_anchor(self.id)
    }
}

/// What is missing of a trail, where the entry is gone that an anchor names.
fn put_back(trail: &AuditReader<'_>, anchor: Anchor) -> Result<Option<Flaw>, CatalogError> {
    if holds(trail, anchor)? {
        return Ok(None);
    }
    let end = trail.newest()?.map_or(0, |(sequence, _)| sequence);
    // An entry with its number stands there, and is another one.
    let sequence = (end + 1).min(anchor.sequence);
    Ok(Some(Flaw { sequence, kind: FlawKind::PutBack { known: anchor.sequence } }))
}

impl<A: CanWrite> TenantHandle<A> {
    /// Notes outside of the tenant how far its trail has come. Blocks.
    ///
    /// # Errors
    /// When either database cannot be used.
    pub fn drop_anchor(&self) -> Result<(), RegistryError> {
        let failed = |source| RegistryError::Catalog { tenant: self.id(), source };
        let stores = self.inner.stores().map_err(|locked| failed(CatalogError::Locked(locked)))?;
        self.inner.drop_anchor(&stores)
    }
}

impl TenantHandle<Audit> {
    /// Checks the whole trail, also against what the appliance database knows of it.
    ///
    /// # Errors
    /// When either database cannot be read.
    pub async fn verify_audit(&self) -> Result<Verdict, RegistryError> {
        let (inner, tenant) = (self.inner.clone(), self.id());
        let anchor = tokio::task::spawn_blocking(move || inner.anchor())
            .await
            .map_err(|source| RegistryError::Catalog {
                tenant,
                source: CatalogError::Interrupted(source),
            })?
            .map_err(RegistryError::System)?;
        let checked = self.read_audit(move |trail| {
            let verdict = trail.verify()?;
            match anchor {
                Some(anchor) if verdict.flaw.is_none() => {
                    Ok(Verdict { flaw: put_back(trail, anchor)?, ..verdict })
                }
                _ => Ok(verdict),
            }
        });
        checked.await.map_err(|source| RegistryError::Catalog { tenant, source })
    }
}
