//! People: how they get in, their own account, the users of the appliance, members of tenants.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: passwords are hashed a few at a time, off the async threads; what is shown once is
//! returned once and stored as a digest.

pub mod me;
pub mod members;
mod qr;
pub mod setup;
pub mod sign_in;
pub mod users;

use std::sync::Arc;

use super::audit::{self, Action, Event, Outcome, Party, Record};
use super::{App, Error, blocking};
use crate::auth::{ActiveSession, SignInError};

/// Runs work that hashes passwords: in turn, since each hash takes memory and a core.
async fn hashing<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let turn = app.authority.hashing_turn().await;
    let app = app.clone();
    blocking(move || {
        let done = work(&app);
        drop(turn);
        done
    })
    .await
}

/// Records that somebody was not let in. A claimed name is recorded only where there is such a
/// user: what was typed may be a password in the wrong field. An attempt that was not even tried
/// leaves no entry, or anybody could fill the disk with them.
async fn not_let_in(app: &Arc<App>, claimed: String, error: &Error) -> Result<(), Error> {
    let reason = match error {
        Error::SignIn(SignInError::TooManyAttempts { .. }) => return Ok(()),
        Error::SignIn(reason) => reason.to_string(),
        _ => return Ok(()),
    };
    let shared = app.clone();
    let known = blocking(move || Ok(shared.system.find_user(&claimed)?)).await?;
    let event = Event::new(Action::SessionRefused).ended(Outcome::Refused).with("reason", reason);
    let event = match known {
        Some(user) => event.on("user", user.id).with("name", user.name),
        None => event,
    };
    audit::record_appliance_as(app, Party::anonymous(), event).await
}

/// Has a user change their own account: `change` puts the record into the trail with the change,
/// and what fails goes on record as well.
async fn of_own<T: Send + 'static>(
    app: &Arc<App>,
    session: &ActiveSession,
    action: Action,
    change: impl FnOnce(&App, Record) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let event = Event::new(action).on("user", session.user);
    let occasion = audit::here(app.clock.now(), audit::party(&session.actor));
    let record = occasion.record(event.clone());
    match hashing(app, move |app| change(app, record)).await {
        Ok(changed) => Ok(changed),
        Err(error @ Error::SignIn(SignInError::TooManyAttempts { .. })) => Err(error),
        failed => audit::concluded_for_appliance(app, &session.actor, event, failed).await,
    }
}
