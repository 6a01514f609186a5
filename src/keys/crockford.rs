//! Crockford's base 32: text that people copy by hand, without letters that look alike.
//!
//! Called by: `keys::shares`. Talks to: nothing.
//! Invariants: `decode` takes back what `encode` gave, in either case and with `O`, `I` and `L`
//! read as the digits they were taken for.

use zeroize::Zeroizing;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The text of some bytes, without padding.
pub(in crate::keys) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut bits, mut held) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(SYMBOLS[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(SYMBOLS[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// The value of one character; `None` where it is no symbol.
pub(in crate::keys) fn value(character: char) -> Option<u8> {
    let symbol = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    SYMBOLS.iter().position(|known| char::from(*known) == symbol).map(|at| at as u8)
}

/// The bytes of symbol values; `None` where bits are left over that are not zero.
pub(in crate::keys) fn decode(values: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(values.len() * 5 / 8));
    let (mut bits, mut held) = (0_u32, 0);
    for value in values {
        bits = (bits << 5 | u32::from(*value)) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<u8> {
        text.chars().map(|character| value(character).unwrap()).collect()
    }

    #[test]
    fn bytes_become_the_text_that_the_alphabet_gives() {
        assert_eq!(*encode(b""), "");
        assert_eq!(*encode(&[0xff]), "ZW");
        assert_eq!(*encode(b"hello"), "D1JPRV3F");
    }

    #[test]
    fn look_alikes_and_small_letters_are_read_as_meant() {
        assert_eq!(values("oOiIlLz"), [0, 0, 1, 1, 1, 1, 31]);
        assert_eq!(value('U'), None);
        assert_eq!(value('-'), None);
        assert_eq!(value('é'), None);
    }

    #[test]
    fn bits_left_over_have_to_be_zero() {
        assert_eq!(*decode(&values("ZW")).unwrap(), [0xff]);
        assert!(decode(&values("ZX")).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&values(&text)).unwrap().to_vec(), bytes);
        }
    }
}
