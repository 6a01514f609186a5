//! Who wrote an archive or a certificate: an Ed25519 key of the appliance, known by its fingerprint.
//!
//! Called by: the rest of `archive`, `app`, `cli`. Talks to: nothing.
//! Invariants: the seed never leaves the key; a fingerprint is the SHA-256 of the public key, so
//! that it can be read out over the telephone and compared.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::ArchiveError;
use crate::crypto::{SecretKey, hex, unhex};

const ALGORITHM: &str = "ed25519";

/// The key that an appliance signs with what leaves it.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key made of this seed.
    pub fn from_seed(seed: &SecretKey) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose());
        Self(pair.expect("invariant: a seed has 32 bytes"))
    }

    /// Its public part, lower-case hexadecimal.
    pub fn public_key(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// By what its archives are recognised.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.public_key().as_ref())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature {
            algorithm: ALGORITHM.to_owned(),
            public_key: self.public_key(),
            signature: hex(self.0.sign(message).as_ref()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.fingerprint()).finish()
    }
}

/// A signature with the key that it can be checked by. `manifest.sig` is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// `ed25519`.
    algorithm: String,
    /// Lower-case hexadecimal.
    public_key: String,
    /// Lower-case hexadecimal.
    signature: String,
}

impl Signature {
    /// Whose signature of `message` this is. Whether that is who it should be is for the caller to
    /// say.
    ///
    /// # Errors
    /// `Signature` where it is none of this message.
    pub fn signer_of(&self, message: &[u8]) -> Result<Fingerprint, ArchiveError> {
        let wrong = || ArchiveError::Signature;
        if self.algorithm != ALGORITHM {
            return Err(wrong());
        }
        let public_key = unhex(&self.public_key).ok_or_else(wrong)?;
        let signature = unhex(&self.signature).ok_or_else(wrong)?;
        UnparsedPublicKey::new(&ED25519, &public_key)
            .verify(message, &signature)
            .map_err(|_| wrong())?;
        Ok(Fingerprint::of(&public_key))
    }
}

/// SHA-256 of a public key; lower-case hexadecimal as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a public key.
    fn of(public_key: &[u8]) -> Self {
        Self(Sha256::digest(public_key).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let bytes = unhex(&text.trim().to_ascii_lowercase()).ok_or(NotAFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NotAFingerprint)
    }
}
