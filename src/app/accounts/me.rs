//! A user's own account: password, second factor, sessions.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a user sees and ends their own sessions only.

use std::sync::Arc;

use super::of_own;
use crate::app::audit::{self, Action, Event, Told};
use crate::app::{App, Error, blocking};
use crate::auth::{ActiveSession, Peer, RecoveryCodes, SignInError, TotpOffer};
use crate::types::SessionId;

pub use crate::system::SessionRecord;

/// A secret for an authenticator, with its picture.
pub struct ShownOffer {
    pub offer: TotpOffer,
    /// The address in `offer` as a QR code.
    pub qr_svg: String,
}

/// Sets another password and ends the user's other sessions.
///
/// # Errors
/// `SignIn` where `old` is not the present password; `Invalid` for one that is not taken.
pub async fn change_password(
    app: &Arc<App>,
    session: ActiveSession,
    old: String,
    new: String,
    peer: Peer,
) -> Result<(), Error> {
    let own = session.clone();
    of_own(app, &session, Action::UserPassword, move |app, record| {
        Ok(app.authority.change_password(&own, &old, &new, &peer, record)?)
    })
    .await
}

/// Makes a secret for a second factor.
///
/// # Errors
/// `SignIn` for a wrong password, or where there is a second factor already; when the appliance
/// database cannot be written.
pub async fn offer_totp(
    app: &Arc<App>,
    session: ActiveSession,
    password: String,
    peer: Peer,
) -> Result<ShownOffer, Error> {
    let user = session.user;
    let offered =
        super::hashing(app, move |app| Ok(app.authority.offer_totp(user, &password, &peer)?));
    match offered.await {
        Ok(offer) => {
            let qr_svg = super::qr::svg(&offer.uri);
            Ok(ShownOffer { offer, qr_svg })
        }
        // Nothing is changed yet, but somebody guesses a password.
        Err(error @ Error::SignIn(SignInError::WrongPassword)) => {
            let event = Event::new(Action::UserTotpEnable).on("user", user);
            audit::concluded_for_appliance(app, &session.actor, event, Err(error)).await
        }
        Err(error) => Err(error),
    }
}

/// Makes the offered secret the second factor.
///
/// # Errors
/// `SignIn` for a wrong code.
pub async fn confirm_totp(
    app: &Arc<App>,
    session: ActiveSession,
    code: String,
) -> Result<RecoveryCodes, Error> {
    let user = session.user;
    of_own(app, &session, Action::UserTotpEnable, move |app, record| {
        Ok(app.authority.confirm_totp(user, &code, record)?)
    })
    .await
}

/// Does without a second factor.
///
/// # Errors
/// `SignIn` for a wrong password.
pub async fn remove_totp(
    app: &Arc<App>,
    session: ActiveSession,
    password: String,
    peer: Peer,
) -> Result<(), Error> {
    let user = session.user;
    of_own(app, &session, Action::UserTotpDisable, move |app, record| {
        Ok(app.authority.remove_totp(user, &password, &peer, record)?)
    })
    .await
}

/// The user's live sessions.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn sessions(
    app: &Arc<App>,
    session: &ActiveSession,
) -> Result<Vec<SessionRecord>, Error> {
    let (app, user) = (app.clone(), session.user);
    blocking(move || Ok(app.authority.sessions(user)?)).await
}

/// Ends one of the user's sessions.
///
/// # Errors
/// `NotFound`.
pub async fn end_session(
    app: &Arc<App>,
    session: &ActiveSession,
    ended: SessionId,
) -> Result<(), Error> {
    let user = session.user;
    audit::recorded(app, &session.actor, move |app| {
        if !app.system.revoke_session(user, ended)? {
            return Err(Error::NotFound);
        }
        let event = Event::new(Action::SessionRevoke).on("session", ended);
        Ok(((), vec![Told::OfAppliance(event)]))
    })
    .await
}

/// Ends every session of the user, this one too.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn end_sessions(app: &Arc<App>, session: &ActiveSession) -> Result<(), Error> {
    let user = session.user;
    audit::recorded(app, &session.actor, move |app| {
        app.system.revoke_sessions(user, None)?;
        let event = Event::new(Action::SessionRevoke).on("user", user);
        Ok(((), vec![Told::OfAppliance(event)]))
    })
    .await
}
