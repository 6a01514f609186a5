//! API keys, one-time links and sessions, all by digest.
//!
//! Called by: `auth`, `app`. Talks to: `system.db`.
//! Invariants: a link is redeemed at most once, in the transaction that makes its session.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::tenants::{parsed, timestamp};
use super::{System, SystemError, failed};
use crate::crypto::TokenDigest;
use crate::types::{ApiKeyId, TenantId};

/// An API key as listed; the key itself is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Whom a presented key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    pub name: String,
}

/// Uses of a key are written down at most this often, so that a read does not cost a write.
const LAST_USED_STEP_US: i64 = 60_000_000;

impl System {
    /// Records a key of a tenant.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add_api_key(
        &self,
        tenant: TenantId,
        key: &ApiKey,
        digest: &TokenDigest,
    ) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "INSERT INTO api_key (id, digest, tenant, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    key.id.to_string(),
                    digest.as_str(),
                    tenant.to_string(),
                    key.name,
                    key.created_at.as_microsecond()
                ],
            )
            .map(drop)
            .map_err(failed("add API key"))
    }

    /// The holder of a key, noting the use.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn use_api_key(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<KeyHolder>, SystemError> {
        let connection = self.connection();
        let found = connection
            .prepare_cached("SELECT id, tenant, name, last_used_at FROM api_key WHERE digest = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([digest.as_str()], |row| {
                        let (id, tenant): (String, String) = (row.get(0)?, row.get(1)?);
                        let holder = KeyHolder {
                            id: parsed(0, &id)?,
                            tenant: parsed(1, &tenant)?,
                            name: row.get(2)?,
                        };
                        Ok((holder, row.get::<_, Option<i64>>(3)?))
                    })
                    .optional()
            })
            .map_err(failed("find API key"))?;
        let Some((holder, last_used)) = found else {
            return Ok(None);
        };
        let now = now.as_microsecond();
        if last_used.is_none_or(|last| now - last > LAST_USED_STEP_US) {
            // A stamp that cannot be written, on a full disk say, must not keep the holder out.
            let _ = connection.execute(
                "UPDATE api_key SET last_used_at = ?2 WHERE digest = ?1",
                params![digest.as_str(), now],
            );
        }
        Ok(Some(holder))
    }

    /// The keys of a tenant, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, SystemError> {
        self.connection()
            .prepare_cached(
                "SELECT id, name, created_at, last_used_at FROM api_key WHERE tenant = ?1 ORDER BY id",
            )
            .and_then(|mut list| {
                list.query_map([tenant.to_string()], |row| {
                    let id: String = row.get(0)?;
                    let last_used: Option<i64> = row.get(3)?;
                    Ok(ApiKey {
                        id: parsed(0, &id)?,
                        name: row.get(1)?,
                        created_at: timestamp(2, row.get(2)?)?,
                        last_used_at: last_used.map(|at| timestamp(3, at)).transpose()?,
                    })
                })?
                .collect()
            })
            .map_err(failed("list API keys"))
    }

    /// Revokes a key; false where the tenant has none with this id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_api_key(&self, tenant: TenantId, key: ApiKeyId) -> Result<bool, SystemError> {
        self.connection()
            .execute(
                "DELETE FROM api_key WHERE tenant = ?1 AND id = ?2",
                [tenant.to_string(), key.to_string()],
            )
            .map(|rows| rows > 0)
            .map_err(failed("revoke API key"))
    }

    /// Records a one-time link and forgets expired ones.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add_link(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), SystemError> {
        let connection = self.connection();
        connection
            .execute("DELETE FROM link WHERE expires_at <= ?1", [now.as_microsecond()])
            .and_then(|_| {
                connection.execute(
                    "INSERT INTO link (digest, created_at, expires_at) VALUES (?1, ?2, ?3)",
                    params![digest.as_str(), now.as_microsecond(), expires_at.as_microsecond()],
                )
            })
            .map(drop)
            .map_err(failed("add link"))
    }

    /// Uses up a link and opens a session; false where the link is unknown or expired.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn redeem_link(
        &self,
        link: &TokenDigest,
        session: &TokenDigest,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, SystemError> {
        let mut connection = self.connection();
        redeem(&mut connection, link, session, now, expires_at).map_err(failed("redeem link"))
    }

    /// True while a session has neither expired nor ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn session_is_valid(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<bool, SystemError> {
        self.connection()
            .prepare_cached("SELECT 1 FROM session WHERE digest = ?1 AND expires_at > ?2")
            .and_then(|mut found| found.exists(params![digest.as_str(), now.as_microsecond()]))
            .map_err(failed("check session"))
    }

    /// Ends a session; ending one twice is no error.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn end_session(&self, digest: &TokenDigest) -> Result<(), SystemError> {
        self.connection()
            .execute("DELETE FROM session WHERE digest = ?1", [digest.as_str()])
            .map(drop)
            .map_err(failed("end session"))
    }
}

fn redeem(
    connection: &mut rusqlite::Connection,
    link: &TokenDigest,
    session: &TokenDigest,
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let used = transaction.execute(
        "DELETE FROM link WHERE digest = ?1 AND expires_at > ?2",
        params![link.as_str(), now.as_microsecond()],
    )?;
    if used == 0 {
        return Ok(false);
    }
    transaction.execute("DELETE FROM session WHERE expires_at <= ?1", [now.as_microsecond()])?;
    transaction.execute(
        "INSERT INTO session (digest, created_at, expires_at) VALUES (?1, ?2, ?3)",
        params![session.as_str(), now.as_microsecond(), expires_at.as_microsecond()],
    )?;
    transaction.commit()?;
    Ok(true)
}
