//! The text of a mail body kept as rich text, or the HTML that Outlook wrapped in it.
//!
//! Called by: `mail::outlook`. Talks to: nothing; pure.
//! Invariants: one pass, no recursion; groups nest in a vector that is no deeper than the input
//! is long. What the reader does not know is passed over.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::outlook::code_page;

/// What a body came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rtf {
    /// `text` is HTML.
    pub(super) is_html: bool,
    pub(super) text: String,
}

/// State of one group, inherited by the groups inside.
#[derive(Clone, Copy)]
struct Group {
    /// Nothing of it is text.
    hidden: bool,
    /// Rich text that only repeats what the HTML says.
    repeats_html: bool,
    /// Characters that stand in for one given by number.
    fallback: usize,
}

struct Reader {
    group: Group,
    outer: Vec<Group>,
    is_html: bool,
    encoding: &'static Encoding,
    /// Bytes of characters still to be decoded together.
    bytes: Vec<u8>,
    /// Half of a character that takes two numbers.
    high: Option<u16>,
    /// Characters to pass over.
    skip: usize,
    /// The control word before was `\*`.
    starred: bool,
    out: String,
}

/// Reads rich text whose characters are the bytes of its file.
pub(super) fn read(rtf: &str) -> Rtf {
    let mut reader = Reader {
        group: Group { hidden: false, repeats_html: false, fallback: 1 },
        outer: Vec::new(),
        is_html: false,
        encoding: WINDOWS_1252,
        bytes: Vec::new(),
        high: None,
        skip: 0,
        starred: false,
        out: String::new(),
    };
    let chars: Vec<char> = rtf.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        at = reader.step(&chars, at);
    }
    reader.end_bytes();
    Rtf { is_html: reader.is_html, text: reader.out }
}

impl Reader {
    /// Takes what stands at `at` and gives the place after it.
    fn step(&mut self, chars: &[char], at: usize) -> usize {
        match chars[at] {
            '{' => {
                self.end_bytes();
                self.outer.push(self.group);
                self.skip = 0;
            }
            '}' => {
                self.end_bytes();
                if let Some(outer) = self.outer.pop() {
                    self.group = outer;
                }
                self.skip = 0;
            }
            '\r' | '\n' => {}
            '\\' => return self.control(chars, at + 1),
            c => self.byte(c),
        }
        at + 1
    }

    fn control(&mut self, chars: &[char], at: usize) -> usize {
        let Some(&first) = chars.get(at) else { return at };
        if first == '\'' {
            let digits: String = chars.iter().skip(at + 1).take(2).collect();
            if let Ok(byte) = u8::from_str_radix(&digits, 16) {
                self.byte(char::from(byte));
            }
            return at + 1 + digits.chars().count();
        }
        if !first.is_ascii_alphabetic() {
            match first {
                '*' => self.starred = true,
                '~' => self.text("\u{a0}"),
                '\\' | '{' | '}' => self.byte(first),
                '\r' | '\n' => self.text("\n"),
                _ => {}
            }
            return at + 1;
        }
        let rest = &chars[at..];
        let letters = rest.iter().take(32).take_while(|c| c.is_ascii_alphabetic()).count();
        let word: String = rest[..letters].iter().collect();
        let sign = usize::from(rest.get(letters) == Some(&'-'));
        let digits =
            rest[letters + sign..].iter().take(10).take_while(|c| c.is_ascii_digit()).count();
        let number: String = rest[letters..letters + sign + digits].iter().collect();
        let mut end = at + letters + if digits > 0 { sign + digits } else { 0 };
        if chars.get(end) == Some(&' ') {
            end += 1;
        }
        self.word(&word, number.parse::<i32>().ok());
        end
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        if word != "u" {
            self.end_bytes();
        }
        let starred = std::mem::take(&mut self.starred);
        match word {
            "fromhtml" => self.is_html = true,
            "htmlrtf" => self.group.repeats_html = number != Some(0),
            "htmltag" if starred => self.group.hidden = false,
            "ansicpg" => {
                let page = number.and_then(|number| u32::try_from(number).ok());
                self.encoding = page.and_then(code_page).unwrap_or(WINDOWS_1252);
            }
            "uc" => self.group.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(8),
            "u" => self.unicode(number.unwrap_or(0)),
            "fonttbl" | "colortbl" | "stylesheet" | "info" | "pict" | "object" | "header"
            | "footer" => self.group.hidden = true,
            _ if starred => self.group.hidden = true,
            "par" | "line" | "row" => self.text("\n"),
            "tab" | "cell" => self.text("\t"),
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
        let bytes = std::mem::take(&mut self.bytes);
        self.decode(&bytes);
        self.skip = self.group.fallback;
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else { return };
        let units = match self.high.take() {
            Some(high) => vec![high, unit],
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return;
            }
            None => vec![unit],
        };
        self.text(&String::from_utf16_lossy(&units));
    }

    fn is_silent(&self) -> bool {
        self.group.hidden || (self.is_html && self.group.repeats_html)
    }

    fn text(&mut self, text: &str) {
        if !self.is_silent() {
            self.out.push_str(text);
        }
    }

    fn byte(&mut self, c: char) {
        self.starred = false;
        if self.skip > 0 {
            self.skip -= 1;
        } else if !self.is_silent() {
            // Every character is one byte of the file.
            self.bytes.push(u8::try_from(u32::from(c)).unwrap_or(b'?'));
        }
    }

    fn end_bytes(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.decode(&bytes);
        self.high = None;
    }

    fn decode(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.out.push_str(&self.encoding.decode_without_bom_handling(bytes).0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_is_unwrapped() {
        let rtf = r"{\rtf1\ansi\ansicpg1252\fromhtml1{\fonttbl{\f0 Arial;}}{\*\htmltag64 <p>}Gr\'fc\'dfe \htmlrtf {\b\htmlrtf0 all\htmlrtf }\htmlrtf0 {\*\htmltag72 </p>}}";
        assert_eq!(read(rtf), Rtf { is_html: true, text: "<p>Grüße all</p>".to_owned() });
    }

    #[test]
    fn rich_text_is_reduced_to_its_words() {
        let rtf =
            r"{\rtf1\ansi{\*\generator X;}\pard One\par\par \u8364? \u-10179?\u-8704?\tab two\{\}}";
        assert_eq!(read(rtf), Rtf { is_html: false, text: "One\n\n€ 😀\ttwo{}".to_owned() });
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(rtf in r"([{}a-z0-9 *'-]|\\(u|uc|par|htmlrtf|'|\*|bin)|\u{e4}|\\){0,60}") {
            read(&rtf);
        }
    }
}
