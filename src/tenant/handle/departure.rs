//! Everything of a tenant as it was at one moment, for an archive.
//!
//! Called by: `app::transfer`. Talks to: a copy of the catalogue, the originals, the audit trail.
//! Invariants: catalogue, originals and the end of the trail belong to one moment, whatever goes on
//! meanwhile; the copy of the catalogue lies sealed under a key of its own and goes with this
//! value; a tenant has one of them at a time.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::{TenantHandle, Unlocked};
use crate::audit::{ChainEnd, Entry};
use crate::auth::Manage;
use crate::crypto::SecretKey;
use crate::tenant::blobs::{BlobError, BlobStream, Blobs, Hold};
use crate::tenant::catalog::{Amounts, CatalogCopy, CatalogError};
use crate::tenant::stores::LEAVING_PREFIX;

/// A tenant's content on its way out.
pub struct Departure {
    copy: CatalogCopy,
    key: SecretKey,
    blobs: Blobs,
    inner: Arc<Unlocked>,
    staged: Staged,
    _hold: Hold,
}

/// A file that goes when this is dropped.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // A leftover is swept when the tenant is opened.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl TenantHandle<Manage> {
    /// Takes everything down as it is now; `None` while an earlier one is on its way. Blocks,
    /// perhaps for long; work goes on meanwhile.
    ///
    /// # Errors
    /// When the catalogue cannot be copied.
    pub fn depart(&self) -> Result<Option<Departure>, CatalogError> {
        let stores = self.inner.stores().map_err(CatalogError::Locked)?;
        let blobs = stores.blobs.clone();
        // Before the catalogue is looked at: what it names then stays.
        let Some(hold) = blobs.hold() else { return Ok(None) };
        self.inner.commit_audit(&stores)?;
        let name = format!("{LEAVING_PREFIX}{}.db", uuid::Uuid::now_v7());
        let staged = Staged(self.inner.root.join(name));
        let key = SecretKey::generate().map_err(CatalogError::Random)?;
        let copy = stores.catalog.copy_to(&staged.0, &key)?;
        let inner = self.inner.clone();
        Ok(Some(Departure { copy, key, blobs, inner, staged, _hold: hold }))
    }
}

impl Departure {
    /// The key that opens the copy of the catalogue.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// What there is of documents and originals.
    pub fn amounts(&self) -> Amounts {
        self.copy.amounts
    }

    /// How many originals there are.
    pub fn originals(&self) -> u64 {
        self.copy.originals
    }

    /// Digests of originals in order, after `after`. Blocks.
    ///
    /// # Errors
    /// When the copy cannot be read.
    pub fn digests(&self, after: &str, limit: usize) -> Result<Vec<String>, CatalogError> {
        self.copy.digests(after, limit)
    }

    /// Opens an original. Blocks.
    ///
    /// # Errors
    /// When it is absent or damaged, or the tenant was closed.
    pub fn original(&self, digest: &str) -> Result<BlobStream, BlobError> {
        self.blobs.stream(digest)
    }

    /// Name of the audit chain.
    pub fn chain(&self) -> &str {
        &self.copy.chain
    }

    /// Where the audit chain ends.
    pub fn end(&self) -> &ChainEnd {
        &self.copy.end
    }

    /// Entries of the audit chain from `first` on up to its end. Blocks.
    ///
    /// # Errors
    /// When they cannot be read, or the tenant was closed.
    pub fn entries(&self, first: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let stores = self.inner.stores().map_err(CatalogError::Locked)?;
        // Entries never change, so it does not matter that others came since.
        let mut entries = stores.catalog.read_trail(|trail| trail.stretch(first, limit))?;
        entries.retain(|entry| entry.sequence <= self.copy.end.sequence);
        Ok(entries)
    }

    /// The file that holds the catalogue. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn catalogue(&self) -> std::io::Result<File> {
        File::open(&self.staged.0)
    }
}
