//! A user's own account over HTTP: password, second factor, sessions.
//!
//! Called by: the router. Talks to: `app::accounts::me`.
//! Invariants: a key and the console have no account and get the answer of an absent page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum_extra::extract::CookieJar;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Peer, Person};
use super::cookie::Transport;
use super::error::{Failure, Problem};
use super::extract::{Body, Id};
use crate::app::App;
use crate::app::accounts::me::{self, SessionRecord};
use crate::types::SessionId;

#[derive(Deserialize, ToSchema)]
pub(super) struct ChangePassword {
    old: String,
    new: String,
}

/// Sets another password and ends the user's other sessions.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "me", request_body = ChangePassword,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Peer(peer): Peer,
    Body(change): Body<ChangePassword>,
) -> Result<StatusCode, Failure> {
    me::change_password(&app, session, change.old, change.new, peer).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub(super) struct Offer {
    /// For typing into an authenticator.
    secret: String,
    /// For scanning.
    uri: String,
    /// `uri` as a picture.
    qr_svg: String,
}

/// Offers a secret for a second factor.
#[utoipa::path(post, path = "/api/v1/me/totp", tag = "me", request_body = Password,
    responses((status = 200, body = Offer), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn offer_totp(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Peer(peer): Peer,
    Body(given): Body<Password>,
) -> Result<Json<Offer>, Failure> {
    let shown = me::offer_totp(&app, session, given.password, peer).await?;
    Ok(Json(Offer {
        secret: shown.offer.secret.to_string(),
        uri: shown.offer.uri.to_string(),
        qr_svg: shown.qr_svg,
    }))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Confirmation {
    code: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryView {
    /// Each signs in once where the authenticator is lost. They are shown this once.
    recovery_codes: Vec<String>,
}

/// Makes the offered secret the second factor.
#[utoipa::path(post, path = "/api/v1/me/totp/confirm", tag = "me", request_body = Confirmation,
    responses((status = 200, body = RecoveryView), (status = 401, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn confirm_totp(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Body(given): Body<Confirmation>,
) -> Result<Json<RecoveryView>, Failure> {
    let codes = me::confirm_totp(&app, session, given.code).await?;
    Ok(Json(RecoveryView { recovery_codes: codes.reveal().to_vec() }))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Password {
    password: String,
}

/// Does without a second factor.
#[utoipa::path(delete, path = "/api/v1/me/totp", tag = "me", request_body = Password,
    responses((status = 204), (status = 401, body = Problem)))]
pub(super) async fn remove_totp(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Peer(peer): Peer,
    Body(given): Body<Password>,
) -> Result<StatusCode, Failure> {
    me::remove_totp(&app, session, given.password, peer).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<OwnSession>,
}

#[derive(Serialize, ToSchema)]
struct OwnSession {
    #[schema(value_type = String)]
    id: SessionId,
    /// Network address of the sign-in.
    address: String,
    /// What the browser calls itself.
    agent: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    last_seen_at: Timestamp,
    #[schema(value_type = String)]
    expires_at: Timestamp,
    /// True for the one that asks.
    current: bool,
}

impl OwnSession {
    fn of(record: SessionRecord, current: SessionId) -> Self {
        Self {
            current: record.id == current,
            id: record.id,
            address: record.source,
            agent: record.agent,
            created_at: record.created_at,
            last_seen_at: record.last_seen_at,
            expires_at: record.expires_at,
        }
    }
}

/// Where the user is signed in.
#[utoipa::path(get, path = "/api/v1/me/sessions", tag = "me",
    responses((status = 200, body = SessionList), (status = 404, body = Problem)))]
pub(super) async fn list_sessions(
    State(app): State<Arc<App>>,
    Person(session): Person,
) -> Result<Json<SessionList>, Failure> {
    let found = me::sessions(&app, &session).await?;
    let sessions = found.into_iter().map(|record| OwnSession::of(record, session.id)).collect();
    Ok(Json(SessionList { sessions }))
}

/// Ends one of the user's sessions.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", tag = "me",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Id(ended): Id<SessionId>,
) -> Result<StatusCode, Failure> {
    me::end_session(&app, &session, ended).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every session of the user, this one too.
#[utoipa::path(delete, path = "/api/v1/me/sessions", tag = "me",
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn end_sessions(
    State(app): State<Arc<App>>,
    Person(session): Person,
    transport: Transport,
    jar: CookieJar,
) -> Result<(CookieJar, StatusCode), Failure> {
    me::end_sessions(&app, &session).await?;
    Ok((jar.remove(transport.gone()), StatusCode::NO_CONTENT))
}
