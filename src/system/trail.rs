//! An audit trail in a SQLite database: the rows of one chain and its head.
//!
//! Called by: `system::audit` over system.db, `tenant::catalog` over a tenant.db. Talks to:
//! `audit`, `audit_head`.
//! Invariants: entries and head change in the caller's transaction, together; the chain goes on
//! behind the head and never behind what the table happens to hold, so that entries cut off its
//! end stay missed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::audit::{
    ChainEnd, ChainKeys, Entry, EntryHash, Flaw, Head, HeadCheck, Party, Record, Resource, Verdict,
    Verifier,
};

const COLUMNS: &str = "sequence, at, actor_kind, actor_id, actor_name, action, resource_kind, \
     resource_id, result, source, request_id, detail, previous, hash";

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct TrailQuery {
    /// An action, or the kind of it before the dot.
    pub action: Option<String>,
    /// Kind, id or name of an actor.
    pub actor: Option<String>,
    /// Not before this time.
    pub after: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
    /// Only entries older than this one.
    pub cursor: Option<u64>,
    pub limit: usize,
}

/// Makes the tables where they are absent, and seals the head with the newest key.
pub(crate) fn open(connection: &Connection, keys: &ChainKeys) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let is_new = !transaction.table_exists(None, "audit_head")?;
    transaction.execute_batch(include_str!("audit.sql"))?;
    let stored = head(&transaction)?;
    match stored {
        None if is_new => put_head(&transaction, &keys.first_head())?,
        // Gone: noted with the next entry, and until then by every check.
        None => {}
        Some(stored) if stored.epoch != keys.current_epoch() => {
            put_head(&transaction, &keys.reseal(&stored))?;
        }
        Some(_) => {}
    }
    transaction.commit()
}

/// Adds entries at the end, in a transaction of the caller. `keeps_query_text` is the policy of the
/// scope.
pub(crate) fn append(
    transaction: &Connection,
    keys: &ChainKeys,
    records: impl IntoIterator<Item = Record>,
    keeps_query_text: bool,
) -> rusqlite::Result<()> {
    let last = last(transaction)?;
    let mut head = match head(transaction)? {
        // Rows behind the head are not ours; the chain goes on behind them, and says so.
        Some(head) if last.is_none_or(|(sequence, _)| sequence <= head.sequence) => head,
        _ => keys.head_after_loss(last),
    };
    for record in records {
        let (entry, next) = keys.extend(&head, record, keeps_query_text);
        insert(transaction, &entry)?;
        head = next;
    }
    put_head(transaction, &head)
}

fn insert(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO audit ({COLUMNS}) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        ))?
        .execute(params![
            entry.sequence as i64,
            entry.at.as_microsecond(),
            entry.actor.kind,
            entry.actor.id,
            entry.actor.name,
            entry.action,
            entry.resource.as_ref().map(|resource| &resource.kind),
            entry.resource.as_ref().map(|resource| &resource.id),
            entry.result,
            entry.source,
            entry.request_id,
            detail_text(entry)?,
            entry.previous.as_bytes(),
            entry.hash.as_bytes(),
        ])
        .map(drop)
}

/// Where the chain ends, for whoever takes it over; `flaw` is what a check of it has found.
pub(crate) fn end(
    connection: &Connection,
    keys: &ChainKeys,
    flaw: Option<&Flaw>,
) -> rusqlite::Result<ChainEnd> {
    let head = match head(connection)? {
        Some(head) => head,
        None => keys.head_after_loss(last(connection)?),
    };
    let altered_at = head.altered_at.or(flaw.map(|flaw| flaw.sequence));
    Ok(ChainEnd { sequence: head.sequence, hash: head.hash, altered_at })
}

/// A chain on its way into a database that has no entry yet.
pub(crate) struct Adoption<'a> {
    transaction: &'a Transaction<'a>,
    keys: &'a ChainKeys,
    verifier: Verifier,
}

impl<'a> Adoption<'a> {
    /// Begins with the first entry of the chain that `keys` names.
    pub(crate) fn new(transaction: &'a Transaction<'a>, keys: &'a ChainKeys) -> Self {
        Self { transaction, keys, verifier: Verifier::new(keys.scope()) }
    }

    /// Takes the next entry, also one that is not sound.
    pub(crate) fn push(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        self.verifier.check(entry);
        insert(self.transaction, entry)
    }

    /// Seals the end that the chain is said to have; the first flaw of what was taken.
    pub(crate) fn finish(self, end: &ChainEnd) -> rusqlite::Result<Option<Flaw>> {
        let head = self.keys.take_over(end);
        put_head(self.transaction, &head)?;
        Ok(self.verifier.finish(HeadCheck::Stored(Some(&head), self.keys)).flaw)
    }
}

fn detail_text(entry: &Entry) -> rusqlite::Result<String> {
    serde_json::to_string(&entry.detail)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// The last row, whatever it holds.
pub(crate) fn last(connection: &Connection) -> rusqlite::Result<Option<(u64, EntryHash)>> {
    connection
        .prepare_cached("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| {
            let hash = if_sound(row.get(1))?.unwrap_or_default();
            Ok((if_sound(number(row, 0))?.unwrap_or_default(), EntryHash::from_bytes(hash)))
        })
        .optional()
}

/// The head as stored; `None` also where it is none.
fn head(connection: &Connection) -> rusqlite::Result<Option<Head>> {
    let found = connection
        .prepare_cached("SELECT sequence, hash, epoch, altered_at, mac FROM audit_head")?
        .query_row([], |row| {
            Ok(Head {
                sequence: number(row, 0)?,
                hash: EntryHash::from_bytes(row.get(1)?),
                epoch: row.get(2)?,
                altered_at: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
                mac: row.get(4)?,
            })
        });
    if_sound(found.optional()).map(Option::flatten)
}

/// Tells a value that Cairn did not write, which is `None`, from a database that cannot be read.
fn if_sound<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match read {
        Ok(value) => Ok(Some(value)),
        Err(
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

fn put_head(connection: &Connection, head: &Head) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit_head (only, sequence, hash, epoch, altered_at, mac) \
             VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (only) DO UPDATE SET \
             sequence = excluded.sequence, hash = excluded.hash, epoch = excluded.epoch, \
             altered_at = excluded.altered_at, mac = excluded.mac",
        )?
        .execute(params![
            head.sequence as i64,
            head.hash.as_bytes(),
            head.epoch,
            head.altered_at.map(|sequence| sequence as i64),
            head.mac,
        ])
        .map(drop)
}

/// Entries, newest first.
pub(crate) fn page(
    connection: &Connection,
    scope: &str,
    wanted: &TrailQuery,
) -> rusqlite::Result<Vec<Entry>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM audit WHERE sequence < ?1 \
             AND (?2 IS NULL OR action = ?2 OR substr(action, 1, length(?2) + 1) = ?2 || '.') \
             AND (?3 IS NULL OR actor_kind = ?3 OR actor_id = ?3 OR actor_name = ?3) \
             AND at >= ?4 AND at < ?5 ORDER BY sequence DESC LIMIT ?6"
        ))?
        .query_map(
            params![
                wanted.cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX)),
                wanted.action,
                wanted.actor,
                wanted.after.map_or(i64::MIN, Timestamp::as_microsecond),
                wanted.before.map_or(i64::MAX, Timestamp::as_microsecond),
                wanted.limit as i64,
            ],
            |row| entry(row, scope),
        )?
        .collect()
}

/// Entries from `first` on, oldest first.
pub(crate) fn stretch(
    connection: &Connection,
    scope: &str,
    first: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM audit WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2"
        ))?
        .query_map(params![i64::try_from(first).unwrap_or(i64::MAX), limit as i64], |row| {
            entry(row, scope)
        })?
        .collect()
}

/// A check of a whole chain, in steps, so that a database with one connection is not held for all
/// of it.
pub(crate) struct Check<'a> {
    keys: &'a ChainKeys,
    verifier: Verifier,
    /// The row looked at last.
    after: i64,
}

impl<'a> Check<'a> {
    /// A check from the first entry on.
    pub(crate) fn new(keys: &'a ChainKeys) -> Self {
        Self { keys, verifier: Verifier::new(keys.scope()), after: i64::MIN }
    }

    /// Looks at up to `limit` entries; the verdict once the end or a flaw is reached. Nobody may
    /// write during a step.
    pub(crate) fn step(
        mut self,
        connection: &Connection,
        limit: usize,
    ) -> rusqlite::Result<Step<'a>> {
        let mut some = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
        ))?;
        let mut rows = some.query(params![self.after, limit as i64])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.after = row.get(0)?;
            let sound = match if_sound(entry(row, self.keys.scope()))? {
                Some(entry) => self.verifier.check(&entry),
                None => {
                    self.verifier.unreadable();
                    false
                }
            };
            if !sound {
                break;
            }
            if seen == limit {
                return Ok(Step::More(self));
            }
        }
        let head = head(connection)?;
        Ok(Step::Done(self.verifier.finish(HeadCheck::Stored(head.as_ref(), self.keys))))
    }
}

/// What a step of a check came to.
pub(crate) enum Step<'a> {
    More(Check<'a>),
    Done(Verdict),
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn entry(row: &Row<'_>, scope: &str) -> rusqlite::Result<Entry> {
    let kind: Option<String> = row.get(6)?;
    let id: Option<String> = row.get(7)?;
    let resource = match (kind, id) {
        (Some(kind), Some(id)) => Some(Resource { kind, id }),
        (None, None) => None,
        _ => return Err(rusqlite::Error::IntegralValueOutOfRange(7, 0)),
    };
    let detail: String = row.get(11)?;
    Ok(Entry {
        scope: scope.to_owned(),
        sequence: number(row, 0)?,
        at: super::timestamp(1, row.get(1)?)?,
        actor: Party { kind: row.get(2)?, id: row.get(3)?, name: row.get(4)? },
        action: row.get(5)?,
        resource,
        result: row.get(8)?,
        source: row.get(9)?,
        request_id: row.get(10)?,
        detail: serde_json::from_str(&detail).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(11, rusqlite::types::Type::Text, error.into())
        })?,
        previous: EntryHash::from_bytes(row.get(12)?),
        hash: EntryHash::from_bytes(row.get(13)?),
    })
}
