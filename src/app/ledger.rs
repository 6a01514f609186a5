//! The ledger as people and programs read it.
//!
//! Called by: `http`. Talks to: catalogue.
//! Invariants: totals, throughput and items of one answer come from one snapshot.

use super::Error;
use crate::auth::CanRead;
use crate::tenant::{LedgerQuery, TenantHandle};
use crate::types::{ItemId, ItemKey, ItemState, LedgerItem, LedgerTotals, Throughput};

pub use crate::tenant::TenantEvent;

/// A page of the ledger with the totals of all of it.
#[derive(Debug)]
pub struct Ledger {
    pub totals: LedgerTotals,
    pub throughput: Throughput,
    pub items: Vec<LedgerItem>,
    pub next_cursor: Option<ItemId>,
}

/// What part of the ledger a caller wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRequest {
    pub state: Option<ItemState>,
    pub cursor: Option<ItemId>,
    /// Nothing that came before this item.
    pub since: Option<ItemId>,
    pub newest_first: bool,
    pub limit: usize,
}

/// Totals, throughput, and a page of items.
///
/// # Errors
/// `Invalid` for a cursor that names no item.
pub async fn page<A: CanRead>(
    tenant: &TenantHandle<A>,
    request: PageRequest,
) -> Result<Ledger, Error> {
    let now = tenant.now();
    let found = tenant
        .read(move |catalog| {
            let key = |id: Option<ItemId>| match id {
                None => Ok(Some(None)),
                Some(id) => catalog.item_key(id).map(|found| found.map(Some)),
            };
            let (Some(cursor), Some(since)) = (key(request.cursor)?, key(request.since)?) else {
                return Ok(None);
            };
            let page = catalog.ledger_page(&LedgerQuery {
                state: request.state,
                cursor,
                since,
                newest_first: request.newest_first,
                limit: request.limit,
            })?;
            let next_cursor = page.next.and_then(|_| page.items.last().map(|item| item.id));
            Ok(Some(Ledger {
                totals: catalog.ledger_totals()?,
                throughput: catalog.throughput(now)?,
                items: page.items,
                next_cursor,
            }))
        })
        .await?;
    found.ok_or_else(|| Error::invalid("the cursor names no item of this ledger"))
}

/// Totals and throughput alone.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn totals<A: CanRead>(
    tenant: &TenantHandle<A>,
) -> Result<(LedgerTotals, Throughput), Error> {
    let now = tenant.now();
    Ok(tenant.read(move |catalog| Ok((catalog.ledger_totals()?, catalog.throughput(now)?))).await?)
}

/// The items behind these keys, as they are now.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn items<A: CanRead>(
    tenant: &TenantHandle<A>,
    keys: Vec<ItemKey>,
) -> Result<Vec<LedgerItem>, Error> {
    Ok(tenant
        .read(move |catalog| {
            keys.into_iter().filter_map(|key| catalog.ledger_item(key).transpose()).collect()
        })
        .await?)
}
