//! The HTML that Outlook wraps in the rich text of a mail body.
//!
//! Called by: `mail::forms`. Talks to: `rtf` for tokens and character sets; pure.
//! Invariants: one pass, no recursion; groups nest in a vector with a bound. What the reader does
//! not know is passed over.
//!
//! Source: [MS-OXRTFEX]. Markup stands in groups of its own, in the code page of the file; the words
//! between it are in that of their font, and what only repeats the markup for readers of rich text
//! is fenced by `\htmlrtf`.

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::extract::rtf::token::{Token, Tokens};
use crate::extract::rtf::{char_set, code_page};

/// Tokens among which the file says that it wraps HTML.
const HEAD: usize = 20;
const MAX_DEPTH: usize = 1_000;
const MAX_FONTS: usize = 1_000;
/// Most characters that stand in for one given by number.
const MAX_FALLBACK: usize = 16;

/// State of one group, inherited by the groups inside.
#[derive(Clone, Copy)]
struct Group {
    /// Nothing of it is text.
    hidden: bool,
    /// It is markup.
    markup: bool,
    /// Rich text that only repeats what the HTML says.
    repeats: bool,
    /// Characters that stand in for one given by number.
    fallback: usize,
    font: i32,
}

struct Reader {
    group: Group,
    outer: Vec<Group>,
    encoding: &'static Encoding,
    /// Encoding by number of font.
    fonts: Vec<(i32, &'static Encoding)>,
    /// The font that holds where none is named.
    default_font: i32,
    /// Bytes of characters still to be decoded together.
    bytes: Vec<u8>,
    /// Half of a character that takes two numbers.
    high: Option<u16>,
    /// Characters to pass over.
    skip: usize,
    /// The token before was `\*`.
    starred: bool,
    out: String,
}

/// The HTML in `rich`; `None` where it wraps none.
pub(super) fn html_of(rich: &[u8]) -> Option<String> {
    let wraps = |token| matches!(token, Token::Word("fromhtml", Some(1)));
    if !Tokens::new(rich).take(HEAD).any(wraps) {
        return None;
    }
    let mut reader = Reader {
        group: Group { hidden: false, markup: false, repeats: false, fallback: 1, font: 0 },
        outer: Vec::new(),
        encoding: WINDOWS_1252,
        fonts: Vec::new(),
        default_font: 0,
        bytes: Vec::new(),
        high: None,
        skip: 0,
        starred: false,
        out: String::new(),
    };
    for token in Tokens::new(rich) {
        reader.token(token)?;
    }
    reader.end_bytes();
    Some(reader.out)
}

impl Reader {
    fn token(&mut self, token: Token<'_>) -> Option<()> {
        match token {
            Token::Open => {
                self.end_bytes();
                if self.outer.len() >= MAX_DEPTH {
                    return None;
                }
                self.outer.push(self.group);
                self.skip = 0;
            }
            Token::Close => {
                self.end_bytes();
                if let Some(outer) = self.outer.pop() {
                    self.group = outer;
                }
                self.skip = 0;
            }
            Token::Star => self.starred = true,
            Token::Byte(_) if self.skip > 0 => self.skip -= 1,
            Token::Byte(byte) => {
                if !self.is_silent() {
                    self.bytes.push(byte);
                }
            }
            // Counts as one character, and is none of the text.
            Token::Binary(_) => self.skip = self.skip.saturating_sub(1),
            Token::Word(word, number) => {
                self.end_bytes();
                let starred = std::mem::take(&mut self.starred);
                self.word(word, number, starred);
            }
        }
        Some(())
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool) {
        match word {
            "htmlrtf" => self.group.repeats = number != Some(0),
            "htmltag" if starred => (self.group.hidden, self.group.markup) = (false, true),
            "ansicpg" => self.encoding = code_page(number.unwrap_or(1252)),
            "deff" => {
                self.default_font = number.unwrap_or(0);
                self.group.font = self.default_font;
            }
            "plain" => self.group.font = self.default_font,
            "f" => self.group.font = number.unwrap_or(0),
            "fcharset" => {
                if let Some(encoding) = char_set(number.unwrap_or(0))
                    && self.fonts.len() < MAX_FONTS
                {
                    self.fonts.push((self.group.font, encoding));
                }
            }
            "uc" => {
                let fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1);
                self.group.fallback = fallback.min(MAX_FALLBACK);
            }
            "u" => self.unicode(number.unwrap_or(0)),
            "fonttbl" | "colortbl" | "stylesheet" | "info" | "pict" | "object" | "header"
            | "footer" => self.group.hidden = true,
            _ if starred => self.group.hidden = true,
            "par" | "line" => self.text("\n"),
            "tab" => self.text("\t"),
            "lquote" => self.text("\u{2018}"),
            "rquote" => self.text("\u{2019}"),
            "ldblquote" => self.text("\u{201c}"),
            "rdblquote" => self.text("\u{201d}"),
            "bullet" => self.text("\u{2022}"),
            "endash" => self.text("\u{2013}"),
            "emdash" => self.text("\u{2014}"),
            _ => {}
        }
    }

    /// One UTF-16 unit, written as a signed number.
    fn unicode(&mut self, number: i32) {
        self.skip = self.group.fallback;
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else { return };
        let high = self.high.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        let units: Vec<u16> = high.into_iter().chain([unit]).collect();
        self.text(&String::from_utf16_lossy(&units));
    }

    fn is_silent(&self) -> bool {
        self.group.hidden || self.group.repeats
    }

    fn text(&mut self, text: &str) {
        if !self.is_silent() {
            self.out.push_str(text);
        }
    }

    fn end_bytes(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let font = self.fonts.iter().rev().find(|(font, _)| *font == self.group.font);
        let encoding = match font {
            Some((_, encoding)) if !self.group.markup => encoding,
            _ => self.encoding,
        };
        self.out.push_str(&encoding.decode_without_bom_handling(&bytes).0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_is_unwrapped() {
        let rich = br"{\rtf1\ansi\ansicpg1252\fromhtml1{\fonttbl{\f0 Arial;}}{\*\htmltag64 <p>}Gr\'fc\'dfe \htmlrtf {\b\htmlrtf0 all\htmlrtf }\htmlrtf0 {\*\htmltag72 </p>}{\*\mhtmltag72 <img>}}";
        assert_eq!(html_of(rich).as_deref(), Some("<p>Grüße all</p>"));
    }

    #[test]
    fn words_are_in_the_code_page_of_their_font_and_markup_in_that_of_the_file() {
        let rich = br"{\rtf1\ansi\ansicpg1252\fromhtml1\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 MS Gothic;}}{\*\htmltag64 <p title=\'e4>}\htmlrtf\f1\htmlrtf0 \'cc\'e8\'f0\plain\f2 \'93\'fa\'96\'7b\plain  \u8364? \u-10179?\u-8704?}";
        assert_eq!(html_of(rich).as_deref(), Some("<p title=ä>Мир日本 € 😀"));
    }

    #[test]
    fn rich_text_that_wraps_no_html_is_left_to_its_own_reader() {
        assert_eq!(html_of(br"{\rtf1\ansi\fromtext One\par}"), None);
        let deep = format!(r"{{\rtf1\fromhtml1 {}", "{".repeat(MAX_DEPTH));
        assert_eq!(html_of(deep.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(rich in r"([{}a-z0-9 *'-]|\\(u|uc|par|f|fcharset|htmlrtf|'|\*|bin)|\u{e4}|\\){0,60}") {
            html_of(format!(r"{{\rtf1\fromhtml1 {rich}").as_bytes());
        }
    }
}
