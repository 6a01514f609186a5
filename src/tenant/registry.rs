//! Creates, opens, locks and removes tenants. The only place that makes a handle.
//!
//! Called by: `app`. Talks to: `system`, `keys`, the tenants' directories.
//! Invariants: one set of stores per tenant and process; a tenant exists when `system.db` names
//! it, so a directory left by a crash between the two is an orphan and never opened; its keys are
//! there before it exists and are destroyed before it goes. Opening one tenant keeps nobody
//! waiting who wants another.

mod arrival;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blobs::BlobError;
use super::catalog::CatalogError;
use super::handle::{Leftover, OpenContext, TenantHandle, Unlocked};
use super::vectors::VectorSettings;
use crate::archive::SigningKey;
use crate::auth::{Access, Administer, Grant};
use crate::clock::SharedClock;
use crate::crypto::KeyPurpose;
use crate::database::DatabaseError;
use crate::disk;
use crate::error::chain;
use crate::failpoint::FaultPlan;
use crate::keys::{KeyError, KeyStore, SYSTEM_SCOPE};
use crate::system::{System, SystemError, TenantRecord};
use crate::types::{ModelInfo, TenantId, TenantState, Tier};

use self::arrival::Arrivals;
pub use self::arrival::{Arrival, ArrivalError};

/// How long closing a tenant waits for what is going on in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tenant could not be created, opened or removed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("tenant {tenant}: make or empty a directory")]
    Directory { tenant: TenantId, source: io::Error },
    #[error("tenant {tenant}")]
    Catalog { tenant: TenantId, source: CatalogError },
    #[error("tenant {tenant}")]
    Database { tenant: TenantId, source: DatabaseError },
    #[error("tenant {tenant}")]
    Blobs { tenant: TenantId, source: BlobError },
    #[error("tenant {tenant}: seal its files with a new key")]
    Reseal { tenant: TenantId, source: io::Error },
    #[error("tenant {tenant}")]
    Keys { tenant: TenantId, source: KeyError },
    #[error("the appliance is sealed")]
    Sealed,
    #[error("tenant {tenant} is locked")]
    Locked { tenant: TenantId },
    #[error("tenant {tenant} is busy and its data key stays as it is; try again later")]
    Busy { tenant: TenantId },
    #[error(
        "tenant {tenant} is closed, but somebody still reads from it, such as a download that does \
         not go on: its keys leave memory when that ends, within two minutes; try again then"
    )]
    InUse { tenant: TenantId },
    #[error(
        "{name:?} is no tenant name: use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"
    )]
    Name { name: String },
    #[error("there is no tenant {tenant}")]
    Absent { tenant: TenantId },
    #[error("appliance database")]
    System(#[source] SystemError),
}

impl RegistryError {
    pub(in crate::tenant) fn keys(tenant: TenantId) -> impl Fn(KeyError) -> Self {
        move |error| match error {
            KeyError::Sealed => Self::Sealed,
            source => Self::Keys { tenant, source },
        }
    }
}

/// All tenants of an appliance.
pub struct Registry {
    root: PathBuf,
    system: Arc<System>,
    context: OpenContext,
    slots: Mutex<HashMap<TenantId, Arc<Slot>>>,
    arrivals: Arc<Arrivals>,
}

/// The place of one tenant. Held while it is opened or closed, so that neither happens twice at a
/// time.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open(Arc<Unlocked>),
    /// With what was still in use when it was locked.
    Locked(Leftover),
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes what is open; what is still in use of it. Blocks.
    fn close(&mut self) -> Leftover {
        match std::mem::take(self) {
            Self::Open(inner) => inner.close(PATIENCE),
            Self::Locked(left) => left,
            Self::Closed => Leftover::default(),
        }
    }
}

impl Registry {
    /// A registry over the directory that holds the tenants' directories. `model` is the
    /// embedding model in use, if one is available.
    pub fn new(
        root: PathBuf,
        system: Arc<System>,
        keys: Arc<KeyStore>,
        clock: SharedClock,
        faults: FaultPlan,
        model: Option<ModelInfo>,
        vector_settings: VectorSettings,
    ) -> Self {
        let context =
            OpenContext { system: system.clone(), keys, clock, faults, model, vector_settings };
        Self { root, system, context, slots: Mutex::default(), arrivals: Arc::default() }
    }

    /// Refuses what cannot be a tenant's name.
    ///
    /// # Errors
    /// `Name`.
    pub fn check_name(name: &str) -> Result<(), RegistryError> {
        match is_tenant_name(name) {
            true => Ok(()),
            false => Err(RegistryError::Name { name: name.to_owned() }),
        }
    }

    /// Makes a tenant; `recording` puts on record that it is there, both or neither. Blocks.
    ///
    /// # Errors
    /// A name that is taken or malformed; a directory, key or database that cannot be written;
    /// `Sealed`.
    pub fn create(
        &self,
        name: &str,
        tier: Tier,
        recording: impl FnOnce(&TenantRecord) -> Result<(), SystemError>,
    ) -> Result<TenantRecord, RegistryError> {
        Self::check_name(name)?;
        let id = TenantId::generate();
        let record = TenantRecord {
            id,
            name: name.to_owned(),
            tier,
            state: TenantState::Active,
            locked: false,
            limits: serde_json::Map::new(),
            created_at: self.context.clock.now(),
        };
        let (scope, keys) = (id.to_string(), &self.context.keys);
        keys.create_keyring(&scope).map_err(RegistryError::keys(id))?;
        let root = self.root.join(&scope);
        let made = self.make_directories(id).and_then(|()| {
            let added = self.system.together(|| {
                self.system.add_tenant(&record)?;
                recording(&record)
            });
            added.map_err(RegistryError::System)
        });
        if let Err(error) = made {
            // The name was taken, say: key and directory have no owner.
            let _ = keys.destroy_keyring(&scope);
            let _ = std::fs::remove_dir_all(&root);
            return Err(error);
        }
        Ok(record)
    }

    fn make_directories(&self, id: TenantId) -> Result<(), RegistryError> {
        let root = self.root.join(id.to_string());
        ["blobs", "fulltext", "vectors", "inbox"]
            .into_iter()
            .try_for_each(|dir| disk::create_private_dir(&root.join(dir)))
            .and_then(|()| disk::sync_dir(&self.root))
            .map_err(|source| RegistryError::Directory { tenant: id, source })
    }

    /// Opens a tenant for the holder of a grant. Blocks on first use.
    ///
    /// # Errors
    /// `Locked`, `Sealed`, `Absent`; when a store cannot be opened.
    pub fn open<A: Access>(&self, grant: &Grant<A>) -> Result<TenantHandle<A>, RegistryError> {
        let id = grant.tenant();
        let slot = self.slot(id);
        let mut state = slot.state();
        let inner = match &*state {
            State::Open(inner) => inner.clone(),
            State::Locked(_) => return Err(RegistryError::Locked { tenant: id }),
            State::Closed => {
                let opened = self.open_stores(id);
                if matches!(opened, Err(RegistryError::Absent { .. })) {
                    self.slots().remove(&id);
                }
                let inner = Arc::new(opened?);
                *state = State::Open(inner.clone());
                inner
            }
        };
        inner.touch();
        Ok(TenantHandle::new(inner, grant))
    }

    /// A handle to a tenant that is open at present, which does not count as using it: for
    /// Cairn's own rounds, which must not keep every tenant open.
    pub fn if_open<A: Access>(&self, grant: &Grant<A>) -> Option<TenantHandle<A>> {
        let slot = self.slots().get(&grant.tenant()).cloned()?;
        match &*slot.state() {
            State::Open(inner) => Some(TenantHandle::new(inner.clone(), grant)),
            State::Closed | State::Locked(_) => None,
        }
    }

    fn open_stores(&self, id: TenantId) -> Result<Unlocked, RegistryError> {
        let known = self.system.find_tenant(&id.to_string()).map_err(RegistryError::System)?;
        match known.map(|record| record.locked) {
            None => return Err(RegistryError::Absent { tenant: id }),
            // Locked before this process began.
            Some(true) => return Err(RegistryError::Locked { tenant: id }),
            Some(false) => {}
        }
        let open = Unlocked::open(id, self.root.join(id.to_string()), &self.context)?;
        open.look_for_anchor();
        // Before anybody reads the trail. It can be read without them where nothing can be written.
        if let Err(error) = open.take_from_outbox() {
            tracing::error!(
                tenant = %id,
                "a tenant's audit trail lacks entries for now: {}", chain(&error)
            );
        }
        Ok(open)
    }

    /// The drop folder of a tenant, which need not be open for files to wait there.
    pub fn inbox(&self, tenant: TenantId) -> PathBuf {
        self.root.join(tenant.to_string()).join("inbox")
    }

    /// Locks a tenant: closes it under whoever works with it and puts its keys away. Handles that
    /// are left fail, and it is not opened again before [`Self::unlock`]. Blocks until nothing of
    /// it is in use any more, for a while at most.
    ///
    /// # Errors
    /// `InUse` where something is in use for longer: the tenant is locked, and keys are in memory.
    pub fn lock(&self, tenant: TenantId) -> Result<(), RegistryError> {
        let slot = self.slot(tenant);
        let mut state = slot.state();
        let left = state.close();
        self.context.keys.forget_keyring(&tenant.to_string());
        let ended = left.ends(PATIENCE);
        *state = State::Locked(left);
        if ended { Ok(()) } else { Err(RegistryError::InUse { tenant }) }
    }

    /// Lets a locked tenant be opened again.
    pub fn unlock(&self, tenant: TenantId) {
        let slot = self.slot(tenant);
        let mut state = slot.state();
        if matches!(*state, State::Locked(_)) {
            *state = State::Closed;
        }
    }

    /// The key that the appliance signs archives of its tenants with.
    ///
    /// # Errors
    /// `Sealed`; when the appliance's own keys cannot be had.
    pub fn signing_key(&self) -> Result<SigningKey, KeyError> {
        let keyring = self.context.keys.keyring(SYSTEM_SCOPE)?;
        let seed = keyring.subkey(keyring.current_epoch(), KeyPurpose::Export);
        Ok(SigningKey::from_seed(&seed.expect("invariant: a keyring holds its current epoch")))
    }

    /// Epochs of a tenant's data key with what the key of each is called, newest first; none where
    /// its keys cannot be had.
    pub fn key_ids(&self, tenant: TenantId) -> Vec<(u32, String)> {
        let Ok(keyring) = self.context.keys.keyring(&tenant.to_string()) else {
            return Vec::new();
        };
        let epochs = keyring.epochs().into_iter();
        epochs.filter_map(|epoch| Some((epoch, keyring.key_id(epoch)?))).collect()
    }

    /// Closes every tenant under whoever works with it, and lets none arrive any more, as when the
    /// appliance is sealed; what is still in use of them, and holds keys. Blocks.
    pub fn close_all(&self) -> Vec<(TenantId, Leftover)> {
        self.arrivals.close(PATIENCE);
        let mut in_use = Vec::new();
        for (tenant, slot) in self.all_slots() {
            let left = slot.state().close();
            self.context.keys.forget_keyring(&tenant.to_string());
            if !left.ends(PATIENCE) {
                in_use.push((tenant, left));
            }
        }
        in_use
    }

    /// Commits what waits for the audit trails of open tenants: the last step before the process
    /// ends in order. Blocks.
    pub fn flush_audit(&self) {
        for (tenant, slot) in self.all_slots() {
            if let State::Open(inner) = &*slot.state()
                && let Err(error) = inner.flush_audit()
            {
                tracing::error!(tenant = %tenant, "audit entries are lost: {}", chain(&error));
            }
        }
    }

    /// Closes the tenants that nobody holds and nobody has opened for `age`; returns how many.
    /// Blocks.
    pub fn close_idle(&self, age: Duration) -> usize {
        let slots = self.all_slots().into_iter();
        slots.filter(|(tenant, slot)| self.close_slot(*tenant, slot, age)).count()
    }

    /// Closes a tenant that nobody holds; false where somebody does. Blocks.
    pub fn close_if_idle(&self, tenant: TenantId) -> bool {
        self.close_slot(tenant, &self.slot(tenant), Duration::ZERO)
    }

    fn close_slot(&self, tenant: TenantId, slot: &Slot, age: Duration) -> bool {
        // One that is being opened or closed at present is not idle.
        let Ok(mut state) = slot.0.try_lock() else { return false };
        let State::Open(inner) = &*state else { return false };
        // Handles are made under the lock held here, so none comes meanwhile.
        if Arc::strong_count(inner) > 1 || !inner.close_if_idle(age) {
            return false;
        }
        *state = State::Closed;
        self.context.keys.forget_keyring(&tenant.to_string());
        true
    }

    /// Tenants that are open at present.
    pub fn open_tenants(&self) -> Vec<TenantId> {
        let mut open = self.all_slots();
        open.retain(|(_, slot)| match slot.0.try_lock() {
            Ok(state) => matches!(*state, State::Open(_)),
            Err(_) => false,
        });
        open.into_iter().map(|(tenant, _)| tenant).collect()
    }

    /// Begins to change a tenant's data key: makes a new one, and seals catalogue and projections
    /// with it while the tenant is closed. It is open to everybody when this returns, and its
    /// originals follow with [`TenantHandle::finish_rotation`]. Blocks.
    ///
    /// # Errors
    /// `Busy` where something goes on in the tenant that does not end; when a file cannot be
    /// written, after which the change goes on when the tenant is opened next.
    pub fn rotate<A: Access>(&self, grant: &Grant<A>) -> Result<TenantHandle<A>, RegistryError> {
        let id = grant.tenant();
        let slot = self.slot(id);
        let mut state = slot.state();
        if matches!(*state, State::Locked(_)) {
            return Err(RegistryError::Locked { tenant: id });
        }
        if state.close().is_busy() {
            return Err(RegistryError::Busy { tenant: id });
        }
        self.context.keys.begin_rotation(&id.to_string()).map_err(RegistryError::keys(id))?;
        drop(state);
        self.open(grant)
    }

    /// Removes a tenant with everything it holds, its keys first, so that nothing of it can be
    /// read from then on, wherever the bytes still are. Blocks.
    ///
    /// # Errors
    /// `InUse` where something of it is in use that does not end, since keys would stay in memory;
    /// when the key cannot be destroyed, the database cannot be written or a file cannot be removed.
    /// Then it may be called again.
    pub fn remove(&self, grant: &Grant<Administer>) -> Result<(), RegistryError> {
        let id = grant.tenant();
        let failed = |source| RegistryError::Directory { tenant: id, source };
        let slot = self.slot(id);
        let mut state = slot.state();
        let left = state.close();
        self.context.keys.forget_keyring(&id.to_string());
        if !left.ends(PATIENCE) {
            // Nobody opens it meanwhile, and the next try finds what is left then.
            *state = State::Locked(left);
            return Err(RegistryError::InUse { tenant: id });
        }
        let keys = &self.context.keys;
        keys.destroy_keyring(&id.to_string()).map_err(RegistryError::keys(id))?;
        self.system.remove_tenant(id).map_err(RegistryError::System)?;
        self.slots().remove(&id);
        remove_directory(&self.root, id).map_err(failed)
    }

    /// Removes what is left of tenants whose removal or arrival was interrupted. Blocks.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            self.settle_arrival(&entry.path());
            if entry.file_name().as_encoded_bytes().starts_with(REMOVED.as_bytes())
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::warn!("what is left of a removed tenant cannot be removed: {error}");
            }
        }
    }

    fn slot(&self, tenant: TenantId) -> Arc<Slot> {
        self.slots().entry(tenant).or_default().clone()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_slots(&self) -> Vec<(TenantId, Arc<Slot>)> {
        self.slots().iter().map(|(tenant, slot)| (*tenant, slot.clone())).collect()
    }
}

/// Before the id of a tenant whose files are going.
const REMOVED: &str = ".removed-";

/// Removes the directory of a tenant that is none any more. Renamed first: work that still holds
/// the tenant open cannot write into it then, and what a crash leaves is swept.
fn remove_directory(root: &Path, id: TenantId) -> io::Result<()> {
    let removed = root.join(format!("{REMOVED}{id}"));
    match std::fs::rename(root.join(id.to_string()), &removed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    std::fs::remove_dir_all(&removed)
}

fn is_tenant_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.parse::<TenantId>().is_err()
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests;
