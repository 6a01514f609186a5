//! Where temporary files go: to memory, or nowhere.
//!
//! Called by: `cli` (before anything else starts), `appliance`. Talks to: file systems in memory,
//! the environment variable that libraries look at.
//! Invariants: nothing that a library spills lands on a disk in the clear; where no memory-backed
//! directory has room, temporary files cannot be made at all; a directory is removed with its
//! process, and one whose process was killed when the next one starts.
//! Why the environment: LanceDB and DataFusion spill vectors to the temporary directory of the
//! process and offer no other setting.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk;

/// What libraries take the temporary directory from.
const VARIABLE: &str = "TMPDIR";
/// A temporary directory in which nothing can be made.
const NOWHERE: &str = "/dev/null/no-scratch";
/// Where file systems in memory usually are.
const USUAL: [&str; 3] = ["/dev/shm", "/run/shm", "/tmp"];
/// Free bytes without which a directory is not worth having.
const LEAST_ROOM: u64 = 64 << 20;

/// Types of file systems that live in memory, as statfs has them: tmpfs and ramfs. What the
/// kernel swaps out of the first is the machine's to encrypt, like all other memory.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

const PREFIX: &str = "cairn-scratch-";

/// The process's own scratch directory, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Tells other processes that this one is alive.
    _lock: File,
}

impl Scratch {
    /// Makes a private directory below `dir`, and removes those of processes that are gone.
    fn make(dir: &Path) -> io::Result<Self> {
        remove_abandoned(dir)?;
        let id = uuid::Uuid::now_v7();
        let (path, unnamed) =
            (dir.join(format!("{PREFIX}{id}")), dir.join(format!(".{PREFIX}{id}")));
        disk::create_private_dir(&unnamed)?;
        // Named only once it is locked, so that nobody takes it for an abandoned one.
        let made = disk::lock_exclusive(&unnamed.join("lock"))
            .and_then(|lock| std::fs::rename(&unnamed, &path).map(|()| lock));
        match made {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                // It is empty but for a lock, and the error says more than this one would.
                let _ = std::fs::remove_dir_all(&unnamed);
                Err(error)
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next process.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Gives this process a temporary directory in memory, or none at all. Call it in `main` before
/// any thread is started, and keep what it returns until the end.
pub fn claim() -> Option<Scratch> {
    let configured = std::env::var_os(VARIABLE).map(PathBuf::from);
    let scratch = configured
        .into_iter()
        .chain(USUAL.map(PathBuf::from))
        .filter(|dir| has_room(dir))
        .find_map(|dir| Scratch::make(&dir).ok());
    let path = scratch.as_ref().map_or(Path::new(NOWHERE), |scratch| &scratch.path);
    // SAFETY: the process has one thread so far, so nothing reads the environment meanwhile.
    #[expect(unsafe_code, reason = "libraries take the directory from the environment only")]
    unsafe {
        std::env::set_var(VARIABLE, path);
    }
    scratch
}

/// The temporary directory of this process, if it is in memory.
pub fn of_process() -> Option<PathBuf> {
    let dir = std::env::temp_dir();
    is_in_memory(&dir).then_some(dir)
}

fn has_room(dir: &Path) -> bool {
    is_in_memory(dir) && disk::free_bytes(dir).is_ok_and(|free| free >= LEAST_ROOM)
}

fn is_in_memory(dir: &Path) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|found| IN_MEMORY.contains(&found.f_type))
}

fn remove_abandoned(dir: &Path) -> io::Result<()> {
    let own = rustix::process::getuid().as_raw();
    for entry in std::fs::read_dir(dir)?.flatten() {
        let is_scratch = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if !is_scratch || !entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own) {
            continue;
        }
        if let Ok(_lock) = disk::lock_exclusive(&entry.path().join("lock")) {
            // Another process may be doing the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_scratch_directory_is_private_and_goes_with_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(dir.path()).unwrap();
        let path = scratch.path.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("spilled"), b"vectors").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let living = Scratch::make(dir.path()).unwrap();
        let abandoned = dir.path().join("cairn-scratch-abandoned");
        std::fs::create_dir(&abandoned).unwrap();
        std::fs::write(abandoned.join("spilled"), b"vectors").unwrap();
        let foreign = dir.path().join("other-files");
        std::fs::create_dir(&foreign).unwrap();
        let own = Scratch::make(dir.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(living.path.exists() && own.path.exists() && foreign.exists());
    }

    #[test]
    fn only_file_systems_in_memory_count() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!is_in_memory(Path::new(NOWHERE)));
        assert!(tempfile::tempfile_in(NOWHERE).is_err(), "nothing can be made there");
    }
}
