//! The server's certificate over HTTP.
//!
//! Called by: the router. Talks to: `app::tls`.
//! Invariants: only who administers the appliance sees or changes it; the authority's certificate
//! is for everybody, because a browser wants it before anyone can sign in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::caller::Administrator;
use super::error::{Failure, Problem};
use super::extract::Body;
use crate::app::App;
use crate::app::tls::{self, Renewal, Shown};

#[derive(Deserialize, ToSchema)]
pub(super) struct NewCertificate {
    /// The certificate and its chain, PEM, the server's first.
    certificate: String,
    /// The private key, PEM, without a passphrase.
    private_key: String,
}

/// The certificate in use, where it comes from, and what to know about it.
#[utoipa::path(get, path = "/api/v1/tls", tag = "appliance",
    responses((status = 200, body = Shown), (status = 404, body = Problem)))]
pub(super) async fn get_tls(
    State(app): State<Arc<App>>,
    _admin: Administrator,
) -> Result<Json<Shown>, Failure> {
    Ok(Json(tls::show(&app).await?))
}

/// Makes a new certificate, or reads the configured one again.
#[utoipa::path(post, path = "/api/v1/tls/renew", tag = "appliance", request_body = Renewal,
    responses((status = 200, body = Shown), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn renew_certificate(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    Body(what): Body<Renewal>,
) -> Result<Json<Shown>, Failure> {
    Ok(Json(tls::renew(&app, &actor, what).await?))
}

/// Takes the site's own certificate; new connections get it at once.
#[utoipa::path(post, path = "/api/v1/tls/import", tag = "appliance", request_body = NewCertificate,
    responses((status = 200, body = Shown), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn import_certificate(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    Body(new): Body<NewCertificate>,
) -> Result<Json<Shown>, Failure> {
    let private_key = Zeroizing::new(new.private_key);
    Ok(Json(tls::import(&app, &actor, new.certificate, private_key).await?))
}

/// The authority's certificate, for people to install.
pub(super) async fn authority(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let pem = tls::authority(&app).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"cairn-ca.crt\""),
    ];
    Ok((headers, pem).into_response())
}
