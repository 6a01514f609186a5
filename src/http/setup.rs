//! One-time links over HTTP: what one is for, using it, making one.
//!
//! Called by: the router. Talks to: `app::accounts::setup`.
//! Invariants: using a link needs nothing but the link; a name and password that are refused leave
//! it alive.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Administrator, AtConsole, Console, FromOwnPage, Peer};
use super::cookie::Transport;
use super::error::{Failure, Problem};
use super::extract::{Body, Params, UserName};
use super::session::{Session, describe, opened};
use crate::app::App;
use crate::app::accounts::setup::{self, Given, ShownLink};
use crate::auth::Actor;
use crate::types::LinkPurpose;

#[derive(Deserialize, IntoParams)]
pub(super) struct LinkParams {
    /// The token at the end of a link.
    token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LinkView {
    purpose: LinkPurpose,
    /// Whose password it sets.
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Setup {
    /// The token at the end of a link.
    token: String,
    /// Name of the first admin; a link for a user knows whose it is.
    name: Option<String>,
    password: String,
    /// Code of the second factor, for a user who has one.
    totp: Option<String>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewLink {
    /// Id or name of the user whose password it sets. Without one the link makes the first admin
    /// or, where there is exactly one admin, sets the password of that one.
    user: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedLink {
    /// The link. It is shown this once and works once.
    link: String,
    purpose: LinkPurpose,
    name: Option<String>,
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

impl From<ShownLink> for CreatedLink {
    fn from(link: ShownLink) -> Self {
        Self {
            link: link.link,
            purpose: link.purpose,
            name: link.user_name,
            expires_at: link.expires_at,
        }
    }
}

/// What a one-time link is for.
#[utoipa::path(get, path = "/api/v1/setup", tag = "session", params(LinkParams),
    responses((status = 200, body = LinkView), (status = 401, body = Problem)))]
pub(super) async fn get_setup(
    State(app): State<Arc<App>>,
    Params(params): Params<LinkParams>,
) -> Result<Json<LinkView>, Failure> {
    let found = setup::inspect(&app, params.token).await?;
    Ok(Json(LinkView { purpose: found.purpose, name: found.user_name }))
}

/// Uses a one-time link: sets a password and signs in.
#[utoipa::path(post, path = "/api/v1/setup", tag = "session", request_body = Setup,
    responses((status = 201, body = Session), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn finish_setup(
    State(app): State<Arc<App>>,
    _own: FromOwnPage,
    AtConsole(console): AtConsole,
    Peer(peer): Peer,
    transport: Transport,
    jar: CookieJar,
    Body(given): Body<Setup>,
) -> Result<Response, Failure> {
    let given =
        Given { token: given.token, name: given.name, password: given.password, code: given.totp };
    // A person at the console sets the password of somebody else, and is nobody's browser.
    let peer = if console { None } else { Some(peer) };
    match setup::redeem(&app, given, peer).await? {
        Some(signed_in) => {
            let answer = opened(&app, transport, jar, signed_in).await?;
            Ok((StatusCode::CREATED, answer).into_response())
        }
        None => {
            let session = describe(&app, Actor::Console, None).await?;
            Ok((StatusCode::CREATED, Json(session)).into_response())
        }
    }
}

/// Makes a one-time link at the console.
#[utoipa::path(post, path = "/api/v1/links", tag = "session", request_body = NewLink,
    responses((status = 201, body = CreatedLink), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create_link(
    State(app): State<Arc<App>>,
    _console: Console,
    Body(new): Body<NewLink>,
) -> Result<(StatusCode, Json<CreatedLink>), Failure> {
    Ok((StatusCode::CREATED, Json(setup::make_link(&app, &Actor::Console, new.user).await?.into())))
}

/// Makes a one-time link that sets the password of a user.
#[utoipa::path(post, path = "/api/v1/users/{user}/link", tag = "users",
    params(("user" = String, Path, description = "Id or name")),
    responses((status = 201, body = CreatedLink), (status = 404, body = Problem)))]
pub(super) async fn create_user_link(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    UserName(user): UserName,
) -> Result<(StatusCode, Json<CreatedLink>), Failure> {
    Ok((StatusCode::CREATED, Json(setup::make_link(&app, &actor, Some(user)).await?.into())))
}
