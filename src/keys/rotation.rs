//! `keys/kek-rotation.json`: the way from one KEK to the next, which a crash may not break.
//!
//! Called by: `keys::store`, `keys::inspect`. Talks to: `<home>/keys/`.
//! Invariants: until the file is there, nothing is under the new KEK; until every scope is under
//! the new KEK, the file stays, and with it the old KEK, wrapped by the new one.
//! Why: four steps, each durable before the next begins. (1) this file is written; (2) the source
//! gives the new KEK; (3) every scope is wrapped anew; (4) this file goes. A crash before (2)
//! leaves the old KEK with the source, which opens everything, and the file is thrown away. A
//! crash after it leaves the new one, which opens the old one, and the rest is done at unsealing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kek::{Kek, KekId};
use super::scope_file::{FORMAT, ScopeFile, parse, scopes, to_json};
use super::{KeyError, erase, failed};
use crate::crypto::{hex, unhex, unwrap, wrap};
use crate::disk;
use crate::error::chain;

/// A change of the KEK that has begun.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::keys) struct Rotation {
    format: u32,
    pub old: KekId,
    pub new: KekId,
    /// The old KEK under the new one, hexadecimal.
    wrapped: String,
}

/// Step 1: makes sure that the new KEK opens the old one.
pub(in crate::keys) fn begin(dir: &Path, old: &Kek, new: &Kek) -> Result<(), KeyError> {
    let context = context(old.id(), new.id());
    let wrapped = wrap(new.key(), &context, old.key()).map_err(KeyError::Random)?;
    let rotation =
        Rotation { format: FORMAT, old: old.id(), new: new.id(), wrapped: hex(&wrapped) };
    let path = path_in(dir);
    disk::write_new(&path, &to_json(&rotation)).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::RotationOpen,
        _ => failed("write", &path)(source),
    })
}

/// Step 3: wraps every scope anew that is under the old KEK. One that cannot be is left as it is
/// and does not keep the others from it.
pub(in crate::keys) fn rewrap(dir: &Path, old: &Kek, new: &Kek) -> Result<(), KeyError> {
    let mut outcome = Ok(());
    for scope in scopes(dir)? {
        let done = ScopeFile::read(dir, &scope).and_then(|file| {
            if file.kek == new.id() {
                return Ok(());
            }
            file.rewrapped(old, new, dir)?.write(dir)
        });
        outcome = outcome.and(done);
    }
    outcome
}

/// Step 4: the old KEK is not needed any more.
pub(in crate::keys) fn end(dir: &Path) -> Result<(), KeyError> {
    erase::destroy(&path_in(dir))
}

/// Ends or undoes a change that was under way, as the KEK at hand tells which it has to be. Gives
/// the old KEK where some scope could not be wrapped anew.
pub(in crate::keys) fn settle(dir: &Path, kek: &Kek) -> Result<Option<Kek>, KeyError> {
    let rotation = match load(dir) {
        Ok(None) => return Ok(None),
        Ok(Some(rotation)) => rotation,
        // Nothing needs the file while every scope is under the KEK at hand.
        Err(KeyError::Damaged { .. }) if all_under(dir, kek.id())? => {
            return end(dir).map(|()| None);
        }
        Err(error) => return Err(error),
    };
    let Rotation { old, new, .. } = rotation;
    if kek.id() == new {
        let previous = rotation.previous(dir, kek)?;
        if let Err(error) = rewrap(dir, &previous, kek) {
            tracing::warn!("the key {old} cannot be retired yet: {}", chain(&error));
            return Ok(Some(previous));
        }
        return end(dir).map(|()| None);
    }
    if kek.id() != old {
        return Err(KeyError::WrongKey { expected: new, found: kek.id() });
    }
    if all_under(dir, old)? {
        return end(dir).map(|()| None);
    }
    Err(KeyError::RotationHalfway { old, new })
}

/// The change that has begun, where there is one.
pub(in crate::keys) fn load(dir: &Path) -> Result<Option<Rotation>, KeyError> {
    let path = path_in(dir);
    match fs::read(&path) {
        Ok(bytes) => parse(&bytes, &path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

impl Rotation {
    fn previous(&self, dir: &Path, new: &Kek) -> Result<Kek, KeyError> {
        let context = context(self.old, self.new);
        unhex(&self.wrapped)
            .and_then(|wrapped| unwrap(new.key(), &context, &wrapped))
            .map(Kek::from_key)
            .filter(|kek| kek.id() == self.old)
            .ok_or_else(|| KeyError::Damaged { path: path_in(dir) })
    }
}

/// True where every scope whose file can be read is under this KEK.
fn all_under(dir: &Path, kek: KekId) -> Result<bool, KeyError> {
    let scopes = scopes(dir)?;
    let mut files = scopes.iter().filter_map(|scope| ScopeFile::read(dir, scope).ok());
    Ok(files.all(|file| file.kek == kek))
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("kek-rotation.json")
}

fn context(old: KekId, new: KekId) -> String {
    format!("kek rotation|{old}|{new}")
}

#[cfg(test)]
mod tests;
