//! Keys, what is derived from them, and everything that is sealed with them.
//!
//! Called by: `database`, `keys`, `system`, `auth`, `inference`, `tenant`, `app`. Talks to: the
//! operating system's random source; [`file`] reads and writes files that others open.
//! Invariants: key material is wiped when dropped and never shown by `Debug`; what cannot be
//! authenticated is an error, never content.
//! Why: ring alone, by way of four small pieces, so that every use of a cipher can be read here:
//! a DEK per scope ([`Keyring`]), sub-keys by HKDF per purpose, one format for all files
//! ([`FileCipher`]) and one for short secrets ([`seal_small`], [`wrap`]). ring does not wipe its
//! own expanded keys, which is why they live no longer than one reader, writer or call.

mod encoding;
pub mod file;
mod keyring;
mod password;
mod random;
mod secret;
mod token;
mod wrap;

/// True in builds that copy instead of encrypting, made to measure what encryption costs. They
/// are never packed.
pub const PASS_THROUGH: bool = cfg!(feature = "pass-through-cipher");

pub use encoding::{hex, unbase64, unhex};
pub use file::{FileCipher, SealedFileError, SealedReader, SealedStream, SealedWriter};
pub use keyring::{KeyPurpose, Keyring};
pub use password::{PassphraseParams, PasswordError, derive_key, hash_password, verify_password};
pub use random::RandomError;
pub use secret::SecretKey;
pub use token::{Token, TokenDigest};
pub use wrap::{keyed_name, open_small, seal_small, unwrap, wrap};
