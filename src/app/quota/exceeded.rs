//! A limit that was reached, said so that the sender knows which one and when to come back.
//!
//! Called by: `app::quota`, `app::Error`, `http`. Talks to: nothing.
//! Invariants: every variant names the limit by the word that tiers and overrides use.

use std::time::Duration;

use crate::error::ErrorCode;

/// The limit of a tenant that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    #[error("the tenant may hold {limit} bytes (stored_bytes), and {used} are taken")]
    StoredBytes { limit: u64, used: u64 },
    #[error("the tenant may hold {limit} documents (documents), and has {used}")]
    Documents { limit: u64, used: u64 },
    #[error("{used} items of the tenant wait to be indexed, of {limit} that may (jobs_in_flight)")]
    Jobs { limit: u64, used: u64 },
    #[error("the tenant may have {limit} streams open at a time")]
    Streams { limit: u64 },
    #[error("the tenant may have {limit} unfinished uploads at a time")]
    Uploads { limit: u64 },
    #[error("the tenant may send {limit} requests a second (requests_per_second)")]
    Requests { limit: u64, wait: Duration },
    #[error("the tenant may run {limit} queries at a time (concurrent_queries)")]
    ConcurrentQueries { limit: u64 },
}

impl Exceeded {
    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::StoredBytes { .. } => ErrorCode::QuotaStoredBytes,
            Self::Documents { .. } => ErrorCode::QuotaDocuments,
            Self::Jobs { .. } => ErrorCode::QuotaJobs,
            Self::Streams { .. } => ErrorCode::QuotaStreams,
            Self::Uploads { .. } => ErrorCode::QuotaUploads,
            Self::Requests { .. } => ErrorCode::QuotaRequests,
            Self::ConcurrentQueries { .. } => ErrorCode::QuotaConcurrentQueries,
        }
    }

    /// How long to wait before it is worth trying again; `None` where waiting alone does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoredBytes { .. } | Self::Documents { .. } => None,
            Self::Jobs { .. } => Some(Duration::from_secs(10)),
            Self::Uploads { .. } | Self::Streams { .. } => Some(Duration::from_mins(1)),
            Self::Requests { wait, .. } => Some(*wait),
            Self::ConcurrentQueries { .. } => Some(Duration::from_secs(1)),
        }
    }
}
