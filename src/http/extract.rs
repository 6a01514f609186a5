//! What a handler gets from a request: the tenant named in the path at the level it states, query
//! parameters, bodies, ids.
//!
//! Called by: handlers, by type. Talks to: `app`.
//! Invariants: the tenant in the path is read here and nowhere else; an absent tenant and a
//! foreign one give the same answer.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::caller::Caller;
use super::error::Failure;
use crate::app::App;
use crate::auth::{Access, Grant};
use crate::tenant::TenantHandle;

/// An open tenant at the level `A`.
pub(super) struct Tenant<A>(pub(super) TenantHandle<A>);

/// Permission on a tenant at the level `A`, for what the appliance knows without opening it.
pub(super) struct Granted<A>(pub(super) Grant<A>);

/// Query parameters, with our error body when they cannot be read.
pub(super) struct Params<T>(pub(super) T);

/// Tells a field that is `null` from one that is absent.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct TenantPath {
    tenant: String,
}

impl<A: Access> FromRequestParts<Arc<App>> for Tenant<A> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        let TenantName(tenant) = TenantName::from_request_parts(parts, app).await?;
        Ok(Self(app.open_tenant(actor, tenant).await?))
    }
}

impl<A: Access> FromRequestParts<Arc<App>> for Granted<A> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        let TenantName(tenant) = TenantName::from_request_parts(parts, app).await?;
        Ok(Self(app.grant(actor, tenant).await?))
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

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| Failure::invalid("the body cannot be read or is too long"))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Failure::invalid(format!("the body is not the JSON wanted: {error}")))
    }
}

/// The `{tenant}` of a path by itself, for a handler that tries more than one level.
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

/// The `{number}` of a path; what is no number names nothing.
pub(super) struct Number(pub(super) u32);

#[derive(Deserialize)]
struct NumberPath {
    number: String,
}

impl FromRequestParts<Arc<App>> for Number {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let Ok(Path(NumberPath { number })) =
            Path::<NumberPath>::from_request_parts(parts, app).await
        else {
            return Err(Failure::not_found());
        };
        number.parse().map(Self).map_err(|_| Failure::not_found())
    }
}

/// The `{user}` of a path: an id or a name.
pub(super) struct UserName(pub(super) String);

#[derive(Deserialize)]
struct UserPath {
    user: String,
}

impl FromRequestParts<Arc<App>> for UserName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        Path::<UserPath>::from_request_parts(parts, app)
            .await
            .map(|Path(UserPath { user })| Self(user))
            .map_err(|_| Failure::not_found())
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
