//! The vectors of a small table in memory, for searches that compare all of them.
//!
//! Called by: `tenant::vectors`. Talks to: nothing; it is filled from the table.
//! Invariants: it holds exactly the rows of the last commit, or nothing: writers change it under
//! the lock they write with, after their commit, and empty it where a commit may have failed half
//! way; memory is bounded for each table and for all tables of a process together.
//! Why: reading and opening every sealed vector for each question costs more than comparing them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{VectorHit, VectorRow, best_first};
use crate::types::{ChunkKey, ItemKey};

/// Bytes of vectors that all tables of a process may hold in memory.
#[derive(Debug)]
pub struct ResidentBudget(AtomicUsize);

impl ResidentBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What a table holds in memory, if anything.
pub(super) struct Resident {
    dimension: usize,
    budget: Arc<ResidentBudget>,
    rows: RwLock<Option<Rows>>,
}

struct Rows {
    chunks: Vec<ChunkKey>,
    items: Vec<ItemKey>,
    /// One after the other.
    vectors: Vec<f32>,
    /// Taken from the budget.
    reserved: usize,
}

impl Resident {
    pub fn new(dimension: usize, budget: Arc<ResidentBudget>) -> Self {
        Self { dimension, budget, rows: RwLock::new(None) }
    }

    /// The best `limit` rows by their likeness to `query`, of `visible` items alone where they are
    /// given; `None` where nothing is in memory. Blocks for a millisecond or two.
    pub fn nearest(
        &self,
        query: &[f32],
        visible: Option<&HashSet<ItemKey>>,
        limit: usize,
    ) -> Option<Vec<VectorHit>> {
        let rows = self.read();
        let rows = rows.as_ref()?;
        let mut hits: Vec<VectorHit> = rows
            .vectors
            .chunks_exact(self.dimension)
            .zip(rows.chunks.iter().zip(&rows.items))
            .filter(|(_, (_, item))| visible.is_none_or(|visible| visible.contains(*item)))
            .map(|(vector, (chunk, item))| VectorHit {
                chunk: *chunk,
                item: *item,
                similarity: dot(vector, query),
            })
            .collect();
        if hits.len() > limit && limit > 0 {
            hits.select_nth_unstable_by(limit - 1, best_first);
        }
        hits.truncate(limit);
        hits.sort_by(best_first);
        Some(hits)
    }

    /// True where rows are in memory.
    pub fn is_filled(&self) -> bool {
        self.read().is_some()
    }

    /// Takes all rows of the table; false where they are more than may be held.
    pub fn fill(&self, chunks: Vec<ChunkKey>, items: Vec<ItemKey>, vectors: Vec<f32>) -> bool {
        let reserved = vectors.len() * size_of::<f32>();
        let mut rows = self.write();
        self.release(&mut rows);
        if !self.budget.take(reserved) {
            return false;
        }
        *rows = Some(Rows { chunks, items, vectors, reserved });
        true
    }

    /// Follows an append.
    pub fn append(&self, added: &[VectorRow]) {
        let mut slot = self.write();
        let Some(rows) = slot.as_mut() else { return };
        let bytes = added.len() * self.dimension * size_of::<f32>();
        if !self.budget.take(bytes) {
            self.release(&mut slot);
            return;
        }
        rows.reserved += bytes;
        for row in added {
            rows.chunks.push(row.chunk);
            rows.items.push(row.item);
            rows.vectors.extend_from_slice(&row.vector);
        }
    }

    /// Follows the removal of the rows that `gone` names.
    pub fn remove(&self, gone: impl Fn(ChunkKey, ItemKey) -> bool) {
        let mut slot = self.write();
        let Some(rows) = slot.as_mut() else { return };
        let mut kept = 0;
        for at in 0..rows.items.len() {
            if gone(rows.chunks[at], rows.items[at]) {
                continue;
            }
            rows.chunks[kept] = rows.chunks[at];
            rows.items[kept] = rows.items[at];
            let from = at * self.dimension;
            rows.vectors.copy_within(from..from + self.dimension, kept * self.dimension);
            kept += 1;
        }
        rows.chunks.truncate(kept);
        rows.items.truncate(kept);
        rows.vectors.truncate(kept * self.dimension);
        let held = rows.vectors.len() * size_of::<f32>();
        self.budget.give_back(rows.reserved - held);
        rows.reserved = held;
    }

    /// Holds nothing any more; the next search that wants to fills it again.
    pub fn empty(&self) {
        self.release(&mut self.write());
    }

    fn release(&self, rows: &mut Option<Rows>) {
        if let Some(rows) = rows.take() {
            self.budget.give_back(rows.reserved);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Rows>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Rows>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.empty();
    }
}

/// Eight sums side by side, which is what the compiler needs to use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_whole, a_rest) = a.as_chunks::<8>();
    let (b_whole, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::vectors::tests::row;

    fn resident(bytes: usize) -> (Resident, Arc<ResidentBudget>) {
        let budget = ResidentBudget::new(bytes);
        (Resident::new(4, budget.clone()), budget)
    }

    fn unit(axis: usize) -> Vec<f32> {
        (0..4).map(|at| if at == axis { 1.0 } else { 0.0 }).collect()
    }

    fn filled(resident: &Resident) {
        assert!(resident.fill(
            vec![ChunkKey(1), ChunkKey(2)],
            vec![ItemKey(1), ItemKey(2)],
            [unit(0), unit(1)].concat(),
        ));
    }

    #[test]
    fn it_follows_appends_and_removals_and_finds_the_nearest_first() {
        let (resident, _) = resident(1 << 20);
        assert!(resident.nearest(&unit(0), None, 3).is_none());
        filled(&resident);
        resident.append(&[row(3, 3, &unit(2))]);
        assert_eq!(resident.nearest(&unit(2), None, 1).unwrap()[0].chunk, ChunkKey(3));
        resident.remove(|_, item| item == ItemKey(1));
        resident.remove(|chunk, _| chunk == ChunkKey(3));
        let left = resident.nearest(&unit(1), None, 3).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].chunk, left[0].item), (ChunkKey(2), ItemKey(2)));
        assert!((left[0].similarity - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_out_of_sight_takes_no_place_among_the_nearest() {
        let (resident, _) = resident(1 << 20);
        filled(&resident);
        let visible = HashSet::from([ItemKey(2)]);
        let hits = resident.nearest(&unit(0), Some(&visible), 1).unwrap();
        assert_eq!(hits.iter().map(|hit| hit.item).collect::<Vec<_>>(), [ItemKey(2)]);
    }

    #[test]
    fn what_is_more_than_the_budget_is_not_held_and_what_goes_is_given_back() {
        let (resident, budget) = resident(3 * 16);
        filled(&resident);
        resident.append(&[row(3, 3, &unit(2))]);
        assert!(resident.is_filled());
        resident.append(&[row(4, 4, &unit(3))]);
        assert!(!resident.is_filled(), "four rows are too many");
        assert!(budget.take(3 * 16), "everything was given back");
    }
}
