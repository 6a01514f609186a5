//! Collectors: best hits by row key, with the statistics of all matches.
//!
//! Called by: `mod`. Talks to: tantivy.
//! Invariants: hits come best first, equal scores by key, whatever segments hold them.
//! Why not `TopDocs`: it skips documents that cannot reach the top, and the sums need them all.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{CHUNK, ITEM};
use super::seen::{Mask, Seen};

/// The best entries seen so far, best first.
#[derive(Clone)]
struct Best {
    limit: usize,
    entries: Vec<(i64, Score)>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, entries: Vec::new() }
    }

    /// False where no key could bring `score` in.
    fn may_take(&self, score: Score) -> bool {
        if self.entries.len() < self.limit {
            return true;
        }
        self.entries.last().is_some_and(|worst| score >= worst.1)
    }

    fn take(&mut self, key: i64, score: Score) {
        let new = (key, score);
        let place = self.entries.partition_point(|entry| rank(entry, &new) == Ordering::Less);
        if place < self.limit {
            self.entries.insert(place, new);
            self.entries.truncate(self.limit);
        }
    }
}

fn rank(a: &(i64, Score), b: &(i64, Score)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// What a search over documents yields.
#[derive(Default)]
pub(super) struct Scored {
    pub(super) best: Vec<(i64, Score)>,
    pub(super) matched: u64,
    pub(super) sum: f64,
    pub(super) square_sum: f64,
}

/// Collects the best `limit` items and sums over all matches, as far as they are in sight.
pub(super) struct BestItems<'a> {
    pub(super) limit: usize,
    pub(super) seen: Option<&'a Seen>,
}

impl Collector for BestItems<'_> {
    type Fruit = Scored;
    type Child = SegmentBestItems;

    fn for_segment(
        &self,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentBestItems> {
        Ok(SegmentBestItems {
            mask: self.seen.and_then(|seen| seen.mask(ordinal)),
            items: segment.fast_fields().i64(ITEM)?,
            best: Best::new(self.limit),
            sums: Scored::default(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<Scored>) -> tantivy::Result<Scored> {
        let mut best = Best::new(self.limit);
        let mut all = Scored::default();
        for segment in segments {
            all.matched += segment.matched;
            all.sum += segment.sum;
            all.square_sum += segment.square_sum;
            segment.best.into_iter().for_each(|(key, score)| best.take(key, score));
        }
        all.best = best.entries;
        Ok(all)
    }
}

pub(super) struct SegmentBestItems {
    /// What is in sight; `None` where everything is.
    mask: Option<Arc<Mask>>,
    items: Column<i64>,
    best: Best,
    sums: Scored,
}

impl SegmentCollector for SegmentBestItems {
    type Fruit = Scored;

    fn collect(&mut self, doc: DocId, score: Score) {
        if self.mask.as_ref().is_some_and(|mask| !mask.contains(doc)) {
            return;
        }
        self.sums.matched += 1;
        self.sums.sum += f64::from(score);
        self.sums.square_sum += f64::from(score) * f64::from(score);
        if self.best.may_take(score)
            && let Some(item) = self.items.first(doc)
        {
            self.best.take(item, score);
        }
    }

    fn harvest(self) -> Scored {
        Scored { best: self.best.entries, ..self.sums }
    }
}

/// Collects the best `per_item` chunks of each item.
pub(super) struct BestChunks {
    pub(super) per_item: usize,
}

type ChunksByItem = HashMap<i64, Vec<(i64, Score)>>;

impl Collector for BestChunks {
    type Fruit = ChunksByItem;
    type Child = SegmentBestChunks;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentBestChunks> {
        Ok(SegmentBestChunks {
            items: segment.fast_fields().i64(ITEM)?,
            chunks: segment.fast_fields().i64(CHUNK)?,
            per_item: self.per_item,
            best: HashMap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<ChunksByItem>) -> tantivy::Result<ChunksByItem> {
        let mut all: HashMap<i64, Best> = HashMap::new();
        for (item, chunks) in segments.into_iter().flatten() {
            let best = all.entry(item).or_insert_with(|| Best::new(self.per_item));
            chunks.into_iter().for_each(|(chunk, score)| best.take(chunk, score));
        }
        Ok(all.into_iter().map(|(item, best)| (item, best.entries)).collect())
    }
}

pub(super) struct SegmentBestChunks {
    items: Column<i64>,
    chunks: Column<i64>,
    per_item: usize,
    best: HashMap<i64, Best>,
}

impl SegmentCollector for SegmentBestChunks {
    type Fruit = ChunksByItem;

    fn collect(&mut self, doc: DocId, score: Score) {
        let (Some(item), Some(chunk)) = (self.items.first(doc), self.chunks.first(doc)) else {
            return;
        };
        let best = self.best.entry(item).or_insert_with(|| Best::new(self.per_item));
        best.take(chunk, score);
    }

    fn harvest(self) -> ChunksByItem {
        self.best.into_iter().map(|(item, best)| (item, best.entries)).collect()
    }
}

/// Collects the items that match, unscored.
pub(super) struct MatchingItems;

impl Collector for MatchingItems {
    type Fruit = HashSet<i64>;
    type Child = SegmentMatchingItems;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentMatchingItems> {
        let items = segment.fast_fields().i64(ITEM)?;
        Ok(SegmentMatchingItems { items, found: HashSet::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<HashSet<i64>>) -> tantivy::Result<HashSet<i64>> {
        Ok(segments.into_iter().flatten().collect())
    }
}

pub(super) struct SegmentMatchingItems {
    items: Column<i64>,
    found: HashSet<i64>,
}

impl SegmentCollector for SegmentMatchingItems {
    type Fruit = HashSet<i64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.found.extend(self.items.first(doc));
    }

    fn harvest(self) -> HashSet<i64> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_and_equal_scores_rank_by_key() {
        let mut best = Best::new(3);
        for (key, score) in [(4, 1.0), (2, 2.0), (9, 1.0), (3, 1.0), (1, 0.5)] {
            if best.may_take(score) {
                best.take(key, score);
            }
        }
        assert_eq!(best.entries, [(2, 2.0), (3, 1.0), (4, 1.0)]);
    }

    #[test]
    fn a_limit_of_nothing_keeps_nothing() {
        let mut best = Best::new(0);
        assert!(!best.may_take(1.0));
        best.take(1, 1.0);
        assert!(best.entries.is_empty());
    }
}
