//! Who is calling, and the tenant they named, at the level the handler states.
//!
//! Called by: handlers, by type. Talks to: `app`.
//! Invariants: the tenant in the path is read here and nowhere else; an absent tenant and a
//! foreign one give the same answer; a cookie is honoured only for requests from our own pages.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Failure;
use crate::app::App;
use crate::auth::{Access, Actor};
use crate::error::ErrorCode;
use crate::tenant::TenantHandle;

/// Name of the session cookie.
pub(super) const SESSION_COOKIE: &str = "cairn_session";

/// Marks a request that came through the local socket or from the command line itself.
#[derive(Clone, Copy, Debug)]
pub struct LocalOperator;

/// The acting party of a request.
pub(super) struct Caller(pub(super) Actor);

/// An open tenant at the level `A`.
pub(super) struct Tenant<A>(pub(super) TenantHandle<A>);

/// Query parameters, with our error body when they cannot be read.
pub(super) struct Params<T>(pub(super) T);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        if parts.extensions.get::<LocalOperator>().is_some() {
            return Ok(Self(Actor::Operator));
        }
        let authority = app.authority.clone();
        let found = if let Some(key) = bearer(&parts.headers) {
            let key = key.to_owned();
            crate::app::blocking(move || Ok(authority.api_key(&key)?)).await?
        } else if let Some(session) = session_token(&parts.headers)
            && is_own_page(&parts.method, &parts.headers)
        {
            crate::app::blocking(move || Ok(authority.session(&session)?)).await?
        } else {
            None
        };
        found.map(Self).ok_or_else(|| {
            Failure::new(
                ErrorCode::Unauthenticated,
                "no valid key or session came with the request",
            )
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn session_token(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(SESSION_COOKIE).map(|cookie| cookie.value().to_owned())
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

#[derive(Deserialize)]
struct TenantPath {
    tenant: String,
}

impl<A: Access> FromRequestParts<Arc<App>> for Tenant<A> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        let Ok(Path(TenantPath { tenant })) =
            Path::<TenantPath>::from_request_parts(parts, app).await
        else {
            return Err(Failure::not_found());
        };
        Ok(Self(app.open_tenant(actor, tenant).await?))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        Query::<T>::from_request_parts(parts, app)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|rejection| Failure::invalid(rejection.body_text()))
    }
}

/// A JSON body, with our error body when it cannot be read.
pub(super) struct Body<T>(pub(super) T);

/// Longest JSON body, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _app: &Arc<App>) -> Result<Self, Failure> {
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| Failure::invalid("the body cannot be read or is too long"))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Failure::invalid(format!("the body is not the JSON wanted: {error}")))
    }
}

/// The `{tenant}` of a path by itself, for removing one.
pub(super) struct TenantName(pub(super) String);

impl FromRequestParts<Arc<App>> for TenantName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        Path::<TenantPath>::from_request_parts(parts, app)
            .await
            .map(|Path(TenantPath { tenant })| Self(tenant))
            .map_err(|_| Failure::not_found())
    }
}

/// The `{id}` of a path; what is no id names nothing.
pub(super) struct Id<T>(pub(super) T);

#[derive(Deserialize)]
struct IdPath {
    id: String,
}

impl<T: std::str::FromStr> FromRequestParts<Arc<App>> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Ok(Path(IdPath { id })) = Path::<IdPath>::from_request_parts(parts, app).await else {
            return Err(Failure::not_found());
        };
        id.parse().map(Self).map_err(|_| Failure::not_found())
    }
}

/// Order of a list by the time things came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    Oldest,
    Newest,
}

/// Length of a page: what was asked for, within bounds.
pub(super) fn page_limit(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(100).clamp(1, 1000)
}

/// An id given as a cursor.
pub(super) fn cursor<T: std::str::FromStr>(given: Option<&str>) -> Result<Option<T>, Failure> {
    given
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| Failure::invalid("the cursor is not one of ours")))
        .transpose()
}
