//! A tenant's keys: put away, brought back, changed.
//!
//! Called by: `http`, `cli`. Talks to: registry, `keys`.
//! Invariants: once a tenant is locked nothing of it is left in memory that could be put away;
//! its jobs wait and go on when it is unlocked.

use std::sync::Arc;

use super::audit::{self, Action, Event};
use super::{App, Error, blocking, maintain};
use crate::auth::{Access, Grant, SystemActor};

/// Locks a tenant under whoever works with it.
///
/// # Errors
/// Only that the process is ending.
pub async fn lock<A: Access>(app: &Arc<App>, grant: &Grant<A>) -> Result<(), Error> {
    let (shared, tenant) = (app.clone(), grant.tenant());
    blocking(move || {
        shared.registry.lock(tenant);
        Ok(())
    })
    .await?;
    app.extraction.forget(tenant);
    app.statistics.forget(tenant);
    Ok(())
}

/// Unlocks a tenant; its work goes on, and what waits in its drop folder is taken in.
///
/// # Errors
/// When a store cannot be opened.
pub async fn unlock<A: Access>(app: &Arc<App>, grant: &Grant<A>) -> Result<(), Error> {
    let (shared, tenant) = (app.clone(), grant.tenant());
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
pub async fn rotate<A: Access>(app: &Arc<App>, grant: Grant<A>) -> Result<(), Error> {
    let (shared, tenant, actor) = (app.clone(), grant.tenant(), grant.actor().clone());
    let rotated = blocking(move || Ok(shared.registry.rotate(&grant).map(drop)?)).await;
    let event = Event::new(Action::TenantRotateKey);
    audit::concluded_about(app, tenant, &actor, event, rotated).await?;
    // What was going on failed and has to be begun again.
    app.schedule.wake(tenant);
    let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
    tokio::task::spawn_blocking(move || {
        if let Err(error) = handle.finish_rotation() {
            tracing::warn!(
                tenant = %tenant,
                "a change of the data key goes on later: {}", crate::error::chain(&error)
            );
        }
    });
    Ok(())
}
