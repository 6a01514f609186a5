//! Sessions: sign-ins of people, each from one browser.
//!
//! Called by: `auth`. Talks to: `system.db`.
//! Invariants: a session ends after a time without use, at a fixed time however busy it is, when
//! it is revoked, and when its user is disabled or removed.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{System, SystemError, failed, parsed, timestamp};
use crate::crypto::TokenDigest;
use crate::types::{ApplianceRole, SessionId, UserId};

/// A session as its user sees it listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub user: UserId,
    /// Network address of the sign-in.
    pub source: String,
    /// What the browser called itself.
    pub agent: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Whom a presented session token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHolder {
    pub session: SessionId,
    pub user: UserId,
    pub name: String,
    pub appliance_role: Option<ApplianceRole>,
}

/// Uses of a session are written down at most this often, so that a read does not cost a write.
const LAST_SEEN_STEP: SignedDuration = SignedDuration::from_mins(1);

impl System {
    /// Records a session, notes the sign-in with its user and forgets sessions that have expired.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add_session(
        &self,
        session: &SessionRecord,
        digest: &TokenDigest,
    ) -> Result<(), SystemError> {
        self.transaction("add session", |transaction| insert(transaction, session, digest))
    }

    /// The holder of a session that was used within `idle` and has not expired. `noting` the use
    /// keeps the session from lying idle.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn use_session(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
        idle: SignedDuration,
        noting: bool,
    ) -> Result<Option<SessionHolder>, SystemError> {
        let connection = self.connection();
        let used_since = before(now, idle);
        let found = connection
            .prepare_cached(
                "SELECT session.id, user.id, user.name, user.appliance_role, session.last_seen_at \
                 FROM session JOIN user ON user.id = session.user \
                 WHERE digest = ?1 AND expires_at > ?2 AND last_seen_at > ?3 \
                 AND session.created_at <= ?4 AND NOT disabled",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(
                        params![digest.as_str(), now.as_microsecond(), used_since, begun_by(now)],
                        |row| {
                            let (session, user): (String, String) = (row.get(0)?, row.get(1)?);
                            let role: Option<String> = row.get(3)?;
                            let holder = SessionHolder {
                                session: parsed(0, &session)?,
                                user: parsed(1, &user)?,
                                name: row.get(2)?,
                                appliance_role: role.map(|role| parsed(3, &role)).transpose()?,
                            };
                            Ok((holder, row.get::<_, i64>(4)?))
                        },
                    )
                    .optional()
            })
            .map_err(failed("find session"))?;
        let Some((holder, last_seen)) = found else {
            return Ok(None);
        };
        // One from the future would keep an idle session alive until then.
        let stale = last_seen < before(now, LAST_SEEN_STEP) || last_seen > now.as_microsecond();
        if noting && stale {
            // A stamp that cannot be written, on a full disk say, must not sign the user out.
            let _ = connection.execute(
                "UPDATE session SET last_seen_at = ?2 WHERE digest = ?1",
                params![digest.as_str(), now.as_microsecond()],
            );
        }
        Ok(Some(holder))
    }

    /// The live sessions of a user, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Vec<SessionRecord>, SystemError> {
        self.connection()
            .prepare_cached(
                "SELECT id, source, agent, created_at, last_seen_at, expires_at FROM session \
                 WHERE user = ?1 AND expires_at > ?2 AND last_seen_at > ?3 AND created_at <= ?4 \
                 ORDER BY id",
            )
            .and_then(|mut list| {
                let limits = params![
                    user.to_string(),
                    now.as_microsecond(),
                    before(now, idle),
                    begun_by(now)
                ];
                list.query_map(limits, |row| {
                    let id: String = row.get(0)?;
                    Ok(SessionRecord {
                        id: parsed(0, &id)?,
                        user,
                        source: row.get(1)?,
                        agent: row.get(2)?,
                        created_at: timestamp(3, row.get(3)?)?,
                        last_seen_at: timestamp(4, row.get(4)?)?,
                        expires_at: timestamp(5, row.get(5)?)?,
                    })
                })?
                .collect()
            })
            .map_err(failed("list sessions"))
    }

    /// Ends a session by its token; ending one twice is no error.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn end_session(&self, digest: &TokenDigest) -> Result<(), SystemError> {
        self.connection()
            .execute("DELETE FROM session WHERE digest = ?1", [digest.as_str()])
            .map(drop)
            .map_err(failed("end session"))
    }

    /// Ends one session of a user; false where the user has none with this id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn revoke_session(&self, user: UserId, session: SessionId) -> Result<bool, SystemError> {
        self.connection()
            .execute(
                "DELETE FROM session WHERE user = ?1 AND id = ?2",
                [user.to_string(), session.to_string()],
            )
            .map(|rows| rows > 0)
            .map_err(failed("revoke session"))
    }

    /// Ends every session of a user but `keep`; how many ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn revoke_sessions(
        &self,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<usize, SystemError> {
        end_all(&self.connection(), user, keep).map_err(failed("revoke sessions"))
    }
}

/// The moment `span` before `now`, as stored.
/// How far ahead of the clock a session may have begun: the clock was put back a little since.
/// One from further ahead would last longer than sessions may, so it counts no more.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

fn begun_by(now: Timestamp) -> i64 {
    now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX).as_microsecond()
}

fn before(now: Timestamp, span: SignedDuration) -> i64 {
    now.saturating_sub(span).unwrap_or(Timestamp::MIN).as_microsecond()
}

pub(super) fn end_all(
    connection: &Connection,
    user: UserId,
    keep: Option<SessionId>,
) -> rusqlite::Result<usize> {
    let keep = keep.map(|id| id.to_string()).unwrap_or_default();
    connection.execute("DELETE FROM session WHERE user = ?1 AND id <> ?2", [user.to_string(), keep])
}

pub(super) fn insert(
    connection: &Connection,
    session: &SessionRecord,
    digest: &TokenDigest,
) -> rusqlite::Result<()> {
    let at = session.created_at.as_microsecond();
    connection.execute("DELETE FROM session WHERE expires_at <= ?1", [at])?;
    connection.execute(
        "UPDATE user SET last_sign_in_at = ?2 WHERE id = ?1",
        params![session.user.to_string(), at],
    )?;
    connection
        .execute(
            "INSERT INTO session \
             (digest, id, user, source, agent, created_at, last_seen_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                digest.as_str(),
                session.id.to_string(),
                session.user.to_string(),
                session.source,
                session.agent,
                at,
                session.last_seen_at.as_microsecond(),
                session.expires_at.as_microsecond()
            ],
        )
        .map(drop)
}
