-- Finds the item that holds given bytes among many copies of them: the same picture is in every
-- mail of an archive. Made when a catalogue that lacks it is opened.

CREATE INDEX IF NOT EXISTS item_original ON item (blob)
    WHERE blob IS NOT NULL AND state <> 'duplicate';
