//! API keys of a tenant and one-time links to the dashboard.
//!
//! Called by: `http`, `appliance`. Talks to: `system`, `auth`.
//! Invariants: a key is shown once, at the moment it is made.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{App, Error, blocking};
use crate::auth::{AuthError, Manage};
use crate::crypto::Token;
use crate::tenant::TenantHandle;
use crate::types::ApiKeyId;

pub use crate::system::ApiKey;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// Makes a key for a tenant; the token is not stored and cannot be shown again.
///
/// # Errors
/// `Invalid` for an empty or overlong name.
pub async fn create(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    name: String,
) -> Result<(ApiKey, Token), Error> {
    if name.trim().is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Error::invalid(format!("a key needs a name of 1 to {MAX_NAME_BYTES} bytes")));
    }
    let (app, tenant) = (app.clone(), tenant.id());
    blocking(move || {
        let token = Token::generate("cairn_").map_err(AuthError::Random)?;
        let key = ApiKey {
            id: ApiKeyId::generate(),
            name,
            created_at: app.clock.now(),
            last_used_at: None,
        };
        app.system.add_api_key(tenant, &key, &token.digest())?;
        Ok((key, token))
    })
    .await
}

/// The keys of a tenant.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(app: &Arc<App>, tenant: &TenantHandle<Manage>) -> Result<Vec<ApiKey>, Error> {
    let (app, tenant) = (app.clone(), tenant.id());
    blocking(move || Ok(app.system.list_api_keys(tenant)?)).await
}

/// Revokes a key.
///
/// # Errors
/// `NotFound`.
pub async fn revoke(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    key: ApiKeyId,
) -> Result<(), Error> {
    let (app, tenant) = (app.clone(), tenant.id());
    blocking(
        move || {
            if app.system.remove_api_key(tenant, key)? { Ok(()) } else { Err(Error::NotFound) }
        },
    )
    .await
}

/// Makes a one-time link to the dashboard.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn make_link(app: &Arc<App>) -> Result<(String, Timestamp), Error> {
    let app = app.clone();
    blocking(move || {
        let lifetime = SignedDuration::from_mins(i64::from(app.server.link_minutes));
        let made = app.authority.make_link(lifetime)?;
        let link = format!("http://{}/#/link/{}", app.server.listen, made.token.reveal());
        Ok((link, made.expires_at))
    })
    .await
}
