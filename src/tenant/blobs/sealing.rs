//! Blobs of the format before, clear text under bare digests, sealed into a new directory.
//!
//! Called by: `tenant::migration`. Talks to: `blobs/`, and `blobs.sealing/` beside it.
//! Invariants: a clear-text blob is removed only when its sealed form is in place and durable, so
//! the work can be cut off anywhere and begun again, and needs room for one group more than there
//! is; the new directory takes the old one's place when nothing is left in that.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{
    BlobError, FORMAT, PLAIN_FORMAT, names_in, path_of, place, read_format, sync_volume,
    write_format,
};
use crate::crypto::{FileCipher, SecretKey, keyed_name};
use crate::disk;

/// Blobs sealed before they are made durable together.
const GROUP: usize = 256;

/// Seals every blob in `root`, whose parent is the tenant's directory. Nothing may have it open.
/// Harmless where it was done before. Blocks.
pub(in crate::tenant) fn seal_plain(
    root: &Path,
    cipher: &FileCipher,
    names: &SecretKey,
) -> Result<(), BlobError> {
    let failed = |source| BlobError::Write { dir: root.to_owned(), source };
    match read_format(root).map_err(failed)? {
        Some(found) if found == FORMAT => Ok(()),
        // No format: it was never used, or it is gone and the new one has not come yet.
        Some(found) if found != PLAIN_FORMAT => {
            Err(BlobError::Format { dir: root.to_owned(), found })
        }
        _ => seal_all(root, cipher, names).map_err(failed),
    }
}

fn seal_all(root: &Path, cipher: &FileCipher, names: &SecretKey) -> io::Result<()> {
    let sealing = root.with_extension("sealing");
    let incoming = sealing.join("incoming");
    disk::create_private_dir(&sealing)?;
    disk::empty_private_dir(&incoming)?;
    for group in names_in(root)?.chunks(GROUP) {
        for digest in group {
            let fresh = incoming.join(digest);
            let mut writer = cipher.writer(File::create_new(&fresh)?)?;
            io::copy(&mut File::open(path_of(root, digest))?, &mut writer)?;
            writer.finish()?;
            place(&sealing, &fresh, &keyed_name(names, digest), false)?;
        }
        sync_volume(&sealing)?;
        for digest in group {
            std::fs::remove_file(path_of(root, digest))?;
        }
    }
    write_format(&sealing)?;
    let dir = root.parent().unwrap_or(root);
    match std::fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => disk::sync_dir(dir)?,
    }
    std::fs::rename(&sealing, root)?;
    disk::sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::KeyPurpose;
    use crate::tenant::testing;

    fn plain(root: &Path, digest: &str, content: &str) {
        let path = path_of(root, digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn sealed(root: &Path, names: &SecretKey, digest: &str) -> Vec<u8> {
        let bytes = std::fs::read(path_of(root, &keyed_name(names, digest))).unwrap();
        testing::cipher(KeyPurpose::Blobs).open(&bytes).unwrap()
    }

    #[test]
    fn blobs_are_sealed_under_new_names_also_after_an_interruption() {
        let tenant = tempfile::tempdir().unwrap();
        let root = tenant.path().join("blobs");
        let (cipher, names) = (testing::cipher(KeyPurpose::Blobs), SecretKey::from_bytes([9; 32]));
        let digests: Vec<String> = (0..5).map(|n| format!("{n}{}", "a".repeat(63))).collect();
        std::fs::create_dir_all(root.join("incoming")).unwrap();
        std::fs::write(root.join("format"), "1").unwrap();
        for digest in &digests {
            plain(&root, digest, &format!("marker of {digest}"));
        }
        // Cut off: one blob is sealed and its clear text still there, one is sealed and gone,
        // another was on its way.
        let sealing = tenant.path().join("blobs.sealing");
        std::fs::create_dir_all(sealing.join("incoming")).unwrap();
        std::fs::write(sealing.join("incoming").join(&digests[2]), b"CAIRN").unwrap();
        for digest in &digests[..2] {
            let content = cipher.seal(format!("marker of {digest}").as_bytes()).unwrap();
            let name = keyed_name(&names, digest);
            std::fs::create_dir_all(sealing.join(&name[..2])).unwrap();
            std::fs::write(path_of(&sealing, &name), content).unwrap();
        }
        std::fs::remove_file(path_of(&root, &digests[1])).unwrap();

        for _ in 0..2 {
            seal_plain(&root, &cipher, &names).unwrap();
            for digest in &digests {
                assert_eq!(sealed(&root, &names, digest), format!("marker of {digest}").as_bytes());
            }
        }
        assert!(!sealing.exists());
        assert_eq!(testing::shows(tenant.path(), "marker"), None);
        assert_eq!(names_in(&root).unwrap().len(), 5);
    }

    #[test]
    fn a_crash_between_removing_the_old_directory_and_naming_the_new_is_mended() {
        let tenant = tempfile::tempdir().unwrap();
        let root = tenant.path().join("blobs");
        let (cipher, names) = (testing::cipher(KeyPurpose::Blobs), SecretKey::from_bytes([9; 32]));
        let digest = "b".repeat(64);
        plain(&root, &digest, "content");
        seal_plain(&root, &cipher, &names).unwrap();
        std::fs::rename(&root, tenant.path().join("blobs.sealing")).unwrap();
        seal_plain(&root, &cipher, &names).unwrap();
        assert_eq!(sealed(&root, &names, &digest), b"content");
    }

    #[test]
    fn a_format_that_is_not_known_is_left_alone() {
        let tenant = tempfile::tempdir().unwrap();
        let root = tenant.path().join("blobs");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("format"), "55").unwrap();
        let (cipher, names) = (testing::cipher(KeyPurpose::Blobs), SecretKey::from_bytes([9; 32]));
        let refused = seal_plain(&root, &cipher, &names);
        assert!(matches!(refused, Err(BlobError::Format { found, .. }) if found == "55"));
    }
}
