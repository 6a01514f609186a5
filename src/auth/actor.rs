//! Who acts. Every use case and every log line can say it.
//!
//! Called by: `auth`, `tenant`, `app`, `http`. Talks to: nothing.
//! Invariants: an actor is established once per request, at the edge.

use crate::types::{ApiKeyId, TenantId};

/// The acting party of a request or job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The owner of the server process or root, through the local socket or the command line.
    Operator,
    /// A browser session opened by a one-time link.
    Admin,
    /// A program with a key for one tenant.
    ApiKey { id: ApiKeyId, tenant: TenantId, name: String },
    /// Cairn itself.
    System(SystemActor),
}

/// The parts of Cairn that act on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemActor {
    /// Runs queued jobs.
    Worker,
    /// Takes files in from the drop folder.
    Inbox,
}

impl Actor {
    /// The word used in JSON and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::ApiKey { .. } => "api_key",
            Self::System(_) => "system",
        }
    }
}
