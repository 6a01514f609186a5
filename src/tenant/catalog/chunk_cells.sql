-- Cells that chunks of workbooks and tables show. Made when a catalogue that lacks it is opened.

CREATE TABLE IF NOT EXISTS chunk_cells (
    chunk  INTEGER PRIMARY KEY REFERENCES chunk (key),
    -- Name of the sheet; null where the document is a single table.
    sheet  TEXT,
    -- As spreadsheet programs name it: `A5:D12`.
    cells  TEXT NOT NULL
) STRICT;
