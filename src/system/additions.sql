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
