//! One chunk: AES-256-GCM under the key of its file, bound to its place.
//!
//! Called by: the writer and the reader. Talks to: nothing.
//! Invariants: the associated data hold the whole header, the chunk's number and whether it is
//! the last, so that a chunk opens nowhere else and a cut file has no last chunk.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::header::Header;
use super::layout::{HEADER_LEN, TAG_LEN};
use crate::crypto::secret::SecretKey;
use crate::crypto::wrap::cipher;

const ASSOCIATED_LEN: usize = HEADER_LEN + 8 + 1;

/// Seals and opens the chunks of one file.
pub(super) struct ChunkCipher {
    key: LessSafeKey,
    header: [u8; HEADER_LEN],
}

impl ChunkCipher {
    pub(super) fn new(subkey: &SecretKey, scope: &str, header: &Header) -> Self {
        let scope = scope.as_bytes();
        let scope_len = (scope.len() as u64).to_le_bytes();
        let info: [&[u8]; 4] = [b"cairn file 1\0", &scope_len[..], scope, &header.file_id];
        Self { key: cipher(&subkey.derive(&info)), header: header.encode() }
    }

    /// Encrypts the content in place and returns the tag.
    pub(super) fn seal(&self, number: u64, last: bool, content: &mut [u8]) -> [u8; TAG_LEN] {
        let (nonce, associated) = self.place(number, last);
        let sealed = self.key.seal_in_place_separate_tag(nonce, associated, content);
        let tag = sealed.expect("invariant: a chunk is far below the cipher's limit");
        let mut bytes = [0; TAG_LEN];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts the chunk that fills `buffer` from `shift` on, tag included, and leaves its
    /// content at the front of `buffer`. False where it is not that chunk of that file.
    pub(super) fn open(&self, number: u64, last: bool, buffer: &mut [u8], shift: usize) -> bool {
        let (nonce, associated) = self.place(number, last);
        self.key.open_within(nonce, associated, buffer, shift..).is_ok()
    }

    fn place(&self, number: u64, last: bool) -> (Nonce, Aad<[u8; ASSOCIATED_LEN]>) {
        let number = number.to_le_bytes();
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&number);
        let mut associated = [0; ASSOCIATED_LEN];
        associated[..HEADER_LEN].copy_from_slice(&self.header);
        associated[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&number);
        associated[HEADER_LEN + 8] = u8::from(last);
        (Nonce::assume_unique_for_key(nonce), Aad::from(associated))
    }
}
