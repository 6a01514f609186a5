//! Where the KEK comes from, and where a new one goes.
//!
//! Called by: `appliance`, `app`, `cli`. Talks to: the key file, the passphrase file, the
//! credential that systemd handed over.
//! Invariants: a KEK is made only where no key of the home is wrapped yet, so that a lost key
//! file is never papered over by a new one that opens nothing.

use std::path::{Path, PathBuf};

use super::kek::{Kek, KekId, read_credential, read_key_file, write_key_file};
use super::scope_file::scopes;
use super::{KeyError, erase, failed, passphrase};
use crate::config::{Home, KekSourceKind, KeysConfig};
use crate::disk;

/// Where the KEK comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KekSource {
    /// A key file outside the home.
    File(PathBuf),
    /// A passphrase that opens `keys/kek.passphrase.json`.
    Passphrase,
    /// A credential from systemd; no more than its name where systemd gave none.
    Credential(PathBuf),
}

impl KekSource {
    /// The source that a configuration names.
    pub fn of(keys: &KeysConfig, home: &Home) -> Self {
        match keys.source {
            KekSourceKind::File => Self::File(keys.key_file(home)),
            KekSourceKind::Passphrase => Self::Passphrase,
            KekSourceKind::Credential => {
                let dir = keys.credentials_dir.clone().unwrap_or_default();
                Self::Credential(dir.join(&keys.credential))
            }
        }
    }

    /// The word for it in configuration and API.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Passphrase => "passphrase",
            Self::Credential(_) => "credential",
        }
    }

    /// True where the source has a KEK, whatever state it is in.
    pub fn is_there(&self, dir: &Path) -> bool {
        match self {
            Self::File(path) | Self::Credential(path) => path.exists(),
            Self::Passphrase => passphrase::path_in(dir).exists(),
        }
    }

    /// Reads the KEK. `dir` is the home's keys folder; `passphrase` is used where one is needed,
    /// and takes a while.
    ///
    /// # Errors
    /// `KekMissing`, `CredentialMissing`, `PassphraseNeeded`, `WrongPassphrase`, `Permissions`,
    /// `Damaged`.
    pub fn read(&self, dir: &Path, passphrase: Option<&str>) -> Result<Kek, KeyError> {
        match self {
            Self::File(path) => read_key_file(path),
            Self::Passphrase => {
                passphrase::read(dir, passphrase.ok_or(KeyError::PassphraseNeeded)?)
            }
            Self::Credential(path) => {
                let missing = || {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    KeyError::CredentialMissing { name: name.into_owned() }
                };
                if path.is_relative() {
                    return Err(missing());
                }
                read_credential(path).map_err(|error| match error {
                    KeyError::KekMissing { .. } => missing(),
                    other => other,
                })
            }
        }
    }

    /// Reads the KEK, or makes it where this home has no keys yet.
    ///
    /// # Errors
    /// Those of `read`; `KekMissing` where there are keys that a new KEK would not open.
    pub fn establish(&self, dir: &Path, passphrase: Option<&str>) -> Result<Kek, KeyError> {
        disk::create_private_dir(dir).map_err(failed("create", dir))?;
        match self.read(dir, passphrase) {
            Err(KeyError::KekMissing { .. }) if scopes(dir)?.is_empty() => {}
            outcome => return outcome,
        }
        let kek = Kek::generate().map_err(KeyError::Random)?;
        match self.target(passphrase)? {
            KekTarget::File(path) => write_key_file(path, &kek)?,
            target @ KekTarget::Passphrase(_) => target.write(dir, &kek)?,
        }
        Ok(kek)
    }

    /// Where a new KEK has to go for this source to give it.
    ///
    /// # Errors
    /// `PassphraseNeeded`; `CredentialFixed`, since only systemd can seal a credential.
    pub fn target<'a>(&'a self, passphrase: Option<&'a str>) -> Result<KekTarget<'a>, KeyError> {
        match self {
            Self::File(path) => Ok(KekTarget::File(path)),
            Self::Passphrase => {
                passphrase.map(KekTarget::Passphrase).ok_or(KeyError::PassphraseNeeded)
            }
            Self::Credential(_) => Err(KeyError::CredentialFixed),
        }
    }
}

/// Where a new KEK goes.
#[derive(Clone, Copy)]
pub enum KekTarget<'a> {
    /// A key file.
    File(&'a Path),
    /// The passphrase file of the home, wrapped by this passphrase.
    Passphrase(&'a str),
}

impl KekTarget<'_> {
    /// Puts the KEK there in one durable step, in place of the one before.
    pub(in crate::keys) fn write(&self, dir: &Path, kek: &Kek) -> Result<(), KeyError> {
        match self {
            Self::File(path) => erase::replace(path, kek.to_line().as_bytes()),
            Self::Passphrase(passphrase) => passphrase::write_passphrase_file(dir, kek, passphrase),
        }
    }

    /// The KEK that is there now; `None` where there is none.
    pub(in crate::keys) fn holds(&self, dir: &Path) -> Result<Option<KekId>, KeyError> {
        let found = match self {
            Self::File(path) => read_key_file(path).map(|kek| kek.id()),
            Self::Passphrase(_) => passphrase::kek_id(dir),
        };
        match found {
            Ok(id) => Ok(Some(id)),
            Err(KeyError::KekMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl std::fmt::Debug for KekTarget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::keys::KeyStore;

    const PASSPHRASE: Option<&str> = Some("a long enough passphrase");

    fn config(source: KekSourceKind) -> KeysConfig {
        KeysConfig { source, ..KeysConfig::default() }
    }

    #[test]
    fn a_file_source_makes_its_key_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { path: dir.path().join("home") };
        let source = KekSource::of(&config(KekSourceKind::File), &home);
        assert_eq!(source, KekSource::File(dir.path().join("home.kek.key")));
        let made = source.establish(&home.keys_path(), None).unwrap();
        let again = source.establish(&home.keys_path(), None).unwrap();
        assert_eq!(made.id(), again.id());
        assert_eq!(source.read(&home.keys_path(), None).unwrap().id(), made.id());
    }

    #[test]
    fn a_lost_key_file_is_not_replaced_while_keys_are_wrapped_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, keys) = (dir.path().join("kek.key"), dir.path().join("home/keys"));
        let source = KekSource::File(file.clone());
        let kek = source.establish(&keys, None).unwrap();
        KeyStore::create(&keys, &kek).unwrap().create_keyring("system").unwrap();
        fs::remove_file(&file).unwrap();
        let error = source.establish(&keys, None).unwrap_err();
        assert!(matches!(error, KeyError::KekMissing { .. }), "{error}");
        assert!(error.to_string().contains("cairn keys recover"), "{error}");
        assert!(!file.exists());
    }

    #[test]
    fn a_passphrase_source_asks_for_it_and_opens_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { path: dir.path().join("home") };
        let keys = home.keys_path();
        let source = KekSource::of(&config(KekSourceKind::Passphrase), &home);
        assert!(matches!(source.establish(&keys, None), Err(KeyError::PassphraseNeeded)));
        assert!(!source.is_there(&keys));
        let kek = source.establish(&keys, PASSPHRASE).unwrap();
        assert!(source.is_there(&keys));
        assert_eq!(source.read(&keys, PASSPHRASE).unwrap().id(), kek.id());
        let wrong = source.establish(&keys, Some("some other passphrase"));
        assert!(matches!(wrong, Err(KeyError::WrongPassphrase)));
    }

    #[test]
    fn a_credential_is_read_where_systemd_put_it_and_its_absence_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { path: dir.path().join("home") };
        let mut keys = config(KekSourceKind::Credential);
        let source = KekSource::of(&keys, &home);
        for source in [source, KekSource::Credential(dir.path().join("cairn-kek"))] {
            let error = source.read(&home.keys_path(), None).unwrap_err();
            let named =
                matches!(&error, KeyError::CredentialMissing { name } if name == "cairn-kek");
            assert!(named, "{error}");
        }
        keys.credentials_dir = Some(dir.path().to_owned());
        let source = KekSource::of(&keys, &home);
        let kek = Kek::generate().unwrap();
        let path = dir.path().join("cairn-kek");
        fs::write(&path, kek.to_line().as_bytes()).unwrap();
        // An ACL of systemd's shows up as bits for the group.
        fs::set_permissions(&path, PermissionsExt::from_mode(0o440)).unwrap();
        assert_eq!(source.establish(&home.keys_path(), None).unwrap().id(), kek.id());
        assert!(matches!(source.target(PASSPHRASE), Err(KeyError::CredentialFixed)));
    }

    #[test]
    fn a_file_is_read_without_asking_and_a_passphrase_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("home/keys");
        for (source, sealed) in
            [(KekSource::File(dir.path().join("kek.key")), false), (KekSource::Passphrase, true)]
        {
            let _ = fs::remove_dir_all(&keys);
            let kek = source.establish(&keys, PASSPHRASE).unwrap();
            KeyStore::create(&keys, &kek).unwrap().create_keyring("system").unwrap();
            match source.read(&keys, None) {
                Ok(found) => assert!(!sealed && found.id() == kek.id(), "{source:?}"),
                Err(KeyError::PassphraseNeeded) => assert!(sealed, "{source:?}"),
                Err(error) => panic!("{source:?}: {error}"),
            }
        }
        let lost = KekSource::File(dir.path().join("lost")).read(&keys, None);
        assert!(matches!(lost, Err(KeyError::KekMissing { .. })));
    }

    #[test]
    fn a_target_shows_no_passphrase() {
        assert!(!format!("{:?}", KekTarget::Passphrase("hunter2")).contains("hunter2"));
    }
}
