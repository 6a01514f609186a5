//! Members of a tenant over HTTP.
//!
//! Called by: the router. Talks to: `app::accounts::members`.
//! Invariants: owners of the tenant, admins and the console only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Failure, Problem};
use super::extract::{Body, Granted, UserName};
use crate::app::App;
use crate::app::accounts::members::{self, Membership};
use crate::auth::Admit;
use crate::types::{CollectionScope, Role, UserId};

#[derive(Serialize, ToSchema)]
pub(super) struct MemberView {
    #[schema(value_type = String)]
    user_id: UserId,
    user_name: String,
    role: Role,
    /// Ids of the collections in sight; `null` for all.
    #[schema(value_type = Option<Vec<String>>)]
    collections: CollectionScope,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<Membership> for MemberView {
    fn from(membership: Membership) -> Self {
        Self {
            user_id: membership.user,
            user_name: membership.user_name,
            role: membership.role,
            collections: membership.collections,
            created_at: membership.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct MemberList {
    members: Vec<MemberView>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct MemberSettings {
    role: Role,
    /// Ids of the collections in sight; `null` for all. It has to be said: what is forgotten must
    /// not open everything.
    #[serde(deserialize_with = "CollectionScope::deserialize")]
    #[schema(value_type = Option<Vec<String>>)]
    collections: CollectionScope,
}

/// Members of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/members", tag = "members",
    params(("tenant" = String, Path)),
    responses((status = 200, body = MemberList), (status = 404, body = Problem)))]
pub(super) async fn list_members(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Admit>,
) -> Result<Json<MemberList>, Failure> {
    let found = members::list(&app, &grant).await?;
    Ok(Json(MemberList { members: found.into_iter().map(Into::into).collect() }))
}

/// Makes a user a member, or changes what they may do.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(("tenant" = String, Path), ("user" = String, Path, description = "Id or name")),
    request_body = MemberSettings,
    responses((status = 200, body = MemberView), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn set_member(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Admit>,
    UserName(user): UserName,
    Body(settings): Body<MemberSettings>,
) -> Result<Json<MemberView>, Failure> {
    let MemberSettings { role, collections } = settings;
    Ok(Json(members::set(&app, &grant, user, role, collections).await?.into()))
}

/// Ends a membership.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(("tenant" = String, Path), ("user" = String, Path, description = "Id or name")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove_member(
    State(app): State<Arc<App>>,
    Granted(grant): Granted<Admit>,
    UserName(user): UserName,
) -> Result<StatusCode, Failure> {
    members::remove(&app, &grant, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
