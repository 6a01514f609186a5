//! Audit entries on their way from the appliance database into a tenant's own trail.
//!
//! Called by: `app::audit`, which puts them in; `tenant`, which takes them out. Talks to:
//! `system.db`.
//! Invariants: an entry is put in with the change it tells of and goes once the tenant has it; it
//! goes with the tenant; entries of one tenant keep their order.
//! Why: who may enter a tenant stands in `system.db` and the tenant's trail in its own database, and
//! no transaction spans the two; a tenant that is locked takes nothing at all.

use rusqlite::params;

use super::{System, SystemError, failed, unreadable};
use crate::audit::Record;
use crate::types::TenantId;

/// An entry that a tenant's trail is still to get.
#[derive(Clone)]
pub(crate) struct Waiting {
    number: i64,
    /// Tells it from every other one, also of another appliance.
    pub(crate) key: String,
    pub(crate) record: Record,
}

impl System {
    /// Has a record reach the trail of a tenant, when that can be written; false where there is no
    /// such tenant any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) fn put_in_outbox(
        &self,
        tenant: TenantId,
        record: &Record,
    ) -> Result<bool, SystemError> {
        self.transaction("put an entry into the outbox", |connection| {
            let record = serde_json::to_string(record)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            connection
                .execute(
                    "INSERT INTO audit_outbox (key, tenant, record) \
                     SELECT lower(hex(randomblob(16))), id, ?2 FROM tenant WHERE id = ?1",
                    params![tenant.to_string(), record],
                )
                .map(|rows| rows > 0)
        })
    }

    /// Entries that wait for a tenant, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn outbox(&self, tenant: TenantId) -> Result<Vec<Waiting>, SystemError> {
        self.connection()
            .prepare_cached(
                "SELECT number, key, record FROM audit_outbox WHERE tenant = ?1 ORDER BY number",
            )
            .and_then(|mut waiting| {
                waiting
                    .query_map([tenant.to_string()], |row| {
                        let record: String = row.get(2)?;
                        Ok(Waiting {
                            number: row.get(0)?,
                            key: row.get(1)?,
                            record: serde_json::from_str(&record)
                                .map_err(|error| unreadable(2, error))?,
                        })
                    })?
                    .collect()
            })
            .map_err(failed("read the outbox"))
    }

    /// Forgets entries that a tenant has.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) fn clear_outbox(
        &self,
        tenant: TenantId,
        delivered: &[Waiting],
    ) -> Result<(), SystemError> {
        let Some(last) = delivered.last() else { return Ok(()) };
        self.connection()
            .execute(
                "DELETE FROM audit_outbox WHERE tenant = ?1 AND number <= ?2",
                params![tenant.to_string(), last.number],
            )
            .map(drop)
            .map_err(failed("clear the outbox"))
    }
}
