//! A user's own account: password, second factor, sessions.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a user sees and ends their own sessions only.

use std::sync::Arc;

use super::of_own;
use crate::app::audit::{self, Action, Event};
use crate::app::{App, Error, blocking};
use crate::auth::{ActiveSession, Peer, RecoveryCodes, TotpOffer};
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
    let (user, id) = (session.user, session.id);
    let changed = super::hashing(app, move |app| {
        Ok(app.authority.change_password(user, id, &old, &new, &peer)?)
    });
    of_own(app, &session, Action::UserPassword, changed.await).await
}

/// Makes a secret for a second factor.
///
/// # Errors
/// `SignIn` where there is one already; when the appliance database cannot be written.
pub async fn offer_totp(app: &Arc<App>, session: ActiveSession) -> Result<ShownOffer, Error> {
    let app = app.clone();
    blocking(move || {
        let offer = app.authority.offer_totp(session.user)?;
        let qr_svg = super::qr::svg(&offer.uri);
        Ok(ShownOffer { offer, qr_svg })
    })
    .await
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
    let (shared, user) = (app.clone(), session.user);
    let confirmed = blocking(move || Ok(shared.authority.confirm_totp(user, &code)?)).await;
    of_own(app, &session, Action::UserTotpEnable, confirmed).await
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
    let removed =
        super::hashing(app, move |app| Ok(app.authority.remove_totp(user, &password, &peer)?));
    of_own(app, &session, Action::UserTotpDisable, removed.await).await
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
    let (shared, user) = (app.clone(), session.user);
    if !blocking(move || Ok(shared.system.revoke_session(user, ended)?)).await? {
        return Err(Error::NotFound);
    }
    let event = Event::new(Action::SessionRevoke).on("session", ended);
    audit::record_appliance(app, &session.actor, event).await
}

/// Ends every session of the user, this one too.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn end_sessions(app: &Arc<App>, session: &ActiveSession) -> Result<(), Error> {
    let (shared, user) = (app.clone(), session.user);
    let ended = blocking(move || Ok(shared.system.revoke_sessions(user, None).map(drop)?)).await;
    of_own(app, session, Action::SessionRevoke, ended).await
}
