//! Where documents that came from a source lie, and moving them.
//!
//! Called by: `sources`, by way of `app::sources`. Talks to: `source_item`, `document`, `item`.
//! Invariants: a document that is moved keeps its id, its revisions and its vectors; nothing of it
//! is read again.

use rusqlite::{OptionalExtension, params};

use super::queue::JobKind;
use super::rows::id;
use super::{CatalogError, CatalogReader, CatalogWriter, failed};
use crate::types::{DocumentId, ItemKey};

/// Something that was taken in, and where it lies here.
#[derive(Clone, Debug)]
pub struct PlacedItem {
    pub key: i64,
    pub path: String,
    pub document: DocumentId,
    pub lies_at: String,
}

const PLACED: &str = "SELECT i.key, i.path, d.id, d.source FROM source_item i \
     JOIN document d ON d.id = i.document WHERE i.source = ?1 AND d.deleted_at IS NULL";

fn placed(row: &rusqlite::Row<'_>) -> rusqlite::Result<PlacedItem> {
    Ok(PlacedItem {
        key: row.get(0)?,
        path: row.get(1)?,
        document: id(row, 2)?,
        lies_at: row.get(3)?,
    })
}

impl CatalogReader<'_> {
    /// The first thing that was taken in and is still here.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn oldest_placed_item(&self, source: i64) -> Result<Option<PlacedItem>, CatalogError> {
        let sql = format!("{PLACED} ORDER BY i.key LIMIT 1");
        self.one("look where documents of a source lie", &sql, [source], placed)
    }

    /// What lies elsewhere than below `name`, of things before `before`, the newest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn misplaced_items(
        &self,
        source: i64,
        name: &str,
        before: i64,
        limit: u32,
    ) -> Result<Vec<PlacedItem>, CatalogError> {
        let sql = format!(
            "{PLACED} AND i.key < ?3 AND d.source <> ?2 || '/' || i.path \
             ORDER BY i.key DESC LIMIT ?4"
        );
        let asked = params![source, name, before, limit];
        self.all("list documents that lie elsewhere", &sql, asked, placed)
    }
}

impl CatalogWriter<'_> {
    /// Gives a document and what was found inside it another source path; both indexes are written
    /// anew, by which it is found under that path, and nothing is read or embedded again. False where there is no
    /// such document or the path is taken; then nothing changed.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn move_document(&self, document: DocumentId, to: &str) -> Result<bool, CatalogError> {
        let Some(row) = self.document(document)? else { return Ok(false) };
        if row.source == to {
            return Ok(true);
        }
        let below = format!("{}/", row.source);
        let renaming = "UPDATE document SET source = ?3 || substr(source, length(?2) + 1) \
             WHERE key = ?1 AND (source = ?2 OR substr(source, 1, length(?4)) = ?4)";
        for member in self.family(row.key)? {
            let renamed = self
                .transaction
                .prepare_cached(renaming)
                .and_then(|mut rename| rename.execute(params![member.0, row.source, to, below]));
            match renamed {
                Ok(_) => {}
                Err(error)
                    if error.sqlite_error_code()
                        == Some(rusqlite::ErrorCode::ConstraintViolation) =>
                {
                    if member == row.key {
                        return Ok(false);
                    }
                    // What was found inside keeps a name that it can have.
                    continue;
                }
                Err(error) => return Err(failed("move a document")(error)),
            }
            self.write_anew(member.0)?;
        }
        Ok(true)
    }

    /// Queues what the indexes hold of a document to be written anew, where they hold any.
    fn write_anew(&self, document: i64) -> Result<(), CatalogError> {
        let found: Option<(i64, bool)> = self
            .transaction
            .query_row(
                "SELECT i.key, d.vector_item IS i.key FROM document d JOIN item i ON i.key = d.current_item \
                 WHERE d.key = ?1 AND i.extracted = 1 AND i.chunk_count > 0 \
                 AND i.state IN ('indexed', 'waiting')",
                [document],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(failed("find the text of a document"))?;
        let Some((item, has_vectors)) = found else { return Ok(()) };
        let item = ItemKey(item);
        // Until it is written, searches find it by the name before and show the new one.
        self.mark_waiting(item, "rebuilding_fulltext", "Its name is being changed.")?;
        self.enqueue(JobKind::Fulltext, item)?;
        if has_vectors {
            self.enqueue(JobKind::Embed, item)?;
        }
        Ok(())
    }
}
