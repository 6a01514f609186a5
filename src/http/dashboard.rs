//! The dashboard, embedded in the binary.
//!
//! Called by: the router, for every path that is no API route. Talks to: nothing.
//! Invariants: the page is one document with a hash router, so no path but a file's own is served.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::error::Failure;

#[derive(RustEmbed)]
#[folder = "assets/dashboard/dist"]
struct Dashboard;

/// A file of the dashboard.
pub(super) async fn asset(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Failure::not_found().into_response();
    }
    let name = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Dashboard::get(name) else {
        return (StatusCode::NOT_FOUND, "There is no such page.").into_response();
    };
    // Vite puts a digest of the content into every name below `assets/`.
    let caching = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let kind = file.metadata.mimetype().to_owned();
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching.to_owned())],
        file.data.into_owned(),
    )
        .into_response()
}
