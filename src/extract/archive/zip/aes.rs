//! Files in a zip archive that WinZip or 7-Zip encrypted with AES.
//!
//! Called by: `entry`. Talks to: `ring` for key and seal, `aes` for the cipher.
//! Invariants: the seal is checked over all of the file before a byte of it is decrypted, so a
//! wrong password or a changed file gives no garbage.
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

/// Why a file does not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    WrongPassword,
    Damaged,
}

/// The plain bytes of a file, which may be compressed.
pub(super) fn open<'b>(data: &'b [u8], strength: u8, password: &str) -> Result<Plain<'b>, Refused> {
    let key_length = match strength {
        1 => 16,
        2 => 24,
        3 => 32,
        _ => return Err(Refused::Damaged),
    };
    let (salt, rest) = data.split_at_checked(key_length / 2).ok_or(Refused::Damaged)?;
    let (check, rest) = rest.split_at_checked(CHECK).ok_or(Refused::Damaged)?;
    let (text, seal) = rest
        .len()
        .checked_sub(SEAL)
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(Refused::Damaged)?;
    let mut keys = [0; 2 * 32 + CHECK];
    let keys = &mut keys[..2 * key_length + CHECK];
    let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, salt, password.as_bytes(), keys);
    let (cipher_key, rest) = keys.split_at(key_length);
    let (seal_key, expected_check) = rest.split_at(key_length);
    if check != expected_check {
        return Err(Refused::WrongPassword);
    }
    let seal_key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seal_key);
    if hmac::sign(&seal_key, text).as_ref().get(..SEAL) != Some(seal) {
        return Err(Refused::WrongPassword);
    }
    let cipher = Cipher::new(cipher_key).ok_or(Refused::Damaged)?;
    Ok(Plain { cipher, text, counter: 0, stream: [0; BLOCK], used: BLOCK })
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
pub(super) struct Plain<'b> {
    cipher: Cipher,
    text: &'b [u8],
    counter: u128,
    stream: [u8; BLOCK],
    used: usize,
}

impl Read for Plain<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.text.len());
        let (now, later) = self.text.split_at(count);
        for (slot, byte) in out.iter_mut().zip(now) {
            if self.used == BLOCK {
                self.counter = self.counter.wrapping_add(1);
                let mut block = Block::from(self.counter.to_le_bytes());
                self.cipher.encrypt(&mut block);
                self.stream = block.into();
                self.used = 0;
            }
            *slot = byte ^ self.stream[self.used];
            self.used += 1;
        }
        self.text = later;
        Ok(count)
    }
}
