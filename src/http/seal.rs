//! The seal over HTTP: whether the appliance holds its keys, and taking them in or away.
//!
//! Called by: the router, also that of a sealed appliance. Talks to: `app::seal`.
//! Invariants: the state and unsealing need no sign-in, because accounts lie behind the seal;
//! what opens the seal never reaches a log.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::caller::{Administrator, AtConsole, Console};
use super::error::{Failure, Problem};
use super::extract::Body;
use super::status::Health;
use crate::app::audit::{Party, console, party};
use crate::app::seal::{KeyEvent, SealControl, SealStatus, Unseal};
use crate::error::ErrorCode;

/// The control, as routers carry it.
#[derive(Clone)]
pub struct Seal(pub Arc<dyn SealControl>);

#[derive(Deserialize, ToSchema)]
pub(super) struct UnsealRequest {
    /// Where the key is kept under a passphrase.
    #[serde(default)]
    passphrase: Option<String>,
    /// Recovery shares instead of the usual source.
    #[serde(default)]
    shares: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RotateRequest {
    /// The new passphrase, where the key is kept under one.
    #[serde(default)]
    passphrase: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Rotated {
    /// New recovery shares. They are shown this once; the old ones are void.
    shares: Vec<String>,
}

/// Whether the appliance is sealed.
#[utoipa::path(get, path = "/api/v1/seal", tag = "appliance",
    responses((status = 200, body = SealStatus)))]
pub(super) async fn get_seal(Extension(Seal(seal)): Extension<Seal>) -> Json<SealStatus> {
    Json(seal.status())
}

/// Opens a sealed appliance.
#[utoipa::path(post, path = "/api/v1/unseal", tag = "appliance", request_body = UnsealRequest,
    responses((status = 200, body = SealStatus), (status = 400, body = Problem)))]
pub(super) async fn unseal(
    AtConsole(here): AtConsole,
    Extension(Seal(seal)): Extension<Seal>,
    Body(request): Body<UnsealRequest>,
) -> Result<Json<SealStatus>, Failure> {
    let with = match request.passphrase {
        Some(passphrase) => Unseal::Passphrase(Zeroizing::new(passphrase)),
        None if request.shares.is_empty() => Unseal::Source,
        None => Unseal::Shares(request.shares.into_iter().map(Zeroizing::new).collect()),
    };
    let by = if here { console() } else { Party::anonymous() };
    seal.unseal(by, with).await?;
    Ok(Json(seal.status()))
}

/// Seals the appliance: every store is closed and every key forgotten.
#[utoipa::path(post, path = "/api/v1/seal", tag = "appliance",
    responses((status = 200, body = SealStatus), (status = 404, body = Problem)))]
pub(super) async fn seal(
    Administrator(actor): Administrator,
    Extension(Seal(seal)): Extension<Seal>,
) -> Result<Json<SealStatus>, Failure> {
    seal.seal(party(&actor)).await?;
    Ok(Json(seal.status()))
}

/// Wraps every data key anew under a fresh key-encryption key.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "appliance", request_body = RotateRequest,
    responses((status = 200, body = Rotated), (status = 404, body = Problem)))]
pub(super) async fn rotate_kek(
    Administrator(actor): Administrator,
    Extension(Seal(seal)): Extension<Seal>,
    Body(request): Body<RotateRequest>,
) -> Result<Json<Rotated>, Failure> {
    let passphrase = request.passphrase.map(Zeroizing::new);
    let shares = seal.rotate_kek(party(&actor), passphrase).await?;
    Ok(Json(Rotated { shares }))
}

/// Puts on record what the console has done with the key beside the server.
#[utoipa::path(post, path = "/api/v1/keys/events", tag = "appliance", request_body = KeyEvent,
    responses((status = 200, body = SealStatus), (status = 404, body = Problem)))]
pub(super) async fn key_event(
    _console: Console,
    Extension(Seal(seal)): Extension<Seal>,
    Body(event): Body<KeyEvent>,
) -> Json<SealStatus> {
    seal.record(console(), event).await;
    Json(seal.status())
}

/// The same of a sealed appliance, which knows no other caller than the console.
pub(super) async fn key_event_sealed(
    AtConsole(here): AtConsole,
    Extension(Seal(seal)): Extension<Seal>,
    Body(event): Body<KeyEvent>,
) -> Result<Json<SealStatus>, Failure> {
    if !here {
        return Err(sealed(Extension(Seal(seal))).await);
    }
    seal.record(console(), event).await;
    Ok(Json(seal.status()))
}

/// A sealed appliance does not serve.
pub(super) async fn not_ready() -> (StatusCode, Json<Health>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "sealed" }))
}

/// Every other request to a sealed appliance.
pub(super) async fn sealed(Extension(Seal(seal)): Extension<Seal>) -> Failure {
    let why = seal.status().detail;
    Failure::new(ErrorCode::Sealed, why.unwrap_or_else(|| "its key has been taken away".to_owned()))
}
