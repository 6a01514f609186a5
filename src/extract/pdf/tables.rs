//! Tables of a page, by the gaps between the words of their lines.
//!
//! Called by: `pdf::structure`. Talks to: nothing.
//! Invariants: what is not clearly a table stays text; every word of a table's lines is in one of
//! its cells, in the order of the page.
//!
//! The rules: at least three lines in a row with gaps wider than between words, the same gaps in
//! all of them; each column is filled in at least half of the rows, and its cells begin, end or
//! have their middle at the same place; cells are short; two columns alone are a table only where
//! the second one holds numbers, for lists and address blocks look the same. Columns of prose fail
//! by the length of their lines, and spaced-out lines because their gaps lie anywhere.

use super::layout::Shape;

/// A gap between cells, in sizes of the letters; words are a quarter of one apart.
const GAP: f32 = 0.8;
/// A line is looked at letter by letter where it is this much wider than its letters should be.
const STRETCHED: f32 = 1.1;
/// Usual width of a letter, in its size.
const LETTER: f32 = 0.5;
const LEAST_ROWS: usize = 3;
/// A table of more rows is cut into several.
const MAX_ROWS: usize = 150;
/// Most rows are at most this far apart, in sizes of the letters.
const ROW: f32 = 4.0;
/// How far cells of a column may be out of line, in sizes of the letters.
const ALIGNED: f32 = 0.4;
/// Least distance of two columns, in sizes of the letters.
const APART: f32 = 0.3;
/// Characters of the longest cell, and of a usual one.
const MAX_CELL: usize = 60;
const USUAL_CELL: usize = 24;

/// A letter with the places of its edges; what is no letter has none.
pub(super) struct Letter {
    pub(super) sign: char,
    pub(super) edges: Option<(f32, f32)>,
}

/// A table and the lines that are its rows.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) header: bool,
}

#[derive(Clone, Debug)]
struct Cell {
    left: f32,
    right: f32,
    text: String,
}

/// A line that has gaps.
struct Row {
    line: usize,
    shape: Shape,
    cells: Vec<Cell>,
}

/// The tables of a page.
pub(super) fn find(
    lines: &[&str],
    shapes: &[Option<Shape>],
    letter: &dyn Fn(usize) -> Option<Letter>,
    is_bold: &dyn Fn(usize) -> bool,
) -> Vec<Table> {
    let mut rows: Vec<Row> = Vec::new();
    for (line, (text, shape)) in lines.iter().zip(shapes).enumerate() {
        let Some(shape) = shape else { continue };
        let usual = text.chars().count() as f32 * shape.size * LETTER;
        if shape.right - shape.left > usual * STRETCHED {
            let cells = cells(shape, letter);
            if cells.len() > 1 {
                rows.push(Row { line, shape: *shape, cells });
            }
        }
    }
    let mut tables = Vec::new();
    let mut rest = rows.as_slice();
    while let [first, ..] = rest {
        let mut count = 1;
        while count < MAX_ROWS
            && rest.get(count).is_some_and(|next| follows(&rest[count - 1], next))
            && fill(&rest[..=count]).is_some()
        {
            count += 1;
        }
        let (run, left) = rest.split_at(count);
        if let Some(filled) = fill(run).filter(|filled| is_table(filled, first.shape.size)) {
            tables.push(Table {
                line: first.line,
                lines: count,
                header: is_header(&filled) || is_bold(first.shape.first),
                rows: filled.into_iter().map(texts).collect(),
            });
        }
        rest = left;
    }
    tables
}

/// The parts of a line between wide gaps; none where its letters do not go from left to right.
fn cells(shape: &Shape, letter: &dyn Fn(usize) -> Option<Letter>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut space = false;
    for Letter { sign, edges } in (shape.start..=shape.end).filter_map(letter) {
        let Some((left, right)) = edges else {
            space = true;
            continue;
        };
        match cells.last_mut() {
            Some(cell) if left < cell.left - shape.size => return Vec::new(),
            Some(cell) if left - cell.right <= shape.size * GAP => {
                if space {
                    cell.text.push(' ');
                }
                cell.text.push(sign);
                cell.right = cell.right.max(right);
            }
            _ => cells.push(Cell { left, right, text: sign.into() }),
        }
        space = false;
    }
    cells
}

/// True for two lines that may be rows of one table.
fn follows(row: &Row, next: &Row) -> bool {
    let down = row.shape.height - next.shape.height;
    next.line == row.line + 1 && down > 0.0 && down <= row.shape.size * ROW
}

/// The cells of each row by column. None where there is but one column, or two cells of a row
/// stand in the same.
fn fill(rows: &[Row]) -> Option<Vec<Vec<Option<Cell>>>> {
    let apart = rows.first()?.shape.size * APART;
    let mut edges: Vec<(f32, f32)> =
        rows.iter().flat_map(|row| &row.cells).map(|cell| (cell.left, cell.right)).collect();
    edges.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut columns: Vec<(f32, f32)> = Vec::new();
    for (left, right) in edges {
        match columns.last_mut() {
            Some(column) if left <= column.1 + apart => column.1 = column.1.max(right),
            _ => columns.push((left, right)),
        }
    }
    if columns.len() < 2 {
        return None;
    }
    rows.iter()
        .map(|row| {
            let mut filled: Vec<Option<Cell>> = vec![None; columns.len()];
            for cell in &row.cells {
                // A column begins at its cell that is furthest to the left.
                let at = columns.partition_point(|column| column.0 <= cell.left).checked_sub(1)?;
                let place = filled.get_mut(at).filter(|place| place.is_none())?;
                *place = Some(cell.clone());
            }
            Some(filled)
        })
        .collect()
}

fn is_table(rows: &[Vec<Option<Cell>>], size: f32) -> bool {
    let columns = rows.first().map_or(0, Vec::len);
    let all: Vec<usize> =
        rows.iter().flatten().flatten().map(|cell| cell.text.chars().count()).collect();
    let short = all.iter().sum::<usize>() <= all.len() * USUAL_CELL
        && all.iter().all(|length| *length <= MAX_CELL);
    let column = |at: usize| rows.iter().filter_map(move |row| row.get(at)?.as_ref());
    let in_line = (0..columns).all(|at| {
        let agree = |place: fn(&Cell) -> f32| agree(column(at).map(place).collect(), size);
        column(at).count() * 2 >= rows.len()
            && (agree(|cell| cell.left)
                || agree(|cell| cell.right)
                || agree(|cell| f32::midpoint(cell.left, cell.right)))
    });
    let numbers = column(1).filter(|cell| is_number(&cell.text)).count();
    let counts = columns > 2 || numbers * 2 >= column(1).count();
    rows.len() >= LEAST_ROWS && short && in_line && counts
}

/// True where most of the places are the same.
fn agree(mut places: Vec<f32>, size: f32) -> bool {
    places.sort_by(f32::total_cmp);
    let Some(middle) = places.get(places.len() / 2).copied() else { return false };
    let near = places.iter().filter(|place| (*place - middle).abs() <= size * ALIGNED).count();
    near * 10 >= places.len() * 7
}

fn is_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits * 2 >= text.chars().filter(|c| !c.is_whitespace()).count()
}

/// True for a first row of words over columns of numbers.
fn is_header(rows: &[Vec<Option<Cell>>]) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let words = first.iter().flatten().all(|cell| !is_number(&cell.text));
    let numbers = rest.iter().all(|row| row.iter().flatten().any(|cell| is_number(&cell.text)));
    words && numbers
}

fn texts(row: Vec<Option<Cell>>) -> Vec<String> {
    row.into_iter().map(|cell| cell.map(|cell| cell.text).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds tables on a page of ten-point letters, half as wide as high, one line below the
    /// other; each line is its words with the places where they begin.
    fn found(page: &[&[(f32, &str)]]) -> Vec<Table> {
        let mut letters: Vec<Letter> = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        let mut shapes = Vec::new();
        for (row, words) in (0_u8..).zip(page) {
            let start = letters.len();
            for (left, word) in *words {
                if letters.len() > start {
                    letters.push(Letter { sign: ' ', edges: None });
                }
                for (at, sign) in (0_u8..).zip(word.chars()) {
                    let left = left + f32::from(at) * 5.0;
                    let edges = (sign != ' ').then_some((left, left + 5.0));
                    letters.push(Letter { sign, edges });
                }
            }
            let words: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
            lines.push(words.join(" "));
            let end = letters.len() - 1;
            shapes.push(Some(Shape {
                size: 10.0,
                height: 700.0 - f32::from(row) * 15.0,
                letters: 9,
                first: start,
                start,
                end,
                left: letters[start].edges.expect("a letter").0,
                right: letters[end].edges.expect("a letter").1,
            }));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let letter = |at: usize| letters.get(at).map(|l| Letter { sign: l.sign, edges: l.edges });
        find(&lines, &shapes, &letter, &|_| false)
    }

    #[test]
    fn rows_with_the_same_gaps_are_a_table_and_empty_cells_stay_empty() {
        let tables = found(&[
            &[(50.0, "The table shows the sales of this year")],
            &[(50.0, "Region"), (110.0, "Last year"), (170.0, "Now")],
            &[(50.0, "North east"), (120.0, "120"), (170.0, "150")],
            &[(50.0, "South"), (125.0, "80"), (170.0, "95")],
            &[(50.0, "West"), (170.0, "60")],
        ]);
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![
            row(["Region", "Last year", "Now"]),
            row(["North east", "120", "150"]),
            row(["South", "80", "95"]),
            row(["West", "", "60"]),
        ];
        assert_eq!(tables, [Table { line: 1, lines: 4, rows, header: true }]);
    }

    #[test]
    fn what_only_looks_like_a_table_stays_text() {
        // Too few rows.
        assert!(found(&[&[(50.0, "a"), (90.0, "1"), (150.0, "2")][..]; 2]).is_empty());
        // A list, and an address beside its names.
        assert!(found(&[&[(50.0, "•"), (90.0, "an item of a list")][..]; 5]).is_empty());
        assert!(found(&[&[(50.0, "Name:"), (120.0, "Premier Entertainment")][..]; 5]).is_empty());
        // Lines spaced out to the same width: their gaps lie anywhere.
        let spaced = [
            &[(50.0, "one"), (90.0, "two"), (140.0, "three")][..],
            &[(50.0, "seventeen"), (115.0, "is"), (150.0, "not")],
            &[(50.0, "a"), (70.0, "number"), (120.0, "of"), (150.0, "any")],
        ];
        assert!(found(&spaced).is_empty());
        // Two columns of prose side by side.
        let prose = "words that go on for the width of one column";
        assert!(found(&[&[(50.0, prose), (290.0, prose), (530.0, prose)][..]; 6]).is_empty());
    }
}
