//! Upkeep of open tenants: small groups compacted, vector indexes built and extended, data keys
//! changed; and tenants closed that nobody uses.
//!
//! Called by: `worker`. Talks to: `app`.
//! Invariants: it changes no truth; a round that fails is tried again in the next; it opens no
//! tenant and keeps none open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, Error, maintain, stop_asked, tenants};
use crate::auth::SystemActor;
use crate::error::chain;
use crate::types::TenantId;

/// Pause between two rounds over the open tenants.
const ROUND: Duration = Duration::from_secs(60);

pub(super) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => return,
            () = tokio::time::sleep(ROUND) => {}
        }
        for tenant in app.registry.open_tenants() {
            if *stopped.borrow() {
                return;
            }
            if let Err(error) = upkeep(&app, tenant).await
                && !error.is_locked()
            {
                tracing::warn!(tenant = %tenant, "upkeep failed: {}", chain(&error));
            }
        }
        if let Err(error) = tenants::close_idle(&app).await {
            tracing::warn!("idle tenants cannot be closed: {}", chain(&error));
        }
    }
}

async fn upkeep(app: &Arc<App>, tenant: TenantId) -> Result<(), Error> {
    if !app.standing(tenant).await?.is_active() {
        return Ok(());
    }
    match app.if_open(tenant, SystemActor::Worker).await? {
        Some(handle) => maintain::upkeep(app, &handle).await,
        None => Ok(()),
    }
}
