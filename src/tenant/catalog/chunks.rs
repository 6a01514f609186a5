//! Chunks and their embeddings.
//!
//! Called by: `app::index`, `app::search`. Talks to: `chunk`, `chunk_cells`, `embedding`.
//! Invariants: an embedding is keyed by model and by the digest of the exact text embedded, so
//! each distinct text is embedded once per tenant and model; vectors are little-endian `f32`; a
//! chunk that is not the document's own words has no embedding, and in the place of the digest a
//! mark that says whose they are.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use rusqlite::{params, params_from_iter};

use super::rows::placeholders;
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{CellRange, Chunk, ChunkKey, ItemKey, SheetCells, Voice};

/// In the place of the digest where the text is quoted.
const QUOTED: &[u8] = b"";
/// The same where it is a signature: the line that begins one.
const SIGNATURE: &[u8] = b"-- ";
/// Both in SQL.
const ASIDE: &str = "(x'', x'2d2d20')";

/// A chunk about to be stored.
#[derive(Clone, Debug)]
pub struct ChunkInput {
    pub chunk: Chunk,
    /// Digest of the text given to the embedder (title, heading path and chunk text), or a mark.
    input: Vec<u8>,
}

impl ChunkInput {
    /// `digest` is that of the text that is given to the embedder, if the words are the document's
    /// own: those of others have the meaning of the mail they were said in, and a signature none.
    pub fn new(chunk: Chunk, digest: impl FnOnce(&Chunk) -> Vec<u8>) -> Self {
        let input = match chunk.voice {
            Voice::Own => digest(&chunk),
            Voice::Quoted => QUOTED.to_vec(),
            Voice::Signature => SIGNATURE.to_vec(),
        };
        Self { chunk, input }
    }

    /// What tells its text from others: the digest, or a letter for the mark, and the text.
    fn identity(&self) -> Vec<u8> {
        match self.chunk.voice {
            Voice::Own => self.input.clone(),
            Voice::Quoted => [b"q".as_slice(), self.chunk.text.as_bytes()].concat(),
            Voice::Signature => [b"s".as_slice(), self.chunk.text.as_bytes()].concat(),
        }
    }
}

/// Whose words those of a chunk with this input are.
pub(super) fn voice_of(input: &[u8]) -> Voice {
    match input {
        QUOTED => Voice::Quoted,
        SIGNATURE => Voice::Signature,
        _ => Voice::Own,
    }
}

/// A chunk as stored.
#[derive(Clone, Debug)]
pub struct StoredChunk {
    pub key: ChunkKey,
    pub item: ItemKey,
    pub ordinal: u32,
    pub start: u64,
    pub end: u64,
    pub page: Option<u32>,
    pub cells: Option<SheetCells>,
    /// Heading path, outermost first, joined by ` › `.
    pub heading: Option<String>,
    pub text: String,
    pub input: Vec<u8>,
    /// How sure OCR is of the page, 0 to 100, where the text is from it.
    pub ocr_confidence: Option<u8>,
}

impl StoredChunk {
    /// Whose words they are.
    pub fn voice(&self) -> Voice {
        voice_of(&self.input)
    }
}

/// What a vector row needs besides the vector.
#[derive(Clone, Debug)]
pub struct VectorSource {
    pub item: ItemKey,
    pub title: String,
    pub source: String,
    pub media_type: String,
    pub date: Timestamp,
}

/// Between the steps of a heading path.
pub const HEADING_SEPARATOR: &str = " \u{203a} ";

/// A heading path in its stored form; `None` where a chunk stands under no heading.
pub fn heading_path(headings: &[String]) -> Option<String> {
    (!headings.is_empty()).then(|| headings.join(HEADING_SEPARATOR))
}

/// A chunk lies on one page, so what holds of the page holds of the chunk.
const CHUNK_COLUMNS: &str = "key, item, ordinal, start_char, end_char, page, heading, body, input, \
     (SELECT o.confidence FROM ocr_page o \
      WHERE o.item = chunk.item AND o.page = chunk.page AND o.used = 1), \
     (SELECT c.sheet FROM chunk_cells c WHERE c.chunk = chunk.key), \
     (SELECT c.cells FROM chunk_cells c WHERE c.chunk = chunk.key)";

fn read_chunk(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredChunk> {
    let sheet = row.get(10)?;
    let range = row.get::<_, Option<String>>(11)?.and_then(|cells| cells.parse::<CellRange>().ok());
    Ok(StoredChunk {
        key: ChunkKey(row.get(0)?),
        item: ItemKey(row.get(1)?),
        ordinal: row.get(2)?,
        start: row.get::<_, i64>(3)?.unsigned_abs(),
        end: row.get::<_, i64>(4)?.unsigned_abs(),
        page: row.get(5)?,
        cells: range.map(|range| SheetCells { sheet, range }),
        heading: row.get(6)?,
        text: row.get(7)?,
        input: row.get(8)?,
        ocr_confidence: row.get(9)?,
    })
}

impl CatalogReader<'_> {
    /// The chunks with these keys, in no particular order; keys that are gone are left out.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<StoredChunk>, CatalogError> {
        let mut chunks = Vec::with_capacity(keys.len());
        for group in keys.chunks(500) {
            chunks.extend(self.all(
                "read chunks",
                &format!(
                    "SELECT {CHUNK_COLUMNS} FROM chunk WHERE key IN ({})",
                    placeholders(group.len())
                ),
                params_from_iter(group.iter().map(|key| key.0)),
                read_chunk,
            )?);
        }
        Ok(chunks)
    }

    /// Those of `keys` that are not of the document's own words.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn aside_among(&self, keys: &[ChunkKey]) -> Result<HashSet<ChunkKey>, CatalogError> {
        let mut aside = HashSet::new();
        for group in keys.chunks(500) {
            aside.extend(self.all(
                "read which chunks are said aside",
                &format!(
                    "SELECT key FROM chunk WHERE key IN ({}) AND input IN {ASIDE}",
                    placeholders(group.len())
                ),
                params_from_iter(group.iter().map(|key| key.0)),
                |row| Ok(ChunkKey(row.get(0)?)),
            )?);
        }
        Ok(aside)
    }

    /// The first chunk of an item.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn first_chunk(&self, item: ItemKey) -> Result<Option<StoredChunk>, CatalogError> {
        self.one(
            "read the first chunk of an item",
            &format!("SELECT {CHUNK_COLUMNS} FROM chunk WHERE item = ?1 ORDER BY ordinal LIMIT 1"),
            [item.0],
            read_chunk,
        )
    }

    /// Up to `limit` chunks of an item from `first_ordinal` on that are found by meaning.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn item_chunks(
        &self,
        item: ItemKey,
        first_ordinal: u32,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, CatalogError> {
        self.all(
            "read the chunks of an item",
            &format!(
                "SELECT {CHUNK_COLUMNS} FROM chunk WHERE item = ?1 AND ordinal >= ?2 \
                 AND input NOT IN {ASIDE} ORDER BY ordinal LIMIT ?3"
            ),
            params![item.0, first_ordinal, limit as i64],
            read_chunk,
        )
    }

    /// Up to `limit` chunks of an item from `first_ordinal` on that have no embedding by `model`.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn item_chunks_to_embed(
        &self,
        item: ItemKey,
        model: &str,
        first_ordinal: u32,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, CatalogError> {
        self.all(
            "read chunks to embed",
            &format!(
                "SELECT {CHUNK_COLUMNS} FROM chunk WHERE item = ?1 AND ordinal >= ?2 \
                 AND input NOT IN {ASIDE} AND NOT EXISTS (SELECT 1 FROM embedding e \
                                 WHERE e.model = ?4 AND e.input = chunk.input) \
                 ORDER BY ordinal LIMIT ?3"
            ),
            params![item.0, first_ordinal, limit as i64, model],
            read_chunk,
        )
    }

    /// What the vector rows of an item need; `None` where it is no longer current.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn vector_source(&self, item: ItemKey) -> Result<Option<VectorSource>, CatalogError> {
        self.one(
            "read what to embed",
            "SELECT i.title, d.source, i.media_type, \
                    coalesce(i.event_date, i.content_date, i.file_date, i.received_at) \
             FROM item i JOIN document d ON d.key = i.document \
             WHERE i.key = ?1 AND d.current_item = i.key AND d.deleted_at IS NULL",
            [item.0],
            |row| {
                Ok(VectorSource {
                    item,
                    title: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                    source: row.get(1)?,
                    media_type: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                    date: super::rows::time(row, 3)?,
                })
            },
        )
    }

    /// Embeddings that are stored already, by input digest.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn embeddings(
        &self,
        model: &str,
        inputs: &[Vec<u8>],
    ) -> Result<HashMap<Vec<u8>, Vec<f32>>, CatalogError> {
        let mut found = HashMap::with_capacity(inputs.len());
        for input in inputs {
            if found.contains_key(input) {
                continue;
            }
            let vector = self.one(
                "read an embedding",
                "SELECT vector FROM embedding WHERE model = ?1 AND input = ?2",
                params![model, input],
                |row| Ok(vector_from_bytes(row.get_ref(0)?.as_blob()?)),
            )?;
            if let Some(vector) = vector {
                found.insert(input.clone(), vector);
            }
        }
        Ok(found)
    }

    /// A fixed pseudo-random sample of the tenant's embeddings: those with the smallest digests.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn embedding_sample(
        &self,
        model: &str,
        limit: usize,
    ) -> Result<Vec<Vec<f32>>, CatalogError> {
        self.all(
            "sample embeddings",
            "SELECT vector FROM embedding WHERE model = ?1 ORDER BY input LIMIT ?2",
            params![model, limit as i64],
            |row| Ok(vector_from_bytes(row.get_ref(0)?.as_blob()?)),
        )
    }
}

impl CatalogWriter<'_> {
    /// Gives an item these chunks in the place of what it had. One whose text is as before keeps
    /// its key, so that what the indexes hold of it stays true; so does its embedding.
    pub(super) fn replace_chunks(
        &self,
        item: ItemKey,
        chunks: &[ChunkInput],
    ) -> Result<(), CatalogError> {
        let mut known = self.known_chunks(item)?;
        self.clear_cells(item)?;
        // Out of the way of those that come, of which no two may stand at the same place.
        self.execute(
            "set chunks aside",
            "UPDATE chunk SET ordinal = -1 - ordinal WHERE item = ?1",
            [item.0],
        )?;
        for new in chunks {
            let same = known.get_mut(&new.identity()).and_then(VecDeque::pop_front);
            let key = match same {
                Some(key) => self.move_chunk(key, &new.chunk)?,
                None => self.insert_chunk(item, new)?,
            };
            if let Some(cells) = &new.chunk.cells {
                self.insert_cells(key, cells)?;
            }
        }
        self.execute(
            "remove chunks",
            "DELETE FROM chunk WHERE item = ?1 AND ordinal < 0",
            [item.0],
        )?;
        for input in known.keys() {
            self.execute(
                "remove an unused embedding",
                "DELETE FROM embedding WHERE input = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.input = ?1)",
                [input],
            )?;
        }
        Ok(())
    }

    /// Keys of an item's chunks by what tells their text from others, in order.
    fn known_chunks(&self, item: ItemKey) -> Result<HashMap<Vec<u8>, VecDeque<i64>>, CatalogError> {
        let rows: Vec<(Vec<u8>, i64)> = self.all(
            "list the chunks of an item",
            "SELECT CASE input WHEN x'' THEN CAST('q' || body AS BLOB) \
             WHEN x'2d2d20' THEN CAST('s' || body AS BLOB) ELSE input END, \
             key FROM chunk WHERE item = ?1 ORDER BY ordinal",
            [item.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut known: HashMap<Vec<u8>, VecDeque<i64>> = HashMap::new();
        for (input, key) in rows {
            known.entry(input).or_default().push_back(key);
        }
        Ok(known)
    }

    fn move_chunk(&self, key: i64, chunk: &Chunk) -> Result<i64, CatalogError> {
        self.execute(
            "move a chunk",
            "UPDATE chunk SET ordinal = ?2, start_char = ?3, end_char = ?4, page = ?5, \
             heading = ?6, tokens = ?7 WHERE key = ?1",
            params![
                key,
                chunk.ordinal,
                chunk.start_char as i64,
                chunk.end_char as i64,
                chunk.page,
                heading_path(&chunk.headings),
                chunk.tokens
            ],
        )?;
        Ok(key)
    }

    fn insert_chunk(
        &self,
        item: ItemKey,
        ChunkInput { chunk, input }: &ChunkInput,
    ) -> Result<i64, CatalogError> {
        let heading = heading_path(&chunk.headings);
        self.execute(
            "store a chunk",
            "INSERT INTO chunk (item, ordinal, start_char, end_char, page, heading, body, \
                 tokens, input) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                item.0,
                chunk.ordinal,
                chunk.start_char as i64,
                chunk.end_char as i64,
                chunk.page,
                heading,
                chunk.text,
                chunk.tokens,
                input
            ],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    fn insert_cells(&self, chunk: i64, cells: &SheetCells) -> Result<(), CatalogError> {
        self.execute(
            "store the cells of a chunk",
            "INSERT INTO chunk_cells (chunk, sheet, cells) VALUES (?1, ?2, ?3)",
            params![chunk, cells.sheet, cells.range.to_string()],
        )?;
        Ok(())
    }

    fn clear_cells(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "remove the cells of chunks",
            "DELETE FROM chunk_cells WHERE chunk IN (SELECT key FROM chunk WHERE item = ?1)",
            [item.0],
        )?;
        Ok(())
    }

    /// Stores embeddings; one that is there already is kept.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn store_embeddings(
        &self,
        model: &str,
        embeddings: &[(Vec<u8>, Vec<f32>)],
    ) -> Result<(), CatalogError> {
        for (input, vector) in embeddings {
            self.execute(
                "store an embedding",
                "INSERT INTO embedding (model, input, vector) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO NOTHING",
                params![model, input, vector_to_bytes(vector)],
            )?;
        }
        Ok(())
    }

    /// Removes the text of an item and what was derived from it; its chunks stay.
    pub(super) fn clear_derived(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.clear_date_mentions(item)?;
        self.clear_signature(item)?;
        self.clear_tables(item)?;
        self.execute("remove a text", "DELETE FROM text WHERE item = ?1", [item.0])?;
        Ok(())
    }

    /// Removes the text and chunks of an item, and embeddings that nothing else uses.
    pub(super) fn clear_text(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.clear_derived(item)?;
        self.note_written(item)?;
        self.execute(
            "remove unused embeddings",
            "DELETE FROM embedding WHERE input IN (SELECT input FROM chunk WHERE item = ?1) \
             AND NOT EXISTS (SELECT 1 FROM chunk other \
                             WHERE other.input = embedding.input AND other.item <> ?1)",
            [item.0],
        )?;
        self.clear_cells(item)?;
        self.execute("remove chunks", "DELETE FROM chunk WHERE item = ?1", [item.0])?;
        Ok(())
    }
}

fn vector_to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn vector_from_bytes(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::catalog::{Catalog, NewDrop};
    use crate::tenant::testing::keyring;

    fn cells(range: &str) -> SheetCells {
        SheetCells { sheet: Some("Budget".to_owned()), range: range.parse().unwrap() }
    }

    fn input(ordinal: u32, text: &str) -> ChunkInput {
        said(Voice::Own, ordinal, text)
    }

    fn said(voice: Voice, ordinal: u32, text: &str) -> ChunkInput {
        let chunk = Chunk {
            ordinal,
            start_byte: 0,
            end_byte: text.len(),
            start_char: u64::from(ordinal) * 100,
            end_char: u64::from(ordinal) * 100 + 50,
            page: Some(ordinal + 1),
            cells: Some(cells(&format!("A{}", ordinal + 1))),
            headings: Vec::new(),
            text: text.to_owned(),
            tokens: 1,
            voice,
        };
        ChunkInput::new(chunk, |chunk| chunk.text.as_bytes().to_vec())
    }

    fn item(catalog: &CatalogWriter<'_>) -> Result<ItemKey, CatalogError> {
        let accepted = catalog.accept(&NewDrop {
            collection: "documents".to_owned(),
            source: "a.pdf".to_owned(),
            blob: "0".repeat(64),
            size_bytes: 1,
            file_date: None,
            declared_type: None,
            format: None,
            parent: None,
        })?;
        Ok(accepted.item_key)
    }

    #[test]
    fn chunks_whose_text_stays_keep_their_keys_and_embeddings_wherever_they_go() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&dir.path().join("tenant.db"), &keyring("t", 1)).unwrap();
        let work = |catalog: &CatalogWriter<'_>| {
            let item = item(catalog)?;
            let first = [input(0, "otters"), input(1, "same"), input(2, "same"), input(3, "gone")];
            catalog.replace_chunks(item, &first)?;
            let embedded: Vec<_> =
                first.iter().map(|chunk| (chunk.input.clone(), vec![1.0_f32])).collect();
            catalog.store_embeddings("m", &embedded)?;
            let before = catalog.item_chunks(item, 0, 10)?;
            // A page that was a picture comes between, and one is read otherwise.
            let second = [input(0, "otters"), input(1, "new"), input(2, "same"), input(3, "same")];
            catalog.replace_chunks(item, &second)?;
            let after = catalog.item_chunks(item, 0, 10)?;
            let texts: Vec<&str> = after.iter().map(|chunk| chunk.text.as_str()).collect();
            assert_eq!(texts, ["otters", "new", "same", "same"]);
            let keys = |chunks: &[StoredChunk]| chunks.iter().map(|chunk| chunk.key).collect();
            let (old, new): (Vec<ChunkKey>, Vec<ChunkKey>) = (keys(&before), keys(&after));
            assert_eq!([new[0], new[2], new[3]], [old[0], old[1], old[2]]);
            assert!(!old.contains(&new[1]));
            assert_eq!((after[2].page, after[2].start), (Some(3), 200));
            assert_eq!(after[2].cells, Some(cells("A3")), "where it stands now");
            let inputs: Vec<_> = embedded.iter().map(|(input, _)| input.clone()).collect();
            let kept = catalog.embeddings("m", &inputs)?;
            assert_eq!(kept.len(), 2, "that of the chunk that is gone went with it");
            Ok(())
        };
        catalog.write(Timestamp::UNIX_EPOCH, work).unwrap();
    }

    #[test]
    fn what_is_said_aside_has_no_embedding_and_keeps_its_key_while_its_text_stays() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&dir.path().join("tenant.db"), &keyring("t", 1)).unwrap();
        let work = |catalog: &CatalogWriter<'_>| {
            let item = item(catalog)?;
            let stored = |chunks: &[ChunkInput]| {
                catalog.replace_chunks(item, chunks)?;
                let keys: Vec<ChunkKey> = catalog.all(
                    "list the chunks of an item",
                    "SELECT key FROM chunk WHERE item = ?1 ORDER BY ordinal",
                    [item.0],
                    |row| Ok(ChunkKey(row.get(0)?)),
                )?;
                Ok::<_, CatalogError>(keys)
            };
            let own = || input(0, "otters");
            let quoted = |text| said(Voice::Quoted, 1, text);
            let signed = || said(Voice::Signature, 2, "-- Ann");
            let before = stored(&[own(), quoted("> seals?"), signed()])?;
            let after = stored(&[own(), quoted("> walruses?"), signed()])?;
            assert_eq!([after[0], after[2]], [before[0], before[2]]);
            assert_ne!(after[1], before[1], "another text is another chunk");
            let mut found = catalog.chunks(&after)?;
            found.sort_by_key(|chunk| chunk.ordinal);
            let voices: Vec<Voice> = found.iter().map(StoredChunk::voice).collect();
            assert_eq!(voices, [Voice::Own, Voice::Quoted, Voice::Signature]);
            assert_eq!(found[1].text, "> walruses?");
            assert_eq!(catalog.aside_among(&after)?, HashSet::from([after[1], after[2]]));
            let embedded = catalog.item_chunks_to_embed(item, "m", 0, 10)?;
            assert_eq!(embedded.iter().map(|chunk| chunk.key).collect::<Vec<_>>(), [after[0]]);
            Ok(())
        };
        catalog.write(Timestamp::UNIX_EPOCH, work).unwrap();
    }
}
