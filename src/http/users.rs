//! Users of the appliance over HTTP.
//!
//! Called by: the router. Talks to: `app::accounts::users`.
//! Invariants: admins and the console only; to anybody else these pages are absent.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Administrator, Console};
use super::error::{Failure, Problem};
use super::extract::{Body, Params, UserName, cursor, given, page_limit};
use crate::app::App;
use crate::app::accounts::users::{self, User, UserUpdate};
use crate::types::{ApplianceRole, UserId};

#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    appliance_role: Option<ApplianceRole>,
    disabled: bool,
    /// False until the user has used their first link.
    has_password: bool,
    totp_enabled: bool,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    last_sign_in_at: Option<Timestamp>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            appliance_role: user.appliance_role,
            disabled: user.disabled,
            has_password: user.has_password,
            totp_enabled: user.totp_enabled,
            created_at: user.created_at,
            last_sign_in_at: user.last_sign_in_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserPage {
    users: Vec<UserView>,
    #[schema(value_type = Option<String>)]
    next_cursor: Option<UserId>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct UserParams {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewUser {
    name: String,
    appliance_role: Option<ApplianceRole>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ChangedUser {
    /// `null` takes the role away; absent leaves it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ApplianceRole>)]
    appliance_role: Option<Option<ApplianceRole>>,
    disabled: Option<bool>,
}

/// All users.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(UserParams),
    responses((status = 200, body = UserPage), (status = 404, body = Problem)))]
pub(super) async fn list_users(
    State(app): State<Arc<App>>,
    _admin: Administrator,
    Params(page): Params<UserParams>,
) -> Result<Json<UserPage>, Failure> {
    let after = cursor(page.cursor.as_deref())?;
    let (found, next_cursor) = users::list(&app, after, page_limit(page.limit)).await?;
    Ok(Json(UserPage { users: found.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Makes a user, who gets in by a link of `POST …/link`.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create_user(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<UserView>), Failure> {
    let user = users::create(&app, &actor, new.name, new.appliance_role).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// A user.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Id or name")),
    responses((status = 200, body = UserView), (status = 404, body = Problem)))]
pub(super) async fn get_user(
    State(app): State<Arc<App>>,
    _admin: Administrator,
    UserName(user): UserName,
) -> Result<Json<UserView>, Failure> {
    Ok(Json(users::get(&app, user).await?.into()))
}

/// Changes a user's role on the appliance, or keeps them out.
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Id or name")), request_body = ChangedUser,
    responses((status = 200, body = UserView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn change_user(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    UserName(user): UserName,
    Body(change): Body<ChangedUser>,
) -> Result<Json<UserView>, Failure> {
    let update = UserUpdate { appliance_role: change.appliance_role, disabled: change.disabled };
    Ok(Json(users::change(&app, &actor, user, update).await?.into()))
}

/// Removes a user with memberships and sessions.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Id or name")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn delete_user(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    UserName(user): UserName,
) -> Result<StatusCode, Failure> {
    users::remove(&app, &actor, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a user's second factor away, at the console.
#[utoipa::path(delete, path = "/api/v1/users/{user}/totp", tag = "users",
    params(("user" = String, Path, description = "Id or name")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn reset_totp(
    State(app): State<Arc<App>>,
    _console: Console,
    UserName(user): UserName,
) -> Result<StatusCode, Failure> {
    users::reset_totp(&app, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
