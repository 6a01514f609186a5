//! One tantivy index on disk: its reader, its writer, its commits.
//!
//! Called by: `mod`. Talks to: `directory`, tantivy.
//! Invariants: a write is one commit or nothing, and visible to searches when it returns; a
//! writer that failed is dropped together with what it had not committed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, NoMergePolicy};
use tantivy::schema::Schema;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyError,
};

use super::directory::IndexDirectory;
use super::error::{FulltextError, is_outdated};
use super::files::Files;
use super::seen::Sights;

/// Memory for terms not yet written out; tantivy accepts no less than 15 MB.
const WRITER_BYTES: usize = 16_000_000;

/// Share of deleted documents above which a segment is rewritten without them.
const DELETED_SHARE: f32 = 0.2;

/// A tantivy index.
pub(super) struct Store {
    path: PathBuf,
    index: Index,
    reader: IndexReader,
    pub(super) sights: Sights,
    /// Made when first needed.
    writer: Mutex<Option<IndexWriter>>,
}

impl Store {
    /// Opens the index in the directory of `files`, or makes one there.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens an index")]
    pub(super) fn open(
        files: Files,
        schema: &Schema,
        tokenizers: TokenizerManager,
    ) -> Result<Self, FulltextError> {
        let path = files.root().to_owned();
        let open_error = |source: TantivyError| {
            if is_outdated(&source) {
                FulltextError::Outdated { path: path.clone() }
            } else {
                FulltextError::Open { path: path.clone(), source }
            }
        };
        let directory = IndexDirectory::open(files).map_err(|error| open_error(error.into()))?;
        let exists = Index::exists(&directory).map_err(|error| open_error(error.into()))?;
        let index = if exists {
            Index::open(directory)
        } else {
            // Nothing is stored, so a thread to compress it would idle.
            let settings = IndexSettings {
                docstore_compress_dedicated_thread: false,
                ..IndexSettings::default()
            };
            Index::create(directory, schema.clone(), settings)
        };
        let mut index = index.map_err(open_error)?;
        if index.schema() != *schema {
            return Err(FulltextError::Outdated { path });
        }
        index.set_tokenizers(tokenizers);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.try_into().map_err(open_error)?;
        Ok(Self { path, index, reader, sights: Sights::default(), writer: Mutex::new(None) })
    }

    /// The state of the last commit.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Runs `operations` and commits them.
    pub(super) fn write(
        &self,
        operations: impl FnOnce(&IndexWriter) -> tantivy::Result<()>,
    ) -> Result<(), FulltextError> {
        let mut slot = self.lock();
        let writer = slot.take().map_or_else(|| self.new_writer(), Ok);
        // The writer goes back into its slot only after a commit.
        let written = writer.and_then(|mut writer| {
            operations(&writer)?;
            writer.commit()?;
            Ok(writer)
        });
        *slot = Some(written.map_err(|source| self.write_error(source))?);
        self.reader.reload().map_err(|source| self.write_error(source))
    }

    /// Lets merges finish and gives the writer's memory and threads back. Blocks meanwhile.
    pub(super) fn release_writer(&self) -> Result<(), FulltextError> {
        self.settle(&mut self.lock()).map_err(|source| self.write_error(source))
    }

    /// Rewrites segments that hold deleted documents and removes files no longer used.
    pub(super) fn compact(&self) -> Result<(), FulltextError> {
        let mut slot = self.lock();
        self.settle(&mut slot)
            .and_then(|()| self.rewrite())
            .map_err(|source| self.write_error(source))
    }

    fn settle(&self, slot: &mut Option<IndexWriter>) -> tantivy::Result<()> {
        if let Some(writer) = slot.take() {
            writer.wait_merging_threads()?;
            // Files that were merged away are held by the reader until it looks again.
            self.reader.reload()?;
        }
        Ok(())
    }

    fn rewrite(&self) -> tantivy::Result<()> {
        let mut writer = self.new_writer()?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        for segment in self.index.searchable_segment_metas()? {
            if segment.has_deletes() {
                writer.merge(&[segment.id()]).wait()?;
            }
        }
        self.reader.reload()?;
        writer.garbage_collect_files().wait()?;
        writer.wait_merging_threads()
    }

    fn new_writer(&self) -> tantivy::Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    fn lock(&self) -> MutexGuard<'_, Option<IndexWriter>> {
        // A panic leaves the slot empty, which is a sound state.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_error(&self, source: TantivyError) -> FulltextError {
        FulltextError::Write { path: self.path.clone(), source }
    }

    pub(super) fn search_error(&self, source: TantivyError) -> FulltextError {
        FulltextError::Search { path: self.path.clone(), source }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
