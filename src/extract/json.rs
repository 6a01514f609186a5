//! JSON and JSON Lines as readable text: one `path: value` line per scalar.
//!
//! Called by: `extract`. Talks to: `serde_json`, `text` where a file is not JSON after all,
//! `json::large` for files that do not fit one document.
//! Invariants: no tree is built, values are written as they are parsed; nesting is bounded by
//! `MAX_DEPTH`; JSON Lines are read one line at a time.

mod large;
pub(super) mod scan;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::charset::{Utf8Reader, declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::lines::{Line, LineReader};
use super::source::Source;
use super::text;

/// Lines are gathered into paragraphs of about this size.
const PARAGRAPH: usize = 1500;
/// A value longer than this stands in paragraphs of its own.
const LONG_VALUE: usize = 600;
/// Deepest nesting; `serde_json` gives up at 128.
const MAX_DEPTH: usize = 100;
/// Longest line of JSON Lines.
const MAX_LINE: usize = 16 * 1024 * 1024;
const TITLES: [&str; 4] = ["title", "name", "subject", "headline"];

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    if large::is_large(source, out) {
        return large::extract(source, media_type, out);
    }
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let json = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    read(&json, out)
}

/// Writes a text that should be JSON.
pub(super) fn read(json: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    if let Err(problem) = check(json) {
        out.warn(format!("Not valid JSON ({problem}); read as plain text"));
        return text::paragraphs(json, out);
    }
    write(json, true, out)
}

/// Says why a text cannot be read as JSON.
fn check(json: &str) -> Result<(), String> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).map_err(|error| error.to_string())?;
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > MAX_DEPTH { Err(format!("{deepest} levels deep")) } else { Ok(()) }
}

fn write(json: &str, titles: bool, out: &mut Output<'_>) -> Result<(), Stop> {
    let mut writer = Writer::new(out, titles);
    writer.document(json)?;
    writer.flush()
}

/// Reads JSON Lines; lines that are not JSON are kept as text.
pub(super) fn extract_lines(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    if large::is_large(source, out) {
        return large::extract_lines(source, out);
    }
    let mut lines = LineReader::new(Utf8Reader::new(source, None), MAX_LINE);
    let mut invalid = 0_u64;
    while let Some(line) = lines.next().map_err(Stop::Input)? {
        let Line { bytes, number, cut } = line;
        let text = String::from_utf8_lossy(bytes.trim_ascii());
        if text.is_empty() {
            continue;
        }
        if cut {
            out.warn(format!("Line {number} is longer than {} MiB; it was cut", MAX_LINE >> 20));
        }
        if check(&text).is_ok() {
            write(&text, false, out)?;
        } else {
            invalid += 1;
            out.paragraph(&text)?;
        }
    }
    if invalid > 0 {
        out.warn(format!("{invalid} lines are not valid JSON; they were read as plain text"));
    }
    Ok(())
}

/// Writes values as text while they are parsed.
struct Writer<'w, 'o> {
    out: &'w mut Output<'o>,
    /// Keys from the root to the current value, joined by dots.
    path: String,
    depth: usize,
    paragraph: String,
    /// Why writing stopped; the parser is then ended with an error of no interest.
    stop: Option<Stop>,
    titles: bool,
}

impl<'w, 'o> Writer<'w, 'o> {
    /// `titles` lets the top-level fields of a value name the document.
    fn new(out: &'w mut Output<'o>, titles: bool) -> Self {
        let (path, paragraph) = (String::new(), String::new());
        Self { out, path, depth: 0, paragraph, stop: None, titles }
    }

    /// Writes one JSON value. What `check` lets through and the parser does not (half a surrogate
    /// pair in a string) ends the value with a warning.
    fn document(&mut self, json: &str) -> Result<(), Stop> {
        let mut parser = serde_json::Deserializer::from_str(json);
        let parsed = Node(&mut *self).deserialize(&mut parser);
        match (self.stop.take(), parsed) {
            (Some(stop), _) => Err(stop),
            (None, Err(error)) => {
                self.out.warn(format!("JSON read only in part: {error}"));
                Ok(())
            }
            (None, Ok(())) => Ok(()),
        }
    }

    fn scalar(&mut self, value: &str) -> Result<(), Stop> {
        if value.trim().is_empty() {
            return Ok(());
        }
        if self.titles && self.depth == 1 && TITLES.contains(&self.path.as_str()) {
            self.out.title(value);
        }
        if value.len() > LONG_VALUE || value.contains('\n') {
            self.flush()?;
            let labelled = if self.path.is_empty() {
                value.to_owned()
            } else {
                format!("{}: {value}", self.path)
            };
            return text::paragraphs(&labelled, self.out);
        }
        if !self.path.is_empty() {
            self.paragraph.push_str(&self.path);
            self.paragraph.push_str(": ");
        }
        self.paragraph.push_str(value);
        self.paragraph.push('\n');
        if self.paragraph.len() > PARAGRAPH * 2 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let result = self.out.paragraph(&self.paragraph);
        self.paragraph.clear();
        result
    }

    /// A record of a list has ended: keep small ones together, start anew after large ones.
    fn record_ended(&mut self) -> Result<(), Stop> {
        if self.depth <= 1 || self.paragraph.len() > PARAGRAPH { self.flush() } else { Ok(()) }
    }

    fn keep<E: serde::de::Error>(&mut self, result: Result<(), Stop>) -> Result<(), E> {
        result.map_err(|stop| {
            self.stop = Some(stop);
            E::custom("stopped")
        })
    }
}

/// One value, written by its visitor.
struct Node<'n, 'w, 'o>(&'n mut Writer<'w, 'o>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        let result = self.0.scalar(if value { "true" } else { "false" });
        self.0.keep(result)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        let result = self.0.scalar(&value.to_string());
        self.0.keep(result)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        let result = self.0.scalar(&value.to_string());
        self.0.keep(result)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let result = self.0.scalar(&value.to_string());
        self.0.keep(result)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let result = self.0.scalar(value);
        self.0.keep(result)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let writer = self.0;
        writer.depth += 1;
        while seq.next_element_seed(Node(&mut *writer))?.is_some() {
            let result = writer.record_ended();
            writer.keep::<A::Error>(result)?;
        }
        writer.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let writer = self.0;
        writer.depth += 1;
        let outer = writer.path.len();
        while let Some(key) = map.next_key::<String>()? {
            if !writer.path.is_empty() {
                writer.path.push('.');
            }
            writer.path.push_str(&key);
            map.next_value_seed(Node(&mut *writer))?;
            writer.path.truncate(outer);
        }
        writer.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;

    #[test]
    fn scalars_become_lines_with_their_path() {
        let found = run(
            "a.json",
            br#"{"title":"A plan","meta":{"done":true,"n":3.5,"none":null},"tags":["x","y"],"text":"two\n\nparts"}"#,
        );
        assert_eq!(found.document.title.as_deref(), Some("A plan"));
        assert_eq!(
            found.texts(),
            ["title: A plan\nmeta.done: true\nmeta.n: 3.5\ntags: x\ntags: y", "text: two", "parts"]
        );
    }

    #[test]
    fn records_of_a_list_become_paragraphs() {
        let found = run("a.json", br#"[{"name":"Ann","age":4},{"name":"Bob"}]"#);
        assert_eq!(found.texts(), ["name: Ann\nage: 4", "name: Bob"]);
        assert_eq!(found.document.title, None);
    }

    #[test]
    fn broken_or_bottomless_json_is_read_as_text() {
        let bottomless = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        let unclosed = "[".repeat(100_000);
        for json in ["{\"a\": \"never closed", bottomless.as_str(), unclosed.as_str()] {
            let found = run("a.json", json.as_bytes());
            assert!(!found.blocks.is_empty());
            assert!(found.document.warnings[0].contains("Not valid JSON"));
            assert_eq!(found.document.media_type, "application/json");
        }
    }

    #[test]
    fn a_bad_line_of_json_lines_is_kept_as_text() {
        let found = run("a.jsonl", b"{\"a\": 1}\nnot json\n\n{\"a\": 2}");
        assert_eq!(found.texts(), ["a: 1", "not json", "a: 2"]);
        assert!(found.document.warnings[0].contains("1 lines"));
    }
}
