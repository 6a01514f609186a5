//! Sealed files given the current data key, one by one.
//!
//! Called by: `tenant::rotation`, `tenant::blobs`. Talks to: the files, `crypto`.
//! Invariants: at any moment the old file or the new one is in place, whole and durable, so the
//! work can be cut off anywhere and begun again; clear text is in memory only, some chunks of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::FileCipher;
use crate::disk::{self, TEMP_PREFIX};

/// Seals every file below `dir` anew that is of an epoch before `epoch`, which is the cipher's
/// own; returns how many there were. Nothing else may have one of them open for writing. Blocks.
pub(in crate::tenant) fn reseal_tree(
    dir: &Path,
    cipher: &FileCipher,
    epoch: u32,
) -> io::Result<u64> {
    let mut resealed = 0;
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for (path, is_dir) in entries(&dir)? {
            if is_dir {
                pending.push(path);
            } else if is_staged(&path) {
                std::fs::remove_file(&path)?;
            } else if is_older(&path, epoch)? {
                let fresh = dir.join(format!("{TEMP_PREFIX}{}", uuid::Uuid::now_v7()));
                reseal(&path, &fresh, cipher)?;
                std::fs::rename(&fresh, &path)?;
                disk::sync_dir(&dir)?;
                resealed += 1;
            }
        }
    }
    Ok(resealed)
}

/// Writes the content of the sealed file `path` to the new file `fresh` under the cipher's current
/// epoch, durably. Blocks.
pub(in crate::tenant) fn reseal(path: &Path, fresh: &Path, cipher: &FileCipher) -> io::Result<()> {
    let mut content = cipher.reader(File::open(path)?)?.into_stream();
    let mut writer = cipher.writer(File::create_new(fresh)?)?;
    io::copy(&mut content, &mut writer)?;
    writer.finish()?.sync_all()
}

/// True for a sealed file of an epoch before `epoch`. Files without content of ours, locks, are
/// not sealed.
pub(in crate::tenant) fn is_older(path: &Path, epoch: u32) -> io::Result<bool> {
    let file = File::open(path)?;
    Ok(file.metadata()?.len() > 0 && FileCipher::epoch_of(&file)? < epoch)
}

fn entries(dir: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let listed = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    listed
        .map(|entry| {
            let entry = entry?;
            Ok((entry.path(), entry.file_type()?.is_dir()))
        })
        .collect()
}

fn is_staged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes()))
}
