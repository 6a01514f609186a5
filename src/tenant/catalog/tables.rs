//! Tables of documents, kept as data beside the text.
//!
//! Called by: `app::index`, `app::tables`, `stage`, `chunks`. Talks to: `document_table`,
//! `document_table_rows`.
//! Invariants: tables come and go with the text of their item, in the same transactions; numbers
//! and rows have no gaps.

use rusqlite::{Row, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::{json, to_json};
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::ItemKey;

/// A table about to be stored.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub name: Option<String>,
    pub caption: Option<String>,
    pub page: Option<u32>,
    /// Offsets into the document's text, in Unicode scalar values.
    pub start: u64,
    pub end: u64,
    /// Empty where the columns have no names.
    pub header: Vec<String>,
    pub columns: u64,
    pub rows: u64,
    /// True where more rows or columns are in the text.
    pub truncated: bool,
    pub groups: Vec<RowGroup>,
}

/// Rows that follow each other, compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroup {
    /// Counted from 0.
    pub first_row: u64,
    pub rows: u64,
    /// A JSON list of rows, each a list of cells, as zstd.
    pub cells: Vec<u8>,
}

/// A table of a document, without its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableRow {
    /// Counted from 1 in the order of the text.
    pub number: u32,
    /// What the document calls it: the name of a sheet.
    pub name: Option<String>,
    pub caption: Option<String>,
    /// Page or sheet, counted from 1.
    pub page: Option<u32>,
    /// Offsets of its text in the document's text, in Unicode scalar values.
    pub start: u64,
    pub end: u64,
    /// Names of the columns; empty where they have none.
    pub header: Vec<String>,
    /// Cells of the widest row.
    pub columns: u64,
    /// Rows, the header not counted.
    pub rows: u64,
    /// True where more rows or columns are in the text than are kept as data.
    pub truncated: bool,
}

const SELECT: &str = "SELECT number, name, caption, page, start_char, end_char, header, \
     column_count, row_count, truncated FROM document_table";

fn read_table(row: &Row<'_>) -> rusqlite::Result<TableRow> {
    Ok(TableRow {
        number: row.get(0)?,
        name: row.get(1)?,
        caption: row.get(2)?,
        page: row.get(3)?,
        start: row.get::<_, i64>(4)?.unsigned_abs(),
        end: row.get::<_, i64>(5)?.unsigned_abs(),
        header: json(row, 6)?,
        columns: row.get::<_, i64>(7)?.unsigned_abs(),
        rows: row.get::<_, i64>(8)?.unsigned_abs(),
        truncated: row.get(9)?,
    })
}

impl CatalogReader<'_> {
    /// The tables of an item in the order of its text.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn tables(&self, item: ItemKey) -> Result<Vec<TableRow>, CatalogError> {
        self.all(
            "list the tables of a document",
            &format!("{SELECT} WHERE item = ?1 ORDER BY number"),
            [item.0],
            read_table,
        )
    }

    /// How many tables an item has.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn table_count(&self, item: ItemKey) -> Result<u64, CatalogError> {
        self.count(
            "count the tables of a document",
            "SELECT count(*) FROM document_table WHERE item = ?1",
            [item.0],
        )
    }

    /// One table of an item.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn table(&self, item: ItemKey, number: u32) -> Result<Option<TableRow>, CatalogError> {
        self.one(
            "read a table",
            &format!("{SELECT} WHERE item = ?1 AND number = ?2"),
            params![item.0, number],
            read_table,
        )
    }

    /// The groups that hold the rows of a table from `first` to before `end`.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn table_rows(
        &self,
        item: ItemKey,
        number: u32,
        first: u64,
        end: u64,
    ) -> Result<Vec<RowGroup>, CatalogError> {
        let bound = |row: u64| i64::try_from(row).unwrap_or(i64::MAX);
        self.all(
            "read rows of a table",
            "SELECT first_row, row_count, cells FROM document_table_rows \
             WHERE item = ?1 AND number = ?2 AND first_row < ?4 AND first_row + row_count > ?3 \
             ORDER BY first_row",
            params![item.0, number, bound(first), bound(end)],
            |row| {
                Ok(RowGroup {
                    first_row: row.get::<_, i64>(0)?.unsigned_abs(),
                    rows: row.get::<_, i64>(1)?.unsigned_abs(),
                    cells: row.get(2)?,
                })
            },
        )
    }
}

impl CatalogWriter<'_> {
    /// Stores the tables of an item, which has none.
    pub(super) fn insert_tables(
        &self,
        item: ItemKey,
        tables: &[NewTable],
    ) -> Result<(), CatalogError> {
        for (number, table) in (1_u32..).zip(tables) {
            self.execute(
                "store a table",
                "INSERT INTO document_table (item, number, name, caption, page, start_char, \
                 end_char, header, column_count, row_count, truncated) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    item.0,
                    number,
                    table.name,
                    table.caption,
                    table.page,
                    table.start as i64,
                    table.end as i64,
                    to_json(&table.header)?,
                    table.columns as i64,
                    table.rows as i64,
                    table.truncated,
                ],
            )?;
            for group in &table.groups {
                self.execute(
                    "store rows of a table",
                    "INSERT INTO document_table_rows (item, number, first_row, row_count, cells) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![item.0, number, group.first_row as i64, group.rows as i64, group.cells],
                )?;
            }
        }
        Ok(())
    }

    pub(super) fn clear_tables(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "remove rows of tables",
            "DELETE FROM document_table_rows WHERE item = ?1",
            [item.0],
        )?;
        self.execute("remove tables", "DELETE FROM document_table WHERE item = ?1", [item.0])?;
        Ok(())
    }
}
