//! What a tenant may use and what it uses, and the tiers there are.
//!
//! Called by: `http`. Talks to: `app::quota`, `system`.
//! Invariants: numbers only, never content; members of the tenant and who stands above tenants
//! see them, to everybody else the tenant looks absent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::quota::{Warning, warnings};
use super::{App, Error, blocking};
use crate::auth::{Actor, Grant, Operate, Read, SystemActor};
use crate::tenant::Amounts;
use crate::types::{CollectionScope, Feature, Limits, TenantId, TenantState, Tier};

/// How much of its limits a tenant uses.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Usage {
    pub tier: Tier,
    pub state: TenantState,
    pub limits: Limits,
    /// Limits that are the tenant's own and not its tier's.
    #[schema(value_type = Object)]
    pub own_limits: Map<String, Value>,
    pub features: Vec<Feature>,
    /// Empty while the tenant is locked and its numbers are not known.
    pub used: Used,
    /// Sentences about limits that are nearly or fully reached.
    pub warnings: Vec<String>,
}

/// What is used of the limits that fill up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Used {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_in_flight: Option<u64>,
}

impl From<Amounts> for Used {
    fn from(amounts: Amounts) -> Self {
        Self {
            stored_bytes: Some(amounts.stored_bytes),
            documents: Some(amounts.documents),
            jobs_in_flight: Some(amounts.jobs_in_flight),
        }
    }
}

/// A tier with what it gives.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TierRow {
    pub name: Tier,
    pub limits: Limits,
    pub features: Vec<Feature>,
}

/// Every tier, the smallest first.
pub fn tiers() -> Vec<TierRow> {
    let row = |tier: &Tier| TierRow {
        name: *tier,
        limits: tier.limits(),
        features: tier.features().to_vec(),
    };
    Tier::ALL.iter().map(row).collect()
}

/// What a tenant uses.
///
/// # Errors
/// `NotFound`; `TenantClosed` for a member; `Quota` for one that asks too fast.
pub async fn usage(app: &Arc<App>, actor: Actor, tenant: String) -> Result<Usage, Error> {
    let shared = app.clone();
    let id = blocking(move || visible_to(&shared, &actor, &tenant)).await?;
    let standing = app.standing(id).await?;
    let policy = standing.policy();
    let used = if policy.locked {
        standing.used()
    } else {
        let handle = app.open_for_work(id, SystemActor::Worker).await?;
        Some(standing.count(&handle).await?)
    };
    let shared = app.clone();
    let record = blocking(move || Ok(shared.system.find_tenant(&id.to_string())?)).await?;
    let warned = used.map(|used| warnings(used, &policy.limits)).unwrap_or_default();
    Ok(Usage {
        tier: policy.tier,
        state: policy.state,
        limits: policy.limits,
        own_limits: record.ok_or(Error::NotFound)?.limits,
        features: policy.tier.features().to_vec(),
        used: used.map(Used::from).unwrap_or_default(),
        warnings: warned.iter().map(Warning::sentence).collect(),
    })
}

/// The tenant, if this actor is a member who may read or stands above tenants. Blocks.
fn visible_to(app: &App, actor: &Actor, tenant: &str) -> Result<TenantId, Error> {
    let above: Option<Grant<Operate>> = app.authority.authorise(actor, tenant)?;
    if let Some(grant) = above {
        return Ok(grant.tenant());
    }
    let grant: Grant<Read> = app.authority.authorise(actor, tenant)?.ok_or(Error::NotFound)?;
    if *grant.collections() != CollectionScope::All {
        // Numbers of the whole tenant tell of collections that are out of sight.
        return Err(Error::NotFound);
    }
    app.quotas.standing(grant.tenant())?.admit(actor)?;
    Ok(grant.tenant())
}
