-- What a catalogue of format 1 lacks to be one of format 2.

CREATE INDEX IF NOT EXISTS item_language ON item (language);
