-- Suspended tenants that are locked besides. One that is locked and not suspended says so by its
-- state.
CREATE TABLE IF NOT EXISTS tenant_lock (
    tenant  TEXT PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What people call the appliance.
CREATE TABLE IF NOT EXISTS appliance_name (
    key   INTEGER PRIMARY KEY CHECK (key = 1),
    name  TEXT NOT NULL
) STRICT;
