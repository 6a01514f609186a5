//! Synchronised sources: what they are, when they run, how their runs went.
//!
//! Called by: `app::sources`, `sources`. Talks to: `source`, `source_run`, `source_cursor`.
//! Invariants: a secret is handed to a run and to nobody else; a source that is removed takes all
//! its rows along and leaves its documents; only the newest runs are kept.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::rows::{id, json, time, to_json};
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{Deletions, RunOutcome, SourceId, SourceKind, SourceRun};

/// Runs kept of one source.
const RUNS_KEPT: u32 = 50;

/// A source as it is to be made.
pub struct NewSource {
    pub kind: SourceKind,
    pub name: String,
    pub collection: String,
    /// JSON that the kind understands.
    pub settings: String,
    pub secret: Option<String>,
    pub interval_seconds: u64,
    pub deletions: Deletions,
    pub paused: bool,
    pub created_by: String,
}

/// A source with how it stands.
#[derive(Clone, Debug)]
pub struct SourceRow {
    pub key: i64,
    pub id: SourceId,
    pub kind: SourceKind,
    pub name: String,
    pub collection: String,
    pub settings: String,
    pub has_secret: bool,
    pub interval_seconds: u64,
    pub deletions: Deletions,
    pub paused: bool,
    pub created_by: String,
    pub created_at: Timestamp,
    pub next_run_at: Timestamp,
    pub run_asked: bool,
    pub gone_confirmed: bool,
    /// Things known of it that were taken in.
    pub items: u64,
    /// Things that are gone there and kept here.
    pub missing: u64,
    pub last_run: Option<SourceRun>,
}

impl SourceRow {
    /// When it is to run; never while it is paused, unless somebody asked.
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.run_asked {
            return Some(Timestamp::UNIX_EPOCH);
        }
        (!self.paused).then_some(self.next_run_at)
    }
}

/// What is to be different of a source.
#[derive(Default)]
pub struct SourceChange {
    pub name: Option<String>,
    pub settings: Option<String>,
    pub secret: Option<String>,
    pub interval_seconds: Option<u64>,
    pub deletions: Option<Deletions>,
    pub paused: Option<bool>,
}

const COLUMNS: &str = "SELECT s.key, s.id, s.kind, s.name, s.collection, s.settings, \
     s.secret IS NOT NULL, s.interval_seconds, s.deletions, s.paused, s.created_by, \
     s.created_at, s.next_run_at, s.run_asked, s.gone_confirmed, \
     (SELECT count(*) FROM source_item i WHERE i.source = s.key AND i.state = 'present'), \
     (SELECT count(*) FROM source_item i WHERE i.source = s.key AND i.state = 'missing') \
     FROM source s";

impl CatalogReader<'_> {
    /// All sources, by name.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn sources(&self) -> Result<Vec<SourceRow>, CatalogError> {
        let sql = format!("{COLUMNS} ORDER BY s.name");
        let mut rows = self.all("list sources", &sql, [], source_row)?;
        for row in &mut rows {
            row.last_run = self.source_runs(row.key, 1)?.pop();
        }
        Ok(rows)
    }

    /// One source by its id or its name.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source(&self, id_or_name: &str) -> Result<Option<SourceRow>, CatalogError> {
        let sql = format!("{COLUMNS} WHERE s.id = ?1 OR s.name = ?1 ORDER BY s.id = ?1 DESC");
        let Some(mut row) = self.one("find a source", &sql, [id_or_name], source_row)? else {
            return Ok(None);
        };
        row.last_run = self.source_runs(row.key, 1)?.pop();
        Ok(Some(row))
    }

    /// Whether a source is paused; `None` where it is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_is_paused(&self, source: i64) -> Result<Option<bool>, CatalogError> {
        let sql = "SELECT paused FROM source WHERE key = ?1";
        self.one("look whether a source is paused", sql, [source], |row| row.get(0))
    }

    /// Seconds between two runs of a source; `None` where it is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_interval(&self, source: i64) -> Result<Option<u64>, CatalogError> {
        let sql = "SELECT interval_seconds FROM source WHERE key = ?1";
        let read = |row: &Row<'_>| row.get::<_, i64>(0).map(i64::unsigned_abs);
        self.one("read how often a source runs", sql, [source], read)
    }

    /// When the next run of any source is due, as microseconds; none where none is.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn next_source_run(&self) -> Result<Option<Timestamp>, CatalogError> {
        let next = self.one(
            "find when a source is due",
            "SELECT min(CASE run_asked WHEN 0 THEN next_run_at ELSE 0 END) FROM source \
             WHERE paused = 0 OR run_asked = 1",
            [],
            |row| super::rows::optional_time(row, 0),
        )?;
        Ok(next.flatten())
    }

    /// The newest runs of a source, newest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_runs(&self, source: i64, limit: u32) -> Result<Vec<SourceRun>, CatalogError> {
        self.all(
            "list runs",
            "SELECT started_at, ended_at, outcome, counts, error, problems FROM source_run \
             WHERE source = ?1 ORDER BY key DESC LIMIT ?2",
            params![source, limit],
            |row| {
                Ok(SourceRun {
                    started_at: time(row, 0)?,
                    ended_at: time(row, 1)?,
                    outcome: word(row, 2, RunOutcome::parse)?,
                    counts: json(row, 3)?,
                    error: row.get(4)?,
                    problems: json(row, 5)?,
                })
            },
        )
    }

    /// What signs in at a source.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_secret(&self, source: i64) -> Result<Option<String>, CatalogError> {
        let sql = "SELECT secret FROM source WHERE key = ?1";
        Ok(self.one("read a secret", sql, [source], |row| row.get(0))?.flatten())
    }

    /// How far a source was read.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn source_cursor(&self, source: i64, name: &str) -> Result<Option<String>, CatalogError> {
        let sql = "SELECT value FROM source_cursor WHERE source = ?1 AND name = ?2";
        self.one("read how far a source was read", sql, params![source, name], |row| row.get(0))
    }
}

impl CatalogWriter<'_> {
    /// Makes a source; `None` where the name is taken.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn add_source(&self, new: &NewSource) -> Result<Option<SourceRow>, CatalogError> {
        if self.source(&new.name)?.is_some() {
            return Ok(None);
        }
        let id = SourceId::generate().to_string();
        self.execute(
            "add a source",
            "INSERT INTO source (id, kind, name, collection, settings, secret, interval_seconds, \
             deletions, paused, created_by, created_at, next_run_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
            params![
                id,
                new.kind.as_str(),
                new.name,
                new.collection,
                new.settings,
                new.secret,
                new.interval_seconds as i64,
                new.deletions.as_str(),
                new.paused,
                new.created_by,
                self.now_us()
            ],
        )?;
        self.source(&id)
    }

    /// Changes a source.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn change_source(&self, source: i64, change: &SourceChange) -> Result<(), CatalogError> {
        self.execute(
            "change a source",
            "UPDATE source SET name = coalesce(?8, name), settings = coalesce(?2, settings), \
             secret = coalesce(?3, secret), interval_seconds = coalesce(?4, interval_seconds), \
             deletions = coalesce(?5, deletions), paused = coalesce(?6, paused), \
             next_run_at = CASE WHEN ?4 IS NULL THEN next_run_at \
             ELSE min(next_run_at, ?7 + ?4 * 1000000) END WHERE key = ?1",
            params![
                source,
                change.settings,
                change.secret,
                change.interval_seconds.map(|seconds| seconds as i64),
                change.deletions.map(Deletions::as_str),
                change.paused,
                self.now_us(),
                change.name
            ],
        )?;
        Ok(())
    }

    /// Removes a source and what is known of its items. Its documents stay.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn remove_source(&self, source: i64) -> Result<(), CatalogError> {
        for sql in [
            "DELETE FROM source_item WHERE source = ?1",
            "DELETE FROM source_cursor WHERE source = ?1",
            "DELETE FROM source_run WHERE source = ?1",
            "DELETE FROM source WHERE key = ?1",
        ] {
            self.execute("remove a source", sql, [source])?;
        }
        Ok(())
    }

    /// Has a source run as soon as it can.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn ask_source_run(&self, source: i64, gone_confirmed: bool) -> Result<(), CatalogError> {
        self.execute(
            "ask for a run",
            "UPDATE source SET run_asked = 1, gone_confirmed = ?2 WHERE key = ?1",
            params![source, gone_confirmed],
        )?;
        Ok(())
    }

    /// Begins a run; its number, or `None` where the source is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn begin_source_run(&self, source: i64) -> Result<Option<i64>, CatalogError> {
        let sql = "UPDATE source SET runs = runs + 1, run_asked = 0 WHERE key = ?1";
        self.execute("begin a run", sql, [source])?;
        let number = "SELECT runs FROM source WHERE key = ?1";
        self.one("number a run", number, [source], |row| row.get(0))
    }

    /// Records a run and when the next is due; nothing where the source is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn end_source_run(
        &self,
        source: i64,
        run: &SourceRun,
        next_run_at: Timestamp,
    ) -> Result<(), CatalogError> {
        let changed = self.execute(
            "end a run",
            "UPDATE source SET next_run_at = ?2, \
             gone_confirmed = CASE run_asked WHEN 0 THEN 0 ELSE gone_confirmed END WHERE key = ?1",
            params![source, next_run_at.as_microsecond()],
        )?;
        if changed == 0 {
            return Ok(());
        }
        self.execute(
            "record a run",
            "INSERT INTO source_run (source, started_at, ended_at, outcome, counts, error, \
             problems) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                source,
                run.started_at.as_microsecond(),
                run.ended_at.as_microsecond(),
                run.outcome.as_str(),
                to_json(&run.counts)?,
                run.error,
                to_json(&run.problems)?
            ],
        )?;
        self.execute(
            "forget old runs",
            "DELETE FROM source_run WHERE source = ?1 AND key <= (SELECT key FROM source_run \
             WHERE source = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
            params![source, RUNS_KEPT],
        )?;
        Ok(())
    }

    /// Notes how far a source was read.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn set_source_cursor(
        &self,
        source: i64,
        name: &str,
        value: &str,
    ) -> Result<(), CatalogError> {
        self.execute(
            "note how far a source was read",
            "INSERT INTO source_cursor (source, name, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT (source, name) DO UPDATE SET value = excluded.value",
            params![source, name, value],
        )?;
        Ok(())
    }
}

fn source_row(row: &Row<'_>) -> rusqlite::Result<SourceRow> {
    Ok(SourceRow {
        key: row.get(0)?,
        id: id(row, 1)?,
        kind: word(row, 2, SourceKind::parse)?,
        name: row.get(3)?,
        collection: row.get(4)?,
        settings: row.get(5)?,
        has_secret: row.get(6)?,
        interval_seconds: row.get::<_, i64>(7)?.unsigned_abs(),
        deletions: word(row, 8, Deletions::parse)?,
        paused: row.get(9)?,
        created_by: row.get(10)?,
        created_at: time(row, 11)?,
        next_run_at: time(row, 12)?,
        run_asked: row.get(13)?,
        gone_confirmed: row.get(14)?,
        items: row.get::<_, i64>(15)?.unsigned_abs(),
        missing: row.get::<_, i64>(16)?.unsigned_abs(),
        last_run: None,
    })
}

/// A column that holds one word of a few.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let found = row.get_ref(column)?.as_str()?;
    parse(found).ok_or_else(|| {
        let error = std::io::Error::other(format!("unknown word {found:?}"));
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
