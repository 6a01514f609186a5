//! Cells of a sheet, named as spreadsheet programs name them: `A5:D12`.
//!
//! Called by: `extract` (which says where a block stands), `chunk`, `tenant`, `app`, `cli`.
//! Talks to: nothing.
//! Invariants: the first cell of a range is above and left of its last one, or the same.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Letters of a column beyond which none can be counted.
const MAX_LETTERS: usize = 6;

/// Where in a workbook or table of text a passage stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SheetCells {
    /// Name of the sheet; none where the file is a single table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    #[schema(value_type = String, example = "A5:D12")]
    pub range: CellRange,
}

impl SheetCells {
    /// The smallest range that has both, where they are on one sheet; `self` where they are not.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        if self.sheet == other.sheet {
            Self { range: self.range.with(other.range), ..self }
        } else {
            self
        }
    }
}

/// As people say it: `Budget A5:D12`.
impl fmt::Display for SheetCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sheet {
            Some(sheet) => write!(f, "{sheet} {}", self.range),
            None => write!(f, "{}", self.range),
        }
    }
}

/// A rectangle of cells; rows and columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellRange {
    /// Row and column.
    first: (u32, u32),
    last: (u32, u32),
}

impl CellRange {
    /// The range between two cells, each as row and column.
    pub fn new(one: (u32, u32), other: (u32, u32)) -> Self {
        Self {
            first: (one.0.min(other.0), one.1.min(other.1)),
            last: (one.0.max(other.0), one.1.max(other.1)),
        }
    }

    /// The smallest range that has both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            first: (self.first.0.min(other.first.0), self.first.1.min(other.first.1)),
            last: (self.last.0.max(other.last.0), self.last.1.max(other.last.1)),
        }
    }

    /// The rows of it that lines `first` to `last` of its `lines` lines show. A header that is
    /// repeated on top has a line and no row.
    #[must_use]
    pub fn lines(self, first: u32, last: u32, lines: u32) -> Self {
        let row = |line: u32| {
            let behind = lines.saturating_sub(1).saturating_sub(line);
            self.last.0.saturating_sub(behind).max(self.first.0)
        };
        Self { first: (row(first), self.first.1), last: (row(last), self.last.1) }
    }
}

impl fmt::Display for CellRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cell(f, self.first)?;
        if self.first != self.last {
            f.write_char(':')?;
            write_cell(f, self.last)?;
        }
        Ok(())
    }
}

/// Columns are numbers to the base 26 whose digits begin at one.
fn write_cell(f: &mut fmt::Formatter<'_>, (row, column): (u32, u32)) -> fmt::Result {
    let mut letters = Vec::new();
    let mut rest = u64::from(column) + 1;
    while rest > 0 {
        // Below 26.
        letters.push(b'A' + ((rest - 1) % 26) as u8);
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().try_for_each(|letter| f.write_char(char::from(*letter)))?;
    write!(f, "{}", u64::from(row) + 1)
}

/// A text that names no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no range of cells, as in A5:D12")]
pub struct NoCells;

impl FromStr for CellRange {
    type Err = NoCells;

    fn from_str(text: &str) -> Result<Self, NoCells> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        Ok(Self::new(read_cell(first).ok_or(NoCells)?, read_cell(last).ok_or(NoCells)?))
    }
}

fn read_cell(text: &str) -> Option<(u32, u32)> {
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (letters, digits) = text.split_at(letters);
    let is_name = (1..=MAX_LETTERS).contains(&letters.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_name {
        return None;
    }
    let digit = |letter: u8| u32::from(letter - b'A' + 1);
    let column = letters.bytes().fold(0, |column: u32, letter| column * 26 + digit(letter));
    Some((digits.parse::<u32>().ok()?.checked_sub(1)?, column - 1))
}

impl TryFrom<String> for CellRange {
    type Error = NoCells;

    fn try_from(text: String) -> Result<Self, NoCells> {
        text.parse()
    }
}

impl From<CellRange> for String {
    fn from(range: CellRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> CellRange {
        text.parse().expect("cells")
    }

    #[test]
    fn cells_are_named_as_spreadsheet_programs_name_them() {
        for (first, last, name) in [
            ((4, 0), (11, 3), "A5:D12"),
            ((0, 25), (0, 25), "Z1"),
            ((0, 26), (1, 701), "AA1:ZZ2"),
            ((1_048_575, 16_383), (1_048_575, 16_383), "XFD1048576"),
        ] {
            assert_eq!(CellRange::new(last, first).to_string(), name);
            assert_eq!(range(name), CellRange::new(first, last));
        }
        for text in ["", "A", "5", "A0", "a1", "A1:", ":A1", "A1:B2:C3", "AAAAAAA1", "A-1", "Ä1"] {
            assert_eq!(text.parse::<CellRange>(), Err(NoCells), "{text}");
        }
    }

    #[test]
    fn what_stands_on_two_sheets_is_cited_on_the_first() {
        let cells = |sheet: &str, cells: &str| SheetCells {
            sheet: Some(sheet.to_owned()),
            range: range(cells),
        };
        let joined = cells("Budget", "B5:D12").with(&cells("Budget", "A14")).to_string();
        assert_eq!(joined, "Budget A5:D14");
        assert_eq!(cells("Budget", "B5").with(&cells("Staff", "A1")).to_string(), "Budget B5");
    }

    #[test]
    fn a_header_that_is_repeated_moves_no_row() {
        // Line 0 is the header of a part that shows rows 52 to 54.
        assert_eq!(range("A52:C54").lines(0, 1, 4), range("A52:C52"));
        assert_eq!(range("A52:C54").lines(2, 3, 4), range("A53:C54"));
        // The part with the header itself.
        assert_eq!(range("A1:C4").lines(0, 1, 4), range("A1:C2"));
        // A single row whose text has several lines.
        assert_eq!(range("B7").lines(0, 2, 3), range("B7"));
    }
}
