//! The second factor: its secret, the codes taken, and the recovery codes.
//!
//! Called by: `auth`. Talks to: `system.db`.
//! Invariants: a code's time step is taken at most once for as long as the secret is in use (RFC
//! 6238, section 5.2), also after the clock was set back, by however much, and in another process;
//! a recovery code is used at most once.
//! Why every step is kept: one highest step would have to be believed against the clock. Where the
//! clock was ahead and is put right, it would keep its user out until that time comes again; where
//! it is passed over, codes from before count twice. With all of them a clock that was wrong keeps
//! nobody out for longer than a code lives, and makes no used code good again. It costs some bytes
//! for each sign-in, less than the sign-in's audit entry.

use jiff::Timestamp;
use rusqlite::params;

use super::{System, SystemError, failed};
use crate::crypto::TokenDigest;
use crate::types::UserId;

/// How far before the last step taken one can be that the same clock still accepts: two tolerances.
/// Within it steps only go up; an older one is shown by a clock that was set back since.
const IN_ONE_SIGHT: i64 = 2;

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
            // Those of another secret.
            transaction.execute("DELETE FROM totp_spent WHERE user = ?1", [&id])?;
            transaction.execute(
                "INSERT INTO totp_spent (user, first_step, last_step) VALUES (?1, ?2, ?2)",
                params![id, step as i64],
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
            transaction.execute("DELETE FROM totp_spent WHERE user = ?1", [&id])?;
            transaction.execute("DELETE FROM recovery_code WHERE user = ?1", [&id]).map(drop)
        })
    }

    /// Takes the code of a time step; false where that step was taken before, however long ago, or
    /// one just after it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn take_totp_step(&self, user: UserId, step: u64) -> Result<bool, SystemError> {
        self.transaction("take second factor", |transaction| {
            let (id, step) = (user.to_string(), step as i64);
            let taken = transaction.execute(
                "INSERT INTO totp_spent (user, first_step, last_step) \
                 SELECT id, ?2, ?2 FROM user WHERE id = ?1 \
                 AND NOT totp_last_step BETWEEN ?2 AND ?2 + ?3 \
                 AND NOT EXISTS (SELECT 1 FROM totp_spent \
                     WHERE user = ?1 AND ?2 BETWEEN first_step AND last_step)",
                params![id, step, IN_ONE_SIGHT],
            )?;
            if taken > 0 {
                transaction.execute(
                    "UPDATE user SET totp_last_step = ?2 WHERE id = ?1",
                    params![id, step],
                )?;
            }
            Ok(taken > 0)
        })
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
