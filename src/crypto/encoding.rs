//! Bytes as text: hexadecimal, and the base 64 of password hashes.
//!
//! Called by: `crypto`, `keys`, `tenant`, `inference`, `app`. Talks to: nothing.
//! Invariants: what decodes is exactly what encoding would have written, up to the case of
//! hexadecimal digits.

use std::fmt::Write as _;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The bytes of a hexadecimal text of either case; `None` where it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high << 4) | low).collect())
}

/// Base 64 in the standard alphabet and without padding, as PHC strings have it.
pub(in crate::crypto) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (at, byte)| bits | (u32::from(*byte) << (16 - 8 * at)));
        for at in 0..=group.len() {
            out.push(char::from(BASE64[((bits >> (18 - 6 * at)) & 63) as usize]));
        }
    }
    out
}

/// The bytes of such a text; `None` where [`base64`] would not have written it.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (at, letter) in group.iter().enumerate() {
            let value = BASE64.iter().position(|known| known == letter)?;
            bits |= (value as u32) << (18 - 6 * at);
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    (base64(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_the_one_of_the_standard() {
        let known = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")];
        for (plain, encoded) in known {
            assert_eq!(base64(plain.as_bytes()), encoded);
            assert_eq!(unbase64(encoded).unwrap(), plain.as_bytes());
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "+/8");
    }

    #[test]
    fn text_that_encoding_never_writes_does_not_decode() {
        for odd in ["Z", "Zg==", "Zh", "Zm9", "Zm9v\n", "Zm9-", "é"] {
            assert!(unbase64(odd).is_none(), "{odd:?}");
        }
        for odd in ["a", "0g", "0x", " 00", "00 ", "é"] {
            assert!(unhex(odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn hexadecimal_reads_either_case_and_writes_the_lower_one() {
        assert_eq!(unhex("00fFA0").unwrap(), [0, 255, 160]);
        assert_eq!(hex(&[0, 255, 160]), "00ffa0");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_text(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(unhex(&hex(&bytes)).unwrap(), bytes.clone());
            prop_assert_eq!(unbase64(&base64(&bytes)).unwrap(), bytes);
        }
    }
}
