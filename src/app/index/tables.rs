//! The tables of a document, from the blocks that hold their rows to what the catalogue keeps.
//!
//! Called by: `app::index::extract`. Talks to: nothing; pure.
//! Invariants: what is kept of a table, and of all tables of a document together, is bounded in
//! rows, columns and bytes, and a table that is more says so; cells are what their text says,
//! whatever kind was claimed for them; a part of a table that does not follow its beginning is a
//! table by itself.

use crate::chunk::BlockSpan;
use crate::tenant::{NewTable, RowGroup};
use crate::types::{Block, BlockKind, Cell, CellKind, TablePart};

/// Most tables of one document.
const MAX_TABLES: usize = 1000;
const MAX_ROWS: u64 = 200_000;
const MAX_COLUMNS: usize = 500;
/// Most bytes of JSON of one table, and of all tables of a document.
const MAX_TABLE_BYTES: usize = 32 << 20;
const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Rows of a group: few enough for a page of them to be read quickly.
const GROUP_ROWS: u64 = 1000;
const GROUP_BYTES: usize = 256 << 10;

/// What was made of the tables of a document.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) kept: Vec<NewTable>,
    /// A sentence for the ledger where some are not kept.
    pub(super) warning: Option<String>,
}

/// Gathers the tables of a document. `spans` says where its blocks stand in the text; `is_cut`
/// that the text ends before the document does.
pub(super) fn gather(
    blocks: &[Block],
    spans: &[BlockSpan],
    is_cut: bool,
) -> std::io::Result<Tables> {
    let mut gathering = Gathering::default();
    // The text ends within the last table where nothing but rows follows it.
    let is_cut = is_cut && ends_in_rows(blocks, spans);
    for span in spans {
        let Some(block) = blocks.get(span.block) else { continue };
        if let BlockKind::Table { rows, header, data: Some(data) } = &block.kind {
            gathering.part(rows, *header, data, block.page, span)?;
        }
    }
    gathering.finish(is_cut)
}

/// Rows that are too long for the room left are paragraphs.
fn ends_in_rows(blocks: &[Block], spans: &[BlockSpan]) -> bool {
    let after = spans.last().and_then(|last| blocks.get(last.block + 1..)).unwrap_or_default();
    after.len() <= 100 && after.iter().all(|block| block.kind == BlockKind::Paragraph)
}

#[derive(Default)]
struct Gathering {
    tables: Tables,
    /// The table at hand, by the number its parts have.
    open: Option<(u32, Open)>,
    bytes: usize,
}

/// A table of which more rows may come.
struct Open {
    table: NewTable,
    /// The rows of the group at hand, as the items of a JSON list.
    rows: Vec<u8>,
    in_group: u64,
    bytes: usize,
    /// No more rows are taken.
    full: bool,
}

impl Gathering {
    fn part(
        &mut self,
        rows: &[Vec<String>],
        has_header: bool,
        data: &TablePart,
        page: Option<u32>,
        span: &BlockSpan,
    ) -> std::io::Result<()> {
        let goes_on = self.open.as_ref().is_some_and(|(number, _)| *number == data.number);
        if !goes_on {
            self.close()?;
            if self.tables.kept.len() >= MAX_TABLES {
                self.tables.warning =
                    Some(format!("Only the first {MAX_TABLES} tables were kept as data"));
                return Ok(());
            }
            let header = rows.first().filter(|_| has_header).cloned().unwrap_or_default();
            self.open = Some((data.number, Open::new(data, header, page, span)));
        }
        let Some((_, open)) = &mut self.open else { return Ok(()) };
        open.table.end = span.end;
        for (at, row) in rows.iter().enumerate().skip(usize::from(has_header)) {
            let kinds = data.kinds.get(at).map(String::as_str).unwrap_or_default();
            let left = MAX_DOCUMENT_BYTES.saturating_sub(self.bytes);
            self.bytes += open.row(row, kinds, left)?;
        }
        Ok(())
    }

    fn close(&mut self) -> std::io::Result<()> {
        if let Some((_, mut open)) = self.open.take() {
            open.end_group()?;
            // A cell by itself is a note.
            let is_note = open.table.rows <= 1 && open.table.columns <= 1;
            if !is_note {
                self.tables.kept.push(open.table);
            }
        }
        Ok(())
    }

    fn finish(mut self, is_cut: bool) -> std::io::Result<Tables> {
        if let Some((_, open)) = &mut self.open {
            open.table.truncated |= is_cut;
        }
        self.close()?;
        Ok(self.tables)
    }
}

impl Open {
    fn new(data: &TablePart, mut header: Vec<String>, page: Option<u32>, span: &BlockSpan) -> Self {
        let columns = header.len();
        header.truncate(MAX_COLUMNS);
        let table = NewTable {
            name: data.name.clone(),
            caption: data.caption.clone(),
            page,
            start: span.start,
            end: span.end,
            columns: header.len() as u64,
            header,
            rows: 0,
            truncated: columns > MAX_COLUMNS,
            groups: Vec::new(),
        };
        Self { table, rows: Vec::new(), in_group: 0, bytes: 0, full: false }
    }

    /// Takes a row, if there is room for it; how many bytes it is.
    fn row(&mut self, row: &[String], kinds: &str, left: usize) -> std::io::Result<usize> {
        // Rows have no gaps: after the first that is left out none is kept.
        self.full |= self.table.rows >= MAX_ROWS || self.bytes >= MAX_TABLE_BYTES || left == 0;
        if self.full {
            self.table.truncated = true;
            return Ok(0);
        }
        self.table.truncated |= row.len() > MAX_COLUMNS;
        let mut kinds = kinds.chars();
        let cells: Vec<Cell> = row
            .iter()
            .take(MAX_COLUMNS)
            .map(|text| Cell::read(text, kinds.next().map(CellKind::of).unwrap_or_default()))
            .collect();
        let before = self.rows.len();
        if self.in_group > 0 {
            self.rows.push(b',');
        }
        serde_json::to_writer(&mut self.rows, &cells)?;
        let bytes = self.rows.len() - before;
        self.bytes += bytes;
        self.table.columns = self.table.columns.max(cells.len() as u64);
        self.table.rows += 1;
        self.in_group += 1;
        if self.in_group >= GROUP_ROWS || self.rows.len() >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(bytes)
    }

    fn grouped(&self) -> u64 {
        self.table.groups.last().map_or(0, |group| group.first_row + group.rows)
    }

    fn end_group(&mut self) -> std::io::Result<()> {
        if self.in_group == 0 {
            return Ok(());
        }
        let first_row = self.grouped();
        let rows = std::mem::take(&mut self.rows);
        let list = [b"[".as_slice(), &rows, b"]"].concat();
        let cells = zstd::bulk::compress(&list, 3)?;
        self.table.groups.push(RowGroup { first_row, rows: self.in_group, cells });
        self.in_group = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tables::rows_of;

    fn block(number: u32, rows: &[&[&str]], header: bool, kinds: &[&str]) -> Block {
        let data = TablePart {
            number,
            name: Some("Sheet".to_owned()),
            kinds: kinds.iter().map(|kinds| (*kinds).to_owned()).collect(),
            ..TablePart::default()
        };
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        let kind = BlockKind::Table { rows, header, data: Some(data) };
        Block { page: Some(2), ..Block::new(kind, "x".repeat(10)) }
    }

    fn gathered(blocks: &[Block], is_cut: bool) -> Tables {
        let split = crate::chunk::split(blocks, 100, &|_| Vec::new());
        gather(blocks, &split.tables, is_cut).expect("memory does not fail")
    }

    fn rows(table: &NewTable) -> Vec<Vec<Cell>> {
        table.groups.iter().flat_map(|group| rows_of(group).expect("sound")).collect()
    }

    #[test]
    fn parts_of_a_table_become_one_with_its_header_once() {
        let blocks = [
            block(1, &[&["id", "sum"], &["007", "1"]], true, &["", "tn"]),
            block(1, &[&["id", "sum"], &["008", "2"]], true, &["", "tn"]),
            block(2, &[&["x", "y"]], false, &[]),
            block(3, &[&["a note"]], false, &[]),
        ];
        let found = gathered(&blocks, true);
        let [first, second] = found.kept.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (first.header.as_slice(), first.rows, first.columns),
            (&["id".to_owned(), "sum".to_owned()][..], 2, 2)
        );
        assert_eq!((first.start, first.end, first.page), (0, 22, Some(2)));
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(
            rows(first),
            [vec![text("007"), Cell::Number(1.0)], vec![text("008"), Cell::Number(2.0)]]
        );
        assert_eq!((second.start, second.end, second.header.len()), (24, 34, 0));
        assert!(!first.truncated && !second.truncated, "the text was cut in the note behind them");
    }

    #[test]
    fn a_claim_that_a_cell_is_a_number_is_not_believed() {
        let found = gathered(&[block(7, &[&["many", "x", "y"]], false, &["nd?zzzz"])], false);
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(rows(&found.kept[0]), [vec![text("many"), text("x"), text("y")]]);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_left_out_and_said() {
        let wide = vec!["1"; MAX_COLUMNS + 1];
        let found = gathered(&[block(1, &[wide.as_slice(), &["2"]], false, &[])], false);
        assert!(found.kept[0].truncated);
        assert_eq!(found.kept[0].columns, MAX_COLUMNS as u64);
        assert_eq!(found.kept[0].rows, 2, "a row that is too wide does not end the table");
        let many: Vec<Block> =
            (1..=MAX_TABLES as u32 + 1).map(|n| block(n, &[&["1", "2"]], false, &[])).collect();
        let found = gathered(&many, false);
        assert_eq!(found.kept.len(), MAX_TABLES);
        assert!(found.warning.is_some());
        let last = gathered(&many[..2], true).kept.iter().map(|t| t.truncated).collect::<Vec<_>>();
        assert_eq!(last, [false, true], "the text is cut in the last");
        let long = vec!["1"; 3000];
        let long: Vec<&[&str]> = long.chunks(1).collect();
        let blocks: Vec<Block> = (0..70).map(|_| block(1, &long, false, &[])).collect();
        let table = &gathered(&blocks, false).kept[0];
        assert!(table.truncated);
        assert_eq!(table.rows, MAX_ROWS);
        let firsts =
            table.groups.windows(2).all(|two| two[0].first_row + two[0].rows == two[1].first_row);
        assert!(firsts, "rows have no gaps");
    }
}
