//! A blob being written: sealed piece by piece, off the async threads.
//!
//! Called by: `app::ingest`, `app::index`. Talks to: `blobs/incoming`, then the blob's place.
//! Invariants: clear text is in memory only, one piece of it; a writer that was dropped leaves
//! nothing behind.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::naming::Pending;
use super::{BlobError, Blobs, path_of, place};
use crate::crypto::{SealedWriter, hex};
use crate::disk;
use crate::failpoint::Failpoint;

/// Content gathered before it is sealed and written.
const PIECE: usize = 256 << 10;

/// A blob being written.
pub struct BlobWriter {
    blobs: Blobs,
    gathered: Vec<u8>,
    /// `None` once a write has failed.
    target: Option<Target>,
    size_bytes: u64,
}

/// A stored blob that the catalogue may be about to name.
pub struct StoredBlob {
    pub digest: String,
    pub size_bytes: u64,
    _pending: Pending,
}

/// What travels to the blocking pool and back with every piece.
struct Target {
    temporary: Temporary,
    /// Made with the first piece.
    file: Option<SealedWriter<File>>,
    digest: Sha256,
}

/// A file that is removed when dropped, unless it was moved away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A leftover is harmless and swept when the tenant is opened.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Target {
    /// Blocks.
    fn write(&mut self, blobs: &Blobs, content: &[u8]) -> io::Result<()> {
        blobs.0.latch.check()?;
        self.digest.update(content);
        let file = match self.file.take() {
            Some(file) => file,
            None => blobs.0.cipher.writer(File::create_new(&self.temporary.0)?)?,
        };
        self.file.insert(file).write_all(content)
    }

    /// Seals the last chunk, and makes the file `durable` where that is wanted. Blocks.
    fn finish(&mut self, durable: bool) -> io::Result<()> {
        let Some(writer) = self.file.take() else { return Ok(()) };
        let file = writer.finish()?;
        if durable { file.sync_all() } else { Ok(()) }
    }
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs) -> Self {
        let temporary = Temporary(blobs.incoming());
        let target = Some(Target { temporary, file: None, digest: Sha256::new() });
        Self { blobs, gathered: Vec::new(), target, size_bytes: 0 }
    }

    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The disk's; `Locked` inside them once the tenant is.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.gathered.extend_from_slice(bytes);
        self.size_bytes += bytes.len() as u64;
        if self.gathered.len() < PIECE {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.gathered);
        self.gathered = self
            .with_target(move |blobs, target| {
                target.write(blobs, &piece)?;
                let mut room = piece;
                room.clear();
                Ok(room)
            })
            .await?;
        Ok(())
    }

    /// Makes the blob durable under its digest. Keep the result until the catalogue names it.
    ///
    /// # Errors
    /// The disk's; then nothing is in place.
    pub async fn finish(self) -> Result<StoredBlob, BlobError> {
        self.store(true).await
    }

    /// Puts the blob under its digest and leaves it to [`Blobs::sync`] to make a whole group of
    /// them durable, which must happen before the catalogue names one.
    ///
    /// # Errors
    /// The disk's; then nothing is in place.
    pub async fn finish_deferred(self) -> Result<StoredBlob, BlobError> {
        self.store(false).await
    }

    async fn store(mut self, durable: bool) -> Result<StoredBlob, BlobError> {
        let rest = std::mem::take(&mut self.gathered);
        let digest = self
            .with_target(move |blobs, target| {
                target.write(blobs, &rest)?;
                target.finish(durable)?;
                blobs.0.faults.pass(Failpoint::BlobWritten)?;
                Ok(hex(&target.digest.clone().finalize()))
            })
            .await?;
        let name = self.blobs.name(&digest)?;
        let pending = self.blobs.0.naming.announce(&name).await;
        self.with_target(move |blobs, target| {
            let root = &blobs.0.root;
            let path = path_of(root, &name);
            if path.exists() {
                // It may have come with a group that is not durable yet.
                if durable {
                    File::open(&path)?.sync_all()?;
                    disk::sync_dir(path.parent().unwrap_or(root))?;
                }
            } else {
                place(root, &target.temporary.0, &name, durable)?;
            }
            blobs.0.faults.pass(Failpoint::BlobStored)
        })
        .await?;
        Ok(StoredBlob { digest, size_bytes: self.size_bytes, _pending: pending })
    }

    /// Runs `work` on the blocking pool. After a failure, or when nobody waits for the outcome,
    /// the target is gone with what was written.
    async fn with_target<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Blobs, &mut Target) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let failed = |source| self.blobs.write_error(source);
        let mut target = self
            .target
            .take()
            .ok_or_else(|| failed(io::Error::other("an earlier write of this blob failed")))?;
        let blobs = self.blobs.clone();
        let (target, outcome) = tokio::task::spawn_blocking(move || {
            work(&blobs, &mut target).map(|outcome| (target, outcome))
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(failed)?;
        self.target = Some(target);
        Ok(outcome)
    }
}
