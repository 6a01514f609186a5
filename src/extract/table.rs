//! Tables of text: CSV and its relatives, read row by row.
//!
//! Called by: `extract`. Talks to: `csv`, `charset`, `rows`, `kinds`.
//! Invariants: memory is bounded by one row and one group of rows; a row longer than `MAX_ROW`
//! (an unbalanced quote swallows the rest of a file) ends the reading with a warning.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::charset::{TextStream, declared_in};
use super::emit::{Output, Stop};
use super::kinds::Numerals;
use super::rows::RowGroups;
use super::source::Source;

/// Longest row in bytes of UTF-8.
const MAX_ROW: u64 = 4 * 1024 * 1024;

pub(super) fn extract(
    source: &mut Source<'_>,
    delimiter: u8,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let since_row = Rc::new(Cell::new(0));
    let stream = TextStream::new(&mut *source, declared_in(media_type));
    let utf8 = Utf8Reader::new(stream, Rc::clone(&since_row));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(utf8);
    // Where the comma separates cells or nothing but tabs does, a program wrote the numbers.
    let numerals = if delimiter == b';' { Numerals::default() } else { Numerals::by_program() };
    let result = read_rows(&mut reader, &since_row, numerals, out);
    reader.get_ref().stream.decoder().report(out);
    result
}

fn read_rows<R: Read>(
    reader: &mut csv::Reader<R>,
    since_row: &Cell<u64>,
    numerals: Numerals,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut numerals = Some(numerals);
    let mut record = csv::ByteRecord::new();
    let mut waiting: Option<Vec<String>> = None;
    let mut groups: Option<RowGroups> = None;
    let mut rows = 0_u64;
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
        since_row.set(0);
        let row: Vec<String> =
            record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        if rows == 0 && names_delimiter(&row) {
            continue;
        }
        rows += 1;
        if let Some(groups) = &mut groups {
            groups.push(row, out)?;
        } else if let Some(first) = waiting.take() {
            let started = RowGroups::new(is_header(&first, &row));
            let mut started = started.written(numerals.take().unwrap_or_default());
            started.push(first, out)?;
            started.push(row, out)?;
            groups = Some(started);
        } else {
            waiting = Some(row);
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
    waiting: Option<Vec<String>>,
    groups: Option<RowGroups>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    match (waiting, groups) {
        (Some(only), _) => out.table(vec![only], false, None, None),
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

/// The text of a stream as UTF-8 bytes, which fails once a row has grown too long.
struct Utf8Reader<R> {
    stream: TextStream<R>,
    text: String,
    at: usize,
    since_row: Rc<Cell<u64>>,
}

impl<R: Read> Utf8Reader<R> {
    fn new(stream: TextStream<R>, since_row: Rc<Cell<u64>>) -> Self {
        Self { stream, text: String::new(), at: 0, since_row }
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
        if self.since_row.get() > MAX_ROW {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "row too long"));
        }
        let left = &self.text.as_bytes()[self.at..];
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.at += count;
        self.since_row.set(self.since_row.get() + count as u64);
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
