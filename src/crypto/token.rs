//! Random tokens and their digests.
//!
//! Called by: `system`, `auth`, `app`. Talks to: the operating system's random source.
//! Invariants: a token is never stored, only its SHA-256; comparison is by digest.

use sha2::{Digest, Sha256};

use super::encoding::hex;
use super::random::{RandomError, random_bytes};

/// A secret handed out once. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// 256 random bits behind a prefix that tells people what the token is for.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate(prefix: &str) -> Result<Self, RandomError> {
        let bytes: [u8; 32] = random_bytes()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presented_token_has_the_digest_that_was_stored() {
        let token = Token::generate("cairn_").unwrap();
        assert!(token.reveal().starts_with("cairn_") && token.reveal().len() == 6 + 64);
        assert_eq!(TokenDigest::of(token.reveal()), token.digest());
        assert_ne!(TokenDigest::of("cairn_"), token.digest());
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn the_digest_is_sha256_in_lower_case() {
        let digest = TokenDigest::of("abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.as_str(), known);
    }
}
