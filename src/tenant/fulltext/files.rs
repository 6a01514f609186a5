//! The byte layer under the index: how the bytes of one index file are read and written at rest.
//!
//! Called by: `directory`. Talks to: `disk`, the file system.
//! Invariants: nothing outside this file opens an index file, and every read names its range, so
//! this file alone changes when the bytes at rest do. Lengths are those of the content, whatever
//! the file around it measures.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::disk;

/// An index file open for reading. Stays readable after the file is unlinked.
#[derive(Debug)]
pub(super) struct ReadFile {
    file: File,
    len: usize,
}

impl ReadFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Self { file, len })
    }

    /// Length of the content in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of `range`; an error where the range leaves the content.
    pub(super) fn read(&self, range: Range<usize>) -> io::Result<Vec<u8>> {
        if range.start > range.end || range.end > self.len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("bytes {range:?} asked of a file of {} bytes", self.len),
            ));
        }
        let mut bytes = vec![0; range.len()];
        self.file.read_exact_at(&mut bytes, range.start as u64)?;
        Ok(bytes)
    }
}

/// An index file being written, front to back, once.
#[derive(Debug)]
pub(super) struct WriteFile(File);

impl WriteFile {
    /// Fails with `AlreadyExists` where the file is there: index files are never rewritten.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(Self)
    }

    /// Makes the content durable. The directory entry is the caller's to sync.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Write for WriteFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Replaces the file at `path` as a whole and durably. A reader sees the old content or the new.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    disk::write_atomic(path, content)
}
