//! The table of public error codes: what a program may branch on, what a person should do next.
//!
//! Called by: `app`, `http`, `cli`. Talks to: nothing.
//! Invariants: codes are contract and never change meaning; kinds know nothing of HTTP.

use std::error::Error;
use std::fmt::Write as _;

/// What kind of outcome an error is; the edges map it to a status or an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invalid,
    Unauthenticated,
    NotFound,
    Conflict,
    TooLarge,
    Locked,
    Unavailable,
    StorageFull,
    Internal,
}

/// A stable public error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    InvalidRequest,
    Unauthenticated,
    NotFound,
    Conflict,
    TooLarge,
    TenantLocked,
    VectorsUnavailable,
    NotReady,
    StorageFull,
    Internal,
}

impl ErrorCode {
    /// The word in `code` of an error body.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What kind of outcome it is.
    pub fn kind(self) -> Kind {
        self.row().1
    }

    /// Short title for people.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// What to do next, where that does not depend on the case.
    pub fn hint(self) -> Option<&'static str> {
        self.row().3
    }

    fn row(self) -> (&'static str, Kind, &'static str, Option<&'static str>) {
        match self {
            Self::InvalidRequest => {
                ("invalid_request", Kind::Invalid, "The request cannot be understood", None)
            }
            Self::Unauthenticated => (
                "unauthenticated",
                Kind::Unauthenticated,
                "Sign in first",
                Some(
                    "Send an API key as `Authorization: Bearer …`, or open a link made by `cairn link`.",
                ),
            ),
            Self::NotFound => ("not_found", Kind::NotFound, "No such thing, or not for you", None),
            Self::Conflict => ("conflict", Kind::Conflict, "It is there already", None),
            Self::TooLarge => ("too_large", Kind::TooLarge, "The upload is too large", None),
            Self::TenantLocked => (
                "tenant_locked",
                Kind::Locked,
                "The tenant is locked",
                Some("Unlock the tenant and try again."),
            ),
            Self::VectorsUnavailable => (
                "vectors_unavailable",
                Kind::Unavailable,
                "Vector search is not available",
                Some("Use mode=keyword, and run `cairn doctor` to see what is missing."),
            ),
            Self::NotReady => {
                ("not_ready", Kind::Unavailable, "Not ready yet", Some("Try again in a moment."))
            }
            Self::StorageFull => (
                "storage_full",
                Kind::StorageFull,
                "The disk is full",
                Some(
                    "Free space on the volume that holds the home directory; work goes on by itself.",
                ),
            ),
            Self::Internal => (
                "internal",
                Kind::Internal,
                "Something failed inside Cairn",
                Some("The server's log has the cause under this request id."),
            ),
        }
    }
}

/// An error and its causes in one line, outermost first.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(line, ": {cause}");
        source = cause.source();
    }
    line
}

/// True where the chain holds an operating system error saying that storage is exhausted.
pub fn is_storage_full(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return true;
        }
        cause = current.source();
    }
    false
}
