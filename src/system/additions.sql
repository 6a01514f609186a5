-- Suspended tenants that are locked besides. One that is locked and not suspended says so by its
-- state.
CREATE TABLE IF NOT EXISTS tenant_lock (
    tenant  TEXT PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
