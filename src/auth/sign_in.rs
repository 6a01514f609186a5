//! From a presented secret to an actor, and from an actor to a grant.
//!
//! Called by: `app`, `http`. Talks to: `system`.
//! Invariants: a tenant that the actor may not see and a tenant that is absent give the same
//! `None`; secrets are looked up by digest and never logged.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::actor::Actor;
use super::grant::{Access, Grant};
use crate::clock::SharedClock;
use crate::crypto::{RandomError, Token, TokenDigest};
use crate::system::{System, SystemError};
use crate::types::TenantId;

/// Why signing in failed for a reason that is not the caller's.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("the appliance database could not be asked")]
    System(#[source] SystemError),
    #[error("no token could be made")]
    Random(#[source] RandomError),
}

/// A fresh browser session.
#[derive(Debug)]
pub struct SignedIn {
    pub token: Token,
    pub expires_at: Timestamp,
}

/// Checks secrets and hands out grants.
#[derive(Clone)]
pub struct Authority {
    system: Arc<System>,
    clock: SharedClock,
}

impl Authority {
    /// An authority over the accounts in `system`.
    pub fn new(system: Arc<System>, clock: SharedClock) -> Self {
        Self { system, clock }
    }

    /// The actor behind an API key; `None` for an unknown or revoked key.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn api_key(&self, presented: &str) -> Result<Option<Actor>, AuthError> {
        let found = self
            .system
            .use_api_key(&TokenDigest::of(presented), self.clock.now())
            .map_err(AuthError::System)?;
        Ok(found.map(|key| Actor::ApiKey { id: key.id, tenant: key.tenant, name: key.name }))
    }

    /// The actor behind a session cookie; `None` once it has expired or was signed out.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn session(&self, presented: &str) -> Result<Option<Actor>, AuthError> {
        let valid = self
            .system
            .session_is_valid(&TokenDigest::of(presented), self.clock.now())
            .map_err(AuthError::System)?;
        Ok(valid.then_some(Actor::Admin))
    }

    /// Makes a one-time link token that dies after `lifetime`.
    ///
    /// # Errors
    /// When there is no randomness or the appliance database cannot be written.
    pub fn make_link(&self, lifetime: SignedDuration) -> Result<SignedIn, AuthError> {
        let token = Token::generate("").map_err(AuthError::Random)?;
        let now = self.clock.now();
        let expires_at = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        self.system.add_link(&token.digest(), now, expires_at).map_err(AuthError::System)?;
        Ok(SignedIn { token, expires_at })
    }

    /// Trades a one-time link token for a session; `None` where it is unknown, used or expired.
    ///
    /// # Errors
    /// When there is no randomness or the appliance database cannot be written.
    pub fn redeem_link(
        &self,
        presented: &str,
        lifetime: SignedDuration,
    ) -> Result<Option<SignedIn>, AuthError> {
        let now = self.clock.now();
        let token = Token::generate("").map_err(AuthError::Random)?;
        let expires_at = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let redeemed = self
            .system
            .redeem_link(&TokenDigest::of(presented), &token.digest(), now, expires_at)
            .map_err(AuthError::System)?;
        Ok(redeemed.then_some(SignedIn { token, expires_at }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the appliance database cannot be written.
    pub fn sign_out(&self, presented: &str) -> Result<(), AuthError> {
        self.system.end_session(&TokenDigest::of(presented)).map_err(AuthError::System)
    }

    /// A grant for `actor` on the tenant named by id or name; `None` where the tenant is absent
    /// or not for this actor, which a caller cannot tell apart.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn authorise<A: Access>(
        &self,
        actor: &Actor,
        tenant: &str,
    ) -> Result<Option<Grant<A>>, AuthError> {
        let Some(found) = self.system.find_tenant(tenant).map_err(AuthError::System)? else {
            return Ok(None);
        };
        Ok(self.may(actor, found.id).then(|| Grant::mint(found.id, actor.clone())))
    }

    /// True where `actor` may do what belongs to the whole appliance: create tenants, make links.
    pub fn may_administer(&self, actor: &Actor) -> bool {
        matches!(actor, Actor::Operator | Actor::Admin)
    }

    /// True where `actor` may see that `tenant` exists.
    pub fn may(&self, actor: &Actor, tenant: TenantId) -> bool {
        match actor {
            Actor::Operator | Actor::Admin => true,
            Actor::ApiKey { tenant: own, .. } => *own == tenant,
            Actor::System(_) => false,
        }
    }
}
