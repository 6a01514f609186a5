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
    Forbidden,
    NotFound,
    Conflict,
    /// Meant for another server.
    Misdirected,
    TooLarge,
    TooMany,
    QuotaExceeded,
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
    BadCredentials,
    TotpRequired,
    TooManyAttempts,
    CsrfFailed,
    NotFound,
    Conflict,
    HostNotAllowed,
    TooLarge,
    QuotaStoredBytes,
    QuotaDocuments,
    QuotaJobs,
    QuotaStreams,
    QuotaUploads,
    QuotaRequests,
    QuotaConcurrentQueries,
    NotInTier,
    TenantSuspended,
    TenantLocked,
    Sealed,
    WrongKey,
    KeyUnusable,
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

    #[expect(clippy::too_many_lines, reason = "a table is read as a whole")]
    fn row(self) -> (&'static str, Kind, &'static str, Option<&'static str>) {
        match self {
            Self::InvalidRequest => {
                ("invalid_request", Kind::Invalid, "The request cannot be understood", None)
            }
            Self::Unauthenticated => (
                "unauthenticated",
                Kind::Unauthenticated,
                "Sign in first",
                Some("Sign in, or send an API key as `Authorization: Bearer …`."),
            ),
            Self::BadCredentials => {
                ("bad_credentials", Kind::Unauthenticated, "Name or password is wrong", None)
            }
            Self::TotpRequired => (
                "totp_required",
                Kind::Unauthenticated,
                "A code is needed",
                Some("Enter the code that the authenticator shows, or a recovery code."),
            ),
            Self::TooManyAttempts => (
                "too_many_attempts",
                Kind::TooMany,
                "Too many attempts",
                Some(
                    "Wait as long as `Retry-After` says; `cairn link` sets a new password at once.",
                ),
            ),
            Self::CsrfFailed => (
                "csrf_failed",
                Kind::Forbidden,
                "The request does not come from this session's page",
                Some("Send `csrf` of GET /api/v1/session as the header X-Cairn-CSRF."),
            ),
            Self::NotFound => ("not_found", Kind::NotFound, "No such thing, or not for you", None),
            Self::Conflict => ("conflict", Kind::Conflict, "It is there already", None),
            Self::HostNotAllowed => (
                "host_not_allowed",
                Kind::Misdirected,
                "The request is for another server",
                Some(
                    "Use a name or address this server has; the admin can add one to `names` under [server] in cairn.toml.",
                ),
            ),
            Self::TooLarge => ("too_large", Kind::TooLarge, "The upload is too large", None),
            Self::QuotaStoredBytes => (
                "quota_stored_bytes",
                Kind::QuotaExceeded,
                "The tenant's space is used up",
                Some("Remove documents, or ask the appliance's admin for a higher limit."),
            ),
            Self::QuotaDocuments => (
                "quota_documents",
                Kind::QuotaExceeded,
                "The tenant holds as many documents as it may",
                Some("Remove documents, or ask the appliance's admin for a higher limit."),
            ),
            Self::QuotaJobs => (
                "quota_jobs",
                Kind::TooMany,
                "The tenant has too much waiting to be indexed",
                Some("Wait until some of it is indexed, then go on."),
            ),
            Self::QuotaStreams => (
                "quota_streams",
                Kind::TooMany,
                "The tenant has too many streams open",
                Some("End one of them, then go on."),
            ),
            Self::QuotaUploads => (
                "quota_uploads",
                Kind::TooMany,
                "The tenant has too many unfinished uploads",
                Some("Finish or delete some of them, then go on."),
            ),
            Self::QuotaRequests => (
                "quota_requests",
                Kind::TooMany,
                "The tenant sends requests too fast",
                Some("Wait as long as `Retry-After` says."),
            ),
            Self::QuotaConcurrentQueries => (
                "quota_concurrent_queries",
                Kind::TooMany,
                "The tenant runs too many queries at the same time",
                Some("Wait until one of them is answered."),
            ),
            Self::NotInTier => (
                "not_in_tier",
                Kind::Forbidden,
                "The tenant's tier does not include this",
                Some("Ask the appliance's admin for another tier."),
            ),
            Self::TenantSuspended => (
                "tenant_suspended",
                Kind::Forbidden,
                "The tenant is suspended",
                Some("Ask the administrator to resume it."),
            ),
            Self::TenantLocked => (
                "tenant_locked",
                Kind::Locked,
                "The tenant is locked",
                Some("Unlock the tenant and try again."),
            ),
            Self::Sealed => (
                "sealed",
                Kind::Locked,
                "The appliance is sealed",
                Some("Unseal it on the page, or with `cairn keys unseal`."),
            ),
            Self::WrongKey => (
                "wrong_key",
                Kind::Invalid,
                "This does not open the appliance",
                Some("Check the passphrase, or use recovery shares."),
            ),
            Self::KeyUnusable => (
                "key_unusable",
                Kind::Locked,
                "The tenant's key is damaged or missing",
                Some(
                    "Nothing is lost while the key can be restored: `cairn keys status` names its \
                     file, which a backup has.",
                ),
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
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut cause = Some(error);
    while let Some(current) = cause {
        let mark = if line.is_empty() { "" } else { ": " };
        // The message of a panic quotes what was being worked on.
        let _ = match is_panic(current) {
            true => write!(line, "{mark}a task panicked"),
            false => write!(line, "{mark}{current}"),
        };
        cause = current.source();
    }
    line
}

/// True for the end of a task that panicked, also inside an operating system error.
fn is_panic(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let died = error
        .downcast_ref::<tokio::task::JoinError>()
        .or_else(|| inside.and_then(|inside| inside.downcast_ref()));
    died.is_some_and(tokio::task::JoinError::is_panic)
}

/// True where the chain holds an error of type `E`, also inside an operating system error.
pub fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        let inside = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if current.is::<E>() || inside.is_some_and(<dyn Error + Send + Sync>::is::<E>) {
            return true;
        }
        cause = current.source();
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_panic_quotes_reaches_no_log() {
        let died = || async {
            let task = tokio::spawn(async { panic!("byte index 1 is inside 'é' of `a secret`") });
            task.await.unwrap_err()
        };
        let lost = std::io::Error::other(died().await);
        assert_eq!(chain(&died().await), "a task panicked");
        assert_eq!(chain(&lost), "a task panicked");
        let plain = std::io::Error::other("the disk is gone");
        assert_eq!(chain(&plain), "the disk is gone");
    }
}
