//! Tables of text: CSV and its relatives, read row by row.
//!
//! Called by: `extract`. Talks to: `csv`, `charset`, `rows`, `kinds`.
//! Invariants: memory is bounded by one row and one group of rows; a row longer than `MAX_ROW`
//! (an unbalanced quote swallows the rest of a file) ends the reading with a warning.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::charset::{TextStream, declared_in};
use super::emit::{Output, Place, Stop};
use super::kinds::Numerals;
use super::rows::RowGroups;
use super::source::Source;
use crate::types::{CellRange, SheetCells};

/// Longest row in bytes of UTF-8.
const MAX_ROW: u64 = 4 * 1024 * 1024;

pub(super) fn extract(
    source: &mut Source<'_>,
    delimiter: u8,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let progress = Rc::new(Progress::default());
    let stream = TextStream::new(&mut *source, declared_in(media_type));
    let utf8 = Utf8Reader::new(stream, Rc::clone(&progress));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(utf8);
    // Where the comma separates cells or nothing but tabs does, a program wrote the numbers.
    let numerals = if delimiter == b';' { Numerals::default() } else { Numerals::by_program() };
    let result = read_rows(&mut reader, &progress, numerals, out);
    reader.get_ref().stream.decoder().report(out);
    result
}

fn read_rows<R: Read>(
    reader: &mut csv::Reader<R>,
    progress: &Progress,
    numerals: Numerals,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut numerals = Some(numerals);
    let mut record = csv::ByteRecord::new();
    let mut waiting: Option<(u32, Vec<String>)> = None;
    let mut groups: Option<RowGroups> = None;
    let mut rows = 0_u64;
    let mut numbers = Numbers::default();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    out.warn(format!(
                        "Row {} is longer than {} MiB, perhaps because of a quotation mark that \
                         is not closed; reading stopped there",
                        rows + 1,
                        MAX_ROW >> 20
                    ));
                    finish(waiting, groups, out)?;
                    return Err(Stop::Full);
                }
                csv::ErrorKind::Io(error) => return Err(Stop::Input(error)),
                other => return Err(Stop::malformed(format!("Not a table: {other:?}"))),
            },
        }
        progress.since_row.set(0);
        let number = numbers.of(&record, progress);
        let row: Vec<String> =
            record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        if rows == 0 && names_delimiter(&row) {
            numbers.pass_over(number);
            continue;
        }
        rows += 1;
        if let Some(groups) = &mut groups {
            groups.push_numbered(number, row, out)?;
        } else if let Some((above, first)) = waiting.take() {
            let started = RowGroups::new(is_header(&first, &row)).on_sheet(None);
            let mut started = started.written(numerals.take().unwrap_or_default());
            started.push_numbered(above, first, out)?;
            started.push_numbered(number, row, out)?;
            groups = Some(started);
        } else {
            waiting = Some((number, row));
        }
    }
    out.fact("rows", &rows.to_string());
    finish(waiting, groups, out)
}

/// True for the line by which a table says what separates its cells, which is none of its rows.
fn names_delimiter(row: &[String]) -> bool {
    let line = row.concat();
    matches!(line.as_bytes(), [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', rest @ ..] if rest.len() <= 1)
}

fn finish(
    waiting: Option<(u32, Vec<String>)>,
    groups: Option<RowGroups>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    match (waiting, groups) {
        (Some((number, only)), _) => {
            let last = u32::try_from(only.len().saturating_sub(1)).unwrap_or(u32::MAX);
            let range = CellRange::new((number, 0), (number, last));
            let cells = Some(SheetCells { sheet: None, range });
            out.table(vec![only], false, &Place { page: None, cells }, None)
        }
        (None, Some(groups)) => groups.finish(out),
        (None, None) => Ok(()),
    }
}

/// A header names every column, each differently, and holds no numbers or dates itself.
pub(super) fn is_header(first: &[String], second: &[String]) -> bool {
    let named = first.iter().all(|cell| {
        let cell = cell.trim();
        !cell.is_empty() && cell.len() <= 200 && cell.chars().any(char::is_alphabetic)
    });
    let mut names: Vec<&str> = first.iter().map(|cell| cell.trim()).collect();
    names.sort_unstable();
    names.dedup();
    named && names.len() == first.len() && second.len() <= first.len() + 1
}

/// How far a table was read.
#[derive(Default)]
struct Progress {
    /// Bytes since the last row that is complete.
    since_row: Cell<u64>,
    /// Lines that were begun.
    lines: Cell<u64>,
}

/// Numbers rows as a spreadsheet program does that opens the file: an empty line is a row, which
/// the reader passes over, and lines within a cell are none.
#[derive(Default)]
struct Numbers {
    /// Ends of lines within cells so far, and lines that show no row.
    none: u64,
    /// Rows so far, empty ones among them.
    rows: u64,
}

impl Numbers {
    /// The number of the row that was just read, from 0.
    fn of(&mut self, record: &csv::ByteRecord, progress: &Progress) -> u32 {
        let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count();
        self.none += within as u64;
        // Where something else ends the lines, rows are counted.
        self.rows = progress.lines.get().saturating_sub(self.none).max(self.rows + 1);
        u32::try_from(self.rows - 1).unwrap_or(u32::MAX)
    }

    /// The row of this number is not shown.
    fn pass_over(&mut self, number: u32) {
        self.none += u64::from(number) + 1;
        self.rows = 0;
    }
}

/// The text of a stream as UTF-8 bytes, which fails once a row has grown too long. It is given out
/// line by line: who has read a row was given no line behind it.
struct Utf8Reader<R> {
    stream: TextStream<R>,
    text: String,
    at: usize,
    within_line: bool,
    progress: Rc<Progress>,
}

impl<R: Read> Utf8Reader<R> {
    fn new(stream: TextStream<R>, progress: Rc<Progress>) -> Self {
        Self { stream, text: String::new(), at: 0, within_line: false, progress }
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            if !self.stream.next(usize::MAX, &mut self.text)? {
                return Ok(0);
            }
        }
        let Progress { since_row, lines } = &*self.progress;
        if since_row.get() > MAX_ROW {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "row too long"));
        }
        let left = &self.text.as_bytes()[self.at..];
        let end = left.iter().position(|byte| *byte == b'\n').map_or(left.len(), |end| end + 1);
        let count = end.min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.at += count;
        since_row.set(since_row.get() + count as u64);
        if !std::mem::replace(&mut self.within_line, left[..count].last() != Some(&b'\n')) {
            lines.set(lines.get() + 1);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::ExtractLimits;
    use crate::extract::testing::{Endless, extract_from, limits, run};
    use crate::types::BlockKind;

    #[test]
    fn quotes_and_line_ends_inside_cells_are_kept() {
        let found = run("a.csv", b"name,note\nAnn,\"says \"\"hi\"\",\ntwice\"\nBob,\n");
        let BlockKind::Table { rows, header, .. } = &found.blocks[0].kind else {
            panic!("a table");
        };
        assert!(*header);
        assert_eq!(rows[1], ["Ann", "says \"hi\",\ntwice"]);
        assert_eq!(found.texts(), ["name | note\nAnn | says \"hi\", twice\nBob | "]);
        assert_eq!(found.document.media_type, "text/csv");
    }

    #[test]
    fn long_tables_are_grouped_and_every_group_repeats_the_header() {
        let mut text = "id;name\n".to_owned();
        for i in 0..120 {
            text.push_str(&format!("{i};name {i}\n"));
        }
        let found = run("a.csv", text.as_bytes());
        assert_eq!(found.blocks.len(), 3);
        assert!(found.texts().iter().all(|t| t.starts_with("id | name\n")));
        assert_eq!(found.document.metadata["rows"], "121");
    }

    #[test]
    fn a_line_that_names_the_delimiter_is_no_row() {
        for text in ["sep=;\r\nName;Preis\r\nApfel;1,50\r\n", "\"sep=;\"\nName;Preis\nApfel;1,50\n"]
        {
            let found = run("a.csv", text.as_bytes());
            assert_eq!(found.texts(), ["Name | Preis\nApfel | 1,50"]);
            assert_eq!(found.document.metadata["rows"], "2");
        }
    }

    #[test]
    fn every_part_of_a_table_says_which_it_is_of_and_what_its_cells_are() {
        let mut text = "id,sum,day\n".to_owned();
        (0..60).for_each(|i| text.push_str(&format!("0{i},{i}.5,2024-03-01\n")));
        let found = run("a.csv", text.as_bytes());
        assert_eq!(found.blocks.len(), 2);
        for block in &found.blocks {
            let BlockKind::Table { rows, data: Some(data), .. } = &block.kind else {
                panic!("data");
            };
            assert_eq!((data.number, data.kinds.len()), (1, rows.len()));
            assert!(data.kinds[0].is_empty(), "a header is words");
            assert!(data.kinds[1..].iter().all(|kinds| kinds == "tnd"), "{:?}", data.kinds);
        }
    }

    #[test]
    fn rows_are_numbered_as_in_a_spreadsheet_program() {
        let cells = |text: &str| -> Vec<String> {
            let found = run("a.csv", text.as_bytes());
            let cells = found.blocks.into_iter().filter_map(|block| block.cells);
            cells.map(|cells| cells.to_string()).collect()
        };
        assert_eq!(cells("a,b\n1,2\n3,4\n"), ["A1:B3"]);
        assert_eq!(cells("a,b\r\n1,2\r\n3,4"), ["A1:B3"]);
        assert_eq!(cells("\n\na,b\n\n\n1,2,3"), ["A6:C6"], "empty lines are rows");
        assert_eq!(cells("a,b\n\"1\n\n1\",2\n\n3,4\n"), ["A1:B4"], "lines in a cell are none");
        assert_eq!(cells("sep=;\na;b\n1;2\n"), ["A1:B2"]);
        assert_eq!(cells("a,b\r1,2\r3,4\r"), ["A1:B3"]);
        assert_eq!(cells("only,one,row"), ["A1:C1"]);
        let mut long = "a,b\n".to_owned();
        (0..60).for_each(|n| long.push_str(&format!("{n},{n}\n")));
        assert_eq!(cells(&long), ["A1:B51", "A52:B61"]);
    }

    #[test]
    fn a_table_without_a_header_repeats_nothing() {
        let found = run("a.csv", b"1,2\n3,4\n");
        assert!(
            matches!(&found.blocks[0].kind, BlockKind::Table { header: false, rows, .. } if rows.len() == 2)
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_memory() {
        let mut input = Endless::after(b"a,b\n1,2\n3,\"", b"open for ever, ");
        let found =
            extract_from("a.csv", None, limits(), &mut input).expect("the start is a table");
        assert!(found.document.truncated_at.is_some());
        assert_eq!(found.texts(), ["a | b\n1 | 2"]);
        assert!(found.document.warnings[0].contains("Row 3"), "{:?}", found.document.warnings);
    }

    #[test]
    fn the_text_limit_ends_an_endless_table() {
        let limits = ExtractLimits { max_text_bytes: 50_000, ..limits() };
        let mut input = Endless::after(b"a,b\n", b"some words,other words\n");
        let found = extract_from("a.csv", None, limits, &mut input).expect("a table");
        assert!(found.document.truncated_at.is_some());
        assert!(input.given() < 1 << 20);
    }
}
