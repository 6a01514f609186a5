//! The approximate index: when it is built, how far a search looks into it, how good it is.
//!
//! Called by: `tenant::vectors`. Talks to: LanceDB.
//! Invariants: searches compare every vector until the recall of a newly built index has been
//! measured, also after a crash in between; rows an index does not cover are always compared.
//! Why: IVF with 8-bit scalar codes and a final comparison of the true vectors. At 384 dimensions
//! that is a quarter of the memory of full vectors for next to no loss; product or 1-bit codes
//! are smaller still but need many more candidates for the same recall. The number of partitions
//! to look into is not guessed: it is doubled until the measured recall suffices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::TryStreamExt;
use lancedb::index::vector::IvfSqIndexBuilder;
use lancedb::index::{Index, IndexConfig};
use lancedb::query::{ExecutableQuery, Select};
use lancedb::table::{OptimizeAction, OptimizeOptions};
use lancedb::{DistanceType, Table};

use super::error::VectorError;
use super::schema::{self, VECTOR};
use super::{Inner, Route, failure};
use crate::disk;

/// Candidates per hit whose true vectors are compared at the end.
pub(super) const REFINE: u32 = 3;

const INDEX_NAME: &str = "vector_ivf";
/// Small enough that a probe reads little, large enough to train a centroid on.
const ROWS_PER_PARTITION: u64 = 512;
const MAX_PARTITIONS: u64 = 4096;
/// Vectors per partition that training holds in memory: 200 MB for a million rows.
const TRAINING_ROWS_PER_PARTITION: u32 = 64;
const MIN_PROBES: usize = 8;
/// Recall that ends the search for a number of probes; above the promised .95, because queries
/// differ more from the passages than the passages measured with.
const WANTED_RECALL: f64 = 0.98;
const SAMPLED_QUERIES: u64 = 24;
const SAMPLED_HITS: usize = 10;
/// Uncovered rows, as a share of the exact limit, that are worth extending the index for.
const EXTEND_SHARE: u64 = 10;
/// Extensions after which all parts of the index are merged.
const MAX_SEGMENTS: u32 = 8;
/// Growth since training after which the partitions no longer fit and are trained anew.
const RETRAIN_GROWTH: u64 = 4;
/// Bytes that training may spill: a number of a vector as it is and as its code, and for each row
/// its keys and what surrounds them.
const SPILLED_PER_NUMBER: u64 = 6;
const SPILLED_PER_ROW: u64 = 64;
/// Similarities this close are the same.
const TIE: f32 = 1e-5;

const PROBES_KEY: &str = "cairn.index.probes";
const TRAINED_ROWS_KEY: &str = "cairn.index.trained_rows";

/// What answers a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Every vector is compared.
    Exact,
    /// The nearest partitions are looked into.
    Ivf,
}

/// How searches run now, and whether that is about to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexState {
    pub kind: IndexKind,
    pub building: bool,
    /// True where an index is due and cannot be made for want of room to spill to.
    pub lacks_room: bool,
}

/// What maintenance did to the index.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum IndexChange {
    #[default]
    None,
    /// Trained on all rows; `recall` was measured on a sample of stored vectors.
    Built { recall: f64 },
    /// New rows were added to it.
    Extended,
    /// Removed, because the settings no longer allow one.
    Dropped,
}

/// What searches need to know about the index, readable without waiting.
#[derive(Debug)]
pub(super) struct IndexStatus {
    /// Partitions to look into; zero while there is no index to use.
    probes: AtomicUsize,
    building: AtomicBool,
    lacks_room: AtomicBool,
}

impl IndexStatus {
    /// Reads what the last build found out.
    pub async fn load(table: &Table) -> Result<Self, VectorError> {
        let probes = match find(table).await? {
            Some(_) => setting(table, PROBES_KEY).await?.unwrap_or(0),
            None => 0,
        };
        Ok(Self {
            probes: AtomicUsize::new(usize::try_from(probes).unwrap_or(0)),
            building: AtomicBool::new(false),
            lacks_room: AtomicBool::new(false),
        })
    }

    pub fn route(&self) -> Route {
        match self.probes.load(Ordering::Relaxed) {
            0 => Route::Exact,
            probes => Route::Index { probes },
        }
    }

    pub fn state(&self) -> IndexState {
        IndexState {
            kind: match self.route() {
                Route::Exact => IndexKind::Exact,
                Route::Index { .. } => IndexKind::Ivf,
            },
            building: self.building.load(Ordering::Relaxed),
            lacks_room: self.lacks_room.load(Ordering::Relaxed),
        }
    }

    fn begin(&self) -> Building<'_> {
        self.building.store(true, Ordering::Relaxed);
        Building(self)
    }
}

/// Says that an index is being built, until dropped.
struct Building<'a>(&'a IndexStatus);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.building.store(false, Ordering::Relaxed);
    }
}

impl Inner {
    /// Builds, extends or leaves the index, whichever the rows call for. The caller holds
    /// `tending`; appends and removals may go on, the engine reconciles their commits.
    pub(super) async fn tend_index(&self) -> Result<IndexChange, VectorError> {
        let rows = self.rows().await?;
        if !self.settings.allow_index {
            let due = rows > self.settings.exact_rows_limit;
            self.index.lacks_room.store(due, Ordering::Relaxed);
            return Ok(IndexChange::None);
        }
        let Some(index) = find(&self.table).await? else {
            if rows <= self.settings.exact_rows_limit {
                return Ok(IndexChange::None);
            }
            return self.build_index(rows).await;
        };
        let trained = setting(&self.table, TRAINED_ROWS_KEY).await?.unwrap_or(0);
        let unusable = matches!(self.index.route(), Route::Exact);
        if unusable || rows > trained.saturating_mul(RETRAIN_GROWTH) {
            return self.build_index(rows).await;
        }
        let uncovered = index.num_unindexed_rows.unwrap_or(0);
        if uncovered <= self.settings.exact_rows_limit / EXTEND_SHARE {
            return Ok(IndexChange::None);
        }
        self.extend_index(rows, index.num_segments.unwrap_or(1)).await
    }

    /// Removes the index, if there is one; searches compare every vector from then on.
    pub(super) async fn drop_index(&self) -> Result<bool, VectorError> {
        self.index.probes.store(0, Ordering::Relaxed);
        if find(&self.table).await?.is_none() {
            return Ok(false);
        }
        let _writing = self.writing.lock().await;
        Box::pin(self.table.drop_index(INDEX_NAME))
            .await
            .map_err(failure(&self.name, "dropping the index"))?;
        Ok(true)
    }

    async fn build_index(&self, rows: u64) -> Result<IndexChange, VectorError> {
        if !self.has_room(rows).await {
            return Ok(IndexChange::None);
        }
        let _building = self.index.begin();
        let partitions = partitions(rows);
        let kind = IvfSqIndexBuilder::default()
            .distance_type(DistanceType::Cosine)
            .num_partitions(u32::try_from(partitions).unwrap_or(u32::MAX))
            .sample_rate(TRAINING_ROWS_PER_PARTITION);
        let build = self
            .table
            .create_index(&[VECTOR], Index::IvfSq(kind))
            .name(INDEX_NAME.to_owned())
            .replace(true);
        Box::pin(build.execute()).await.map_err(failure(&self.name, "building the index"))?;
        // Where this index replaces another, the old number of probes says nothing about it.
        self.index.probes.store(0, Ordering::Relaxed);
        let (probes, recall) = self.choose_probes(rows, partitions).await?;
        self.remember(probes, rows).await?;
        self.index.probes.store(probes, Ordering::Relaxed);
        tracing::info!(
            table = %self.name,
            rows,
            partitions,
            probes,
            recall,
            "vector index built"
        );
        Ok(IndexChange::Built { recall })
    }

    async fn extend_index(&self, rows: u64, segments: u32) -> Result<IndexChange, VectorError> {
        if !self.has_room(rows).await {
            return Ok(IndexChange::None);
        }
        let _building = self.index.begin();
        let options = if segments >= MAX_SEGMENTS {
            OptimizeOptions::merge(segments as usize)
        } else {
            OptimizeOptions::append()
        };
        Box::pin(self.table.optimize(OptimizeAction::Index(options)))
            .await
            .map_err(failure(&self.name, "extending the index"))?;
        Ok(IndexChange::Extended)
    }

    /// True where what an index of so many rows spills fits into the scratch directory.
    async fn has_room(&self, rows: u64) -> bool {
        let Some(scratch) = self.settings.scratch.clone() else { return true };
        let needed = rows * (self.dimension as u64 * SPILLED_PER_NUMBER + SPILLED_PER_ROW);
        let free = tokio::task::spawn_blocking(move || disk::free_bytes(&scratch)).await;
        let fits = matches!(free, Ok(Ok(free)) if free >= needed);
        if !fits && !self.index.lacks_room.load(Ordering::Relaxed) {
            tracing::warn!(
                table = %self.name, rows, needed,
                "the scratch directory has no room for a vector index; every vector is compared"
            );
        }
        self.index.lacks_room.store(!fits, Ordering::Relaxed);
        fits
    }

    /// The fewest probes, among doublings, that reach the wanted recall; and the recall reached.
    async fn choose_probes(
        &self,
        rows: u64,
        partitions: usize,
    ) -> Result<(usize, f64), VectorError> {
        let queries = self.sample(rows).await?;
        let mut probes = MIN_PROBES.min(partitions);
        loop {
            let route = Route::Index { probes };
            let recall = recall(self, &queries, SAMPLED_HITS, route).await?;
            if recall >= WANTED_RECALL || probes >= partitions {
                return Ok((probes, recall));
            }
            probes = (probes * 2).min(partitions);
        }
    }

    /// Stored vectors, evenly spread over the table.
    async fn sample(&self, rows: u64) -> Result<Vec<Vec<f32>>, VectorError> {
        let failed = failure(&self.name, "sampling vectors");
        let wanted = rows.min(SAMPLED_QUERIES);
        let offsets = (0..wanted).map(|turn| turn * rows / wanted).collect();
        let query = self.table.take_offsets(offsets).select(Select::columns(&[VECTOR]));
        let mut batches = Box::pin(query.execute()).await.map_err(&failed)?;
        let mut vectors = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(&failed)? {
            schema::read_vectors(&batch, &mut vectors)?;
        }
        Ok(vectors)
    }

    async fn remember(&self, probes: usize, rows: u64) -> Result<(), VectorError> {
        let _writing = self.writing.lock().await;
        let values = [
            (PROBES_KEY.to_owned(), probes.to_string()),
            (TRAINED_ROWS_KEY.to_owned(), rows.to_string()),
        ];
        Box::pin(self.native().update_config(values))
            .await
            .map_err(failure(&self.name, "recording the index"))
    }
}

/// Share of the true `k` nearest that `route` finds, averaged over `queries`. A hit counts when
/// it is as similar as the last true one, so equal vectors do not lower the figure.
pub(super) async fn recall(
    inner: &Inner,
    queries: &[Vec<f32>],
    k: usize,
    route: Route,
) -> Result<f64, VectorError> {
    let mut found = 0;
    let mut wanted = 0;
    for query in queries {
        let exact = inner.search(query, None, k, Route::Exact).await?;
        let Some(last) = exact.last() else { continue };
        let hits = inner.search(query, None, k, route).await?;
        wanted += exact.len();
        found += hits
            .iter()
            .filter(|hit| hit.similarity >= last.similarity - TIE)
            .count()
            .min(exact.len());
    }
    if wanted == 0 {
        return Ok(1.0);
    }
    Ok(found as f64 / wanted as f64)
}

fn partitions(rows: u64) -> usize {
    let partitions = (rows / ROWS_PER_PARTITION).clamp(1, MAX_PARTITIONS);
    usize::try_from(partitions).expect("invariant: the count is bounded")
}

async fn find(table: &Table) -> Result<Option<IndexConfig>, VectorError> {
    let indices =
        Box::pin(table.list_indices()).await.map_err(failure(table.name(), "listing indices"))?;
    Ok(indices.into_iter().find(|index| index.name == INDEX_NAME))
}

/// A number kept in the table's own configuration.
async fn setting(table: &Table, key: &str) -> Result<Option<u64>, VectorError> {
    let native = table.as_native().expect("invariant: a table opened from a directory is native");
    let manifest = Box::pin(native.manifest())
        .await
        .map_err(failure(table.name(), "reading the configuration"))?;
    Ok(manifest.config.get(key).and_then(|word| word.parse().ok()))
}
