//! The HTTP edge: routes, limits, headers, the embedded dashboard.
//!
//! Called by: `appliance`. Talks to: `app`.
//! Invariants: handlers are thin; a tenant id is read from the path once, by [`extract::Tenant`],
//! and a handler states the level it needs in its signature; errors leave as problem+json with a
//! request id and never carry internals.

mod api_page;
mod audit;
mod caller;
mod collections;
mod cookie;
mod dashboard;
mod documents;
mod error;
mod events;
mod extract;
mod flow;
mod host;
mod keys;
mod ledger;
mod linger;
mod maintain;
mod me;
mod members;
mod metrics;
mod seal;
mod search;
mod session;
mod setup;
mod sources;
mod status;
mod stream;
mod support;
mod tables;
mod tenants;
mod tls;
mod transfer;
mod tus;
mod upload;
mod usage;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, map_response};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::audit::{Origin, with_origin};
use crate::app::tls::Tls;

pub use caller::{LocalConsole, OverTls};
pub use error::Problem;
pub use host::over_tls;
pub use seal::Seal;

/// Header that carries the id of a request, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything a page may load comes from here; nothing inline, nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(info(
    title = "Cairn",
    description = "Dump files in, ask, get cited answers. Offsets count Unicode scalar values."
))]
struct Description;

/// The HTTP surface over an open appliance.
pub fn router(app: Arc<App>, seal: Seal) -> Router {
    let tls = app.tls.clone();
    let (api, description) = api().split_for_parts();
    let description = Arc::new(description);
    let api_json = description.clone();
    let router = api
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/ca.crt", get(tls::authority))
        .route("/api/openapi.json", get(move || async move { Json(api_json.as_ref().clone()) }))
        .route("/api/docs", get(move || async move { api_page::page(&description) }))
        .route("/api/docs.css", get(api_page::style))
        .fallback(dashboard::asset)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app);
    dressed(router, seal, tls)
}

/// What a sealed appliance answers: its state, the way to open it, and the page.
pub fn sealed_router(seal: Seal, tls: Arc<Tls>) -> Router {
    let router = Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(seal::not_ready))
        .route("/api/v1/seal", get(seal::get_seal).post(seal::get_seal))
        .route("/api/v1/unseal", post(seal::unseal))
        .route("/api/v1/keys/events", post(seal::key_event_sealed).fallback(seal::sealed))
        .route("/api/{*rest}", any(seal::sealed))
        .route("/metrics", any(seal::sealed))
        .fallback(dashboard::asset)
        .method_not_allowed_fallback(error::method_not_allowed);
    dressed(router, seal, tls)
}

/// What every request goes through, whatever it asks for.
fn dressed(router: Router, seal: Seal, tls: Arc<Tls>) -> Router {
    router
        .layer(Extension(seal))
        // Uploads have a limit of their own and JSON bodies a small one.
        .layer(DefaultBodyLimit::disable())
        .layer(
            CompressionLayer::new().compress_when(
                DefaultPredicate::new()
                    .and(NotForContentType::const_new("text/event-stream"))
                    .and(NotForContentType::const_new(stream::LINES_TYPE))
                    .and(NotForContentType::const_new(transfer::ARCHIVE_TYPE)),
            ),
        )
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(tls, host::check))
        .layer(map_response(security_headers))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(axum::middleware::from_fn(request_id))
        .layer(axum::middleware::from_fn(linger::linger))
}

fn api() -> OpenApiRouter<Arc<App>> {
    let tenant = OpenApiRouter::new()
        .routes(routes!(upload::upload_document, documents::list_documents))
        .routes(routes!(stream::ingest_stream))
        .routes(routes!(tus::discover, tus::create_upload))
        .routes(routes!(
            tus::get_upload,
            tus::append_upload,
            tus::overridden_upload,
            tus::delete_upload
        ))
        .routes(routes!(documents::get_document, documents::delete_document))
        .routes(routes!(documents::get_text))
        .routes(routes!(documents::get_content))
        .routes(routes!(documents::get_page))
        .routes(routes!(tables::list_tables))
        .routes(routes!(tables::get_table))
        .routes(routes!(maintain::retry_document))
        .routes(routes!(maintain::give_password))
        .routes(routes!(maintain::retry_items))
        .routes(routes!(maintain::rebuild))
        .routes(routes!(ledger::get_ledger))
        .routes(routes!(search::search))
        .routes(routes!(search::ask))
        .routes(routes!(events::events))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(collections::list_collections, collections::create_collection))
        .routes(routes!(sources::list_sources, sources::create_source))
        .routes(routes!(sources::get_source, sources::change_source, sources::delete_source))
        .routes(routes!(sources::run_source))
        .routes(routes!(audit::get_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(audit::get_audit_policy, audit::change_audit_policy))
        .routes(routes!(members::list_members))
        .routes(routes!(members::set_member, members::remove_member));
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(session::sign_in, session::get_session, session::sign_out))
        .merge(accounts())
        .routes(routes!(seal::get_seal, seal::seal))
        .routes(routes!(seal::unseal))
        .routes(routes!(seal::rotate_kek))
        .routes(routes!(seal::key_event))
        .routes(routes!(status::get_status))
        .routes(routes!(status::get_doctor))
        .routes(routes!(support::list_support))
        .routes(routes!(support::get_support_archive))
        .routes(routes!(tls::get_tls))
        .routes(routes!(tls::renew_certificate))
        .routes(routes!(tls::import_certificate))
        .routes(routes!(audit::get_appliance_audit))
        .routes(routes!(audit::export_appliance_audit))
        .routes(routes!(audit::verify_appliance_audit))
        .routes(routes!(tenants::list_tenants, tenants::create_tenant))
        .routes(routes!(tenants::get_tenant, tenants::change_tenant, tenants::delete_tenant))
        .routes(routes!(tenants::suspend_tenant))
        .routes(routes!(tenants::resume_tenant))
        .routes(routes!(tenants::lock_tenant))
        .routes(routes!(tenants::unlock_tenant))
        .routes(routes!(tenants::rotate_tenant_key))
        .routes(routes!(tenants::list_deletions))
        .routes(routes!(tenants::get_signer))
        .routes(routes!(transfer::export_tenant))
        .routes(routes!(transfer::import_tenant))
        .routes(routes!(usage::list_tiers))
        .routes(routes!(usage::get_usage))
        .merge(tenant)
}

fn accounts() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(setup::get_setup, setup::finish_setup))
        .routes(routes!(setup::create_link))
        .routes(routes!(setup::create_user_link))
        .routes(routes!(me::change_password))
        .routes(routes!(me::offer_totp, me::remove_totp))
        .routes(routes!(me::confirm_totp))
        .routes(routes!(me::list_sessions, me::end_sessions))
        .routes(routes!(me::end_session))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::change_user, users::delete_user))
        .routes(routes!(users::reset_totp))
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    // The route as it is written here: what callers put in its place are names of tenants and
    // people, and what fits no route may be anything.
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    tracing::info_span!("request", method = %request.method(), path, request_id = id)
}

/// Gives every request a fresh id. One sent by the caller is not trusted to be unique.
async fn request_id(mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"));
    request.headers_mut().insert(REQUEST_ID, value.clone());
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let source = connected.map(|ConnectInfo(address)| address.ip());
    let answered = with_origin(Origin { request_id: Some(id.clone()), source }, next.run(request));
    let mut response = error::REQUEST_ID.scope(id, answered).await;
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

async fn security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
