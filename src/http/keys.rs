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
use super::extract::{Body, Id, Tenant};
use crate::app::App;
use crate::app::keys::{self, ApiKey};
use crate::auth::{Actor, Manage};
use crate::tenant::TenantHandle;
use crate::types::ApiKeyId;

#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    #[schema(value_type = String)]
    id: ApiKeyId,
    name: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    last_used_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
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
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    #[schema(value_type = String)]
    id: ApiKeyId,
    name: String,
    /// The key. It is shown this once.
    key: String,
}

fn for_people(tenant: &TenantHandle<Manage>) -> Result<(), Failure> {
    match tenant.actor() {
        Actor::ApiKey { .. } => Err(Failure::not_found()),
        _ => Ok(()),
    }
}

/// Keys of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(("tenant" = String, Path)),
    responses((status = 200, body = KeyList), (status = 404, body = Problem)))]
pub(super) async fn list_keys(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
) -> Result<Json<KeyList>, Failure> {
    for_people(&tenant)?;
    let keys = keys::list(&app, &tenant).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(Into::into).collect() }))
}

/// Makes a key.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(("tenant" = String, Path)), request_body = NewKey,
    responses((status = 201, body = CreatedKey), (status = 404, body = Problem)))]
pub(super) async fn create_key(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Failure> {
    for_people(&tenant)?;
    let (key, token) = keys::create(&app, &tenant, new.name).await?;
    let created = CreatedKey { id: key.id, name: key.name, key: token.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a key.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/keys/{id}", tag = "keys",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke_key(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, Failure> {
    for_people(&tenant)?;
    keys::revoke(&app, &tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
