//! Who acts. Every use case and every log line can say it.
//!
//! Called by: `auth`, `tenant`, `app`, `http`. Talks to: nothing.
//! Invariants: an actor is established once per request, at the edge.

use crate::types::{ApiKeyId, ApplianceRole, Role, SessionId, TenantId, UserId};

/// The acting party of a request or job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The owner of the server process or root, through the local socket or the command line.
    Console,
    /// A person who signed in, by this session.
    User { id: UserId, name: String, appliance: Option<ApplianceRole>, session: SessionId },
    /// A program with a key for one tenant.
    ApiKey { id: ApiKeyId, tenant: TenantId, name: String, role: Role },
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
    /// Takes in what synchronised sources hold.
    Source,
}

impl Actor {
    /// The word used in JSON and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::User { .. } => "user",
            Self::ApiKey { .. } => "api_key",
            Self::System(_) => "system",
        }
    }

    /// Name of the person or key.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } | Self::ApiKey { name, .. } => Some(name),
            Self::Console | Self::System(_) => None,
        }
    }

    /// The role on the appliance as a whole.
    pub fn appliance_role(&self) -> Option<ApplianceRole> {
        match self {
            Self::User { appliance, .. } => *appliance,
            _ => None,
        }
    }
}
