//! Searching and asking over HTTP.
//!
//! Called by: the router. Talks to: `app::search`, `app::ask`.
//! Invariants: query text never reaches the log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Body, Params, Tenant};
use crate::app::search::SearchRequest;
use crate::app::{App, ask, search};
use crate::auth::Read;
use crate::types::{Answer, SearchFilter, SearchMode, SearchResponse};

#[derive(Deserialize, IntoParams)]
pub(super) struct SearchParams {
    /// Words, `"phrases"`, `+must`, `-not`, `title:word`, `after:2024-01-31`.
    q: String,
    #[param(value_type = Option<String>)]
    mode: Option<SearchMode>,
    /// Documents to return; 10 where absent, at most 1000.
    limit: Option<usize>,
    /// Source prefix.
    source: Option<String>,
    /// Media type, or a family such as `text/`.
    r#type: Option<String>,
    /// Day or RFC 3339 time; the document's effective date is not before it.
    after: Option<String>,
    before: Option<String>,
    /// Shows of documents with nearly the same text only the best, with the others named beside
    /// it; true where absent.
    group_similar: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Question {
    question: String,
}

/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 8 << 10;

/// A time given as a day or in RFC 3339.
pub(super) fn time(name: &str, given: Option<String>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = given.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| {
            let day: jiff::civil::Date = text.parse().ok()?;
            day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        })
        .map(Some)
        .ok_or_else(|| Failure::invalid(format!("{name} is neither a day nor an RFC 3339 time")))
}

fn checked(text: String) -> Result<String, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::invalid("there is nothing to look for"));
    }
    if text.len() > MAX_QUERY_BYTES {
        return Err(Failure::invalid(format!("the query is longer than {MAX_QUERY_BYTES} bytes")));
    }
    Ok(text)
}

/// Documents with their best passages, by keyword, by meaning, or both.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/search", tag = "search",
    params(("tenant" = String, Path), SearchParams),
    responses((status = 200, body = SearchResponse), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
    Params(params): Params<SearchParams>,
) -> Result<Json<SearchResponse>, Failure> {
    let request = SearchRequest {
        query: checked(params.q)?,
        mode: params.mode.unwrap_or_default(),
        limit: params.limit.unwrap_or(10).clamp(1, 1000),
        filter: SearchFilter {
            source: params.source.filter(|text| !text.is_empty()),
            media_type: params.r#type.filter(|text| !text.is_empty()),
            after: time("after", params.after)?,
            before: time("before", params.before)?,
        },
        group_similar: params.group_similar.unwrap_or(true),
    };
    Ok(Json(search::search(&app, &tenant, request).await?))
}

/// An answer made of cited sentences, or a plain "not found".
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/ask", tag = "search",
    params(("tenant" = String, Path)), request_body = Question,
    responses((status = 200, body = Answer), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
    Body(question): Body<Question>,
) -> Result<Json<Answer>, Failure> {
    Ok(Json(ask::ask(&app, &tenant, checked(question.question)?).await?))
}
