//! Long tables cut into blocks that each make sense alone: every block repeats the header.
//!
//! Called by: `table`, `html`, `markdown`, `office`. Talks to: `emit`, `kinds`.
//! Invariants: a block holds at most `MAX_ROWS` rows besides the header, and about
//! `MAX_GROUP_TEXT` bytes; memory is bounded by one block.

use super::emit::{Output, Place, Stop, label};
use super::kinds::Numerals;
use crate::types::{CellKind, CellRange, SheetCells, TablePart};

/// Most rows per block, header not counted.
const MAX_ROWS: usize = 50;
const MAX_GROUP_TEXT: usize = 16 * 1024;

/// Where the rows at hand stand on their sheet; all numbers count from 0.
#[derive(Default)]
struct Sheet {
    /// First and last column, where cells do not simply stand in a row from the left edge.
    columns: Option<(u32, u32)>,
    /// Number of the row that is the header.
    header: Option<u32>,
    /// First and last row that is not passed on yet.
    rows: Option<(u32, u32)>,
}

/// Groups rows into table blocks as they come.
pub(super) struct RowGroups {
    has_header: bool,
    header: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    /// A letter per cell of each row, where the format says what its cells are.
    kinds: Vec<Option<String>>,
    bytes: usize,
    emitted: bool,
    page: Option<u32>,
    sheet: Option<Sheet>,
    name: Option<String>,
    caption: Option<String>,
    number: Option<u32>,
    numerals: Numerals,
}

impl RowGroups {
    /// With `has_header`, the first row pushed is repeated on top of every block.
    pub(super) fn new(has_header: bool) -> Self {
        Self {
            has_header,
            header: None,
            rows: Vec::new(),
            kinds: Vec::new(),
            bytes: 0,
            emitted: false,
            page: None,
            sheet: None,
            name: None,
            caption: None,
            number: None,
            numerals: Numerals::default(),
        }
    }

    /// Says on which page, slide or sheet the rows are.
    pub(super) fn on_page(mut self, page: Option<u32>) -> Self {
        self.page = page;
        self
    }

    /// Says that the rows stand between these columns of a sheet.
    pub(super) fn on_sheet(mut self, columns: Option<(u32, u32)>) -> Self {
        self.sheet = Some(Sheet { columns, ..Sheet::default() });
        self
    }

    /// Says what the document calls the table.
    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = label(name);
        self
    }

    /// Says that the rows are more of a table that was begun.
    pub(super) fn of_table(mut self, number: Option<u32>) -> Self {
        self.number = number;
        self
    }

    /// Says how the table writes numbers, as far as that is known beforehand.
    pub(super) fn written(mut self, numerals: Numerals) -> Self {
        self.numerals = numerals;
        self
    }

    pub(super) fn caption(&mut self, caption: &str) {
        self.caption = label(caption);
    }

    pub(super) fn push(&mut self, row: Vec<String>, out: &mut Output<'_>) -> Result<(), Stop> {
        self.take(row, None, None, out)
    }

    /// Takes the row that has this number on its sheet.
    pub(super) fn push_numbered(
        &mut self,
        number: u32,
        row: Vec<String>,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        self.take(row, None, Some(number), out)
    }

    /// The same of a row of which the format says what its cells are.
    pub(super) fn push_typed(
        &mut self,
        number: u32,
        row: Vec<(String, CellKind)>,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let kinds = row.iter().map(|(_, kind)| kind.letter()).collect();
        let row = row.into_iter().map(|(text, _)| text).collect();
        self.take(row, Some(kinds), Some(number), out)
    }

    fn take(
        &mut self,
        row: Vec<String>,
        kinds: Option<String>,
        number: Option<u32>,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        if self.has_header && self.header.is_none() {
            self.header = Some(row);
            if let Some(sheet) = &mut self.sheet {
                sheet.header = number;
            }
            return Ok(());
        }
        let bytes: usize = row.iter().map(|cell| cell.len() + 3).sum();
        if self.rows.len() >= MAX_ROWS || self.bytes + bytes > MAX_GROUP_TEXT {
            self.flush(out)?;
        }
        if let (Some(sheet), Some(number)) = (&mut self.sheet, number) {
            let (first, _) = sheet.rows.unwrap_or((number, number));
            sheet.rows = Some((first, number));
        }
        self.bytes += bytes;
        self.rows.push(row);
        self.kinds.push(kinds);
        Ok(())
    }

    pub(super) fn finish(self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.finish_part(out).map(drop)
    }

    /// Passes on what is left; the number of the table, so that more of it may follow.
    pub(super) fn finish_part(mut self, out: &mut Output<'_>) -> Result<Option<u32>, Stop> {
        if !(self.rows.is_empty() && self.emitted) {
            self.flush(out)?;
        }
        Ok(self.number)
    }

    fn flush(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if self.rows.is_empty() && (self.emitted || self.header.is_none()) {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.rows.len() + 1);
        rows.extend(self.header.clone());
        rows.append(&mut self.rows);
        let cells = self.cells(&rows);
        let data = self.data(&rows[usize::from(self.header.is_some())..], out);
        self.bytes = 0;
        self.emitted = true;
        out.table(rows, self.header.is_some(), &Place { page: self.page, cells }, Some(data))
    }

    /// The cells that the rows at hand are, with the header where it stands right above them.
    fn cells(&mut self, rows: &[Vec<String>]) -> Option<SheetCells> {
        let sheet = self.sheet.as_mut()?;
        let (first, last) = sheet.rows.take().or(sheet.header.map(|row| (row, row)))?;
        let first =
            sheet.header.filter(|header| header.checked_add(1) == Some(first)).unwrap_or(first);
        let widest = rows.iter().map(Vec::len).max().unwrap_or_default();
        let all = (0, u32::try_from(widest.saturating_sub(1)).unwrap_or(u32::MAX));
        let (left, right) = sheet.columns.unwrap_or(all);
        let range = CellRange::new((first, left), (last, right));
        Some(SheetCells { sheet: self.name.clone(), range })
    }

    /// What is known of the rows as data; header cells are words.
    fn data(&mut self, rows: &[Vec<String>], out: &mut Output<'_>) -> TablePart {
        let number = *self.number.get_or_insert_with(|| out.begin_table());
        let told = std::mem::take(&mut self.kinds);
        let untold = rows.iter().zip(&told).filter(|(_, kinds)| kinds.is_none());
        untold.flat_map(|(row, _)| row).for_each(|cell| self.numerals.look(cell));
        let judged = |row: &[String]| -> String {
            row.iter().map(|cell| self.numerals.kind(cell).letter()).collect()
        };
        let body = rows.iter().zip(told).map(|(row, told)| told.unwrap_or_else(|| judged(row)));
        let header = self.header.is_some().then(String::new);
        TablePart {
            number,
            name: self.name.clone(),
            caption: self.caption.clone(),
            kinds: header.into_iter().chain(body).collect(),
        }
    }
}
