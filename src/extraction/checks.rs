//! What a worker's answers must keep to, whoever speaks through it.
//!
//! Called by: `extraction::conversation`. Talks to: nothing.
//! Invariants: nothing passes that holds a zero byte or is longer than an honest worker makes it;
//! an answer that does not pass costs the worker its life.

use crate::extract::{MAX_BLOCK_TEXT, MAX_OCR_PAGES};
use crate::types::{Block, BlockKind, ChildHeader, ExtractFailure, ExtractedDocument, TablePart};

const MAX_NAME: usize = 4096;
const MAX_SENTENCE: usize = 4096;
const MAX_MEDIA_TYPE: usize = 1024;
const MAX_LIST: usize = 1000;
const MAX_VALUE: usize = 64 * 1024;

/// What is wrong, as the end of "The reader returned …".
type Fault = &'static str;

pub(super) fn block(block: &Block) -> Result<(), Fault> {
    let cells_clean = match &block.kind {
        BlockKind::Table { rows, data, .. } => {
            if data.as_ref().is_some_and(|data| !fits(data, rows)) {
                return Err("a table that is not one");
            }
            rows.iter().flatten().all(|cell| !cell.contains('\0'))
        }
        _ => true,
    };
    if !cells_clean || block.text.contains('\0') {
        return Err("text that holds zero bytes");
    }
    let sheet = block.cells.as_ref().and_then(|cells| cells.sheet.as_deref());
    if sheet.is_some_and(|name| !is_short(name, MAX_SENTENCE)) {
        return Err("cells of a sheet without a usable name");
    }
    if block.text.len() > MAX_BLOCK_TEXT { Err("a longer paragraph than allowed") } else { Ok(()) }
}

/// What is said of a table's cells is a letter for each at most, and its names are short.
fn fits(data: &TablePart, rows: &[Vec<String>]) -> bool {
    let names = [&data.name, &data.caption].into_iter().flatten();
    let named = names.into_iter().all(|name| is_short(name, MAX_SENTENCE));
    let letters = data.kinds.iter().zip(rows).all(|(kinds, row)| {
        kinds.len() <= row.len() && kinds.bytes().all(|b| b.is_ascii_lowercase())
    });
    data.number > 0 && named && letters && data.kinds.len() <= rows.len()
}

pub(super) fn child(header: &ChildHeader) -> Result<(), Fault> {
    if header.name.is_empty() || !is_short(&header.name, MAX_NAME) {
        return Err("a file without a usable name");
    }
    if header.file_date.is_some_and(|date| !ChildHeader::is_plausible_date(date)) {
        return Err("a file with an impossible date");
    }
    media_type(header.media_type.as_deref())
}

pub(super) fn document(document: &ExtractedDocument) -> Result<(), Fault> {
    if !document.blocks.is_empty() {
        return Err("text out of its place");
    }
    media_type(Some(&document.media_type))?;
    let title = document.title.iter();
    let lists = [&document.authors, &document.warnings];
    let all_short =
        title.chain(lists.into_iter().flatten()).all(|text| is_short(text, MAX_SENTENCE));
    let facts_short = document
        .metadata
        .iter()
        .all(|(key, value)| is_short(key, MAX_SENTENCE) && is_short(value, MAX_VALUE));
    let few = document.metadata.len() <= MAX_LIST && lists.iter().all(|l| l.len() <= MAX_LIST);
    let pages = &document.ocr_pages;
    let in_order = pages.first() != Some(&0) && pages.is_sorted_by(|a, b| a < b);
    let few = few && pages.len() <= MAX_OCR_PAGES && in_order;
    if all_short && facts_short && few { Ok(()) } else { Err("more facts than allowed") }
}

pub(super) fn failure(failure: &ExtractFailure) -> Result<(), Fault> {
    media_type(failure.media_type.as_deref())?;
    if is_short(&failure.message, MAX_SENTENCE) { Ok(()) } else { Err("no usable reason") }
}

fn media_type(media_type: Option<&str>) -> Result<(), Fault> {
    if media_type.is_none_or(|text| is_short(text, MAX_MEDIA_TYPE)) {
        Ok(())
    } else {
        Err("no usable media type")
    }
}

fn is_short(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains('\0')
}
