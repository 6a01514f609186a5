//! One-time links: made at the console or by an admin, redeemed by whoever is given one.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a link is shown once, at the moment it is made.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::members;
use super::sign_in::opened;
use crate::app::audit::{self, Action, Event, Occasion, Origin, Record, Told};
use crate::app::{App, Error, blocking};
use crate::auth::{Actor, Peer, Redemption, SignedIn};
use crate::system::{Link, User};
use crate::types::{ApplianceRole, LinkPurpose};

/// A link as it is shown.
#[derive(Clone)]
pub struct ShownLink {
    pub link: String,
    pub purpose: LinkPurpose,
    /// Whose password it sets.
    pub user_name: Option<String>,
    pub expires_at: Timestamp,
}

/// What a link is for.
#[derive(Clone, Debug)]
pub struct Purpose {
    pub purpose: LinkPurpose,
    pub user_name: Option<String>,
}

/// What the holder of a link sends. No `Debug`: it holds secrets.
pub struct Given {
    pub token: String,
    pub name: Option<String>,
    pub password: String,
    pub code: Option<String>,
}

/// Makes a link for the user of this id or name. Without one it is for the first admin, or, where
/// there is exactly one, for that one.
///
/// # Errors
/// `NotFound` for an unknown user; `Conflict` where a name is needed to tell admins apart.
pub async fn make_link(
    app: &Arc<App>,
    actor: &Actor,
    user: Option<String>,
) -> Result<ShownLink, Error> {
    let action = match actor {
        Actor::Console => Action::ConsoleLink,
        _ => Action::UserLink,
    };
    audit::recorded(app, actor, move |app| {
        let user = match user {
            Some(user) => Some(app.system.find_user(&user)?.ok_or(Error::NotFound)?),
            None => only_admin(app)?,
        };
        let lifetime = SignedDuration::from_mins(i64::from(app.server.link_minutes));
        let made = app.authority.make_link(user.as_ref().map(|user| user.id), lifetime)?;
        let shown = ShownLink {
            link: format!("{}/#/setup/{}", app.tls.names().origin(), made.token.reveal()),
            purpose: made.purpose,
            user_name: user.as_ref().map(|user| user.name.clone()),
            expires_at: made.expires_at,
        };
        let event = Event::new(action)
            .with("purpose", shown.purpose.as_str())
            .with("expires_at", shown.expires_at.to_string());
        let told = match user {
            Some(user) => members::told_of(app, user.id, &event.on("user", user.id))?,
            None => vec![Told::OfAppliance(event)],
        };
        Ok((shown, told))
    })
    .await
}

/// The admin who can sign in, if there is exactly one.
fn only_admin(app: &App) -> Result<Option<User>, Error> {
    let mut admins = super::users::all(app)?;
    admins.retain(|user| {
        user.appliance_role == Some(ApplianceRole::Admin) && !user.disabled && user.has_password
    });
    Ok(if admins.len() == 1 { admins.pop() } else { None })
}

/// What a link is for.
///
/// # Errors
/// `LinkDead`.
pub async fn inspect(app: &Arc<App>, token: String) -> Result<Purpose, Error> {
    let app = app.clone();
    blocking(move || {
        let link = app.authority.inspect_link(&token)?;
        Ok(Purpose { purpose: link.purpose, user_name: link.user.map(|(_, name)| name) })
    })
    .await
}

/// Uses a link and signs its holder in; nobody is signed in without a `peer`, at the console.
///
/// # Errors
/// `LinkDead`; `Invalid` for a name or password that is not taken; `SignIn` where a second factor
/// is needed.
pub async fn redeem(
    app: &Arc<App>,
    given: Given,
    peer: Option<Peer>,
) -> Result<Option<SignedIn>, Error> {
    let origin = audit::origin();
    let redeemed = super::hashing(app, move |app| {
        // Asked for first, since it is gone afterwards.
        let link = app.authority.inspect_link(&given.token)?;
        let redemption = Redemption {
            token: &given.token,
            name: given.name.as_deref(),
            password: &given.password,
            code: given.code.as_deref(),
        };
        let at = app.clock.now();
        let recording = |signed_in: Option<&SignedIn>| redeemed_by(&link, signed_in, at, &origin);
        let redeemed = app.authority.redeem_link(&redemption, peer.as_ref(), &recording);
        Ok((link.user, redeemed.map_err(Error::from)))
    });
    let (user, redeemed) = redeemed.await?;
    if let Err(error) = &redeemed {
        let name = user.map(|(_, name)| name).unwrap_or_default();
        super::not_let_in(app, name, error).await?;
    }
    redeemed
}

/// What goes on record when a link was used.
fn redeemed_by(
    link: &Link,
    signed_in: Option<&SignedIn>,
    at: Timestamp,
    origin: &Origin,
) -> Vec<Record> {
    let action = match (link.purpose, signed_in) {
        (LinkPurpose::FirstAdmin, _) => Action::ApplianceSetup,
        (LinkPurpose::Reset, Some(_)) => Action::UserPassword,
        (LinkPurpose::Reset, None) => Action::ConsoleReset,
    };
    let event = Event::new(action).with("by", "link");
    let event = match &link.user {
        Some((user, _)) => event.on("user", *user),
        None => event,
    };
    let actor = signed_in.map_or(&Actor::Console, |signed_in| &signed_in.session.actor);
    let occasion = Occasion { at, actor: audit::party(actor), origin: origin.clone() };
    let mut records = vec![occasion.clone().record(event)];
    if let Some(signed_in) = signed_in {
        records.extend(opened(&occasion, signed_in));
    }
    records
}
