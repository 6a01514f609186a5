//! The keys folder of a home: sealed, or unsealed and handing out keyrings.
//!
//! Called by: `appliance`, `app`, `tenant`. Talks to: `<home>/keys/`.
//! Invariants: while sealed, neither the KEK nor any keyring is held here; a change is on disk
//! before it is handed out. One process works on a folder at a time: the home's lock sees to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kek::{Kek, KekId};
use super::scope_file::{ScopeFile, path_of, scopes};
use super::{KekTarget, KeyError, erase, failed, rotation};
use crate::crypto::Keyring;
use crate::disk;

/// The scope of the appliance itself.
pub const SYSTEM_SCOPE: &str = "system";

/// The wrapped keys of a home. Calls are short and block.
pub struct KeyStore {
    dir: PathBuf,
    unsealed: Mutex<Option<Unsealed>>,
}

/// What is in memory while the store is unsealed; every key in it is wiped when it is dropped.
struct Unsealed {
    kek: Kek,
    /// The KEK before, while some scope is still under it.
    previous: Option<Kek>,
    keyrings: HashMap<String, Arc<Keyring>>,
}

impl Unsealed {
    fn kek_of(&self, file: &ScopeFile) -> &Kek {
        self.previous.as_ref().filter(|kek| kek.id() == file.kek).unwrap_or(&self.kek)
    }

    fn keep(&mut self, keyring: Keyring) -> Arc<Keyring> {
        let keyring = Arc::new(keyring);
        self.keyrings.insert(keyring.scope().to_owned(), keyring.clone());
        keyring
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl KeyStore {
    /// Opens the folder, making it where it is absent, and unseals it.
    ///
    /// # Errors
    /// Those of `open` and `unseal`.
    pub fn create(dir: &Path, kek: &Kek) -> Result<Self, KeyError> {
        disk::create_private_dir(dir).map_err(failed("create", dir))?;
        let store = Self::open(dir)?;
        store.unseal(kek.clone())?;
        Ok(store)
    }

    /// Opens the folder, sealed.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        erase::destroy_leftovers(dir)?;
        Ok(Self { dir: dir.to_owned(), unsealed: Mutex::new(None) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes the KEK, and ends a change of it that a crash cut short.
    ///
    /// # Errors
    /// `WrongKey`, `RotationHalfway`; `Damaged` where the appliance's own keys do not open. A
    /// tenant's damaged file is no error here, but when its keyring is asked for.
    pub fn unseal(&self, kek: Kek) -> Result<(), KeyError> {
        let mut unsealed = self.lock();
        let previous = rotation::settle(&self.dir, &kek)?;
        let mut state = Unsealed { kek, previous, keyrings: HashMap::new() };
        self.prove(&state)?;
        if let Some(before) = unsealed.take().filter(|before| before.kek.id() == state.kek.id()) {
            state.keyrings = before.keyrings;
        }
        *unsealed = Some(state);
        Ok(())
    }

    /// Forgets the KEK and every keyring. Whoever still holds one is asked to drop it first.
    pub fn seal(&self) {
        *self.lock() = None;
    }

    /// True until `unseal`, and after `seal`.
    pub fn is_sealed(&self) -> bool {
        self.lock().is_none()
    }

    /// The KEK in use; `None` while sealed.
    pub fn kek_id(&self) -> Option<KekId> {
        self.lock().as_ref().map(|state| state.kek.id())
    }

    /// Makes the first key of a scope.
    ///
    /// # Errors
    /// `Sealed`, `Exists`, `BadScope`; when it cannot be written.
    pub fn create_keyring(&self, scope: &str) -> Result<Arc<Keyring>, KeyError> {
        self.with(|state| {
            if self.has_keyring(scope) {
                return Err(KeyError::Exists { scope: scope.to_owned() });
            }
            let file = ScopeFile::generate(scope, &state.kek)?;
            file.write(&self.dir)?;
            Ok(state.keep(file.open(&state.kek, &self.dir)?))
        })
    }

    /// The keys of a scope.
    ///
    /// # Errors
    /// `Sealed`, `Missing`, `WrongKey`, `Damaged`.
    pub fn keyring(&self, scope: &str) -> Result<Arc<Keyring>, KeyError> {
        self.with(|state| {
            if let Some(keyring) = state.keyrings.get(scope) {
                return Ok(keyring.clone());
            }
            let file = ScopeFile::read(&self.dir, scope)?;
            let keyring = file.open(state.kek_of(&file), &self.dir)?;
            Ok(state.keep(keyring))
        })
    }

    /// The keys of a scope, made where there are none.
    ///
    /// # Errors
    /// Those of `keyring` and `create_keyring`.
    pub fn ensure_keyring(&self, scope: &str) -> Result<Arc<Keyring>, KeyError> {
        match self.keyring(scope) {
            Err(KeyError::Missing { .. }) => self.create_keyring(scope),
            outcome => outcome,
        }
    }

    /// True where a scope has keys, readable or not. Needs no KEK.
    pub fn has_keyring(&self, scope: &str) -> bool {
        path_of(&self.dir, scope).is_ok_and(|path| path.exists())
    }

    /// Forgets a scope's keyring, as its tenant is locked or closed. Needs no KEK.
    pub fn forget_keyring(&self, scope: &str) {
        if let Some(state) = self.lock().as_mut() {
            state.keyrings.remove(scope);
        }
    }

    /// Destroys the keys of a scope: what was sealed under them is gone for good. Needs no KEK;
    /// a scope without keys is no error, so that a deletion may be repeated after a crash.
    ///
    /// # Errors
    /// `BadScope`; when the file cannot be overwritten and removed.
    pub fn destroy_keyring(&self, scope: &str) -> Result<(), KeyError> {
        let mut unsealed = self.lock();
        if let Some(state) = unsealed.as_mut() {
            state.keyrings.remove(scope);
        }
        erase::destroy(&path_of(&self.dir, scope)?)
    }

    /// Begins to change a scope's data key: adds one that is written with from now on. While the
    /// change is open, the call gives the same keyring again.
    ///
    /// # Errors
    /// Those of `keyring`; when it cannot be written.
    pub fn begin_rotation(&self, scope: &str) -> Result<Arc<Keyring>, KeyError> {
        self.change(
            scope,
            |file, kek| {
                if file.is_rotating() { Ok(()) } else { file.add_epoch(kek) }
            },
        )
    }

    /// Ends the change: destroys every key but the current one. What is still sealed under an
    /// older one cannot be read afterwards.
    ///
    /// # Errors
    /// Those of `keyring`; when it cannot be written.
    pub fn finish_rotation(&self, scope: &str) -> Result<Arc<Keyring>, KeyError> {
        self.change(scope, |file, _| {
            file.drop_old_epochs();
            Ok(())
        })
    }

    /// Scopes whose data key is being changed, for going on with it after a restart. Needs no KEK;
    /// damaged files are left out.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn open_rotations(&self) -> Result<Vec<String>, KeyError> {
        let mut scopes = scopes(&self.dir)?;
        scopes
            .retain(|scope| ScopeFile::read(&self.dir, scope).is_ok_and(|file| file.is_rotating()));
        Ok(scopes)
    }

    /// Changes the KEK: the new one goes to `target`, and every key is wrapped anew. Content is
    /// not touched. A crash at any moment leaves a home that the KEK at `target` opens.
    ///
    /// # Errors
    /// `Sealed`; `RotationOpen` while an earlier change could not be ended; `KekExists` where
    /// `target` holds a KEK of another home; `Damaged` before anything is changed; when the new
    /// KEK cannot be written.
    pub fn rotate_kek(&self, new: &Kek, target: &KekTarget<'_>) -> Result<(), KeyError> {
        self.with(|state| {
            self.wrap_rest(state)?;
            let old = state.kek.clone();
            for scope in scopes(&self.dir)? {
                ScopeFile::read(&self.dir, &scope)?.open(&old, &self.dir)?;
            }
            if let (KekTarget::File(path), Some(found)) = (target, target.holds(&self.dir)?)
                && found != old.id()
            {
                return Err(KeyError::KekExists { path: (*path).to_owned() });
            }
            rotation::begin(&self.dir, &old, new)?;
            if let Err(error) = target.write(&self.dir, new) {
                // Undone only where it is certain that the new KEK has not come through.
                if target.holds(&self.dir).is_ok_and(|found| found != Some(new.id())) {
                    rotation::end(&self.dir)?;
                }
                return Err(error);
            }
            state.kek = new.clone();
            state.previous = Some(old);
            self.wrap_rest(state)
        })
    }

    /// Wraps anew what is under the KEK before, and retires that one.
    fn wrap_rest(&self, state: &mut Unsealed) -> Result<(), KeyError> {
        if let Some(previous) = &state.previous {
            rotation::rewrap(&self.dir, previous, &state.kek)?;
            rotation::end(&self.dir)?;
            state.previous = None;
        }
        Ok(())
    }

    fn change(
        &self,
        scope: &str,
        change: impl FnOnce(&mut ScopeFile, &Kek) -> Result<(), KeyError>,
    ) -> Result<Arc<Keyring>, KeyError> {
        self.with(|state| {
            let mut file = ScopeFile::read(&self.dir, scope)?;
            let kek = state.kek_of(&file);
            file.open(kek, &self.dir)?;
            change(&mut file, kek)?;
            file.write(&self.dir)?;
            let keyring = file.open(kek, &self.dir)?;
            Ok(state.keep(keyring))
        })
    }

    /// Opens the appliance's own keys, or where there are none those of the first tenant.
    fn prove(&self, state: &Unsealed) -> Result<(), KeyError> {
        if self.has_keyring(SYSTEM_SCOPE) {
            let file = ScopeFile::read(&self.dir, SYSTEM_SCOPE)?;
            return file.open(state.kek_of(&file), &self.dir).map(drop);
        }
        for scope in scopes(&self.dir)? {
            if let Ok(file) = ScopeFile::read(&self.dir, &scope) {
                return file.open(state.kek_of(&file), &self.dir).map(drop);
            }
        }
        Ok(())
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Unsealed) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        work(self.lock().as_mut().ok_or(KeyError::Sealed)?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unsealed>> {
        self.unsealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
