//! Members of a tenant.
//!
//! Called by: `http`. Talks to: `system`.
//! Invariants: readers may be limited to collections; whoever changes, manages or audits is not.

use std::sync::Arc;

use crate::app::audit::{self, Action, Event};
use crate::app::{App, Error, blocking};
use crate::auth::{Admit, Grant};
use crate::types::{CollectionScope, Feature, Role};

pub use crate::system::Membership;

/// The members, by name.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(app: &Arc<App>, grant: &Grant<Admit>) -> Result<Vec<Membership>, Error> {
    let (app, tenant) = (app.clone(), grant.tenant());
    blocking(move || Ok(app.system.list_members(tenant)?)).await
}

/// Makes the user of this id or name a member, or changes what they may do.
///
/// # Errors
/// `NotFound` for an unknown user; `Invalid` for a limit that the role does not know; `NotInTier`
/// for a limit in a tenant whose tier has none. Limits that were set under another tier stay: what
/// somebody may not see does not come into sight because less is paid for.
pub async fn set(
    app: &Arc<App>,
    grant: &Grant<Admit>,
    user: String,
    role: Role,
    collections: CollectionScope,
) -> Result<Membership, Error> {
    if collections != CollectionScope::All && role != Role::Reader {
        return Err(Error::invalid("only readers can be limited to collections"));
    }
    let (shared, tenant) = (app.clone(), grant.tenant());
    let set = blocking(move || {
        let app = shared;
        if collections != CollectionScope::All {
            app.quotas.standing(tenant)?.require(Feature::CollectionAccess)?;
        }
        let user = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        let before = app.system.find_membership(tenant, user.id)?;
        app.system.set_membership(tenant, user.id, role, &collections, app.clock.now())?;
        let now = app.system.find_membership(tenant, user.id)?.ok_or(Error::NotFound)?;
        Ok((before, now))
    });
    let (before, now) = set.await?;
    let event = about(&now)
        .with_some("role_before", before.map(|before| before.role.as_str()))
        .with("role", now.role.as_str())
        .with_some("collections", limits(&now.collections));
    audit::record_about(app, tenant, grant.actor(), event).await?;
    Ok(now)
}

/// Ends the membership of the user of this id or name.
///
/// # Errors
/// `NotFound`.
pub async fn remove(app: &Arc<App>, grant: &Grant<Admit>, user: String) -> Result<(), Error> {
    let (shared, tenant) = (app.clone(), grant.tenant());
    let removed = blocking(move || {
        let user = shared.system.find_user(&user)?.ok_or(Error::NotFound)?;
        let before = shared.system.find_membership(tenant, user.id)?.ok_or(Error::NotFound)?;
        match shared.system.remove_membership(tenant, user.id)? {
            true => Ok(before),
            false => Err(Error::NotFound),
        }
    });
    let before = removed.await?;
    let event = about(&before).with("role_before", before.role.as_str()).with("role", "none");
    audit::record_about(app, tenant, grant.actor(), event).await
}

fn about(membership: &Membership) -> Event {
    Event::new(Action::MemberChange)
        .on("user", membership.user)
        .with("name", membership.user_name.clone())
}

/// The collections a member is limited to.
fn limits(scope: &CollectionScope) -> Option<Vec<String>> {
    match scope {
        CollectionScope::All => None,
        CollectionScope::Only(some) => Some(some.iter().map(ToString::to_string).collect()),
    }
}
