//! Files in a zip archive that WinZip or 7-Zip encrypted with AES.
//!
//! Called by: `entry`, `stream`. Talks to: `ring` for key and seal, `aes` for the cipher.
//! Invariants: a file ends in an error where its seal does not fit, so that a wrong password or a
//! changed file is kept as neither.
//!
//! A file is: salt, two bytes that reject most wrong passwords, cipher text, ten bytes of
//! HMAC-SHA1. Keys come from PBKDF2-HMAC-SHA1 with 1000 rounds; the cipher is AES in counter mode
//! with a little-endian counter that begins at one.

use std::io::{self, Read};
use std::num::NonZeroU32;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256, Block};
use ring::{hmac, pbkdf2};

const ROUNDS: u32 = 1000;
const CHECK: usize = 2;
const SEAL: usize = 10;
const BLOCK: usize = 16;

/// Length of a salt by strength; none for a strength that is not known.
fn salt_length(strength: u8) -> Option<usize> {
    matches!(strength, 1..=3).then(|| 4 + 4 * usize::from(strength))
}

/// The keys of one file.
struct Keys {
    cipher: Cipher,
    seal: hmac::Key,
}

impl Keys {
    /// None where `check` rejects the password.
    fn new(salt: &[u8], check: &[u8], password: &str) -> Option<Self> {
        let key_length = 2 * salt.len();
        let mut keys = [0; 2 * 32 + CHECK];
        let keys = keys.get_mut(..2 * key_length + CHECK)?;
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, salt, password.as_bytes(), keys);
        let (cipher, rest) = keys.split_at(key_length);
        let (seal, expected) = rest.split_at(key_length);
        let seal = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seal);
        (check == expected).then_some(Self { cipher: Cipher::new(cipher)?, seal })
    }
}

/// The plain bytes of a file, which may be compressed, out of `packed` bytes: its first bytes are
/// tried on every password, and its seal is checked when the last has been read. None where no
/// password fits.
pub(super) fn open<R: Read>(
    mut data: R,
    packed: u64,
    strength: u8,
    passwords: &[impl AsRef<str>],
) -> io::Result<Option<Plain<Sealed<R>>>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its start is damaged");
    let salt_length = salt_length(strength).ok_or_else(damaged)?;
    let left = packed.checked_sub((salt_length + CHECK + SEAL) as u64).ok_or_else(damaged)?;
    let mut start = vec![0; salt_length + CHECK];
    data.read_exact(&mut start)?;
    let (salt, check) = start.split_at(salt_length);
    let keys = passwords.iter().find_map(|password| Keys::new(salt, check, password.as_ref()));
    Ok(keys.map(|Keys { cipher, seal }| {
        Plain::new(cipher, Sealed { inner: data, left, seal: Some(hmac::Context::with_key(&seal)) })
    }))
}

/// Cipher text whose seal follows it.
pub(super) struct Sealed<R> {
    inner: R,
    left: u64,
    seal: Option<hmac::Context>,
}

impl<R: Read> Read for Sealed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let count = self.inner.read(&mut out[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(seal) = &mut self.seal {
            seal.update(&out[..count]);
        }
        self.left -= count as u64;
        // Now and not at the next call, which a decoder that has all it needs never makes.
        if self.left == 0
            && let Some(seal) = self.seal.take()
        {
            let mut found = [0; SEAL];
            self.inner.read_exact(&mut found)?;
            if seal.sign().as_ref().get(..SEAL) != Some(&found[..]) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its seal is broken"));
            }
        }
        Ok(count)
    }
}

enum Cipher {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Cipher {
    fn new(key: &[u8]) -> Option<Self> {
        Some(match key.len() {
            16 => Self::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            24 => Self::Aes192(Box::new(Aes192::new_from_slice(key).ok()?)),
            32 => Self::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    fn encrypt(&self, block: &mut Block) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_block(block),
            Self::Aes192(cipher) => cipher.encrypt_block(block),
            Self::Aes256(cipher) => cipher.encrypt_block(block),
        }
    }
}

/// Decrypts as it is read.
pub(super) struct Plain<R> {
    cipher: Cipher,
    text: R,
    counter: u128,
    stream: [u8; BLOCK],
    used: usize,
}

impl<R> Plain<R> {
    fn new(cipher: Cipher, text: R) -> Self {
        Self { cipher, text, counter: 0, stream: [0; BLOCK], used: BLOCK }
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(out)?;
        for slot in &mut out[..count] {
            if self.used == BLOCK {
                self.counter = self.counter.wrapping_add(1);
                let mut block = Block::from(self.counter.to_le_bytes());
                self.cipher.encrypt(&mut block);
                self.stream = block.into();
                self.used = 0;
            }
            *slot ^= self.stream[self.used];
            self.used += 1;
        }
        Ok(count)
    }
}
