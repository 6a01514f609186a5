//! The byte layer under the index: how the bytes of one index file are read and written at rest.
//!
//! Called by: `directory`. Talks to: `crypto`, `disk`, the file system.
//! Invariants: nothing outside this file opens an index file; every file is sealed, the atomic
//! ones included; every read names its range. Lengths are those of the content, whatever the file
//! around it measures. Decrypted bytes are kept in the one bounded cache of the index, which goes
//! with it; nothing is read or written once the tenant was closed.
//! Why a cache: tantivy reads many short ranges, and a chunk costs the same to decrypt for one
//! byte as for all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache::{ChunkCache, FileKey};
use crate::crypto::{FileCipher, SealedReader, SealedWriter};
use crate::disk;
use crate::tenant::latch::Latch;

/// What is decrypted and kept at a time: a chunk of the sealed format.
const CHUNK: u64 = 32 << 10;

/// Reads of more than this are of a whole segment, by a merge, and pass the cache by.
const LONG_READ: u64 = 8 * CHUNK;

/// The sealed files of one index.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: Arc<PathBuf>,
    cipher: FileCipher,
    latch: Latch,
    cache: Arc<ChunkCache>,
}

impl Files {
    pub(super) fn new(root: &Path, cipher: FileCipher, latch: Latch) -> Self {
        Self { root: Arc::new(root.to_owned()), cipher, latch, cache: Arc::default() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<ReadFile> {
        self.latch.check()?;
        let sealed = self.cipher.reader(File::open(self.resolve(path))?)?;
        let len = usize::try_from(sealed.len()).map_err(io::Error::other)?;
        let key = self.cache.new_file();
        Ok(ReadFile { sealed, len, key, latch: self.latch.clone(), cache: self.cache.clone() })
    }

    /// Starts a file. Fails with `AlreadyExists` where it is there: index files are never
    /// rewritten.
    pub(super) fn create(&self, path: &Path) -> io::Result<WriteFile> {
        self.latch.check()?;
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.resolve(path))?;
        let sealed = Some(self.cipher.writer(file)?);
        Ok(WriteFile { sealed, latch: self.latch.clone() })
    }

    /// Replaces a file as a whole and durably. A reader sees the old content or the new.
    pub(super) fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.latch.check()?;
        disk::write_atomic(&self.resolve(path), &self.cipher.seal(content)?)
    }
}

/// An index file open for reading. Stays readable after the file is unlinked.
#[derive(Debug)]
pub(super) struct ReadFile {
    sealed: SealedReader,
    len: usize,
    key: FileKey,
    latch: Latch,
    cache: Arc<ChunkCache>,
}

impl ReadFile {
    /// Length of the content in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of `range`; an error where the range leaves the content.
    pub(super) fn read(&self, range: Range<usize>) -> io::Result<Vec<u8>> {
        self.latch.check()?;
        let (start, end) = (range.start as u64, range.end as u64);
        if start >= end || end > self.sealed.len() || end - start > LONG_READ {
            return self.sealed.read_at(start..end);
        }
        let mut bytes = Vec::with_capacity(range.len());
        for number in start / CHUNK..end.div_ceil(CHUNK) {
            let first = number * CHUNK;
            let chunk = self.cache.get(self.key, number, || {
                self.sealed.read_at(first..self.sealed.len().min(first + CHUNK))
            })?;
            let within = |at: u64| at.saturating_sub(first).min(chunk.len() as u64) as usize;
            bytes.extend_from_slice(&chunk[within(start)..within(end)]);
        }
        Ok(bytes)
    }
}

impl Drop for ReadFile {
    fn drop(&mut self) {
        self.cache.forget(self.key);
    }
}

/// An index file being written, front to back, once.
#[derive(Debug)]
pub(super) struct WriteFile {
    /// `None` once the file is finished.
    sealed: Option<SealedWriter<File>>,
    latch: Latch,
}

impl WriteFile {
    /// Seals the end and makes the content durable. The directory entry is the caller's to sync.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.latch.check()?;
        match self.sealed.take() {
            Some(sealed) => sealed.finish()?.sync_data(),
            None => Err(finished()),
        }
    }
}

impl Write for WriteFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.latch.check()?;
        self.sealed.as_mut().ok_or_else(finished)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is not a whole chunk yet cannot be sealed yet.
        Ok(())
    }
}

fn finished() -> io::Error {
    io::Error::other("the index file was finished before")
}
