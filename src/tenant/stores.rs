//! The stores of one open tenant, opened together under one keyring and closed together.
//!
//! Called by: `tenant::handle`, `tenant::registry`. Talks to: every store.
//! Invariants: full text and vectors open on first use; once the latch is closed no store reads or
//! writes a file, whoever still holds it; keys are wiped when the last of them is dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::Timestamp;
use tokio::sync::{OnceCell, broadcast};

use super::blobs::Blobs;
use super::catalog::{Catalog, CatalogError};
use super::fulltext::{Fulltext, FulltextError};
use super::handle::{OpenContext, TenantEvent};
use super::latch::Latch;
use super::vectors::{VectorError, VectorSettings, Vectors};
use super::{RegistryError, migration, rotation};
use crate::audit::Record;
use crate::crypto::{FileCipher, KeyPurpose, Keyring};
use crate::disk;
use crate::types::{ModelInfo, TenantId};

/// Watchers that fall this far behind miss events and refresh instead.
const EVENT_BACKLOG: usize = 256;

/// How names of catalogue copies begin that are on their way into an archive.
pub(in crate::tenant) const LEAVING_PREFIX: &str = "leaving-";

/// What a tenant's handles work with.
pub(in crate::tenant) struct Stores {
    root: PathBuf,
    epoch: u32,
    /// Goes when the last of those is dropped who work with keys of it.
    keyring: Weak<Keyring>,
    latch: Latch,
    pub(in crate::tenant) catalog: Catalog,
    pub(in crate::tenant) blobs: Blobs,
    fulltext: Mutex<Option<Arc<Fulltext>>>,
    fulltext_cipher: FileCipher,
    vectors: OnceCell<Vectors>,
    vector_cipher: FileCipher,
    rotating: AtomicBool,
    /// Goes with the stores, so that watchers of a closed tenant learn of it.
    pub(in crate::tenant) events: broadcast::Sender<TenantEvent>,
}

impl Stores {
    /// Opens the tenant in `root`, and brings to its end what a release or a process before left
    /// half done. Blocks.
    pub(in crate::tenant) fn open(
        id: TenantId,
        root: &Path,
        context: &OpenContext,
    ) -> Result<Self, RegistryError> {
        let catalogue = |source| RegistryError::Catalog { tenant: id, source };
        remove_leaving(root);
        let database = root.join("tenant.db");
        let keyring = migration::keyring(id, &database, &context.keys)?;
        migration::encrypt(id, &database, &keyring)?;
        let cipher = |purpose| FileCipher::new(Arc::<Keyring>::clone(&keyring), purpose);
        let fulltext_cipher = cipher(KeyPurpose::Fulltext);
        let vector_cipher = cipher(KeyPurpose::Vectors);
        let blob_cipher = cipher(KeyPurpose::Blobs);
        if rotation::is_open(&keyring) {
            let projections = [("fulltext", &fulltext_cipher), ("vectors", &vector_cipher)];
            rotation::rotate_closed(id, root, &keyring, projections)?;
        }
        let now = context.clock.now();
        let mut catalog = Catalog::open(&database, &keyring).map_err(catalogue)?;
        let names = catalog.blob_names(now).map_err(catalogue)?;
        if catalog.is_former() {
            migration::finish(id, root, &mut catalog, &blob_cipher, &names, now)?;
        }
        let rotating = rotation::note(&catalog, &keyring, now).map_err(catalogue)?;
        let latch = Latch::default();
        let faults = context.faults.clone();
        let blobs = Blobs::open(root.join("blobs"), blob_cipher, names, latch.clone(), faults)
            .map_err(|source| RegistryError::Blobs { tenant: id, source })?;
        Ok(Self {
            root: root.to_owned(),
            epoch: keyring.current_epoch(),
            keyring: Arc::downgrade(&keyring),
            latch,
            catalog,
            blobs,
            fulltext: Mutex::new(None),
            fulltext_cipher,
            vectors: OnceCell::new(),
            vector_cipher,
            rotating: AtomicBool::new(rotating),
            events: broadcast::Sender::new(EVENT_BACKLOG),
        })
    }

    /// The full-text index, opened on first use. Blocks.
    pub(in crate::tenant) fn fulltext(&self) -> Result<Arc<Fulltext>, FulltextError> {
        let mut slot = self.fulltext.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fulltext) = slot.as_ref() {
            return Ok(fulltext.clone());
        }
        let dir = self.fulltext_dir();
        let open = || Fulltext::open(&dir, &self.fulltext_cipher, &self.latch);
        let fulltext = match open() {
            // Written by another release: it is a projection and is written anew.
            Err(FulltextError::Outdated { .. }) => {
                Fulltext::erase(&dir)?;
                open()?
            }
            opened => opened?,
        };
        let fulltext = Arc::new(fulltext);
        *slot = Some(fulltext.clone());
        Ok(fulltext)
    }

    pub(in crate::tenant) fn fulltext_dir(&self) -> PathBuf {
        self.root.join("fulltext")
    }

    /// The vector table of `model`, opened on first use.
    pub(in crate::tenant) async fn vectors(
        &self,
        model: &ModelInfo,
        settings: &VectorSettings,
    ) -> Result<Vectors, VectorError> {
        let opened = self.vectors.get_or_try_init(async || {
            let dir = self.vector_dir();
            let open = async || {
                let (cipher, latch) = (self.vector_cipher.clone(), self.latch.clone());
                Box::pin(Vectors::open(&dir, model, settings, cipher, latch)).await
            };
            match open().await {
                // Of another layout: a projection is made anew.
                Err(VectorError::Mismatch { .. }) => {
                    disk::empty_private_dir(&dir)
                        .map_err(|source| VectorError::Leftovers { path: dir.clone(), source })?;
                    open().await
                }
                opened => opened,
            }
        });
        opened.await.cloned()
    }

    pub(in crate::tenant) fn vector_dir(&self) -> PathBuf {
        self.root.join("vectors")
    }

    /// True while blobs are left under an earlier data key, or its end is not on record.
    pub(in crate::tenant) fn is_rotating(&self) -> bool {
        self.rotating.load(Ordering::Acquire)
    }

    /// Seals the blobs that are left under an earlier data key; true when none is. Blocks.
    pub(in crate::tenant) fn rotate_blobs(&self) -> std::io::Result<bool> {
        self.blobs.reseal_older(self.epoch)
    }

    /// Puts on record that the earlier data key is destroyed, with what `ended` makes of the epoch
    /// of the present one. Blocks.
    pub(in crate::tenant) fn end_rotation(
        &self,
        now: Timestamp,
        ended: impl FnOnce(u32) -> Record,
    ) -> Result<(), CatalogError> {
        let ended = ended(self.epoch);
        self.catalog.write(now, |catalog| rotation::conclude(catalog, ended))?;
        self.rotating.store(false, Ordering::Release);
        Ok(())
    }

    /// Fails every use of a store from now on, also one that has begun.
    pub(in crate::tenant) fn close_latch(&self) {
        self.latch.close();
    }

    /// The keys of the stores, as long as anybody holds them.
    pub(in crate::tenant) fn keyring(&self) -> Weak<Keyring> {
        self.keyring.clone()
    }

    /// True where nobody but the caller uses any of the stores, nor work that its caller left.
    pub(in crate::tenant) fn is_quiet(self: &Arc<Self>) -> bool {
        let fulltext = self.fulltext.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::strong_count(self) == 1
            && fulltext.as_ref().is_none_or(|fulltext| Arc::strong_count(fulltext) == 1)
            && self.vectors.get().is_none_or(Vectors::is_quiet)
            && self.blobs.is_quiet()
    }

    /// Lets merges of the full-text index finish, so that none outlives the stores.
    pub(in crate::tenant) fn settle(&self) {
        let fulltext = self.fulltext.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Err(error)) = fulltext.map(|fulltext| fulltext.release_writer()) {
            tracing::warn!("a full-text index was closed with a failed merge: {error}");
        }
    }
}

/// Removes copies of the catalogue that a process before left behind. Nothing opens them without
/// their key, which went with it, so one that stays only takes room.
fn remove_leaving(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(LEAVING_PREFIX.as_bytes())
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!("a copy of a catalogue cannot be removed: {error}");
        }
    }
}
