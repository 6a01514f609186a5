//! The key-encryption key (KEK): the one secret that opens everything, its id and its key file.
//!
//! Called by: `keys`, `cli`. Talks to: the key file.
//! Invariants: a key file is readable by its owner only and is never overwritten, except by a
//! rotation; the id tells a wrong key from a damaged one and says nothing about the key.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

use ring::hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyError, failed};
use crate::crypto::{RandomError, SecretKey, hex, unhex};
use crate::disk;

/// What a key file begins with: the kind and version of the line.
const PREFIX: &str = "cairn-kek-1 ";
/// More than any key file holds.
const MAX_FILE_BYTES: u64 = 1024;
/// Bits of the mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// A key-encryption key. Its `Debug` shows the id only.
#[derive(Clone)]
pub struct Kek {
    key: SecretKey,
    id: KekId,
}

impl Kek {
    /// A new random KEK.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, RandomError> {
        SecretKey::generate().map(Self::from_key)
    }

    /// The KEK with this key.
    pub fn from_key(key: SecretKey) -> Self {
        let id = KekId::of(&key);
        Self { key, id }
    }

    /// The key itself, for wrapping.
    pub(in crate::keys) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Recognises this key without telling anything about it.
    pub fn id(&self) -> KekId {
        self.id
    }

    /// The line a key file or a systemd credential holds.
    pub fn to_line(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex(self.key.expose()));
        Zeroizing::new(format!("{PREFIX}{}\n", *digits))
    }

    /// Reads such a line; `None` where it is anything else.
    pub fn from_line(line: &str) -> Option<Self> {
        let digits = line.trim_ascii_end().strip_prefix(PREFIX)?;
        let bytes = Zeroizing::new(unhex(digits)?);
        SecretKey::from_slice(&bytes).map(Self::from_key)
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({})", self.id)
    }
}

/// Names a KEK: 16 hexadecimal digits. No secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KekId([u8; 8]);

impl KekId {
    fn of(key: &SecretKey) -> Self {
        let mut derived = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"cairn")
            .extract(key.expose())
            .expand(&[b"kek id 1"], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(derived.as_mut_slice()))
            .expect("invariant: HKDF-SHA256 gives 32 bytes");
        let digest = Sha256::digest(derived.as_slice());
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }

    /// The id from its bytes, as a share carries them.
    pub(in crate::keys) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub(in crate::keys) fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not the id of a key.
#[derive(Debug, thiserror::Error)]
#[error("a key id has 16 hexadecimal digits")]
pub struct NotAKekId;

impl FromStr for KekId {
    type Err = NotAKekId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = unhex(text).ok_or(NotAKekId)?;
        bytes.try_into().map(Self).map_err(|_| NotAKekId)
    }
}

impl From<KekId> for String {
    fn from(id: KekId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KekId {
    type Error = NotAKekId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Reads a key file.
///
/// # Errors
/// `KekMissing`, `Permissions` where others than its owner may use it, `Damaged` where it holds
/// anything but one key.
pub fn read_key_file(path: &Path) -> Result<Kek, KeyError> {
    let file = open_key(path)?;
    let meta = file.metadata().map_err(failed("read", path))?;
    if meta.mode() & OTHERS != 0 {
        return Err(KeyError::Permissions { path: path.to_owned() });
    }
    parse_key(file, path)
}

/// Reads a credential that systemd handed over. Its mode is systemd's affair: access may be
/// granted by an ACL, which shows up as bits for the group.
pub(in crate::keys) fn read_credential(path: &Path) -> Result<Kek, KeyError> {
    parse_key(open_key(path)?, path)
}

fn open_key(path: &Path) -> Result<File, KeyError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyError::KekMissing { path: path.to_owned() },
        _ => failed("read", path)(source),
    })
}

fn parse_key(file: File, path: &Path) -> Result<Kek, KeyError> {
    // Room for all that is read: a string that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize));
    let read = file.take(MAX_FILE_BYTES).read_to_string(&mut text);
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    Kek::from_line(&text).ok_or_else(|| KeyError::Damaged { path: path.to_owned() })
}

/// Writes a key file that is not there yet, with its folder.
///
/// # Errors
/// `KekExists` where something has that name: it may open another home.
pub fn write_key_file(path: &Path, kek: &Kek) -> Result<(), KeyError> {
    if let Some(dir) = path.parent() {
        disk::create_private_dir(dir).map_err(failed("create", dir))?;
    }
    disk::write_new(path, kek.to_line().as_bytes()).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::KekExists { path: path.to_owned() },
        _ => failed("write", path)(source),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kek(byte: u8) -> Kek {
        Kek::from_key(SecretKey::from_bytes([byte; 32]))
    }

    #[test]
    fn a_key_file_gives_back_its_key_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/kek.key");
        write_key_file(&path, &kek(7)).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let found = read_key_file(&path).unwrap();
        assert_eq!(found.key().expose(), &[7; 32]);
        assert_eq!(found.id(), kek(7).id());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("cairn-kek-1 {}\n", "07".repeat(32)));
    }

    #[test]
    fn a_key_file_that_others_may_use_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        write_key_file(&path, &kek(1)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = read_key_file(&path).unwrap_err();
            assert!(matches!(error, KeyError::Permissions { .. }), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(read_key_file(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        write_key_file(&path, &kek(1)).unwrap();
        let refused = write_key_file(&path, &kek(2));
        assert!(matches!(refused, Err(KeyError::KekExists { .. })), "{refused:?}");
        assert_eq!(read_key_file(&path).unwrap().id(), kek(1).id());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_missing_key_file_and_a_damaged_one_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        assert!(matches!(read_key_file(&path), Err(KeyError::KekMissing { .. })));
        let good = kek(1).to_line();
        let short = &good[..good.len() - 3];
        let long = format!("{}00\n", good.trim_end());
        let damaged: [&[u8]; 7] = [
            b"",
            b"\xff\xfe",
            short.as_bytes(),
            long.as_bytes(),
            &good.as_bytes()[1..],
            &good.replace("cairn-kek-1", "cairn-kek-2").into_bytes(),
            &[b'0'; 5000],
        ];
        for bytes in damaged {
            disk::write_atomic(&path, bytes).unwrap();
            let error = read_key_file(&path).unwrap_err();
            assert!(matches!(error, KeyError::Damaged { .. }), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn ids_differ_by_key_and_read_back() {
        let ids: Vec<KekId> = (0..50).map(|byte| kek(byte).id()).collect();
        let distinct: std::collections::BTreeSet<KekId> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len());
        let id = ids[3];
        assert_eq!(id.to_string().parse::<KekId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<KekId>(&json).unwrap(), id);
        for odd in ["", "00", "zz00000000000000", "000000000000000000"] {
            assert!(odd.parse::<KekId>().is_err(), "{odd}");
        }
    }

    #[test]
    fn the_id_of_a_key_never_changes() {
        // Wrapped keys and printed shares carry it: another derivation would orphan both.
        assert_eq!(kek(1).id().to_string(), "4b5f2be1233aa539");
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", kek(0xab));
        assert!(!text.contains("abab"), "{text}");
    }
}
