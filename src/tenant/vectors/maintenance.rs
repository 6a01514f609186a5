//! Keeping a table small and quick: merging file groups, forgetting old versions.
//!
//! Called by: `tenant::vectors`. Talks to: LanceDB.
//! Invariants: rows are never lost: files are removed only when no version of the last
//! [`KEPT_MINUTES`] refers to them, and only while nothing else writes to the table; where an
//! index is forbidden it is gone before files are merged, because merging rewrites it by way of
//! the temporary directory.

use lancedb::table::{CompactionOptions, Duration, OptimizeAction};

use super::error::VectorError;
use super::index::IndexChange;
use super::{Inner, failure};

/// Rows of a full file group: at 384 dimensions one hundred megabytes, so that merging the small
/// ones into the last one never rewrites more than that.
const GROUP_ROWS: usize = 64 * 1024;
/// Small file groups that are worth merging.
const MANY_SMALL_GROUPS: usize = 8;
/// Share of removed rows that is worth rewriting files for: one in this many.
const REMOVED_SHARE: usize = 10;
/// Rows held in memory at once while files are rewritten.
const MERGE_BATCH_ROWS: usize = 1024;
/// Age up to which versions are kept: a search that began on one must be able to end on it.
const KEPT_MINUTES: i64 = 10;

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Maintenance {
    /// File groups merged away, and those that took their place.
    pub groups_merged: usize,
    pub groups_written: usize,
    /// Versions forgotten, and the disk space that came free.
    pub versions_removed: u64,
    pub bytes_freed: u64,
    pub index: IndexChange,
}

impl Inner {
    /// One round. Waits for a round that is under way.
    pub(super) async fn maintain(&self) -> Result<Maintenance, VectorError> {
        let _tending = self.tending.lock().await;
        let mut done = Maintenance::default();
        if !self.settings.allow_index && self.drop_index().await? {
            done.index = IndexChange::Dropped;
        }
        self.merge_groups(&mut done).await?;
        match self.tend_index().await? {
            IndexChange::None => {}
            change => done.index = change,
        }
        self.forget_versions(&mut done).await?;
        Ok(done)
    }

    async fn merge_groups(&self, done: &mut Maintenance) -> Result<(), VectorError> {
        let _writing = self.writing.lock().await;
        if !self.is_worth_merging().await? {
            return Ok(());
        }
        let options = CompactionOptions {
            target_rows_per_fragment: GROUP_ROWS,
            num_threads: Some(1),
            batch_size: Some(MERGE_BATCH_ROWS),
            ..CompactionOptions::default()
        };
        let action = OptimizeAction::Compact { options, remap_options: None };
        let stats = Box::pin(self.table.optimize(action))
            .await
            .map_err(failure(&self.name, "merging file groups"))?;
        if let Some(merged) = stats.compaction {
            done.groups_merged = merged.fragments_removed;
            done.groups_written = merged.fragments_added;
        }
        Ok(())
    }

    async fn is_worth_merging(&self) -> Result<bool, VectorError> {
        let failed = failure(&self.name, "counting file groups");
        let native = self.native();
        let small = Box::pin(native.num_small_files(GROUP_ROWS)).await.map_err(&failed)?;
        let removed = Box::pin(native.count_deleted_rows()).await.map_err(&failed)?;
        let rows = usize::try_from(self.rows().await?).unwrap_or(usize::MAX);
        Ok(small >= MANY_SMALL_GROUPS || removed > rows / REMOVED_SHARE)
    }

    async fn forget_versions(&self, done: &mut Maintenance) -> Result<(), VectorError> {
        let _writing = self.writing.lock().await;
        let action = OptimizeAction::Prune {
            older_than: Some(Duration::minutes(KEPT_MINUTES)),
            // Files no version knows are left by interrupted writes: both locks are held, so no
            // write is under way that could still claim one.
            delete_unverified: Some(true),
            error_if_tagged_old_versions: Some(false),
        };
        let stats = Box::pin(self.table.optimize(action))
            .await
            .map_err(failure(&self.name, "forgetting old versions"))?;
        if let Some(pruned) = stats.prune {
            done.versions_removed = pruned.old_versions;
            done.bytes_freed = pruned.bytes_removed;
        }
        Ok(())
    }
}
