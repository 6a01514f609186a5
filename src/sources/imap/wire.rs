//! The words of IMAP4rev1: responses cut into tokens, strings made safe to send.
//!
//! Called by: `sources::imap`. Talks to: nothing.
//! Invariants: whatever a server sends is cut without a panic and in one pass; nothing that is
//! sent can end its line early.

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    /// A word, with whatever stands in brackets behind it: `FLAGS`, `BODY[HEADER]`.
    Atom(Vec<u8>),
    /// The content of a quoted string or a literal.
    Text(Vec<u8>),
}

impl Token {
    /// The content of a word or a string.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Open => b"(",
            Self::Close => b")",
            Self::Atom(bytes) | Self::Text(bytes) => bytes,
        }
    }

    /// True for a word, whatever its case.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(bytes) if bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// A number.
    pub(super) fn number(&self) -> Option<u64> {
        std::str::from_utf8(self.bytes()).ok()?.parse().ok()
    }
}

/// A response: its lines with the literals between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Response {
    /// Text without literals; each is marked by the `{n}` that announced it.
    pub(super) parts: Vec<Part>,
}

/// Text of a line, or a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Line(Vec<u8>),
    Literal(Vec<u8>),
}

impl Response {
    /// The response as tokens.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for part in &self.parts {
            match part {
                Part::Line(line) => cut(without_announcement(line), &mut tokens),
                Part::Literal(bytes) => tokens.push(Token::Text(bytes.clone())),
            }
        }
        tokens
    }

    /// The first line, for people.
    pub(super) fn text(&self) -> String {
        match self.parts.first() {
            Some(Part::Line(line)) => shown(line),
            _ => String::new(),
        }
    }
}

/// A server's words, short and printable.
pub(super) fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Length of the literal that a line announces at its end.
pub(super) fn announced(line: &[u8]) -> Option<u64> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = inner[at + 1..].strip_suffix(b"+").unwrap_or(&inner[at + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn without_announcement(line: &[u8]) -> &[u8] {
    if announced(line).is_none() {
        return line;
    }
    let at = line.iter().rposition(|byte| *byte == b'{').unwrap_or(line.len());
    &line[..at]
}

fn cut(line: &[u8], tokens: &mut Vec<Token>) {
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            b' ' | b'\t' => at += 1,
            b'(' => {
                tokens.push(Token::Open);
                at += 1;
            }
            b')' => {
                tokens.push(Token::Close);
                at += 1;
            }
            b'"' => {
                let (text, end) = quoted(line, at + 1);
                tokens.push(Token::Text(text));
                at = end;
            }
            _ => {
                let end = atom_end(line, at);
                tokens.push(Token::Atom(line[at..end].to_vec()));
                at = end;
            }
        }
    }
}

fn quoted(line: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return (text, at + 1),
            b'\\' if at + 1 < line.len() => {
                text.push(line[at + 1]);
                at += 2;
            }
            _ => {
                text.push(byte);
                at += 1;
            }
        }
    }
    (text, at)
}

/// Where a word ends; what stands in brackets belongs to it.
fn atom_end(line: &[u8], start: usize) -> usize {
    let (mut at, mut inside) = (start, false);
    while let Some(&byte) = line.get(at) {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b' ' | b'\t' | b'(' | b')' | b'"' if !inside => break,
            _ => {}
        }
        at += 1;
    }
    at.max(start + 1)
}

/// A string as it is sent: quoted where that can hold it, else as a literal to be announced.
pub(super) enum Sent {
    Quoted(String),
    Literal(Vec<u8>),
}

/// How to send a string.
pub(super) fn sent(text: &[u8]) -> Sent {
    let plain = text.iter().all(|byte| (0x20..0x7f).contains(byte));
    match std::str::from_utf8(text) {
        Ok(text) if plain && text.len() < 1000 => {
            Sent::Quoted(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
        _ => Sent::Literal(text.to_vec()),
    }
}

/// The name of a folder for people: IMAP writes other letters than ASCII in a UTF-7 of its own.
pub(super) fn folder_name(raw: &[u8]) -> String {
    let mut name = String::new();
    let mut rest = raw;
    while let Some(start) = rest.iter().position(|byte| *byte == b'&') {
        name.push_str(&String::from_utf8_lossy(&rest[..start]));
        let Some(length) = rest[start..].iter().position(|byte| *byte == b'-') else {
            rest = &rest[start..];
            break;
        };
        let inner = &rest[start + 1..start + length];
        if inner.is_empty() {
            name.push('&');
        } else {
            name.push_str(&utf16_of(inner));
        }
        rest = &rest[start + length + 1..];
    }
    name.push_str(&String::from_utf8_lossy(rest));
    name
}

/// Text in base64 (with `,` for `/`) of UTF-16.
fn utf16_of(inner: &[u8]) -> String {
    let (mut units, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in inner {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held & 0xffff) as u16);
            bits &= (1 << held) - 1;
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &str) -> Vec<Token> {
        Response { parts: vec![Part::Line(line.as_bytes().to_vec())] }.tokens()
    }

    #[test]
    fn responses_are_cut_into_words_strings_and_brackets() {
        let found = tokens(r#"* LIST (\HasNoChildren) "/" "a \"b\"""#);
        assert_eq!(found.len(), 7);
        assert!(found[1].is("list") && found[3].is("\\hasnochildren"));
        assert_eq!(found[6], Token::Text(b"a \"b\"".to_vec()));
        let found = tokens("* 1 FETCH (UID 7 BODY[HEADER.FIELDS (DATE FROM)] {12}");
        assert_eq!(found[5].number(), Some(7));
        assert!(found.last().unwrap().is("BODY[HEADER.FIELDS (DATE FROM)]"));
    }

    #[test]
    fn whatever_comes_is_cut_to_its_end() {
        for line in ["", "\"", "\"\\", "[", "]", "((((", "{", "{}", "{+}", "{99999999999999999999}"]
        {
            tokens(line);
        }
        assert_eq!(announced(b"x {12}"), Some(12));
        assert_eq!(announced(b"x {12+}"), Some(12));
        for none in ["x {}", "x {-1}", "x 12}", "x {99999999999999999999}"] {
            assert_eq!(announced(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn what_is_sent_cannot_end_its_line() {
        assert!(matches!(sent(b"a\"b\\"), Sent::Quoted(text) if text == r#""a\"b\\""#));
        for text in ["a\r\nb", "ü", "\0"] {
            assert!(matches!(sent(text.as_bytes()), Sent::Literal(_)), "{text:?}");
        }
    }

    #[test]
    fn names_of_folders_read_as_people_wrote_them() {
        assert_eq!(folder_name(b"INBOX"), "INBOX");
        assert_eq!(folder_name(b"Entw&APw-rfe"), "Entwürfe");
        assert_eq!(folder_name(b"R&-D"), "R&D");
        assert_eq!(folder_name(b"&ZeVnLIqe-"), "日本語");
        folder_name(b"broken &ZeV");
    }
}
