-- Places that documents come from by themselves. Made when a catalogue that lacks it is opened.

CREATE TABLE IF NOT EXISTS source (
    key               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    kind              TEXT NOT NULL,
    name              TEXT NOT NULL UNIQUE,
    -- Name of the collection that its documents go to.
    collection        TEXT NOT NULL,
    settings          TEXT NOT NULL,
    -- What signs in at the source. It is read by runs and by nothing else.
    secret            TEXT,
    interval_seconds  INTEGER NOT NULL,
    deletions         TEXT NOT NULL,
    paused            INTEGER NOT NULL DEFAULT 0,
    created_by        TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    -- The next run by the clock, and whether somebody asked for one before that.
    next_run_at       INTEGER NOT NULL,
    run_asked         INTEGER NOT NULL DEFAULT 0,
    -- Somebody said that it is right that most of it is gone.
    gone_confirmed    INTEGER NOT NULL DEFAULT 0,
    -- How many runs there were; the number of a run marks what it saw.
    runs              INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS source_item (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    source       INTEGER NOT NULL REFERENCES source (key),
    -- What it is called there, and below which path it is shown here.
    external     BLOB NOT NULL,
    path         TEXT NOT NULL,
    -- Another one means other content.
    mark         TEXT NOT NULL,
    -- The same one at another place means the same content there.
    identity     TEXT,
    size_bytes   INTEGER NOT NULL,
    file_date    INTEGER,
    -- found: to be taken in; present: taken in; missing: gone there, not here.
    state        TEXT NOT NULL,
    -- The document it became, with digest and length of what was taken in.
    document     TEXT,
    digest       TEXT,
    taken_bytes  INTEGER,
    -- The last run that saw it.
    seen         INTEGER NOT NULL,
    UNIQUE (source, external)
) STRICT;
CREATE INDEX IF NOT EXISTS source_item_state ON source_item (source, state, key);
CREATE INDEX IF NOT EXISTS source_item_identity ON source_item (source, identity)
    WHERE state = 'missing';

-- How far a source was read that says so itself.
CREATE TABLE IF NOT EXISTS source_cursor (
    source  INTEGER NOT NULL REFERENCES source (key),
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (source, name)
) STRICT;

CREATE TABLE IF NOT EXISTS source_run (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    source      INTEGER NOT NULL REFERENCES source (key),
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    counts      TEXT NOT NULL,
    error       TEXT,
    problems    TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS source_run_of ON source_run (source, key);
