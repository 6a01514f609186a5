//! Who is calling: a session, an API key, or this machine's console.
//!
//! Called by: handlers, by type. Talks to: `auth`.
//! Invariants: a cookie is honoured only for requests from our own pages, and for one that changes
//! something only beside the token that the session gave; a role on the appliance that a handler
//! states and the caller lacks looks like an absent page.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};

use super::cookie;
use super::error::Failure;
use crate::app::{App, blocking};
use crate::auth::{self, ActiveSession, Actor, UseBy, csrf_token};
use crate::error::ErrorCode;

/// Header of requests that a page sends by itself, on a timer.
const BACKGROUND: HeaderName = HeaderName::from_static("x-cairn-background");

/// Header that carries the session's token against forged requests.
const CSRF: HeaderName = HeaderName::from_static("x-cairn-csrf");

/// Marks a request that came through the local socket or from the command line itself.
#[derive(Clone, Copy, Debug)]
pub struct LocalConsole;

/// Marks a request that came over TLS, so that its cookies may be bound to that.
#[derive(Clone, Copy, Debug)]
pub struct OverTls;

/// The acting party of a request.
pub(super) struct Caller(pub(super) Actor);

/// The acting party with the token for its page, where it came with a session.
pub(super) struct CallerWithPage {
    pub(super) actor: Actor,
    pub(super) csrf: Option<String>,
}

/// A person who came with a session; keys and the console have no account of their own.
pub(super) struct Person(pub(super) ActiveSession);

/// A caller who may do what belongs to the whole appliance: users, tenants, limits.
pub(super) struct Administrator(pub(super) Actor);

/// A caller who may watch the appliance.
pub(super) struct Watcher;

/// This machine's console.
pub(super) struct Console;

/// Whether a request that needs no sign-in comes from this machine's console.
pub(super) struct AtConsole(pub(super) bool);

/// Proof that no other site's page sent this request, for those that need no sign-in.
pub(super) struct FromOwnPage;

/// Where a request comes from.
pub(super) struct Peer(pub(super) auth::Peer);

/// A caller and the session it presented.
struct Identity {
    actor: Actor,
    session: Option<(ActiveSession, String)>,
}

impl From<Actor> for Identity {
    fn from(actor: Actor) -> Self {
        Self { actor, session: None }
    }
}

/// The caller of a request; `None` where nothing valid came with it.
async fn identify(parts: &Parts, app: &Arc<App>) -> Result<Option<Identity>, Failure> {
    if parts.extensions.get::<LocalConsole>().is_some() {
        return Ok(Some(Actor::Console.into()));
    }
    let authority = app.authority.clone();
    if let Some(key) = bearer(&parts.headers) {
        let key = key.to_owned();
        let found = blocking(move || Ok(authority.api_key(&key)?)).await?;
        return Ok(found.map(Identity::from));
    }
    let Some(token) = cookie::session_token(parts) else {
        return Ok(None);
    };
    if !is_own_page(&parts.method, &parts.headers) {
        return Ok(None);
    }
    let csrf = csrf_token(&token);
    let use_by = use_by(&parts.headers);
    let Some(session) = blocking(move || Ok(authority.session(&token, use_by)?)).await? else {
        return Ok(None);
    };
    let sent = parts.headers.get(CSRF).map(header::HeaderValue::as_bytes);
    // Both are digests of a secret, so how far they agree tells nothing.
    if !parts.method.is_safe() && sent != Some(csrf.as_bytes()) {
        return Err(Failure::new(
            ErrorCode::CsrfFailed,
            "the header X-Cairn-CSRF is missing or belongs to another session",
        ));
    }
    Ok(Some(Identity { actor: session.actor.clone(), session: Some((session, csrf)) }))
}

/// A browser cannot set headers on an event stream, but says that it wants one.
fn use_by(headers: &HeaderMap) -> UseBy {
    let stream = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"));
    if stream || headers.contains_key(BACKGROUND) { UseBy::Page } else { UseBy::Person }
}

fn unauthenticated() -> Failure {
    Failure::new(ErrorCode::Unauthenticated, "no valid key or session came with the request")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A request that changes something counts only if the browser says it comes from our own page.
fn is_own_page(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let host = text(header::HOST).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let identity = identify(parts, app).await?.ok_or_else(unauthenticated)?;
        Ok(Self(identity.actor))
    }
}

impl FromRequestParts<Arc<App>> for CallerWithPage {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let identity = identify(parts, app).await?.ok_or_else(unauthenticated)?;
        let csrf = identity.session.map(|(_, csrf)| csrf);
        Ok(Self { actor: identity.actor, csrf })
    }
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let identity = identify(parts, app).await?.ok_or_else(unauthenticated)?;
        let (session, _) = identity.session.ok_or_else(Failure::not_found)?;
        Ok(Self(session))
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        match app.authority.may_administer(&actor) {
            true => Ok(Self(actor)),
            false => Err(Failure::not_found()),
        }
    }
}

impl FromRequestParts<Arc<App>> for Watcher {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        match app.authority.may_operate(&actor) {
            true => Ok(Self),
            false => Err(Failure::not_found()),
        }
    }
}

impl FromRequestParts<Arc<App>> for Console {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        match Caller::from_request_parts(parts, app).await?.0 {
            Actor::Console => Ok(Self),
            _ => Err(Failure::not_found()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for AtConsole {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, std::convert::Infallible> {
        Ok(Self(parts.extensions.get::<LocalConsole>().is_some()))
    }
}

impl<S: Sync> FromRequestParts<S> for FromOwnPage {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        match is_own_page(&parts.method, &parts.headers) {
            true => Ok(Self),
            false => Err(unauthenticated()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, std::convert::Infallible> {
        let address = match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(address)) => address.ip().to_canonical().to_string(),
            None => "local".to_owned(),
        };
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self(auth::Peer::new(address, agent.unwrap_or_default())))
    }
}

/// The session token of a request that means to end its session: a dead session needs no proof.
pub(super) struct Leaving(pub(super) Option<String>);

impl FromRequestParts<Arc<App>> for Leaving {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let live = identify(parts, app).await?.is_some_and(|identity| identity.session.is_some());
        Ok(Self(if live { cookie::session_token(parts) } else { None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), header::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn polls_and_streams_are_the_pages_own() {
        for (pairs, wanted) in [
            (vec![(header::ACCEPT, "text/event-stream")], UseBy::Page),
            (vec![(BACKGROUND, "1"), (header::ACCEPT, "application/json")], UseBy::Page),
            (vec![(header::ACCEPT, "application/json")], UseBy::Person),
            (vec![], UseBy::Person),
        ] {
            assert_eq!(use_by(&headers(&pairs)), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_not_our_own() {
        let host = (header::HOST, "cairn.site:8420");
        for (origin, own) in [
            ("https://cairn.site:8420", true),
            ("http://cairn.site:8420", true),
            ("https://cairn.site", false),
            ("https://cairn.site:8420.evil.example", false),
            ("null", false),
        ] {
            let headers = headers(&[host.clone(), (header::ORIGIN, origin)]);
            assert_eq!(is_own_page(&Method::POST, &headers), own, "{origin}");
            assert!(is_own_page(&Method::GET, &headers), "{origin}");
        }
        assert!(is_own_page(&Method::DELETE, &headers(&[host])), "programs send no origin");
    }
}
