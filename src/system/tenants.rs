//! Tenants by id and name.
//!
//! Called by: `auth`, `tenant::Registry`, `app`. Talks to: `system.db`.
//! Invariants: names are unique labels; the id names the directory.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{System, SystemError, failed};
use crate::types::TenantId;

/// A tenant as the appliance knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    pub id: TenantId,
    pub name: String,
    pub created_at: Timestamp,
}

impl System {
    /// Records a tenant.
    ///
    /// # Errors
    /// `NameTaken`, or when the database cannot be written.
    pub fn add_tenant(&self, tenant: &TenantRecord) -> Result<(), SystemError> {
        let inserted = self.connection().execute(
            "INSERT INTO tenant (id, name, created_at) VALUES (?1, ?2, ?3)",
            params![tenant.id.to_string(), tenant.name, tenant.created_at.as_microsecond()],
        );
        match inserted {
            Ok(_) => Ok(()),
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                Err(SystemError::NameTaken { name: tenant.name.clone() })
            }
            Err(source) => Err(SystemError::Sqlite { operation: "add tenant", source }),
        }
    }

    /// The tenant with this id or name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_tenant(&self, id_or_name: &str) -> Result<Option<TenantRecord>, SystemError> {
        self.connection()
            .prepare_cached("SELECT id, name, created_at FROM tenant WHERE id = ?1 OR name = ?1")
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
            .prepare_cached(
                "SELECT id, name, created_at FROM tenant WHERE id > ?1 ORDER BY id LIMIT ?2",
            )
            .and_then(|mut list| {
                list.query_map(params![after, limit as i64], read_tenant)?.collect()
            })
            .map_err(failed("list tenants"))
    }

    /// Forgets a tenant together with its keys; false where there is none.
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

fn read_tenant(row: &Row<'_>) -> rusqlite::Result<TenantRecord> {
    let id: String = row.get(0)?;
    let created_at: i64 = row.get(2)?;
    Ok(TenantRecord {
        id: parsed(0, &id)?,
        name: row.get(1)?,
        created_at: timestamp(2, created_at)?,
    })
}

pub(super) fn parsed<T: std::str::FromStr<Err = uuid::Error>>(
    column: usize,
    text: &str,
) -> rusqlite::Result<T> {
    text.parse().map_err(|error: uuid::Error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

pub(super) fn timestamp(column: usize, microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Integer,
            Box::new(error),
        )
    })
}
