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

-- Time steps whose codes of the second factor were taken, both ends meant.
CREATE TABLE IF NOT EXISTS totp_spent (
    user        TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    first_step  INTEGER NOT NULL,
    last_step   INTEGER NOT NULL,
    PRIMARY KEY (user, first_step)
) STRICT, WITHOUT ROWID;

-- Releases before kept the last step alone: what it followed counts as taken.
INSERT INTO totp_spent (user, first_step, last_step)
    SELECT id, 0, totp_last_step FROM user
    WHERE totp_secret IS NOT NULL AND id NOT IN (SELECT user FROM totp_spent);

-- Who made an API key, by id: it opens nothing unless they are an owner of the tenant, and able to
-- sign in.
CREATE TABLE IF NOT EXISTS api_key_maker (
    key   TEXT PRIMARY KEY REFERENCES api_key (id) ON DELETE CASCADE,
    user  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS api_key_maker_by_user ON api_key_maker (user);

-- Releases before kept the name alone; one that nobody has any more is nobody's.
INSERT INTO api_key_maker (key, user)
    SELECT id, coalesce((SELECT user.id FROM user WHERE user.name = created_by), '')
    FROM api_key WHERE created_by IS NOT NULL AND id NOT IN (SELECT key FROM api_key_maker);

-- Audit entries that the trails of tenants are still to get, as JSON.
CREATE TABLE IF NOT EXISTS audit_outbox (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    key     TEXT NOT NULL,
    tenant  TEXT NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    record  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_outbox_by_tenant ON audit_outbox (tenant, number);

-- How far the audit trail of each tenant had come.
CREATE TABLE IF NOT EXISTS audit_anchor (
    tenant    TEXT PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE,
    sequence  INTEGER NOT NULL,
    hash      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
