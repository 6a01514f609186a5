//! Originals of a tenant that does not exist yet, sealed as they come out of an archive.
//!
//! Called by: `tenant::registry`. Talks to: `blobs/` of a tenant that nobody else knows of.
//! Invariants: what is kept has the length and the digest it was announced with; clear text is in
//! memory only, one piece of it; nothing is durable before [`ArrivingBlobs::sync`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{is_digest, path_of, place, sync_volume};
use crate::crypto::{FileCipher, SecretKey, hex, keyed_name};
use crate::disk;

/// Content read and sealed at a time.
const PIECE: usize = 256 << 10;

/// Originals that arrive.
pub(in crate::tenant) struct ArrivingBlobs {
    root: PathBuf,
    cipher: FileCipher,
    names: SecretKey,
    count: u64,
}

impl ArrivingBlobs {
    /// Makes the directory `root`. Blocks.
    pub(in crate::tenant) fn open(
        root: PathBuf,
        cipher: FileCipher,
        names: SecretKey,
    ) -> io::Result<Self> {
        disk::create_private_dir(&root.join("incoming"))?;
        Ok(Self { root, cipher, names, count: 0 })
    }

    /// How many came.
    pub(in crate::tenant) fn count(&self) -> u64 {
        self.count
    }

    /// Takes an original in; false where it is not `length` bytes with this digest, or comes
    /// again. Blocks.
    pub(in crate::tenant) fn take(
        &mut self,
        digest: &str,
        length: u64,
        content: &mut dyn Read,
    ) -> io::Result<bool> {
        if !is_digest(digest) {
            return Ok(false);
        }
        let name = keyed_name(&self.names, digest);
        if path_of(&self.root, &name).exists() {
            return Ok(false);
        }
        let fresh = self.root.join("incoming").join(&name);
        if self.seal(&fresh, content)? == (length, digest.to_owned()) {
            place(&self.root, &fresh, &name, false)?;
            self.count += 1;
            Ok(true)
        } else {
            std::fs::remove_file(&fresh)?;
            Ok(false)
        }
    }

    /// Seals content into a new file; its length and digest.
    fn seal(&self, fresh: &Path, content: &mut dyn Read) -> io::Result<(u64, String)> {
        let mut file = self.cipher.writer(File::create_new(fresh)?)?;
        let (mut digest, mut length) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE];
        loop {
            let read = match content.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            file.write_all(&piece[..read])?;
            length += read as u64;
        }
        file.finish()?;
        Ok((length, hex(&digest.finalize())))
    }

    /// True where an original of this digest and length has come. Blocks.
    pub(in crate::tenant) fn holds(&self, digest: &str, length: u64) -> io::Result<bool> {
        if !is_digest(digest) {
            return Ok(false);
        }
        match std::fs::metadata(path_of(&self.root, &keyed_name(&self.names, digest))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(found?.len() == FileCipher::sealed_len(length)),
        }
    }

    /// Makes all of them durable. Blocks.
    pub(in crate::tenant) fn sync(&self) -> io::Result<()> {
        sync_volume(&self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::KeyPurpose;
    use crate::tenant::testing;

    #[test]
    fn only_what_is_as_announced_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let names = SecretKey::from_bytes([9; 32]);
        let cipher = testing::cipher(KeyPurpose::Blobs);
        let mut blobs = ArrivingBlobs::open(dir.path().join("blobs"), cipher, names).unwrap();
        let content = b"marker of an original";
        let digest = hex(&Sha256::digest(content));
        let other = hex(&Sha256::digest(b"another"));
        let mut take = |digest: &str, length| blobs.take(digest, length, &mut &content[..]);
        for wrong in [other.as_str(), "../../up", ""] {
            assert!(!take(wrong, content.len() as u64).unwrap(), "{wrong:?}");
        }
        assert!(!take(&digest.to_uppercase(), content.len() as u64).unwrap());
        assert!(!take(&digest, 5).unwrap());
        assert!(take(&digest, content.len() as u64).unwrap());
        assert!(!take(&digest, content.len() as u64).unwrap(), "again");
        assert_eq!(blobs.count(), 1);
        assert!(blobs.holds(&digest, content.len() as u64).unwrap());
        assert!(!blobs.holds(&digest, 5).unwrap());
        assert!(!blobs.holds(&other, 7).unwrap());
        blobs.sync().unwrap();
        assert_eq!(testing::files(dir.path()).len(), 1);
        assert_eq!(testing::shows(dir.path(), "marker"), None);
    }
}
