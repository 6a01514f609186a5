//! Full text of a tenant: words to documents, words to passages.
//!
//! Called by: `tenant`, `app`. Talks to: one directory with two tantivy indexes, all files sealed.
//! Invariants: holds nothing that the catalogue cannot give again; writing a group twice, also
//! after a crash halfway, leaves what writing it once leaves; all methods block.
//! Why commits come in this order: passages first, so that no search finds a document whose
//! passages are not there yet.

mod analysis;
mod bm25;
mod cache;
mod collect;
mod compile;
mod directory;
mod error;
mod files;
mod highlight;
mod porter;
mod query;
mod schema;
mod seen;
mod statistics;
mod store;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::schema::Schema;
use tantivy::{IndexWriter, Searcher, TantivyDocument, Term};

use self::analysis::Analysis;
use self::collect::{BestChunks, BestItems, MatchingItems};
use self::compile::{Compiler, Corpus};
use self::files::Files;
use self::schema::{DocumentFields, HAS_AUTHORS, HAS_RECIPIENTS, PassageFields};
use self::seen::Seen;
use self::store::Store;
use super::latch::Latch;
use crate::crypto::FileCipher;
use crate::disk;
use crate::types::{ChunkKey, ItemKey, Language, SearchFilter, VisibleItems};

pub use self::error::FulltextError;
pub use self::query::{ParsedQuery, Query};

/// An item to index.
#[derive(Clone, Debug)]
pub struct FulltextEntry<'a> {
    pub item: ItemKey,
    /// Language whose word forms apply.
    pub language: Language,
    pub title: &'a str,
    pub headings: &'a str,
    pub body: &'a str,
    /// What a mail says aside from its own words, which it repeats of others or signs with: found,
    /// and worth less than the body.
    pub aside: Vec<&'a str>,
    pub source: &'a str,
    pub media_type: &'a str,
    /// Names and addresses of those who wrote it.
    pub authors: &'a [String],
    /// The same of those a mail went to.
    pub recipients: &'a [String],
    /// The date to filter by.
    pub date: Timestamp,
    /// Chunks with their texts.
    pub chunks: Vec<(ChunkKey, &'a str)>,
}

/// A document found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeywordHit {
    pub item: ItemKey,
    pub score: f32,
}

/// The best documents, and what it takes to compare their scores with those of all others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeywordHits {
    /// Best first; equal scores by item.
    pub hits: Vec<KeywordHit>,
    /// Documents in the index, filter or no filter; those that do not match score 0.
    pub documents: u64,
    /// Documents that match, of which `hits` are the best.
    pub matched: u64,
    /// Sum of the scores of all that match.
    pub score_sum: f64,
    /// Sum of the squares of the same.
    pub score_square_sum: f64,
}

/// The full-text index of one tenant.
pub struct Fulltext {
    analysis: Analysis,
    document_fields: DocumentFields,
    passage_fields: PassageFields,
    documents: Store,
    passages: Store,
}

impl Fulltext {
    /// Opens the index in `dir`, or makes one there.
    ///
    /// # Errors
    /// [`FulltextError::Outdated`] where it has to be erased and built anew; otherwise where it
    /// cannot be read.
    pub(in crate::tenant) fn open(
        dir: &Path,
        cipher: &FileCipher,
        latch: &Latch,
    ) -> Result<Self, FulltextError> {
        let analysis = Analysis::new();
        let document_fields = DocumentFields::new();
        let passage_fields = PassageFields::new();
        let store = |name: &str, schema: &Schema| {
            let files = Files::new(&dir.join(name), cipher.clone(), latch.clone());
            Store::open(files, schema, analysis.tokenizers())
        };
        let documents = store("documents", &document_fields.schema)?;
        let passages = store("passages", &passage_fields.schema)?;
        Ok(Self { analysis, document_fields, passage_fields, documents, passages })
    }

    /// Removes the index in `dir`, which must not be open. Every item has to be indexed again.
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub(in crate::tenant) fn erase(dir: &Path) -> Result<(), FulltextError> {
        match std::fs::remove_dir_all(dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FulltextError::Erase { path: dir.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    /// Puts `entries` in the place of what the index holds of the same items, and drops `remove`.
    /// Durable and visible on return. An item named twice is what its last entry says.
    ///
    /// # Errors
    /// When the index cannot be written; then the group has to be written again.
    pub fn write_group(
        &self,
        entries: &[FulltextEntry<'_>],
        remove: &[ItemKey],
    ) -> Result<(), FulltextError> {
        if entries.is_empty() && remove.is_empty() {
            return Ok(());
        }
        self.passages.write(|writer| {
            let forget = |item: ItemKey| {
                writer.delete_term(Term::from_field_i64(self.passage_fields.item, item.0));
            };
            remove.iter().copied().for_each(forget);
            entries.iter().try_for_each(|entry| {
                forget(entry.item);
                self.add_passages(writer, entry)
            })
        })?;
        self.documents.write(|writer| {
            let forget = |item: ItemKey| {
                writer.delete_term(Term::from_field_i64(self.document_fields.item, item.0));
            };
            remove.iter().copied().for_each(forget);
            entries.iter().try_for_each(|entry| {
                forget(entry.item);
                writer.add_document(self.document(entry)).map(drop)
            })
        })
    }

    fn add_passages(&self, writer: &IndexWriter, entry: &FulltextEntry<'_>) -> tantivy::Result<()> {
        let fields = &self.passage_fields;
        for (chunk, text) in &entry.chunks {
            let mut passage = TantivyDocument::new();
            passage.add_i64(fields.item, entry.item.0);
            passage.add_i64(fields.chunk, chunk.0);
            passage.add_text(fields.language, entry.language.code());
            passage.add_text(fields.text.get(entry.language), text);
            writer.add_document(passage)?;
        }
        Ok(())
    }

    fn document(&self, entry: &FulltextEntry<'_>) -> TantivyDocument {
        let fields = &self.document_fields;
        let language = entry.language;
        let title = entry.title.trim();
        let media_type = entry.media_type.to_lowercase();
        let mut document = TantivyDocument::new();
        document.add_i64(fields.item, entry.item.0);
        document.add_i64(fields.date, entry.date.as_microsecond());
        document.add_text(fields.source_path, entry.source);
        document.add_text(fields.source, entry.source);
        document.add_text(fields.media_type, &media_type);
        document.add_text(fields.media_words, &media_type);
        let names = [
            (fields.authors, entry.authors, HAS_AUTHORS),
            (fields.recipients, entry.recipients, HAS_RECIPIENTS),
        ];
        for (field, people, word) in names.into_iter().filter(|(_, people, _)| !people.is_empty()) {
            people.iter().for_each(|person| document.add_text(field, person));
            document.add_text(fields.names, word);
        }
        document.add_text(fields.language, language.code());
        document.add_text(fields.title.get(language), title);
        document.add_text(fields.headings.get(language), entry.headings);
        for text in &entry.aside {
            let marked = self.analysis.aside(language, text);
            document.add_pre_tokenized_text(fields.headings.get(language), marked);
        }
        // A text that opens with its title has it already.
        if !entry.body.trim_start().starts_with(title) {
            document.add_text(fields.body.get(language), title);
        }
        document.add_text(fields.body.get(language), entry.body);
        document
    }

    /// Ranks documents by the words of `query`, in the `languages` the tenant's documents have.
    /// A query that asks for nothing lists what `filter` and its exclusions leave, unranked; one
    /// that limits nothing either finds nothing. Of `visible` documents alone, where they are
    /// given, with scores as if there were no others.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn search_documents(
        &self,
        query: &Query,
        filter: &SearchFilter,
        visible: Option<&VisibleItems>,
        languages: &[Language],
        limit: usize,
    ) -> Result<KeywordHits, FulltextError> {
        let fields = &self.document_fields;
        let corpus = Corpus::Documents(fields);
        let searcher = self.documents.searcher();
        let seen = seen(&self.documents, &searcher, visible)?;
        let seen = seen.as_deref();
        let scored = Compiler::new(&self.analysis, corpus, (&searcher, seen), query, languages)
            .and_then(|compiler| compiler.documents(fields, filter))
            .and_then(|compiled| match compiled {
                Some(compiled) => searcher.search_with_statistics_provider(
                    &compiled.query,
                    &BestItems { limit, seen },
                    &compiled.statistics,
                ),
                None => Ok(collect::Scored::default()),
            })
            .map_err(|source| self.documents.search_error(source))?;
        let hit = |(item, score)| KeywordHit { item: ItemKey(item), score };
        Ok(KeywordHits {
            hits: scored.best.into_iter().map(hit).collect(),
            documents: seen.map_or_else(|| searcher.num_docs(), Seen::documents),
            matched: scored.matched,
            score_sum: scored.sum,
            score_square_sum: scored.square_sum,
        })
    }

    /// Those of `items` that `filter` and the required, excluded and field clauses of `query`
    /// admit: what a search by other means has to respect as well.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn admitted(
        &self,
        query: &Query,
        filter: &SearchFilter,
        languages: &[Language],
        items: &[ItemKey],
    ) -> Result<HashSet<ItemKey>, FulltextError> {
        if items.is_empty() {
            return Ok(HashSet::new());
        }
        let fields = &self.document_fields;
        let corpus = Corpus::Documents(fields);
        let searcher = self.documents.searcher();
        let found = Compiler::new(&self.analysis, corpus, (&searcher, None), query, languages)
            .and_then(|compiler| compiler.admitted(fields, filter, items))
            .and_then(|query| searcher.search(&query, &MatchingItems))
            .map_err(|source| self.documents.search_error(source))?;
        Ok(found.into_iter().map(ItemKey).collect())
    }

    /// Those of `items` the index holds, for comparing it with the catalogue.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn contained(&self, items: &[ItemKey]) -> Result<HashSet<ItemKey>, FulltextError> {
        self.admitted(&Query::default(), &SearchFilter::default(), &[], items)
    }

    /// The best `per_item` chunks of each of `items` that have a word of `query`, best first.
    /// Items without such a chunk are left out. Where `visible` documents are given, scores are as
    /// if there were no others.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn search_passages(
        &self,
        query: &Query,
        visible: Option<&VisibleItems>,
        languages: &[Language],
        items: &[ItemKey],
        per_item: usize,
    ) -> Result<HashMap<ItemKey, Vec<(ChunkKey, f32)>>, FulltextError> {
        if items.is_empty() || per_item == 0 {
            return Ok(HashMap::new());
        }
        let fields = &self.passage_fields;
        let corpus = Corpus::Passages(fields);
        let searcher = self.passages.searcher();
        let seen = seen(&self.passages, &searcher, visible)?;
        let sight = (&searcher, seen.as_deref());
        let best = Compiler::new(&self.analysis, corpus, sight, query, languages)
            .and_then(|compiler| compiler.passages(fields, items))
            .and_then(|compiled| match compiled {
                Some(compiled) => searcher.search_with_statistics_provider(
                    &compiled.query,
                    &BestChunks { per_item },
                    &compiled.statistics,
                ),
                None => Ok(HashMap::new()),
            })
            .map_err(|source| self.passages.search_error(source))?;
        Ok(best.into_iter().map(|(item, chunks)| (ItemKey(item), chunk_keys(chunks))).collect())
    }

    /// The words of `text` that `query` asks for, as `[start, end)` in Unicode scalar values.
    pub fn highlight(&self, query: &Query, language: Language, text: &str) -> Vec<[u32; 2]> {
        highlight::highlight(&self.analysis, query, language, text)
    }

    /// The distinct terms of `query` that `text` has.
    pub fn matched_words(&self, query: &Query, language: Language, text: &str) -> HashSet<String> {
        highlight::matched_words(&self.analysis, query, language, text)
    }

    /// Documents in the index.
    pub fn document_count(&self) -> u64 {
        self.documents.searcher().num_docs()
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn clear(&self) -> Result<(), FulltextError> {
        self.documents.write(|writer| writer.delete_all_documents().map(drop))?;
        self.passages.write(|writer| writer.delete_all_documents().map(drop))
    }

    /// Takes the texts of removed items off the disk: rewrites what still holds them and removes
    /// files no longer used. Merging on its own does so only once enough has been removed.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn compact(&self) -> Result<(), FulltextError> {
        self.passages.compact()?;
        self.documents.compact()
    }

    /// Waits for merges under way and gives back the memory and threads for writing. The next
    /// write takes them again.
    ///
    /// # Errors
    /// When a merge failed.
    pub fn release_writer(&self) -> Result<(), FulltextError> {
        self.passages.release_writer()?;
        self.documents.release_writer()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        disk::tree_bytes(self.documents.path()) + disk::tree_bytes(self.passages.path())
    }
}

/// What is in sight of an index, where that is not all of it.
fn seen(
    store: &Store,
    searcher: &Searcher,
    visible: Option<&VisibleItems>,
) -> Result<Option<Arc<Seen>>, FulltextError> {
    let seen = visible.map(|visible| store.sights.of(searcher, visible)).transpose();
    seen.map_err(|source| store.search_error(source))
}

fn chunk_keys(chunks: Vec<(i64, f32)>) -> Vec<(ChunkKey, f32)> {
    chunks.into_iter().map(|(chunk, score)| (ChunkKey(chunk), score)).collect()
}

#[cfg(test)]
mod tests;
