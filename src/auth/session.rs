//! Sessions of people: opened by a sign-in, presented as a cookie, listed and revoked.
//!
//! Called by: `app`, `http`. Talks to: `system`.
//! Invariants: a session's token is shown once and stored as a digest; the token against forged
//! requests is derived from it, so that whoever cannot read the cookie cannot make one.

use jiff::Timestamp;

use super::actor::Actor;
use super::authority::{AuthError, Authority};
use crate::crypto::{Token, TokenDigest};
use crate::system::{SessionRecord, User};
use crate::types::{SessionId, UserId};

/// Where a request comes from, for throttling, lists and the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Network address, or `local` for this machine's console.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// Longest name of a browser that is kept, in bytes.
const MAX_AGENT_BYTES: usize = 200;

impl Peer {
    /// A peer at `address`; the browser's name is cut to a reasonable length.
    pub fn new(address: String, agent: &str) -> Self {
        let end = agent.floor_char_boundary(MAX_AGENT_BYTES);
        Self { address, agent: agent[..end].to_owned() }
    }
}

/// What uses a session: an open page that nobody looks at must not keep it alive for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseBy {
    Person,
    /// The page by itself: a poll or a stream.
    Page,
}

/// A session that a request presented and that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveSession {
    pub id: SessionId,
    pub user: UserId,
    pub actor: Actor,
}

/// A fresh session.
#[derive(Debug)]
pub struct SignedIn {
    pub token: Token,
    pub session: ActiveSession,
    pub expires_at: Timestamp,
    /// True where a recovery code stood in for the second factor and is used up.
    pub by_recovery_code: bool,
}

/// What a page has to send beside the cookie with every request that changes something.
pub fn csrf_token(session_token: &str) -> String {
    TokenDigest::of(&format!("cairn csrf 1 {session_token}")).as_str().to_owned()
}

impl Authority {
    /// The live session behind a cookie; `None` once it has expired, lain idle or was ended.
    ///
    /// # Errors
    /// When the appliance database cannot be asked.
    pub fn session(
        &self,
        presented: &str,
        use_by: UseBy,
    ) -> Result<Option<ActiveSession>, AuthError> {
        let digest = TokenDigest::of(presented);
        let (now, noting) = (self.clock.now(), use_by == UseBy::Person);
        let found = self.system.use_session(&digest, now, self.limits.idle, noting)?;
        Ok(found.map(|holder| ActiveSession {
            id: holder.session,
            user: holder.user,
            actor: Actor::User {
                id: holder.user,
                name: holder.name,
                appliance: holder.appliance_role,
                session: holder.session,
            },
        }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the appliance database cannot be written.
    pub fn sign_out(&self, presented: &str) -> Result<(), AuthError> {
        Ok(self.system.end_session(&TokenDigest::of(presented))?)
    }

    /// The live sessions of a user.
    ///
    /// # Errors
    /// When the appliance database cannot be read.
    pub fn sessions(&self, user: UserId) -> Result<Vec<SessionRecord>, AuthError> {
        Ok(self.system.list_sessions(user, self.clock.now(), self.limits.idle)?)
    }

    /// True where a user is signed in from this address at present.
    pub(in crate::auth) fn is_signed_in_from(
        &self,
        user: UserId,
        address: &str,
    ) -> Result<bool, AuthError> {
        Ok(self.sessions(user)?.iter().any(|session| session.source == address))
    }

    /// A session for `user`, not stored yet, with the record to store.
    pub(in crate::auth) fn new_session(
        &self,
        user: &User,
        peer: &Peer,
    ) -> Result<(SignedIn, SessionRecord), AuthError> {
        let now = self.clock.now();
        let expires_at = now.saturating_add(self.limits.absolute).unwrap_or(Timestamp::MAX);
        let record = SessionRecord {
            id: SessionId::generate(),
            user: user.id,
            source: peer.address.clone(),
            agent: peer.agent.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at,
        };
        let actor = Actor::User {
            id: user.id,
            name: user.name.clone(),
            appliance: user.appliance_role,
            session: record.id,
        };
        let session = ActiveSession { id: record.id, user: user.id, actor };
        let token = Token::generate("")?;
        Ok((SignedIn { token, session, expires_at, by_recovery_code: false }, record))
    }
}
