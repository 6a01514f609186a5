//! Outcomes of use cases that a caller acts on.
//!
//! Called by: `app`, `http`, `worker`, `appliance`. Talks to: nothing.
//! Invariants: every variant maps to one public code; `Display` never repeats its source.

use crate::auth::AuthError;
use crate::error::ErrorCode;
use crate::extraction::ExtractionError;
use crate::inference::InferenceError;
use crate::system::SystemError;
use crate::tenant::{BlobError, CatalogError, FulltextError, RegistryError, VectorError};

/// A use case that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such thing, or it is not for you")]
    NotFound,
    #[error("{detail}")]
    Invalid { detail: String },
    #[error("{detail}")]
    Conflict { detail: String },
    #[error("the upload exceeds the limit of {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("{detail}")]
    VectorsUnavailable { detail: String },
    #[error("the upload ended early")]
    UploadBroken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("catalogue")]
    Catalog(#[from] CatalogError),
    #[error("blob store")]
    Blobs(#[from] BlobError),
    #[error("full-text index")]
    Fulltext(#[from] FulltextError),
    #[error("vector table")]
    Vectors(#[from] VectorError),
    #[error("tenant registry")]
    Registry(#[from] RegistryError),
    #[error("appliance database")]
    System(#[from] SystemError),
    #[error("authorisation")]
    Auth(#[from] AuthError),
    #[error("inference")]
    Inference(#[from] InferenceError),
    #[error("extraction")]
    Extraction(#[from] ExtractionError),
    #[error("stored text of item {item} cannot be read")]
    Text { item: i64, source: std::io::Error },
    #[error("injected fault")]
    Fault(#[source] std::io::Error),
    #[error("a task ended early")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl Error {
    /// A request that cannot be understood.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid { detail: detail.into() }
    }

    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::Invalid { .. } | Self::UploadBroken(_) => ErrorCode::InvalidRequest,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::VectorsUnavailable { .. } => ErrorCode::VectorsUnavailable,
            Self::Registry(RegistryError::Name { .. }) => ErrorCode::InvalidRequest,
            Self::Registry(RegistryError::Absent { .. }) => ErrorCode::NotFound,
            Self::Registry(RegistryError::System(SystemError::NameTaken { .. }))
            | Self::System(SystemError::NameTaken { .. }) => ErrorCode::Conflict,
            other if other.is_storage_full() => ErrorCode::StorageFull,
            _ => ErrorCode::Internal,
        }
    }

    /// True where the disk is full, so that trying again later may succeed.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_storage_full(),
            Self::Blobs(error) => error.is_storage_full(),
            Self::Fulltext(error) => error.is_storage_full(),
            other => crate::error::is_storage_full(other),
        }
    }
}
