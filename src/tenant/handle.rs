//! An open tenant, as seen by one actor at one level.
//!
//! Called by: `app`, which gets it from `Registry::open`. Talks to: the tenant's stores.
//! Invariants: a read handle cannot write; no public field, no `Default`, no `From`; a handle to a
//! tenant that was closed does nothing but say so.

mod anchor;
mod audit;
mod departure;
mod outbox;

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use self::audit::AuditQueue;
pub use self::departure::Departure;
use super::RegistryError;
use super::blobs::{BlobError, Blobs, stored_bytes};
use super::catalog::{CatalogError, CatalogReader, CatalogWriter};
use super::fulltext::{Fulltext, FulltextError};
use super::latch::Locked;
use super::stores::Stores;
use super::vectors::{VectorError, VectorSettings, Vectors};
use crate::audit::Record;
use crate::auth::{Access, Actor, CanRead, CanWrite, Grant};
use crate::clock::SharedClock;
use crate::crypto::Keyring;
use crate::disk;
use crate::error::chain;
use crate::failpoint::FaultPlan;
use crate::keys::KeyStore;
use crate::system::System;
use crate::types::{
    CollectionScope, DocumentId, ItemKey, ModelInfo, SourceId, TenantId, VisibleItems,
};

/// Something changed that a watcher of the tenant may want to show.
#[derive(Clone, Debug)]
pub enum TenantEvent {
    /// These items changed state.
    Items(Vec<ItemKey>),
    /// The tenant holds documents near one that has just come, each with its score: chosen with the
    /// rights of whoever sent it, by this query.
    Related { document: DocumentId, query: Arc<str>, finds: Vec<(DocumentId, f64)> },
    /// A run of this source ended, or the source itself changed.
    Source(SourceId),
}

/// Bytes on disk by store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreBytes {
    pub blobs: u64,
    pub catalogue: u64,
    pub fulltext: u64,
    pub vectors: u64,
}

/// How often closing looks whether the stores are free.
const LOOK: Duration = Duration::from_millis(10);

/// What is left of a tenant that was closed: somebody may still use a store, such as a download that
/// nobody reads on, and with it keys.
#[derive(Default)]
pub struct Leftover {
    is_busy: bool,
    keyring: Weak<Keyring>,
}

impl Leftover {
    /// True where somebody holds keys of the tenant.
    pub fn holds_keys(&self) -> bool {
        self.keyring.strong_count() > 0
    }

    /// True where a store was in use when closing gave up.
    pub(in crate::tenant) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Waits until nobody holds keys any more, once the key store has forgotten them, for a while
    /// at most; false where somebody does. Blocks.
    pub(in crate::tenant) fn ends(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.holds_keys() {
            if self.is_busy || start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }
}

/// One open tenant; one per tenant and process.
pub(in crate::tenant) struct Unlocked {
    id: TenantId,
    root: PathBuf,
    context: OpenContext,
    /// `None` once it was closed.
    stores: Mutex<Option<Arc<Stores>>>,
    used: Mutex<Instant>,
    audit: Arc<AuditQueue>,
    /// Held while entries are taken from the outbox.
    taking: Mutex<()>,
}

/// What opening a tenant takes besides its directory.
#[derive(Clone)]
pub(in crate::tenant) struct OpenContext {
    pub(in crate::tenant) system: Arc<System>,
    pub(in crate::tenant) keys: Arc<KeyStore>,
    pub(in crate::tenant) clock: SharedClock,
    pub(in crate::tenant) faults: FaultPlan,
    pub(in crate::tenant) model: Option<ModelInfo>,
    pub(in crate::tenant) vector_settings: VectorSettings,
}

impl Unlocked {
    pub(in crate::tenant) fn open(
        id: TenantId,
        root: PathBuf,
        context: &OpenContext,
    ) -> Result<Self, RegistryError> {
        let stores = Arc::new(Stores::open(id, &root, context)?);
        Ok(Self {
            id,
            root,
            context: context.clone(),
            stores: Mutex::new(Some(stores)),
            used: Mutex::new(Instant::now()),
            audit: Arc::default(),
            taking: Mutex::default(),
        })
    }

    /// Marks it as used now.
    pub(in crate::tenant) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Closes it under whoever still holds a handle, commits what waits for its trail, and waits up
    /// to `patience` until nobody uses a store any more. Whoever still does then fails at the next
    /// step. Blocks.
    pub(in crate::tenant) fn close(&self, patience: Duration) -> Leftover {
        let Some(stores) = self.slot().take() else { return Leftover::default() };
        self.close_audit(&stores);
        stores.close_latch();
        let start = Instant::now();
        let keyring = stores.keyring();
        while !stores.is_quiet() {
            if start.elapsed() > patience {
                tracing::warn!(tenant = %self.id, "a closed tenant is still in use");
                return Leftover { is_busy: true, keyring };
            }
            std::thread::sleep(LOOK);
        }
        Leftover { is_busy: false, keyring }
    }

    /// Closes it if it was not used for `age` and nothing is going on; true where it is closed
    /// now. The caller sees to it that no handle exists or comes meanwhile. Blocks.
    pub(in crate::tenant) fn close_if_idle(&self, age: Duration) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slot = self.slot();
        let Some(stores) = slot.as_ref() else { return true };
        if used.elapsed() < age || stores.is_rotating() || !stores.is_quiet() {
            return false;
        }
        // Without a handle nothing is recorded meanwhile.
        if let Err(error) = self.commit_audit(stores) {
            tracing::error!(
                tenant = %self.id,
                "a tenant stays open for its audit trail: {}", chain(&error)
            );
            return false;
        }
        self.drop_anchor_if_possible(stores);
        stores.settle();
        *slot = None;
        true
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Stores>>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stores(&self) -> Result<Arc<Stores>, Locked> {
        self.slot().clone().ok_or(Locked)
    }
}

/// The only way to a tenant's stores.
///
/// A read handle offers no way to write:
/// ```compile_fail
/// async fn write(handle: cairn::tenant::TenantHandle<cairn::auth::Read>) {
///     handle.write(|_catalog| Ok(())).await.ok();
/// }
/// ```
///
/// Stores cannot be opened by themselves:
/// ```compile_fail
/// let blobs = cairn::tenant::Blobs::open(".".into(), Default::default());
/// ```
pub struct TenantHandle<A> {
    inner: Arc<Unlocked>,
    actor: Actor,
    collections: CollectionScope,
    level: PhantomData<A>,
}

impl<A> Clone for TenantHandle<A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            actor: self.actor.clone(),
            collections: self.collections.clone(),
            level: PhantomData,
        }
    }
}

impl<A: Access> TenantHandle<A> {
    pub(in crate::tenant) fn new(inner: Arc<Unlocked>, grant: &Grant<A>) -> Self {
        Self {
            inner,
            actor: grant.actor().clone(),
            collections: grant.collections().clone(),
            level: PhantomData,
        }
    }

    /// The tenant.
    pub fn id(&self) -> TenantId {
        self.inner.id
    }

    /// Who holds the handle.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The drop folder: the one directory of a tenant that people put files into.
    pub fn inbox(&self) -> PathBuf {
        self.inner.root.join("inbox")
    }

    /// The time.
    pub fn now(&self) -> jiff::Timestamp {
        self.inner.context.clock.now()
    }

    /// Faults to inject; empty outside tests.
    pub fn faults(&self) -> &FaultPlan {
        &self.inner.context.faults
    }
}

impl<A: CanRead> TenantHandle<A> {
    /// The collections in sight.
    pub fn collections(&self) -> &CollectionScope {
        &self.collections
    }

    /// True where only some collections are in sight, so that numbers of the whole tenant are not
    /// for this caller.
    pub fn is_limited(&self) -> bool {
        self.collections != CollectionScope::All
    }

    /// Runs queries over one snapshot of the catalogue, off the async threads.
    ///
    /// # Errors
    /// Whatever `work` returns, or that the catalogue cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogReader<'_>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let stores = self.inner.stores().map_err(CatalogError::Locked)?;
        let collections = self.collections.clone();
        tokio::task::spawn_blocking(move || match collections {
            CollectionScope::All => stores.catalog.read(work),
            CollectionScope::Only(some) => stores.catalog.read_limited(&some, work),
        })
        .await
        .map_err(CatalogError::Interrupted)?
    }

    /// The items that searches may show, where that is not all there are.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn visible_items(&self) -> Result<Option<VisibleItems>, CatalogError> {
        let CollectionScope::Only(some) = self.collections.clone() else { return Ok(None) };
        let stores = self.inner.stores().map_err(CatalogError::Locked)?;
        tokio::task::spawn_blocking(move || stores.catalog.sight(&some).map(Some))
            .await
            .map_err(CatalogError::Interrupted)?
    }

    /// The originals.
    ///
    /// # Errors
    /// When the tenant is locked.
    pub fn blobs(&self) -> Result<Blobs, BlobError> {
        Ok(self.inner.stores().map_err(BlobError::Locked)?.blobs.clone())
    }

    /// The full-text index, opened on first use. Blocks.
    ///
    /// # Errors
    /// When the index cannot be opened.
    pub fn fulltext(&self) -> Result<Arc<Fulltext>, FulltextError> {
        self.inner.stores().map_err(FulltextError::Locked)?.fulltext()
    }

    /// The vector table, opened on first use; `None` where no embedding model is available.
    ///
    /// # Errors
    /// When the table cannot be opened.
    pub async fn vectors(&self) -> Result<Option<Vectors>, VectorError> {
        let context = &self.inner.context;
        let Some(model) = &context.model else {
            return Ok(None);
        };
        let stores = self.inner.stores().map_err(VectorError::Locked)?;
        stores.vectors(model, &context.vector_settings).await.map(Some)
    }

    /// Bytes on disk by store. Blocks.
    pub fn store_bytes(&self) -> StoreBytes {
        let root: &Path = &self.inner.root;
        let file = |name: &str| std::fs::metadata(root.join(name)).map_or(0, |meta| meta.len());
        StoreBytes {
            blobs: stored_bytes(&root.join("blobs")),
            catalogue: file("tenant.db") + file("tenant.db-wal"),
            fulltext: disk::tree_bytes(&root.join("fulltext")),
            vectors: disk::tree_bytes(&root.join("vectors")),
        }
    }

    /// Events from now on; none where the tenant was closed, which ends the channel.
    pub fn subscribe(&self) -> broadcast::Receiver<TenantEvent> {
        match self.inner.stores() {
            Ok(stores) => stores.events.subscribe(),
            Err(Locked) => broadcast::Sender::new(1).subscribe(),
        }
    }
}

impl<A: CanWrite> TenantHandle<A> {
    /// Runs changes in one transaction, off the async threads.
    ///
    /// # Errors
    /// Whatever `work` returns, or that the catalogue cannot be written; then nothing changed.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogWriter<'_>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let stores = self.inner.stores().map_err(CatalogError::Locked)?;
        let now = self.now();
        tokio::task::spawn_blocking(move || stores.catalog.write(now, work))
            .await
            .map_err(CatalogError::Interrupted)?
    }

    /// Gives back the space that the catalogue's log took while much was written. Blocks.
    ///
    /// # Errors
    /// When the catalogue cannot be written; nothing is lost.
    pub fn shrink_log(&self) -> Result<(), CatalogError> {
        self.inner.stores().map_err(CatalogError::Locked)?.catalog.shrink_log()
    }

    /// Empties the full-text index, whatever state it is in. Blocks.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn clear_fulltext(&self) -> Result<(), FulltextError> {
        let stores = self.inner.stores().map_err(FulltextError::Locked)?;
        match stores.fulltext() {
            Ok(fulltext) => fulltext.clear(),
            // Damaged beyond opening: the next use makes a new one.
            Err(_) => Fulltext::erase(&stores.fulltext_dir()),
        }
    }

    /// Empties the vector table, whatever state it is in.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub async fn clear_vectors(&self) -> Result<(), VectorError> {
        let stores = self.inner.stores().map_err(VectorError::Locked)?;
        match self.vectors().await {
            Ok(Some(vectors)) => vectors.clear().await,
            Ok(None) => Ok(()),
            Err(_) => {
                let path = stores.vector_dir();
                disk::empty_private_dir(&path)
                    .map_err(|source| VectorError::Leftovers { path, source })
            }
        }
    }

    /// Tells watchers that items changed.
    pub fn announce(&self, items: Vec<ItemKey>) {
        self.tell(TenantEvent::Items(items));
    }

    /// Tells watchers of an event.
    pub fn tell(&self, event: TenantEvent) {
        if let Ok(stores) = self.inner.stores() {
            // Nobody watching is no error.
            let _ = stores.events.send(event);
        }
    }

    /// Tells watchers that a source changed or ended a run.
    pub fn announce_source(&self, source: SourceId) {
        if let Ok(stores) = self.inner.stores() {
            // Nobody watching is no error.
            let _ = stores.events.send(TenantEvent::Source(source));
        }
    }

    /// True while the tenant's data key is being changed.
    pub fn is_rotating(&self) -> bool {
        self.inner.stores().is_ok_and(|stores| stores.is_rotating())
    }

    /// Seals the originals that are left under an earlier data key, and destroys that key when
    /// none is, which goes on record once as `ended` puts it, given the epoch of the new key; false
    /// where some were in use and it has to be called again. Blocks, perhaps for long; everything
    /// else goes on meanwhile.
    ///
    /// # Errors
    /// When a file cannot be read or written; what is done stays done.
    pub fn finish_rotation(
        &self,
        ended: impl FnOnce(u32) -> Record,
    ) -> Result<bool, RegistryError> {
        let tenant = self.inner.id;
        let stores = self.inner.stores().map_err(|Locked| RegistryError::Locked { tenant })?;
        let done =
            stores.rotate_blobs().map_err(|source| RegistryError::Reseal { tenant, source })?;
        if done && stores.is_rotating() {
            let keys = &self.inner.context.keys;
            keys.finish_rotation(&tenant.to_string()).map_err(RegistryError::keys(tenant))?;
            stores
                .end_rotation(self.now(), ended)
                .map_err(|source| RegistryError::Catalog { tenant, source })?;
            tracing::info!(tenant = %tenant, "the data key was changed, the old one is destroyed");
        }
        Ok(done)
    }
}
