//! The formats in the records of a workbook of Excel 97 to 2003 (MS-XLS 2.4).
//!
//! Called by: `sheet`. Talks to: nothing.
//! Invariants: older workbooks have none: their records are written otherwise.

use super::{CellUnits, Formats, utf16};
use crate::extract::office::compound;
use crate::extract::office::protection::{number16, number32};

const FORMULA: u16 = 0x06;
const END: u16 = 0x0a;
const SHEET: u16 = 0x85;
const MULTIPLE_RK: u16 = 0xbd;
const STYLE: u16 = 0xe0;
const NUMBER: u16 = 0x203;
const RK: u16 = 0x27e;
const FORMAT: u16 = 0x41e;
const BEGIN: u16 = 0x809;
/// The version in the first record.
const BIFF8: u16 = 0x600;

/// A workbook's stream, and what was found at its beginning.
#[derive(Default)]
pub(in crate::extract::office::sheet) struct Workbook {
    stream: Vec<u8>,
    formats: Formats,
    /// Where the records of each sheet begin.
    sheets: Vec<usize>,
}

impl Workbook {
    /// Reads the formats of a workbook that is a whole compound file.
    pub(in crate::extract::office::sheet) fn open(file: &[u8]) -> Self {
        let stream = compound::open(file)
            .ok()
            .and_then(|mut compound| compound::stream(&mut compound, "/Workbook", file.len()));
        let mut workbook = Self { stream: stream.unwrap_or_default(), ..Self::default() };
        let mut records = Records(&workbook.stream);
        if !records
            .next()
            .is_some_and(|(kind, data)| kind == BEGIN && number16(data, 0) == Some(BIFF8))
        {
            return workbook;
        }
        let mut styles = Vec::new();
        for (kind, data) in records.take_while(|(kind, _)| *kind != END) {
            match kind {
                FORMAT => {
                    if let (Some(number), Some(code)) = (number16(data, 0), text(data.get(2..))) {
                        workbook.formats.code(number, code);
                    }
                }
                STYLE => styles.push(number16(data, 2).unwrap_or_default()),
                SHEET => {
                    let start = number32(data, 0).and_then(|start| usize::try_from(start).ok());
                    workbook.sheets.push(start.unwrap_or(usize::MAX));
                }
                _ => {}
            }
        }
        styles.into_iter().for_each(|number| workbook.formats.style(number));
        workbook
    }

    /// The units on the sheet with this place among the sheets, from 0.
    pub(in crate::extract::office::sheet) fn units(&self, sheet: usize) -> CellUnits<'_> {
        let mut units = CellUnits::default();
        let start = self.sheets.get(sheet).and_then(|start| self.stream.get(*start..));
        let mut depth = 0_usize;
        for (kind, data) in Records(start.unwrap_or_default()) {
            match kind {
                // A chart on the sheet has records of its own.
                BEGIN => depth += 1,
                END if depth <= 1 => break,
                END => depth -= 1,
                NUMBER | RK | FORMULA if depth == 1 => self.cell(data, 0, &mut units),
                MULTIPLE_RK if depth == 1 => {
                    let count = data.len().saturating_sub(6) / 6;
                    (0..count).for_each(|at| self.cell(data, at, &mut units));
                }
                _ => {}
            }
        }
        units
    }

    /// Notes the style of a cell: row, column, then styles with six bytes from one to the next.
    fn cell<'w>(&'w self, data: &[u8], at: usize, units: &mut CellUnits<'w>) {
        let (row, column) = (number16(data, 0), number16(data, 2));
        if let (Some(row), Some(column), Some(style)) = (row, column, number16(data, 4 + 6 * at)) {
            let column = u32::from(column).saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            units.note(&self.formats, (u32::from(row), column), usize::from(style));
        }
    }
}

/// A text behind its length in characters and a byte that says how wide they are.
fn text(data: Option<&[u8]>) -> Option<String> {
    let (data, length) = (data?, usize::from(number16(data?, 0)?));
    let (flags, text) = data.get(2..)?.split_first()?;
    if flags & 1 != 0 {
        return text.get(..length * 2).map(utf16);
    }
    // The low bytes of characters whose high bytes are zero.
    text.get(..length).map(|text| text.iter().map(|byte| char::from(*byte)).collect())
}

/// Kind and data of each record.
struct Records<'b>(&'b [u8]);

impl<'b> Iterator for Records<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (number16(self.0, 0)?, usize::from(number16(self.0, 2)?));
        let data = self.0.get(4..4 + length)?;
        self.0 = &self.0[4 + length..];
        Some((kind, data))
    }
}
