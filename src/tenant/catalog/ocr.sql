-- Pages whose text is in pictures. Made when a catalogue that lacks it is opened.

CREATE TABLE IF NOT EXISTS ocr_page (
    item        INTEGER NOT NULL REFERENCES item (key),
    -- Counted from 1.
    page        INTEGER NOT NULL,
    -- What OCR made of the page; null until it was read.
    body        TEXT,
    -- 0 to 100.
    confidence  INTEGER,
    -- Why it could not be read: a reason and a sentence.
    problem     TEXT,
    detail      TEXT,
    -- 1 where the text of the item has the page from OCR.
    used        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (item, page)
) STRICT;
