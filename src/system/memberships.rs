//! Who belongs to which tenant, as what.
//!
//! Called by: `auth`, `app`. Talks to: `system.db`.
//! Invariants: a user has at most one membership in a tenant; it goes with either of the two.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{System, SystemError, failed, parsed, timestamp, unreadable};
use crate::types::{CollectionId, CollectionScope, Role, TenantId, TenantState, UserId};

/// A member of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub user: UserId,
    pub user_name: String,
    pub role: Role,
    pub collections: CollectionScope,
    pub created_at: Timestamp,
}

/// A tenant as one of its members sees it listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantMembership {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub tenant_state: TenantState,
    pub role: Role,
}

const COLUMNS: &str = "user.id, user.name, role, collections, membership.created_at";

impl System {
    /// The membership of a user in a tenant.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_membership(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Option<Membership>, SystemError> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM membership JOIN user ON user.id = membership.user \
                 WHERE tenant = ?1 AND user = ?2"
            ))
            .and_then(|mut found| {
                found.query_row([tenant.to_string(), user.to_string()], read_member).optional()
            })
            .map_err(failed("find membership"))
    }

    /// The members of a tenant, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_members(&self, tenant: TenantId) -> Result<Vec<Membership>, SystemError> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM membership JOIN user ON user.id = membership.user \
                 WHERE tenant = ?1 ORDER BY user.name"
            ))
            .and_then(|mut list| list.query_map([tenant.to_string()], read_member)?.collect())
            .map_err(failed("list members"))
    }

    /// The tenants of a user, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_memberships(&self, user: UserId) -> Result<Vec<TenantMembership>, SystemError> {
        self.connection()
            .prepare_cached(
                "SELECT tenant.id, tenant.name, state, role FROM membership \
                 JOIN tenant ON tenant.id = membership.tenant \
                 WHERE user = ?1 ORDER BY tenant.name",
            )
            .and_then(|mut list| {
                list.query_map([user.to_string()], |row| {
                    let (id, state): (String, String) = (row.get(0)?, row.get(2)?);
                    let role: String = row.get(3)?;
                    Ok(TenantMembership {
                        tenant: parsed(0, &id)?,
                        tenant_name: row.get(1)?,
                        tenant_state: parsed(2, &state)?,
                        role: parsed(3, &role)?,
                    })
                })?
                .collect()
            })
            .map_err(failed("list memberships"))
    }

    /// Makes a user a member of a tenant, or changes what they may do there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_membership(
        &self,
        tenant: TenantId,
        user: UserId,
        role: Role,
        collections: &CollectionScope,
        now: Timestamp,
    ) -> Result<(), SystemError> {
        let collections = match collections {
            CollectionScope::All => None,
            CollectionScope::Only(some) => {
                Some(serde_json::Value::from_iter(some.iter().map(ToString::to_string)).to_string())
            }
        };
        self.connection()
            .execute(
                "INSERT INTO membership (tenant, user, role, collections, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET role = ?3, collections = ?4",
                params![
                    tenant.to_string(),
                    user.to_string(),
                    role.as_str(),
                    collections,
                    now.as_microsecond()
                ],
            )
            .map(drop)
            .map_err(failed("set membership"))
    }

    /// Ends a membership; false where there was none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_membership(&self, tenant: TenantId, user: UserId) -> Result<bool, SystemError> {
        self.connection()
            .execute(
                "DELETE FROM membership WHERE tenant = ?1 AND user = ?2",
                [tenant.to_string(), user.to_string()],
            )
            .map(|rows| rows > 0)
            .map_err(failed("remove membership"))
    }
}

fn read_member(row: &Row<'_>) -> rusqlite::Result<Membership> {
    let (id, role): (String, String) = (row.get(0)?, row.get(2)?);
    let collections: Option<String> = row.get(3)?;
    let collections: Option<BTreeSet<CollectionId>> = collections
        .map(|list| serde_json::from_str(&list).map_err(|error| unreadable(3, error)))
        .transpose()?;
    Ok(Membership {
        user: parsed(0, &id)?,
        user_name: row.get(1)?,
        role: parsed(2, &role)?,
        collections: collections.into(),
        created_at: timestamp(4, row.get(4)?)?,
    })
}
