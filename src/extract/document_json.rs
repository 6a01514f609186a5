//! Documents given as JSON: a file of them, one per line, and one of them by itself.
//!
//! Called by: `extract`, where the caller names these formats. Talks to: `serde_json`.
//! Invariants: every non-empty line becomes a child, a bad one too, so that it is listed with its
//! own failure; memory is bounded by one line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::clean::one_line;
use super::date::{parse_date, read_date};
use super::emit::{Output, Stop};
use super::lines::LineReader;
use super::rows::RowGroups;
use super::source::Source;
use super::text;
use crate::types::{Block, BlockKind, ChildHeader, FormatHint};

const MAX_ID: usize = 1024;
/// Fields that may hold the document's own date, in order of trust.
const DATES: [&str; 4] = ["date", "published_at", "timestamp", "created_at"];

/// The id of a line; everything else is left to the child's own extraction.
#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "_id")]
    id: Option<Value>,
}

/// A document that a reader of another format found, written to be read as one of these.
#[derive(Debug, Default, Serialize)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) authors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_date: Option<Timestamp>,
    #[serde(flatten)]
    pub(super) facts: BTreeMap<&'static str, String>,
    pub(super) blocks: Vec<Block>,
}

impl Draft {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: texts and numbers can be written as JSON")
    }
}

/// Reads a file with one document per line.
pub(super) fn extract_lines(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let cap = out.limits().max_child_bytes.min(out.limits().max_parse_bytes);
    let mut lines = LineReader::new(source, usize::try_from(cap).unwrap_or(usize::MAX));
    let mut documents = 0_u64;
    while let Some(line) = lines.next().map_err(Stop::Input)? {
        let mut bytes = line.bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        documents += 1;
        let id = identity(bytes);
        let absolute = id.is_some();
        let header = ChildHeader {
            name: id.unwrap_or_else(|| format!("line-{}", line.number)),
            absolute,
            media_type: Some("application/json".to_owned()),
            format: Some(FormatHint::DocumentJson),
            file_date: None,
        };
        out.child(&header, &mut bytes)?;
    }
    out.fact("documents", &documents.to_string());
    Ok(())
}

/// The usable `_id` of a line.
fn identity(line: &[u8]) -> Option<String> {
    let identity: Identity = serde_json::from_slice(line).ok()?;
    let id = match identity.id? {
        Value::String(id) => id,
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let usable = !id.trim().is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control);
    usable.then_some(id)
}

/// Reads one document: `title`, `text`, dates and authors by name, `blocks` where its structure
/// is known, the rest as facts.
pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    read(&bytes, out)
}

/// Reads one document that is at hand.
pub(super) fn read(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut fields: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| Stop::malformed(format!("Not a JSON object: {error}")))?;
    if !fields.get("text").is_none_or(|text| text.is_string() || text.is_null()) {
        return Err(Stop::malformed("The field `text` is not a string"));
    }
    for (key, value) in fields.iter().filter(|(key, _)| *key != "text" && *key != "_id") {
        match (key.as_str(), value) {
            ("title", Value::String(title)) => out.title(title),
            ("author" | "authors", Value::String(author)) => out.author(author),
            ("author" | "authors", Value::Array(authors)) => {
                authors.iter().filter_map(Value::as_str).for_each(|author| out.author(author));
            }
            (key, value) => {
                if let Some(value) = scalar(value) {
                    out.fact(key, &value);
                }
            }
        }
    }
    out.written(DATES.iter().filter_map(|key| fields.get(*key)?.as_str()).find_map(read_date));
    out.document.event_date = fields.get("event_date").and_then(Value::as_str).and_then(parse_date);
    if let Some(body) = fields.get("text").and_then(Value::as_str) {
        text::paragraphs(body, out)?;
    }
    let blocks = fields.remove("blocks").map(serde_json::from_value::<Vec<Block>>);
    // What is called blocks elsewhere is a field like others.
    for block in blocks.and_then(Result::ok).unwrap_or_default() {
        match block.kind {
            BlockKind::Table { rows, header, .. } => table(rows, header, block.page, out)?,
            kind => out.block(&kind, &block.text, block.page)?,
        }
    }
    Ok(())
}

fn table(
    rows: Vec<Vec<String>>,
    header: bool,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut groups = RowGroups::new(header).on_page(page);
    for row in rows {
        groups.push(row, out)?;
    }
    groups.finish(out)
}

/// A value that fits on one line: a scalar or a list of them.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(values) => {
            let words: Option<Vec<String>> = values
                .iter()
                .map(|value| match value {
                    Value::Array(_) | Value::Object(_) => None,
                    value => scalar(value).map(|word| one_line(&word)),
                })
                .collect();
            words.map(|words| words.join(", "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{run_as, try_run_as};
    use crate::types::{ExtractFailureCode, FormatHint};

    #[test]
    fn every_line_becomes_a_child_under_its_own_id() {
        let lines = b"{\"_id\":\"a/1\",\"text\":\"x\"}\n\n{broken\n{\"_id\":7,\"text\":\"y\"}\n{\"text\":\"no id\"}\n";
        let found = run_as("corpus.jsonl", FormatHint::DocumentsJsonl, lines);
        assert!(found.document.container);
        let names: Vec<(&str, bool)> =
            found.children.iter().map(|(h, _)| (h.name.as_str(), h.absolute)).collect();
        assert_eq!(names, [("a/1", true), ("line-3", false), ("7", true), ("line-5", false)]);
        assert_eq!(found.children[1].1, b"{broken");
        assert!(found.children.iter().all(|(h, _)| h.format == Some(FormatHint::DocumentJson)));
    }

    #[test]
    fn a_document_has_title_text_date_and_facts() {
        let found = run_as(
            "a/1",
            FormatHint::DocumentJson,
            br#"{"_id":"a/1","title":"T","text":"one\n\ntwo","created_at":"2024-03-01T00:00:00Z","tags":["x",2],"lang":"en","deep":{"a":1},"authors":["Ann"]}"#,
        );
        assert_eq!(found.document.title.as_deref(), Some("T"));
        assert_eq!(found.texts(), ["one", "two"]);
        assert_eq!(found.document.authors, ["Ann"]);
        assert_eq!(found.document.metadata["tags"], "x, 2");
        assert_eq!(found.document.metadata["lang"], "en");
        assert!(!found.document.metadata.contains_key("deep"));
        assert!(found.document.content_date.is_some());
    }

    #[test]
    fn a_document_may_come_in_blocks() {
        let found = run_as(
            "a/1",
            FormatHint::DocumentJson,
            br#"{"title":"T","blocks":[{"kind":"heading","level":2,"text":"H"},{"kind":"table",
                "rows":[["a","b"],["1","2"]],"header":true,"text":""},
                {"kind":"paragraph","text":"p","page":3}]}"#,
        );
        assert_eq!(found.texts(), ["H", "a | b\n1 | 2", "p"]);
        assert_eq!(found.blocks[2].page, Some(3));
        let found = run_as("a/1", FormatHint::DocumentJson, br#"{"text":"x","blocks":["y"]}"#);
        assert_eq!(found.texts(), ["x"]);
    }

    #[test]
    fn a_bad_document_fails_by_itself() {
        for bytes in [&b"{broken"[..], b"[1]", b"{\"text\":[1]}"] {
            let failure = try_run_as("x", FormatHint::DocumentJson, bytes).expect_err("not one");
            assert_eq!(failure.code, ExtractFailureCode::Malformed);
        }
    }
}
