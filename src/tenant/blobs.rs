//! Originals, stored once under the digest of their bytes.
//!
//! Called by: `app::ingest`, `app::index`, `app::documents`. Talks to: `blobs/`.
//! Invariants: a file in place is complete and durable; bytes are written here before the
//! catalogue names them, and removed only after it no longer does, and never while
//! an upload of the same bytes is about to name them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::crypto::hex;
use crate::disk;
use crate::failpoint::{Failpoint, FaultPlan};

/// Format of the blob directory.
const FORMAT: &str = "1";

/// A blob could not be stored, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("write blob below {dir}")]
    Write { dir: PathBuf, source: io::Error },
    #[error("read blob {digest}")]
    Read { digest: String, source: io::Error },
    #[error("remove blob {digest}")]
    Remove { digest: String, source: io::Error },
    #[error("blobs in {dir} have format {found}; this release reads format {FORMAT}")]
    Format { dir: PathBuf, found: String },
    #[error("{digest:?} is no blob digest")]
    Digest { digest: String },
}

impl BlobError {
    /// True where the disk holding the blobs is full.
    pub fn is_storage_full(&self) -> bool {
        crate::error::is_storage_full(self)
    }
}

/// The blob directory of one tenant.
pub struct Blobs {
    root: PathBuf,
    faults: FaultPlan,
    naming: Arc<Naming>,
}

/// Which blobs are about to be named and which are about to go. The two exclude each other per
/// blob, so that nobody waits for the upload of anything else.
#[derive(Default)]
struct Naming {
    state: Mutex<NamingState>,
    removed: Notify,
}

#[derive(Default)]
struct NamingState {
    pending: HashMap<String, u32>,
    removing: HashSet<String>,
}

impl Naming {
    fn state(&self) -> MutexGuard<'_, NamingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces that a blob is about to be named, waiting while it is being removed.
    async fn announce(self: &Arc<Self>, digest: &str) -> Pending {
        loop {
            let removed = self.removed.notified();
            {
                let mut state = self.state();
                if !state.removing.contains(digest) {
                    *state.pending.entry(digest.to_owned()).or_default() += 1;
                    return Pending { naming: self.clone(), digest: digest.to_owned() };
                }
            }
            removed.await;
        }
    }

    /// Claims a blob for removal; `None` while somebody is about to name it.
    fn claim(self: &Arc<Self>, digest: &str) -> Option<Removing> {
        let mut state = self.state();
        let free = !state.pending.contains_key(digest) && state.removing.insert(digest.to_owned());
        free.then(|| Removing { naming: self.clone(), digest: digest.to_owned() })
    }
}

/// A blob about to be named, until dropped.
struct Pending {
    naming: Arc<Naming>,
    digest: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut state = self.naming.state();
        if let Some(count) = state.pending.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                state.pending.remove(&self.digest);
            }
        }
    }
}

/// A blob about to go, until dropped.
struct Removing {
    naming: Arc<Naming>,
    digest: String,
}

impl Drop for Removing {
    fn drop(&mut self) {
        self.naming.state().removing.remove(&self.digest);
        self.naming.removed.notify_waiters();
    }
}

/// A stored blob that the catalogue may be about to name.
pub struct StoredBlob {
    pub digest: String,
    pub size_bytes: u64,
    _pending: Pending,
}

impl Blobs {
    pub(in crate::tenant) fn open(root: PathBuf, faults: FaultPlan) -> Result<Self, BlobError> {
        let failed = |source| BlobError::Write { dir: root.clone(), source };
        disk::empty_private_dir(&root.join("incoming")).map_err(failed)?;
        let format = root.join("format");
        match std::fs::read_to_string(&format) {
            Ok(found) if found.trim() == FORMAT => {}
            Ok(found) => {
                let found = found.trim().chars().take(20).collect();
                return Err(BlobError::Format { dir: root, found });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk::write_atomic(&format, FORMAT.as_bytes()).map_err(failed)?;
            }
            Err(source) => return Err(failed(source)),
        }
        Ok(Self { root, faults, naming: Arc::default() })
    }

    /// Starts a blob. Dropping the writer discards what was written.
    ///
    /// # Errors
    /// When no file can be made.
    pub async fn begin(&self) -> Result<BlobWriter<'_>, BlobError> {
        let path = self.root.join("incoming").join(uuid::Uuid::now_v7().to_string());
        let file = File::create_new(&path).await.map_err(|source| self.write_error(source))?;
        Ok(BlobWriter {
            blobs: self,
            temporary: Temporary(path),
            file,
            digest: Sha256::new(),
            size_bytes: 0,
        })
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// When it is absent or unreadable.
    pub async fn read(&self, digest: &str) -> Result<File, BlobError> {
        let path = self.path(digest)?;
        File::open(path)
            .await
            .map_err(|source| BlobError::Read { digest: digest.to_owned(), source })
    }

    /// Removes a blob unless `is_named` says that the catalogue names it after all.
    ///
    /// # Errors
    /// When the file cannot be removed, or whatever `is_named` returns.
    pub async fn remove_unnamed<E: From<BlobError>>(
        &self,
        digest: &str,
        is_named: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<(), E> {
        // Somebody about to name it keeps it; a later purge looks again.
        let Some(_removing) = self.naming.claim(digest) else { return Ok(()) };
        if is_named().await? {
            return Ok(());
        }
        match tokio::fs::remove_file(self.path(digest)?).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(BlobError::Remove { digest: digest.to_owned(), source }.into())
            }
            _ => Ok(()),
        }
    }

    /// Makes every blob put in place so far durable, in one sweep of the file system.
    ///
    /// # Errors
    /// The disk's.
    pub async fn sync(&self) -> Result<(), BlobError> {
        let root = self.root.clone();
        let synced = tokio::task::spawn_blocking(move || {
            let dir = std::fs::File::open(&root)?;
            rustix::fs::syncfs(&dir).map_err(io::Error::from)
        })
        .await
        .map_err(|_| {
            self.write_error(io::Error::other("the task that synced blobs ended early"))
        })?;
        synced.map_err(|source| self.write_error(source))
    }

    /// Digests of all blobs in place, for the sweep after a crash. Blocks.
    pub fn digests(&self) -> Vec<String> {
        let Ok(shards) = std::fs::read_dir(&self.root) else {
            return Vec::new();
        };
        shards
            .flatten()
            .filter(|shard| shard.file_name().len() == 2)
            .filter_map(|shard| std::fs::read_dir(shard.path()).ok())
            .flat_map(Iterator::flatten)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Bytes of all blobs in place. Blocks.
    pub fn bytes(&self) -> u64 {
        let sizes = self.digests().into_iter().filter_map(|digest| {
            let meta = std::fs::metadata(self.path(&digest).ok()?).ok()?;
            Some(meta.len())
        });
        sizes.sum()
    }

    fn path(&self, digest: &str) -> Result<PathBuf, BlobError> {
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BlobError::Digest { digest: digest.to_owned() });
        }
        Ok(self.root.join(&digest[..2]).join(digest))
    }

    fn write_error(&self, source: io::Error) -> BlobError {
        BlobError::Write { dir: self.root.clone(), source }
    }
}

/// A blob being written.
pub struct BlobWriter<'a> {
    blobs: &'a Blobs,
    temporary: Temporary,
    file: File,
    digest: Sha256,
    size_bytes: u64,
}

/// A file that is removed when dropped, unless it was moved away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A leftover is harmless and swept at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl BlobWriter<'_> {
    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The disk's.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).await.map_err(|source| self.blobs.write_error(source))?;
        self.digest.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes the blob durable under its digest. Keep the result until the catalogue names it.
    ///
    /// # Errors
    /// The disk's; then nothing is in place.
    pub async fn finish(self) -> Result<StoredBlob, BlobError> {
        self.place(true).await
    }

    /// Puts the blob under its digest and leaves it to [`Blobs::sync`] to make a whole group of
    /// them durable, which must happen before the catalogue names one.
    ///
    /// # Errors
    /// The disk's; then nothing is in place.
    pub async fn finish_deferred(self) -> Result<StoredBlob, BlobError> {
        self.place(false).await
    }

    async fn place(mut self, durable: bool) -> Result<StoredBlob, BlobError> {
        let failed = |source| self.blobs.write_error(source);
        self.file.flush().await.map_err(failed)?;
        if durable {
            self.file.sync_all().await.map_err(failed)?;
        }
        self.blobs.faults.pass(Failpoint::BlobWritten).map_err(failed)?;
        let digest = hex(&self.digest.clone().finalize());
        let pending = self.blobs.naming.announce(&digest).await;
        let target = self.blobs.path(&digest)?;
        let shard = target.parent().map(Path::to_owned).unwrap_or_default();
        let (root, source) = (self.blobs.root.clone(), self.temporary.0.clone());
        tokio::task::spawn_blocking(move || -> io::Result<()> {
            if target.exists() {
                // It may have come with a group that is not durable yet.
                if durable {
                    std::fs::File::open(&target)?.sync_all()?;
                    disk::sync_dir(&shard)?;
                }
                return Ok(());
            }
            if !shard.exists() {
                disk::create_private_dir(&shard)?;
                disk::sync_dir(&root)?;
            }
            std::fs::rename(&source, &target)?;
            if durable { disk::sync_dir(&shard) } else { Ok(()) }
        })
        .await
        .map_err(|_| failed(io::Error::other("the task that stored a blob ended early")))?
        .map_err(failed)?;
        self.blobs.faults.pass(Failpoint::BlobStored).map_err(failed)?;
        Ok(StoredBlob { digest, size_bytes: self.size_bytes, _pending: pending })
    }
}
