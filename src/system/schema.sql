CREATE TABLE tenant (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    tier        TEXT NOT NULL CHECK (tier IN ('casual', 'pro', 'enterprise')),
    state       TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'locked')),
    -- What differs from the tier's limits, as a JSON object.
    limits      TEXT NOT NULL DEFAULT '{}',
    created_at  INTEGER NOT NULL
) STRICT;

-- Certificates of deleted tenants, whose rows are gone, as JSON.
CREATE TABLE deletion (
    tenant       TEXT PRIMARY KEY,
    certificate  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE appliance (
    key  INTEGER PRIMARY KEY CHECK (key = 1),
    id   TEXT NOT NULL
) STRICT;

CREATE TABLE user (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE COLLATE NOCASE,
    -- Argon2id in PHC form; NULL until the user has chosen a password.
    password         TEXT,
    appliance_role   TEXT CHECK (appliance_role IN ('admin', 'operator')),
    disabled         INTEGER NOT NULL DEFAULT 0,
    -- Secret of the second factor, and one that is offered but not confirmed yet.
    totp_secret      BLOB,
    totp_offered     BLOB,
    -- Time step of the last code taken; `totp_spent` holds all of them.
    totp_last_step   INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    changed_at       INTEGER NOT NULL,
    last_sign_in_at  INTEGER
) STRICT;

CREATE TABLE recovery_code (
    user    TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    digest  TEXT NOT NULL,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    tenant       TEXT NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    user         TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    role         TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'reader', 'auditor')),
    -- A JSON array of collection ids; NULL for all collections.
    collections  TEXT,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_user ON membership (user);

CREATE TABLE api_key (
    id            TEXT PRIMARY KEY,
    digest        TEXT NOT NULL UNIQUE,
    tenant        TEXT NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'reader', 'auditor')),
    -- Name of the user who made it; NULL for the console.
    created_by    TEXT,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    last_used_at  INTEGER
) STRICT;

CREATE TABLE link (
    digest      TEXT PRIMARY KEY,
    purpose     TEXT NOT NULL CHECK (purpose IN ('first_admin', 'reset')),
    user        TEXT REFERENCES user (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    CHECK ((purpose = 'reset') = (user IS NOT NULL))
) STRICT;

CREATE TABLE session (
    digest        TEXT PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    user          TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    -- Network address and browser of the sign-in, for the user's own list.
    source        TEXT NOT NULL,
    agent         TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    -- However busy it is, it ends then.
    expires_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX session_user ON session (user);

-- Failed sign-ins by account and by network address.
CREATE TABLE throttle (
    key            TEXT PRIMARY KEY,
    failures       INTEGER NOT NULL,
    last_at        INTEGER NOT NULL,
    blocked_until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
