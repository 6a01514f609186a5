//! Records over one request that stays open, acknowledged as they become durable.
//!
//! Called by: the router. Talks to: `app::stream`.
//! Invariants: an answer is one JSON object on a line; the body is read no faster than answers are.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Params, Tenant};
use crate::app::App;
use crate::app::stream::{self, EndReason, Format, Message, StreamRequest};
use crate::auth::Write;
use crate::types::{DocumentId, ItemId, SearchResult};

/// The type of the answers.
pub(super) const LINES_TYPE: &str = "application/x-ndjson";

#[derive(Deserialize, IntoParams)]
pub(super) struct StreamParams {
    /// Path that records without a source of their own are put below; `stream` where absent.
    source: Option<String>,
    /// Collection to put them in.
    collection: Option<String>,
}

/// One line of the answer: exactly one of `document` (with the rest of an acknowledgement),
/// `error`, `related` and `end`.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamLine {
    /// Which record, from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// Which line of the request, from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    document: Option<DocumentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    item: Option<ItemId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// `accepted`, `duplicate` or `unchanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// `code` and `detail`, as in a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    /// Documents near the record, each with its best passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Vec<SearchResult>>,
    /// `complete`, `renew` (send the rest over a new request) or `closed`, with counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Value>,
}

impl From<Message> for StreamLine {
    fn from(message: Message) -> Self {
        let mut line = Self {
            seq: None,
            line: None,
            document: None,
            item: None,
            source: None,
            outcome: None,
            error: None,
            related: None,
            end: None,
        };
        match message {
            Message::Accepted { seq, line: number, receipt } => {
                (line.seq, line.line) = (Some(seq), Some(number));
                (line.document, line.item) = (Some(receipt.document), Some(receipt.item));
                (line.source, line.outcome) = (Some(receipt.source), Some(receipt.outcome));
            }
            Message::Refused { seq, line: number, error } => {
                (line.seq, line.line) = (Some(seq), Some(number));
                let (code, detail) = Failure::from(error).into_parts();
                line.error = Some(json!({ "code": code.as_str(), "detail": detail }));
            }
            Message::Related { seq, document, finds } => {
                (line.seq, line.document) = (Some(seq), Some(document));
                line.related = Some(finds);
            }
            Message::End { reason, accepted, refused, not_looked_up } => {
                let reason = match reason {
                    EndReason::Complete => "complete",
                    EndReason::Renew => "renew",
                    EndReason::Closed => "closed",
                };
                line.end = Some(json!({
                    "reason": reason,
                    "accepted": accepted,
                    "refused": refused,
                    "not_looked_up": not_looked_up,
                }));
            }
        }
        line
    }
}

/// Takes records in as they come, over a request that may stay open.
///
/// `application/x-ndjson`: on each line an object with `text` and perhaps `source`, `title`,
/// `date`, `author` and other fields, which becomes a document. `text/plain`: every line is added
/// to one running document of this connection, which is left for the next one when it is long. The
/// answer holds a line for each record once it is durable, in order, and lines with what the tenant
/// holds near a record, as they are found. Read it while you send: what is not read holds the
/// request up.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/ingest/stream", tag = "documents",
    params(("tenant" = String, Path), StreamParams),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = StreamLine, content_type = "application/x-ndjson"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 429, body = Problem)))]
pub(super) async fn ingest_stream(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Write>,
    Params(params): Params<StreamParams>,
    request: Request,
) -> Result<Response, Failure> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let format = match kind.as_deref() {
        Some("application/x-ndjson" | "application/jsonl" | "application/json") => Format::Json,
        Some("text/plain") => Format::Text,
        _ => {
            return Err(Failure::invalid(
                "send application/x-ndjson, an object on each line, or text/plain",
            ));
        }
    };
    let stream = StreamRequest { format, source: params.source, collection: params.collection };
    let body = request.into_body().into_data_stream();
    let answers = stream::begin(&app, tenant, stream, body).await?;
    let lines = ReceiverStream::new(answers).map(|message| {
        let mut line = serde_json::to_vec(&StreamLine::from(message)).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    let mut response = Body::from_stream(lines).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES_TYPE));
    Ok(response)
}
