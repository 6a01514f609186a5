//! The ciphers of Office before 2007: RC4 under a key from a password, and bytes mixed with one.
//!
//! Called by: `old_lock`. Talks to: `ring` for SHA-1, `md5`.
//! Invariants: a key is only made from a password that the file itself proves right; nothing the
//! file states makes the work grow.
//!
//! Why RC4 is here: ring has no cipher that is broken, and these files know no other.

use md5::{Digest, Md5};
use ring::digest;

use super::super::protection::{number16, number32};

const RC4: u32 = 0x6801;
/// What fills up a password that is mixed in.
const FILL: [u8; 16] =
    [0xbb, 0xff, 0xff, 0xba, 0xff, 0xff, 0xb9, 0x80, 0, 0xbe, 0x0f, 0, 0xbf, 0x0f, 0, 0];

/// How a file says that it is encrypted with RC4.
pub(super) struct Scheme<'b> {
    /// Bytes of the key where Windows made it; none for the scheme of Office itself.
    windows_key: Option<usize>,
    salt: &'b [u8],
    verifier: &'b [u8],
    verifier_hash: &'b [u8],
}

/// What every block's own key is made from.
pub(super) struct Key {
    base: Vec<u8>,
    windows_key: Option<usize>,
}

impl<'b> Scheme<'b> {
    /// Reads what stands in front of an encrypted stream.
    pub(super) fn read(info: &'b [u8]) -> Option<Self> {
        match (number16(info, 0)?, number16(info, 2)?) {
            (1, 1) => Some(Self {
                windows_key: None,
                salt: info.get(4..20)?,
                verifier: info.get(20..36)?,
                verifier_hash: info.get(36..52)?,
            }),
            (2..=4, 2) => {
                let size = usize::try_from(number32(info, 8)?).ok()?;
                let header = info.get(12..)?.get(..size)?;
                if !matches!(number32(header, 8)?, 0 | RC4) {
                    return None;
                }
                let bits = usize::try_from(number32(header, 16)?).ok()?;
                let verifier = info.get(12 + size..)?;
                Some(Self {
                    windows_key: Some(if bits == 0 { 5 } else { bits / 8 }),
                    salt: verifier.get(4..20)?,
                    verifier: verifier.get(20..36)?,
                    verifier_hash: verifier.get(40..60)?,
                })
            }
            _ => None,
        }
    }

    /// The key, if the password is right.
    pub(super) fn key(&self, password: &str) -> Option<Key> {
        let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let base = match self.windows_key {
            Some(_) => sha1(&[self.salt, &password]),
            None => {
                let short = &md5(&password)[..5];
                md5(&[short, self.salt].concat().repeat(16))[..5].to_vec()
            }
        };
        let key = Key { base, windows_key: self.windows_key };
        let mut proof = [self.verifier, self.verifier_hash].concat();
        key.block(0)?.apply(&mut proof);
        let (verifier, stated) = proof.split_at(self.verifier.len());
        let right = match self.windows_key {
            Some(_) => sha1(&[verifier]) == stated,
            None => md5(verifier) == stated,
        };
        right.then_some(key)
    }
}

impl Key {
    /// The cipher of a block, at its start.
    pub(super) fn block(&self, number: u32) -> Option<Rc4> {
        let Some(bytes) = self.windows_key else {
            return Rc4::new(&md5(&[&self.base[..], &number.to_le_bytes()].concat()));
        };
        let mut key = sha1(&[&self.base, &number.to_le_bytes()]);
        key.truncate(bytes);
        if bytes == 5 {
            key.resize(16, 0);
        }
        Rc4::new(&key)
    }

    /// Decrypts a stream in place, whose key changes every `size` bytes.
    pub(super) fn decrypt(&self, stream: &mut [u8], size: usize) -> Option<()> {
        for (number, block) in (0_u32..).zip(stream.chunks_mut(size)) {
            self.block(number)?.apply(block);
        }
        Some(())
    }
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

/// RC4.
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    fn new(key: &[u8]) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        let mut state = [0; 256];
        state.iter_mut().zip(0..=255).for_each(|(slot, value)| *slot = value);
        let mut j = 0_u8;
        for (i, byte) in (0..256).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[i]).wrapping_add(*byte);
            state.swap(i, usize::from(j));
        }
        Some(Self { state, i: 0, j: 0 })
    }

    /// Encrypts or decrypts what comes next.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.i = self.i.wrapping_add(1);
            self.j = self.j.wrapping_add(self.state[usize::from(self.i)]);
            self.state.swap(usize::from(self.i), usize::from(self.j));
            let at = self.state[usize::from(self.i)].wrapping_add(self.state[usize::from(self.j)]);
            *byte ^= self.state[usize::from(at)];
        }
    }
}

/// The bytes that a workbook's own are mixed with, if the password is right.
pub(super) fn mixed(key: u16, stated: u16, password: &str) -> Option<[u8; 16]> {
    let password: Vec<u8> = password.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    if password.is_empty() || password.len() > 15 {
        return None;
    }
    let length = u8::try_from(password.len()).ok()?;
    let bytes = password.iter().rev().chain([&length]);
    let found = bytes
        .fold(0_u16, |hash, byte| (((hash >> 14) & 1) | ((hash << 1) & 0x7fff)) ^ u16::from(*byte));
    if found ^ 0xce4b != stated {
        return None;
    }
    let mut mask = FILL;
    mask.rotate_right(password.len());
    mask[..password.len()].copy_from_slice(&password);
    for (at, byte) in mask.iter_mut().enumerate() {
        *byte = (*byte ^ key.to_le_bytes()[at % 2]).rotate_left(2);
    }
    Some(mask)
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        md5(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_are_those_of_the_definition() {
        assert_eq!(hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        let long =
            b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(hex(long), "57edf4a22be3c955ac49da2e2107b67a");
    }

    #[test]
    fn rc4_gives_the_stream_of_its_published_example() {
        let mut bytes = *b"Plaintext";
        Rc4::new(b"Key").expect("a key").apply(&mut bytes);
        assert_eq!(bytes, [0xbb, 0xf3, 0x16, 0xe8, 0xd9, 0x40, 0xaf, 0x0a, 0xd3]);
    }

    #[test]
    fn what_is_no_scheme_is_refused() {
        assert!(Scheme::read(b"").is_none());
        assert!(Scheme::read(&[9; 200]).is_none());
        assert!(Scheme::read(&[&[2, 0, 2, 0][..], &[0xff; 100]].concat()).is_none());
        assert!(mixed(0, 0, "").is_none() && mixed(0, 0, &"x".repeat(100)).is_none());
    }
}
