//! What of an index is there for a caller who sees some documents only.
//!
//! Called by: `mod`, `statistics`, `collect`. Talks to: tantivy.
//! Invariants: no number that a score is made of counts anything out of sight, so what such a
//! caller finds, and in which order, is as if nothing else were there. What is known of a sight is
//! used for that very list of items in that very state of the index, and for no other.
//! Why counted and not stored: which collections somebody sees changes without any document being
//! written. Every match is scored in any case, so a pass over a word's documents more is cheap. A
//! pass over all documents is not, so its outcome is kept while neither list nor index changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Searcher, SegmentOrdinal, TERMINATED, Term};

use super::schema::ITEM;
use crate::types::{ItemKey, VisibleItems};

/// Sights known of one index.
const KNOWN: usize = 8;

/// The documents of one segment that are in sight.
pub(super) struct Mask(Vec<u64>);

impl Mask {
    fn new(documents: u32) -> Self {
        Self(vec![0; documents.div_ceil(64) as usize])
    }

    fn insert(&mut self, document: DocId) {
        self.0[document as usize / 64] |= 1 << (document % 64);
    }

    pub(super) fn contains(&self, document: DocId) -> bool {
        self.0.get(document as usize / 64).is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    fn iter(&self) -> impl Iterator<Item = DocId> {
        let documents = 0..u32::try_from(self.0.len() * 64).unwrap_or(u32::MAX);
        documents.filter(|document| self.contains(*document))
    }
}

/// The documents in sight, segment by segment.
pub(super) struct Seen {
    masks: Vec<Arc<Mask>>,
    documents: u64,
    /// Words in a field, counted once.
    tokens: Mutex<HashMap<Field, u64>>,
}

/// The sights that an index was searched in lately.
#[derive(Default)]
pub(super) struct Sights(Mutex<Vec<Known>>);

struct Known {
    /// State of the index.
    generation: u64,
    /// Kept, so that no other list comes to lie in its place.
    items: VisibleItems,
    seen: Arc<Seen>,
}

impl Sights {
    /// What `searcher` holds of `items`.
    pub(super) fn of(
        &self,
        searcher: &Searcher,
        items: &VisibleItems,
    ) -> tantivy::Result<Arc<Seen>> {
        let generation = searcher.generation().generation_id();
        let is_same =
            |known: &&Known| known.generation == generation && Arc::ptr_eq(&known.items, items);
        if let Some(known) = self.known().iter().find(is_same) {
            return Ok(known.seen.clone());
        }
        let seen = Arc::new(Seen::of(searcher, items)?);
        let mut known = self.known();
        known.retain(|known| known.generation == generation);
        if known.len() == KNOWN {
            known.remove(0);
        }
        known.push(Known { generation, items: items.clone(), seen: seen.clone() });
        Ok(seen)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What `searcher` holds of `items`.
    fn of(searcher: &Searcher, items: &HashSet<ItemKey>) -> tantivy::Result<Self> {
        let (mut masks, mut documents) = (Vec::new(), 0);
        for segment in searcher.segment_readers() {
            let column = segment.fast_fields().i64(ITEM)?;
            let mut mask = Mask::new(segment.max_doc());
            for document in segment.doc_ids_alive() {
                if column.first(document).is_some_and(|item| items.contains(&ItemKey(item))) {
                    mask.insert(document);
                    documents += 1;
                }
            }
            masks.push(Arc::new(mask));
        }
        Ok(Self { masks, documents, tokens: Mutex::default() })
    }

    /// Those of one segment.
    pub(super) fn mask(&self, segment: SegmentOrdinal) -> Option<Arc<Mask>> {
        self.masks.get(segment as usize).cloned()
    }

    /// How many there are.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// How many of them have a term.
    pub(super) fn holders(&self, searcher: &Searcher, term: &Term) -> tantivy::Result<u64> {
        let mut holders = 0;
        for (segment, mask) in searcher.segment_readers().iter().zip(&self.masks) {
            let index = segment.inverted_index(term.field())?;
            let Some(mut postings) = index.read_postings(term, IndexRecordOption::Basic)? else {
                continue;
            };
            while postings.doc() != TERMINATED {
                holders += u64::from(mask.contains(postings.doc()));
                postings.advance();
            }
        }
        Ok(holders)
    }

    /// How many words they have in a field, as exactly as lengths are kept.
    pub(super) fn tokens(&self, searcher: &Searcher, field: Field) -> tantivy::Result<u64> {
        let mut known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = known.get(&field) {
            return Ok(*tokens);
        }
        let mut tokens = 0;
        for (segment, mask) in searcher.segment_readers().iter().zip(&self.masks) {
            if let Some(lengths) = segment.fieldnorms_readers().get_field(field)? {
                tokens += mask.iter().map(|doc| u64::from(lengths.fieldnorm(doc))).sum::<u64>();
            }
        }
        known.insert(field, tokens);
        Ok(tokens)
    }
}
