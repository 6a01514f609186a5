//! Collections over HTTP.
//!
//! Called by: the router. Talks to: `app::collections`.
//! Invariants: none beyond those of the handle.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Failure, Problem};
use super::extract::{Body, Tenant};
use crate::app::collections::{self, CollectionRow};
use crate::auth::{Read, Write};
use crate::types::CollectionId;

#[derive(Serialize, ToSchema)]
pub(super) struct CollectionView {
    #[schema(value_type = String)]
    id: CollectionId,
    name: String,
    documents: u64,
}

impl From<CollectionRow> for CollectionView {
    fn from(row: CollectionRow) -> Self {
        Self { id: row.id, name: row.name, documents: row.documents }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct CollectionList {
    collections: Vec<CollectionView>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewCollection {
    name: String,
}

/// Collections of a tenant, as far as they are in the caller's sight.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections", tag = "collections",
    params(("tenant" = String, Path)),
    responses((status = 200, body = CollectionList), (status = 404, body = Problem)))]
pub(super) async fn list_collections(
    Tenant(tenant): Tenant<Read>,
) -> Result<Json<CollectionList>, Failure> {
    let rows = collections::list(&tenant).await?;
    Ok(Json(CollectionList { collections: rows.into_iter().map(Into::into).collect() }))
}

/// Makes a collection.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/collections", tag = "collections",
    params(("tenant" = String, Path)), request_body = NewCollection,
    responses((status = 201, body = CollectionView), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn create_collection(
    Tenant(tenant): Tenant<Write>,
    Body(new): Body<NewCollection>,
) -> Result<(StatusCode, Json<CollectionView>), Failure> {
    let made = collections::create(&tenant, new.name).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
