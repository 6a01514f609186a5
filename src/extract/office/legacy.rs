//! Word and PowerPoint files of 1995 to 2003, through `undoc`.
//!
//! Called by: `compound`. Talks to: `undoc`, `grid`, `rows`.
//! Invariants: what the library refuses as encrypted needs a password and is not damaged.

use undoc::doc::DocParser;
use undoc::model::{Block, Document, ListType, Paragraph, Table};
use undoc::ppt::PptParser;

use super::properties;
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::grid::Grid;
use crate::extract::rows::RowGroups;
use crate::types::{BlockKind, ExtractFailureCode};

pub(super) fn word(bytes: Vec<u8>, out: &mut Output<'_>) -> Result<(), Stop> {
    let document = DocParser::from_bytes(bytes).and_then(|mut parser| parser.parse());
    emit(&document.map_err(|error| refused(&error))?, false, out)
}

pub(super) fn slides(bytes: Vec<u8>, out: &mut Output<'_>) -> Result<(), Stop> {
    let document = PptParser::from_bytes(bytes).and_then(|mut parser| parser.parse());
    emit(&document.map_err(|error| refused(&error))?, true, out)
}

/// What a file under a password of before 2007 ends with.
fn protected() -> Stop {
    Stop::failure(ExtractFailureCode::PasswordRequired, "The document is protected by a password")
}

fn refused(error: &undoc::Error) -> Stop {
    match error {
        undoc::Error::Encrypted => protected(),
        undoc::Error::UnsupportedFormat(what) => Stop::failure(
            ExtractFailureCode::UnsupportedType,
            format!("The document is of a kind that cannot be read: {what}"),
        ),
        other => Stop::malformed(format!("The document is damaged: {other}")),
    }
}

fn emit(document: &Document, pages: bool, out: &mut Output<'_>) -> Result<(), Stop> {
    let facts = &document.metadata;
    for (name, value) in [
        ("title", &facts.title),
        ("creator", &facts.author),
        ("subject", &facts.subject),
        ("description", &facts.description),
        ("created", &facts.created),
        ("modified", &facts.modified),
        ("lastModifiedBy", &facts.last_modified_by),
    ] {
        properties::fact(name, value.as_deref().unwrap_or_default(), out);
    }
    properties::fact("keywords", &facts.keywords.join(", "), out);
    if pages {
        out.fact("pages", &document.sections.len().to_string());
    }
    for (number, section) in (1_u32..).zip(&document.sections) {
        let page = pages.then_some(number);
        for block in &section.content {
            emit_block(block, page, out)?;
        }
        if let Some(notes) = section.notes.as_ref().map(|notes| plain(notes))
            && !notes.trim().is_empty()
        {
            out.block(&BlockKind::Paragraph, &format!("Notes: {notes}"), page)?;
        }
    }
    let sections = || document.sections.iter();
    let headers = sections().filter_map(|section| section.header.as_ref());
    let footers = sections().filter_map(|section| section.footer.as_ref());
    let mut seen: Vec<String> = Vec::new();
    for margin in headers.chain(footers).map(|margin| plain(margin)) {
        if margin.chars().any(char::is_alphabetic) && !seen.contains(&margin) && seen.len() < 100 {
            out.paragraph(&margin)?;
            seen.push(margin);
        }
    }
    Ok(())
}

fn emit_block(block: &Block, page: Option<u32>, out: &mut Output<'_>) -> Result<(), Stop> {
    match block {
        Block::Paragraph(paragraph) => emit_paragraph(paragraph, page, out),
        Block::Table(table) => emit_table(table, page, out),
        Block::Note { label, content } => {
            let note = format!("[^{label}]: {}", plain(content));
            out.block(&BlockKind::Paragraph, &note, page)
        }
        Block::Image { alt_text, .. } => {
            let description = alt_text.as_deref().unwrap_or_default();
            out.block(&BlockKind::Paragraph, description, page)
        }
        Block::PageBreak | Block::SectionBreak => Ok(()),
    }
}

fn emit_paragraph(
    paragraph: &Paragraph,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let text = text(paragraph);
    if paragraph.heading.is_heading() {
        let text = one_line(&text);
        if paragraph.heading.level() == 1 {
            out.title(&text);
        }
        let level = paragraph.heading.level();
        return out.block(&BlockKind::Heading { level }, &text, page);
    }
    let kind = match &paragraph.list_info {
        Some(list) if list.list_type != ListType::None => BlockKind::ListItem {
            depth: list.level.min(8),
            ordered: list.list_type == ListType::Numbered,
        },
        _ => BlockKind::Paragraph,
    };
    out.block(&kind, &text, page)
}

fn emit_table(table: &Table, page: Option<u32>, out: &mut Output<'_>) -> Result<(), Stop> {
    let header = table.rows.first().is_some_and(|row| {
        row.is_header || (!row.cells.is_empty() && row.cells.iter().all(|cell| cell.is_header))
    });
    let mut groups = RowGroups::new(header).on_page(page);
    let mut grid = Grid::default();
    for row in &table.rows {
        for cell in &row.cells {
            let mut text = plain(&cell.content);
            for inner in &cell.nested_tables {
                text.push('\n');
                text.push_str(&inner.plain_text());
            }
            let columns = usize::try_from(cell.col_span).unwrap_or(1);
            grid.cell(text.trim(), columns, usize::try_from(cell.row_span).unwrap_or(1));
        }
        groups.push(grid.end_row(), out)?;
    }
    groups.finish(out)
}

fn plain(paragraphs: &[Paragraph]) -> String {
    let lines: Vec<String> = paragraphs.iter().map(text).collect();
    lines.join("\n").trim().to_owned()
}

/// The text of a paragraph; page breaks inside are line ends.
fn text(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for run in &paragraph.runs {
        text.push_str(&run.text);
        if let Some(label) = &run.note {
            text.push_str(&format!("[^{label}]"));
        }
        if run.line_break || run.page_break {
            text.push('\n');
        }
    }
    text
}
