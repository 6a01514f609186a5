//! Writing over what held a key, before the disk forgets where it lay.
//!
//! Called by: `keys`. Talks to: the file system.
//! Invariants: bytes are written over only where no other name (a backup of hard links, say)
//! still leads to them, except when the key is meant to be destroyed.
//! Why: it is a second line. Drives and copying file systems may keep old blocks, so wrapped keys
//! are all that ever lies here, and the KEK lies elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{KeyError, failed};
use crate::disk;

/// Replaces a file in one step and then overwrites what it held before.
pub(in crate::keys) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let old = OpenOptions::new().write(true).open(path).ok();
    disk::write_atomic(path, bytes).map_err(failed("write", path))?;
    if let Some(old) = old
        && old.metadata().is_ok_and(|meta| meta.nlink() == 0)
    {
        overwrite(&old).map_err(failed("erase", path))?;
    }
    Ok(())
}

/// Overwrites a file and removes it, durably. Absence is no error: a repeated deletion ends well.
pub(in crate::keys) fn destroy(path: &Path) -> Result<(), KeyError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", path)(error)),
    };
    overwrite(&file)
        .and_then(|()| fs::remove_file(path))
        .and_then(|()| path.parent().map_or(Ok(()), disk::sync_dir))
        .map_err(failed("erase", path))
}

/// Destroys what a crash left of files that were being written.
pub(in crate::keys) fn destroy_leftovers(dir: &Path) -> Result<(), KeyError> {
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let entry = entry.map_err(failed("list", dir))?;
        if entry.file_name().as_encoded_bytes().starts_with(disk::TEMP_PREFIX.as_bytes()) {
            destroy(&entry.path())?;
        }
    }
    Ok(())
}

fn overwrite(mut file: &File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // Key files are small; whatever else stands there is not worth the memory.
    file.write_all(&vec![0; length.min(1 << 20)])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_held_before_is_overwritten_unless_a_backup_still_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(&path, b"first").unwrap();
        let mut first = File::open(&path).unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(io::read_to_string(&mut first).unwrap(), "\0\0\0\0\0");

        let backup = dir.path().join("backup");
        fs::hard_link(&path, &backup).unwrap();
        replace(&path, b"third").unwrap();
        assert_eq!(fs::read(&backup).unwrap(), b"second");
        assert_eq!(fs::read(&path).unwrap(), b"third");
    }

    #[test]
    fn destroying_overwrites_even_what_has_another_name_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a.json"), dir.path().join("link"));
        fs::write(&path, b"secret").unwrap();
        fs::hard_link(&path, &link).unwrap();
        destroy(&path).unwrap();
        destroy(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&link).unwrap(), [0; 6]);
    }

    #[test]
    fn leftovers_of_a_crash_go_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".tmp-abc", "a.json", "tmp-b"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        destroy_leftovers(dir.path()).unwrap();
        assert!(!dir.path().join(".tmp-abc").exists());
        assert!(dir.path().join("a.json").exists() && dir.path().join("tmp-b").exists());
    }
}
