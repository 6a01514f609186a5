//! A catalogue's rows on their way from one database to another: out for an archive, in from one.
//!
//! Called by: `tenant::handle`, `tenant::registry`. Talks to: `database`, every table.
//! Invariants: rows alone are copied, into tables that this release has made; the source's own
//! tables, triggers and views never become the target's. Settings that mean something on one
//! appliance only stay behind, and the audit trail takes a way of its own.
//! Why not the file itself: what an archive holds was made elsewhere, and a schema is a program.

use std::path::Path;
use std::sync::PoisonError;

use rusqlite::{Connection, Transaction, params};

use super::audit::QUERY_TEXT;
use super::open::{AUDIT_CHAIN, lay_out};
use super::{
    Amounts, Catalog, CatalogError, CatalogReader, CatalogWriter, FORMAT, Projection, failed,
};
use crate::audit::{ChainEnd, Entry, Flaw};
use crate::crypto::SecretKey;
use crate::database;
use crate::system::trail::{self, Adoption};

/// The database that rows come from, beside the one they go to.
const SOURCE: &str = "source";

/// Tables whose rows do not go along as they are. Uploads under way end where they began, sources
/// name places that the old machine sees, and indexes are made anew.
const OWN_WAY: [&str; 10] = [
    "setting",
    "audit",
    "audit_head",
    "upload",
    "upload_part",
    "reread",
    "source",
    "source_item",
    "source_cursor",
    "source_run",
];

/// Tables that an archive of an earlier release has not got; they are made when texts are read.
const LATER: [&str; 3] = ["document_table", "document_table_rows", "chunk_cells"];

/// The settings that go along.
const SETTINGS: [&str; 1] = [QUERY_TEXT];

/// The rows of a catalogue in a file of their own, as they were at one moment.
pub(in crate::tenant) struct CatalogCopy {
    connection: Connection,
    /// Name of the audit chain.
    pub(in crate::tenant) chain: String,
    /// Where the audit chain ended at that moment.
    pub(in crate::tenant) end: ChainEnd,
    pub(in crate::tenant) amounts: Amounts,
    /// How many originals are named.
    pub(in crate::tenant) originals: u64,
}

impl CatalogCopy {
    /// Digests of originals in order, after `after`.
    pub(in crate::tenant) fn digests(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, CatalogError> {
        self.connection
            .prepare_cached("SELECT DISTINCT blob FROM item WHERE blob > ?1 ORDER BY blob LIMIT ?2")
            .and_then(|mut list| {
                list.query_map(params![after, limit as i64], |row| row.get(0))?.collect()
            })
            .map_err(failed("list originals"))
    }
}

/// An original as the catalogue names it.
#[derive(Debug)]
pub(in crate::tenant) struct NamedOriginal {
    pub(in crate::tenant) digest: String,
    /// `None` where the catalogue contradicts itself.
    pub(in crate::tenant) size_bytes: Option<u64>,
}

impl Catalog {
    /// Copies all rows but those of the audit trail to a new database at `path`. Blocks; work on
    /// the catalogue goes on meanwhile.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough over the snapshot's lifetime"
    )]
    pub(in crate::tenant) fn copy_to(
        &self,
        path: &Path,
        key: &SecretKey,
    ) -> Result<CatalogCopy, CatalogError> {
        let flaw = self.read_trail(|trail| trail.verify())?.flaw;
        let mut connection =
            database::create_throwaway(path, key).map_err(CatalogError::Database)?;
        database::attach(&connection, &self.path, &self.key, SOURCE)
            .map_err(CatalogError::Database)?;
        // Rows come table by table, and the source has checked its references.
        connection
            .execute_batch("PRAGMA foreign_keys = OFF;")
            .map_err(failed("put off the check of references"))?;
        let copying = failed("copy the catalogue");
        let copied = connection.transaction().map_err(copying)?;
        lay_out(&copied).map_err(failed("make the tables of a copy"))?;
        take_rows(&copied)?;
        // The copy has no trail, so this is the source's.
        let end = trail::end(&copied, &self.audit, flaw.as_ref())
            .map_err(failed("read the end of the audit trail"))?;
        let reader = CatalogReader { connection: &copied, audit: &self.audit };
        let amounts = reader.amounts()?;
        let originals =
            reader.count("count originals", "SELECT count(DISTINCT blob) FROM item", [])?;
        copied.commit().map_err(failed("commit a copy"))?;
        detach(&connection)?;
        let chain = self.audit.scope().to_owned();
        Ok(CatalogCopy { connection, chain, end, amounts, originals })
    }

    /// Fills this catalogue, which is new, with the rows of the copy at `path`, which nobody
    /// vouches for. Its audit chain has the name `chain` from the next time it is opened. Blocks.
    pub(in crate::tenant) fn take_copy(
        &self,
        path: &Path,
        key: &SecretKey,
        chain: &str,
    ) -> Result<(), CatalogError> {
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
            .map_err(failed("distrust a copy"))?;
        database::attach(&connection, path, key, SOURCE).map_err(CatalogError::Database)?;
        check_copy(&connection, path)?;
        let taken = connection.transaction().map_err(failed("begin to take a copy"))?;
        // Rows come table by table, and may point at rows that come later.
        taken
            .execute_batch("PRAGMA defer_foreign_keys = ON;")
            .map_err(failed("put off the check of references"))?;
        take_rows(&taken)?;
        taken
            .execute(
                "INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)",
                (AUDIT_CHAIN, chain),
            )
            .map_err(failed("name the audit chain"))?;
        taken.commit().map_err(failed("commit what a copy holds"))?;
        self.snapshots.renew();
        detach(&connection)
    }

    /// Takes over the audit chain this catalogue is to go on with, of which it has no entry yet.
    /// Blocks.
    ///
    /// # Errors
    /// Whatever `next` returns; when the catalogue cannot be written. A chain that is not sound is
    /// an answer and not an error; it is taken over all the same, and every check finds it so.
    pub(in crate::tenant) fn take_trail<E: From<CatalogError>>(
        &self,
        now: jiff::Timestamp,
        end: &ChainEnd,
        mut next: impl FnMut() -> Result<Option<Entry>, E>,
    ) -> Result<Option<Flaw>, E> {
        let mut refused = None;
        let taken = self.write(now, |catalog| {
            let mut adoption = Adoption::new(catalog.transaction, catalog.audit);
            loop {
                match next() {
                    Ok(Some(entry)) => {
                        adoption.push(&entry).map_err(failed("take an audit entry"))?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            adoption.finish(end).map_err(failed("seal the end of the audit trail"))
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(taken?),
        }
    }
}

impl CatalogReader<'_> {
    /// Originals in order of their digests, after `after`.
    pub(in crate::tenant) fn originals(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<NamedOriginal>, CatalogError> {
        self.all(
            "list originals",
            "SELECT blob, min(size_bytes), max(size_bytes) FROM item WHERE blob > ?1 \
             GROUP BY blob ORDER BY blob LIMIT ?2",
            params![after, limit as i64],
            |row| {
                let (least, most): (i64, i64) = (row.get(1)?, row.get(2)?);
                let size_bytes = u64::try_from(least).ok().filter(|_| least == most);
                Ok(NamedOriginal { digest: row.get(0)?, size_bytes })
            },
        )
    }
}

impl CatalogWriter<'_> {
    /// Queues both projections to be made anew, where there are none yet.
    pub(in crate::tenant) fn rebuild_all(&self) -> Result<(), CatalogError> {
        self.rebuild_if_ready(Projection::Fulltext)?;
        self.rebuild_if_ready(Projection::Vectors).map(drop)
    }
}

/// Looks at a copy before anything of it is used.
fn check_copy(connection: &Connection, path: &Path) -> Result<(), CatalogError> {
    let found: u32 = connection
        .query_row(&format!("PRAGMA {SOURCE}.user_version"), [], |row| row.get(0))
        .map_err(failed("read the format of a copy"))?;
    if found != FORMAT {
        return Err(CatalogError::Format { path: path.to_owned(), found });
    }
    let state: String = connection
        .query_row(&format!("PRAGMA {SOURCE}.quick_check(1)"), [], |row| row.get(0))
        .map_err(failed("check a copy"))?;
    if state == "ok" { Ok(()) } else { Err(not_ours(state)) }
}

/// Copies the rows of every table.
fn take_rows(target: &Transaction<'_>) -> Result<(), CatalogError> {
    let tables: Vec<String> = target
        .prepare("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY rowid")
        .and_then(|mut list| list.query_map([], |row| row.get(0))?.collect())
        .map_err(failed("list tables"))?;
    let tables = tables
        .iter()
        .filter(|name| !name.starts_with("sqlite_") && !OWN_WAY.contains(&name.as_str()));
    for table in tables {
        if LATER.contains(&table.as_str()) && !has_any(target, table)? {
            continue;
        }
        let ours = columns_of(target, "main", table)?;
        if ours != columns_of(target, SOURCE, table)? {
            return Err(not_ours(format!("the table {table} has other columns")));
        }
        let columns = ours.join(", ");
        target
            .execute(
                &format!(
                    "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM {SOURCE}.{table}"
                ),
                [],
            )
            .map_err(failed("copy a table"))?;
    }
    for name in SETTINGS {
        target
            .execute(
                &format!(
                    "INSERT INTO main.setting (name, value) \
                     SELECT name, value FROM {SOURCE}.setting WHERE name = ?1"
                ),
                [name],
            )
            .map_err(failed("copy a setting"))?;
    }
    Ok(())
}

/// True where the source has something of that name.
fn has_any(connection: &Connection, name: &str) -> Result<bool, CatalogError> {
    connection
        .query_row(
            &format!("SELECT count(*) > 0 FROM {SOURCE}.sqlite_master WHERE name = ?1"),
            [name],
            |row| row.get(0),
        )
        .map_err(failed("look for a table"))
}

/// The columns of a plain table, by name; what is computed or virtual is none of ours.
fn columns_of(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<Vec<String>, CatalogError> {
    // A page of its own is what a view and a virtual table lack.
    let plain: i64 = connection
        .query_row(
            &format!(
                "SELECT count(*) FROM {schema}.sqlite_master \
                 WHERE type = 'table' AND name = ?1 AND rootpage > 0"
            ),
            [table],
            |row| row.get(0),
        )
        .map_err(failed("look for a table"))?;
    let columns: Vec<(String, i64)> = connection
        .prepare("SELECT name, hidden FROM pragma_table_xinfo(?1, ?2) ORDER BY name")
        .and_then(|mut list| {
            list.query_map([table, schema], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .map_err(failed("list columns"))?;
    if plain != 1 || columns.iter().any(|(_, hidden)| *hidden != 0) {
        return Err(not_ours(format!("{table} is no plain table")));
    }
    Ok(columns.into_iter().map(|(name, _)| name).collect())
}

fn detach(connection: &Connection) -> Result<(), CatalogError> {
    connection
        .execute(&format!("DETACH DATABASE {SOURCE}"), [])
        .map(drop)
        .map_err(failed("close the source of a copy"))
}

fn not_ours(why: String) -> CatalogError {
    CatalogError::Corrupt { what: "a copy of a catalogue", source: why.into() }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::{Action, Event, Occasion, Origin, Party, Record, Verdict};
    use crate::tenant::NewDrop;
    use crate::tenant::testing::keyring;

    fn record() -> Record {
        let actor = Party::anonymous();
        Occasion { at: Timestamp::UNIX_EPOCH, actor, origin: Origin::default() }
            .record(Event::new(Action::Search))
    }

    fn open(dir: &Path, scope: &str) -> Catalog {
        Catalog::open(&dir.join(format!("{scope}.db")), &keyring(scope, 1)).unwrap()
    }

    fn filled(dir: &Path) -> Catalog {
        let catalog = open(dir, "old");
        let drop = |number: u8| NewDrop {
            collection: "documents".to_owned(),
            source: format!("{number}.txt"),
            blob: format!("{number}").repeat(64),
            size_bytes: u64::from(number),
            file_date: None,
            declared_type: None,
            format: None,
            parent: None,
        };
        let fill = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
            catalog.accept(&drop(1))?;
            catalog.accept(&drop(2))?;
            catalog.keep_query_text(true)?;
            catalog.set_setting("vector_model", "one that is not everywhere")?;
            catalog.record([record(), record(), record()])
        });
        fill.unwrap();
        catalog
    }

    fn key() -> SecretKey {
        SecretKey::from_bytes([5; 32])
    }

    fn stretch(catalog: &Catalog) -> Vec<Entry> {
        catalog.read_trail(|trail| trail.stretch(1, 100)).unwrap()
    }

    fn verify(catalog: &Catalog) -> Verdict {
        catalog.read_trail(|trail| trail.verify()).unwrap()
    }

    /// Takes rows and trail over into the catalogue of another scope.
    fn taken(dir: &Path, copy: &CatalogCopy, entries: Vec<Entry>) -> (Catalog, Option<Flaw>) {
        let new = open(dir, "new");
        new.take_copy(&dir.join("copy.db"), &key(), &copy.chain).unwrap();
        drop(new);
        let new = open(dir, "new");
        let mut entries = entries.into_iter();
        let flaw = new
            .take_trail(Timestamp::UNIX_EPOCH, &copy.end, || Ok::<_, CatalogError>(entries.next()))
            .unwrap();
        (new, flaw)
    }

    #[test]
    fn a_copy_has_every_table_of_a_catalogue_but_those_of_the_trail() {
        let dir = tempfile::tempdir().unwrap();
        let old = filled(dir.path());
        let copy = old.copy_to(&dir.path().join("copy.db"), &key()).unwrap();
        let tables = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
            let mut list = connection.prepare(sql).unwrap();
            list.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let mut expected = tables(&old.writer.lock().unwrap());
        expected.retain(|name| !["audit", "audit_head"].contains(&name.as_str()));
        assert_eq!(tables(&copy.connection), expected);
    }

    #[test]
    fn rows_come_along_and_what_belongs_to_one_appliance_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let old = filled(dir.path());
        let copy = old.copy_to(&dir.path().join("copy.db"), &key()).unwrap();
        assert_eq!((copy.amounts.documents, copy.originals), (2, 2));
        assert_eq!(copy.digests("", 1).unwrap(), ["1".repeat(64)]);
        assert_eq!(copy.digests(&"1".repeat(64), 9).unwrap(), ["2".repeat(64)]);
        let (new, _) = taken(dir.path(), &copy, stretch(&old));
        let ledger = |catalog: &Catalog| {
            catalog.read(|catalog| Ok((catalog.amounts()?, catalog.named_blobs()?))).unwrap()
        };
        assert_eq!(ledger(&new), ledger(&old));
        let setting =
            |catalog: &Catalog, name: &str| catalog.read(|catalog| catalog.setting(name)).unwrap();
        assert_eq!(setting(&new, QUERY_TEXT), setting(&old, QUERY_TEXT));
        assert_eq!(setting(&new, "vector_model"), None);
        assert_ne!(setting(&new, "blob_names"), setting(&old, "blob_names"));
    }

    #[test]
    fn the_audit_chain_goes_on_under_its_old_name() {
        let dir = tempfile::tempdir().unwrap();
        let old = filled(dir.path());
        let copy = old.copy_to(&dir.path().join("copy.db"), &key()).unwrap();
        let (new, flaw) = taken(dir.path(), &copy, stretch(&old));
        assert_eq!(flaw, None);
        new.write(Timestamp::UNIX_EPOCH, |catalog| catalog.record([record()])).unwrap();
        drop(new);
        let new = open(dir.path(), "new");
        assert_eq!(verify(&new), Verdict { entries: 4, flaw: None });
        assert_eq!(stretch(&new)[..3], stretch(&old));
        assert_eq!(stretch(&new)[3].scope, "old");
    }

    #[test]
    fn a_chain_cut_short_or_changed_on_the_way_is_told() {
        type Change = fn(&mut Vec<Entry>);
        let changes: [(&str, Change); 4] = [
            ("its end is missing", |entries| drop(entries.pop())),
            ("its beginning is missing", |entries| drop(entries.remove(0))),
            ("all of it is missing", Vec::clear),
            ("another name", |entries| entries[1].actor.name = Some("eve".to_owned())),
        ];
        for (what, change) in changes {
            let dir = tempfile::tempdir().unwrap();
            let old = filled(dir.path());
            let copy = old.copy_to(&dir.path().join("copy.db"), &key()).unwrap();
            let mut entries = stretch(&old);
            change(&mut entries);
            assert!(taken(dir.path(), &copy, entries).1.is_some(), "{what}");
        }
    }

    #[test]
    fn a_chain_that_was_not_sound_stays_so_at_the_other_side() {
        let dir = tempfile::tempdir().unwrap();
        let old = filled(dir.path());
        old.writer.lock().unwrap().execute_batch("UPDATE audit_head SET mac = 'x'").unwrap();
        let copy = old.copy_to(&dir.path().join("copy.db"), &key()).unwrap();
        assert!(copy.end.altered_at.is_some());
        let (new, flaw) = taken(dir.path(), &copy, stretch(&old));
        assert!(flaw.is_some());
        assert!(verify(&new).flaw.is_some());
    }

    #[test]
    fn a_copy_that_is_more_than_rows_is_refused_or_left_behind() {
        let refused = [
            "DROP TABLE job; CREATE VIEW job AS SELECT 1 AS key",
            "ALTER TABLE job ADD COLUMN more TEXT",
            "ALTER TABLE job ADD COLUMN more TEXT AS (hex(key))",
            "DROP TABLE embedding",
            "PRAGMA user_version = 99",
            "UPDATE item SET document = 77",
            "UPDATE item SET metadata = '{'",
        ];
        for sql in refused {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("copy.db");
            let copy = filled(dir.path()).copy_to(&path, &key()).unwrap();
            let tampered = copy.connection.execute_batch(
                "DROP INDEX item_thread; DROP INDEX item_message; DROP INDEX item_thread_subject;",
            );
            tampered.and_then(|()| copy.connection.execute_batch(sql)).unwrap();
            let new = open(dir.path(), "new");
            assert!(new.take_copy(&path, &key(), "old").is_err(), "{sql}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy.db");
        let copy = filled(dir.path()).copy_to(&path, &key()).unwrap();
        let earlier = "DROP TABLE document_table_rows; DROP TABLE document_table;";
        copy.connection.execute_batch(earlier).unwrap();
        let trigger = "CREATE TRIGGER evil AFTER INSERT ON document BEGIN DELETE FROM item; END;
             INSERT INTO setting (name, value) VALUES ('blob_names', '00')";
        copy.connection.execute_batch(trigger).unwrap();
        let new = open(dir.path(), "new");
        new.take_copy(&path, &key(), "old").unwrap();
        let has = "SELECT count(*) FROM sqlite_master WHERE name = 'evil'";
        let writer = new.writer.lock().unwrap();
        assert_eq!(writer.query_row(has, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        let name = "SELECT value FROM setting WHERE name = 'blob_names'";
        assert_eq!(writer.query_row(name, [], |row| row.get::<_, String>(0)).unwrap().len(), 64);
    }

    #[test]
    fn a_copy_opens_with_its_own_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy.db");
        filled(dir.path()).copy_to(&path, &key()).unwrap();
        let new = open(dir.path(), "new");
        let refused = new.take_copy(&path, &SecretKey::from_bytes([6; 32]), "old");
        assert!(matches!(refused, Err(CatalogError::Database(_))), "{refused:?}");
    }
}
