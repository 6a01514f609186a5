//! API keys, by digest: each opens one tenant in one role until it expires or is revoked.
//!
//! Called by: `auth`, `app`. Talks to: `system.db`.
//! Invariants: the key itself is not known here; one that a user made opens nothing while that user
//! is no owner of the tenant, or disabled.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{System, SystemError, failed, parsed, timestamp};
use crate::crypto::TokenDigest;
use crate::types::{ApiKeyId, Role, TenantId, UserId};

/// An API key as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub role: Role,
    /// Name of the user who made it; `None` for the console.
    pub created_by: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// True while it opens nothing, since whoever made it is disabled or no owner of the tenant.
    pub rests: bool,
}

/// Whom a presented key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    pub name: String,
    pub role: Role,
}

/// A key that was revoked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedKey {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    pub name: String,
}

/// True of a key that rests.
const RESTS: &str = "EXISTS (SELECT 1 FROM api_key_maker WHERE api_key_maker.key = api_key.id \
     AND NOT EXISTS (SELECT 1 FROM membership JOIN user ON user.id = membership.user \
         WHERE membership.tenant = api_key.tenant AND membership.user = api_key_maker.user \
         AND membership.role = 'owner' AND NOT user.disabled))";

/// Uses of a key are written down at most this often, so that a read does not cost a write.
const LAST_USED_STEP_US: i64 = 60_000_000;

impl System {
    /// Records a key of a tenant, made by this user or at the console.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add_api_key(
        &self,
        tenant: TenantId,
        key: &ApiKey,
        digest: &TokenDigest,
        maker: Option<UserId>,
    ) -> Result<(), SystemError> {
        self.transaction("add API key", |connection| {
            connection.execute(
                "INSERT INTO api_key \
                 (id, digest, tenant, name, role, created_by, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    key.id.to_string(),
                    digest.as_str(),
                    tenant.to_string(),
                    key.name,
                    key.role.as_str(),
                    key.created_by,
                    key.created_at.as_microsecond(),
                    key.expires_at.map(Timestamp::as_microsecond)
                ],
            )?;
            if let Some(maker) = maker {
                connection.execute(
                    "INSERT INTO api_key_maker (key, user) VALUES (?1, ?2)",
                    [key.id.to_string(), maker.to_string()],
                )?;
            }
            Ok(())
        })
    }

    /// The holder of a key that counts, noting the use.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn use_api_key(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<KeyHolder>, SystemError> {
        let connection = self.connection();
        let now = now.as_microsecond();
        let found = connection
            .prepare_cached(&format!(
                "SELECT id, tenant, name, role, last_used_at FROM api_key \
                 WHERE digest = ?1 AND coalesce(expires_at > ?2, 1) AND NOT {RESTS}"
            ))
            .and_then(|mut statement| {
                statement
                    .query_row(params![digest.as_str(), now], |row| {
                        let (id, tenant): (String, String) = (row.get(0)?, row.get(1)?);
                        let role: String = row.get(3)?;
                        let holder = KeyHolder {
                            id: parsed(0, &id)?,
                            tenant: parsed(1, &tenant)?,
                            name: row.get(2)?,
                            role: parsed(3, &role)?,
                        };
                        Ok((holder, row.get::<_, Option<i64>>(4)?))
                    })
                    .optional()
            })
            .map_err(failed("find API key"))?;
        let Some((holder, last_used)) = found else {
            return Ok(None);
        };
        // Also where it is ahead, by a clock that was put right since.
        if last_used.is_none_or(|last| (now - last).abs() > LAST_USED_STEP_US) {
            // A stamp that cannot be written, on a full disk say, must not keep the holder out.
            let _ = connection.execute(
                "UPDATE api_key SET last_used_at = ?2 WHERE digest = ?1",
                params![digest.as_str(), now],
            );
        }
        Ok(Some(holder))
    }

    /// True while a key opens its tenant: it is there, has not expired and does not rest.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn api_key_counts(
        &self,
        tenant: TenantId,
        key: ApiKeyId,
        now: Timestamp,
    ) -> Result<bool, SystemError> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT 1 FROM api_key WHERE tenant = ?1 AND id = ?2 \
                 AND coalesce(expires_at > ?3, 1) AND NOT {RESTS}"
            ))
            .and_then(|mut found| {
                found.exists(params![tenant.to_string(), key.to_string(), now.as_microsecond()])
            })
            .map_err(failed("find API key"))
    }

    /// Revokes the keys that a user made, of one tenant or of all.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_api_keys_of(
        &self,
        maker: UserId,
        tenant: Option<TenantId>,
    ) -> Result<Vec<RevokedKey>, SystemError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM api_key WHERE id IN (SELECT key FROM api_key_maker WHERE user = ?1) \
                 AND tenant = coalesce(?2, tenant) RETURNING id, tenant, name",
            )
            .and_then(|mut revoked| {
                let tenant = tenant.map(|tenant| tenant.to_string());
                revoked
                    .query_map(params![maker.to_string(), tenant], |row| {
                        let (id, tenant): (String, String) = (row.get(0)?, row.get(1)?);
                        Ok(RevokedKey {
                            id: parsed(0, &id)?,
                            tenant: parsed(1, &tenant)?,
                            name: row.get(2)?,
                        })
                    })?
                    .collect()
            })
            .map_err(failed("revoke API keys"))
    }

    /// The keys of a tenant, oldest first, expired ones too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, SystemError> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT id, name, role, created_by, created_at, expires_at, last_used_at, \
                 {RESTS} FROM api_key WHERE tenant = ?1 ORDER BY id"
            ))
            .and_then(|mut list| {
                list.query_map([tenant.to_string()], |row| {
                    let (id, role): (String, String) = (row.get(0)?, row.get(2)?);
                    let expires: Option<i64> = row.get(5)?;
                    let last_used: Option<i64> = row.get(6)?;
                    Ok(ApiKey {
                        id: parsed(0, &id)?,
                        name: row.get(1)?,
                        role: parsed(2, &role)?,
                        created_by: row.get(3)?,
                        created_at: timestamp(4, row.get(4)?)?,
                        expires_at: expires.map(|at| timestamp(5, at)).transpose()?,
                        last_used_at: last_used.map(|at| timestamp(6, at)).transpose()?,
                        rests: row.get(7)?,
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
}
