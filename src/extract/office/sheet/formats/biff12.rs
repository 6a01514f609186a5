//! The formats in the records of a binary workbook in a package (MS-XLSB 2.4).
//!
//! Called by: `sheet`. Talks to: `package`.
//! Invariants: none beyond those of `formats`.

use super::{CellUnits, Formats, utf16};
use crate::extract::office::protection::{number16, number32};
use crate::extract::office::relations::Relations;
use crate::extract::package::Package;

const ROW: u32 = 0;
const CELL_RK: u32 = 2;
const CELL_REAL: u32 = 5;
const FORMULA_NUMBER: u32 = 9;
const FORMAT: u32 = 44;
const STYLE: u32 = 47;
const END_SHEET_DATA: u32 = 146;
const SHEET: u32 = 156;
const BEGIN_CELL_STYLES: u32 = 617;
const END_CELL_STYLES: u32 = 618;

/// The formats of a workbook and the parts of its sheets.
#[derive(Default)]
pub(in crate::extract::office::sheet) struct Workbook {
    formats: Formats,
    sheets: Vec<Option<String>>,
}

impl Workbook {
    pub(in crate::extract::office::sheet) fn open(package: &mut Package<'_>, main: &str) -> Self {
        let mut workbook = Self::default();
        let relations = Relations::of(package, main);
        let bytes = package.part(main).ok().flatten().unwrap_or_default();
        for (_, data) in Records(&bytes).filter(|(kind, _)| *kind == SHEET) {
            let id = text(data.get(8..));
            let part = id.and_then(|id| relations.target(&id).map(str::to_owned));
            // Sheets without a part are listed by nobody.
            if number32(data, 8) != Some(u32::MAX) {
                workbook.sheets.push(part);
            }
        }
        let styles = relations.first("styles").map(|part| package.part(part));
        let styles = styles.and_then(Result::ok).flatten().unwrap_or_default();
        let mut of_cells = false;
        for (kind, data) in Records(&styles) {
            match kind {
                FORMAT => {
                    if let (Some(number), Some(code)) = (number16(data, 0), text(data.get(2..))) {
                        workbook.formats.code(number, code);
                    }
                }
                BEGIN_CELL_STYLES => of_cells = true,
                END_CELL_STYLES => break,
                STYLE if of_cells => {
                    workbook.formats.style(number16(data, 2).unwrap_or_default());
                }
                _ => {}
            }
        }
        workbook
    }

    /// The units on the sheet with this place among the sheets, from 0.
    pub(in crate::extract::office::sheet) fn units(
        &self,
        package: &mut Package<'_>,
        sheet: usize,
    ) -> CellUnits<'_> {
        let mut units = CellUnits::default();
        let part = self.sheets.get(sheet).and_then(Option::as_deref);
        let bytes = part.and_then(|part| package.part(part).ok()).flatten().unwrap_or_default();
        let mut row = 0;
        for (kind, data) in Records(&bytes) {
            match kind {
                ROW => row = number32(data, 0).unwrap_or_default(),
                CELL_RK | CELL_REAL | FORMULA_NUMBER => {
                    // The style has three bytes.
                    if let (Some(column), Some(style)) = (number32(data, 0), number32(data, 4)) {
                        let style = usize::try_from(style & 0xff_ffff).unwrap_or(usize::MAX);
                        units.note(&self.formats, (row, column), style);
                    }
                }
                END_SHEET_DATA => break,
                _ => {}
            }
        }
        units
    }
}

/// A text behind its length in characters.
fn text(data: Option<&[u8]>) -> Option<String> {
    let length = usize::try_from(number32(data?, 0)?).ok()?;
    data?.get(4..)?.get(..length.checked_mul(2)?).map(utf16)
}

/// Kind and data of each record; both kind and length take as many bytes as they need.
struct Records<'b>(&'b [u8]);

impl Records<'_> {
    fn number(&mut self, longest: u32) -> Option<u32> {
        let mut number = 0;
        for at in 0..longest {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u32::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = (u32, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.number(2)?;
        let length = usize::try_from(self.number(4)?).ok()?;
        let (data, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((kind, data))
    }
}
