-- Uploads that come in pieces. Made when a catalogue that lacks it is opened.

CREATE TABLE IF NOT EXISTS upload (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    -- Bytes in all, as announced, and those that are here for good.
    length      INTEGER NOT NULL,
    received    INTEGER NOT NULL DEFAULT 0,
    -- What the sender says about it, as it was sent.
    metadata    TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    -- What became of it, once all is here.
    document    TEXT,
    item        TEXT,
    outcome     TEXT
) STRICT;

-- A stretch of an upload, sealed like an original and named like one.
CREATE TABLE IF NOT EXISTS upload_part (
    upload      INTEGER NOT NULL REFERENCES upload (key),
    start       INTEGER NOT NULL,
    blob        TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    PRIMARY KEY (upload, start)
) STRICT;
CREATE INDEX IF NOT EXISTS upload_part_blob ON upload_part (blob);
