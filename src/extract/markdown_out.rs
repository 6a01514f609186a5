//! A document as Markdown, for people.
//!
//! Called by: `cli` (`cairn extract`). Talks to: nothing.
//! Invariants: every block appears once and in order; text is not escaped, because it is meant to
//! be read and not to be parsed again.

use std::fmt::Write as _;

use crate::types::{Block, BlockKind, ExtractedDocument};

/// Renders a document, its facts first.
pub fn to_markdown(document: &ExtractedDocument) -> String {
    let mut out = String::new();
    facts(document, &mut out);
    let mut page = None;
    let mut after_item = false;
    for block in &document.blocks {
        if block.page != page {
            page = block.page;
            if let Some(number) = page {
                line(&mut out, &format!("<!-- page {number} -->\n"));
            }
        }
        if let Some(cells) = &block.cells {
            line(&mut out, &format!("<!-- {cells} -->\n"));
        }
        let item = matches!(block.kind, BlockKind::ListItem { .. });
        if after_item && !item {
            out.push('\n');
        }
        render(block, &mut out);
        after_item = item;
    }
    out
}

fn facts(document: &ExtractedDocument, out: &mut String) {
    let mut fact = |key: &str, value: &str| line(out, &format!("{key}: {}", one_line(value)));
    own_facts(&mut fact, document);
    for (key, value) in &document.metadata {
        fact(key, value);
    }
    if let Some(at) = document.truncated_at {
        fact("truncated_at", &at.to_string());
    }
    for warning in &document.warnings {
        fact("warning", warning);
    }
    *out = format!("---\n{out}---\n\n");
}

fn own_facts(fact: &mut impl FnMut(&str, &str), document: &ExtractedDocument) {
    fact("media_type", &document.media_type);
    if let Some(title) = &document.title {
        fact("title", title);
    }
    if !document.authors.is_empty() {
        fact("authors", &document.authors.join(", "));
    }
    if let Some(date) = document.content_date {
        fact("content_date", &date.to_string());
    }
    if let Some(date) = document.event_date {
        fact("event_date", &date.to_string());
    }
}

fn render(block: &Block, out: &mut String) {
    match &block.kind {
        BlockKind::Heading { level } => {
            let marks = "#".repeat(usize::from((*level).clamp(1, 6)));
            line(out, &format!("{marks} {}\n", block.text));
        }
        BlockKind::Paragraph => line(out, &format!("{}\n", block.text)),
        BlockKind::ListItem { depth, ordered } => {
            let indent = "  ".repeat(usize::from(*depth));
            let mark = if *ordered { "1." } else { "-" };
            let text = block.text.replace('\n', &format!("\n{indent}  "));
            line(out, &format!("{indent}{mark} {text}"));
        }
        BlockKind::Quote => {
            line(out, &format!("> {}\n", block.text.replace('\n', "\n> ")));
        }
        BlockKind::QuotedReply => {
            let quoted: Vec<String> = block.text.lines().map(quoted_line).collect();
            line(out, &format!("{}\n", quoted.join("\n")));
        }
        BlockKind::Signature => line(out, &format!("{}\n", block.text)),
        BlockKind::Code => {
            let fence = if block.text.contains("```") { "~~~~" } else { "```" };
            line(out, &format!("{fence}\n{}\n{fence}\n", block.text));
        }
        BlockKind::Table { rows, header, .. } => table(rows, *header, out),
    }
}

/// A plain-text mail marks quoted lines itself.
fn quoted_line(text: &str) -> String {
    if text.starts_with('>') { text.to_owned() } else { format!("> {text}") }
}

/// Markdown knows only tables with a header; one without gets an empty one.
fn table(rows: &[Vec<String>], header: bool, out: &mut String) {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let empty = Vec::new();
    let (first, body) = match rows.split_first() {
        Some((first, body)) if header => (first, body),
        _ => (&empty, rows),
    };
    row(first, width, out);
    line(out, &format!("|{}", "---|".repeat(width)));
    for cells in body {
        row(cells, width, out);
    }
    out.push('\n');
}

fn row(cells: &[String], width: usize, out: &mut String) {
    out.push('|');
    for column in 0..width {
        let cell = cells.get(column).map(String::as_str).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(out, " {} |", one_line(cell).replace('|', "\\|"));
    }
    out.push('\n');
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::to_markdown;
    use crate::extract::testing::run;

    #[test]
    fn markdown_comes_out_as_it_went_in() {
        let body = "# One\n\nText here.\n\n- a\n- b\n\n> said\n\n```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n";
        let mut found = run("a.md", body.as_bytes());
        found.document.blocks = std::mem::take(&mut found.blocks);
        let text = to_markdown(&found.document);
        assert!(text.starts_with("---\nmedia_type: text/markdown\ntitle: One\n"), "{text}");
        assert!(text.ends_with(&format!("---\n\n{body}")), "{text}");
    }
}
