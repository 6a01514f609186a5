//! The operating system's random source.
//!
//! Called by: every other file of `crypto`. Talks to: ring's `SystemRandom`.
//! Invariants: no randomness is an error, never a weak value.

use ring::rand::{SecureRandom, SystemRandom};

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// Overwrites `bytes` with random ones.
pub(in crate::crypto) fn fill_random(bytes: &mut [u8]) -> Result<(), RandomError> {
    SystemRandom::new().fill(bytes).map_err(|_| RandomError)
}

/// Random bytes that are no secret: salts, nonces, file ids.
pub(in crate::crypto) fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}
