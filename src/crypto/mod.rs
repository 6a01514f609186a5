//! Random tokens and their digests.
//!
//! Called by: `system`, `auth`. Talks to: the operating system's random source.
//! Invariants: a token is never stored, only its SHA-256; comparison is by digest.

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// A secret handed out once. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// 256 random bits behind a prefix that tells people what the token is for.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate(prefix: &str) -> Result<Self, RandomError> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(format!("{prefix}{}", hex(&bytes))))
    }

    /// The token itself, for the one moment it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The form that is stored.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token, lower-case hexadecimal. High-entropy tokens need no slow hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// Digest of a token as presented by a caller.
    pub fn of(presented: &str) -> Self {
        Self(hex(&Sha256::digest(presented.as_bytes())))
    }

    /// The stored form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
