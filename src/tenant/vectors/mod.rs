//! One tenant's vectors: a LanceDB table per embedding model, keyed by chunk and item.
//!
//! Called by: `tenant` (it alone opens), `app` (through a handle). Talks to: LanceDB, which
//! reaches files only through [`provider`].
//! Invariants: a projection of the catalogue, never the truth; one writer at a time, and a write
//! that began is finished even when its caller goes away; when a write returns it survives a power
//! cut and every later read sees it; at most one [`Vectors`] is open per tenant and model.
//! Why: each append is one commit and one file group, so callers hand over groups of documents,
//! not documents. Session and registry are per tenant: the registry shares one store among all
//! paths it opens, and the session's caches hold content, so dropping [`Vectors`] forgets it.

mod error;
mod filter;
mod index;
mod maintenance;
mod provider;
mod resident;
mod schema;
mod sealed;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use futures::TryStreamExt;
use lancedb::expr::DfExpr;
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::table::NativeTable;
use lancedb::{Connection, DistanceType, ObjectStoreRegistry, Session, Table};
use tokio::sync::Mutex;

pub use error::VectorError;
pub use index::{IndexChange, IndexKind, IndexState};
pub use maintenance::Maintenance;
pub use resident::ResidentBudget;

use super::latch::Latch;
use crate::crypto::FileCipher;
use crate::types::{ChunkKey, ItemKey, ModelInfo, SearchFilter, VisibleItems};

/// One chunk's vector with what a search may filter by.
#[derive(Clone, Debug)]
pub struct VectorRow {
    pub chunk: ChunkKey,
    pub item: ItemKey,
    pub source: Arc<str>,
    pub media_type: Arc<str>,
    /// The document's effective date, microseconds since 1970.
    pub date_us: i64,
    /// L2-normalised, as long as the model's dimension.
    pub vector: Vec<f32>,
}

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorPlace {
    pub chunk: ChunkKey,
    pub item: ItemKey,
    /// The source that it names.
    pub source: String,
}

/// Bounds for one tenant's table.
#[derive(Clone, Debug)]
pub struct VectorSettings {
    /// Budget of cached index partitions, in bytes.
    pub index_cache_bytes: usize,
    /// Budget of cached manifests and file footers, in bytes.
    pub metadata_cache_bytes: usize,
    /// Above this many rows an index is built; up to it every search compares all vectors.
    pub exact_rows_limit: u64,
    /// False forbids an index. Training one, extending it and carrying it through compaction
    /// spill vectors as plain bytes to the temporary directory, so this may be true only where
    /// that directory is memory-backed or encrypted.
    pub allow_index: bool,
    /// That directory, whose free space bounds the table that may have an index; `None` where
    /// nothing has to bound it.
    pub scratch: Option<PathBuf>,
    /// What all tables together may hold in memory for exact searches.
    pub resident: Arc<ResidentBudget>,
}

/// A chunk found by its vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorHit {
    pub chunk: ChunkKey,
    pub item: ItemKey,
    /// Cosine similarity to the query, at most 1.
    pub similarity: f32,
}

/// The vectors of one tenant under one model.
#[derive(Clone)]
pub struct Vectors {
    inner: Arc<Inner>,
}

struct Inner {
    db: Connection,
    table: Table,
    name: String,
    schema: SchemaRef,
    dimension: usize,
    settings: VectorSettings,
    /// Held by whoever commits rows or removes files.
    writing: Mutex<()>,
    /// Held by whoever builds or removes the index; taken before `writing`.
    tending: Mutex<()>,
    index: index::IndexStatus,
    /// The rows in memory, while they are few enough.
    resident: resident::Resident,
    latch: Latch,
}

/// How a search goes through the table.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// Compares every admitted vector.
    Exact,
    /// Looks into this many partitions of the index first, and into more while hits are missing.
    Index { probes: usize },
}

impl Vectors {
    /// Opens the table of `model` under `dir`, creating both where they are missing.
    ///
    /// # Errors
    /// [`VectorError::Mismatch`] when the table was made by another model or layout, and
    /// [`VectorError::Engine`] when it cannot be read; in both cases a rebuild from the catalogue
    /// into an empty directory helps.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens a table")]
    pub(in crate::tenant) async fn open(
        dir: &Path,
        model: &ModelInfo,
        settings: &VectorSettings,
        cipher: FileCipher,
        latch: Latch,
    ) -> Result<Self, VectorError> {
        let root = provider::Root::of(dir)?;
        let files =
            Arc::new(provider::TenantProvider::new(root.path.clone(), cipher, latch.clone()));
        let name = schema::table_name(model);
        remove_leftovers(dir, &name).await?;
        let registry = ObjectStoreRegistry::empty();
        registry.insert(provider::SCHEME, files);
        let session = Session::new(
            settings.index_cache_bytes,
            settings.metadata_cache_bytes,
            Arc::new(registry),
        );
        let connect = lancedb::connect(root.url.as_str()).session(Arc::new(session));
        let db = Box::pin(connect.execute()).await.map_err(failure(&name, "connecting"))?;
        let table = open_or_create(&db, &name, model).await?;
        let found = Box::pin(table.schema()).await.map_err(failure(&name, "reading the schema"))?;
        schema::check(&found, &name, model)?;
        let index = index::IndexStatus::load(&table).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                table,
                name,
                schema: schema::table_schema(model),
                dimension: model.dimension,
                settings: settings.clone(),
                writing: Mutex::new(()),
                tending: Mutex::new(()),
                index,
                resident: resident::Resident::new(model.dimension, settings.resident.clone()),
                latch,
            }),
        })
    }

    /// Adds `rows` in one commit. The caller makes retries harmless by removing the items first.
    ///
    /// # Errors
    /// Nothing is added when a vector has the wrong dimension or length.
    pub async fn append(&self, rows: Vec<VectorRow>) -> Result<(), VectorError> {
        if rows.is_empty() {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        to_the_end("appending", async move { inner.append(&rows).await }).await
    }

    /// Removes every row of `items` in one commit; items without rows cost none.
    pub async fn remove_items(&self, items: &[ItemKey]) -> Result<(), VectorError> {
        if items.is_empty() {
            return Ok(());
        }
        let rows = filter::rows_of(items);
        let inner = Arc::clone(&self.inner);
        let items: HashSet<ItemKey> = items.iter().copied().collect();
        let gone = move |_, item| items.contains(&item);
        to_the_end("removing", async move { inner.remove(&rows, gone).await }).await
    }

    /// Removes the rows of `chunks` in one commit.
    pub async fn remove_chunks(&self, chunks: &[ChunkKey]) -> Result<(), VectorError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let rows = filter::rows_with(chunks);
        let inner = Arc::clone(&self.inner);
        let chunks: HashSet<ChunkKey> = chunks.iter().copied().collect();
        let gone = move |chunk, _| chunks.contains(&chunk);
        to_the_end("removing", async move { inner.remove(&rows, gone).await }).await
    }

    /// The rows of `items`, without their vectors.
    pub async fn places_of(&self, items: &[ItemKey]) -> Result<Vec<VectorPlace>, VectorError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let failed = failure(&self.inner.name, "listing rows");
        let columns = Select::columns(&[schema::CHUNK, schema::ITEM, schema::SOURCE]);
        let query = self.inner.table.query().only_if(filter::rows_of(items)).select(columns);
        let mut batches = Box::pin(query.execute()).await.map_err(&failed)?;
        let mut found = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(&failed)? {
            found.extend(schema::read_places(&batch)?);
        }
        Ok(found)
    }

    /// Removes every row, and the index with them.
    pub async fn clear(&self) -> Result<(), VectorError> {
        let inner = Arc::clone(&self.inner);
        to_the_end("clearing", async move {
            let _tending = inner.tending.lock().await;
            inner.drop_index().await?;
            inner.remove_all().await
        })
        .await
    }

    /// Removes the tables of every other model; call once nothing searches them any more.
    /// Returns how many there were.
    pub async fn drop_other_models(&self) -> Result<usize, VectorError> {
        let inner = Arc::clone(&self.inner);
        to_the_end("dropping old models", async move { inner.drop_other_models().await }).await
    }

    /// The `limit` nearest chunks that `filter` admits, of `visible` items alone where they are
    /// given, best first. Uses the index where there is one; rows it does not cover yet are compared
    /// one by one, so none is missed for being new.
    pub async fn nearest(
        &self,
        query: &[f32],
        filter: &SearchFilter,
        visible: Option<&VisibleItems>,
        limit: usize,
    ) -> Result<Vec<VectorHit>, VectorError> {
        let route = self.inner.index.route();
        if matches!(route, Route::Exact)
            && filter::condition(filter, None).is_none()
            && let Some(hits) = self.inner.nearest_in_memory(query, visible, limit).await?
        {
            return Ok(hits);
        }
        let condition = filter::condition(filter, visible);
        self.inner.search(query, condition, limit, route).await
    }

    /// The same by comparing every admitted vector.
    pub async fn nearest_exact(
        &self,
        query: &[f32],
        filter: &SearchFilter,
        limit: usize,
    ) -> Result<Vec<VectorHit>, VectorError> {
        self.inner.search(query, filter::condition(filter, None), limit, Route::Exact).await
    }

    /// Share of the true `k` nearest that [`Self::nearest`] finds, averaged over `queries`;
    /// 1.0 while there is no index.
    pub async fn recall(&self, queries: &[Vec<f32>], k: usize) -> Result<f64, VectorError> {
        index::recall(&self.inner, queries, k, self.inner.index.route()).await
    }

    /// Merges small file groups, forgets old versions, and builds or extends the index where the
    /// settings allow one. Searches and appends go on meanwhile; nothing is lost by a crash.
    pub async fn maintain(&self) -> Result<Maintenance, VectorError> {
        let inner = Arc::clone(&self.inner);
        to_the_end("maintaining", async move { inner.maintain().await }).await
    }

    /// True where nobody else uses this table: no search, and no write that its caller left.
    pub(in crate::tenant) fn is_quiet(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// Number of vectors stored.
    pub async fn rows(&self) -> Result<u64, VectorError> {
        self.inner.rows().await
    }

    /// How searches run now.
    pub fn index_state(&self) -> IndexState {
        self.inner.index.state()
    }

    /// The distinct items that have rows, for comparing with the catalogue. Reads one column of
    /// the whole table.
    pub async fn items(&self) -> Result<BTreeSet<ItemKey>, VectorError> {
        let failed = failure(&self.inner.name, "listing items");
        let query = self.inner.table.query().select(Select::columns(&[schema::ITEM]));
        let mut batches = Box::pin(query.execute()).await.map_err(&failed)?;
        let mut items = BTreeSet::new();
        while let Some(batch) = batches.try_next().await.map_err(&failed)? {
            items.extend(schema::read_items(&batch)?);
        }
        Ok(items)
    }
}

impl Inner {
    fn native(&self) -> &NativeTable {
        self.table.as_native().expect("invariant: a table opened from a directory is native")
    }

    async fn rows(&self) -> Result<u64, VectorError> {
        let rows = Box::pin(self.table.count_rows(None))
            .await
            .map_err(failure(&self.name, "counting rows"))?;
        Ok(rows as u64)
    }

    async fn append(&self, rows: &[VectorRow]) -> Result<(), VectorError> {
        let batches = schema::batches(&self.schema, self.dimension, rows)?;
        let _writing = self.writing.lock().await;
        // One stream of writes, so that a group becomes one file and one commit.
        let added = Box::pin(self.table.add(batches).write_parallelism(1).execute()).await;
        match added {
            Ok(_) => {
                self.resident.append(rows);
                Ok(())
            }
            Err(error) => {
                self.resident.empty();
                Err(failure(&self.name, "appending")(error))
            }
        }
    }

    /// Removes the rows that the condition `rows` names, which are those that `gone` names.
    async fn remove(
        &self,
        rows: &str,
        gone: impl Fn(ChunkKey, ItemKey) -> bool,
    ) -> Result<(), VectorError> {
        let _writing = self.writing.lock().await;
        let matched = Box::pin(self.table.count_rows(Some(rows.to_owned())))
            .await
            .map_err(failure(&self.name, "finding rows to remove"))?;
        if matched == 0 {
            return Ok(());
        }
        match Box::pin(self.table.delete(rows)).await {
            Ok(_) => {
                self.resident.remove(gone);
                Ok(())
            }
            Err(error) => {
                self.resident.empty();
                Err(failure(&self.name, "removing rows")(error))
            }
        }
    }

    async fn remove_all(&self) -> Result<(), VectorError> {
        let _writing = self.writing.lock().await;
        if self.rows().await? == 0 {
            return Ok(());
        }
        self.resident.empty();
        Box::pin(self.table.delete("true"))
            .await
            .map_err(failure(&self.name, "removing all rows"))?;
        Ok(())
    }

    async fn drop_other_models(&self) -> Result<usize, VectorError> {
        let _writing = self.writing.lock().await;
        let failed = failure(&self.name, "dropping old models");
        let names = Box::pin(self.db.table_names().execute()).await.map_err(&failed)?;
        let mut dropped = 0;
        for name in names.iter().filter(|name| **name != self.name) {
            Box::pin(self.db.drop_table(name, &[])).await.map_err(&failed)?;
            dropped += 1;
        }
        Ok(dropped)
    }

    /// The nearest rows by what is in memory, filled first where there is room; `None` where
    /// there is none.
    async fn nearest_in_memory(
        self: &Arc<Self>,
        query: &[f32],
        visible: Option<&VisibleItems>,
        limit: usize,
    ) -> Result<Option<Vec<VectorHit>>, VectorError> {
        if query.len() != self.dimension || limit == 0 {
            return Ok(None);
        }
        if !self.resident.is_filled() && !self.fill().await? {
            return Ok(None);
        }
        self.latch.check().map_err(VectorError::Locked)?;
        let (inner, query, visible) = (Arc::clone(self), query.to_vec(), visible.cloned());
        tokio::task::spawn_blocking(move || {
            inner.resident.nearest(&query, visible.as_deref(), limit)
        })
        .await
        .map_err(|source| VectorError::Lost { operation: "searching", source })
    }

    /// Reads the table into memory; false where it is too large.
    async fn fill(&self) -> Result<bool, VectorError> {
        // Nobody commits meanwhile, so that what is read is what is there.
        let _writing = self.writing.lock().await;
        if self.resident.is_filled() {
            return Ok(true);
        }
        if self.rows().await? > self.settings.exact_rows_limit {
            return Ok(false);
        }
        let failed = failure(&self.name, "reading rows");
        let columns = Select::columns(&[schema::CHUNK, schema::ITEM, schema::VECTOR]);
        let query = self.table.query().select(columns);
        let mut batches = Box::pin(query.execute()).await.map_err(&failed)?;
        let (mut chunks, mut items, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(batch) = batches.try_next().await.map_err(&failed)? {
            schema::read_rows(&batch, &mut chunks, &mut items, &mut vectors)?;
        }
        Ok(self.resident.fill(chunks, items, vectors))
    }

    async fn search(
        &self,
        query: &[f32],
        condition: Option<DfExpr>,
        limit: usize,
        route: Route,
    ) -> Result<Vec<VectorHit>, VectorError> {
        if query.len() != self.dimension {
            return Err(VectorError::QueryDimension {
                expected: self.dimension,
                found: query.len(),
            });
        }
        if limit == 0 || self.rows().await? == 0 {
            return Ok(Vec::new());
        }
        let failed = failure(&self.name, "searching");
        let mut search = self
            .table
            .query()
            .nearest_to(query)
            .map_err(&failed)?
            .column(schema::VECTOR)
            .distance_type(DistanceType::Cosine)
            .select(Select::columns(&[schema::CHUNK, schema::ITEM, schema::DISTANCE]))
            .limit(limit);
        if let Some(condition) = condition {
            search = search.only_if_expr(condition);
        }
        search = match route {
            Route::Exact => search.bypass_vector_index(),
            Route::Index { probes } => {
                search.refine_factor(index::REFINE).minimum_nprobes(probes).map_err(&failed)?
            }
        };
        let mut batches = Box::pin(search.execute()).await.map_err(&failed)?;
        let mut hits = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(&failed)? {
            schema::read_hits(&batch, &mut hits)?;
        }
        hits.sort_by(best_first);
        Ok(hits)
    }
}

/// Higher similarity first; equal ones by chunk, so that an answer is repeatable.
fn best_first(a: &VectorHit, b: &VectorHit) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.chunk.cmp(&b.chunk))
}

async fn open_or_create(
    db: &Connection,
    name: &str,
    model: &ModelInfo,
) -> Result<Table, VectorError> {
    match Box::pin(db.open_table(name).execute()).await {
        Ok(table) => Ok(table),
        Err(lancedb::Error::TableNotFound { .. }) => {
            let create = db.create_empty_table(name, schema::table_schema(model));
            Box::pin(create.execute()).await.map_err(failure(name, "creating"))
        }
        Err(source) => Err(failure(name, "opening")(source)),
    }
}

async fn remove_leftovers(dir: &Path, name: &str) -> Result<(), VectorError> {
    let path = dir.join(format!("{name}.lance"));
    let table_dir = path.clone();
    let removed =
        tokio::task::spawn_blocking(move || provider::remove_interrupted_uploads(&table_dir))
            .await
            .map_err(|source| VectorError::Lost { operation: "cleaning", source })?
            .map_err(|source| VectorError::Leftovers { path, source })?;
    if removed > 0 {
        tracing::info!(table = name, removed, "removed files of interrupted vector writes");
    }
    Ok(())
}

/// Runs a write in a task of its own: a caller that stops waiting must not stop it half way, nor
/// release its lock while the engine still writes.
async fn to_the_end<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T, VectorError>> + Send + 'static,
) -> Result<T, VectorError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(source) => Err(VectorError::Lost { operation, source }),
    }
}

fn failure(table: &str, operation: &'static str) -> impl Fn(lancedb::Error) -> VectorError {
    let table = table.to_owned();
    move |source| VectorError::Engine { table: table.clone(), operation, source: Box::new(source) }
}
