//! API keys of a tenant.
//!
//! Called by: `http`. Talks to: `system`.
//! Invariants: a key is shown once, at the moment it is made; a program that holds one can
//! neither make nor see keys.

use std::sync::Arc;

use jiff::Timestamp;

use super::audit::{self, Action, Event, Told};
use super::{App, Error, blocking};
use crate::auth::{Actor, AuthError, Grant, Manage};
use crate::crypto::Token;
use crate::types::{ApiKeyId, Feature, Role};

pub use crate::system::ApiKey;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub role: Role,
    /// `None` for a key that lasts until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// Makes a key for a tenant; the token is not stored and cannot be shown again.
///
/// # Errors
/// `Invalid` for an empty or overlong name or an expiry that is past; `NotInTier`; `NotFound` for
/// a key.
pub async fn create(
    app: &Arc<App>,
    grant: &Grant<Manage>,
    new: NewKey,
) -> Result<(ApiKey, Token), Error> {
    for_people(grant)?;
    if new.name.trim().is_empty() || new.name.len() > MAX_NAME_BYTES {
        return Err(Error::invalid(format!("a key needs a name of 1 to {MAX_NAME_BYTES} bytes")));
    }
    let now = app.clock.now();
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::invalid("a key cannot expire before it is made"));
    }
    let tenant = grant.tenant();
    app.standing(tenant).await?.require(Feature::ApiKeys)?;
    let created_by = grant.actor().name().map(str::to_owned);
    let maker = match grant.actor() {
        Actor::User { id, .. } => Some(*id),
        _ => None,
    };
    audit::recorded(app, grant.actor(), move |app| {
        let token = Token::generate("cairn_").map_err(AuthError::Random)?;
        let key = ApiKey {
            id: ApiKeyId::generate(),
            name: new.name,
            role: new.role,
            created_by,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
            rests: false,
        };
        app.system.add_api_key(tenant, &key, &token.digest(), maker)?;
        let event = Event::new(Action::KeyCreate)
            .on("key", key.id)
            .with("name", key.name.clone())
            .with("role", key.role.as_str())
            .with_some("expires_at", key.expires_at.map(|at| at.to_string()));
        Ok(((key, token), vec![Told::OfTenant(tenant, event)]))
    })
    .await
}

/// The keys of a tenant, expired ones too.
///
/// # Errors
/// `NotFound` for a key; when the appliance database cannot be read.
pub async fn list(app: &Arc<App>, grant: &Grant<Manage>) -> Result<Vec<ApiKey>, Error> {
    for_people(grant)?;
    let (app, tenant) = (app.clone(), grant.tenant());
    blocking(move || Ok(app.system.list_api_keys(tenant)?)).await
}

/// Revokes a key.
///
/// # Errors
/// `NotFound`.
pub async fn revoke(app: &Arc<App>, grant: &Grant<Manage>, key: ApiKeyId) -> Result<(), Error> {
    for_people(grant)?;
    let tenant = grant.tenant();
    audit::recorded(app, grant.actor(), move |app| {
        if !app.system.remove_api_key(tenant, key)? {
            return Err(Error::NotFound);
        }
        let event = Event::new(Action::KeyRevoke).on("key", key);
        Ok(((), vec![Told::OfTenant(tenant, event)]))
    })
    .await
}

fn for_people(grant: &Grant<Manage>) -> Result<(), Error> {
    match grant.actor() {
        Actor::ApiKey { .. } => Err(Error::NotFound),
        _ => Ok(()),
    }
}
