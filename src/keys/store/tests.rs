//! The keys folder: sealed and unsealed, scopes that come, change and go.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::crypto::KeyPurpose;
use crate::keys::{read_key_file, write_key_file};

fn kek() -> Kek {
    Kek::generate().unwrap()
}

fn subkey(ring: &Keyring, epoch: u32) -> Option<[u8; 32]> {
    ring.subkey(epoch, KeyPurpose::Blobs).map(|key| *key.expose())
}

/// The error of a call that must fail; keyrings have no `Debug` of use.
fn refused<T>(outcome: Result<T, KeyError>) -> KeyError {
    match outcome {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error,
    }
}

#[test]
fn keys_outlive_a_restart_and_differ_by_scope() {
    let dir = tempfile::tempdir().unwrap();
    let kek = kek();
    let store = KeyStore::create(&dir.path().join("home/keys"), &kek).unwrap();
    let (a, b) = (store.create_keyring("a").unwrap(), store.create_keyring("b").unwrap());
    assert_ne!(subkey(&a, 1), subkey(&b, 1));
    assert!(Arc::ptr_eq(&a, &store.keyring("a").unwrap()), "opened keyrings are shared");
    let mode = fs::metadata(store.dir()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::metadata(store.dir().join("a.json")).unwrap().mode() & 0o777, 0o600);

    let again = KeyStore::open(store.dir()).unwrap();
    again.unseal(kek).unwrap();
    assert_eq!(subkey(&again.keyring("a").unwrap(), 1), subkey(&a, 1));
}

#[test]
fn a_sealed_store_gives_and_makes_no_keys_and_holds_none() {
    let dir = tempfile::tempdir().unwrap();
    let kek = kek();
    let store = KeyStore::create(dir.path(), &kek).unwrap();
    let ring = store.create_keyring("a").unwrap();
    let watched = Arc::downgrade(&ring);
    drop(ring);
    assert!(watched.upgrade().is_some(), "the store keeps it while unsealed");
    store.seal();
    assert!(watched.upgrade().is_none(), "sealing drops the keyring");
    assert!(store.is_sealed());
    assert_eq!(store.kek_id(), None);
    let target = dir.path().join("elsewhere");
    let errors = [
        refused(store.keyring("a")),
        refused(store.create_keyring("b")),
        refused(store.begin_rotation("a")),
        refused(store.finish_rotation("a")),
        refused(store.rotate_kek(&kek, &KekTarget::File(&target))),
    ];
    for error in errors {
        assert!(matches!(error, KeyError::Sealed), "{error}");
    }
    assert!(store.has_keyring("a"));
    store.unseal(kek).unwrap();
    assert!(store.keyring("a").is_ok());
}

#[test]
fn a_wrong_key_is_recognised_and_leaves_the_store_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (kek(), kek());
    KeyStore::create(dir.path(), &right).unwrap().create_keyring(SYSTEM_SCOPE).unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    let error = refused(store.unseal(wrong.clone()));
    let named = matches!(error, KeyError::WrongKey { expected, found }
        if expected == right.id() && found == wrong.id());
    assert!(named, "{error}");
    assert!(store.is_sealed());
    store.unseal(right.clone()).unwrap();
    refused(store.unseal(wrong));
    assert_eq!(store.kek_id(), Some(right.id()), "a wrong key does not seal an open store");
}

#[test]
fn a_damaged_tenant_key_stops_that_tenant_alone() {
    let dir = tempfile::tempdir().unwrap();
    let kek = kek();
    let store = KeyStore::create(dir.path(), &kek).unwrap();
    for scope in [SYSTEM_SCOPE, "a", "b"] {
        store.create_keyring(scope).unwrap();
    }
    fs::write(dir.path().join("a.json"), b"\0\0\0").unwrap();
    let store = KeyStore::create(dir.path(), &kek).unwrap();
    let error = refused(store.keyring("a"));
    assert!(matches!(&error, KeyError::Damaged { path } if path.ends_with("a.json")), "{error}");
    assert!(store.keyring("b").is_ok());
    fs::remove_file(dir.path().join("b.json")).unwrap();
    store.forget_keyring("b");
    assert!(matches!(refused(store.keyring("b")), KeyError::Missing { .. }));
}

#[test]
fn damaged_keys_of_the_appliance_itself_stop_the_unsealing() {
    let dir = tempfile::tempdir().unwrap();
    let kek = kek();
    KeyStore::create(dir.path(), &kek).unwrap().create_keyring(SYSTEM_SCOPE).unwrap();
    let path = dir.path().join("system.json");
    let text = fs::read_to_string(&path).unwrap();
    let digit = text.rfind("\"\n").unwrap() - 1;
    let other = if text.as_bytes()[digit] == b'0' { "1" } else { "0" };
    fs::write(&path, [&text[..digit], other, &text[digit + 1..]].concat()).unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    let error = refused(store.unseal(kek));
    assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
}

#[test]
fn a_scope_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::create(dir.path(), &kek()).unwrap();
    let first = store.create_keyring("a").unwrap();
    assert!(matches!(refused(store.create_keyring("a")), KeyError::Exists { .. }));
    store.forget_keyring("a");
    assert_eq!(subkey(&store.keyring("a").unwrap(), 1), subkey(&first, 1));
    assert_eq!(subkey(&store.ensure_keyring("a").unwrap(), 1), subkey(&first, 1));
    assert_eq!(store.ensure_keyring("b").unwrap().scope(), "b");
    for name in ["../a", "A", "", "kek-rotation"] {
        assert!(matches!(refused(store.create_keyring(name)), KeyError::BadScope { .. }));
        assert!(!store.has_keyring(name));
    }
}

#[test]
fn a_destroyed_key_is_gone_from_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::create(dir.path(), &kek()).unwrap();
    drop(store.create_keyring("a").unwrap());
    let mut disk = fs::File::open(dir.path().join("a.json")).unwrap();
    store.destroy_keyring("a").unwrap();
    assert!(!store.has_keyring("a"));
    assert!(matches!(refused(store.keyring("a")), KeyError::Missing { .. }));
    let left = std::io::read_to_string(&mut disk).unwrap();
    assert!(!left.is_empty() && left.bytes().all(|byte| byte == 0), "{left}");
    store.destroy_keyring("a").unwrap();
    store.create_keyring("b").unwrap();
    store.seal();
    store.destroy_keyring("b").unwrap();
    assert!(!store.has_keyring("b"), "a sealed store destroys too");
}

#[test]
fn changing_a_data_key_keeps_the_old_one_until_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let kek = kek();
    let store = KeyStore::create(dir.path(), &kek).unwrap();
    let before = store.create_keyring("a").unwrap();
    let during = store.begin_rotation("a").unwrap();
    assert_eq!((during.current_epoch(), during.epochs()), (2, vec![2, 1]));
    assert_eq!(subkey(&during, 1), subkey(&before, 1));
    assert_ne!(subkey(&during, 2), subkey(&before, 1));
    assert_eq!(store.open_rotations().unwrap(), ["a"]);

    let again = store.begin_rotation("a").unwrap();
    assert_eq!(again.epochs(), [2, 1], "beginning again adds nothing");
    let restarted = KeyStore::create(dir.path(), &kek).unwrap();
    let resumed = restarted.begin_rotation("a").unwrap();
    assert_eq!(subkey(&resumed, 2), subkey(&during, 2), "nor does it after a restart");

    let after = restarted.finish_rotation("a").unwrap();
    assert_eq!(after.epochs(), [2]);
    assert_eq!(subkey(&after, 2), subkey(&during, 2));
    assert_eq!(subkey(&after, 1), None);
    assert!(restarted.open_rotations().unwrap().is_empty());
    let finished = restarted.finish_rotation("a").unwrap();
    assert_eq!(finished.epochs(), [2], "finishing again changes nothing");
    assert_eq!(restarted.begin_rotation("a").unwrap().epochs(), [3, 2]);
}

#[test]
fn a_changed_kek_opens_everything_and_the_old_one_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, file) = (dir.path().join("keys"), dir.path().join("kek.key"));
    let (old, new) = (kek(), kek());
    write_key_file(&file, &old).unwrap();
    let store = KeyStore::create(&keys, &old).unwrap();
    let system = store.create_keyring(SYSTEM_SCOPE).unwrap();
    store.create_keyring("a").unwrap();
    let a = store.begin_rotation("a").unwrap();
    store.rotate_kek(&new, &KekTarget::File(&file)).unwrap();
    assert_eq!(store.kek_id(), Some(new.id()));
    assert!(Arc::ptr_eq(&a, &store.keyring("a").unwrap()), "open keyrings stay open");

    let restarted = KeyStore::open(&keys).unwrap();
    assert!(matches!(refused(restarted.unseal(old)), KeyError::WrongKey { .. }));
    restarted.unseal(read_key_file(&file).unwrap()).unwrap();
    assert_eq!(subkey(&restarted.keyring(SYSTEM_SCOPE).unwrap(), 1), subkey(&system, 1));
    let found = restarted.keyring("a").unwrap();
    assert_eq!((subkey(&found, 1), subkey(&found, 2)), (subkey(&a, 1), subkey(&a, 2)));
    restarted.create_keyring("b").unwrap();
    let third = kek();
    restarted.rotate_kek(&third, &KekTarget::File(&file)).unwrap();
    assert_eq!(read_key_file(&file).unwrap().id(), third.id());
}

#[test]
fn a_kek_that_cannot_be_put_in_place_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, file) = (dir.path().join("keys"), dir.path().join("kek.key"));
    let (old, new) = (kek(), kek());
    write_key_file(&file, &old).unwrap();
    let store = KeyStore::create(&keys, &old).unwrap();
    store.create_keyring("a").unwrap();
    let before = fs::read(keys.join("a.json")).unwrap();
    let nowhere = dir.path().join("absent/kek.key");
    let error = refused(store.rotate_kek(&new, &KekTarget::File(&nowhere)));
    assert!(matches!(error, KeyError::Io { .. }), "{error}");
    let error = refused(store.rotate_kek(&new, &KekTarget::Passphrase("short")));
    assert!(matches!(error, KeyError::WeakPassphrase), "{error}");
    assert_eq!(fs::read(keys.join("a.json")).unwrap(), before);
    assert_eq!(store.kek_id(), Some(old.id()));
    assert_eq!(fs::read_dir(&keys).unwrap().count(), 1, "no rotation stays open");
    store.rotate_kek(&new, &KekTarget::File(&file)).unwrap();
}

#[test]
fn a_changed_kek_overwrites_no_key_of_another_home() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, file) = (dir.path().join("keys"), dir.path().join("kek.key"));
    let (old, foreign) = (kek(), kek());
    write_key_file(&file, &foreign).unwrap();
    let store = KeyStore::create(&keys, &old).unwrap();
    let error = refused(store.rotate_kek(&kek(), &KekTarget::File(&file)));
    assert!(matches!(error, KeyError::KekExists { .. }), "{error}");
    assert_eq!(read_key_file(&file).unwrap().id(), foreign.id());
}

#[test]
fn the_kek_is_not_changed_while_a_key_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, file) = (dir.path().join("keys"), dir.path().join("kek.key"));
    let old = kek();
    write_key_file(&file, &old).unwrap();
    let store = KeyStore::create(&keys, &old).unwrap();
    store.create_keyring("a").unwrap();
    store.create_keyring("b").unwrap();
    fs::write(keys.join("a.json"), "{").unwrap();
    let error = refused(store.rotate_kek(&kek(), &KekTarget::File(&file)));
    assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
    assert_eq!(read_key_file(&file).unwrap().id(), old.id());
    assert_eq!(store.kek_id(), Some(old.id()));
}

#[test]
fn five_hundred_scopes_are_under_a_new_kek_in_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, file) = (dir.path().join("keys"), dir.path().join("kek.key"));
    let (old, new) = (kek(), kek());
    write_key_file(&file, &old).unwrap();
    let store = KeyStore::create(&keys, &old).unwrap();
    for number in 0..500 {
        store.create_keyring(&format!("tenant-{number}")).unwrap();
    }
    let started = std::time::Instant::now();
    store.rotate_kek(&new, &KekTarget::File(&file)).unwrap();
    let took = started.elapsed();
    assert!(took.as_secs() < 30, "{took:?}");
}
