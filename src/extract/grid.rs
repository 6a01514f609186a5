//! Cells that span rows and columns, laid out so that every row has all of its columns.
//!
//! Called by: `office`, `html`. Talks to: nothing.
//! Invariants: a row has at most `MAX_COLUMNS` cells; a long text is not repeated, so that a
//! few spans cannot fill memory.
//!
//! Why a merged text is repeated: a row is found and cited alone, and must say what it is about.

/// Widest table.
const MAX_COLUMNS: usize = 2_000;
/// Longest text that is repeated in the cells it spans.
const MAX_REPEATED: usize = 500;
const MAX_ROW_SPAN: usize = 10_000;

/// Lays out one table, row by row.
#[derive(Default)]
pub(super) struct Grid {
    row: Vec<String>,
    /// Per column, how many further rows a cell from above reaches down, and its text.
    hanging: Vec<(usize, String)>,
}

impl Grid {
    /// Adds a cell after the ones of this row, below those that hang down from above.
    pub(super) fn cell(&mut self, text: &str, columns: usize, rows: usize) {
        self.hang();
        let repeated = if text.len() <= MAX_REPEATED { text } else { "" };
        let rows = rows.clamp(1, MAX_ROW_SPAN);
        for number in 0..columns.max(1) {
            if self.row.len() >= MAX_COLUMNS {
                return;
            }
            let at = self.row.len();
            self.row.push(if number == 0 { text } else { repeated }.to_owned());
            if self.hanging.len() <= at {
                self.hanging.resize(at + 1, (0, String::new()));
            }
            self.hanging[at] = (rows - 1, if rows > 1 { repeated } else { "" }.to_owned());
        }
    }

    /// Adds cells that hold nothing.
    pub(super) fn skip(&mut self, columns: usize) {
        if columns > 0 {
            self.cell("", columns, 1);
        }
    }

    /// Number of the next free column.
    pub(super) fn column(&mut self) -> usize {
        self.hang();
        self.row.len()
    }

    /// The finished row.
    pub(super) fn end_row(&mut self) -> Vec<String> {
        self.hang();
        // Cells may hang down right of a gap.
        while self.row.len() < self.hanging.len()
            && self.hanging[self.row.len()..].iter().any(|(rows, _)| *rows > 0)
        {
            self.row.push(String::new());
            self.hang();
        }
        std::mem::take(&mut self.row)
    }

    fn hang(&mut self) {
        while let Some((rows, text)) = self.hanging.get_mut(self.row.len()) {
            if *rows == 0 {
                return;
            }
            *rows -= 1;
            self.row.push(text.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn spans_repeat_their_text_across_and_down() {
        let mut grid = Grid::default();
        grid.cell("a", 1, 2);
        grid.cell("b", 2, 1);
        assert_eq!(grid.end_row(), ["a", "b", "b"]);
        grid.cell("c", 1, 1);
        grid.cell("d", 1, 1);
        assert_eq!(grid.end_row(), ["a", "c", "d"]);
        grid.cell("e", 1, 1);
        assert_eq!(grid.end_row(), ["e"]);
    }

    #[test]
    fn spans_without_bound_stay_bounded() {
        let mut grid = Grid::default();
        grid.cell(&"x".repeat(10_000), usize::MAX, usize::MAX);
        let row = grid.end_row();
        assert!(row.len() <= 2_000);
        assert!(row.iter().map(String::len).sum::<usize>() < 20_000);
    }
}
