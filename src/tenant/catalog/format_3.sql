-- What a catalogue of format 2 lacks to be one of format 3.

-- Dates that the text of an item mentions; days, both ends meant, as `YYYY-MM-DD`.
CREATE TABLE date_mention (
    item        INTEGER NOT NULL REFERENCES item (key),
    chunk       INTEGER NOT NULL REFERENCES chunk (key),
    -- Offsets into the text, in Unicode scalar values.
    start_char  INTEGER NOT NULL,
    end_char    INTEGER NOT NULL,
    first_day   TEXT NOT NULL,
    last_day    TEXT NOT NULL,
    expression  TEXT NOT NULL,
    PRIMARY KEY (item, start_char)
) STRICT, WITHOUT ROWID;
CREATE INDEX date_mention_chunk ON date_mention (chunk);
CREATE INDEX date_mention_day ON date_mention (first_day);

-- What texts are compared by. Items of one cluster are near-duplicates of each other, directly or
-- through others.
CREATE TABLE signature (
    item     INTEGER PRIMARY KEY REFERENCES item (key),
    hashes   BLOB NOT NULL,
    cluster  INTEGER NOT NULL
) STRICT;
CREATE INDEX signature_cluster ON signature (cluster);

-- Digests of parts of a signature: near-duplicates share at least one.
CREATE TABLE signature_band (
    digest  INTEGER NOT NULL,
    item    INTEGER NOT NULL REFERENCES item (key),
    PRIMARY KEY (digest, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX signature_band_item ON signature_band (item);

-- Mails of one conversation.
CREATE INDEX item_thread ON item (json_extract(metadata, '$.thread_id'))
    WHERE json_extract(metadata, '$.thread_id') IS NOT NULL;
CREATE INDEX item_message ON item (json_extract(metadata, '$.message_id'))
    WHERE json_extract(metadata, '$.message_id') IS NOT NULL;
CREATE INDEX item_thread_subject ON item (json_extract(metadata, '$.thread_subject'))
    WHERE json_extract(metadata, '$.thread_subject') IS NOT NULL;
