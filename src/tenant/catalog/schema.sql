-- The only truth about a tenant. Full text and vectors are projections of these tables.
-- `format_3.sql` adds what is derived from texts beside these.
-- Times are microseconds since 1970 UTC; digests are lower-case hexadecimal SHA-256.

CREATE TABLE collection (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT;

-- One row per source path, for ever: a deleted document that comes back is the same row.
CREATE TABLE document (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    collection     INTEGER NOT NULL REFERENCES collection (key),
    source         TEXT NOT NULL,
    parent         INTEGER REFERENCES document (key),
    -- The newest revision, whatever became of it.
    current_item   INTEGER,
    -- The ready revision of each projection; searches see these and nothing else.
    fulltext_item  INTEGER,
    vector_item    INTEGER,
    created_at     INTEGER NOT NULL,
    deleted_at     INTEGER,
    UNIQUE (collection, source)
) STRICT;
CREATE INDEX document_parent ON document (parent) WHERE parent IS NOT NULL;

-- The ledger: one row per thing dropped or found inside another. A row that is no duplicate is
-- one revision of its document.
CREATE TABLE item (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    document      INTEGER NOT NULL REFERENCES document (key),
    revision      INTEGER NOT NULL,
    parent        INTEGER REFERENCES item (key),
    blob          TEXT,
    size_bytes    INTEGER NOT NULL,
    format        TEXT,
    declared_type TEXT,
    media_type    TEXT,
    title         TEXT,
    language      TEXT,
    authors       TEXT NOT NULL DEFAULT '[]',
    metadata      TEXT NOT NULL DEFAULT '{}',
    warnings      TEXT NOT NULL DEFAULT '[]',
    truncated_at  INTEGER,
    file_date     INTEGER,
    content_date  INTEGER,
    event_date    INTEGER,
    received_at   INTEGER NOT NULL,
    settled_at    INTEGER,
    state         TEXT NOT NULL,
    reason        TEXT,
    detail        TEXT,
    -- For a duplicate: the document that holds the same bytes.
    duplicate_of  INTEGER REFERENCES document (key),
    extracted     INTEGER NOT NULL DEFAULT 0,
    chunk_count   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX item_state ON item (state, key);
CREATE INDEX item_document ON item (document, key);
CREATE INDEX item_parent ON item (parent) WHERE parent IS NOT NULL;
CREATE INDEX item_blob ON item (blob) WHERE blob IS NOT NULL;
CREATE INDEX item_duplicate_of ON item (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX item_settled ON item (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX item_language ON item (language);

CREATE TABLE text (
    item         INTEGER PRIMARY KEY REFERENCES item (key),
    body_zstd    BLOB NOT NULL,
    length_chars INTEGER NOT NULL,
    outline      TEXT NOT NULL,
    page_starts  TEXT NOT NULL
) STRICT;

CREATE TABLE chunk (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    item        INTEGER NOT NULL REFERENCES item (key),
    ordinal     INTEGER NOT NULL,
    start_char  INTEGER NOT NULL,
    end_char    INTEGER NOT NULL,
    page        INTEGER,
    heading     TEXT,
    body        TEXT NOT NULL,
    tokens      INTEGER NOT NULL,
    -- Digest of the exact text given to the embedder; of what is not given to it, what it is: empty
    -- for a quote, `-- ` for a signature.
    input       BLOB NOT NULL,
    UNIQUE (item, ordinal)
) STRICT;
CREATE INDEX chunk_input ON chunk (input);

-- Each distinct text is embedded once per model; the vector table is rebuilt from here.
-- With row ids: without them a vector is too long for the page of its key and would take an
-- overflow page of its own, most of it empty.
CREATE TABLE embedding (
    model   TEXT NOT NULL,
    input   BLOB NOT NULL,
    vector  BLOB NOT NULL,
    PRIMARY KEY (model, input)
) STRICT;

CREATE TABLE job (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    item         INTEGER NOT NULL REFERENCES item (key),
    queued_at    INTEGER NOT NULL,
    run_after    INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    lease        INTEGER NOT NULL DEFAULT 0,
    lease_until  INTEGER,
    last_error   TEXT,
    UNIQUE (kind, item)
) STRICT;
CREATE INDEX job_ready ON job (kind, run_after, key);

CREATE TABLE setting (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT;
