//! Upkeep of projections: small groups compacted, vector indexes built and extended.
//!
//! Called by: `worker`. Talks to: `app`.
//! Invariants: it changes no truth; a round that fails is tried again in the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, Error, maintain, tenants};
use crate::auth::SystemActor;
use crate::error::chain;
use crate::types::TenantId;

/// Pause between two rounds over all tenants.
const ROUND: Duration = Duration::from_secs(60);

pub(super) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            () = super::stop_asked(&mut stopped) => return,
            () = tokio::time::sleep(ROUND) => {}
        }
        let tenants = match tenants::all(&app).await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::error!("tenants cannot be listed for upkeep: {}", chain(&error));
                continue;
            }
        };
        for tenant in tenants {
            if *stopped.borrow() {
                return;
            }
            if let Err(error) = upkeep(&app, tenant).await {
                tracing::warn!(tenant = %tenant, "upkeep failed: {}", chain(&error));
            }
        }
    }
}

async fn upkeep(app: &Arc<App>, tenant: TenantId) -> Result<(), Error> {
    let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
    maintain::upkeep(app, &handle).await
}
