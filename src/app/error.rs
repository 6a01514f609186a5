//! Outcomes of use cases that a caller acts on.
//!
//! Called by: `app`, `http`, `worker`, `appliance`. Talks to: nothing.
//! Invariants: every variant maps to one public code; `Display` never repeats its source.

use super::quota::Exceeded;
use crate::archive::ArchiveError;
use crate::auth::{AuthError, LinkError, PasswordProblem, SignInError};
use crate::error::{ErrorCode, Kind};
use crate::extraction::ExtractionError;
use crate::inference::InferenceError;
use crate::keys::KeyError;
use crate::system::SystemError;
use crate::tenant::{
    ArrivalError, BlobError, CatalogError, FulltextError, Locked, RegistryError, VectorError,
};
use crate::tls::TlsError;
use crate::types::{Feature, Tier};

/// A use case that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such thing, or it is not for you")]
    NotFound,
    #[error("{detail}")]
    Invalid { detail: String },
    #[error("{detail}")]
    Conflict { detail: String },
    #[error("the upload exceeds the limit of {limit_bytes} bytes (upload_bytes)")]
    TooLarge { limit_bytes: u64 },
    #[error(transparent)]
    Quota(#[from] Exceeded),
    #[error("{} is not part of the tier {tier}", feature.as_str())]
    NotInTier { feature: Feature, tier: Tier },
    #[error("{detail}")]
    VectorsUnavailable { detail: String },
    #[error("the appliance is sealed: {detail}")]
    Sealed { detail: String },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the bytes are not those of the checksum")]
    ChecksumMismatch,
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
    Auth(#[source] AuthError),
    /// Suspended or locked, said to those who could open it otherwise.
    #[error("{0}")]
    TenantClosed(AuthError),
    #[error(transparent)]
    SignIn(SignInError),
    #[error("{}", LinkError::Dead)]
    LinkDead,
    #[error("inference")]
    Inference(#[from] InferenceError),
    #[error("extraction")]
    Extraction(#[from] ExtractionError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("stored text of item {item} cannot be read")]
    Text { item: i64, source: std::io::Error },
    #[error("an audit entry cannot be written as JSON")]
    AuditLine(#[source] std::io::Error),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Arrival(#[from] ArrivalError),
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
            Self::Invalid { .. } | Self::UploadBroken(_) | Self::ChecksumMismatch => {
                ErrorCode::InvalidRequest
            }
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Quota(exceeded) => exceeded.code(),
            Self::NotInTier { .. } => ErrorCode::NotInTier,
            Self::VectorsUnavailable { .. } => ErrorCode::VectorsUnavailable,
            Self::TenantClosed(AuthError::TenantSuspended) => ErrorCode::TenantSuspended,
            Self::TenantClosed(AuthError::TenantLocked) => ErrorCode::TenantLocked,
            Self::SignIn(error) => sign_in_code(error),
            Self::LinkDead => ErrorCode::Unauthenticated,
            Self::Sealed { .. } | Self::Keys(KeyError::Sealed) => ErrorCode::Sealed,
            Self::Keys(error) => match error.kind() {
                Kind::Invalid | Kind::Locked => ErrorCode::WrongKey,
                Kind::Conflict => ErrorCode::Conflict,
                _ => ErrorCode::Internal,
            },
            Self::Registry(RegistryError::Keys {
                source:
                    KeyError::Missing { .. }
                    | KeyError::Damaged { .. }
                    | KeyError::Format { .. }
                    | KeyError::WrongKey { .. },
                ..
            }) => ErrorCode::KeyUnusable,
            Self::Registry(RegistryError::Name { .. }) => ErrorCode::InvalidRequest,
            Self::Registry(RegistryError::Locked { .. }) => ErrorCode::TenantLocked,
            Self::Registry(RegistryError::Absent { .. }) => ErrorCode::NotFound,
            Self::Registry(RegistryError::Busy { .. } | RegistryError::InUse { .. }) => {
                ErrorCode::Conflict
            }
            Self::Registry(RegistryError::System(SystemError::NameTaken { .. }))
            | Self::System(SystemError::NameTaken { .. } | SystemError::LastAdmin) => {
                ErrorCode::Conflict
            }
            Self::Arrival(ArrivalError::System(SystemError::NameTaken { .. })) => {
                ErrorCode::Conflict
            }
            Self::Arrival(error) if error.is_of_the_archive() => ErrorCode::InvalidRequest,
            Self::Archive(error) if !matches!(error, ArchiveError::Write(_)) => {
                ErrorCode::InvalidRequest
            }
            Self::Catalog(CatalogError::AuditFull) => ErrorCode::NotReady,
            other if other.is_storage_full() => ErrorCode::StorageFull,
            Self::Tls(error) => error.code(),
            other if other.is_locked() => ErrorCode::TenantLocked,
            _ => ErrorCode::Internal,
        }
    }

    /// True where nothing is wrong with what was sent, and the same may be taken in once the
    /// tenant is served again or has room.
    pub fn is_for_the_tenant(&self) -> bool {
        matches!(self, Self::Quota(_) | Self::TenantClosed(_)) || self.is_locked()
    }

    /// True where the tenant or the whole appliance is locked, so that nothing can be done before
    /// somebody unlocks it.
    pub fn is_locked(&self) -> bool {
        matches!(
            self,
            Self::Registry(RegistryError::Locked { .. } | RegistryError::Sealed)
                | Self::Arrival(ArrivalError::Registry(RegistryError::Sealed))
        ) || crate::error::is_caused_by::<Locked>(self)
    }

    /// Seconds after which the same request may succeed, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SignIn(SignInError::TooManyAttempts { retry_after }) => {
                Some(retry_after.as_secs().unsigned_abs() + 1)
            }
            Self::Quota(exceeded) => exceeded.retry_after().map(|wait| {
                // Rounded up: who comes back too early is refused again.
                (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
            }),
            _ => None,
        }
    }

    /// True where the disk is full, so that trying again later may succeed.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_storage_full(),
            Self::Blobs(error) => error.is_storage_full(),
            Self::Fulltext(error) => error.is_storage_full(),
            Self::Arrival(error) => error.is_storage_full(),
            other => crate::error::is_storage_full(other),
        }
    }
}

fn sign_in_code(error: &SignInError) -> ErrorCode {
    match error {
        SignInError::BadCredentials | SignInError::WrongPassword => ErrorCode::BadCredentials,
        SignInError::CodeRequired
        | SignInError::CodeWrong
        | SignInError::CodeOrClockWrong { .. }
        | SignInError::CodeUsed
        | SignInError::CodeSkewed { .. } => ErrorCode::TotpRequired,
        SignInError::TooManyAttempts { .. } => ErrorCode::TooManyAttempts,
        SignInError::Password(_) => ErrorCode::InvalidRequest,
        SignInError::NothingOffered | SignInError::SecondFactorSet => ErrorCode::Conflict,
        SignInError::Auth(_) => ErrorCode::Internal,
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::TenantSuspended | AuthError::TenantLocked => Self::TenantClosed(error),
            AuthError::System(error) => Self::System(error),
            other => Self::Auth(other),
        }
    }
}

impl From<SignInError> for Error {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Auth(error) => error.into(),
            other => Self::SignIn(other),
        }
    }
}

impl From<PasswordProblem> for Error {
    fn from(problem: PasswordProblem) -> Self {
        Self::invalid(problem.to_string())
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Dead => Self::LinkDead,
            LinkError::AdminExists => Self::Conflict { detail: error.to_string() },
            LinkError::Name => Self::invalid(error.to_string()),
            LinkError::Password(problem) => problem.into(),
            LinkError::SignIn(error) => error.into(),
        }
    }
}
