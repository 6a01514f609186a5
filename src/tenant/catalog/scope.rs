//! What a caller who is limited to some collections can see of the catalogue.
//!
//! Called by: `tenant::handle`. Talks to: a connection of its own.
//! Invariants: every query of a limited reader, whatever it asks for, runs over tables that hold
//! nothing of other collections; a limited caller never writes.
//! Why: SQLite looks a name up among temporary objects first, so views of the tables' own names
//! stand in front of them. A query that is added later is limited without having to know it.

use rusqlite::{Connection, TransactionBehavior};

use super::{Catalog, CatalogError, CatalogReader, failed};
use crate::types::CollectionId;

/// Puts what is in sight in front of each table that holds content or counts of it.
const VIEWS: &str = "
    CREATE TEMP TABLE in_sight (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TEMP VIEW collection AS
        SELECT * FROM main.collection WHERE id IN (SELECT id FROM temp.in_sight);
    CREATE TEMP VIEW document AS
        SELECT * FROM main.document
        WHERE collection IN (SELECT key FROM temp.collection);
    CREATE TEMP VIEW item AS
        SELECT * FROM main.item
        WHERE document IN (SELECT key FROM temp.document);
    CREATE TEMP VIEW text AS
        SELECT * FROM main.text WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW chunk AS
        SELECT * FROM main.chunk WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW embedding AS
        SELECT * FROM main.embedding WHERE input IN (SELECT input FROM temp.chunk);
    CREATE TEMP VIEW nested AS
        SELECT * FROM main.nested WHERE top IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW document_password AS
        SELECT * FROM main.document_password WHERE document IN (SELECT key FROM temp.document);
    CREATE TEMP VIEW ocr_page AS
        SELECT * FROM main.ocr_page WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW date_mention AS
        SELECT * FROM main.date_mention WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW document_table AS
        SELECT * FROM main.document_table WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW document_table_rows AS
        SELECT * FROM main.document_table_rows WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW signature AS
        SELECT * FROM main.signature WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW signature_band AS
        SELECT * FROM main.signature_band WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW job AS
        SELECT * FROM main.job WHERE item IN (SELECT key FROM temp.item);
    CREATE TEMP VIEW source AS
        SELECT * FROM main.source WHERE collection IN (SELECT name FROM temp.collection);
    CREATE TEMP VIEW source_item AS
        SELECT * FROM main.source_item WHERE source IN (SELECT key FROM temp.source);
    CREATE TEMP VIEW source_run AS
        SELECT * FROM main.source_run WHERE source IN (SELECT key FROM temp.source);
";

/// Tables that hold nothing of any document: settings, and the trail, which has a door of its own.
const WITHOUT_DOCUMENTS: [&str; 3] = ["setting", "audit", "audit_head"];

/// Puts nothing in front of every table that has no view of its own: one that is added later stays
/// closed until somebody has said what of it is in sight.
fn close_others(connection: &Connection) -> rusqlite::Result<()> {
    let tables: Vec<String> = connection
        .prepare(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' \
             AND name NOT LIKE 'sqlite_%' AND name NOT IN (SELECT name FROM temp.sqlite_master)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let open = |table: &&String| !WITHOUT_DOCUMENTS.contains(&table.as_str());
    tables.iter().filter(open).try_for_each(|table| {
        connection.execute_batch(&format!(
            "CREATE TEMP VIEW \"{table}\" AS SELECT * FROM main.\"{table}\" WHERE 0;"
        ))
    })
}

impl Catalog {
    /// Runs `work` over one snapshot in which there is nothing but these collections. Blocks.
    pub(in crate::tenant) fn read_limited<T>(
        &self,
        collections: impl IntoIterator<Item = CollectionId>,
        work: impl FnOnce(&CatalogReader<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.connect()?;
        connection
            .execute_batch(VIEWS)
            .and_then(|()| close_others(&connection))
            .map_err(failed("limit a snapshot"))?;
        for collection in collections {
            connection
                .execute("INSERT INTO temp.in_sight (id) VALUES (?1)", [collection.to_string()])
                .map_err(failed("limit a snapshot"))?;
        }
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(failed("begin snapshot"))?;
        work(&CatalogReader { connection: &transaction, audit: &self.audit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::testing;

    #[test]
    fn a_table_that_nobody_has_limited_is_empty_for_a_limited_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenant.db");
        let catalog = Catalog::open(&path, &testing::keyring("tenant", 1)).unwrap();
        let added = "CREATE TABLE added_later (secret TEXT); \
                     INSERT INTO added_later VALUES ('of some document')";
        catalog.connect().unwrap().execute_batch(added).unwrap();
        let names = |of: &'static str| {
            let read = catalog.read_limited([], |reader| {
                reader.all("list names", of, [], |row| row.get::<_, String>(0))
            });
            read.unwrap()
        };
        assert!(names("SELECT secret FROM added_later").is_empty());
        assert_eq!(names("SELECT secret FROM main.added_later").len(), 1);
        let tables = "SELECT name FROM main.sqlite_master \
                      WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let tables = names(tables);
        let views = names("SELECT name FROM temp.sqlite_master WHERE type = 'view'");
        assert!(tables.len() > 8, "{tables:?}");
        for table in tables {
            let open = !views.contains(&table) && !WITHOUT_DOCUMENTS.contains(&table.as_str());
            assert!(!open, "{table} is open to a limited reader");
        }
    }
}
