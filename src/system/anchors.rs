//! How far the audit trail of each tenant had come, kept outside of the tenant.
//!
//! Called by: `tenant`. Talks to: `system.db`.
//! Invariants: an anchor is only ever moved to a later entry.
//! Why: the head of a trail lies in the same file as its entries, so that a copy of the file from
//! before is sound in itself. Whoever puts one back would have to put the appliance database back
//! as well, and with it everything else that happened since.

use rusqlite::{OptionalExtension, params};

use super::{System, SystemError, failed};
use crate::audit::EntryHash;
use crate::types::TenantId;

/// An entry that a trail had at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) sequence: u64,
    pub(crate) hash: EntryHash,
}

impl System {
    /// The newest entry that a tenant's trail is known to have had.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn audit_anchor(&self, tenant: TenantId) -> Result<Option<Anchor>, SystemError> {
        self.connection()
            .prepare_cached("SELECT sequence, hash FROM audit_anchor WHERE tenant = ?1")
            .and_then(|mut found| {
                found
                    .query_row([tenant.to_string()], |row| {
                        Ok(Anchor {
                            sequence: row.get::<_, i64>(0)?.unsigned_abs(),
                            hash: EntryHash::from_bytes(row.get(1)?),
                        })
                    })
                    .optional()
            })
            .map_err(failed("read an anchor"))
    }

    /// Notes an entry of a tenant's trail, unless a later one is noted.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) fn set_audit_anchor(
        &self,
        tenant: TenantId,
        anchor: Anchor,
    ) -> Result<(), SystemError> {
        self.connection()
            .execute(
                "INSERT INTO audit_anchor (tenant, sequence, hash) \
                 SELECT id, ?2, ?3 FROM tenant WHERE id = ?1 \
                 ON CONFLICT (tenant) DO UPDATE SET sequence = excluded.sequence, \
                 hash = excluded.hash WHERE excluded.sequence > audit_anchor.sequence",
                params![
                    tenant.to_string(),
                    i64::try_from(anchor.sequence).unwrap_or(i64::MAX),
                    anchor.hash.as_bytes()
                ],
            )
            .map(drop)
            .map_err(failed("note an anchor"))
    }
}
