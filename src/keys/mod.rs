//! The keys of an appliance: one KEK from outside wraps a random data key per scope.
//!
//! Called by: `appliance`, `app`, `tenant`, `cli`. Talks to: `<home>/keys/`, the key file.
//! Invariants: keys lie on disk only wrapped, except the KEK in its own key file outside the
//! home; a crash at any moment leaves a store that the old or the new key opens; destroying a
//! scope's file makes everything sealed under its keys unreadable for good.
//! Why: a scope is `system` or a tenant's id. Wrapping per scope makes a change of the KEK cheap
//! (500 small files are written anew, no content is) and the deletion of a tenant provable.

mod crockford;
mod erase;
mod inspect;
mod kek;
mod passphrase;
mod rotation;
mod scope_file;
mod shares;
mod source;
mod store;

use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::RandomError;
use crate::error::Kind;

pub use inspect::{KeyReport, inspect};
pub use kek::{Kek, KekId, read_key_file, write_key_file};
pub use passphrase::{MIN_PASSPHRASE_CHARS, write_passphrase_file};
pub use shares::{Share, ShareError, check_counts, combine, split};
pub use source::{KekSource, KekTarget};
pub use store::{KeyStore, SYSTEM_SCOPE};

/// A key could not be had, made or kept. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the appliance is sealed; unseal it with `cairn keys unseal`")]
    Sealed,
    #[error("the key of {scope} is missing; restore its file in the keys folder from a backup")]
    Missing { scope: String },
    #[error("there is a key for {scope} already")]
    Exists { scope: String },
    #[error("{scope:?} cannot name a key; use lower-case letters, digits and `-`")]
    BadScope { scope: String },
    #[error(
        "this is key {found}, but {expected} is wanted here; \
         give that one, or make it again from recovery shares with `cairn keys recover`"
    )]
    WrongKey { expected: KekId, found: KekId },
    #[error("the passphrase is wrong; where it is lost, use `cairn keys recover`")]
    WrongPassphrase,
    #[error("this home is opened by a passphrase; enter it with `cairn keys unseal`")]
    PassphraseNeeded,
    #[error("the passphrase is too short; use at least {MIN_PASSPHRASE_CHARS} characters")]
    WeakPassphrase,
    #[error(
        "there is no key in {path}; put it back, \
         or make it again from recovery shares with `cairn keys recover`"
    )]
    KekMissing { path: PathBuf },
    #[error(
        "systemd gave this process no credential {name}; add \
         LoadCredentialEncrypted={name} to the unit, or set CREDENTIALS_DIRECTORY by hand"
    )]
    CredentialMissing { name: String },
    #[error("a systemd credential cannot be replaced from here; name a file for the new key")]
    CredentialFixed,
    #[error("{path} is there already and is not overwritten; move it away and try again")]
    KekExists { path: PathBuf },
    #[error("{path} is open to other users; run `chmod 600 {path}`")]
    Permissions { path: PathBuf },
    #[error("{path} is damaged; restore it from a backup")]
    Damaged { path: PathBuf },
    #[error("{path} has format {found}, made by a newer release; install that one")]
    Format { path: PathBuf, found: u32 },
    #[error("a change of the key is still open; seal and unseal the appliance to end it")]
    RotationOpen,
    #[error(
        "the key was being changed from {old} to {new} when the server stopped; \
         give the new key, which opens everything"
    )]
    RotationHalfway { old: KekId, new: KekId },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("make a key")]
    Random(#[source] RandomError),
    #[error("use the passphrase")]
    Passphrase(#[source] crate::crypto::PasswordError),
    #[error(transparent)]
    Share(#[from] ShareError),
}

impl KeyError {
    /// What kind of outcome this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sealed
            | Self::WrongKey { .. }
            | Self::PassphraseNeeded
            | Self::KekMissing { .. }
            | Self::CredentialMissing { .. }
            | Self::RotationHalfway { .. } => Kind::Locked,
            Self::BadScope { .. }
            | Self::WrongPassphrase
            | Self::WeakPassphrase
            | Self::CredentialFixed
            | Self::Share(_) => Kind::Invalid,
            Self::Exists { .. } | Self::KekExists { .. } | Self::RotationOpen => Kind::Conflict,
            Self::Missing { .. }
            | Self::Permissions { .. }
            | Self::Damaged { .. }
            | Self::Format { .. }
            | Self::Io { .. }
            | Self::Random(_)
            | Self::Passphrase(_) => Kind::Internal,
        }
    }
}

/// Turns an error of the operating system into one that names the path.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io { what, path: path.to_owned(), source }
}
