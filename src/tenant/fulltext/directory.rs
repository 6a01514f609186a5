//! `tantivy::Directory` over one directory of the tenant.
//!
//! Called by: `store`. Talks to: `files` for bytes, `disk` and the file system for names and locks.
//! Invariants: a lock dies with the process that holds it; what is written atomically, the commit
//! above all, is durable on return; nothing is memory-mapped.
//! Why no mmap: an I/O error has to be an error and not a signal, and bytes at rest are not the
//! bytes tantivy wants to see.

use std::fs::{OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use super::files::{Files, ReadFile, WriteFile};
use crate::disk;

/// Bytes gathered before a write reaches the file.
const WRITE_BUFFER: usize = 64 * 1024;

/// One tantivy index's directory.
#[derive(Clone, Debug)]
pub(super) struct IndexDirectory {
    files: Files,
}

impl IndexDirectory {
    /// The directory of `files`, made where it is missing.
    pub(super) fn open(files: Files) -> io::Result<Self> {
        disk::create_private_dir(files.root())?;
        Ok(Self { files })
    }
}

impl Directory for IndexDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        match self.files.read(path) {
            Ok(file) => Ok(Arc::new(Handle(file))),
            Err(error) => Err(read_error(error, path)),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        std::fs::remove_file(self.files.resolve(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.resolve(path).try_exists().map_err(|error| read_error(error, path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.files.create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        Ok(BufWriter::with_capacity(WRITE_BUFFER, Box::new(Writer(file))))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files
            .read(path)
            .and_then(|file| file.read(0..file.len()))
            .map_err(|error| read_error(error, path))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.files.replace(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        disk::sync_dir(self.files.root())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        // The trait's own way treats the file's existence as the lock, which outlives a crash.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.files.resolve(&lock.filepath))
            .map_err(LockError::wrap_io_error)?;
        if lock.is_blocking {
            file.lock().map_err(LockError::wrap_io_error)?;
        } else {
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => LockError::LockBusy,
                TryLockError::Error(error) => LockError::wrap_io_error(error),
            })?;
        }
        Ok(DirectoryLock::from(Box::new(file)))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        // Readers are reloaded by hand after each commit, so nobody waits for this.
        Ok(WatchHandle::empty())
    }
}

fn read_error(error: io::Error, path: &Path) -> OpenReadError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
        _ => OpenReadError::wrap_io_error(error, path.to_owned()),
    }
}

#[derive(Debug)]
struct Handle(ReadFile);

impl FileHandle for Handle {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        self.0.read(range).map(OwnedBytes::new)
    }
}

impl HasLen for Handle {
    fn len(&self) -> usize {
        self.0.len()
    }
}

struct Writer(WriteFile);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl TerminatingWrite for Writer {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.0.finish()
    }
}
