//! The second factor: its secret, the last code taken, and the recovery codes.
//!
//! Called by: `auth`. Talks to: `system.db`.
//! Invariants: a code's time step is taken at most once and steps only go up, unless the clock was
//! put back far; a recovery code is used at most once.

use jiff::Timestamp;
use rusqlite::params;

use super::{System, SystemError, failed};
use crate::crypto::TokenDigest;
use crate::types::UserId;

/// Time steps of half a minute that no clock is put back by in passing: an hour of them.
const FAR_AHEAD: i64 = 120;

impl System {
    /// Keeps a secret that the user has been shown; it counts once they have proved to have it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn offer_totp(&self, user: UserId, secret: &[u8]) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "UPDATE user SET totp_offered = ?2 WHERE id = ?1",
                params![user.to_string(), secret],
            )
            .map(drop)
            .map_err(failed("offer second factor"))
    }

    /// Makes the offered secret the second factor and replaces the recovery codes; `step` is the
    /// time step of the code that proved it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn enable_totp(
        &self,
        user: UserId,
        step: u64,
        recovery: &[TokenDigest],
        now: Timestamp,
    ) -> Result<(), SystemError> {
        self.transaction("enable second factor", |transaction| {
            let id = user.to_string();
            transaction.execute(
                "UPDATE user SET totp_secret = totp_offered, totp_offered = NULL, \
                 totp_last_step = ?2, changed_at = ?3 WHERE id = ?1",
                params![id, step as i64, now.as_microsecond()],
            )?;
            transaction.execute("DELETE FROM recovery_code WHERE user = ?1", [&id])?;
            for digest in recovery {
                transaction.execute(
                    "INSERT INTO recovery_code (user, digest) VALUES (?1, ?2)",
                    params![id, digest.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// Forgets the second factor with its recovery codes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn clear_totp(&self, user: UserId, now: Timestamp) -> Result<(), SystemError> {
        self.transaction("clear second factor", |transaction| {
            let id = user.to_string();
            transaction.execute(
                "UPDATE user SET totp_secret = NULL, totp_offered = NULL, totp_last_step = 0, \
                 changed_at = ?2 WHERE id = ?1",
                params![id, now.as_microsecond()],
            )?;
            transaction.execute("DELETE FROM recovery_code WHERE user = ?1", [&id]).map(drop)
        })
    }

    /// Takes the code of a time step; false where that step or a later one was taken before. A
    /// step from far ahead was taken by a clock that has been put back since, and must not keep
    /// its user out until that time comes again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn take_totp_step(&self, user: UserId, step: u64) -> Result<bool, SystemError> {
        self.connection()
            .execute(
                "UPDATE user SET totp_last_step = ?2 \
                 WHERE id = ?1 AND (totp_last_step < ?2 OR totp_last_step > ?2 + ?3)",
                params![user.to_string(), step as i64, FAR_AHEAD],
            )
            .map(|rows| rows > 0)
            .map_err(failed("take second factor"))
    }

    /// Uses up a recovery code; false where the user has no such code.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn use_recovery_code(
        &self,
        user: UserId,
        digest: &TokenDigest,
    ) -> Result<bool, SystemError> {
        self.connection()
            .execute(
                "DELETE FROM recovery_code WHERE user = ?1 AND digest = ?2",
                params![user.to_string(), digest.as_str()],
            )
            .map(|rows| rows > 0)
            .map_err(failed("use recovery code"))
    }
}
