//! Tables of reStructuredText: drawn with `+---+` as a grid, or underlined with `===  ===`.
//!
//! Called by: `rst`. Talks to: `rows`.
//! Invariants: every word of a table is in one of its cells; a table that is not drawn to its end
//! is none.

use crate::extract::emit::{Output, Stop};
use crate::extract::rows::RowGroups;

/// Longest table in lines.
const MAX_LINES: usize = 10_000;

/// A table, and how many lines it takes.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    header: bool,
    pub(super) lines: usize,
}

impl Table {
    /// The table that begins with the first of `lines`.
    pub(super) fn at(lines: &[&str]) -> Option<Self> {
        let first = lines.first()?.trim_start();
        if is_grid_border(first) {
            Self::grid(lines)
        } else if is_simple_border(first) {
            Self::simple(lines)
        } else {
            None
        }
    }

    pub(super) fn emit(self, out: &mut Output<'_>) -> Result<(), Stop> {
        let mut groups = RowGroups::new(self.header);
        for row in self.rows {
            groups.push(row, out)?;
        }
        groups.finish(out)
    }

    fn grid(lines: &[&str]) -> Option<Self> {
        let indent = lines[0].len() - lines[0].trim_start().len();
        let inside = |line: &&&str| line.trim_start().starts_with(['+', '|']);
        let drawn: Vec<Vec<char>> = lines
            .iter()
            .take(MAX_LINES)
            .take_while(inside)
            .map(|line| line.chars().skip(indent).collect())
            .collect();
        let border = |line: &[char]| is_grid_border(&line.iter().collect::<String>());
        if drawn.len() < 3 || !border(drawn.last()?) {
            return None;
        }
        let edges = edges(&drawn);
        let mut table = Self { rows: Vec::new(), header: false, lines: drawn.len() };
        let mut row: Vec<String> = Vec::new();
        for line in &drawn {
            if !border(line) {
                row.resize(edges.len().saturating_sub(1), String::new());
                grid_line(line, &edges, &mut row);
                continue;
            }
            table.header |= table.rows.is_empty() && !row.is_empty() && line.contains(&'=');
            if row.iter().any(|cell| !cell.is_empty()) {
                table.rows.push(std::mem::take(&mut row));
            }
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn simple(lines: &[&str]) -> Option<Self> {
        let starts: Vec<usize> = starts(lines[0]);
        // The last border is the one that a blank line or nothing follows.
        let ends = |at: &usize| {
            is_simple_border(lines[*at])
                && lines.get(*at + 1).is_none_or(|line| line.trim().is_empty())
        };
        let last = (1..lines.len().min(MAX_LINES)).find(ends)?;
        let mut table = Self { rows: Vec::new(), header: false, lines: last + 1 };
        for line in &lines[1..last] {
            if is_simple_border(line) {
                table.header |= table.rows.len() == 1;
                continue;
            }
            let marks = line.chars().all(|c| matches!(c, '-' | ' '));
            if marks {
                continue;
            }
            let cells = simple_line(line, &starts);
            match table.rows.last_mut() {
                // A cell that goes on below has nothing in the first column.
                Some(row) if cells[0].is_empty() => {
                    row.iter_mut().zip(&cells).for_each(|(cell, more)| add(cell, more));
                }
                _ => table.rows.push(cells),
            }
        }
        (!table.rows.is_empty()).then_some(table)
    }
}

/// Columns in which any border of a grid has a corner.
fn edges(drawn: &[Vec<char>]) -> Vec<usize> {
    let borders = drawn.iter().filter(|line| line.first() == Some(&'+'));
    let corners = borders.flat_map(|line| line.iter().enumerate());
    let mut edges: Vec<usize> =
        corners.filter(|(_, c)| **c == '+').map(|(column, _)| column).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Adds a line of a grid to the cells it crosses; one that reaches over an edge stays whole.
fn grid_line(line: &[char], edges: &[usize], row: &mut [String]) {
    let mut column = 0;
    while column < row.len() {
        let first = column;
        while column + 1 < row.len()
            && !matches!(line.get(edges[column + 1]).copied(), Some('|' | '+') | None)
        {
            column += 1;
        }
        let from = (edges[first] + 1).min(line.len());
        let to = edges[column + 1].clamp(from, line.len());
        let text: String = line[from..to].iter().collect();
        if !text.chars().all(|c| matches!(c, '-' | '=' | '+' | ' ')) {
            add(&mut row[first], text.trim());
        }
        column += 1;
    }
}

/// Columns in which the cells of a simple table begin.
fn starts(border: &str) -> Vec<usize> {
    let mut before = ' ';
    let mut starts = Vec::new();
    for (column, c) in border.chars().enumerate() {
        if c == '=' && before != '=' {
            starts.push(column);
        }
        before = c;
    }
    starts
}

fn simple_line(line: &str, starts: &[usize]) -> Vec<String> {
    let line: Vec<char> = line.chars().collect();
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let cell = |(start, end): (&usize, usize)| {
        let from = (*start).min(line.len());
        line[from..end.clamp(from, line.len())].iter().collect::<String>().trim().to_owned()
    };
    starts.iter().zip(ends).map(cell).collect()
}

fn add(cell: &mut String, text: &str) {
    if !cell.is_empty() && !text.is_empty() {
        cell.push(' ');
    }
    cell.push_str(text);
}

fn is_grid_border(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 3
        && line.starts_with('+')
        && line.ends_with('+')
        && line.contains(['-', '='])
        && line.chars().all(|c| matches!(c, '+' | '-' | '='))
}

fn is_simple_border(line: &str) -> bool {
    let line = line.trim_end();
    line.trim_start().starts_with("==")
        && line.trim_start().contains(' ')
        && line.chars().all(|c| matches!(c, '=' | ' '))
}
