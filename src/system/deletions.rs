//! What is left of tenants that were deleted: their certificates. And the appliance's own id,
//! which stands in them, and its name.
//!
//! Called by: `app::deletion`, `app::support`. Talks to: `system.db`.
//! Invariants: a certificate is recorded before anything is deleted and shown only once the tenant
//! is gone, so a deletion that was interrupted certifies nothing and one that ended is never
//! without its certificate.

use rusqlite::{OptionalExtension, Row, params};

use super::{System, SystemError, failed, parsed};
use crate::types::{ApplianceId, TenantId};

/// A recorded deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub tenant: TenantId,
    /// The certificate as JSON.
    pub certificate: String,
}

impl System {
    /// The id of this appliance, made when it is first asked for.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn appliance_id(&self) -> Result<ApplianceId, SystemError> {
        let connection = self.connection();
        connection
            .execute(
                "INSERT INTO appliance (key, id) VALUES (1, ?1) ON CONFLICT DO NOTHING",
                [ApplianceId::generate().to_string()],
            )
            .and_then(|_| {
                connection.query_row("SELECT id FROM appliance WHERE key = 1", [], |row| {
                    parsed(0, &row.get::<_, String>(0)?)
                })
            })
            .map_err(failed("read the appliance's id"))
    }

    /// What people call this appliance, where they have said so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn appliance_name(&self) -> Result<Option<String>, SystemError> {
        self.connection()
            .query_row("SELECT name FROM appliance_name WHERE key = 1", [], |row| row.get(0))
            .optional()
            .map_err(failed("read the appliance's name"))
    }

    /// Names this appliance.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn name_appliance(&self, name: &str) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "INSERT INTO appliance_name (key, name) VALUES (1, ?1) \
                 ON CONFLICT (key) DO UPDATE SET name = excluded.name",
                [name],
            )
            .map(drop)
            .map_err(failed("name the appliance"))
    }

    /// Records the certificate of a deletion that is about to happen, in place of one that was
    /// recorded for an attempt before.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record_deletion(&self, deletion: &Deletion) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "INSERT INTO deletion (tenant, certificate) VALUES (?1, ?2) \
                 ON CONFLICT (tenant) DO UPDATE SET certificate = excluded.certificate",
                params![deletion.tenant.to_string(), deletion.certificate],
            )
            .map(drop)
            .map_err(failed("record a deletion"))
    }

    /// What was recorded for a tenant, whether it is gone or not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn recorded_deletion(&self, tenant: TenantId) -> Result<Option<Deletion>, SystemError> {
        self.connection()
            .prepare_cached("SELECT tenant, certificate FROM deletion WHERE tenant = ?1")
            .and_then(|mut found| found.query_row([tenant.to_string()], read_deletion).optional())
            .map_err(failed("find a deletion"))
    }

    /// Deletions that came to their end, ordered by the tenant's id after `cursor`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_deletions(
        &self,
        cursor: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<Deletion>, SystemError> {
        let after = cursor.map(|id| id.to_string()).unwrap_or_default();
        self.connection()
            .prepare_cached(
                "SELECT d.tenant, d.certificate FROM deletion d WHERE d.tenant > ?1 \
                 AND NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = d.tenant) \
                 ORDER BY d.tenant LIMIT ?2",
            )
            .and_then(|mut list| {
                list.query_map(params![after, limit as i64], read_deletion)?.collect()
            })
            .map_err(failed("list deletions"))
    }
}

fn read_deletion(row: &Row<'_>) -> rusqlite::Result<Deletion> {
    let tenant: String = row.get(0)?;
    Ok(Deletion { tenant: parsed(0, &tenant)?, certificate: row.get(1)? })
}
