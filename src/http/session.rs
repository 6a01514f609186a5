//! Signing in with name and password, who one is, and out.
//!
//! Called by: the router. Talks to: `app::accounts::sign_in`.
//! Invariants: the token of a session leaves in its cookie only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{CallerWithPage, FromOwnPage, Leaving, Peer};
use super::cookie::Transport;
use super::error::{Failure, Problem};
use super::extract::Body;
use crate::app::App;
use crate::app::accounts::sign_in::{self, Belonging, Presented, User};
use crate::auth::{Actor, SignedIn, csrf_token};
use crate::types::{ApplianceRole, Role, TenantId, UserId};

#[derive(Deserialize, ToSchema)]
pub(super) struct SignIn {
    name: String,
    password: String,
    /// Code of the second factor, or a recovery code.
    totp: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// `user`, `api_key` or `console`.
    actor: &'static str,
    /// Name of the user or key.
    name: Option<String>,
    user: Option<SessionUser>,
    /// What a page sends as the header `X-Cairn-CSRF` with every request that changes something.
    csrf: Option<String>,
    memberships: Vec<MembershipView>,
}

#[derive(Serialize, ToSchema)]
struct SessionUser {
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    appliance_role: Option<ApplianceRole>,
    totp_enabled: bool,
}

#[derive(Serialize, ToSchema)]
struct MembershipView {
    #[schema(value_type = String)]
    tenant_id: TenantId,
    tenant_name: String,
    role: Role,
}

impl From<User> for SessionUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            appliance_role: user.appliance_role,
            totp_enabled: user.totp_enabled,
        }
    }
}

impl From<Belonging> for MembershipView {
    fn from(belonging: Belonging) -> Self {
        Self {
            tenant_id: belonging.tenant,
            tenant_name: belonging.tenant_name,
            role: belonging.role,
        }
    }
}

/// What a caller is told about itself.
pub(super) async fn describe(
    app: &Arc<App>,
    actor: Actor,
    csrf: Option<String>,
) -> Result<Session, Failure> {
    let (kind, name) = (actor.kind(), actor.name().map(str::to_owned));
    let identity = sign_in::identify(app, actor).await?;
    Ok(Session {
        actor: kind,
        name,
        user: identity.user.map(Into::into),
        csrf,
        memberships: identity.belongings.into_iter().map(Into::into).collect(),
    })
}

/// The answer to a sign-in: the session, and its cookie.
pub(super) async fn opened(
    app: &Arc<App>,
    transport: Transport,
    jar: CookieJar,
    signed_in: SignedIn,
) -> Result<(CookieJar, Json<Session>), Failure> {
    let token = signed_in.token.reveal();
    let session = describe(app, signed_in.session.actor, Some(csrf_token(token))).await?;
    Ok((jar.add(transport.session(token)), Json(session)))
}

/// Signs in.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = Session), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    _own: FromOwnPage,
    Peer(peer): Peer,
    transport: Transport,
    jar: CookieJar,
    Body(given): Body<SignIn>,
) -> Result<(CookieJar, Json<Session>), Failure> {
    let given = Presented { name: given.name, password: given.password, code: given.totp };
    let signed_in = sign_in::sign_in(&app, given, peer).await?;
    opened(&app, transport, jar, signed_in).await
}

/// Who this request acts as.
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
pub(super) async fn get_session(
    State(app): State<Arc<App>>,
    caller: CallerWithPage,
) -> Result<Json<Session>, Failure> {
    Ok(Json(describe(&app, caller.actor, caller.csrf).await?))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session",
    responses((status = 204), (status = 403, body = Problem)))]
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Leaving(session): Leaving,
    transport: Transport,
    jar: CookieJar,
) -> Result<(CookieJar, StatusCode), Failure> {
    if let Some(session) = session {
        sign_in::sign_out(&app, session).await?;
    }
    Ok((jar.remove(transport.gone()), StatusCode::NO_CONTENT))
}
