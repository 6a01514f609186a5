//! The words of synchronised sources: what kinds there are, and how a run went.
//!
//! Called by: `tenant`, `app`, `sources`, `http`, `cli`. Talks to: nothing.
//! Invariants: words are contract, they stand in SQL and JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// The word used in SQL and JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What a word names.
            pub fn parse(word: &str) -> Option<Self> {
                [$(Self::$variant,)*].into_iter().find(|one| one.as_str() == word)
            }
        }
    };
}

words!(
    /// What kind of place documents come from.
    SourceKind {
        /// A directory that the server sees, a mounted share for instance.
        Directory = "directory",
        /// A mailbox on the site's own mail server.
        Imap = "imap",
    }
);

words!(
    /// What becomes of a document that is gone at its source.
    Deletions {
        /// It is removed here too.
        Remove = "remove",
        /// It stays and is counted as missing.
        Keep = "keep",
    }
);

words!(
    /// How a run ended.
    RunOutcome {
        /// Everything that is there was taken in.
        Done = "done",
        /// Some things could not be taken in.
        Partial = "partial",
        /// It stopped at a limit of the tenant and goes on later.
        Waiting = "waiting",
        /// It was stopped before its end and goes on later.
        Stopped = "stopped",
        /// The source could not be read, or what it shows is not believed.
        Failed = "failed",
    }
);

/// What a run did, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RunCounts {
    /// Taken in for the first time.
    pub new: u64,
    /// Taken in as a further revision.
    pub changed: u64,
    /// Found again under another name.
    pub moved: u64,
    /// Gone at the source and removed here.
    pub deleted: u64,
    /// Gone at the source and kept here, so far.
    pub missing: u64,
    pub unchanged: u64,
    /// Not taken in, for a reason that is listed.
    pub failed: u64,
    /// Left alone: links that lead out, devices, names too deep.
    pub skipped: u64,
    /// Hidden and left alone: names that begin with a dot, unless they are folders of a mailbox, and
    /// what office programs leave beside an open file. A hidden directory counts as one.
    pub hidden: u64,
    /// Still being written; looked at again soon.
    pub unsettled: u64,
}

/// One thing that did not go as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunProblem {
    /// Path at the source.
    pub path: String,
    pub reason: String,
}

/// One run of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceRun {
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    #[schema(value_type = String)]
    pub ended_at: Timestamp,
    pub outcome: RunOutcome,
    #[serde(flatten)]
    pub counts: RunCounts,
    /// Why the whole run stopped, where it did.
    pub error: Option<String>,
    /// The first things that did not go as they should.
    pub problems: Vec<RunProblem>,
}
