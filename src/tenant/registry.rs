//! Creates, opens and removes tenants. The only place that makes a handle.
//!
//! Called by: `app`. Talks to: `system`, the tenants' directories.
//! Invariants: one set of stores per tenant and process; a tenant exists when `system.db` names
//! it, so a directory left by a crash between the two is an orphan and never opened.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::BlobError;
use super::catalog::CatalogError;
use super::handle::{OpenContext, TenantHandle, Unlocked};
use super::vectors::VectorSettings;
use crate::auth::{Access, Grant, Manage};
use crate::clock::SharedClock;
use crate::disk;
use crate::failpoint::FaultPlan;
use crate::system::{System, SystemError, TenantRecord};
use crate::types::{ModelInfo, TenantId};

/// A tenant could not be created, opened or removed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("tenant {tenant}: make its directory")]
    Directory { tenant: TenantId, source: io::Error },
    #[error("tenant {tenant}")]
    Catalog { tenant: TenantId, source: CatalogError },
    #[error("tenant {tenant}")]
    Blobs { tenant: TenantId, source: BlobError },
    #[error(
        "{name:?} is no tenant name: use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"
    )]
    Name { name: String },
    #[error("there is no tenant {tenant}")]
    Absent { tenant: TenantId },
    #[error("appliance database")]
    System(#[source] SystemError),
}

/// All tenants of an appliance.
pub struct Registry {
    root: PathBuf,
    system: Arc<System>,
    context: OpenContext,
    open: Mutex<HashMap<TenantId, Arc<Unlocked>>>,
}

impl Registry {
    /// A registry over the directory that holds the tenants' directories. `model` is the
    /// embedding model in use, if one is available.
    pub fn new(
        root: PathBuf,
        system: Arc<System>,
        clock: SharedClock,
        faults: FaultPlan,
        model: Option<ModelInfo>,
        vector_settings: VectorSettings,
    ) -> Self {
        let context = OpenContext { clock, faults, model, vector_settings };
        Self { root, system, context, open: Mutex::default() }
    }

    /// Makes a tenant. Blocks.
    ///
    /// # Errors
    /// A name that is taken or malformed; a directory or database that cannot be written.
    pub fn create(&self, name: &str) -> Result<TenantRecord, RegistryError> {
        if !is_tenant_name(name) {
            return Err(RegistryError::Name { name: name.to_owned() });
        }
        let id = TenantId::generate();
        let record =
            TenantRecord { id, name: name.to_owned(), created_at: self.context.clock.now() };
        let root = self.root.join(id.to_string());
        for dir in ["blobs", "fulltext", "vectors", "inbox"] {
            disk::create_private_dir(&root.join(dir))
                .map_err(|source| RegistryError::Directory { tenant: id, source })?;
        }
        disk::sync_dir(&self.root)
            .map_err(|source| RegistryError::Directory { tenant: id, source })?;
        self.system.add_tenant(&record).map_err(|error| {
            // The name was taken: the empty directory has no owner.
            let _ = std::fs::remove_dir_all(&root);
            RegistryError::System(error)
        })?;
        Ok(record)
    }

    /// Opens a tenant for the holder of a grant. Blocks on first use.
    ///
    /// # Errors
    /// When a store cannot be opened.
    pub fn open<A: Access>(&self, grant: &Grant<A>) -> Result<TenantHandle<A>, RegistryError> {
        let id = grant.tenant();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = match open.get(&id) {
            Some(inner) => inner.clone(),
            None => {
                let known = self.system.find_tenant(&id.to_string());
                if known.map_err(RegistryError::System)?.is_none() {
                    return Err(RegistryError::Absent { tenant: id });
                }
                let root = self.root.join(id.to_string());
                let inner = Arc::new(Unlocked::open(id, root, &self.context)?);
                open.insert(id, inner.clone());
                inner
            }
        };
        Ok(TenantHandle::new(inner, grant.actor().clone()))
    }

    /// Removes a tenant with everything it holds. Blocks.
    ///
    /// # Errors
    /// When the database cannot be written or a file cannot be removed.
    pub fn remove(&self, grant: &Grant<Manage>) -> Result<(), RegistryError> {
        let id = grant.tenant();
        let failed = |source| RegistryError::Directory { tenant: id, source };
        self.system.remove_tenant(id).map_err(RegistryError::System)?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        // Renamed first: work that still holds the tenant open cannot write into it any more.
        let removed = self.root.join(format!("{REMOVED}{id}"));
        match std::fs::rename(self.root.join(id.to_string()), &removed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(failed)?,
        }
        std::fs::remove_dir_all(&removed).map_err(failed)
    }

    /// Removes what is left of tenants whose removal was interrupted. Blocks.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(REMOVED.as_bytes())
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::warn!("what is left of a removed tenant cannot be removed: {error}");
            }
        }
    }
}

/// Before the id of a tenant whose files are going.
const REMOVED: &str = ".removed-";

fn is_tenant_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.parse::<TenantId>().is_err()
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
