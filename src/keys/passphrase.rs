//! `keys/kek.passphrase.json`: the KEK wrapped by a key that Argon2id makes of a passphrase.
//!
//! Called by: `keys`, `cli`. Talks to: `<home>/keys/`.
//! Invariants: the KEK itself is random, so a new passphrase needs no key wrapped anew, and
//! recovery shares outlive it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kek::{Kek, KekId};
use super::scope_file::{FORMAT, parse, to_json};
use super::{KeyError, erase, failed};
use crate::crypto::{PassphraseParams, derive_key, hex, unhex, unwrap, wrap};

/// Shorter passphrases are refused: an attacker with the disk may try without end.
pub const MIN_PASSPHRASE_CHARS: usize = 12;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassphraseFile {
    format: u32,
    kek: KekId,
    argon2id: PassphraseParams,
    /// Hexadecimal.
    wrapped: String,
}

/// Where the wrapped KEK lies.
pub(in crate::keys) fn path_in(dir: &Path) -> PathBuf {
    dir.join("kek.passphrase.json")
}

/// Wraps the KEK by a passphrase, in place of an earlier one. Takes a while, on purpose.
///
/// # Errors
/// `WeakPassphrase`; when the file cannot be written.
pub fn write_passphrase_file(dir: &Path, kek: &Kek, passphrase: &str) -> Result<(), KeyError> {
    if passphrase.chars().count() < MIN_PASSPHRASE_CHARS {
        return Err(KeyError::WeakPassphrase);
    }
    let params = PassphraseParams::generate().map_err(KeyError::Random)?;
    let wrapping = derive_key(passphrase, &params).map_err(KeyError::Passphrase)?;
    let wrapped = wrap(&wrapping, &context(kek.id()), kek.key()).map_err(KeyError::Random)?;
    let file =
        PassphraseFile { format: FORMAT, kek: kek.id(), argon2id: params, wrapped: hex(&wrapped) };
    erase::replace(&path_in(dir), &to_json(&file))
}

/// The KEK by its passphrase. Takes a while, on purpose.
pub(in crate::keys) fn read(dir: &Path, passphrase: &str) -> Result<Kek, KeyError> {
    let path = path_in(dir);
    let file = load(&path)?;
    let wrapped = unhex(&file.wrapped).ok_or(KeyError::Damaged { path: path.clone() })?;
    let wrapping = derive_key(passphrase, &file.argon2id).map_err(KeyError::Passphrase)?;
    let key = unwrap(&wrapping, &context(file.kek), &wrapped).ok_or(KeyError::WrongPassphrase)?;
    let kek = Kek::from_key(key);
    if kek.id() == file.kek { Ok(kek) } else { Err(KeyError::Damaged { path }) }
}

/// Which KEK the passphrase opens.
pub(in crate::keys) fn kek_id(dir: &Path) -> Result<KekId, KeyError> {
    load(&path_in(dir)).map(|file| file.kek)
}

fn load(path: &Path) -> Result<PassphraseFile, KeyError> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyError::KekMissing { path: path.to_owned() },
        _ => failed("read", path)(source),
    })?;
    parse(&bytes, path)
}

fn context(kek: KekId) -> String {
    format!("kek by passphrase|{kek}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse battery";

    #[test]
    fn the_right_passphrase_opens_and_another_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::generate().unwrap();
        write_passphrase_file(dir.path(), &kek, PASSPHRASE).unwrap();
        assert_eq!(read(dir.path(), PASSPHRASE).unwrap().id(), kek.id());
        assert_eq!(kek_id(dir.path()).unwrap(), kek.id());
        let wrong = read(dir.path(), "correct horse batterz");
        assert!(matches!(wrong, Err(KeyError::WrongPassphrase)), "{wrong:?}");
    }

    #[test]
    fn a_new_passphrase_keeps_the_key_and_ends_the_old_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::generate().unwrap();
        write_passphrase_file(dir.path(), &kek, PASSPHRASE).unwrap();
        write_passphrase_file(dir.path(), &kek, "an entirely new one").unwrap();
        assert_eq!(read(dir.path(), "an entirely new one").unwrap().id(), kek.id());
        assert!(matches!(read(dir.path(), PASSPHRASE), Err(KeyError::WrongPassphrase)));
    }

    #[test]
    fn short_passphrases_absence_and_damage_have_errors_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::generate().unwrap();
        let weak = write_passphrase_file(dir.path(), &kek, "elevenchars");
        assert!(matches!(weak, Err(KeyError::WeakPassphrase)));
        assert!(matches!(read(dir.path(), PASSPHRASE), Err(KeyError::KekMissing { .. })));
        write_passphrase_file(dir.path(), &kek, PASSPHRASE).unwrap();
        let text = fs::read_to_string(path_in(dir.path())).unwrap();
        for broken in
            ["", "{}", &text[..text.len() - 20], &text.replace("wrapped\": \"", "wrapped\": \"zz")]
        {
            fs::write(path_in(dir.path()), broken).unwrap();
            let found = read(dir.path(), PASSPHRASE);
            assert!(matches!(found, Err(KeyError::Damaged { .. })), "{broken}: {found:?}");
        }
    }
}
