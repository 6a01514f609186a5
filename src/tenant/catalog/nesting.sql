-- Files inside files. Made when a catalogue that lacks it is opened.

-- Passwords given for a document, which hold for all that is found in it.
CREATE TABLE IF NOT EXISTS document_password (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    document  INTEGER NOT NULL REFERENCES document (key),
    password  TEXT NOT NULL,
    UNIQUE (document, password)
) STRICT;

-- How many bytes were taken out of a dropped file, on all levels together.
CREATE TABLE IF NOT EXISTS nested (
    top    INTEGER PRIMARY KEY REFERENCES item (key),
    bytes  INTEGER NOT NULL
) STRICT;
