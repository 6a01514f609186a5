//! An open tenant, as seen by one actor at one level.
//!
//! Called by: `app`, which gets it from `Registry::open`. Talks to: the tenant's stores.
//! Invariants: a read handle cannot write; no public field, no `Default`, no `From`.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, broadcast};

use super::blobs::Blobs;
use super::catalog::{Catalog, CatalogError, CatalogReader, CatalogWriter};
use super::fulltext::{Fulltext, FulltextError};
use super::vectors::{VectorError, VectorSettings, Vectors};
use crate::auth::{Access, Actor, CanRead, CanWrite};
use crate::clock::SharedClock;
use crate::disk;
use crate::failpoint::FaultPlan;
use crate::types::{ItemKey, ModelInfo, TenantId};

/// Something changed that a watcher of the tenant may want to show.
#[derive(Clone, Debug)]
pub enum TenantEvent {
    /// These items changed state.
    Items(Vec<ItemKey>),
}

/// Bytes on disk by store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreBytes {
    pub blobs: u64,
    pub catalogue: u64,
    pub fulltext: u64,
    pub vectors: u64,
}

/// Watchers that fall this far behind miss events and refresh instead.
const EVENT_BACKLOG: usize = 256;

/// The stores of one open tenant; one per tenant and process.
pub(in crate::tenant) struct Unlocked {
    id: TenantId,
    root: PathBuf,
    clock: SharedClock,
    faults: FaultPlan,
    catalog: Catalog,
    blobs: Blobs,
    fulltext: Mutex<Option<Arc<Fulltext>>>,
    vectors: OnceCell<Vectors>,
    model: Option<ModelInfo>,
    vector_settings: VectorSettings,
    events: broadcast::Sender<TenantEvent>,
}

/// What opening a tenant takes besides its directory.
#[derive(Clone)]
pub(in crate::tenant) struct OpenContext {
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
    ) -> Result<Self, super::RegistryError> {
        let catalog = Catalog::open(&root.join("tenant.db"))
            .map_err(|source| super::RegistryError::Catalog { tenant: id, source })?;
        let blobs = Blobs::open(root.join("blobs"), context.faults.clone())
            .map_err(|source| super::RegistryError::Blobs { tenant: id, source })?;
        Ok(Self {
            id,
            root,
            clock: context.clock.clone(),
            faults: context.faults.clone(),
            catalog,
            blobs,
            fulltext: Mutex::new(None),
            vectors: OnceCell::new(),
            model: context.model.clone(),
            vector_settings: context.vector_settings.clone(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
        })
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
    level: PhantomData<A>,
}

impl<A> Clone for TenantHandle<A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), actor: self.actor.clone(), level: PhantomData }
    }
}

impl<A: Access> TenantHandle<A> {
    pub(in crate::tenant) fn new(inner: Arc<Unlocked>, actor: Actor) -> Self {
        Self { inner, actor, level: PhantomData }
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
        self.inner.clock.now()
    }

    /// Faults to inject; empty outside tests.
    pub fn faults(&self) -> &FaultPlan {
        &self.inner.faults
    }
}

impl<A: CanRead> TenantHandle<A> {
    /// Runs queries over one snapshot of the catalogue, off the async threads.
    ///
    /// # Errors
    /// Whatever `work` returns, or that the catalogue cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogReader<'_>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || inner.catalog.read(work))
            .await
            .map_err(CatalogError::Interrupted)?
    }

    /// The originals.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// The full-text index, opened on first use. Blocks.
    ///
    /// # Errors
    /// When the index cannot be opened.
    pub fn fulltext(&self) -> Result<Arc<Fulltext>, FulltextError> {
        let mut open = self.inner.fulltext.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fulltext) = open.as_ref() {
            return Ok(fulltext.clone());
        }
        let dir = self.inner.root.join("fulltext");
        let fulltext = match Fulltext::open(&dir) {
            // Written by another release: it is a projection and is written anew.
            Err(FulltextError::Outdated { .. }) => {
                Fulltext::erase(&dir)?;
                Fulltext::open(&dir)?
            }
            opened => opened?,
        };
        let fulltext = Arc::new(fulltext);
        *open = Some(fulltext.clone());
        Ok(fulltext)
    }

    /// The vector table, opened on first use; `None` where no embedding model is available.
    ///
    /// # Errors
    /// When the table cannot be opened.
    pub async fn vectors(&self) -> Result<Option<&Vectors>, VectorError> {
        let Some(model) = &self.inner.model else {
            return Ok(None);
        };
        let inner = &self.inner;
        inner
            .vectors
            .get_or_try_init(async || {
                let dir = inner.root.join("vectors");
                let open =
                    async || Box::pin(Vectors::open(&dir, model, &inner.vector_settings)).await;
                match open().await {
                    // Of another layout: a projection is made anew.
                    Err(VectorError::Mismatch { .. }) => {
                        disk::empty_private_dir(&dir).map_err(|source| VectorError::Leftovers {
                            path: dir.clone(),
                            source,
                        })?;
                        open().await
                    }
                    opened => opened,
                }
            })
            .await
            .map(Some)
    }

    /// Bytes on disk by store. Blocks.
    pub fn store_bytes(&self) -> StoreBytes {
        let root: &Path = &self.inner.root;
        let file = |name: &str| std::fs::metadata(root.join(name)).map_or(0, |meta| meta.len());
        StoreBytes {
            blobs: self.inner.blobs.bytes(),
            catalogue: file("tenant.db") + file("tenant.db-wal"),
            fulltext: crate::disk::tree_bytes(&root.join("fulltext")),
            vectors: crate::disk::tree_bytes(&root.join("vectors")),
        }
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TenantEvent> {
        self.inner.events.subscribe()
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
        let inner = self.inner.clone();
        let now = self.inner.clock.now();
        tokio::task::spawn_blocking(move || inner.catalog.write(now, work))
            .await
            .map_err(CatalogError::Interrupted)?
    }

    /// Empties the full-text index, whatever state it is in. Blocks.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn clear_fulltext(&self) -> Result<(), FulltextError> {
        match self.fulltext() {
            Ok(fulltext) => fulltext.clear(),
            // Damaged beyond opening: the next use makes a new one.
            Err(_) => Fulltext::erase(&self.inner.root.join("fulltext")),
        }
    }

    /// Empties the vector table, whatever state it is in.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub async fn clear_vectors(&self) -> Result<(), VectorError> {
        match self.vectors().await {
            Ok(Some(vectors)) => vectors.clear().await,
            Ok(None) => Ok(()),
            Err(_) => {
                let path = self.inner.root.join("vectors");
                disk::empty_private_dir(&path)
                    .map_err(|source| VectorError::Leftovers { path, source })
            }
        }
    }

    /// Tells watchers that items changed.
    pub fn announce(&self, items: Vec<ItemKey>) {
        // Nobody watching is no error.
        let _ = self.inner.events.send(TenantEvent::Items(items));
    }
}
