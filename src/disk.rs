//! Durable file operations: what is acknowledged has reached the disk.
//!
//! Called by: `keys`, `system`, `tenant`, `appliance`. Talks to: the file system.
//! Invariants: a file written here is either complete under its final name or absent.

mod devices;
mod hidden;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub use devices::{clear_swap_areas, on_one_disk};
pub use hidden::{is_hidden, is_left_alone, is_mail_folder};

/// How names of files begin that are not complete yet; after a crash they may be left over.
pub const TEMP_PREFIX: &str = ".tmp-";

/// Creates a directory and its parents, private to the owner.
///
/// # Errors
/// The operating system's, with the path left to the caller to name.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // One that somebody made before may be open to others.
    let permissions = fs::metadata(path)?.permissions();
    match permissions.mode() & 0o077 {
        0 => Ok(()),
        _ => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
    }
}

/// Makes a private directory that holds nothing, whatever was there before.
///
/// # Errors
/// The operating system's.
pub fn empty_private_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create_private_dir(path),
    }
}

/// Makes a directory's entries durable.
///
/// # Errors
/// The operating system's.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces `path` by `bytes` in one step that survives power loss; readable by the owner only.
///
/// # Errors
/// The operating system's; on error the old content is still there.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    synced_beside(dir, bytes)?.persist(path).map_err(|failed| failed.error)?;
    sync_dir(dir)
}

/// Makes `path` with `bytes` in one step that survives power loss; readable by the owner only.
///
/// # Errors
/// `AlreadyExists` where something has that name; else the operating system's.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    synced_beside(dir, bytes)?.persist_noclobber(path).map_err(|failed| failed.error)?;
    sync_dir(dir)
}

fn synced_beside(dir: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(TEMP_PREFIX).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Takes an exclusive lock on a file that lives as long as the returned handle.
///
/// # Errors
/// `WouldBlock` while another process holds it; else the operating system's.
pub fn lock_exclusive(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Bytes an unprivileged process may still write on the volume of `path`.
///
/// # Errors
/// The operating system's.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes in all regular files below `path`; what vanishes meanwhile counts as nothing.
pub fn tree_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => tree_bytes(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |meta| meta.len()),
            _ => 0,
        })
        .sum()
}

/// Regular files below `path` that are not hidden and in no hidden folder, `most` of them at most;
/// links are not followed.
pub fn count_files(path: &Path, most: u64) -> u64 {
    let mut folders = vec![path.to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if files >= most {
                return files;
            }
            if is_left_alone(&entry.path()) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files += 1,
                _ => {}
            }
        }
    }
    files
}

/// A file name as text. One that is not UTF-8 has its odd bytes written as `%XX` and its percent
/// signs as `%25`, so that two names never become one.
pub fn name_text(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Space kept back on a volume, so that removing and shutting down still work when it is full.
pub struct Reserve {
    path: std::path::PathBuf,
    bytes: u64,
}

impl Reserve {
    /// A reserve of `bytes` in the file `path`, which may not be there yet.
    pub fn new(path: std::path::PathBuf, bytes: u64) -> Self {
        Self { path, bytes }
    }

    /// Takes the space, unless it is held already or the volume has little more than it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn hold(&self) -> io::Result<()> {
        let held = fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= self.bytes);
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        if held || free_bytes(dir)? < self.bytes * 4 {
            return Ok(());
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        // Allocated for real: a sparse file would reserve nothing.
        let filled =
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, self.bytes);
        if filled.is_err() {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    /// Gives the space back; true where there was any.
    pub fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}
