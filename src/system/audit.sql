-- The audit trail of one scope: of the appliance in system.db, of a tenant in its tenant.db.
CREATE TABLE IF NOT EXISTS audit (
    sequence       INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    actor_kind     TEXT NOT NULL,
    actor_id       TEXT,
    actor_name     TEXT,
    action         TEXT NOT NULL,
    resource_kind  TEXT,
    resource_id    TEXT,
    result         TEXT NOT NULL,
    source         TEXT,
    request_id     TEXT,
    detail         TEXT NOT NULL,
    previous       BLOB NOT NULL,
    hash           BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_action ON audit (action, sequence);

-- What the newest entry is, authenticated, so that entries cannot be cut off the end.
CREATE TABLE IF NOT EXISTS audit_head (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    sequence    INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    epoch       INTEGER NOT NULL,
    altered_at  INTEGER,
    mac         TEXT NOT NULL
) STRICT;

-- Against mistakes in our own code; whoever can drop a trigger is found out by the chain.
CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'an audit entry is never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'an audit entry is never removed'); END;
CREATE TRIGGER IF NOT EXISTS audit_only_grows BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE sequence >= new.sequence)
BEGIN SELECT RAISE(ABORT, 'an audit entry goes to the end'); END;
CREATE TRIGGER IF NOT EXISTS audit_head_stays BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the head of an audit trail is never removed'); END;
