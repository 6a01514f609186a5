//! Dates that texts mention, as found when they were indexed.
//!
//! Called by: `app::index`, `app::documents`. Talks to: `date_mention`.
//! Invariants: mentions go with the chunks they were found in; a rerun writes the same rows.

use jiff::civil::Date;
use rusqlite::params;
use serde::Serialize;
use utoipa::ToSchema;

use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{ChunkKey, ItemKey};

/// A date found in a chunk.
#[derive(Clone, Debug)]
pub struct NewDateMention {
    pub chunk: ChunkKey,
    /// Offsets into the chunk, in Unicode scalar values.
    pub start: usize,
    pub end: usize,
    pub first: Date,
    pub last: Date,
    pub expression: String,
}

/// A date that a document's text mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DateMentionRow {
    /// Offsets into the document's text, in Unicode scalar values.
    pub start: u64,
    pub end: u64,
    /// First day meant, `YYYY-MM-DD`.
    pub from: String,
    /// Last day meant.
    pub until: String,
    /// The words that mean it.
    pub expression: String,
}

impl CatalogReader<'_> {
    /// The first `limit` dates that an item's text mentions.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn date_mentions(
        &self,
        item: ItemKey,
        limit: usize,
    ) -> Result<Vec<DateMentionRow>, CatalogError> {
        self.all(
            "read mentioned dates",
            "SELECT start_char, end_char, first_day, last_day, expression FROM date_mention \
             WHERE item = ?1 ORDER BY start_char LIMIT ?2",
            params![item.0, limit as i64],
            |row| {
                Ok(DateMentionRow {
                    start: row.get::<_, i64>(0)?.unsigned_abs(),
                    end: row.get::<_, i64>(1)?.unsigned_abs(),
                    from: row.get(2)?,
                    until: row.get(3)?,
                    expression: row.get(4)?,
                })
            },
        )
    }
}

impl CatalogWriter<'_> {
    /// Stores the dates an item's text mentions in place of those it had. A chunk that is gone
    /// takes its dates with it.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn store_date_mentions(
        &self,
        item: ItemKey,
        mentions: &[NewDateMention],
    ) -> Result<(), CatalogError> {
        self.clear_date_mentions(item)?;
        for mention in mentions {
            self.execute(
                "store a mentioned date",
                "INSERT OR IGNORE INTO date_mention \
                 (item, chunk, start_char, end_char, first_day, last_day, expression) \
                 SELECT item, key, start_char + ?3, start_char + ?4, ?5, ?6, ?7 \
                 FROM chunk WHERE key = ?2 AND item = ?1",
                params![
                    item.0,
                    mention.chunk.0,
                    mention.start as i64,
                    mention.end as i64,
                    mention.first.to_string(),
                    mention.last.to_string(),
                    mention.expression
                ],
            )?;
        }
        Ok(())
    }

    pub(super) fn clear_date_mentions(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "remove mentioned dates",
            "DELETE FROM date_mention WHERE item = ?1",
            [item.0],
        )?;
        Ok(())
    }
}
