//! The ledger: every item with its state and reason, and totals that add up.
//!
//! Called by: `app::ledger`. Talks to: `item`, `document`, `job`.
//! Invariants: totals and items of one call come from one snapshot.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, params};

use super::rows::{id, optional_id, state, time};
use super::{CatalogError, CatalogReader};
use crate::types::{ItemId, ItemKey, ItemState, LedgerItem, LedgerTotals, Throughput};

/// A page of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerPage {
    pub items: Vec<LedgerItem>,
    /// Key to continue after; `None` at the end.
    pub next: Option<ItemKey>,
}

/// Which part of the ledger is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LedgerQuery {
    pub state: Option<ItemState>,
    /// Continue beyond this item.
    pub cursor: Option<ItemKey>,
    /// Nothing that came before this item.
    pub since: Option<ItemKey>,
    pub newest_first: bool,
    pub limit: usize,
}

/// Rates are taken over this window.
const RATE_WINDOW: SignedDuration = SignedDuration::from_secs(30);

const ITEM_SELECT: &str = "SELECT i.key, i.id, p.id, d.source, i.state, i.reason, i.detail, d.id, \
     i.revision, coalesce(i.media_type, i.declared_type), i.size_bytes, i.received_at \
     FROM item i JOIN document d ON d.key = i.document LEFT JOIN item p ON p.key = i.parent";

fn read_item(row: &Row<'_>) -> rusqlite::Result<(ItemKey, LedgerItem)> {
    let item = LedgerItem {
        id: id(row, 1)?,
        parent: optional_id(row, 2)?,
        source: row.get(3)?,
        state: state(row, 4)?,
        reason: row.get(5)?,
        detail: row.get(6)?,
        document_id: id(row, 7)?,
        revision: row.get(8)?,
        media_type: row.get(9)?,
        size_bytes: row.get::<_, i64>(10)?.unsigned_abs(),
        received_at: time(row, 11)?,
    };
    Ok((ItemKey(row.get(0)?), item))
}

impl CatalogReader<'_> {
    /// Item counts by state.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ledger_totals(&self) -> Result<LedgerTotals, CatalogError> {
        let mut totals = LedgerTotals::default();
        let counts = self.all(
            "count items",
            "SELECT state, count(*) FROM item GROUP BY state",
            [],
            |row| Ok((state(row, 0)?, row.get::<_, i64>(1)?)),
        )?;
        for (state, count) in counts {
            totals.add(state, count.unsigned_abs());
        }
        Ok(totals)
    }

    /// How fast waiting items are being worked off.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn throughput(&self, now: Timestamp) -> Result<Throughput, CatalogError> {
        let since = now.saturating_sub(RATE_WINDOW).unwrap_or(now).as_microsecond();
        let settled = self.one(
            "measure throughput",
            "SELECT count(*), coalesce(sum(chunk_count), 0), min(settled_at) FROM item \
             WHERE settled_at >= ?1 AND state <> 'deleted'",
            [since],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?)),
        )?;
        let chunks_waiting = self.count(
            "count chunks without vectors",
            "SELECT sum(i.chunk_count) FROM item i WHERE i.state = 'waiting'",
            [],
        )?;
        let waiting =
            self.count("count waiting", "SELECT count(*) FROM item WHERE state = 'waiting'", [])?;
        let mut throughput = Throughput { chunks_waiting, ..Throughput::default() };
        if let Some((items, chunks, Some(first))) = settled {
            let seconds = ((now.as_microsecond() - first) as f64 / 1e6).max(1.0);
            let documents_per_s = items as f64 / seconds;
            throughput.documents_per_s = Some(documents_per_s);
            throughput.chunks_per_s = Some(chunks as f64 / seconds);
            if waiting > 0 && documents_per_s > 0.0 {
                throughput.eta_s = Some((waiting as f64 / documents_per_s).ceil() as u64);
            }
        }
        Ok(throughput)
    }

    /// A page of the ledger.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ledger_page(&self, wanted: &LedgerQuery) -> Result<LedgerPage, CatalogError> {
        let (beyond, direction, start) =
            if wanted.newest_first { ("<", "DESC", i64::MAX) } else { (">", "ASC", 0) };
        let state = wanted.state.map(ItemState::as_str);
        let of_state = if state.is_some() { "AND i.state = ?4" } else { "AND ?4 IS NULL" };
        let mut rows = self.all(
            "read the ledger",
            &format!(
                "{ITEM_SELECT} WHERE i.key {beyond} ?1 AND i.key >= ?2 {of_state} \
                 ORDER BY i.key {direction} LIMIT ?3"
            ),
            params![
                wanted.cursor.map_or(start, |key| key.0),
                wanted.since.map_or(0, |key| key.0),
                wanted.limit as i64 + 1,
                state
            ],
            read_item,
        )?;
        let more = rows.len() > wanted.limit;
        rows.truncate(wanted.limit);
        let next = if more { rows.last().map(|(key, _)| *key) } else { None };
        Ok(LedgerPage { items: rows.into_iter().map(|(_, item)| item).collect(), next })
    }

    /// One ledger item.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ledger_item(&self, key: ItemKey) -> Result<Option<LedgerItem>, CatalogError> {
        self.one(
            "read a ledger item",
            &format!("{ITEM_SELECT} WHERE i.key = ?1"),
            [key.0],
            read_item,
        )
        .map(|found| found.map(|(_, item)| item))
    }

    /// The row key behind an item id, for cursors.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn item_key(&self, item: ItemId) -> Result<Option<ItemKey>, CatalogError> {
        self.one("find an item", "SELECT key FROM item WHERE id = ?1", [item.to_string()], |row| {
            Ok(ItemKey(row.get(0)?))
        })
    }
}
