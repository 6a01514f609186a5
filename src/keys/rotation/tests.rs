//! The change of the KEK, cut short after each step.

use super::*;
use crate::crypto::{KeyPurpose, Keyring};
use crate::keys::{KekSource, KekTarget, KeyStore, read_key_file};

const SCOPES: [&str; 3] = ["a", "b", "system"];

/// A home with keys of three scopes and its KEK in a file; what the keys give, for comparison.
struct Fixture {
    dir: tempfile::TempDir,
    old: Kek,
    new: Kek,
    subkeys: Vec<[u8; 32]>,
}

fn subkey(ring: &Keyring) -> [u8; 32] {
    *ring.subkey(ring.current_epoch(), KeyPurpose::Blobs).unwrap().expose()
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let old = KekSource::File(dir.path().join("kek.key")).establish(&keys, None).unwrap();
        let store = KeyStore::create(&keys, &old).unwrap();
        let subkeys =
            SCOPES.iter().map(|scope| subkey(&store.create_keyring(scope).unwrap())).collect();
        Self { dir, old, new: Kek::generate().unwrap(), subkeys }
    }

    fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("kek.key")
    }

    fn begin(&self) {
        begin(&self.keys(), &self.old, &self.new).unwrap();
    }

    fn install(&self) {
        KekTarget::File(&self.key_file()).write(&self.keys(), &self.new).unwrap();
    }

    fn rewrap_one(&self, scope: &str) {
        let file = ScopeFile::read(&self.keys(), scope).unwrap();
        file.rewrapped(&self.old, &self.new, &self.keys()).unwrap().write(&self.keys()).unwrap();
    }

    /// Starts as after a crash: with the KEK that the key file holds now.
    fn restart(&self) -> KeyStore {
        let store = KeyStore::open(&self.keys()).unwrap();
        store.unseal(read_key_file(&self.key_file()).unwrap()).unwrap();
        store
    }

    fn assert_whole_under(&self, kek: &Kek) {
        let store = self.restart();
        assert_eq!(store.kek_id(), Some(kek.id()));
        for (scope, expected) in SCOPES.iter().zip(&self.subkeys) {
            assert_eq!(subkey(&store.keyring(scope).unwrap()), *expected, "{scope}");
            assert_eq!(ScopeFile::read(&self.keys(), scope).unwrap().kek, kek.id(), "{scope}");
        }
        assert!(!path_in(&self.keys()).exists(), "the rotation has ended");
    }
}

#[test]
fn a_crash_before_the_new_key_is_in_place_leaves_the_old_one() {
    let home = Fixture::new();
    home.begin();
    home.assert_whole_under(&home.old);
}

#[test]
fn a_crash_after_the_new_key_is_in_place_is_finished_at_the_next_start() {
    let home = Fixture::new();
    home.begin();
    home.install();
    home.assert_whole_under(&home.new);
}

#[test]
fn a_crash_between_two_scopes_is_finished_at_the_next_start() {
    for done in 1..=SCOPES.len() {
        let home = Fixture::new();
        home.begin();
        home.install();
        for scope in &SCOPES[..done] {
            home.rewrap_one(scope);
        }
        home.assert_whole_under(&home.new);
    }
}

#[test]
fn a_crash_before_the_rotation_file_is_removed_is_finished_at_the_next_start() {
    let home = Fixture::new();
    home.begin();
    home.install();
    rewrap(&home.keys(), &home.old, &home.new).unwrap();
    home.assert_whole_under(&home.new);
    home.assert_whole_under(&home.new);
}

#[test]
fn a_crash_while_a_file_is_written_leaves_nothing_of_it() {
    let home = Fixture::new();
    home.begin();
    home.install();
    let leftover = home.keys().join(".tmp-abc");
    fs::write(&leftover, b"half a wrapped key").unwrap();
    home.assert_whole_under(&home.new);
    assert!(!leftover.exists());
}

#[test]
fn a_passphrase_changes_with_the_key_and_survives_the_same_crashes() {
    let (before, after) = ("the passphrase before", "the passphrase afterwards");
    for steps in 1..=3 {
        let home = Fixture::new();
        let keys = home.keys();
        KekTarget::Passphrase(before).write(&keys, &home.old).unwrap();
        home.begin();
        if steps >= 2 {
            KekTarget::Passphrase(after).write(&keys, &home.new).unwrap();
        }
        if steps >= 3 {
            home.rewrap_one("b");
        }
        let (right, wrong) = if steps >= 2 { (after, before) } else { (before, after) };
        let read = |passphrase| KekSource::Passphrase.read(&keys, Some(passphrase));
        assert!(matches!(read(wrong), Err(KeyError::WrongPassphrase)), "after step {steps}");
        let store = KeyStore::open(&keys).unwrap();
        store.unseal(read(right).unwrap()).unwrap();
        for (scope, expected) in SCOPES.iter().zip(&home.subkeys) {
            assert_eq!(subkey(&store.keyring(scope).unwrap()), *expected);
        }
        assert!(!path_in(&keys).exists());
    }
}

#[test]
fn the_old_key_is_refused_once_a_scope_is_under_the_new_one() {
    let home = Fixture::new();
    home.begin();
    home.rewrap_one("b");
    let store = KeyStore::open(&home.keys()).unwrap();
    let refused = store.unseal(home.old.clone()).unwrap_err();
    assert!(matches!(refused, KeyError::RotationHalfway { .. }), "{refused}");
    assert!(store.is_sealed());
    assert!(path_in(&home.keys()).exists(), "what opens the rest is kept");
    home.install();
    home.assert_whole_under(&home.new);
}

#[test]
fn a_third_key_is_refused_and_changes_nothing() {
    let home = Fixture::new();
    home.begin();
    home.install();
    let store = KeyStore::open(&home.keys()).unwrap();
    let refused = store.unseal(Kek::generate().unwrap()).unwrap_err();
    assert!(matches!(refused, KeyError::WrongKey { expected, .. } if expected == home.new.id()));
    home.assert_whole_under(&home.new);
}

#[test]
fn a_damaged_rotation_file_is_thrown_away_only_where_nothing_needs_it() {
    let home = Fixture::new();
    home.begin();
    fs::write(path_in(&home.keys()), b"{").unwrap();
    home.assert_whole_under(&home.old);

    home.begin();
    home.install();
    fs::write(path_in(&home.keys()), b"{").unwrap();
    let store = KeyStore::open(&home.keys()).unwrap();
    let refused = store.unseal(home.new.clone()).unwrap_err();
    assert!(matches!(refused, KeyError::Damaged { .. }), "{refused}");
    assert!(path_in(&home.keys()).exists());
}

#[test]
fn one_damaged_scope_does_not_keep_the_others_from_the_new_key() {
    let home = Fixture::new();
    let damaged = home.keys().join("a.json");
    let good = fs::read(&damaged).unwrap();
    home.begin();
    home.install();
    fs::write(&damaged, b"{").unwrap();
    let store = home.restart();
    assert!(matches!(store.keyring("a"), Err(KeyError::Damaged { .. })));
    assert_eq!(subkey(&store.keyring("b").unwrap()), home.subkeys[1]);
    assert!(path_in(&home.keys()).exists(), "the old key is kept for the damaged scope");
    // Restored from a backup it is still under the old key, and opens.
    fs::write(&damaged, good).unwrap();
    assert_eq!(subkey(&store.keyring("a").unwrap()), home.subkeys[0]);
    home.assert_whole_under(&home.new);
}

#[test]
fn a_second_change_cannot_begin_over_an_open_one() {
    let home = Fixture::new();
    home.begin();
    let refused = begin(&home.keys(), &home.old, &Kek::generate().unwrap());
    assert!(matches!(refused, Err(KeyError::RotationOpen)));
    let still = load(&home.keys()).unwrap().unwrap();
    assert_eq!(still.new, home.new.id());
}

#[test]
fn the_rotation_file_shows_neither_key() {
    let home = Fixture::new();
    home.begin();
    let text = fs::read_to_string(path_in(&home.keys())).unwrap();
    for kek in [&home.old, &home.new] {
        assert!(!text.contains(&hex(kek.key().expose())));
    }
}
