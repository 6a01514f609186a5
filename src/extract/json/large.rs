//! JSON that is too large to be one document: its values in parts, each a small JSON file of its
//! own.
//!
//! Called by: `json`. Talks to: `json::scan`.
//! Invariants: memory is bounded by `MAX_VALUE` and a part, whatever the size of the file; every
//! value is in exactly one part, or told to be left out; what is no JSON is passed on as text; the
//! parts of a file are the same each time it is read.
//!
//! Why parts repeat what stands around them: the messages of a chat mean little without the name
//! of the chat, which stands once in front of a list that may have millions.

use std::io::Read;

use super::scan::{After, Broken, Scanner, Value};
use crate::extract::charset::{Utf8Reader, declared_in};
use crate::extract::clean::{prefix, size};
use crate::extract::emit::{Output, Stop};
use crate::extract::lines::LineReader;
use crate::extract::source::Source;
use crate::types::{ChildHeader, FormatHint};

/// Longest value that is kept as a whole; longer ones are gone into.
const MAX_VALUE: u64 = 16 << 20;
/// Length of a part, beyond which it gets no further value.
const PART: u64 = 2 << 20;
/// Longest members of an object, and of all around a list, that are repeated in its parts.
const MAX_REPEATED: usize = 1 << 10;
const MAX_ALL_REPEATED: usize = 8 << 10;
/// Longest name of a list that is repeated as it is.
const MAX_KEY: usize = 200;
/// Deepest nesting that is gone into; the parser of the parts gives up soon after.
const MAX_DEPTH: usize = 32;
const MAX_NAME: usize = 80;

/// True for a file that does not fit one document.
pub(super) fn is_large(source: &Source<'_>, out: &Output<'_>) -> bool {
    source.is_large(most(out))
}

/// What fits one document.
fn most(out: &Output<'_>) -> u64 {
    out.limits().max_parse_bytes.min(out.limits().max_text_bytes)
}

/// Reads a file that holds one value, or several behind each other.
pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    out.document.container = true;
    // A part and the value that ends it fit one document, with what is repeated around them.
    let longest = MAX_VALUE.min(most(out) / 2);
    let text = Utf8Reader::new(source, declared_in(media_type));
    let scanner = Scanner::new(text, usize::try_from(longest).unwrap_or(usize::MAX));
    let mut parts = Parts::new(out);
    let mut walk = Walk { scanner, levels: Vec::new(), left_out: 0 };
    let outcome = walk.file(&mut parts);
    parts.close(&walk.levels)?;
    let left_out = walk.left_out;
    if let Err(Broken::Damaged(damage)) = &outcome {
        parts.out.warn(format!("Not valid JSON ({damage}); what stands behind it is read as text"));
        let rest = walk.scanner.rest(PART as usize, &mut |text| parts.text("rest", text));
        if let Err(Broken::Stopped(stop)) = rest {
            return Err(stop);
        }
    }
    let made = parts.made;
    out.fact("parts", &made.to_string());
    if left_out > 0 {
        let longest = size(longest);
        out.warn(format!("{left_out} texts without words, longer than {longest}, were left out"));
    }
    match outcome {
        Err(Broken::Stopped(stop)) => Err(stop),
        _ => Ok(()),
    }
}

/// Reads JSON Lines; the parts are JSON Lines too.
pub(super) fn extract_lines(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let longest = MAX_VALUE.min(most(out) / 2);
    let most = PART.min(most(out) / 4);
    let text = Utf8Reader::new(source, None);
    let mut lines = LineReader::new(text, usize::try_from(longest).unwrap_or(usize::MAX));
    let (mut part, mut made) = (Vec::new(), 0);
    loop {
        let line = lines.next().map_err(Stop::Input)?;
        let ended = line.is_none();
        if let Some(line) = line {
            if line.cut {
                let number = line.number;
                out.warn(format!("Line {number} is longer than {}; it was cut", size(longest)));
            }
            part.extend_from_slice(line.bytes);
            part.push(b'\n');
        }
        if part.len() as u64 >= most || ended && !part.trim_ascii().is_empty() {
            made += 1;
            let header = header(&format!("lines {made:06}.jsonl"), "application/x-ndjson");
            out.child(&header, &mut std::mem::take(&mut part).as_slice())?;
        }
        if ended {
            out.fact("parts", &made.to_string());
            return Ok(());
        }
    }
}

fn header(name: &str, media_type: &str) -> ChildHeader {
    ChildHeader {
        name: name.to_owned(),
        absolute: false,
        media_type: Some(media_type.to_owned()),
        format: None,
        file_date: None,
    }
}

/// A list or object that was gone into.
struct Level {
    is_list: bool,
    /// Members of an object that are short, as they are written.
    repeated: Vec<u8>,
    /// The member that is read.
    key: String,
}

/// The way through a file.
struct Walk<R> {
    scanner: Scanner<R>,
    levels: Vec<Level>,
    left_out: u64,
}

impl<R: Read> Walk<R> {
    fn file(&mut self, parts: &mut Parts<'_, '_>) -> Result<(), Broken> {
        while self.scanner.peek()?.is_some() {
            self.one(parts)?;
            while !self.levels.is_empty() {
                self.next(parts)?;
            }
        }
        Ok(())
    }

    /// What stands behind a value within a list or object.
    fn next(&mut self, parts: &mut Parts<'_, '_>) -> Result<(), Broken> {
        match self.scanner.after()? {
            After::Nothing => Err(self.scanner.damaged("it ends within a value")),
            After::Close => {
                parts.close(&self.levels)?;
                self.levels.pop();
                Ok(())
            }
            After::Another => self.one(parts),
        }
    }

    /// Takes a text that is too long: its words in parts, and what has none not at all.
    fn text(&mut self, parts: &mut Parts<'_, '_>) -> Result<(), Broken> {
        if !has_words(self.scanner.held()) {
            self.left_out += 1;
            return self.scanner.pass_over();
        }
        parts.close(&self.levels)?;
        let name = name(&self.levels);
        self.scanner.text(PART as usize, &mut |text| Ok(parts.text(&name, &unescaped(text))?))
    }

    /// Takes one value, or goes into it as far as its first one.
    fn one(&mut self, parts: &mut Parts<'_, '_>) -> Result<(), Broken> {
        loop {
            if let Some(level) = self.levels.last_mut().filter(|level| !level.is_list) {
                level.key = self.scanner.key()?;
            }
            let is_list = match self.scanner.value()? {
                Value::Whole(value) => {
                    parts.add(&mut self.levels, value)?;
                    return Ok(());
                }
                Value::Text => None,
                Value::List => Some(true),
                Value::Object => Some(false),
            };
            let Some(is_list) = is_list else { return self.text(parts) };
            if self.levels.len() >= MAX_DEPTH {
                return Err(self.scanner.damaged("too deeply nested"));
            }
            parts.close(&self.levels)?;
            self.levels.push(Level { is_list, repeated: Vec::new(), key: String::new() });
        }
    }
}

/// Gathers values into parts.
struct Parts<'p, 'o> {
    out: &'p mut Output<'o>,
    /// The values of the part at hand, all of one list or object.
    values: Vec<u8>,
    most: u64,
    /// Most bytes that are repeated around them.
    repeated: usize,
    made: u64,
}

impl<'p, 'o> Parts<'p, 'o> {
    fn new(out: &'p mut Output<'o>) -> Self {
        let (most, repeated) = (most(out) / 4, most(out) / 8);
        let repeated = usize::try_from(repeated).unwrap_or(usize::MAX).min(MAX_ALL_REPEATED);
        Self { out, values: Vec::new(), most: PART.min(most), repeated, made: 0 }
    }

    /// Adds a value of the innermost list or object.
    fn add(&mut self, levels: &mut [Level], value: &[u8]) -> Result<(), Stop> {
        if !self.values.is_empty() {
            self.values.push(b',');
        }
        let start = self.values.len();
        if let Some(level) = levels.last().filter(|level| !level.is_list) {
            push_key(&mut self.values, &level.key);
        }
        self.values.extend_from_slice(value);
        if let Some(level) = levels.last_mut().filter(|level| !level.is_list) {
            let member = &self.values[start..];
            if member.len() <= MAX_REPEATED && level.repeated.len() + member.len() < self.repeated {
                level.repeated.extend_from_slice(member);
                level.repeated.push(b',');
            }
        }
        if self.values.len() as u64 >= self.most { self.close(levels) } else { Ok(()) }
    }

    /// Passes words on that are no JSON, or too many for it.
    fn text(&mut self, name: &str, text: &[u8]) -> Result<(), Stop> {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        self.made += 1;
        let name = format!("{name} {:06}.txt", self.made);
        // It may look like the JSON that it is not.
        let format = Some(FormatHint::Text);
        let header = ChildHeader { format, ..header(&name, "text/plain; charset=utf-8") };
        self.out.child(&header, &mut &*text)
    }

    /// Passes the part on that is at hand.
    fn close(&mut self, levels: &[Level]) -> Result<(), Stop> {
        if self.values.is_empty() {
            return Ok(());
        }
        let (mut part, mut room) = (Vec::new(), self.repeated);
        for (at, level) in levels.iter().enumerate() {
            let innermost = at + 1 == levels.len();
            part.push(if level.is_list { b'[' } else { b'{' });
            if !level.is_list && !innermost {
                if let Some(left) = room.checked_sub(level.repeated.len()) {
                    part.extend_from_slice(&level.repeated);
                    room = left;
                }
                push_key(&mut part, prefix(&level.key, MAX_KEY));
            }
        }
        // Values behind each other at the top are one list in their part.
        part.extend_from_slice(if levels.is_empty() { b"[" } else { b"" });
        part.append(&mut self.values);
        part.extend_from_slice(if levels.is_empty() { b"]" } else { b"" });
        part.extend(levels.iter().rev().map(|level| if level.is_list { b']' } else { b'}' }));
        self.made += 1;
        let name = format!("{} {:06}.json", name(levels), self.made);
        self.out.child(&header(&name, "application/json"), &mut part.as_slice())
    }
}

fn push_key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(serde_json::Value::from(key).to_string().as_bytes());
    out.push(b':');
}

/// Bytes at the start of a text that are looked at.
const SAMPLE: usize = 64 << 10;
/// Longest stretch without white space in words; pictures and files in letters have none at all.
const LONGEST_WORD: usize = 4 << 10;

/// True for a text that says something to people.
fn has_words(text: &[u8]) -> bool {
    let sample = &text[..text.len().min(SAMPLE)];
    // White space is escaped in part.
    let word =
        sample.split(|byte| byte.is_ascii_whitespace() || *byte == b'\\').map(<[u8]>::len).max();
    sample.len() > LONGEST_WORD && word.is_some_and(|longest| longest < LONGEST_WORD)
}

/// A stretch of a text of JSON as it reads.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let quoted = [b"\"".as_slice(), text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| text.to_vec(), String::into_bytes)
}

/// What a part is called: the last name on the way to it.
fn name(levels: &[Level]) -> String {
    let outer = &levels[..levels.len().saturating_sub(1)];
    let key = outer.iter().rev().map(|level| level.key.as_str()).find(|key| !key.is_empty());
    let plain: String = key
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' })
        .collect();
    let plain = prefix(&plain, MAX_NAME);
    if plain.is_empty() { "values".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::extract::ExtractLimits;
    use crate::extract::testing::{Found, limits, run, try_run_file};
    use crate::types::FormatHint;

    /// Reads a file of which no more than `held` bytes may be held.
    fn parts(name: &str, json: &[u8], held: u64) -> Found {
        let limits = ExtractLimits { max_parse_bytes: held, ..limits() };
        try_run_file(name, limits, json.to_vec()).expect("readable")
    }

    fn texts(found: &Found) -> Vec<String> {
        let parts = found.children.iter();
        parts
            .flat_map(|(header, json)| {
                let part = run(&header.name, json);
                assert!(part.document.warnings.is_empty(), "{:?}", part.document.warnings);
                part.blocks.into_iter().map(|block| block.text).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_list_of_any_length_is_read_in_parts() {
        let messages: Vec<String> = (0..2000).map(|n| format!(r#"{{"text":"word{n}"}}"#)).collect();
        let json = format!(
            r#"{{"guild":{{"name":"Birds"}},"messages":[{}],"count":2000}}"#,
            messages.join(",")
        );
        let found = parts("export.json", json.as_bytes(), 1000);
        assert!(found.document.container && found.blocks.is_empty());
        assert!(found.children.iter().all(|(_, part)| part.len() < 1200));
        let all = texts(&found).join("\n");
        for number in 0..2000 {
            assert_eq!(all.matches(&format!("messages.text: word{number}\n")).count(), 1);
        }
        assert!(all.contains("count: 2000"));
        let (header, second) = &found.children[1];
        assert!(header.name.starts_with("messages 0"), "{}", header.name);
        assert!(run(&header.name, second).texts()[0].starts_with("guild.name: Birds"));
    }

    #[test]
    fn what_is_long_deep_inside_is_gone_into() {
        let chat = |name: &str| {
            let said: Vec<String> = (0..90).map(|n| format!(r#"{{"id":{n}}}"#)).collect();
            format!(r#"{{"name":"{name}","messages":[{}]}}"#, said.join(","))
        };
        let json = format!(r#"{{"chats":{{"list":[{},{}]}}}}"#, chat("Ann"), chat("Bob"));
        let found = parts("result.json", json.as_bytes(), 200);
        let all = texts(&found).join("\n");
        assert_eq!(all.matches("chats.list.messages.id: 89").count(), 2);
        for (header, part) in &found.children {
            let name = ["Ann", "Bob"].map(|name| String::from_utf8_lossy(part).contains(name));
            assert_eq!(name.iter().filter(|named| **named).count(), 1, "{}", header.name);
        }
    }

    #[test]
    fn values_behind_each_other_and_other_encodings_are_read() {
        let json: String = (0..300).map(|n| format!("{{\"n\":\"ä{n}\"}}\n")).collect();
        let wide: Vec<u8> =
            std::iter::once(0xfeff).chain(json.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [json.as_bytes(), &wide] {
            let all = texts(&parts("a.json", bytes, 500)).join("\n");
            assert!(all.contains("ä0") && all.contains("ä299"), "{all}");
        }
    }

    #[test]
    fn damage_ends_the_reading_and_is_told() {
        let json = format!("[{}, {{\"cut\": ", vec!["12345678"; 200].join(","));
        let found = parts("a.json", json.as_bytes(), 100);
        assert!(found.children.len() > 10);
        assert!(found.document.warnings[0].contains("Not valid"), "{:?}", found.document.warnings);
        let (header, rest) = found.children.last().unwrap();
        assert!(header.name.starts_with("rest ") && header.name.ends_with(".txt"));
        assert_eq!(header.format, Some(FormatHint::Text), "or it would be gone into again");
        assert!(String::from_utf8_lossy(rest).contains("cut"));
    }

    #[test]
    fn what_only_looks_like_json_is_read_as_text_to_its_end() {
        for (line, all) in [
            ("[2024-03-12] INFO heron, {reeds} and frogs\n", 50),
            ("{ no JSON at all, whatever\n", 50),
            (")]}',\n{\"a\": 1}\n", 50),
        ] {
            let text = line.repeat(all);
            let found = parts("a.json", text.as_bytes(), 100);
            let read: String = found
                .children
                .iter()
                .map(|(_, part)| String::from_utf8_lossy(part).into_owned())
                .collect();
            let words = line.split_whitespace().last().unwrap();
            assert_eq!(read.matches(words).count(), all, "{line}: {read}");
        }
    }

    #[test]
    fn a_long_text_of_words_is_read_in_parts() {
        let words: String = (0..9_000).map(|n| format!("word{n} \\\"said\\\"\\n")).collect();
        let json = format!(r#"{{"title":"Diary","content":"{words}","end":1}}"#);
        let found = parts("a.json", json.as_bytes(), 30_000);
        let texts: String = found
            .children
            .iter()
            .filter(|(header, _)| header.name.ends_with(".txt"))
            .map(|(_, part)| String::from_utf8_lossy(part).into_owned())
            .collect();
        assert!(
            texts.contains("word0 \"said\"\nword1 ") && texts.contains("word8999"),
            "{texts:.80}"
        );
        let all = found.children.iter().map(|(_, part)| String::from_utf8_lossy(part));
        assert!(all.into_iter().any(|part| part.contains("Diary")));
    }

    #[test]
    fn a_text_that_is_too_long_is_left_out_and_told() {
        let json = format!(r#"[{{"a":1}},{{"image":"{}","b":2}}]"#, "x".repeat(500));
        let found = parts("a.json", json.as_bytes(), 100);
        let all = texts(&found).join("\n");
        assert!(all.contains("a: 1") && all.contains("b: 2"), "{all}");
        assert!(found.document.warnings[0].contains("1 texts"), "{:?}", found.document.warnings);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_no_part_is_large_itself() {
        let lines = format!("{{\"n\":1}}\n\"{}\"\n{{\"n\":2}}\n", "x".repeat(5_000));
        let found = parts("a.jsonl", lines.as_bytes(), 1_000);
        assert!(found.children.iter().all(|(_, part)| part.len() < 1_000));
        assert!(found.document.warnings[0].contains("Line 2"), "{:?}", found.document.warnings);
    }

    #[test]
    fn lines_of_json_are_read_in_parts_of_lines() {
        let lines: String = (0..500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let found = parts("a.jsonl", lines.as_bytes(), 300);
        assert!(found.children.len() > 5);
        let all = texts(&found);
        assert_eq!(all.len(), 500);
        assert_eq!(all[499], "n: 499");
    }
}
