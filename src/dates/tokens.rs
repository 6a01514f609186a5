//! Words, numbers and signs of a text.
//!
//! Called by: `dates`. Talks to: nothing; pure.
//! Invariants: tokens are in order and each is an exact slice of the text.

/// A word, a number or a sign.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// Byte offsets.
    pub(super) start: usize,
    pub(super) end: usize,
    /// White space stands before it.
    pub(super) spaced: bool,
    /// The value of a number of at most four digits.
    pub(super) number: Option<i16>,
}

impl Token<'_> {
    pub(super) fn is(&self, sign: char) -> bool {
        let mut chars = self.text.chars();
        chars.next() == Some(sign) && chars.next().is_none()
    }

    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(char::is_alphabetic)
    }

    pub(super) fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    /// A number of a year's length.
    pub(super) fn year(&self) -> Option<i16> {
        self.number.filter(|year| self.text.len() == 4 && (1000..=2200).contains(year))
    }

    /// A number of one or two digits within `1..=most`.
    pub(super) fn small(&self, most: i16) -> Option<i8> {
        let number = self.number.filter(|n| self.text.len() <= 2 && (1..=most).contains(n))?;
        i8::try_from(number).ok()
    }
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut spaced = true;
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c.is_whitespace() {
            spaced = true;
            continue;
        }
        let kind = Kind::of(c);
        let mut end = start + c.len_utf8();
        if kind != Kind::Sign {
            while let Some((at, next)) = chars.next_if(|(_, next)| Kind::of(*next) == kind) {
                end = at + next.len_utf8();
            }
        }
        let slice = &text[start..end];
        let number =
            (kind == Kind::Digit && slice.len() <= 4).then(|| slice.parse().ok()).flatten();
        tokens.push(Token { text: slice, start, end, spaced, number });
        spaced = false;
    }
    tokens
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Sign,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digit,
            _ if c.is_alphabetic() => Self::Letter,
            _ => Self::Sign,
        }
    }
}
