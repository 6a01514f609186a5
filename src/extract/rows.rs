//! Long tables cut into blocks that each make sense alone: every block repeats the header.
//!
//! Called by: `table`, `html`, `markdown`, `office`. Talks to: `emit`.
//! Invariants: a block holds at most `MAX_ROWS` rows besides the header, and about
//! `MAX_GROUP_TEXT` bytes; memory is bounded by one block.

use super::emit::{Output, Stop};

/// Most rows per block, header not counted.
const MAX_ROWS: usize = 50;
const MAX_GROUP_TEXT: usize = 16 * 1024;

/// Groups rows into table blocks as they come.
pub(super) struct RowGroups {
    has_header: bool,
    header: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    bytes: usize,
    emitted: bool,
    page: Option<u32>,
}

impl RowGroups {
    /// With `has_header`, the first row pushed is repeated on top of every block.
    pub(super) fn new(has_header: bool) -> Self {
        Self { has_header, header: None, rows: Vec::new(), bytes: 0, emitted: false, page: None }
    }

    /// Says on which page, slide or sheet the rows are.
    pub(super) fn on_page(mut self, page: Option<u32>) -> Self {
        self.page = page;
        self
    }

    pub(super) fn push(&mut self, row: Vec<String>, out: &mut Output<'_>) -> Result<(), Stop> {
        if self.has_header && self.header.is_none() {
            self.header = Some(row);
            return Ok(());
        }
        let bytes: usize = row.iter().map(|cell| cell.len() + 3).sum();
        if self.rows.len() >= MAX_ROWS || self.bytes + bytes > MAX_GROUP_TEXT {
            self.flush(out)?;
        }
        self.bytes += bytes;
        self.rows.push(row);
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if self.rows.is_empty() && self.emitted {
            return Ok(());
        }
        self.flush(out)
    }

    fn flush(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if self.rows.is_empty() && (self.emitted || self.header.is_none()) {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.rows.len() + 1);
        rows.extend(self.header.clone());
        rows.append(&mut self.rows);
        self.bytes = 0;
        self.emitted = true;
        out.table(rows, self.header.is_some(), self.page)
    }
}
