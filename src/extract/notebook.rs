//! Jupyter notebooks: text cells as Markdown, code cells as code, what they printed as text.
//!
//! Called by: `extract`. Talks to: `serde_json`, `markdown` for text cells.
//! Invariants: pictures and other binary output are not text; nesting is bounded by
//! `serde_json`, which gives up at 128 levels.

use serde_json::Value;

use super::charset::{declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::source::Source;
use super::{json, markdown};
use crate::types::BlockKind;

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    let notebook: Value = match serde_json::from_str(&text) {
        Ok(notebook) => notebook,
        Err(_) => return json::read(&text, out),
    };
    let language = ["/metadata/kernelspec/language", "/metadata/language_info/name"];
    let language = language.into_iter().find_map(|path| notebook.pointer(path)?.as_str());
    out.fact("language", language.unwrap_or("python"));
    let first = notebook.get("cells").or_else(|| notebook.pointer("/worksheets/0/cells"));
    for cell in first.and_then(Value::as_array).into_iter().flatten() {
        let source = cell.get("source").or_else(|| cell.get("input")).map(joined);
        let source = source.unwrap_or_default();
        match cell.get("cell_type").and_then(Value::as_str) {
            Some("code") => {
                out.block(&BlockKind::Code, &source, None)?;
                outputs(cell, out)?;
            }
            Some("markdown") => markdown::fragment(&source, out)?,
            _ => out.paragraph(&source)?,
        }
    }
    Ok(())
}

fn outputs(cell: &Value, out: &mut Output<'_>) -> Result<(), Stop> {
    for output in cell.get("outputs").and_then(Value::as_array).into_iter().flatten() {
        let text = output.get("text").or_else(|| output.pointer("/data/text~1plain"));
        if let Some(text) = text {
            out.block(&BlockKind::Code, &joined(text), None)?;
        }
        if let Some(error) = output.get("evalue").and_then(Value::as_str) {
            out.paragraph(error)?;
        }
    }
    Ok(())
}

/// A text that may be stored as a list of lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}
