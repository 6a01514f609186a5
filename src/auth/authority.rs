//! From an actor to a grant: the table of who may do what.
//!
//! Called by: `app`, `http`. Talks to: `system`.
//! Invariants: a tenant that the actor may not touch at a level and a tenant that is absent give
//! the same `None`; that a tenant is suspended or locked is told only to those who could open it
//! otherwise; a role on the appliance is no way to content.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::Semaphore;

use super::actor::Actor;
use super::grant::{Access, Grant, Level};
use crate::clock::SharedClock;
use crate::crypto::{PasswordError, RandomError, TokenDigest};
use crate::system::{System, SystemError};
use crate::types::{ApplianceRole, CollectionScope, Role, TenantState};

/// Why nothing could be decided, or why what could be opened cannot be at present.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("the appliance database could not be asked")]
    System(#[from] SystemError),
    #[error("no token could be made")]
    Random(#[from] RandomError),
    #[error("a password could not be hashed")]
    Hash(#[from] PasswordError),
    #[error("this tenant is suspended")]
    TenantSuspended,
    #[error("this tenant is locked")]
    TenantLocked,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Without being used.
    pub idle: SignedDuration,
    /// However busy it is.
    pub absolute: SignedDuration,
}

/// Checks secrets and hands out grants.
#[derive(Clone)]
pub struct Authority {
    pub(in crate::auth) system: Arc<System>,
    pub(in crate::auth) clock: SharedClock,
    pub(in crate::auth) limits: SessionLimits,
    /// Passwords hashed at a time: each takes 19 MiB and a core.
    hashing: Arc<Semaphore>,
}

/// Passwords hashed at a time.
const HASHES_AT_ONCE: usize = 2;

impl Authority {
    /// An authority over the accounts in `system`.
    pub fn new(system: Arc<System>, clock: SharedClock, limits: SessionLimits) -> Self {
        Self { system, clock, limits, hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }

    /// Waits for a turn to hash a password; held while a call that checks or sets one runs.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn hashing_turn(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.hashing.clone().acquire_owned().await.expect("invariant: nobody closes this semaphore")
    }

    /// The actor behind an API key; `None` for an unknown, expired or revoked key.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn api_key(&self, presented: &str) -> Result<Option<Actor>, AuthError> {
        let found = self.system.use_api_key(&TokenDigest::of(presented), self.clock.now())?;
        Ok(found.map(|key| Actor::ApiKey {
            id: key.id,
            tenant: key.tenant,
            name: key.name,
            role: key.role,
        }))
    }

    /// A grant for `actor` on the tenant named by id or name; `None` where the tenant is absent
    /// or not for this actor at this level, which a caller cannot tell apart.
    ///
    /// # Errors
    /// `TenantSuspended` and `TenantLocked` for an actor with the right; when the appliance
    /// database cannot be asked.
    pub fn authorise<A: Access>(
        &self,
        actor: &Actor,
        tenant: &str,
    ) -> Result<Option<Grant<A>>, AuthError> {
        let Some(found) = self.system.find_tenant(tenant)? else {
            return Ok(None);
        };
        if may_on_appliance(actor, A::LEVEL) {
            let opens = !found.locked || !needs_keys(A::LEVEL);
            return match opens {
                true => Ok(Some(Grant::mint(found.id, actor.clone(), CollectionScope::All))),
                false => Err(AuthError::TenantLocked),
            };
        }
        let (role, collections) = match actor {
            Actor::User { id, .. } => match self.system.find_membership(found.id, *id)? {
                Some(membership) => (membership.role, membership.collections),
                None => return Ok(None),
            },
            // A key may do what its role may, except bring others in.
            Actor::ApiKey { tenant, role, .. } if *tenant == found.id => match A::LEVEL {
                Level::Admit => return Ok(None),
                _ => (*role, CollectionScope::All),
            },
            _ => return Ok(None),
        };
        // A limited member reads and does nothing else, whatever role the row says.
        let limited = collections != CollectionScope::All;
        if !may_in_tenant(role, A::LEVEL) || (limited && A::LEVEL != Level::Read) {
            return Ok(None);
        }
        match found.state {
            TenantState::Active => Ok(Some(Grant::mint(found.id, actor.clone(), collections))),
            TenantState::Suspended => Err(AuthError::TenantSuspended),
            TenantState::Locked => Err(AuthError::TenantLocked),
        }
    }

    /// True while an actor may act at all: an account that is not disabled, by a session that has not
    /// ended; a key that counts. For what stays open; a request is asked anyway.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn is_live(&self, actor: &Actor) -> Result<bool, AuthError> {
        match actor {
            Actor::User { id, session, .. } => {
                let found = self.system.find_user(&id.to_string())?;
                let able = found.is_some_and(|user| !user.disabled);
                Ok(able && self.sessions(*id)?.iter().any(|live| live.id == *session))
            }
            Actor::ApiKey { id, tenant, .. } => {
                Ok(self.system.api_key_counts(*tenant, *id, self.clock.now())?)
            }
            Actor::Console | Actor::System(_) => Ok(true),
        }
    }

    /// True where `actor` may do what belongs to the whole appliance: users, tenants, limits.
    pub fn may_administer(&self, actor: &Actor) -> bool {
        may_on_appliance(actor, Level::Administer)
    }

    /// True where `actor` may watch the appliance and see which tenants there are.
    pub fn may_operate(&self, actor: &Actor) -> bool {
        may_on_appliance(actor, Level::Operate)
    }
}

/// What an actor may do on every tenant by standing above them.
fn may_on_appliance(actor: &Actor, level: Level) -> bool {
    if *actor == Actor::Console {
        return true;
    }
    match actor.appliance_role() {
        Some(ApplianceRole::Admin) => {
            matches!(level, Level::Administer | Level::Operate | Level::Admit)
        }
        Some(ApplianceRole::Operator) => matches!(level, Level::Operate),
        None => false,
    }
}

/// What a member or key may do in its tenant.
fn may_in_tenant(role: Role, level: Level) -> bool {
    match role {
        Role::Owner => matches!(
            level,
            Level::Read | Level::Write | Level::Manage | Level::Audit | Level::Admit
        ),
        Role::Editor => matches!(level, Level::Read | Level::Write),
        Role::Reader => matches!(level, Level::Read),
        Role::Auditor => matches!(level, Level::Audit),
    }
}

/// Levels that look into a tenant's stores, which takes its keys.
fn needs_keys(level: Level) -> bool {
    matches!(level, Level::Read | Level::Write | Level::Manage | Level::Audit)
}
