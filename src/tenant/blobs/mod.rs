//! Originals, sealed, stored once under a name made of the digest of their bytes.
//!
//! Called by: `app::ingest`, `app::index`, `app::documents`. Talks to: `blobs/`.
//! Invariants: a file in place is complete and durable; bytes are written here before the
//! catalogue names them, and removed only after it no longer does, and never while
//! an upload of the same bytes is about to name them.
//! Why a keyed name: the bare digest would tell anybody with the disk which known files a tenant
//! has. The key lies in the catalogue and is not a data key, so that rotating those renames
//! nothing.

mod arriving;
mod naming;
mod reader;
mod reseal;
mod sealing;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(in crate::tenant) use arriving::ArrivingBlobs;
pub(in crate::tenant) use naming::Hold;
use naming::Naming;
pub use reader::{BlobReader, BlobStream};
pub(in crate::tenant) use sealing::seal_plain;
pub use writer::{BlobWriter, StoredBlob};

use super::latch::{Latch, Locked};
use crate::crypto::{FileCipher, SecretKey, keyed_name};
use crate::disk;
use crate::failpoint::FaultPlan;

/// Format of the blob directory.
const FORMAT: &str = "2";
/// The format before: clear text under the bare digest.
const PLAIN_FORMAT: &str = "1";

/// A blob could not be stored, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the tenant is locked")]
    Locked(#[source] Locked),
    #[error("write blob below {dir}")]
    Write { dir: PathBuf, source: io::Error },
    #[error("read blob {digest}")]
    Read { digest: String, source: io::Error },
    #[error("remove blob {name}")]
    Remove { name: String, source: io::Error },
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

/// The blobs of one tenant. Cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    cipher: FileCipher,
    names: SecretKey,
    latch: Latch,
    faults: FaultPlan,
    naming: Arc<Naming>,
}

impl Blobs {
    /// Opens the directory `root`, making it where it is missing. Blocks.
    pub(in crate::tenant) fn open(
        root: PathBuf,
        cipher: FileCipher,
        names: SecretKey,
        latch: Latch,
        faults: FaultPlan,
    ) -> Result<Self, BlobError> {
        let failed = |source| BlobError::Write { dir: root.clone(), source };
        disk::empty_private_dir(&root.join("incoming")).map_err(failed)?;
        match read_format(&root).map_err(failed)? {
            Some(found) if found == FORMAT => {}
            Some(found) => {
                let found = found.chars().take(20).collect();
                return Err(BlobError::Format { dir: root, found });
            }
            None => write_format(&root).map_err(failed)?,
        }
        Ok(Self(Arc::new(Inner { root, cipher, names, latch, faults, naming: Arc::default() })))
    }

    /// Starts a blob. Dropping the writer discards what was written.
    ///
    /// # Errors
    /// When the tenant is locked.
    pub fn begin(&self) -> Result<BlobWriter, BlobError> {
        self.check()?;
        Ok(BlobWriter::new(self.clone()))
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// When it is absent, unreadable or was changed on disk.
    pub async fn read(&self, digest: &str) -> Result<BlobReader, BlobError> {
        self.check()?;
        let path = self.path(&self.name(digest)?);
        let (inner, wanted) = (self.0.clone(), digest.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let file = inner.cipher.reader(std::fs::File::open(path)?)?;
            BlobReader::open(file, inner.latch.clone(), &wanted)
        });
        opened
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| BlobError::Read { digest: digest.to_owned(), source })
    }

    /// Opens a blob for a thread that may block. Blocks.
    ///
    /// # Errors
    /// When it is absent, unreadable or was changed on disk.
    pub fn stream(&self, digest: &str) -> Result<BlobStream, BlobError> {
        self.check()?;
        let path = self.path(&self.name(digest)?);
        std::fs::File::open(path)
            .and_then(|file| self.0.cipher.reader(file))
            .and_then(|file| BlobStream::open(file, self.0.latch.clone(), digest))
            .map_err(|source| BlobError::Read { digest: digest.to_owned(), source })
    }

    /// Keeps every blob as it is until the result is dropped, so that all that the catalogue names
    /// now can be read; `None` where somebody does already. What was to be removed or sealed anew
    /// meanwhile waits for the next sweep or round of upkeep.
    pub(in crate::tenant) fn hold(&self) -> Option<Hold> {
        self.0.naming.hold()
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
        self.check()?;
        let name = self.name(digest)?;
        // Somebody about to name it or reading all of them keeps it; a later purge or sweep looks
        // again.
        let Some(_claim) = self.0.naming.claim(&name) else { return Ok(()) };
        if is_named().await? {
            return Ok(());
        }
        Ok(self.remove(&name).await?)
    }

    /// Makes every blob put in place so far durable, in one sweep of the file system.
    ///
    /// # Errors
    /// The disk's.
    pub async fn sync(&self) -> Result<(), BlobError> {
        self.check()?;
        let root = self.0.root.clone();
        tokio::task::spawn_blocking(move || sync_volume(&root))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| self.write_error(source))
    }

    /// True where no blob is being stored, removed or sealed anew.
    pub(in crate::tenant) fn is_quiet(&self) -> bool {
        self.0.naming.is_quiet()
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        match tokio::fs::remove_file(self.path(name)).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(BlobError::Remove { name: name.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), BlobError> {
        self.0.latch.check().map_err(BlobError::Locked)
    }

    /// The name on disk of a blob.
    fn name(&self, digest: &str) -> Result<String, BlobError> {
        if !is_digest(digest) {
            return Err(BlobError::Digest { digest: digest.to_owned() });
        }
        Ok(keyed_name(&self.0.names, digest))
    }

    fn path(&self, name: &str) -> PathBuf {
        path_of(&self.0.root, name)
    }

    /// A new file in the directory that is emptied whenever the tenant is opened.
    fn incoming(&self) -> PathBuf {
        self.0.root.join("incoming").join(uuid::Uuid::now_v7().to_string())
    }

    fn write_error(&self, source: io::Error) -> BlobError {
        BlobError::Write { dir: self.0.root.clone(), source }
    }
}

/// True for 64 hexadecimal digits.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn path_of(root: &Path, name: &str) -> PathBuf {
    root.join(&name[..2]).join(name)
}

/// The format a blob directory says it has.
fn read_format(root: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(root.join("format")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?.trim().to_owned())),
    }
}

fn write_format(root: &Path) -> io::Result<()> {
    disk::write_atomic(&root.join("format"), FORMAT.as_bytes())
}

/// Names of all files in place below `root`; an error where some cannot be listed, since a key may
/// be destroyed over what is not there. Blocks.
fn names_in(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for shard in entries(root)? {
        let shard = shard?;
        if shard.file_name().len() == 2 {
            for entry in entries(&shard.path())? {
                names.extend(entry?.file_name().into_string().ok().filter(|name| is_digest(name)));
            }
        }
    }
    Ok(names)
}

/// The entries of a directory, of which there are none where it does not exist.
fn entries(dir: &Path) -> io::Result<impl Iterator<Item = io::Result<std::fs::DirEntry>>> {
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        listed => listed.map(Some),
    }
    .map(|listed| listed.into_iter().flatten())
}

/// Bytes on disk of all blobs in place below `root`. Blocks.
pub(in crate::tenant) fn stored_bytes(root: &Path) -> u64 {
    let lengths = names_in(root)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| std::fs::metadata(path_of(root, &name)).ok())
        .map(|meta| meta.len());
    lengths.sum()
}

/// Makes everything written so far to the volume of `dir` durable.
fn sync_volume(dir: &Path) -> io::Result<()> {
    let dir = std::fs::File::open(dir)?;
    Ok(rustix::fs::syncfs(&dir)?)
}

/// Moves a finished file to its place below `root`, making the shard it belongs in. What is
/// `durable` survives a power cut when this returns.
fn place(root: &Path, source: &Path, name: &str, durable: bool) -> io::Result<()> {
    let target = path_of(root, name);
    let shard = root.join(&name[..2]);
    if !shard.exists() {
        disk::create_private_dir(&shard)?;
        disk::sync_dir(root)?;
    }
    std::fs::rename(source, target)?;
    if durable { disk::sync_dir(&shard) } else { Ok(()) }
}
