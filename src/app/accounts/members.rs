//! Members of a tenant.
//!
//! Called by: `http`. Talks to: `system`.
//! Invariants: readers may be limited to collections; whoever changes, manages or audits is not; the
//! keys that an owner made end when they are owner no more: a copy of one would be a way back in.

use std::sync::Arc;

use crate::app::audit::{self, Action, Event, Told};
use crate::app::{App, Error, blocking};
use crate::auth::{Admit, Grant};
use crate::types::{CollectionScope, Feature, Role, TenantId, UserId};

pub use crate::system::Membership;

/// The members, by name.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(app: &Arc<App>, grant: &Grant<Admit>) -> Result<Vec<Membership>, Error> {
    let (app, tenant) = (app.clone(), grant.tenant());
    blocking(move || Ok(app.system.list_members(tenant)?)).await
}

/// Makes the user of this id or name a member, or changes what they may do. The keys of an owner who
/// is none any more end.
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
    let tenant = grant.tenant();
    if collections != CollectionScope::All {
        app.standing(tenant).await?.require(Feature::CollectionAccess)?;
    }
    audit::recorded(app, grant.actor(), move |app| {
        let user = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        let before = app.system.find_membership(tenant, user.id)?;
        app.system.set_membership(tenant, user.id, role, &collections, app.clock.now())?;
        let now = app.system.find_membership(tenant, user.id)?.ok_or(Error::NotFound)?;
        let event = about(&now)
            .with_some("role_before", before.map(|before| before.role.as_str()))
            .with("role", now.role.as_str())
            .with_some("collections", limits(&now.collections));
        let mut told = vec![Told::OfTenant(tenant, event)];
        if role != Role::Owner {
            told.extend(revoke_keys_of(app, user.id, Some(tenant))?);
        }
        Ok((now, told))
    })
    .await
}

/// Ends the membership of the user of this id or name, and the keys they made.
///
/// # Errors
/// `NotFound`.
pub async fn remove(app: &Arc<App>, grant: &Grant<Admit>, user: String) -> Result<(), Error> {
    let tenant = grant.tenant();
    audit::recorded(app, grant.actor(), move |app| {
        let user = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        let before = app.system.find_membership(tenant, user.id)?.ok_or(Error::NotFound)?;
        if !app.system.remove_membership(tenant, user.id)? {
            return Err(Error::NotFound);
        }
        let mut told = vec![Told::OfTenant(tenant, departure(&before))];
        told.extend(revoke_keys_of(app, user.id, Some(tenant))?);
        Ok(((), told))
    })
    .await
}

/// The end of a membership.
pub(super) fn departure(before: &Membership) -> Event {
    about(before).with("role_before", before.role.as_str()).with("role", "none")
}

/// What befell an account, for the appliance's trail and those of all tenants it belongs to: whoever
/// can act as a member reads what the member may read. Blocks.
pub(super) fn told_of(app: &App, user: UserId, event: &Event) -> Result<Vec<Told>, Error> {
    let mut told = vec![Told::OfAppliance(event.clone())];
    for belonging in app.system.list_memberships(user)? {
        told.push(Told::OnlyOfTenant(belonging.tenant, event.clone()));
    }
    Ok(told)
}

/// Ends the keys of somebody who may not make any more, in one tenant or in all. Blocks.
pub(super) fn revoke_keys_of(
    app: &App,
    maker: UserId,
    tenant: Option<TenantId>,
) -> Result<impl Iterator<Item = Told> + use<>, Error> {
    let revoked = app.system.remove_api_keys_of(maker, tenant)?;
    Ok(revoked.into_iter().map(move |key| {
        let event = Event::new(Action::KeyRevoke)
            .on("key", key.id)
            .with("name", key.name)
            .with("made_by", maker.to_string());
        Told::OfTenant(key.tenant, event)
    }))
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
