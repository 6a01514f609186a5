//! Rich Text Format: paragraphs, headings, list items and tables of Word, WordPad and mail.
//!
//! Called by: `extract`, `mail::forms`. Talks to: `encoding_rs` for code pages, `rtf::document` for the
//! blocks, `rtf::objects` for the files inside.
//! Invariants: groups are a stack on the heap with a bound; a destination that is not text is
//! passed over whole; pictures and binary data never become text.
//! A file inside that cannot be passed on any more does not end the text.

mod document;
mod objects;
pub(super) mod token;

use encoding_rs::{Encoding, WINDOWS_1252};

use self::document::Document;
use self::objects::Objects;
use self::token::{Token, Tokens};
use super::date::parse_date;
use super::emit::{Output, Stop};
use super::people::is_nobody;
use super::source::Source;

const MAX_DEPTH: usize = 1_000;
const MAX_FONTS: usize = 1_000;
/// Documents said to be older than the format have a clock that was never set.
const EARLIEST_YEAR: i32 = 1987;

/// Destinations that hold no text of the document.
const UNSEEN: [&str; 29] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "generator",
    "pict",
    "themedata",
    "colorschememapping",
    "datastore",
    "latentstyles",
    "fldinst",
    "xmlnstbl",
    "revtbl",
    "filetbl",
    "pntext",
    "pnseclvl",
    "listtext",
    "bkmkstart",
    "bkmkend",
    "mmathPr",
    "userprops",
    "template",
    "wgrffmtfilter",
    "panose",
    "falt",
    "sp",
    "nonshppict",
];

#[derive(Clone, Default)]
struct State {
    skip: bool,
    /// What is said are the digits of an object.
    object: bool,
    hidden: bool,
    /// Characters that stand in for a `\u` character.
    fallback: usize,
    font: i32,
    fact: Option<&'static str>,
    /// Which moment of the document's life is being told.
    moment: Option<&'static str>,
}

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    read(&bytes, out)
}

/// Reads rich text that is part of another file.
pub(super) fn read(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut reader = Reader {
        state: State { fallback: 1, ..State::default() },
        stack: Vec::new(),
        bytes: Vec::new(),
        encoding: WINDOWS_1252,
        fonts: Vec::new(),
        to_skip: 0,
        high: None,
        starred: false,
        value: String::new(),
        date: [0; 6],
        document: Document::default(),
        objects: Objects::default(),
    };
    for token in Tokens::new(bytes) {
        reader.token(token, out)?;
    }
    reader.flush_bytes();
    reader.document.finish(out)?;
    reader.objects.finish(out)
}

struct Reader {
    state: State,
    stack: Vec<State>,
    /// Bytes in a code page that wait to be decoded together.
    bytes: Vec<u8>,
    encoding: &'static Encoding,
    /// Encoding by number of font.
    fonts: Vec<(i32, &'static Encoding)>,
    /// Fallback characters still to pass over.
    to_skip: usize,
    /// First half of a character outside the basic plane.
    high: Option<u16>,
    starred: bool,
    /// Text of the fact being read.
    value: String,
    /// Year to second of the moment being told.
    date: [i32; 6],
    document: Document,
    objects: Objects,
}

impl Reader {
    fn token(&mut self, token: Token<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
        match token {
            Token::Open => {
                self.flush_bytes();
                if self.stack.len() >= MAX_DEPTH {
                    return Err(Stop::malformed("The groups of the file are nested too deep"));
                }
                self.stack.push(self.state.clone());
                self.to_skip = 0;
            }
            Token::Close => self.close(out)?,
            Token::Byte(byte) if self.state.object => self.objects.digit(byte),
            Token::Byte(byte) => {
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                } else if !self.state.skip && !self.state.hidden {
                    self.bytes.push(byte);
                }
            }
            Token::Binary(bytes) if self.state.object => self.objects.bytes(bytes),
            Token::Binary(_) => self.flush_bytes(),
            Token::Star => self.starred = true,
            Token::Word(word, number) => {
                self.flush_bytes();
                let starred = std::mem::take(&mut self.starred);
                self.word(word, number, starred, out)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.flush_bytes();
        self.to_skip = 0;
        let outer = self.stack.pop().unwrap_or_default();
        if let Some(fact) = self.state.fact.filter(|fact| outer.fact != Some(*fact)) {
            let value = std::mem::take(&mut self.value);
            match fact {
                "title" => out.title(&value),
                "author" if is_nobody(&value) => {}
                "author" => out.author(&value),
                other => out.fact(other, &value),
            }
        }
        if let Some(moment) = self.state.moment.filter(|moment| outer.moment != Some(*moment)) {
            self.date(moment, out);
        }
        let ended = self.state.object && !outer.object;
        self.state = outer;
        if ended { self.objects.end(out) } else { Ok(()) }
    }

    /// Notes when the document was written, or when it was last changed.
    fn date(&self, moment: &str, out: &mut Output<'_>) {
        let [year, month, day, hour, minute, second] = self.date;
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let date = parse_date(&text).filter(|_| year >= EARLIEST_YEAR);
        if date.is_some() {
            let content_date = &mut out.document.content_date;
            *content_date = if moment == "created" { date } else { content_date.or(date) };
            out.fact(moment, &text);
        }
    }

    fn word(
        &mut self,
        word: &str,
        number: Option<i32>,
        starred: bool,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        match word {
            "ansicpg" => self.encoding = code_page(number.unwrap_or(1252)),
            "mac" => self.encoding = encoding_rs::MACINTOSH,
            "uc" => {
                self.state.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16);
            }
            "u" => self.unicode(number.unwrap_or(0)),
            "f" => self.state.font = number.unwrap_or(0),
            "fcharset" => {
                if let Some(encoding) = char_set(number.unwrap_or(0))
                    && self.fonts.len() < MAX_FONTS
                {
                    self.fonts.push((self.state.font, encoding));
                }
            }
            "v" | "deleted" => self.state.hidden = number != Some(0),
            "title" | "author" | "subject" | "keywords" | "company" => self.fact(word),
            "creatim" | "revtim" if self.state.skip => {
                self.state.moment = Some(if word == "creatim" { "created" } else { "modified" });
                self.date = [0, 1, 1, 0, 0, 0];
            }
            "yr" | "mo" | "dy" | "hr" | "min" | "sec" if self.state.moment.is_some() => {
                const PARTS: [&str; 6] = ["yr", "mo", "dy", "hr", "min", "sec"];
                let part = PARTS.iter().position(|part| *part == word).unwrap_or_default();
                self.date[part] = number.unwrap_or_default();
            }
            "objdata" => (self.state.skip, self.state.object) = (true, true),
            "info" => self.state.skip = true,
            _ if UNSEEN.contains(&word) => self.state.skip = true,
            _ if starred && !matches!(word, "shpinst" | "shptxt" | "footnote" | "annotation") => {
                self.state.skip = true;
            }
            _ if self.state.skip => {}
            _ => self.document.word(word, number, out)?,
        }
        Ok(())
    }

    fn fact(&mut self, word: &str) {
        const FACTS: [&str; 5] = ["title", "author", "subject", "keywords", "company"];
        // Only inside the group of facts, which is passed over otherwise.
        if self.state.skip {
            self.state.fact = FACTS.into_iter().find(|fact| *fact == word);
            self.state.skip = false;
            self.value.clear();
        }
    }

    fn unicode(&mut self, number: i32) {
        self.to_skip = self.state.fallback;
        if self.state.skip || self.state.hidden {
            return;
        }
        // Numbers above 32767 are written as negative ones.
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else {
            return;
        };
        let units: Vec<u16> = self.high.take().into_iter().chain([unit]).collect();
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        let text = String::from_utf16_lossy(&units);
        self.push(&text);
    }

    fn flush_bytes(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let own = self.fonts.iter().rev().find(|(font, _)| *font == self.state.font);
        let encoding = own.map_or(self.encoding, |(_, encoding)| *encoding);
        let text = encoding.decode_without_bom_handling(&bytes).0.into_owned();
        self.push(&text);
    }

    fn push(&mut self, text: &str) {
        if self.state.fact.is_some() {
            self.value.push_str(text);
        } else {
            self.document.push(text);
        }
    }
}

pub(super) fn code_page(number: i32) -> &'static Encoding {
    let label = match number {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        866 => "ibm866".to_owned(),
        65001 => "utf-8".to_owned(),
        10000 => "macintosh".to_owned(),
        other => format!("windows-{other}"),
    };
    Encoding::for_label_no_replacement(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

/// The code page of a font's character set; none where the document's own holds.
pub(super) fn char_set(number: i32) -> Option<&'static Encoding> {
    let page = match number {
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    };
    Some(code_page(page))
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{extract_from, limits, run};
    use crate::types::BlockKind;

    #[test]
    fn paragraphs_characters_and_tables_are_read() {
        let found = run(
            "a.rtf",
            br"{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f0 Arial;}}{\info{\title The plan}{\author Ann}}
\pard\outlinelevel0 Heading\par\pard Gr\'f6\'dfe \u8364? and {\b bold}\line next{\*\generator x;}\par
\trowd\cellx1\cellx2\intbl a\cell b\cell\row\trowd\intbl c\cell d\cell\row\pard tail{\pict 0a0b}\par}",
        );
        assert_eq!(found.document.title.as_deref(), Some("The plan"));
        assert_eq!(found.document.authors, ["Ann"]);
        assert_eq!(found.texts(), ["Heading", "Größe € and bold\nnext", "a | b\nc | d", "tail"]);
        assert_eq!(found.blocks[0].kind, BlockKind::Heading { level: 1 });
    }

    #[test]
    fn the_time_of_writing_is_that_of_the_document() {
        let found = run(
            "a.rtf",
            br"{\rtf1{\info{\revtim\yr2020\mo1\dy2}{\author Admin}{\creatim\yr2019\mo5\dy6\hr7\min8}}Text}",
        );
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2019-05-06T07:08:00Z"));
        assert!(found.document.authors.is_empty());
        let found = run("a.rtf", br"{\rtf1{\info{\creatim\yr1601\mo1\dy1}}Text}");
        assert_eq!(found.document.content_date, None);
    }

    #[test]
    fn bottomless_groups_are_refused_and_broken_files_read() {
        let deep = format!("{{\\rtf1 {}", "{".repeat(50_000));
        assert!(extract_from("a.rtf", None, limits(), &mut deep.as_bytes()).is_err());
        assert_eq!(run("a.rtf", b"{\\rtf1 cut off \\'f").texts(), ["cut off"]);
    }
}
