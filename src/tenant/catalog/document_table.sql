-- Tables of documents as data. Made when a catalogue that lacks it is opened.
-- Rows lie in compressed groups and not one by one: a table of a hundred thousand rows is then a
-- few hundred records and not as many as all the rest of the catalogue together, takes a tenth of
-- the space, and is written and removed at once with its document. Whoever asks for rows reads the
-- groups that hold them; whoever computes over a table reads each group once, in order.

CREATE TABLE IF NOT EXISTS document_table (
    item          INTEGER NOT NULL REFERENCES item (key),
    -- Counted from 1 in the order of the text.
    number        INTEGER NOT NULL,
    -- What the document calls it: the name of a sheet.
    name          TEXT,
    caption       TEXT,
    page          INTEGER,
    -- Where its text stands, in Unicode scalar values.
    start_char    INTEGER NOT NULL,
    end_char      INTEGER NOT NULL,
    -- Names of the columns as a JSON list; empty where they have none.
    header        TEXT NOT NULL,
    -- Of the widest row.
    column_count  INTEGER NOT NULL,
    -- Rows that are kept; the header is none of them.
    row_count     INTEGER NOT NULL,
    -- 1 where more rows or columns are in the text.
    truncated     INTEGER NOT NULL,
    UNIQUE (item, number)
) STRICT;

-- A JSON list of rows, each a list of cells, as zstd.
CREATE TABLE IF NOT EXISTS document_table_rows (
    item       INTEGER NOT NULL REFERENCES item (key),
    number     INTEGER NOT NULL,
    -- Counted from 0.
    first_row  INTEGER NOT NULL,
    row_count  INTEGER NOT NULL,
    cells      BLOB NOT NULL,
    UNIQUE (item, number, first_row)
) STRICT;
