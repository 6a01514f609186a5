//! The data keys of one scope and the sub-keys made of them.
//!
//! Called by: `keys` makes it, `system`, `tenant` and [`super::file`] derive from it. Talks to:
//! nothing.
//! Invariants: a DEK never leaves the ring, only sub-keys do; no two scopes, purposes or epochs
//! share a sub-key; purpose words and codes are format and never change.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::secret::SecretKey;

/// What a sub-key is for. One purpose never opens what another one sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// A tenant's database.
    Catalogue,
    /// Contents of originals.
    Blobs,
    /// Names of originals on disk.
    BlobNames,
    /// Files of the full-text index.
    Fulltext,
    /// Files of the vector tables.
    Vectors,
    /// Files taken in from an inbox.
    Inbox,
    /// The appliance's own database and the short secrets in it.
    System,
    /// Audit chains.
    Audit,
    /// Archives that leave the appliance.
    Export,
    /// Names of the key itself.
    KeyId,
}

impl KeyPurpose {
    /// The word that goes into the derivation.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The number in the header of a sealed file.
    pub(in crate::crypto) fn code(self) -> u16 {
        self.row().1
    }

    fn row(self) -> (&'static str, u16) {
        match self {
            Self::Catalogue => ("catalogue", 1),
            Self::Blobs => ("blobs", 2),
            Self::BlobNames => ("blob-names", 3),
            Self::Fulltext => ("fulltext", 4),
            Self::Vectors => ("vectors", 5),
            Self::Inbox => ("inbox", 6),
            Self::System => ("system", 7),
            Self::Audit => ("audit", 8),
            Self::Export => ("export", 9),
            Self::KeyId => ("key-id", 10),
        }
    }
}

/// The data keys (DEKs) of one scope, a tenant's id or `system`, by epoch. Dropping the last
/// reference wipes them.
pub struct Keyring {
    scope: String,
    current: u32,
    keys: BTreeMap<u32, SecretKey>,
}

impl Keyring {
    /// A ring of these keys, of which `current` is the epoch that new files are sealed with.
    pub fn new(
        scope: &str,
        current: u32,
        keys: impl IntoIterator<Item = (u32, SecretKey)>,
    ) -> Self {
        Self { scope: scope.to_owned(), current, keys: keys.into_iter().collect() }
    }

    /// Whose keys these are.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The epoch that new files are sealed with.
    pub fn current_epoch(&self) -> u32 {
        self.current
    }

    /// All epochs whose files can be opened, newest first.
    pub fn epochs(&self) -> Vec<u32> {
        self.keys.keys().rev().copied().collect()
    }

    /// What the epoch's key is called: 16 bytes in lower-case hexadecimal, made of the key and
    /// telling nothing of it; `None` without that key.
    pub fn key_id(&self, epoch: u32) -> Option<String> {
        let subkey = self.subkey(epoch, KeyPurpose::KeyId)?;
        Some(super::hex(&Sha256::digest(subkey.expose())[..16]))
    }

    /// HKDF-SHA256 of the epoch's DEK over scope and purpose; `None` without that DEK.
    pub fn subkey(&self, epoch: u32, purpose: KeyPurpose) -> Option<SecretKey> {
        let scope = self.scope.as_bytes();
        let scope_len = (scope.len() as u64).to_le_bytes();
        let info: [&[u8]; 4] =
            [b"cairn subkey 1\0", &scope_len[..], scope, purpose.word().as_bytes()];
        self.keys.get(&epoch).map(|key| key.derive(&info))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("scope", &self.scope)
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ALL: [KeyPurpose; 10] = [
        KeyPurpose::Catalogue,
        KeyPurpose::Blobs,
        KeyPurpose::BlobNames,
        KeyPurpose::Fulltext,
        KeyPurpose::Vectors,
        KeyPurpose::Inbox,
        KeyPurpose::System,
        KeyPurpose::Audit,
        KeyPurpose::Export,
        KeyPurpose::KeyId,
    ];

    fn ring(scope: &str) -> Keyring {
        let keys = [(1, SecretKey::from_bytes([1; 32])), (7, SecretKey::from_bytes([7; 32]))];
        Keyring::new(scope, 7, keys)
    }

    #[test]
    fn a_key_is_called_by_what_it_is_and_where_it_belongs() {
        let ids = [ring("a").key_id(1), ring("a").key_id(7), ring("b").key_id(7)];
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3, "{ids:?}");
        assert_eq!(ring("a").key_id(7), ids[1]);
        assert_eq!(ring("a").key_id(2), None);
    }

    #[test]
    fn every_scope_epoch_and_purpose_has_a_sub_key_of_its_own() {
        let mut seen = HashSet::new();
        for scope in ["", "a", "ab", "system"] {
            for epoch in [1, 7] {
                for purpose in ALL {
                    let key = ring(scope).subkey(epoch, purpose).unwrap();
                    assert!(seen.insert(*key.expose()), "{scope} {epoch} {purpose:?}");
                }
            }
        }
    }

    #[test]
    fn purposes_differ_in_word_and_code() {
        let words: HashSet<&str> = ALL.into_iter().map(KeyPurpose::word).collect();
        let codes: HashSet<u16> = ALL.into_iter().map(KeyPurpose::code).collect();
        assert_eq!((words.len(), codes.len()), (ALL.len(), ALL.len()));
    }

    #[test]
    fn an_epoch_without_a_key_has_no_sub_key() {
        let ring = ring("a");
        assert!(ring.subkey(2, KeyPurpose::Blobs).is_none());
        assert_eq!((ring.epochs(), ring.current_epoch()), (vec![7, 1], 7));
    }

    #[test]
    fn debug_shows_the_scope_and_no_key() {
        let shown = format!("{:?}", ring("a"));
        assert_eq!(shown, "Keyring { scope: \"a\", current: 7, .. }");
    }
}
