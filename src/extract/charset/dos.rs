//! The code page of DOS, which no browser knows: old texts, lists of programs, names in archives.
//!
//! Called by: `charset`, `archive::names`. Talks to: nothing.
//! Invariants: a text is taken for one of DOS only on signs that no other encoding gives, because
//! a wrong guess spoils every accent of it.

/// The upper half of the code page. In the letters of western Europe it agrees with page 850.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
/// Letters of DOS that stand for nothing, for quotes or for marks on Windows.
const SIGNS: [u8; 10] = [0x81, 0x82, 0x84, 0x87, 0x88, 0x89, 0x8d, 0x90, 0x93, 0x94];
/// The commonest letters of a Macintosh, which are capitals on DOS.
const MACINTOSH: [u8; 2] = [0x8e, 0x8f];
const SHARP_S: u8 = 0xe1;
/// How many letters inside words it takes.
const LEAST: usize = 2;

/// True where the letters inside of words are those of DOS.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    // Drawn boxes may outnumber the letters.
    let is_letter = |byte: &&u8| !byte.is_ascii() && !(0xb0..0xe0).contains(*byte);
    let letters = bytes.iter().filter(is_letter).count();
    let mut signs = 0;
    for window in bytes.windows(3) {
        let [before, byte, after] = *window else { continue };
        if byte.is_ascii() || !before.is_ascii_alphabetic() || !after.is_ascii_alphabetic() {
            continue;
        }
        if SIGNS.contains(&byte) {
            signs += 1;
        }
        let of_macintosh = MACINTOSH.contains(&byte) && before.is_ascii_lowercase();
        // From here on are the letters of Windows; on DOS they are lines and Greek.
        let of_windows = byte >= 0xc0 && byte != SHARP_S;
        if of_macintosh || of_windows {
            return false;
        }
    }
    signs >= LEAST && signs * 3 >= letters
}

/// Appends the text of `bytes` to `out`.
pub(in crate::extract) fn decode(bytes: &[u8], out: &mut String) {
    let upper: Vec<char> = CP437.chars().collect();
    out.extend(bytes.iter().map(|byte| match byte.checked_sub(128) {
        None => char::from(*byte),
        Some(high) => upper.get(usize::from(high)).copied().unwrap_or('\u{fffd}'),
    }));
}

#[cfg(test)]
mod tests {
    use super::{decode, is_likely};

    #[test]
    fn texts_of_dos_are_told_from_others() {
        let dos = b"Gr\x94\xe1e der T\x81r h\x84ngt vom Geb\x84ude ab. \xc9\xcd\xcd\xbb \xba";
        assert!(is_likely(dos));
        let mut text = String::new();
        decode(dos, &mut text);
        assert_eq!(text, "Größe der Tür hängt vom Gebäude ab. ╔══╗ ║");
        for other in [
            // Windows: letters, and quotes that touch them by mistake.
            &b"Gr\xf6\xdfe der T\xfcr h\xe4ngt vom Geb\xe4ude ab."[..],
            b"he said:\x93so\x94it was a\x94b c\x93d caf\xe9s",
            b"wait\x85what and then\x97nothing, don\x92t",
            // Macintosh, French.
            b"le m\x90me fran\x8dais ma\x94tre a \x8et\x8e r\x8ep\x8et\x8e",
            // Cyrillic and Japanese.
            b"\xd0\xd2\xc9\xd7\xc5\xd4 \x8f\xe0\xa8\xa2\xa5\xe2",
            b"\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x83e\x83L\x83X\x83g",
            b"plain",
        ] {
            assert!(!is_likely(other), "{other:x?}");
        }
    }
}
