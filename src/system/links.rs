//! One-time links: one makes the first admin, others set the password of one user.
//!
//! Called by: `auth`. Talks to: `system.db`.
//! Invariants: a link is used at most once, in the transaction that does what it is for; none
//! makes an admin where one can sign in already.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SessionRecord, System, SystemError, User, failed, parsed, sessions, users};
use crate::crypto::TokenDigest;

use crate::types::{LinkPurpose, UserId};

/// A link that has not been used and has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub purpose: LinkPurpose,
    /// Whose password it sets, by id and name.
    pub user: Option<(UserId, String)>,
}

impl System {
    /// Records a link and forgets expired ones and any earlier one for the same user.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add_link(
        &self,
        digest: &TokenDigest,
        user: Option<UserId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), SystemError> {
        let purpose = if user.is_some() { LinkPurpose::Reset } else { LinkPurpose::FirstAdmin };
        let user = user.map(|id| id.to_string());
        self.transaction("add link", |transaction| {
            transaction.execute(
                "DELETE FROM link WHERE expires_at <= ?1 OR user = ?2",
                params![now.as_microsecond(), user],
            )?;
            transaction
                .execute(
                    "INSERT INTO link (digest, purpose, user, created_at, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        digest.as_str(),
                        purpose.as_str(),
                        user,
                        now.as_microsecond(),
                        expires_at.as_microsecond()
                    ],
                )
                .map(drop)
        })
    }

    /// The live link with this digest; one of a disabled user is dead.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_link(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Link>, SystemError> {
        self.connection()
            .prepare_cached(
                "SELECT purpose, user.id, user.name FROM link LEFT JOIN user ON user.id = link.user \
                 WHERE digest = ?1 AND expires_at > ?2 AND NOT coalesce(disabled, 0)",
            )
            .and_then(|mut found| {
                found
                    .query_row(params![digest.as_str(), now.as_microsecond()], |row| {
                        let purpose: String = row.get(0)?;
                        let user: Option<String> = row.get(1)?;
                        let name: Option<String> = row.get(2)?;
                        Ok(Link {
                            purpose: parsed(0, &purpose)?,
                            user: match (user, name) {
                                (Some(id), Some(name)) => Some((parsed(1, &id)?, name)),
                                _ => None,
                            },
                        })
                    })
                    .optional()
            })
            .map_err(failed("find link"))
    }

    /// Uses up a link of the first admin: records the user with a password, and the session where
    /// there is to be one. False where the link is dead or an admin can sign in already.
    ///
    /// # Errors
    /// `NameTaken`, which leaves the link alive, or when the database cannot be written.
    pub fn make_first_admin(
        &self,
        link: &TokenDigest,
        admin: &User,
        password: &str,
        session: Option<(&SessionRecord, &TokenDigest)>,
    ) -> Result<bool, SystemError> {
        let made = self.transaction("make first admin", |transaction| {
            let live = take(transaction, link, None, admin.created_at)?;
            if !live || users::able_admins(transaction)? > 0 {
                return Ok(false);
            }
            users::insert(transaction, admin, Some(password))?;
            transaction.execute("DELETE FROM link WHERE purpose = 'first_admin'", [])?;
            if let Some((session, digest)) = session {
                sessions::insert(transaction, session, digest)?;
            }
            Ok(true)
        });
        made.map_err(|error| match error {
            SystemError::Sqlite { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                SystemError::NameTaken { name: admin.name.clone() }
            }
            error => error,
        })
    }

    /// Uses up a link of a user: sets the password, ends every session, and opens one where there
    /// is to be one. False where the link is dead.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn reset_password(
        &self,
        link: &TokenDigest,
        user: UserId,
        password: &str,
        session: Option<(&SessionRecord, &TokenDigest)>,
        now: Timestamp,
    ) -> Result<bool, SystemError> {
        self.transaction("reset password", |transaction| {
            if !take(transaction, link, Some(user), now)? {
                return Ok(false);
            }
            users::write_password(transaction, user, password, now)?;
            sessions::end_all(transaction, user, None)?;
            if let Some((session, digest)) = session {
                sessions::insert(transaction, session, digest)?;
            }
            Ok(true)
        })
    }
}

/// Removes a live link; false where there was none.
fn take(
    transaction: &Connection,
    link: &TokenDigest,
    user: Option<UserId>,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let rows = transaction.execute(
        "DELETE FROM link WHERE digest = ?1 AND expires_at > ?2 AND user IS ?3",
        params![link.as_str(), now.as_microsecond(), user.map(|id| id.to_string())],
    )?;
    Ok(rows > 0)
}
