//! The words, bytes and braces of a Rich Text file.
//!
//! Called by: `rtf`, `mail::encapsulated`. Talks to: nothing.
//! Invariants: every step moves on; binary data is told by its length.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Token<'t> {
    Open,
    Close,
    /// A character in the code page that holds.
    Byte(u8),
    /// What follows may be passed over by readers that do not know it.
    Star,
    Word(&'t str, Option<i32>),
    /// Bytes that are no text.
    Binary(&'t [u8]),
}

/// Reads tokens one after the other.
pub(in crate::extract) struct Tokens<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(in crate::extract) fn new(bytes: &'t [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn control(&mut self) -> Option<Token<'t>> {
        let first = *self.bytes.get(self.at)?;
        if !first.is_ascii_alphabetic() {
            self.at += 1;
            return Some(match first {
                b'\'' => {
                    let digits = self.bytes.get(self.at..self.at + 2);
                    let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
                    let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                    self.at = self.bytes.len().min(self.at + 2);
                    byte.map_or(Token::Word("", None), Token::Byte)
                }
                b'*' => Token::Star,
                b'~' => Token::Byte(b' '),
                b'_' => Token::Byte(b'-'),
                b'\n' | b'\r' => Token::Word("par", None),
                b'\\' | b'{' | b'}' => Token::Byte(first),
                _ => Token::Word("", None),
            });
        }
        let word = self.run(|byte| byte.is_ascii_alphabetic());
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        self.run(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(&self.bytes[start..self.at]).ok();
        let number = number.and_then(|number| number.parse().ok());
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        if word == "bin" {
            let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
            let start = self.at;
            self.at = self.bytes.len().min(start.saturating_add(length));
            return Some(Token::Binary(&self.bytes[start..self.at]));
        }
        Some(Token::Word(word, number))
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'t str {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(40).take_while(|byte| belongs(**byte)).count();
        self.at += length;
        std::str::from_utf8(&rest[..length]).unwrap_or_default()
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            return match byte {
                b'{' => Some(Token::Open),
                b'}' => Some(Token::Close),
                b'\\' => self.control(),
                b'\n' | b'\r' | 0 => continue,
                byte => Some(Token::Byte(byte)),
            };
        }
    }
}
