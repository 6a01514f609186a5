//! API keys over HTTP.
//!
//! Called by: the router. Talks to: `app::keys`.
//! Invariants: a program that holds a key cannot make or see keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Failure, Problem};
use super::extract::{Body, Granted, Id};
use crate::app::App;
use crate::app::keys::{self, ApiKey};
use crate::auth::Manage;
use crate::types::{ApiKeyId, Role};

#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    #[schema(value_type = String)]
    id: ApiKeyId,
    name: String,
    role: Role,
    /// Name of the user who made it; `null` for the console.
    created_by: Option<String>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    last_used_at: Option<Timestamp>,
    /// True while it opens nothing, since whoever made it is disabled or no owner of the tenant.
    rests: bool,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            role: key.role,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            rests: key.rests,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewKey {
    name: String,
    /// An editor where nothing else is said: what a program needs that takes documents in.
    role: Option<Role>,
    /// Absent for a key that lasts until it is revoked.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    #[schema(value_type = String)]
    id: ApiKeyId,
    name: String,
    role: Role,
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// The key. It is shown this once.
    key: String,
}

/// Keys of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(("tenant" = String, Path)),
    responses((status = 200, body = KeyList), (status = 404, body = Problem)))]
pub(super) async fn list_keys(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Manage>,
) -> Result<Json<KeyList>, Failure> {
    let keys = keys::list(&app, &grant).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(Into::into).collect() }))
}

/// Makes a key.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(("tenant" = String, Path)), request_body = NewKey,
    responses((status = 201, body = CreatedKey), (status = 404, body = Problem)))]
pub(super) async fn create_key(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Manage>,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Failure> {
    let new = keys::NewKey {
        name: new.name,
        role: new.role.unwrap_or(Role::Editor),
        expires_at: new.expires_at,
    };
    let (key, token) = keys::create(&app, &grant, new).await?;
    let created = CreatedKey {
        id: key.id,
        name: key.name,
        role: key.role,
        expires_at: key.expires_at,
        key: token.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a key.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/keys/{id}", tag = "keys",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke_key(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Manage>,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, Failure> {
    keys::revoke(&app, &grant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
