-- Items that are read again while searches show what was read of them before. Made when a catalogue
-- that lacks it is opened.

CREATE TABLE IF NOT EXISTS reread (
    item      INTEGER PRIMARY KEY REFERENCES item (key),
    -- What the full-text index has them under until it is written anew.
    language  TEXT
) STRICT;
