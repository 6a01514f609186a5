//! Blobs given the current data key, beside everything else that goes on.
//!
//! Called by: `tenant::rotation`. Talks to: `blobs/`.
//! Invariants: a blob is claimed while it is sealed anew, so that it is neither removed nor named
//! meanwhile; readers that have the old file open read it to its end.

use std::io;

use super::{Blobs, names_in, path_of};
use crate::disk;
use crate::tenant::reseal::{is_older, reseal};

impl Blobs {
    /// Seals every blob anew that is of an epoch before `epoch`, which is the cipher's own. True
    /// when none is left, false where some were in use or cannot be read. Blocks.
    pub(in crate::tenant) fn reseal_older(&self, epoch: u32) -> io::Result<bool> {
        let mut all = true;
        for name in names_in(&self.0.root)? {
            self.0.latch.check()?;
            match self.reseal_if_older(&name, epoch) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    // What cannot be read with the old key goes under no new one. The old key
                    // stays for as long as it does.
                    tracing::error!(name, "a blob is damaged and keeps its old key: {error}");
                    all = false;
                }
                resealed => all &= resealed?,
            }
        }
        Ok(all)
    }

    fn reseal_if_older(&self, name: &str, epoch: u32) -> io::Result<bool> {
        let path = path_of(&self.0.root, name);
        match is_older(&path, epoch) {
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            older => {
                if !older? {
                    return Ok(true);
                }
            }
        }
        let Some(_claim) = self.0.naming.claim(name) else { return Ok(false) };
        let fresh = self.incoming();
        match reseal(&path, &fresh, &self.0.cipher) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            resealed => resealed?,
        }
        std::fs::rename(&fresh, &path)?;
        disk::sync_dir(path.parent().unwrap_or(&self.0.root))?;
        Ok(true)
    }
}
