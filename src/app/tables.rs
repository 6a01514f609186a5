//! Tables of a document as data: listed, read row by row, written as CSV.
//!
//! Called by: `http`. Talks to: catalogue.
//! Invariants: reading a table is reading its document and stands in the audit trail as such;
//! what is held is one group of rows at a time beyond what is asked for; no cell of a CSV file is
//! a formula to the program that opens it.

use std::io::Read;

use super::audit::{self, Action, Event};
use super::{Error, blocking, documents};
use crate::auth::CanRead;
use crate::tenant::{RowGroup, TenantHandle};
use crate::types::{Cell, DocumentId, ItemKey};

pub use crate::tenant::TableRow;

/// Most bytes of one group of rows. Rows that came with an archive are not vouched for.
const MAX_GROUP: u64 = 16 << 20;

/// Some rows of a table.
#[derive(Debug)]
pub struct TableRows {
    pub table: TableRow,
    /// Counted from 0, the header not counted.
    pub start: u64,
    pub rows: Vec<Vec<Cell>>,
    /// Where the next rows begin, if there are more.
    pub next: Option<u64>,
}

/// The tables of a document, in the order of its text.
///
/// # Errors
/// `NotFound`.
pub async fn list<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<Vec<TableRow>, Error> {
    let event = Event::new(Action::DocumentRead).on("document", document).with("part", "tables");
    audit::concluded(tenant, event, listed(tenant, document).await).await
}

async fn listed<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<Vec<TableRow>, Error> {
    tenant
        .read(move |catalog| {
            let Some(row) = catalog.document(document)? else { return Ok(None) };
            let item = documents::text_item(catalog, &row)?;
            catalog.tables(item).map(Some)
        })
        .await?
        .ok_or(Error::NotFound)
}

/// Up to `limit` rows of a table from `start` on.
///
/// # Errors
/// `NotFound` also for a document without such a table.
pub async fn rows<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    number: u32,
    start: u64,
    limit: usize,
) -> Result<TableRows, Error> {
    let event = read_event(document, number).with("start", start);
    audit::concluded(tenant, event, slice(tenant, document, number, start, limit).await).await
}

async fn slice<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    number: u32,
    start: u64,
    limit: usize,
) -> Result<TableRows, Error> {
    let end = start.saturating_add(limit as u64);
    let found = stored(tenant, document, number, start, end).await?;
    blocking(move || {
        let mut rows = Vec::new();
        for group in &found.groups {
            let decoded = rows_of(group).map_err(|source| damaged(found.item, source))?;
            let numbered = (group.first_row..).zip(decoded);
            let wanted = numbered.filter(|(number, _)| (start..end).contains(number));
            rows.extend(wanted.map(|(_, row)| row));
        }
        let reached = start.saturating_add(rows.len() as u64);
        let next = (!rows.is_empty() && reached < found.table.rows).then_some(reached);
        Ok(TableRows { table: found.table, start, rows, next })
    })
    .await
}

/// A table as CSV, in pieces.
#[derive(Debug)]
pub struct TableCsv {
    pub table: TableRow,
    header: Option<String>,
    item: ItemKey,
    groups: std::vec::IntoIter<RowGroup>,
}

/// A table as CSV with its header.
///
/// # Errors
/// `NotFound` also for a document without such a table.
pub async fn csv<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    number: u32,
) -> Result<TableCsv, Error> {
    let event = read_event(document, number).with("format", "csv");
    let found = stored(tenant, document, number, 0, u64::MAX).await;
    let found = audit::concluded(tenant, event, found).await?;
    let names = found.table.header.iter().map(|name| guarded(name));
    let header = (!found.table.header.is_empty()).then(|| line(names));
    let groups = found.groups.into_iter();
    Ok(TableCsv { table: found.table, header, item: found.item, groups })
}

impl Iterator for TableCsv {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(header) = self.header.take() {
            return Some(Ok(header));
        }
        let group = self.groups.next()?;
        let rows = rows_of(&group).map_err(|source| damaged(self.item, source));
        Some(rows.map(|rows| rows.iter().map(|row| line(row.iter().map(in_csv))).collect()))
    }
}

/// What the catalogue holds of a table.
struct Stored {
    item: ItemKey,
    table: TableRow,
    groups: Vec<RowGroup>,
}

/// The table and the groups with its rows from `start` to before `end`, of one moment.
async fn stored<A: CanRead>(
    tenant: &TenantHandle<A>,
    document: DocumentId,
    number: u32,
    start: u64,
    end: u64,
) -> Result<Stored, Error> {
    tenant
        .read(move |catalog| {
            let Some(row) = catalog.document(document)? else { return Ok(None) };
            let item = documents::text_item(catalog, &row)?;
            let Some(table) = catalog.table(item, number)? else { return Ok(None) };
            let groups = catalog.table_rows(item, number, start, end)?;
            Ok(Some(Stored { item, table, groups }))
        })
        .await?
        .ok_or(Error::NotFound)
}

fn read_event(document: DocumentId, number: u32) -> Event {
    Event::new(Action::DocumentRead)
        .on("document", document)
        .with("part", "table")
        .with("table", u64::from(number))
}

/// The rows of a group.
pub(super) fn rows_of(group: &RowGroup) -> std::io::Result<Vec<Vec<Cell>>> {
    let decoder = zstd::stream::read::Decoder::new(group.cells.as_slice())?;
    let mut list = Vec::new();
    decoder.take(MAX_GROUP).read_to_end(&mut list)?;
    Ok(serde_json::from_slice(&list)?)
}

fn damaged(item: ItemKey, source: std::io::Error) -> Error {
    Error::Text { item: item.0, source }
}

/// A cell as CSV has it.
fn in_csv(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => guarded(text),
        // What was read as a figure begins with a sign of its own at most.
        Cell::Figure { text, .. } if text.starts_with(['+', '-']) && is_bare(text) => text.clone(),
        other if other.is_value() => other.shown(),
        other => guarded(&other.shown()),
    }
}

fn is_bare(text: &str) -> bool {
    text.chars().skip(1).all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
}

/// A text in front of which an apostrophe stands where a spreadsheet would take it for a formula.
fn guarded(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r'])
        || text.starts_with(['\t', '\r', '\n']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// One line of CSV (RFC 4180).
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        let plain = !cell.contains(['"', ',', '\n', '\r']) && cell.trim().len() == cell.len();
        if plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CellKind;

    #[test]
    fn no_cell_of_a_csv_file_is_a_formula() {
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1"] {
            assert!(in_csv(&Cell::Text(text.to_owned())).starts_with('\''), "{text}");
        }
        for (text, kind) in [
            ("-5", CellKind::Number),
            ("-1,234.50", CellKind::PointNumber),
            ("2024-03-01", CellKind::Date),
            ("a=b", CellKind::Text),
        ] {
            assert_eq!(in_csv(&Cell::read(text, kind)), text);
        }
    }

    #[test]
    fn lines_of_csv_are_read_back_as_they_were() {
        let cells = ["a", "b,c", "say \"x\"", " y", "two\nlines", ""];
        let written = line(cells.iter().map(|cell| (*cell).to_owned()));
        assert_eq!(written, "a,\"b,c\",\"say \"\"x\"\"\",\" y\",\"two\nlines\",\r\n");
    }

    #[test]
    fn a_group_that_was_tampered_with_is_an_error() {
        let group = |bytes: &[u8]| RowGroup { first_row: 0, rows: 1, cells: bytes.to_vec() };
        assert!(rows_of(&group(b"no zstd")).is_err());
        let packed = |text: &[u8]| zstd::bulk::compress(text, 3).expect("memory does not fail");
        assert!(rows_of(&group(&packed(b"[[{}]]"))).is_err());
        let bomb = vec![b' '; usize::try_from(MAX_GROUP).expect("64 bits") + 1];
        assert!(rows_of(&group(&packed(&bomb))).is_err());
        assert_eq!(rows_of(&group(&packed(b"[[null,1]]"))).expect("sound").len(), 1);
    }
}
