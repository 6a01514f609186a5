//! Keys wrapped by other keys, short secrets in rows, and names on disk that tell nothing.
//!
//! Called by: `keys`, `system`, `auth`, `tenant`. Talks to: the random source.
//! Invariants: what was sealed for one context or one use opens for no other; a sealed piece is
//! a random nonce of 12 bytes, the ciphertext of AES-256-GCM and its tag of 16 bytes.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

use super::encoding::hex;
use super::random::{RandomError, random_bytes};
use super::secret::SecretKey;

const KEY: &str = "cairn wrapped key 1";
const SMALL: &str = "cairn small secret 1";

/// Wraps a key for storage. `context` says what the key is, and [`unwrap`] must be told the same.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn wrap(kek: &SecretKey, context: &str, key: &SecretKey) -> Result<Vec<u8>, RandomError> {
    seal(kek, KEY, context, key.expose())
}

/// The key that was wrapped; `None` where KEK or context are others, or a bit has changed.
pub fn unwrap(kek: &SecretKey, context: &str, wrapped: &[u8]) -> Option<SecretKey> {
    SecretKey::from_slice(&open(kek, KEY, context, wrapped)?)
}

/// Seals a short secret that is stored in a row. `context` says whose and what it is.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn seal_small(key: &SecretKey, context: &str, secret: &[u8]) -> Result<Vec<u8>, RandomError> {
    seal(key, SMALL, context, secret)
}

/// The secret that was sealed; `None` where key or context are others, or a bit has changed.
pub fn open_small(key: &SecretKey, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    open(key, SMALL, context, sealed)
}

/// HMAC-SHA256 of a name, lower-case hexadecimal: the same name gives the same text, and who has
/// no key cannot tell which name it was, not even by trying names.
pub fn keyed_name(key: &SecretKey, name: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hex(hmac::sign(&key, name.as_bytes()).as_ref())
}

/// AES-256-GCM with this key.
pub(in crate::crypto) fn cipher(key: &SecretKey) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key.expose());
    LessSafeKey::new(key.expect("invariant: AES-256 takes 32 bytes"))
}

/// Neither use holds a NUL, so no other use and context make the same bytes.
fn associated(usage: &str, context: &str) -> Aad<Vec<u8>> {
    Aad::from([usage.as_bytes(), b"\0", context.as_bytes()].concat())
}

fn seal(
    key: &SecretKey,
    usage: &str,
    context: &str,
    content: &[u8],
) -> Result<Vec<u8>, RandomError> {
    let nonce: [u8; NONCE_LEN] = random_bytes()?;
    let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(content);
    let tag = cipher(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            associated(usage, context),
            &mut sealed[NONCE_LEN..],
        )
        .expect("invariant: a short secret is far below the cipher's limit");
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

fn open(key: &SecretKey, usage: &str, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut content = Zeroizing::new(sealed.to_vec());
    let opened = cipher(key).open_in_place(nonce, associated(usage, context), &mut content).ok()?;
    let len = opened.len();
    content.truncate(len);
    Some(content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes([seed; 32])
    }

    #[test]
    fn a_wrapped_key_opens_with_its_kek_and_context_only() {
        let wrapped = wrap(&key(1), "tenant a, epoch 1", &key(9)).unwrap();
        let opened = unwrap(&key(1), "tenant a, epoch 1", &wrapped).unwrap();
        assert_eq!(opened.expose(), key(9).expose());
        assert!(unwrap(&key(2), "tenant a, epoch 1", &wrapped).is_none());
        assert!(unwrap(&key(1), "tenant b, epoch 1", &wrapped).is_none());
    }

    #[test]
    fn wrapping_twice_shows_nothing_of_the_key_being_the_same() {
        let (one, other) =
            (wrap(&key(1), "", &key(9)).unwrap(), wrap(&key(1), "", &key(9)).unwrap());
        assert_ne!(one[NONCE_LEN..], other[NONCE_LEN..]);
    }

    #[test]
    fn a_small_secret_is_no_wrapped_key_and_the_other_way_round() {
        let wrapped = wrap(&key(1), "c", &key(9)).unwrap();
        assert!(open_small(&key(1), "c", &wrapped).is_none());
        let small = seal_small(&key(1), "c", key(9).expose()).unwrap();
        assert!(unwrap(&key(1), "c", &small).is_none());
    }

    #[test]
    fn a_changed_shortened_or_lengthened_piece_does_not_open() {
        let sealed = seal_small(&key(1), "c", b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open_small(&key(1), "c", &changed).is_none(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(open_small(&key(1), "c", &sealed[..len]).is_none(), "length {len}");
        }
        assert!(open_small(&key(1), "c", &[&sealed[..], b"x"].concat()).is_none());
    }

    #[test]
    fn a_keyed_name_is_hmac_sha256() {
        // RFC 4231 has no key of 32 bytes; this is `openssl dgst -sha256 -mac HMAC`.
        let known = "29f6e9ecd7f0a59c7a3c5177dd7690789513c453447a34acf268b3a7c9492afe";
        assert_eq!(keyed_name(&key(1), "report.pdf"), known);
        assert_ne!(keyed_name(&key(2), "report.pdf"), known);
        assert_ne!(keyed_name(&key(1), "report.pd"), known);
    }

    proptest! {
        #[test]
        fn any_short_secret_comes_back(
            secret in proptest::collection::vec(any::<u8>(), 0..200),
            context in ".{0,20}",
        ) {
            let sealed = seal_small(&key(1), &context, &secret).unwrap();
            prop_assert_eq!(sealed.len(), secret.len() + 28);
            prop_assert_eq!(&open_small(&key(1), &context, &sealed).unwrap()[..], &secret[..]);
        }
    }
}
