//! The life of a tenant between its making and its end: renamed, given another tier or data key,
//! suspended, locked, and back.
//!
//! Called by: `http`. Talks to: `system`, registry, `app::quota`, the schedule.
//! Invariants: a suspended or locked tenant keeps all it has, and its jobs wait; what was decided
//! is written down before it takes effect, outlives the process, and is on record. Once a tenant
//! is locked nothing of it is left in memory that could be put away.

use std::sync::Arc;

use super::audit::{self, Action, Event, Told};
use super::{App, Error, blocking, maintain, tenants};
use crate::auth::{Actor, Administer, CanWrite, Grant, Operate, SystemActor};
use crate::error::chain;
use crate::system::{TenantRecord, TenantUpdate};
use crate::tenant::{Registry, TenantHandle};
use crate::types::{TenantId, TenantState, Tier, check_limits};

/// Changes a tenant's name, tier or limits; they hold from the next request on.
///
/// # Errors
/// `Invalid` for a malformed name or limit; `Conflict` for a name that is taken.
pub async fn change(
    app: &Arc<App>,
    grant: &Grant<Administer>,
    update: TenantUpdate,
) -> Result<TenantRecord, Error> {
    if let Some(name) = &update.name {
        Registry::check_name(name)?;
    }
    if let Some(limits) = &update.limits {
        check_limits(limits).map_err(|problem| Error::invalid(problem.to_string()))?;
    }
    let events = changes(&update);
    write_down(app, grant.tenant(), grant.actor(), update, events).await
}

/// Closes a tenant to its members and stops its background work.
///
/// # Errors
/// `Conflict` for one that is locked.
pub async fn suspend(app: &Arc<App>, grant: &Grant<Administer>) -> Result<TenantRecord, Error> {
    let record = tenants::record(app, grant).await?;
    let record = match record.state {
        TenantState::Locked => return Err(conflict("the tenant is locked; unlock it first")),
        TenantState::Suspended => record,
        TenantState::Active => {
            let event = Event::new(Action::TenantSuspend);
            turn(app, record.id, grant.actor(), TenantState::Suspended, Some(event)).await?
        }
    };
    app.extraction.forget(record.id);
    app.viewer.forget(record.id);
    Ok(record)
}

/// Opens a suspended tenant to its members again. One that was locked besides stays locked.
///
/// # Errors
/// `Conflict` for one that is locked.
pub async fn resume(app: &Arc<App>, grant: &Grant<Administer>) -> Result<TenantRecord, Error> {
    let record = tenants::record(app, grant).await?;
    let record = match record.state {
        TenantState::Locked => return Err(conflict("the tenant is locked; unlock it instead")),
        TenantState::Active => record,
        TenantState::Suspended => {
            // Whoever suspended it did not lock it, and cannot undo that by resuming it.
            let back = if record.locked { TenantState::Locked } else { TenantState::Active };
            let event = Event::new(Action::TenantResume);
            turn(app, record.id, grant.actor(), back, Some(event)).await?
        }
    };
    take_up_work(app, record.id);
    Ok(record)
}

/// Takes a tenant's keys out of memory. One that is suspended stays so, and is locked besides.
///
/// # Errors
/// `Registry` (`InUse`) where something of it is read that does not end: it is locked all the same.
/// When the appliance database cannot be written.
pub async fn lock(app: &Arc<App>, grant: &Grant<Operate>) -> Result<TenantRecord, Error> {
    let record = tenants::record(app, grant).await?;
    let (tenant, actor) = (record.id, grant.actor());
    // On record first: afterwards its own trail cannot be written.
    let event = Event::new(Action::TenantLock).on("tenant", tenant);
    audit::record_about(app, tenant, actor, event).await?;
    // Its state before its stores: nothing opens it again between the two.
    let record = match record.state {
        TenantState::Active => turn(app, tenant, actor, TenantState::Locked, None).await?,
        TenantState::Suspended => lock_besides(app, tenant, actor, true, None).await?,
        TenantState::Locked => record,
    };
    app.extraction.forget(tenant);
    app.viewer.forget(tenant);
    app.statistics.forget(tenant);
    let shared = app.clone();
    match blocking(move || Ok(shared.registry.lock(tenant)?)).await {
        Ok(()) => Ok(record),
        // It is locked, and not all of it is put away.
        failed => {
            let event = Event::new(Action::TenantLock).on("tenant", tenant);
            let event = event.with("tenant", tenant.to_string());
            audit::concluded_for_appliance(app, grant.actor(), event, failed).await?;
            Ok(record)
        }
    }
}

/// Lets a locked tenant be opened again. One that is suspended stays so.
///
/// # Errors
/// When a store cannot be opened.
pub async fn unlock(app: &Arc<App>, grant: &Grant<Operate>) -> Result<TenantRecord, Error> {
    let record = tenants::record(app, grant).await?;
    let (tenant, actor) = (record.id, grant.actor());
    let event = Event::new(Action::TenantUnlock);
    let record = match record.state {
        TenantState::Locked => {
            turn(app, tenant, actor, TenantState::Active, Some(event.clone())).await?
        }
        TenantState::Suspended => {
            lock_besides(app, tenant, actor, false, Some(event.clone())).await?
        }
        TenantState::Active => record,
    };
    match open_again(app, tenant).await {
        Ok(()) => Ok(record),
        // It may be opened again, and cannot.
        failed => {
            audit::concluded_about(app, tenant, actor, event, failed).await?;
            Ok(record)
        }
    }
}

/// Opens a tenant that was locked; its work goes on, and what waits in its drop folder is taken in.
async fn open_again(app: &Arc<App>, tenant: TenantId) -> Result<(), Error> {
    let shared = app.clone();
    blocking(move || {
        shared.registry.unlock(tenant);
        Ok(())
    })
    .await?;
    let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
    maintain::prepare(app, &handle).await
}

/// Changes a tenant's data key: returns when catalogue and projections have the new one. Its
/// originals follow beside everything else, also after a restart.
///
/// # Errors
/// Where something goes on in the tenant that does not end; when a file cannot be written.
pub async fn rotate_key(app: &Arc<App>, grant: Grant<Administer>) -> Result<TenantRecord, Error> {
    let record = tenants::record(app, &grant).await?;
    let (shared, tenant, actor) = (app.clone(), record.id, grant.actor().clone());
    let rotated = blocking(move || Ok(shared.registry.rotate(&grant).map(drop)?)).await;
    let event = Event::new(Action::TenantRotateKey);
    audit::concluded_about(app, tenant, &actor, event, rotated).await?;
    // What was going on failed and has to be begun again.
    app.schedule.wake(tenant);
    let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
    tokio::task::spawn_blocking(move || {
        if let Err(error) = finish_rotation(&handle) {
            tracing::warn!(
                tenant = %tenant, "a change of the data key goes on later: {}", chain(&error)
            );
        }
    });
    Ok(record)
}

/// Goes on with a change of the data key; its end goes on record. False where it has to be called
/// again. Blocks, perhaps for long.
///
/// # Errors
/// When a file cannot be read or written; what is done stays done.
pub(super) fn finish_rotation<A: CanWrite>(tenant: &TenantHandle<A>) -> Result<bool, Error> {
    let occasion = audit::occasion(tenant);
    let event = Event::new(Action::TenantRetireKey).on("tenant", tenant.id());
    Ok(tenant.finish_rotation(|epoch| occasion.record(event.with("epoch", u64::from(epoch))))?)
}

/// What a change of name, tier or limits is in the audit trail.
fn changes(update: &TenantUpdate) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(name) = &update.name {
        events.push(Event::new(Action::TenantRename).with("name", name.clone()));
    }
    if update.tier.is_some() || update.limits.is_some() {
        let limits = update.limits.as_ref().map(|limits| -> Vec<String> {
            limits.iter().map(|(name, value)| format!("{name}={value}")).collect()
        });
        let event = Event::new(Action::TenantTier)
            .with_some("tier", update.tier.map(Tier::as_str))
            .with_some("limits", limits);
        events.push(event);
    }
    events
}

/// Writes another state down; a lock beside it ends, or has become the state.
async fn turn(
    app: &Arc<App>,
    tenant: TenantId,
    actor: &Actor,
    state: TenantState,
    event: Option<Event>,
) -> Result<TenantRecord, Error> {
    let locked_besides = Some(false);
    let update = TenantUpdate { state: Some(state), locked_besides, ..TenantUpdate::default() };
    write_down(app, tenant, actor, update, event).await
}

/// Writes down whether a suspended tenant is locked as well.
async fn lock_besides(
    app: &Arc<App>,
    tenant: TenantId,
    actor: &Actor,
    locked: bool,
    event: Option<Event>,
) -> Result<TenantRecord, Error> {
    let update = TenantUpdate { locked_besides: Some(locked), ..TenantUpdate::default() };
    write_down(app, tenant, actor, update, event).await
}

/// Makes a change together with what goes on record about it; it holds from the next request on.
async fn write_down(
    app: &Arc<App>,
    tenant: TenantId,
    actor: &Actor,
    update: TenantUpdate,
    events: impl IntoIterator<Item = Event>,
) -> Result<TenantRecord, Error> {
    let told = events.into_iter().map(|event| Told::OfTenant(tenant, event.on("tenant", tenant)));
    let told = told.collect();
    let record = audit::recorded(app, actor, move |app| {
        app.system.change_tenant(tenant, &update)?;
        let record = app.system.find_tenant(&tenant.to_string())?.ok_or(Error::NotFound)?;
        Ok((record, told))
    });
    let record = record.await?;
    app.quotas.change(&record);
    Ok(record)
}

fn conflict(why: &str) -> Error {
    Error::Conflict { detail: why.to_owned() }
}

/// Goes on with what waits in a tenant's queue; its drop folder is looked at in any case.
fn take_up_work(app: &Arc<App>, tenant: TenantId) {
    let app = app.clone();
    tokio::spawn(async move {
        let prepared = async {
            let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
            maintain::prepare(&app, &handle).await
        };
        if let Err(error) = prepared.await
            && !error.is_locked()
        {
            tracing::error!(tenant = %tenant, "a tenant cannot be put in order: {}", chain(&error));
            app.schedule.wake(tenant);
        }
    });
}
