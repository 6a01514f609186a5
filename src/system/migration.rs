//! From an older format of the appliance database to the present one.
//!
//! Called by: `system`. Talks to: `system.db`.
//! Invariants: one transaction per step, so a crash leaves the old format or the new one.

use rusqlite::Connection;

/// Sessions and links of format 1 belong to no user, so they end here.
const FORMAT_1_ASIDE: &str = "
    DROP TABLE session;
    DROP TABLE link;
    ALTER TABLE api_key RENAME TO former_api_key;
    ALTER TABLE tenant RENAME TO former_tenant;
";

/// Tenants had no limits, so they get the tier that keeps what worked working. A key could do
/// everything with documents, and nothing with keys or the tenant itself: that is an editor.
const FORMAT_1_OVER: &str = "
    INSERT INTO tenant (id, name, tier, created_at)
        SELECT id, name, 'enterprise', created_at FROM former_tenant;
    INSERT INTO api_key (id, digest, tenant, name, role, created_at, last_used_at)
        SELECT id, digest, tenant, name, 'editor', created_at, last_used_at FROM former_api_key;
    DROP TABLE former_api_key;
    DROP TABLE former_tenant;
";

/// Brings a database of format 1 to format 2.
pub(super) fn from_format_1(connection: &mut Connection, schema: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in [FORMAT_1_ASIDE, schema, FORMAT_1_OVER, "PRAGMA user_version = 2"] {
        transaction.execute_batch(step)?;
    }
    transaction.commit()
}
