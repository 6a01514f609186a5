//! Tenants by id and name, with their tier, state and limits.
//!
//! Called by: `auth`, `tenant::Registry`, `app`. Talks to: `system.db`.
//! Invariants: names are unique labels, whatever their case; the id names the directory.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{System, SystemError, failed, parsed, taken, timestamp, unreadable};
use crate::types::{TenantId, TenantState, Tier};

/// A tenant as the appliance knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRecord {
    pub id: TenantId,
    pub name: String,
    pub tier: Tier,
    pub state: TenantState,
    /// True while its keys may not be used: it is locked, or suspended and locked besides.
    pub locked: bool,
    /// What differs from the limits of the tier.
    pub limits: Map<String, Value>,
    pub created_at: Timestamp,
}

/// What to change of a tenant; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct TenantUpdate {
    pub name: Option<String>,
    pub tier: Option<Tier>,
    pub state: Option<TenantState>,
    /// Whether a tenant that is suspended is locked besides.
    pub locked_besides: Option<bool>,
    pub limits: Option<Map<String, Value>>,
}

const COLUMNS: &str = "id, name, tier, state, limits, created_at, \
     state = 'locked' OR id IN (SELECT tenant FROM tenant_lock)";

impl System {
    /// Records a tenant.
    ///
    /// # Errors
    /// `NameTaken`, or when the database cannot be written.
    pub fn add_tenant(&self, tenant: &TenantRecord) -> Result<(), SystemError> {
        let connection = self.connection();
        name_is_free(&connection, tenant.id, &tenant.name)?;
        connection
            .execute(
                "INSERT INTO tenant (id, name, tier, state, limits, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    tenant.id.to_string(),
                    tenant.name,
                    tenant.tier.as_str(),
                    tenant.state.as_str(),
                    json(&tenant.limits),
                    tenant.created_at.as_microsecond()
                ],
            )
            .map(drop)
            .map_err(taken("add tenant", &tenant.name))
    }

    /// The tenant with this id or name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_tenant(&self, id_or_name: &str) -> Result<Option<TenantRecord>, SystemError> {
        self.connection()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM tenant WHERE id = ?1 OR name = ?1"))
            .and_then(|mut found| found.query_row([id_or_name], read_tenant).optional())
            .map_err(failed("find tenant"))
    }

    /// Tenants ordered by id after `cursor`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_tenants(
        &self,
        cursor: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantRecord>, SystemError> {
        let after = cursor.map(|id| id.to_string()).unwrap_or_default();
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM tenant WHERE id > ?1 ORDER BY id LIMIT ?2"
            ))
            .and_then(|mut list| {
                list.query_map(params![after, limit as i64], read_tenant)?.collect()
            })
            .map_err(failed("list tenants"))
    }

    /// Changes a tenant; false where there is none.
    ///
    /// # Errors
    /// `NameTaken`, or when the database cannot be written.
    pub fn change_tenant(
        &self,
        tenant: TenantId,
        change: &TenantUpdate,
    ) -> Result<bool, SystemError> {
        let name = change.name.as_deref().unwrap_or_default();
        self.together(|| {
            let connection = self.connection();
            let rows = connection
                .execute(
                    "UPDATE tenant SET name = coalesce(?2, name), tier = coalesce(?3, tier), \
                     state = coalesce(?4, state), limits = coalesce(?5, limits) WHERE id = ?1",
                    params![
                        tenant.to_string(),
                        change.name,
                        change.tier.map(Tier::as_str),
                        change.state.map(TenantState::as_str),
                        change.limits.as_ref().map(json)
                    ],
                )
                .map_err(taken("change tenant", name))?;
            if rows > 0 {
                name_is_free(&connection, tenant, name)?;
            }
            if let Some(locked) = change.locked_besides.filter(|_| rows > 0) {
                let statement = match locked {
                    true => "INSERT INTO tenant_lock (tenant) VALUES (?1) ON CONFLICT DO NOTHING",
                    false => "DELETE FROM tenant_lock WHERE tenant = ?1",
                };
                connection
                    .execute(statement, [tenant.to_string()])
                    .map_err(failed("note a tenant's lock"))?;
            }
            Ok(rows > 0)
        })
    }

    /// Forgets a tenant together with its keys and memberships; false where there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_tenant(&self, tenant: TenantId) -> Result<bool, SystemError> {
        self.connection()
            .execute("DELETE FROM tenant WHERE id = ?1", [tenant.to_string()])
            .map(|rows| rows > 0)
            .map_err(failed("remove tenant"))
    }
}

/// Refuses a name that another tenant has but for its case: people would take one for the other.
fn name_is_free(connection: &Connection, tenant: TenantId, name: &str) -> Result<(), SystemError> {
    let taken = connection
        .prepare_cached("SELECT 1 FROM tenant WHERE name = ?1 COLLATE NOCASE AND id <> ?2")
        .and_then(|mut found| found.exists([name, &tenant.to_string()]))
        .map_err(failed("look for a tenant's name"))?;
    if taken { Err(SystemError::NameTaken { name: name.to_owned() }) } else { Ok(()) }
}

fn json(limits: &Map<String, Value>) -> String {
    Value::Object(limits.clone()).to_string()
}

fn read_tenant(row: &Row<'_>) -> rusqlite::Result<TenantRecord> {
    let (id, tier, state): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
    let limits: String = row.get(4)?;
    Ok(TenantRecord {
        id: parsed(0, &id)?,
        name: row.get(1)?,
        tier: parsed(2, &tier)?,
        state: parsed(3, &state)?,
        limits: serde_json::from_str(&limits).map_err(|error| unreadable(4, error))?,
        created_at: timestamp(5, row.get(5)?)?,
        locked: row.get(6)?,
    })
}
