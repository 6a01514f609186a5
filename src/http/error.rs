//! From an application error to problem+json (RFC 9457).
//!
//! Called by: every handler. Talks to: nothing.
//! Invariants: a 5xx body is constant text and a request id; the whole chain goes to the log.

use std::any::Any;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app;
use crate::error::{ErrorCode, Kind, chain};

tokio::task_local! {
    /// Id of the request this task serves.
    pub(super) static REQUEST_ID: String;
}

/// An error body.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Stable code to branch on.
    pub code: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    pub request_id: String,
}

/// What a handler returns when it does not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    code: ErrorCode,
    detail: String,
    /// When to come back, in seconds.
    retry_after: Option<u64>,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, detail)
    }

    /// The code, and the detail for people.
    pub(super) fn into_parts(self) -> (ErrorCode, String) {
        (self.code, self.detail)
    }

    pub(super) fn not_found() -> Self {
        Self::from(app::Error::NotFound)
    }

    /// The answer, with a status that is not that of its code.
    fn with_status(self, status: StatusCode) -> Response {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.code.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code.as_str().to_owned(),
            hint: self.code.hint().map(str::to_owned),
            request_id: REQUEST_ID.try_with(Clone::clone).unwrap_or_default(),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        let code = error.code();
        if matches!(code.kind(), Kind::Internal | Kind::StorageFull) {
            tracing::error!(code = code.as_str(), "{}", chain(&error));
            return Self::new(code, code.title());
        }
        if code == ErrorCode::KeyUnusable {
            tracing::error!(code = code.as_str(), "{}", chain(&error));
        }
        if code.kind() == Kind::Locked {
            return Self::new(code, code.title());
        }
        Self { retry_after: error.retry_after(), ..Self::new(code, error.to_string()) }
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Locked => StatusCode::LOCKED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = status(self.code.kind());
        self.with_status(status)
    }
}

/// The answer to a method that a path does not know.
pub(super) async fn method_not_allowed() -> Response {
    let failure = Failure::invalid("this path does not know that method");
    failure.with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// The answer to a request whose handler panicked. Where it did is in the log already; the message
/// may hold what was being worked on.
pub(super) fn panicked(_cause: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Failure::new(ErrorCode::Internal, ErrorCode::Internal.title()).into_response()
}
