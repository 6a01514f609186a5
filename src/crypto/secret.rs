//! A key of 256 bits.
//!
//! Called by: the rest of `crypto`, `database`, `keys`. Talks to: the random source.
//! Invariants: the bytes lie in one place on the heap, so that moving the key leaves no copy
//! behind; they are wiped when it is dropped; `Debug` shows none of them.

use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroize;

use super::random::{RandomError, fill_random};

/// A secret key of 32 bytes.
#[derive(Clone)]
pub struct SecretKey(Box<[u8; SecretKey::LEN]>);

impl SecretKey {
    /// Bytes of a key.
    pub const LEN: usize = 32;

    /// A new random key.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, RandomError> {
        let mut key = Self::blank();
        fill_random(&mut key.0[..])?;
        Ok(key)
    }

    /// The key made of these bytes. The caller's own copy stays the caller's to wipe.
    pub fn from_bytes(mut bytes: [u8; Self::LEN]) -> Self {
        let key = Self(Box::new(bytes));
        bytes.zeroize();
        key
    }

    /// The key made of these bytes; `None` unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::blank();
        (bytes.len() == Self::LEN).then(|| {
            key.0.copy_from_slice(bytes);
            key
        })
    }

    /// The bytes, for the cipher or database that takes them.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// HKDF-SHA256 of this key without salt. `info` must read in one way only: whoever puts a
    /// part of varying length into it puts the length in front.
    pub(in crate::crypto) fn derive(&self, info: &[&[u8]]) -> Self {
        let extracted = Salt::new(HKDF_SHA256, &[]).extract(self.expose());
        let mut key = Self::blank();
        extracted
            .expand(info, HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key.0[..]))
            .expect("invariant: HKDF-SHA256 gives 32 bytes");
        key
    }

    pub(in crate::crypto) fn blank() -> Self {
        Self(Box::new([0; Self::LEN]))
    }

    pub(in crate::crypto) fn bytes_mut(&mut self) -> &mut [u8; Self::LEN] {
        &mut self.0
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_bytes_and_shows_none_of_them() {
        let key = SecretKey::from_bytes([0xAB; 32]);
        assert_eq!(key.expose(), &[0xAB; 32]);
        assert_eq!(key.clone().expose(), key.expose());
        assert_eq!(format!("{key:?}"), "SecretKey(…)");
    }

    #[test]
    fn two_generated_keys_differ_from_each_other_and_from_nothing() {
        let (one, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.expose(), &[0; 32]);
    }

    #[test]
    fn only_thirty_two_bytes_make_a_key() {
        assert!(SecretKey::from_slice(&[1; 31]).is_none());
        assert!(SecretKey::from_slice(&[1; 33]).is_none());
        assert_eq!(SecretKey::from_slice(&[1; 32]).unwrap().expose(), &[1; 32]);
    }
}
