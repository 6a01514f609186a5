//! Named places where a test may make the process die or an operation fail.
//!
//! Called by: `disk`, `tenant`, `app`, `worker`. Talks to: nothing.
//! Invariants: without the feature `fault-injection` a plan is empty and costs one branch.
//! Why: a plan is a value handed to constructors, not a process global, so tests run in parallel.

use std::io;
#[cfg(feature = "fault-injection")]
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// A place where a crash must lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// Bytes are in a temporary file, not yet under their digest.
    BlobWritten,
    /// The blob is in place, the catalogue does not know it yet.
    BlobStored,
    /// Document, item and job are committed, the caller has no answer yet.
    Accepted,
    /// Text and chunks are about to be committed.
    Extracted,
    /// The full-text group is committed, the catalogue has not flipped.
    FulltextCommitted,
    /// Embeddings of a group are in the catalogue, vectors not appended.
    Embedded,
    /// The vector group is appended, the catalogue has not flipped.
    VectorsAppended,
    /// Projections of a removed document are purged, its rows are still there.
    Purged,
    /// A change of the appliance database is committed with its audit entries; those of the tenant
    /// it concerns are not in the tenant's trail.
    AuditWaiting,
    /// The tenant's trail has them, and they still wait to be taken.
    AuditTaken,
}

impl Failpoint {
    /// Every place, for tests that visit them all.
    pub const ALL: [Self; 10] = [
        Self::BlobWritten,
        Self::BlobStored,
        Self::Accepted,
        Self::Extracted,
        Self::FulltextCommitted,
        Self::Embedded,
        Self::VectorsAppended,
        Self::Purged,
        Self::AuditWaiting,
        Self::AuditTaken,
    ];

    /// The name used in a plan: `blob_written`, `accepted`, ….
    pub fn name(self) -> &'static str {
        match self {
            Self::BlobWritten => "blob_written",
            Self::BlobStored => "blob_stored",
            Self::Accepted => "accepted",
            Self::Extracted => "extracted",
            Self::FulltextCommitted => "fulltext_committed",
            Self::Embedded => "embedded",
            Self::VectorsAppended => "vectors_appended",
            Self::Purged => "purged",
            Self::AuditWaiting => "audit_waiting",
            Self::AuditTaken => "audit_taken",
        }
    }
}

/// Which failpoints act, and on which pass.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    #[cfg(feature = "fault-injection")]
    armed: Option<Arc<Armed>>,
}

#[cfg(feature = "fault-injection")]
#[derive(Debug)]
struct Armed {
    place: Failpoint,
    passes_left: AtomicU32,
    action: Action,
}

#[cfg(feature = "fault-injection")]
#[derive(Clone, Copy, Debug)]
enum Action {
    Kill,
    Fail,
}

impl FaultPlan {
    /// Reads `<kill|fail>:<failpoint>:<pass>`, for instance `kill:accepted:17`.
    ///
    /// # Errors
    /// A sentence naming the part that is not understood.
    #[cfg(feature = "fault-injection")]
    pub fn parse(plan: &str) -> Result<Self, String> {
        let mut parts = plan.split(':');
        let action = match parts.next() {
            Some("kill") => Action::Kill,
            Some("fail") => Action::Fail,
            other => return Err(format!("unknown fault action {other:?}")),
        };
        let name = parts.next().unwrap_or_default();
        let place = Failpoint::ALL
            .into_iter()
            .find(|place| place.name() == name)
            .ok_or_else(|| format!("unknown failpoint {name:?}"))?;
        let pass = parts
            .next()
            .unwrap_or("1")
            .parse::<u32>()
            .map_err(|_| "the pass is not a number".to_owned())?;
        let passes_left = AtomicU32::new(pass.max(1));
        Ok(Self { armed: Some(Arc::new(Armed { place, passes_left, action })) })
    }

    /// Passes a failpoint: dies like `kill -9`, or returns an error, when the plan says so.
    ///
    /// # Errors
    /// Only under a plan that asks for a failure here.
    #[cfg(feature = "fault-injection")]
    pub fn pass(&self, place: Failpoint) -> io::Result<()> {
        let Some(armed) = self.armed.as_deref() else {
            return Ok(());
        };
        if armed.place != place {
            return Ok(());
        }
        let due = armed
            .passes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            == Ok(1);
        match armed.action {
            Action::Kill if due => {
                // SIGKILL leaves no chance to flush, which is the point.
                let _ = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                std::process::abort();
            }
            Action::Fail if due => {
                Err(io::Error::other(format!("injected fault at {}", place.name())))
            }
            _ => Ok(()),
        }
    }

    /// Passes a failpoint; without the feature nothing can be armed.
    ///
    /// # Errors
    /// Never in this build.
    #[cfg(not(feature = "fault-injection"))]
    #[inline]
    pub fn pass(&self, _place: Failpoint) -> io::Result<()> {
        Ok(())
    }
}
