//! What a caller who is limited to some collections can see of the catalogue.
//!
//! Called by: `tenant::handle`. Talks to: connections of its own.
//! Invariants: every query of a limited reader, whatever it asks for, runs over tables that hold
//! nothing of other collections; a limited caller never writes. A connection is filled for exactly
//! the collections of its reader before they see it, and one that could not be is closed.
//! Why views: SQLite looks a name up among temporary objects first, so views of the tables' own
//! names stand in front of them. A query that is added later is limited without having to know it.
//! Why `EXISTS`: each view asks about the row at hand. With `IN` SQLite lists all that is in sight
//! before it looks at the first row, so that in a large tenant one chunk costs as much as all. The
//! `+` keeps it from going through all documents of a collection to find one.
//! Why connections are kept: to open one is to decrypt its pages anew, and its views are read twice
//! over. They are the same for everybody and differ in the collections listed, so one connection
//! serves whoever comes next. What a search needs whole, the items in sight, is kept as well: by the
//! set of collections itself, which a membership may change at any time, and for as long as nothing
//! was written.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::{Catalog, CatalogError, CatalogReader, failed};
use crate::types::{CollectionId, VisibleItems};

/// Idle connections kept per tenant.
const IDLE: usize = 4;
/// Sets of collections whose items are kept per tenant.
const SIGHTS: usize = 16;

/// Puts what is in sight in front of each table that holds content or counts of it.
const VIEWS: &str = "
    CREATE TEMP TABLE in_sight (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TEMP VIEW collection AS
        SELECT * FROM main.collection WHERE id IN (SELECT id FROM temp.in_sight);
    CREATE TEMP VIEW document AS
        SELECT * FROM main.document
        WHERE +collection IN (SELECT key FROM temp.collection);
    CREATE TEMP VIEW item AS
        SELECT * FROM main.item AS held
        WHERE EXISTS (SELECT 1 FROM temp.document WHERE key = held.document);
    CREATE TEMP VIEW text AS
        SELECT * FROM main.text AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW chunk AS
        SELECT * FROM main.chunk AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW chunk_cells AS
        SELECT * FROM main.chunk_cells AS held
        WHERE EXISTS (SELECT 1 FROM temp.chunk WHERE key = held.chunk);
    CREATE TEMP VIEW embedding AS
        SELECT * FROM main.embedding AS held
        WHERE EXISTS (SELECT 1 FROM temp.chunk WHERE input = held.input);
    CREATE TEMP VIEW nested AS
        SELECT * FROM main.nested AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.top);
    CREATE TEMP VIEW document_password AS
        SELECT * FROM main.document_password AS held
        WHERE EXISTS (SELECT 1 FROM temp.document WHERE key = held.document);
    CREATE TEMP VIEW ocr_page AS
        SELECT * FROM main.ocr_page AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW date_mention AS
        SELECT * FROM main.date_mention AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW document_table AS
        SELECT * FROM main.document_table AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW document_table_rows AS
        SELECT * FROM main.document_table_rows AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW signature AS
        SELECT * FROM main.signature AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW signature_band AS
        SELECT * FROM main.signature_band AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW job AS
        SELECT * FROM main.job AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW reread AS
        SELECT * FROM main.reread AS held
        WHERE EXISTS (SELECT 1 FROM temp.item WHERE key = held.item);
    CREATE TEMP VIEW source AS
        SELECT * FROM main.source WHERE collection IN (SELECT name FROM temp.collection);
    CREATE TEMP VIEW source_item AS
        SELECT * FROM main.source_item WHERE source IN (SELECT key FROM temp.source);
    CREATE TEMP VIEW source_run AS
        SELECT * FROM main.source_run WHERE source IN (SELECT key FROM temp.source);
";

/// Tables that hold nothing of any document: settings, and the trail, which has a door of its own.
const WITHOUT_DOCUMENTS: [&str; 3] = ["setting", "audit", "audit_head"];

/// What is kept for the limited readers of one catalogue; it goes with it.
#[derive(Default)]
pub(super) struct LimitedReaders {
    idle: Mutex<Vec<LimitedReader>>,
    /// The one used last stands last.
    sights: Mutex<Vec<Sight>>,
    /// Counts what was committed.
    changes: AtomicU64,
}

/// A connection that shows these collections.
struct LimitedReader {
    connection: Connection,
    collections: BTreeSet<CollectionId>,
    /// Of the tables that its views stand in front of.
    schema: i64,
}

/// The items in sight with these collections, when this much was committed.
struct Sight {
    collections: BTreeSet<CollectionId>,
    changes: u64,
    items: VisibleItems,
}

/// Counts a change once it is over.
pub(super) struct Changing<'a>(&'a AtomicU64);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl LimitedReaders {
    /// To be held over a transaction and longer, until nobody was told of its end yet.
    pub(super) fn changing(&self) -> Changing<'_> {
        Changing(&self.changes)
    }

    /// One that shows these collections already, else any other.
    fn take(&self, collections: &BTreeSet<CollectionId>) -> Option<LimitedReader> {
        let mut idle = self.idle();
        let same = idle.iter().position(|reader| reader.collections == *collections);
        let at = same.unwrap_or(0);
        (at < idle.len()).then(|| idle.remove(at))
    }

    fn give_back(&self, reader: LimitedReader) {
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(reader);
        }
    }

    fn known_sight(
        &self,
        collections: &BTreeSet<CollectionId>,
        changes: u64,
    ) -> Option<VisibleItems> {
        let mut sights = self.sights();
        let at = sights.iter().position(|sight| sight.collections == *collections)?;
        let sight = sights.remove(at);
        let known = (sight.changes == changes).then(|| sight.items.clone());
        if known.is_some() {
            sights.push(sight);
        }
        known
    }

    fn keep_sight(&self, sight: Sight) {
        let mut sights = self.sights();
        sights.retain(|other| other.collections != sight.collections);
        if sights.len() == SIGHTS {
            sights.remove(0);
        }
        sights.push(sight);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<LimitedReader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sights(&self) -> MutexGuard<'_, Vec<Sight>> {
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimitedReader {
    /// Puts the views over a new connection; nothing is in sight yet.
    fn new(connection: Connection) -> rusqlite::Result<Self> {
        let schema = schema_of(&connection)?;
        connection.execute_batch(VIEWS)?;
        close_others(&connection)?;
        Ok(Self { connection, collections: BTreeSet::new(), schema })
    }

    /// True where no table came since its views were made.
    fn is_current(&self) -> bool {
        schema_of(&self.connection).is_ok_and(|schema| schema == self.schema)
    }

    /// Has it show these collections and nothing else.
    fn show(&mut self, collections: &BTreeSet<CollectionId>) -> rusqlite::Result<()> {
        if self.collections == *collections {
            return Ok(());
        }
        let filling = self.connection.transaction()?;
        filling.execute("DELETE FROM temp.in_sight", [])?;
        for collection in collections {
            filling
                .prepare_cached("INSERT INTO temp.in_sight (id) VALUES (?1)")?
                .execute([collection.to_string()])?;
        }
        filling.commit()?;
        self.collections.clone_from(collections);
        Ok(())
    }
}

/// A number that changes with every table that comes or goes.
fn schema_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA main.schema_version", [], |row| row.get(0))
}

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
        collections: &BTreeSet<CollectionId>,
        work: impl FnOnce(&CatalogReader<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut reader = match self.limited.take(collections).filter(LimitedReader::is_current) {
            Some(reader) => reader,
            None => LimitedReader::new(self.connect()?).map_err(failed("limit a snapshot"))?,
        };
        reader.show(collections).map_err(failed("limit a snapshot"))?;
        let transaction = reader
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(failed("begin snapshot"))?;
        let outcome = work(&CatalogReader { connection: &transaction, audit: &self.audit });
        drop(transaction);
        self.limited.give_back(reader);
        outcome
    }

    /// Every item that a search may show to whoever sees these collections. Blocks.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough over the snapshot's lifetime"
    )]
    pub(in crate::tenant) fn sight(
        &self,
        collections: &BTreeSet<CollectionId>,
    ) -> Result<VisibleItems, CatalogError> {
        // Taken before the snapshot begins, which may therefore show more but never less.
        let changes = self.limited.changes.load(Ordering::Acquire);
        if let Some(items) = self.limited.known_sight(collections, changes) {
            return Ok(items);
        }
        let items = self.read_limited(collections, |catalog| catalog.searchable_items())?;
        let items: VisibleItems = Arc::new(items);
        let collections = collections.clone();
        self.limited.keep_sight(Sight { collections, changes, items: items.clone() });
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rusqlite::params;

    use super::*;
    use crate::tenant::testing;

    #[test]
    fn a_table_that_nobody_has_limited_is_empty_for_a_limited_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenant.db");
        let catalog = Catalog::open(&path, &testing::keyring("tenant", 1)).unwrap();
        let added = "CREATE TABLE added_later (secret TEXT); \
                     INSERT INTO added_later VALUES ('of some document')";
        catalog.read_limited(&BTreeSet::new(), |_| Ok(())).unwrap();
        catalog.connect().unwrap().execute_batch(added).unwrap();
        let names = |of: &'static str| {
            let read = catalog.read_limited(&BTreeSet::new(), |reader| {
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

    /// A catalogue with a document in each of two collections, and their ids.
    fn of_two(dir: &std::path::Path) -> (Catalog, [CollectionId; 2]) {
        let path = dir.join("tenant.db");
        let catalog = Catalog::open(&path, &testing::keyring("tenant", 1)).unwrap();
        let ids = [CollectionId::generate(), CollectionId::generate()];
        for (key, id) in (1..).zip(ids) {
            let made = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
                let sql =
                    "INSERT INTO collection (key, id, name, created_at) VALUES (?1, ?2, ?2, 0)";
                catalog.execute("add a collection", sql, params![key, id.to_string()])
            });
            made.unwrap();
            add_document(&catalog, key, key);
        }
        (catalog, ids)
    }

    fn add_document(catalog: &Catalog, key: i64, collection: i64) {
        let added = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
            let sql = "INSERT INTO document (key, id, collection, source, current_item, \
                       fulltext_item, created_at) VALUES (?1, ?1, ?2, ?1, ?1, ?1, 0)";
            catalog.execute("add a document", sql, [key, collection])?;
            let sql = "INSERT INTO item (key, id, document, revision, size_bytes, received_at, \
                       state) VALUES (?1, ?1, ?1, 1, 0, 0, 'indexed')";
            catalog.execute("add an item", sql, [key])
        });
        added.unwrap();
    }

    fn shown(catalog: &Catalog, collections: &BTreeSet<CollectionId>) -> Vec<i64> {
        let items = |reader: &CatalogReader<'_>| {
            let keys = "SELECT key FROM item ORDER BY key";
            reader.all("list items", keys, [], |row| row.get(0))
        };
        catalog.read_limited(collections, items).unwrap()
    }

    fn in_sight(catalog: &Catalog, collections: &BTreeSet<CollectionId>) -> Vec<i64> {
        let mut items: Vec<i64> =
            catalog.sight(collections).unwrap().iter().map(|item| item.0).collect();
        items.sort_unstable();
        items
    }

    #[test]
    fn readers_of_other_collections_share_connections_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, [one, two]) = of_two(dir.path());
        let sets: [(BTreeSet<CollectionId>, &[i64]); 4] = [
            ([one].into(), &[1]),
            ([two].into(), &[2]),
            ([one, two].into(), &[1, 2]),
            (BTreeSet::new(), &[]),
        ];
        for _ in 0..3 {
            for (collections, wanted) in &sets {
                assert_eq!(shown(&catalog, collections), *wanted);
                assert_eq!(in_sight(&catalog, collections), *wanted);
            }
        }
        assert_eq!(catalog.limited.idle().len(), 1, "one after the other");
        let failed: Result<(), CatalogError> = catalog.read_limited(&sets[0].0, |_| {
            Err(CatalogError::Corrupt { what: "a test", source: "on purpose".into() })
        });
        assert!(failed.is_err());
        assert_eq!(shown(&catalog, &sets[1].0), [2]);
        std::thread::scope(|threads| {
            for (collections, wanted) in sets.iter().cycle().take(16) {
                let catalog = &catalog;
                threads.spawn(move || {
                    for _ in 0..50 {
                        assert_eq!(shown(catalog, collections), *wanted);
                    }
                });
            }
        });
        assert!(catalog.limited.idle().len() <= IDLE);
    }

    #[test]
    fn the_items_in_sight_are_those_of_the_last_commit() {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, [one, two]) = of_two(dir.path());
        let (ones, twos) = ([one].into(), [two].into());
        assert_eq!((in_sight(&catalog, &ones), in_sight(&catalog, &twos)), (vec![1], vec![2]));
        let first = catalog.sight(&ones).unwrap();
        assert!(Arc::ptr_eq(&first, &catalog.sight(&ones).unwrap()), "nothing was written");
        add_document(&catalog, 3, 1);
        assert_eq!((in_sight(&catalog, &ones), in_sight(&catalog, &twos)), (vec![1, 3], vec![2]));
        let failed: Result<(), CatalogError> = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
            catalog.execute("remove", "UPDATE document SET deleted_at = 1 WHERE key = 3", [])?;
            Err(CatalogError::Corrupt { what: "a test", source: "on purpose".into() })
        });
        assert!(failed.is_err());
        assert_eq!(in_sight(&catalog, &ones), [1, 3]);
        let removed = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
            catalog.execute("remove", "UPDATE document SET deleted_at = 1 WHERE key = 3", [])
        });
        removed.unwrap();
        assert_eq!(in_sight(&catalog, &ones), [1]);
        for _ in 0..2 * SIGHTS {
            in_sight(&catalog, &[CollectionId::generate()].into());
        }
        assert_eq!(catalog.limited.sights().len(), SIGHTS);
        assert_eq!(in_sight(&catalog, &ones), [1]);
    }
}
