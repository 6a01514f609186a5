//! Tenants: made, listed, shown, removed.
//!
//! Called by: `http`, `worker`. Talks to: `system`, registry, catalogue.
//! Invariants: a caller sees only tenants it could open.

use std::sync::Arc;

use super::{App, Error, blocking, ledger};
use crate::auth::{Actor, CanRead, Grant, Manage};
use crate::tenant::{IndexKind, StoreBytes, TenantHandle};
use crate::types::{LedgerTotals, TenantId};

pub use crate::system::TenantRecord;

/// A tenant with its numbers.
#[derive(Debug)]
pub struct TenantDetail {
    pub record: TenantRecord,
    pub totals: LedgerTotals,
    pub bytes: StoreBytes,
    pub inbox: std::path::PathBuf,
    /// Vector rows and whether an index serves them; `None` without an embedding model.
    pub vectors: Option<VectorState>,
}

/// How vectors are searched at present.
#[derive(Clone, Copy, Debug)]
pub struct VectorState {
    pub rows: u64,
    /// True where an IVF index answers, false where search is exact.
    pub indexed: bool,
    pub index_building: bool,
}

/// Makes a tenant and puts it to work.
///
/// # Errors
/// `Conflict` for a name that is taken, `Invalid` for one that is malformed.
pub async fn create(app: &Arc<App>, name: String) -> Result<TenantRecord, Error> {
    let shared = app.clone();
    let record = blocking(move || Ok(shared.registry.create(&name)?)).await?;
    app.schedule.arrive(record.id);
    Ok(record)
}

/// Tenants that `actor` may open, after `cursor`.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(
    app: &Arc<App>,
    actor: Actor,
    cursor: Option<TenantId>,
    limit: usize,
) -> Result<(Vec<TenantRecord>, Option<TenantId>), Error> {
    let app = app.clone();
    blocking(move || {
        let (mut found, mut after) = (Vec::new(), cursor);
        loop {
            let page = app.system.list_tenants(after, limit + 1)?;
            let end = page.len() <= limit;
            after = page.last().map(|tenant| tenant.id);
            found.extend(page.into_iter().filter(|tenant| app.authority.may(&actor, tenant.id)));
            if end || found.len() > limit {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|tenant| tenant.id) } else { None };
        Ok((found, next))
    })
    .await
}

/// Tenants read at a time when all are wanted.
const PAGE: usize = 256;

/// Every tenant, for Cairn's own rounds.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn all(app: &Arc<App>) -> Result<Vec<TenantId>, Error> {
    let app = app.clone();
    blocking(move || {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = app.system.list_tenants(cursor, PAGE)?;
            let Some(last) = page.last() else { return Ok(all) };
            cursor = Some(last.id);
            all.extend(page.iter().map(|tenant| tenant.id));
        }
    })
    .await
}

/// A tenant with its numbers.
///
/// # Errors
/// When a store cannot be read.
pub async fn detail<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
) -> Result<TenantDetail, Error> {
    let (shared, handle) = (app.clone(), tenant.clone());
    let (record, bytes) = blocking(move || {
        let record = shared.system.find_tenant(&handle.id().to_string())?.ok_or(Error::NotFound)?;
        Ok((record, handle.store_bytes()))
    })
    .await?;
    let (totals, _) = ledger::totals(tenant).await?;
    let vectors = match tenant.vectors().await? {
        None => None,
        Some(vectors) => {
            let state = vectors.index_state();
            Some(VectorState {
                rows: vectors.rows().await?,
                indexed: state.kind == IndexKind::Ivf,
                index_building: state.building,
            })
        }
    };
    Ok(TenantDetail { record, totals, bytes, inbox: tenant.inbox(), vectors })
}

/// Removes a tenant with everything it holds.
///
/// # Errors
/// `NotFound`, or when its files cannot be removed.
pub async fn remove(app: &Arc<App>, actor: Actor, tenant: String) -> Result<(), Error> {
    let shared = app.clone();
    let id = blocking(move || {
        let grant: Grant<Manage> =
            shared.authority.authorise(&actor, &tenant)?.ok_or(Error::NotFound)?;
        if !shared.authority.may_administer(grant.actor()) {
            return Err(Error::NotFound);
        }
        shared.registry.remove(&grant)?;
        Ok(grant.tenant())
    })
    .await?;
    app.schedule.depart(id);
    app.extraction.forget(id);
    app.statistics.forget(id);
    Ok(())
}
