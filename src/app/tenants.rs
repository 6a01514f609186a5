//! Tenants: made, listed, shown.
//!
//! Called by: `http`, `worker`. Talks to: `system`, registry, catalogue.
//! Invariants: a caller sees only tenants it belongs to; who stands above tenants sees which there
//! are and how they stand, and nothing of what they hold.

use std::sync::Arc;
use std::time::Duration;

use super::audit::{self, Action, Event, Told};
use super::{App, Error, blocking, ledger};
use crate::auth::{Access, Actor, Audit, CanRead, Grant, Operate, Read};
use crate::disk;
use crate::tenant::{IndexKind, StoreBytes, TenantHandle};
use crate::types::{CollectionScope, LedgerTotals, TenantId, TenantState, Tier};

pub use crate::system::{TenantRecord, TenantUpdate};

/// A tenant as the appliance knows it.
#[derive(Debug)]
pub struct Listed {
    pub record: TenantRecord,
    /// Files that lie in the clear in the drop folder of a tenant that is locked or suspended;
    /// `None` for one that is served, and for callers whom it does not concern.
    pub inbox_waiting: Option<u64>,
}

/// A tenant with its numbers.
#[derive(Debug)]
pub struct TenantDetail {
    pub listed: Listed,
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
    /// True where an index is due and the temporary directory has no room to build it.
    pub index_lacks_room: bool,
}

/// Makes a tenant and puts it to work.
///
/// # Errors
/// `Conflict` for a name that is taken, `Invalid` for one that is malformed.
pub async fn create(
    app: &Arc<App>,
    actor: &Actor,
    name: String,
    tier: Option<Tier>,
) -> Result<TenantRecord, Error> {
    let occasion = audit::here(app.clock.now(), audit::party(actor));
    let shared = app.clone();
    let record = blocking(move || {
        Ok(shared.registry.create(&name, tier.unwrap_or(Tier::Pro), |record| {
            let event = Event::new(Action::TenantCreate)
                .on("tenant", record.id)
                .with("name", record.name.clone())
                .with("tier", record.tier.as_str());
            let told = vec![Told::OfTenant(record.id, event)];
            audit::put_on_record(&shared.system, &occasion, told).map(drop)
        })?)
    })
    .await?;
    app.quotas.change(&record);
    audit::deliver(app, record.id).await;
    app.schedule.arrive(record.id);
    Ok(record)
}

/// Tenants that `actor` belongs to or stands above, after `cursor`.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(
    app: &Arc<App>,
    actor: Actor,
    cursor: Option<TenantId>,
    limit: usize,
) -> Result<(Vec<Listed>, Option<TenantId>), Error> {
    let app = app.clone();
    blocking(move || {
        let above = app.authority.may_operate(&actor);
        let mut found = if above {
            app.system.list_tenants(cursor, limit + 1)?
        } else {
            let mut own = belonging(&app, &actor)?;
            own.retain(|tenant| cursor.is_none_or(|cursor| *tenant > cursor));
            own.sort_unstable();
            own.truncate(limit + 1);
            let records = own.iter().map(|tenant| app.system.find_tenant(&tenant.to_string()));
            records.filter_map(Result::transpose).collect::<Result<_, _>>()?
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|tenant| tenant.id) } else { None };
        let listed =
            found.into_iter().map(|record| match !above && is_limited(&app, &actor, record.id)? {
                true => Ok(Listed { record, inbox_waiting: None }),
                false => Ok(listed(&app, record)),
            });
        Ok((listed.collect::<Result<_, Error>>()?, next))
    })
    .await
}

/// Files counted in a drop folder; where there are more, it is that many.
const MOST_WAITING: u64 = 10_000;

/// A tenant with what waits in its drop folder while nobody takes it in. Blocks.
fn listed(app: &App, record: TenantRecord) -> Listed {
    let waits = record.state != TenantState::Active;
    let inbox_waiting =
        waits.then(|| disk::count_files(&app.registry.inbox(record.id), MOST_WAITING));
    Listed { record, inbox_waiting }
}

/// True where an actor sees only some collections of a tenant. Blocks.
fn is_limited(app: &App, actor: &Actor, tenant: TenantId) -> Result<bool, Error> {
    let Actor::User { id, .. } = actor else { return Ok(false) };
    let membership = app.system.find_membership(tenant, *id)?;
    Ok(membership.is_some_and(|membership| membership.collections != CollectionScope::All))
}

/// Tenants that an actor is a member of. Blocks.
pub(super) fn belonging(app: &App, actor: &Actor) -> Result<Vec<TenantId>, Error> {
    Ok(match actor {
        Actor::User { id, .. } => {
            let memberships = app.system.list_memberships(*id)?;
            memberships.into_iter().map(|membership| membership.tenant).collect()
        }
        Actor::ApiKey { tenant, .. } => vec![*tenant],
        Actor::Console | Actor::System(_) => Vec::new(),
    })
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
    let (listed, bytes) = blocking(move || {
        let record = shared.system.find_tenant(&handle.id().to_string())?.ok_or(Error::NotFound)?;
        // What all collections take together is not for a caller who sees some of them.
        let bytes = if handle.is_limited() { StoreBytes::default() } else { handle.store_bytes() };
        // A limited reader gets no further than to a tenant that is served.
        Ok((listed(&shared, record), bytes))
    })
    .await?;
    let (totals, _) = ledger::totals(tenant).await?;
    let vectors = match tenant.vectors().await? {
        None => None,
        Some(_) if tenant.is_limited() => None,
        Some(vectors) => {
            let state = vectors.index_state();
            Some(VectorState {
                rows: vectors.rows().await?,
                indexed: state.kind == IndexKind::Ivf,
                index_building: state.building,
                index_lacks_room: state.lacks_room,
            })
        }
    };
    Ok(TenantDetail { listed, totals, bytes, inbox: tenant.inbox(), vectors })
}

/// How long a tenant stays open that nobody uses. Longer than the pause between two rounds of
/// upkeep, so that each one gets its round first.
const IDLE: Duration = Duration::from_secs(600);

/// Closes the tenants that nobody has used for a while.
///
/// # Errors
/// Only that the process is ending.
pub async fn close_idle(app: &Arc<App>) -> Result<(), Error> {
    let shared = app.clone();
    let closed = blocking(move || Ok(shared.registry.close_idle(IDLE))).await?;
    tracing::debug!(closed, "idle tenants closed");
    Ok(())
}

/// A tenant as far as a caller may see it.
#[derive(Debug)]
pub enum Sight {
    /// With its numbers, for whoever may read it.
    Whole(Box<TenantDetail>),
    /// What the appliance knows, for those who stand above tenants and for auditors.
    Record(Listed),
}

/// A tenant as far as `actor` may see it.
///
/// # Errors
/// `NotFound`; `TenantClosed` for a member of one that is suspended or locked.
pub async fn sight(app: &Arc<App>, actor: Actor, tenant: String) -> Result<Sight, Error> {
    let unread = match app.open_tenant::<Read>(actor.clone(), tenant.clone()).await {
        Ok(open) => return Ok(Sight::Whole(Box::new(detail(app, &open).await?))),
        Err(error @ (Error::NotFound | Error::TenantClosed(_))) => error,
        Err(error) => return Err(error),
    };
    match app.grant::<Operate>(actor.clone(), tenant.clone()).await {
        Ok(grant) => {
            let (record, app) = (record(app, &grant).await?, app.clone());
            return Ok(Sight::Record(blocking(move || Ok(listed(&app, record))).await?));
        }
        Err(Error::NotFound) => {}
        Err(error) => return Err(error),
    }
    match app.grant::<Audit>(actor, tenant).await {
        Ok(grant) => {
            let record = record(app, &grant).await?;
            Ok(Sight::Record(Listed { record, inbox_waiting: None }))
        }
        Err(Error::NotFound) => Err(unread),
        Err(error) => Err(error),
    }
}

/// What the appliance knows of a tenant, for whoever may see that without opening it.
///
/// # Errors
/// `NotFound` where the tenant went meanwhile.
pub async fn record<A: Access>(app: &Arc<App>, grant: &Grant<A>) -> Result<TenantRecord, Error> {
    let (app, tenant) = (app.clone(), grant.tenant());
    blocking(move || app.system.find_tenant(&tenant.to_string())?.ok_or(Error::NotFound)).await
}
