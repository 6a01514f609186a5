//! From the cells of a sheet to tables: empty rows separate them, empty columns vanish.
//!
//! Called by: `sheet`, `odf`. Talks to: `rows` for long tables, `table` for header rows.
//! Invariants: what is held is bounded by `MAX_HELD` cells, however far apart they lie: only
//! columns that hold something take part in a table.
//!
//! Why a merged value is repeated: a row is found and cited alone, and must say what it is
//! about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use calamine::Dimensions;

use crate::extract::emit::{Output, Stop};
use crate::extract::rows::RowGroups;
use crate::extract::table::is_header;
use crate::types::CellKind;

/// Most cells of a table that are held before they are passed on.
const MAX_HELD: usize = 200_000;
/// Most copies of merged values in one sheet.
const MAX_COPIES: usize = 50_000;
const MAX_REPEATED: usize = 500;

/// Text and kind of the cells of a row, by column.
type Cells = BTreeMap<u32, (String, CellKind)>;

/// Gathers one sheet.
pub(in crate::extract::office) struct Regions {
    sheet: u32,
    name: String,
    /// First cell of a merged range and its last one.
    merged: HashMap<(u32, u32), (u32, u32)>,
    copies: usize,
    /// Copies of merged values for rows to come.
    below: BTreeMap<u32, Cells>,
    row: u32,
    cells: Cells,
    /// Rows of the region so far.
    held: Vec<Cells>,
    columns: BTreeSet<u32>,
    last_row: Option<u32>,
    /// The header of a region whose start was passed on already, and its row.
    header: Option<(Cells, u32)>,
    /// The table whose start was passed on already, and its columns.
    begun: Option<(u32, BTreeSet<u32>)>,
}

impl Regions {
    pub(in crate::extract::office) fn new(sheet: u32, name: &str, merged: &[Dimensions]) -> Self {
        let merged = merged.iter().take(MAX_COPIES).map(|range| (range.start, range.end));
        Self {
            sheet,
            name: name.to_owned(),
            merged: merged.collect(),
            copies: 0,
            below: BTreeMap::new(),
            row: 0,
            cells: Cells::new(),
            held: Vec::new(),
            columns: BTreeSet::new(),
            last_row: None,
            header: None,
            begun: None,
        }
    }

    /// Says that a cell reaches to another one.
    pub(in crate::extract::office) fn merge(&mut self, start: (u32, u32), end: (u32, u32)) {
        if start != end && self.merged.len() < MAX_COPIES {
            self.merged.insert(start, end);
        }
    }

    /// Takes the next cell; rows come in order, columns may not.
    pub(in crate::extract::office) fn cell(
        &mut self,
        row: u32,
        column: u32,
        (text, kind): (String, CellKind),
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        if text.trim().is_empty() {
            return Ok(());
        }
        if row != self.row {
            self.end_row(out)?;
            while let Some((next, _)) = self.below.first_key_value()
                && *next < row
            {
                self.row = *next;
                self.end_row(out)?;
            }
            self.row = row;
        }
        self.spread(row, column, &text, kind);
        self.cells.insert(column, (text, kind));
        Ok(())
    }

    pub(in crate::extract::office) fn finish(mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.end_row(out)?;
        while let Some((next, _)) = self.below.first_key_value() {
            self.row = *next;
            self.end_row(out)?;
        }
        self.flush(out)
    }

    /// Repeats the value of a merged range in the cells it covers.
    fn spread(&mut self, row: u32, column: u32, text: &str, kind: CellKind) {
        let Some((last_row, last_column)) = self.merged.get(&(row, column)).copied() else {
            return;
        };
        if text.len() > MAX_REPEATED {
            return;
        }
        for to_row in row..=last_row {
            for to_column in column..=last_column {
                if (to_row, to_column) == (row, column) {
                    continue;
                }
                self.copies += 1;
                if self.copies > MAX_COPIES {
                    return;
                }
                let cells = if to_row == row {
                    &mut self.cells
                } else {
                    self.below.entry(to_row).or_default()
                };
                cells.entry(to_column).or_insert_with(|| (text.to_owned(), kind));
            }
        }
    }

    fn end_row(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let mut cells = std::mem::take(&mut self.cells);
        for (column, cell) in self.below.remove(&self.row).unwrap_or_default() {
            cells.entry(column).or_insert(cell);
        }
        if cells.is_empty() {
            return Ok(());
        }
        let follows = self.last_row.is_some_and(|last| self.row == last.saturating_add(1));
        if !follows {
            self.flush(out)?;
            self.header = None;
            self.begun = None;
        }
        self.last_row = Some(self.row);
        self.columns.extend(cells.keys());
        self.held.push(cells);
        if self.held.len() * self.columns.len() > MAX_HELD {
            self.flush(out)?;
        }
        Ok(())
    }

    /// Passes the held rows on as a table.
    fn flush(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        let behind = self.last_row.unwrap_or_default().saturating_add(1);
        let first = behind.saturating_sub(u32::try_from(held.len()).unwrap_or(u32::MAX));
        let mut held: Vec<(Cells, u32)> = held.into_iter().zip(first..).collect();
        if let Some(header) = &self.header {
            self.columns.extend(header.0.keys());
            held.insert(0, header.clone());
        }
        let columns = std::mem::take(&mut self.columns);
        let row = |cells: &Cells| -> Vec<(String, CellKind)> {
            columns.iter().map(|column| cells.get(column).cloned().unwrap_or_default()).collect()
        };
        let words = |cells: &Cells| -> Vec<String> {
            row(cells).into_iter().map(|(text, _)| text).collect()
        };
        let header = match held.as_slice() {
            _ if self.header.is_some() => true,
            [(first, _), (second, _), ..] => is_header(&words(first), &words(second)),
            _ => false,
        };
        if header && self.header.is_none() {
            self.header = held.first().cloned();
        }
        // With other columns than before, the cells would not stand below each other.
        let begun = self.begun.take().filter(|(_, before)| *before == columns);
        let mut groups = RowGroups::new(header)
            .on_page(Some(self.sheet))
            .on_sheet(columns.first().copied().zip(columns.last().copied()))
            .named(&self.name)
            .of_table(begun.map(|(number, _)| number));
        for (cells, number) in &held {
            groups.push_typed(*number, row(cells), out)?;
        }
        self.begun = groups.finish_part(out)?.map(|number| (number, columns));
        Ok(())
    }
}
