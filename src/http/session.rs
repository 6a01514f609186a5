//! Signing in by a one-time link, and out.
//!
//! Called by: the router. Talks to: `auth`, `app::keys`.
//! Invariants: the cookie is not readable by scripts and is sent to this site only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Failure, Problem};
use super::extract::{Body, Caller, SESSION_COOKIE, session_token};
use crate::app::{App, blocking, keys};
use crate::auth::Actor;
use crate::error::ErrorCode;

#[derive(Deserialize, ToSchema)]
pub(super) struct SignIn {
    /// The token at the end of a one-time link.
    link_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// `admin`, `operator` or `api_key`.
    actor: &'static str,
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Link {
    link: String,
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

fn describe(actor: &Actor) -> Session {
    let name = match actor {
        Actor::ApiKey { name, .. } => Some(name.clone()),
        _ => None,
    };
    Session { actor: actor.kind(), name }
}

/// Trades a one-time link for a session.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    jar: CookieJar,
    Body(request): Body<SignIn>,
) -> Result<(CookieJar, Json<Session>), Failure> {
    let lifetime = SignedDuration::from_hours(i64::from(app.server.session_hours));
    let authority = app.authority.clone();
    let signed_in =
        blocking(move || Ok(authority.redeem_link(&request.link_token, lifetime)?)).await?;
    let Some(signed_in) = signed_in else {
        return Err(Failure::new(
            ErrorCode::Unauthenticated,
            "this link was used already or has expired; `cairn link` makes a new one",
        ));
    };
    let cookie = Cookie::build((SESSION_COOKIE, signed_in.token.reveal().to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .build();
    Ok((jar.add(cookie), Json(describe(&Actor::Admin))))
}

/// Who this request acts as.
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
pub(super) async fn get_session(Caller(actor): Caller) -> Json<Session> {
    Json(describe(&actor))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    jar: CookieJar,
) -> Result<(CookieJar, StatusCode), Failure> {
    if let Some(session) = session_token(&headers) {
        let authority = app.authority.clone();
        blocking(move || Ok(authority.sign_out(&session)?)).await?;
    }
    let gone = Cookie::build((SESSION_COOKIE, "")).path("/").build();
    Ok((jar.remove(gone), StatusCode::NO_CONTENT))
}

/// Makes a one-time link to the dashboard.
#[utoipa::path(post, path = "/api/v1/links", tag = "session",
    responses((status = 201, body = Link), (status = 404, body = Problem)))]
pub(super) async fn create_link(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
) -> Result<(StatusCode, Json<Link>), Failure> {
    if actor != Actor::Operator {
        return Err(Failure::not_found());
    }
    let (link, expires_at) = keys::make_link(&app).await?;
    Ok((StatusCode::CREATED, Json(Link { link, expires_at })))
}
