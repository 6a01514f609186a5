//! Signing in and out, and who a caller is.
//!
//! Called by: `http`. Talks to: `auth`, `system`.
//! Invariants: a refusal says no more than `auth` lets it.

use std::sync::Arc;

use crate::app::audit::{self, Action, Event, Occasion, Record, Told};
use crate::app::{App, Error, blocking, status};
use crate::auth::{Actor, Peer, SignInError, SignedIn, UseBy};
use crate::types::{Role, TenantId};

pub use crate::system::User;

/// What somebody sends to sign in. No `Debug`: it holds secrets.
pub struct Presented {
    pub name: String,
    pub password: String,
    /// Code of the second factor, or a recovery code.
    pub code: Option<String>,
}

/// A tenant that a caller belongs to.
#[derive(Clone, Debug)]
pub struct Belonging {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub role: Role,
}

/// Who a caller is, as they are shown it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user: Option<User>,
    pub belongings: Vec<Belonging>,
}

/// Opens a session.
///
/// # Errors
/// `SignIn`, with why not.
pub async fn sign_in(app: &Arc<App>, given: Presented, peer: Peer) -> Result<SignedIn, Error> {
    let claimed = given.name.clone();
    let origin = audit::origin();
    let signed_in = super::hashing(app, move |app| {
        let code = given.code.as_deref();
        let at = app.clock.now();
        let recording = |signed_in: Option<&SignedIn>| {
            let actor = |signed_in: &SignedIn| audit::party(&signed_in.session.actor);
            let occasion = |actor| Occasion { at, actor, origin: origin.clone() };
            signed_in
                .map_or_else(Vec::new, |signed_in| opened(&occasion(actor(signed_in)), signed_in))
        };
        Ok(app.authority.sign_in(&given.name, &given.password, code, &peer, &recording)?)
    });
    match signed_in.await {
        Ok(signed_in) => Ok(signed_in),
        Err(error) => {
            super::not_let_in(app, claimed, &error).await?;
            Err(told_of_clock(app, error).await)
        }
    }
}

/// A wrong code, told with the likely reason where the clock is far off: then no code is right.
async fn told_of_clock(app: &Arc<App>, error: Error) -> Error {
    let wrong = matches!(error, Error::SignIn(SignInError::CodeWrong));
    if wrong && matches!(status::clock_behind(app).await, Ok(Some(_))) {
        return SignInError::CodeOrClockWrong { now: app.clock.now() }.into();
    }
    error
}

/// What goes on record when a session is opened, and a recovery code used up for it.
pub(super) fn opened(occasion: &Occasion, signed_in: &SignedIn) -> Vec<Record> {
    let session = &signed_in.session;
    let recovered = signed_in
        .by_recovery_code
        .then(|| Event::new(Action::UserRecoveryCode).on("user", session.user));
    let signed_in = Event::new(Action::SessionSignIn).on("session", session.id);
    recovered.into_iter().chain([signed_in]).map(|event| occasion.clone().record(event)).collect()
}

/// Ends the session behind a cookie.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn sign_out(app: &Arc<App>, session: String) -> Result<(), Error> {
    let (shared, presented) = (app.clone(), session.clone());
    let live = blocking(move || Ok(shared.authority.session(&presented, UseBy::Page)?)).await?;
    let Some(live) = live else {
        let app = app.clone();
        return blocking(move || Ok(app.authority.sign_out(&session)?)).await;
    };
    audit::recorded(app, &live.actor, move |app| {
        app.authority.sign_out(&session)?;
        let event = Event::new(Action::SessionSignOut).on("session", live.id);
        Ok(((), vec![Told::OfAppliance(event)]))
    })
    .await
}

/// The account and the tenants of a caller.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn identify(app: &Arc<App>, actor: Actor) -> Result<Identity, Error> {
    let app = app.clone();
    blocking(move || match actor {
        Actor::User { id, .. } => {
            let belongings =
                app.system.list_memberships(id)?.into_iter().map(|membership| Belonging {
                    tenant: membership.tenant,
                    tenant_name: membership.tenant_name,
                    role: membership.role,
                });
            let belongings = belongings.collect();
            Ok(Identity { user: app.system.find_user(&id.to_string())?, belongings })
        }
        Actor::ApiKey { tenant, role, .. } => {
            let found = app.system.find_tenant(&tenant.to_string())?;
            let belongings = found.into_iter().map(|record| Belonging {
                tenant,
                tenant_name: record.name,
                role,
            });
            Ok(Identity { user: None, belongings: belongings.collect() })
        }
        Actor::Console | Actor::System(_) => Ok(Identity { user: None, belongings: Vec::new() }),
    })
    .await
}
