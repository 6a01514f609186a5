//! `keys/<scope>.json`: the data keys of one scope, each wrapped by the KEK.
//!
//! Called by: `keys`. Talks to: `<home>/keys/`.
//! Invariants: a wrapped key opens only as that epoch of that scope; a file under another scope's
//! name is damage, not another scope's keys.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kek::{Kek, KekId};
use super::{KeyError, erase, failed};
use crate::crypto::{Keyring, SecretKey, hex, unhex, unwrap, wrap};

/// Format of the files in the keys folder.
pub(in crate::keys) const FORMAT: u32 = 1;
/// File names in the keys folder that name no scope.
const RESERVED: [&str; 1] = ["kek-rotation"];
const MAX_SCOPE_BYTES: usize = 64;

/// The data keys of a scope as they lie on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::keys) struct ScopeFile {
    format: u32,
    scope: String,
    /// The KEK that all keys of this file are wrapped by.
    pub kek: KekId,
    /// The epoch that is written with.
    current: u32,
    /// Wrapped keys by epoch, hexadecimal.
    keys: BTreeMap<u32, String>,
}

impl ScopeFile {
    /// A scope with one new data key.
    pub fn generate(scope: &str, kek: &Kek) -> Result<Self, KeyError> {
        let mut file = Self {
            format: FORMAT,
            scope: scope.to_owned(),
            kek: kek.id(),
            current: 0,
            keys: BTreeMap::new(),
        };
        file.add_epoch(kek)?;
        Ok(file)
    }

    /// Reads the file of a scope.
    pub fn read(dir: &Path, scope: &str) -> Result<Self, KeyError> {
        let path = path_of(dir, scope)?;
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::Missing { scope: scope.to_owned() },
            _ => failed("read", &path)(source),
        })?;
        let file: Self = parse(&bytes, &path)?;
        if file.scope != scope || !file.keys.contains_key(&file.current) {
            return Err(KeyError::Damaged { path });
        }
        Ok(file)
    }

    /// Writes the file and overwrites what it held before.
    pub fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let path = path_of(dir, &self.scope)?;
        erase::replace(&path, &to_json(self))
    }

    /// The keys, opened.
    pub fn open(&self, kek: &Kek, dir: &Path) -> Result<Keyring, KeyError> {
        let keys = self.unwrapped(kek, dir)?;
        Ok(Keyring::new(&self.scope, self.current, keys))
    }

    /// The same keys under another KEK.
    pub fn rewrapped(&self, old: &Kek, new: &Kek, dir: &Path) -> Result<Self, KeyError> {
        let mut file = Self { kek: new.id(), keys: BTreeMap::new(), ..self.clone() };
        for (epoch, key) in self.unwrapped(old, dir)? {
            file.put(new, epoch, &key)?;
        }
        Ok(file)
    }

    /// Adds a new data key and writes with that one from now on.
    pub fn add_epoch(&mut self, kek: &Kek) -> Result<(), KeyError> {
        let key = SecretKey::generate().map_err(KeyError::Random)?;
        self.current += 1;
        self.put(kek, self.current, &key)
    }

    /// Forgets every key but the one that is written with.
    pub fn drop_old_epochs(&mut self) {
        self.keys.retain(|epoch, _| *epoch == self.current);
    }

    /// True while content may still lie under an older key.
    pub fn is_rotating(&self) -> bool {
        self.keys.len() > 1
    }

    fn put(&mut self, kek: &Kek, epoch: u32, key: &SecretKey) -> Result<(), KeyError> {
        let context = context(&self.scope, epoch);
        let wrapped = wrap(kek.key(), &context, key).map_err(KeyError::Random)?;
        self.keys.insert(epoch, hex(&wrapped));
        Ok(())
    }

    fn unwrapped(&self, kek: &Kek, dir: &Path) -> Result<Vec<(u32, SecretKey)>, KeyError> {
        if self.kek != kek.id() {
            return Err(KeyError::WrongKey { expected: self.kek, found: kek.id() });
        }
        let open = |(epoch, wrapped): (&u32, &String)| {
            let key = unwrap(kek.key(), &context(&self.scope, *epoch), &unhex(wrapped)?)?;
            Some((*epoch, key))
        };
        let keys: Option<Vec<_>> = self.keys.iter().map(open).collect();
        let path = path_of(dir, &self.scope)?;
        keys.ok_or(KeyError::Damaged { path })
    }
}

fn context(scope: &str, epoch: u32) -> String {
    format!("{scope}|{epoch}")
}

/// Where the keys of a scope lie.
pub(in crate::keys) fn path_of(dir: &Path, scope: &str) -> Result<PathBuf, KeyError> {
    if is_scope(scope) {
        Ok(dir.join(format!("{scope}.json")))
    } else {
        Err(KeyError::BadScope { scope: scope.to_owned() })
    }
}

fn is_scope(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_SCOPE_BYTES).contains(&name.len())
        && name.chars().all(plain)
        && !RESERVED.contains(&name)
}

/// Every scope that has keys, sorted.
pub(in crate::keys) fn scopes(dir: &Path) -> Result<Vec<String>, KeyError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let name = entry.map_err(failed("list", dir))?.file_name();
        let scope = name.to_str().and_then(|name| name.strip_suffix(".json"));
        found.extend(scope.filter(|scope| is_scope(scope)).map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

/// Reads JSON of this format; a newer format is told apart from damage.
pub(in crate::keys) fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
) -> Result<T, KeyError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |_| KeyError::Damaged { path: path.to_owned() };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.format > FORMAT {
        return Err(KeyError::Format { path: path.to_owned(), found: head.format });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Indented JSON and a line end, for the admin who looks.
pub(in crate::keys) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json =
        serde_json::to_vec_pretty(value).expect("invariant: plain structs are written as JSON");
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::KeyPurpose;

    fn kek(byte: u8) -> Kek {
        Kek::from_key(SecretKey::from_bytes([byte; 32]))
    }

    fn subkey(ring: &Keyring, epoch: u32) -> [u8; 32] {
        *ring.subkey(epoch, KeyPurpose::Blobs).unwrap().expose()
    }

    #[test]
    fn keys_come_back_from_disk_and_are_not_there_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let file = ScopeFile::generate("system", &kek(1)).unwrap();
        file.write(dir.path()).unwrap();
        let read = ScopeFile::read(dir.path(), "system").unwrap();
        let ring = read.open(&kek(1), dir.path()).unwrap();
        let same = file.open(&kek(1), dir.path()).unwrap();
        assert_eq!(subkey(&ring, 1), subkey(&same, 1));
        assert_eq!((ring.scope(), ring.current_epoch()), ("system", 1));
        let text = fs::read_to_string(dir.path().join("system.json")).unwrap();
        let (_, key) = file.unwrapped(&kek(1), dir.path()).unwrap().pop().unwrap();
        assert!(!text.contains(&hex(key.expose())));
    }

    #[test]
    fn rewrapping_keeps_every_key_and_shuts_the_old_kek_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = ScopeFile::generate("a", &kek(1)).unwrap();
        file.add_epoch(&kek(1)).unwrap();
        let moved = file.rewrapped(&kek(1), &kek(2), dir.path()).unwrap();
        let before = file.open(&kek(1), dir.path()).unwrap();
        let after = moved.open(&kek(2), dir.path()).unwrap();
        for epoch in [1, 2] {
            assert_eq!(subkey(&before, epoch), subkey(&after, epoch));
        }
        assert_eq!(after.current_epoch(), 2);
        let refused = moved.open(&kek(1), dir.path());
        assert!(matches!(refused, Err(KeyError::WrongKey { .. })));
    }

    #[test]
    fn a_file_of_another_scope_or_an_exchanged_epoch_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = ScopeFile::generate("a", &kek(1)).unwrap();
        file.add_epoch(&kek(1)).unwrap();
        file.write(dir.path()).unwrap();
        fs::copy(dir.path().join("a.json"), dir.path().join("b.json")).unwrap();
        let foreign = ScopeFile::read(dir.path(), "b");
        assert!(matches!(foreign, Err(KeyError::Damaged { .. })));

        let mut renamed = file.clone();
        renamed.scope = "b".to_owned();
        let opened = renamed.open(&kek(1), dir.path());
        assert!(matches!(opened, Err(KeyError::Damaged { .. })));

        let mut exchanged = file.clone();
        let (first, second) = (file.keys[&1].clone(), file.keys[&2].clone());
        exchanged.keys = BTreeMap::from([(1, second), (2, first)]);
        let opened = exchanged.open(&kek(1), dir.path());
        assert!(matches!(opened, Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn damage_absence_and_a_newer_format_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let absent = ScopeFile::read(dir.path(), "a");
        assert!(matches!(absent, Err(KeyError::Missing { scope }) if scope == "a"));
        let good = to_json(&ScopeFile::generate("a", &kek(1)).unwrap());
        let text = String::from_utf8(good.clone()).unwrap();
        let path = dir.path().join("a.json");
        let damaged = [
            String::new(),
            text[..text.len() / 2].to_owned(),
            text.replace("\"current\": 1", "\"current\": 2"),
            text.replace("\"format\"", "\"from\""),
        ];
        for broken in damaged {
            fs::write(&path, &broken).unwrap();
            let read = ScopeFile::read(dir.path(), "a");
            assert!(matches!(read, Err(KeyError::Damaged { .. })), "{broken}");
        }
        fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
        let newer = ScopeFile::read(dir.path(), "a");
        assert!(matches!(newer, Err(KeyError::Format { found: 2, .. })));
    }

    #[test]
    fn any_changed_digit_of_a_wrapped_key_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = ScopeFile::generate("a", &kek(1)).unwrap();
        let wrapped = file.keys[&1].clone();
        for at in 0..wrapped.len() {
            let mut digits: Vec<u8> = wrapped.clone().into_bytes();
            digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
            let mut broken = file.clone();
            broken.keys.insert(1, String::from_utf8(digits).unwrap());
            let opened = broken.open(&kek(1), dir.path());
            assert!(matches!(opened, Err(KeyError::Damaged { .. })), "digit {at}");
        }
    }

    #[test]
    fn names_that_could_leave_the_folder_name_no_scope() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", "A", "kek.passphrase", "kek-rotation", &"a".repeat(65)] {
            let refused = path_of(dir.path(), name);
            assert!(matches!(refused, Err(KeyError::BadScope { .. })), "{name}");
        }
        for name in ["b.json", "a.json", "kek-rotation.json", "kek.passphrase.json", ".tmp-x"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(scopes(dir.path()).unwrap(), ["a", "b"]);
    }
}
