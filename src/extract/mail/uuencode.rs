//! Files in uuencode, which mails carried before there was base64.
//!
//! Called by: `mail`. Talks to: nothing; pure.
//! Invariants: what is not whole and in the form is left as it is; what comes out is shorter than
//! what went in.
//!
//! Source: POSIX `uuencode`, the historical algorithm: a line is its length and groups of four
//! characters that stand for three bytes, six bits each counted from the space.

use std::ops::Range;

use mail_parser::{MessagePart, MimeHeaders};

/// True for a part that says it is encoded so.
pub(super) fn is_declared(part: &MessagePart<'_>) -> bool {
    const NAMES: [&str; 4] = ["x-uuencode", "uuencode", "x-uue", "uue"];
    let encoding = part.content_transfer_encoding().unwrap_or_default().trim();
    NAMES.iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// A file inside a text.
pub(super) struct Embedded {
    /// Where it stands, from `begin` to `end`.
    pub(super) at: Range<usize>,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The files in a text, as programs put them there that know no attachments.
pub(super) fn embedded(text: &str) -> Vec<Embedded> {
    let mut found = Vec::new();
    let mut end = 0;
    for (start, line) in lines(text.as_bytes(), 0) {
        // A line of a file that was read is none that begins another.
        let Some(name) = begun(line).filter(|_| start >= end) else { continue };
        if let Some((bytes, after)) =
            read(text.as_bytes(), start).filter(|(file, _)| !file.is_empty())
        {
            end = after;
            let name = String::from_utf8_lossy(name).trim().to_owned();
            found.push(Embedded { at: start..end, name, bytes });
        }
    }
    found
}

/// The first file in `text`; `None` where it holds none, or one that is damaged.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (start, _) = lines(text, 0).find(|(_, line)| begun(line).is_some())?;
    read(text, start).map(|(file, _)| file)
}

/// The lines from `start` on, without their ends, each with where it begins.
fn lines(text: &[u8], start: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = start;
    text[start..].split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let begins = at;
        at += line.len();
        let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        (begins, &line[..end.map_or(0, |last| last + 1)])
    })
}

/// The file that begins at `start`, and the place after it.
fn read(text: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let mut file = Vec::new();
    for (at, line) in lines(text, start).skip(1) {
        let Some((length, groups)) = line.split_first() else { continue };
        if line == b"end" {
            return Some((file, at + line.len()));
        }
        let length = usize::from(sextet(*length)?);
        let start = file.len();
        for group in groups.chunks(4) {
            // Spaces at the end of a line get lost on the way.
            let at = |place: usize| group.get(place).map_or(Some(0), |byte| sextet(*byte));
            let (a, b, c, d) = (at(0)?, at(1)?, at(2)?, at(3)?);
            file.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
        }
        file.resize(start + length, 0);
        // Lines that lost their spaces stand for more than they are, within bounds.
        if file.len() > text.len() {
            return None;
        }
    }
    None
}

/// The name of the file that a line begins: `begin`, its rights in octal digits, and the name.
fn begun(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?;
    let digits = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let name = rest.get(digits..)?.strip_prefix(b" ")?;
    (3..=4).contains(&digits).then_some(name)
}

/// The six bits of a character; the accent stands for a space.
fn sextet(byte: u8) -> Option<u8> {
    matches!(byte, b' '..=b'`').then(|| (byte - b' ') & 0x3f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_decoded_whatever_became_of_its_spaces() {
        let whole = b"Hello.\r\nbegin 644 a b.txt\r\n#0V%T\r\n!80``\r\n`\r\nend\r\n-- \r\nBob\r\n";
        assert_eq!(decode(whole).as_deref(), Some(&b"Cata"[..]));
        assert_eq!(decode(b"begin 644 a\n!80\n \nend").as_deref(), Some(&b"a"[..]));
        assert_eq!(decode(b"begin 644 a\n`\nend\n").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_is_no_file_or_breaks_off_is_left_as_it_is() {
        for text in
            ["begin with me\nend\n", "begin 644 a\n#0V%T\n", "begin 644 a\n#0v%t\nend\n", ""]
        {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn files_in_a_text_are_found_where_they_stand() {
        let text = "Grüße\r\nbegin 644 a b.txt\r\n#0V%T\r\n`\r\nend\r\nbegin 644 broken\nbegin \
                    0600 c\n!80\nend\nbegin 644 empty\nend\nBob\n";
        let found = embedded(text);
        let files: Vec<_> = found.iter().map(|file| (&*file.name, &file.bytes[..])).collect();
        assert_eq!(files, [("a b.txt", &b"Cat"[..]), ("c", &b"a"[..])]);
        assert_eq!(&text[found[0].at.clone()], "begin 644 a b.txt\r\n#0V%T\r\n`\r\nend");
        assert_eq!(&text[found[1].at.clone()], "begin 0600 c\n!80\nend");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(text in "((begin 644 a\n)?[ -~ä\n]{0,40}(\nend\n)?){0,3}") {
            decode(text.as_bytes());
            for file in embedded(&text) {
                prop_assert!(text[file.at].starts_with("begin "));
            }
        }
    }
}
