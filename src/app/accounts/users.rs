//! The users of the appliance.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a user is made without a password and gets in by a one-time link.

use std::sync::Arc;

use crate::app::audit::{self, Action, Event};
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
    let shared = app.clone();
    let made = blocking(move || {
        let user = shared.authority.new_user(&name, appliance_role);
        shared.system.add_user(&user, None)?;
        Ok(user)
    });
    let user = made.await?;
    let event = Event::new(Action::UserCreate)
        .on("user", user.id)
        .with("name", user.name.clone())
        .with_some("appliance_role", user.appliance_role.map(ApplianceRole::as_str));
    audit::record_appliance(app, actor, event).await?;
    Ok(user)
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
    let shared = app.clone();
    let changed = blocking(move || {
        let app = shared;
        let found = app.system.find_user(&user)?.ok_or(Error::NotFound)?;
        if !app.system.change_user(found.id, update, app.clock.now())? {
            return Err(Error::NotFound);
        }
        if update.disabled == Some(false) {
            app.authority.forgive(&found.name)?;
        }
        app.system.find_user(&found.id.to_string())?.ok_or(Error::NotFound)
    });
    let user = changed.await?;
    let role = update.appliance_role.map(|role| role.map_or("none", ApplianceRole::as_str));
    let event = Event::new(Action::UserChange)
        .on("user", user.id)
        .with("name", user.name.clone())
        .with_some("appliance_role", role)
        .with_some("disabled", update.disabled);
    audit::record_appliance(app, actor, event).await?;
    Ok(user)
}

/// Removes the user of this id or name, with memberships and sessions.
///
/// # Errors
/// `NotFound`; `Conflict` where no admin could sign in any more.
pub async fn remove(app: &Arc<App>, actor: &Actor, user: String) -> Result<(), Error> {
    let shared = app.clone();
    let removed = blocking(move || {
        let found = shared.system.find_user(&user)?.ok_or(Error::NotFound)?;
        match shared.system.remove_user(found.id)? {
            true => Ok(found),
            false => Err(Error::NotFound),
        }
    });
    let user = removed.await?;
    let event = Event::new(Action::UserDelete).on("user", user.id).with("name", user.name);
    audit::record_appliance(app, actor, event).await
}

/// Takes the second factor from the user of this id or name: the console's help for a lost one.
///
/// # Errors
/// `NotFound`.
pub async fn reset_totp(app: &Arc<App>, user: String) -> Result<(), Error> {
    let shared = app.clone();
    let reset = blocking(move || {
        let found = shared.system.find_user(&user)?.ok_or(Error::NotFound)?;
        shared.authority.forgive(&found.name)?;
        shared.system.clear_totp(found.id, shared.clock.now())?;
        Ok(found)
    });
    let user = reset.await?;
    let event = Event::new(Action::ConsoleReset)
        .on("user", user.id)
        .with("name", user.name)
        .with("what", "second_factor");
    audit::record_appliance(app, &Actor::Console, event).await
}
