//! What is known of each thing at a source: as what it was taken in, and whether it is still there.
//!
//! Called by: `sources`, by way of `app::sources`. Talks to: `source_item`, `document`, `item`.
//! Invariants: a thing is `present` only in the transaction that took it in, so that a crash makes
//! it `found` again and doubles nothing; what a run did not see is `missing` only once the run has
//! listed all there is.

use jiff::Timestamp;
use rusqlite::params;

use super::rows::{optional_id, optional_time};
use super::{CatalogError, CatalogReader, CatalogWriter, failed};
use crate::types::DocumentId;

/// Something a source shows.
#[derive(Clone, Debug)]
pub struct ListedItem {
    /// What it is called there.
    pub external: Vec<u8>,
    /// Its path below the name of the source.
    pub path: String,
    /// Another one means other content.
    pub mark: String,
    /// The same one at another place means the same content there.
    pub identity: Option<String>,
    pub size_bytes: u64,
    pub file_date: Option<Timestamp>,
    /// False while it is still being written: it is there, and not to be taken in yet.
    pub settled: bool,
}

/// Something to be taken in.
#[derive(Clone, Debug)]
pub struct FoundItem {
    pub key: i64,
    pub external: Vec<u8>,
    pub path: String,
    pub identity: Option<String>,
    pub size_bytes: u64,
    pub file_date: Option<Timestamp>,
    /// What it was taken in as before.
    pub document: Option<DocumentId>,
    pub digest: Option<String>,
    pub taken_bytes: Option<u64>,
}

/// Something that is gone at its source.
#[derive(Clone, Debug)]
pub struct MissingItem {
    pub key: i64,
    pub path: String,
    pub document: Option<DocumentId>,
}

impl CatalogReader<'_> {
    /// What is to be taken in, after `after`.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn found_items(
        &self,
        source: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<FoundItem>, CatalogError> {
        self.all(
            "list what was found",
            "SELECT key, external, path, identity, size_bytes, file_date, document, digest, \
             taken_bytes FROM source_item WHERE source = ?1 AND state = 'found' AND key > ?2 \
             ORDER BY key LIMIT ?3",
            params![source, after, limit],
            |row| {
                Ok(FoundItem {
                    key: row.get(0)?,
                    external: row.get(1)?,
                    path: row.get(2)?,
                    identity: row.get(3)?,
                    size_bytes: row.get::<_, i64>(4)?.unsigned_abs(),
                    file_date: optional_time(row, 5)?,
                    document: optional_id(row, 6)?,
                    digest: row.get(7)?,
                    taken_bytes: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
                })
            },
        )
    }

    /// What is gone at the source, after `after`.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn missing_items(
        &self,
        source: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<MissingItem>, CatalogError> {
        self.all(
            "list what is missing",
            "SELECT key, path, document FROM source_item WHERE source = ?1 AND state = 'missing' \
             AND key > ?2 ORDER BY key LIMIT ?3",
            params![source, after, limit],
            |row| {
                Ok(MissingItem {
                    key: row.get(0)?,
                    path: row.get(1)?,
                    document: optional_id(row, 2)?,
                })
            },
        )
    }

    /// Something that is gone and has this identity.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn missing_like(
        &self,
        source: i64,
        identity: &str,
    ) -> Result<Option<MissingItem>, CatalogError> {
        self.one(
            "look for what moved",
            "SELECT key, path, document FROM source_item WHERE source = ?1 AND identity = ?2 \
             AND state = 'missing' AND document IS NOT NULL ORDER BY key LIMIT 1",
            params![source, identity],
            |row| {
                Ok(MissingItem {
                    key: row.get(0)?,
                    path: row.get(1)?,
                    document: optional_id(row, 2)?,
                })
            },
        )
    }

    /// How many things were taken in and are still there, and how many are gone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_amounts(&self, source: i64) -> Result<(u64, u64), CatalogError> {
        let of = |state: &str| {
            self.count(
                "count what a source holds",
                "SELECT count(*) FROM source_item WHERE source = ?1 AND state = ?2 \
                 AND document IS NOT NULL",
                params![source, state],
            )
        };
        // What was taken in and has changed is `found` again.
        Ok((of("present")? + of("found")?, of("missing")?))
    }
}

impl CatalogWriter<'_> {
    /// Notes what a source shows; returns how many of them are as they were taken in.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn note_listed(
        &self,
        source: i64,
        run: i64,
        listed: &[ListedItem],
    ) -> Result<u64, CatalogError> {
        let mut see = self
            .transaction
            .prepare_cached(
                "UPDATE source_item SET seen = ?3, \
                 state = CASE state WHEN 'missing' THEN 'present' ELSE state END \
                 WHERE source = ?1 AND external = ?2",
            )
            .map_err(failed("note what a source shows"))?;
        let mut note = self
            .transaction
            .prepare_cached(
                "INSERT INTO source_item (source, external, path, mark, identity, size_bytes, \
                 file_date, state, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'found', ?8) \
                 ON CONFLICT (source, external) DO UPDATE SET \
                 state = CASE WHEN mark = excluded.mark AND state <> 'found' THEN 'present' \
                 ELSE 'found' END, path = excluded.path, mark = excluded.mark, \
                 identity = excluded.identity, size_bytes = excluded.size_bytes, \
                 file_date = excluded.file_date, seen = excluded.seen RETURNING state",
            )
            .map_err(failed("note what a source shows"))?;
        let mut unchanged = 0;
        for item in listed {
            if !item.settled {
                see.execute(params![source, item.external, run])
                    .map_err(failed("note what a source shows"))?;
                continue;
            }
            let state: String = note
                .query_row(
                    params![
                        source,
                        item.external,
                        item.path,
                        item.mark,
                        item.identity,
                        item.size_bytes as i64,
                        item.file_date.map(Timestamp::as_microsecond),
                        run
                    ],
                    |row| row.get(0),
                )
                .map_err(failed("note what a source shows"))?;
            unchanged += u64::from(state == "present");
        }
        Ok(unchanged)
    }

    /// Counts what is called `prefix…` there as seen: it could not be looked at.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn spare_items(&self, source: i64, run: i64, prefix: &[u8]) -> Result<(), CatalogError> {
        self.execute(
            "spare what could not be looked at",
            "UPDATE source_item SET seen = ?2 WHERE source = ?1 AND seen < ?2 \
             AND substr(external, 1, length(?3)) = ?3",
            params![source, run, prefix],
        )?;
        Ok(())
    }

    /// After a run that listed all there is: what it did not see is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn miss_unseen(&self, source: i64, run: i64) -> Result<(), CatalogError> {
        self.execute(
            "forget what was never taken in",
            "DELETE FROM source_item WHERE source = ?1 AND seen < ?2 AND document IS NULL",
            params![source, run],
        )?;
        self.execute(
            "note what is gone",
            "UPDATE source_item SET state = 'missing' WHERE source = ?1 AND seen < ?2",
            params![source, run],
        )?;
        Ok(())
    }

    /// What is called `prefix…` there is not called so any more: it is listed anew, and known
    /// again by its identity.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn miss_below(&self, source: i64, prefix: &[u8]) -> Result<(), CatalogError> {
        self.execute(
            "forget what was never taken in",
            "DELETE FROM source_item WHERE source = ?1 AND document IS NULL \
             AND substr(external, 1, length(?2)) = ?2",
            params![source, prefix],
        )?;
        self.execute(
            "note what is renamed",
            "UPDATE source_item SET state = 'missing' WHERE source = ?1 \
             AND substr(external, 1, length(?2)) = ?2",
            params![source, prefix],
        )?;
        Ok(())
    }

    /// Notes that something was taken in.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn note_taken(
        &self,
        item: i64,
        document: DocumentId,
        digest: &str,
        bytes: u64,
    ) -> Result<(), CatalogError> {
        self.execute(
            "note what was taken in",
            "UPDATE source_item SET state = 'present', document = ?2, digest = ?3, \
             taken_bytes = ?4 WHERE key = ?1",
            params![item, document.to_string(), digest, bytes as i64],
        )?;
        Ok(())
    }

    /// Notes that something was only touched.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn note_same(&self, item: i64) -> Result<(), CatalogError> {
        let sql = "UPDATE source_item SET state = 'present' WHERE key = ?1";
        self.execute("note what was touched", sql, [item])?;
        Ok(())
    }

    /// Forgets something that is gone, or was never taken in.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn forget_item(&self, item: i64) -> Result<(), CatalogError> {
        self.execute("forget an item", "DELETE FROM source_item WHERE key = ?1", [item])?;
        Ok(())
    }

    /// Has `found` stand for what `missing` stood for.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn replace_item(&self, missing: i64, found: i64) -> Result<(), CatalogError> {
        self.execute(
            "carry over what moved",
            "UPDATE source_item SET state = 'present', document = m.document, \
             digest = m.digest, taken_bytes = m.taken_bytes \
             FROM (SELECT document, digest, taken_bytes FROM source_item WHERE key = ?2) AS m \
             WHERE source_item.key = ?1",
            params![found, missing],
        )?;
        self.forget_item(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::catalog::{Catalog, NewDrop, NewSource};
    use crate::tenant::testing::keyring;
    use crate::types::{Deletions, SourceKind};

    fn listed(name: &str, mark: &str) -> ListedItem {
        ListedItem {
            external: name.as_bytes().to_vec(),
            path: name.to_owned(),
            mark: mark.to_owned(),
            identity: Some(format!("same as {mark}")),
            size_bytes: 1,
            file_date: None,
            settled: true,
        }
    }

    fn with_source(dir: &std::path::Path) -> (Catalog, i64) {
        let catalog = Catalog::open(&dir.join("tenant.db"), &keyring("t", 1)).unwrap();
        let source = write(&catalog, |catalog| {
            catalog.add_source(&NewSource {
                kind: SourceKind::Directory,
                name: "team".to_owned(),
                collection: "documents".to_owned(),
                settings: "{}".to_owned(),
                secret: None,
                interval_seconds: 60,
                deletions: Deletions::Remove,
                paused: false,
                created_by: "console".to_owned(),
            })
        });
        (catalog, source.unwrap().key)
    }

    fn write<T>(
        catalog: &Catalog,
        work: impl FnOnce(&CatalogWriter<'_>) -> Result<T, CatalogError>,
    ) -> T {
        catalog.write(Timestamp::UNIX_EPOCH, work).unwrap()
    }

    /// Takes in whatever is found.
    fn take_all(catalog: &CatalogWriter<'_>, source: i64) -> Result<usize, CatalogError> {
        let found = catalog.found_items(source, 0, 100)?;
        for item in &found {
            let drop = NewDrop {
                collection: "documents".to_owned(),
                source: format!("team/{}", item.path),
                blob: format!("{:0>64}", item.key),
                size_bytes: 1,
                file_date: None,
                declared_type: None,
                format: None,
                parent: None,
            };
            let accepted = catalog.accept(&drop)?;
            catalog.note_taken(item.key, accepted.document, &drop.blob, 1)?;
        }
        Ok(found.len())
    }

    #[test]
    fn only_what_a_complete_listing_did_not_show_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, source) = with_source(dir.path());
        write(&catalog, |catalog| {
            let all = [listed("a", "1"), listed("b/c", "2"), listed("b/d", "3"), listed("e", "4")];
            assert_eq!(catalog.note_listed(source, 1, &all)?, 0);
            assert_eq!(take_all(catalog, source)?, 4);
            assert_eq!(catalog.source_amounts(source)?, (4, 0));
            // One as it was, one new that is not taken; `b` could not be looked at.
            let now = [listed("a", "1"), listed("new", "5")];
            assert_eq!(catalog.note_listed(source, 2, &now)?, 1);
            catalog.spare_items(source, 2, b"b")?;
            catalog.miss_unseen(source, 2)?;
            let missing = catalog.missing_items(source, 0, 10)?;
            assert_eq!(missing.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["e"]);
            // What was never taken in and is gone is forgotten; what is back is as it was.
            assert_eq!(catalog.note_listed(source, 3, &[listed("e", "4")])?, 1);
            catalog.miss_unseen(source, 3)?;
            assert_eq!(catalog.source_amounts(source)?, (1, 3));
            assert!(catalog.found_items(source, 0, 10)?.is_empty());
            Ok(())
        });
    }

    #[test]
    fn what_moved_keeps_its_document_unless_its_new_name_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, source) = with_source(dir.path());
        write(&catalog, |catalog| {
            catalog.note_listed(source, 1, &[listed("a", "1"), listed("b", "2")])?;
            take_all(catalog, source)?;
            catalog.note_listed(source, 2, &[listed("b", "2"), listed("c", "1")])?;
            catalog.miss_unseen(source, 2)?;
            let found = catalog.found_items(source, 0, 10)?.remove(0);
            let gone = catalog.missing_like(source, "same as 1")?.unwrap();
            let document = gone.document.unwrap();
            assert!(!catalog.move_document(document, "team/b")?, "another has that name");
            assert!(catalog.move_document(document, "team/c")?);
            catalog.replace_item(gone.key, found.key)?;
            assert_eq!(catalog.document(document)?.unwrap().source, "team/c");
            assert_eq!(catalog.source_amounts(source)?, (2, 0));
            Ok(())
        });
    }
}
