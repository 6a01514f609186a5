//! The users of the appliance.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a user is made without a password and gets in by a one-time link.

use std::sync::Arc;

use super::members;
use crate::app::audit::{self, Action, Event, Told};
use crate::app::{App, Error, blocking};
use crate::auth::Actor;
use crate::types::{ApplianceRole, UserId, is_user_name};

pub use crate::system::{User, UserUpdate};

/// Makes a user.
///
/// # Errors
/// `Conflict` for a name that is taken, `Invalid` for one that is malformed.
pub async fn create(
    app: &Arc<App>,
    actor: &Actor,
    name: String,
    appliance_role: Option<ApplianceRole>,
) -> Result<User, Error> {
    if !is_user_name(&name) {
        return Err(crate::auth::LinkError::Name.into());
    }
    audit::recorded(app, actor, move |app| {
        let user = app.authority.new_user(&name, appliance_role);
        app.system.add_user(&user, None)?;
        let event = about(Action::UserCreate, &user)
            .with_some("appliance_role", user.appliance_role.map(ApplianceRole::as_str));
        Ok((user, vec![Told::OfAppliance(event)]))
    })
    .await
}

fn about(action: Action, user: &User) -> Event {
    Event::new(action).on("user", user.id).with("name", user.name.clone())
}

/// Users after `cursor`.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(
    app: &Arc<App>,
    cursor: Option<UserId>,
    limit: usize,
) -> Result<(Vec<User>, Option<UserId>), Error> {
    let app = app.clone();
    blocking(move || {
        let mut found = app.system.list_users(cursor, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|user| user.id) } else { None };
        Ok((found, next))
    })
    .await
}

/// Users read at a time when all are wanted.
const PAGE: usize = 256;

pub(super) fn all(app: &App) -> Result<Vec<User>, Error> {
    let mut all: Vec<User> = Vec::new();
    loop {
        let page = app.system.list_users(all.last().map(|user| user.id), PAGE)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The user of this id or name.
///
/// # Errors
/// `NotFound`.
pub async fn get(app: &Arc<App>, user: String) -> Result<User, Error> {
    let app = app.clone();
    blocking(move || app.system.find_user(&user)?.ok_or(Error::NotFound)).await
}

/// Changes the user of this id or name. One who is enabled may try to sign in at once.
///
/// # Errors
/// `NotFound`; `Conflict` where no admin could sign in any more.
pub async fn change(
    app: &Arc<App>,
    actor: &Actor,
    user: String,
    update: UserUpdate,
) -> Result<User, Error> {
    audit::recorded(app, actor, move |app| {
        let found = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        if !app.system.change_user(found.id, update, app.clock.now())? {
            return Err(Error::NotFound);
        }
        if update.disabled == Some(false) {
            app.authority.forgive(&found.name)?;
        }
        let user = app.system.find_user(&found.id.to_string())?.ok_or(Error::NotFound)?;
        let role = update.appliance_role.map(|role| role.map_or("none", ApplianceRole::as_str));
        let event = about(Action::UserChange, &user)
            .with_some("appliance_role", role)
            .with_some("disabled", update.disabled);
        let told = members::told_of(app, user.id, &event)?;
        Ok((user, told))
    })
    .await
}

/// Removes the user of this id or name, with memberships, sessions and the keys they made.
///
/// # Errors
/// `NotFound`; `Conflict` where no admin could sign in any more.
pub async fn remove(app: &Arc<App>, actor: &Actor, user: String) -> Result<(), Error> {
    audit::recorded(app, actor, move |app| {
        let found = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        let mut told = vec![Told::OfAppliance(about(Action::UserDelete, &found))];
        // The tenants they were in are told as well: their trails say who could enter.
        for belonging in app.system.list_memberships(found.id)? {
            if let Some(before) = app.system.find_membership(belonging.tenant, found.id)? {
                told.push(Told::OfTenant(belonging.tenant, members::departure(&before)));
            }
        }
        told.extend(members::revoke_keys_of(app, found.id, None)?);
        match app.system.remove_user(found.id)? {
            true => Ok(((), told)),
            false => Err(Error::NotFound),
        }
    })
    .await
}

/// Takes the second factor from the user of this id or name: the console's help for a lost one.
///
/// # Errors
/// `NotFound`.
pub async fn reset_totp(app: &Arc<App>, user: String) -> Result<(), Error> {
    audit::recorded(app, &Actor::Console, move |app| {
        let found = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        app.authority.forgive(&found.name)?;
        app.system.clear_totp(found.id, app.clock.now())?;
        let event = about(Action::ConsoleReset, &found).with("what", "second_factor");
        Ok(((), members::told_of(app, found.id, &event)?))
    })
    .await
}
