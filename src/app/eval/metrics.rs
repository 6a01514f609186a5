//! nDCG, recall, reciprocal rank and latency percentiles.
//!
//! Called by: `cli::eval`. Talks to: nothing.
//! Invariants: gain is the relevance itself (linear), discounted by log2(rank + 1) with ranks
//! from 1; the ideal ranking is taken over all judgements, found or not; relevance below 1 counts
//! as not relevant; every measure lies between 0 and 1.

use std::collections::HashMap;

use serde::Serialize;

/// How deep nDCG looks.
const NDCG_DEPTH: usize = 10;
/// How deep recall and the reciprocal rank look.
const RECALL_DEPTH: usize = 100;

/// One query as it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryOutcome {
    pub ndcg_at_10: f64,
    pub recall_at_100: f64,
    pub reciprocal_rank: f64,
    pub latency_ms: f64,
}

impl QueryOutcome {
    /// Scores one ranking, best document first, without repeats.
    pub fn score(ranking: &[String], judged: &HashMap<String, i64>, latency_ms: f64) -> Self {
        Self {
            ndcg_at_10: ndcg(ranking, judged, NDCG_DEPTH),
            recall_at_100: recall(ranking, judged, RECALL_DEPTH),
            reciprocal_rank: reciprocal_rank(ranking, judged, RECALL_DEPTH),
            latency_ms,
        }
    }
}

/// Means over the queries of one search mode, and the percentiles of their latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ModeScores {
    pub ndcg_at_10: f64,
    pub recall_at_100: f64,
    pub mrr: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub queries: usize,
}

/// Normalised discounted cumulative gain of the first `depth` documents; 0 where no document is
/// judged relevant.
fn ndcg(ranking: &[String], judged: &HashMap<String, i64>, depth: usize) -> f64 {
    let gains = ranking.iter().map(|document| judged.get(document).copied().unwrap_or(0));
    let mut ideal: Vec<i64> = judged.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted(ideal.into_iter().take(depth));
    if best > 0.0 { discounted(gains.take(depth)) / best } else { 0.0 }
}

/// Share of the relevant documents found among the first `depth`; 0 where none is relevant.
fn recall(ranking: &[String], judged: &HashMap<String, i64>, depth: usize) -> f64 {
    let relevant = judged.values().filter(|relevance| **relevance > 0).count();
    if relevant == 0 {
        return 0.0;
    }
    let found = ranking.iter().take(depth).filter(|document| is_relevant(judged, document));
    found.count() as f64 / relevant as f64
}

/// One over the rank of the first relevant document among the first `depth`; 0 without one.
fn reciprocal_rank(ranking: &[String], judged: &HashMap<String, i64>, depth: usize) -> f64 {
    ranking
        .iter()
        .take(depth)
        .position(|document| is_relevant(judged, document))
        .map_or(0.0, |position| 1.0 / (position + 1) as f64)
}

/// Means and percentiles over all queries; zeros where there are none.
pub fn summarise(outcomes: &[QueryOutcome]) -> ModeScores {
    let mean = |value: fn(&QueryOutcome) -> f64| {
        let sum: f64 = outcomes.iter().map(value).sum();
        if outcomes.is_empty() { 0.0 } else { sum / outcomes.len() as f64 }
    };
    let mut latencies: Vec<f64> = outcomes.iter().map(|outcome| outcome.latency_ms).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    ModeScores {
        ndcg_at_10: mean(|outcome| outcome.ndcg_at_10),
        recall_at_100: mean(|outcome| outcome.recall_at_100),
        mrr: mean(|outcome| outcome.reciprocal_rank),
        p50_ms: percentile(&latencies, 50),
        p95_ms: percentile(&latencies, 95),
        p99_ms: percentile(&latencies, 99),
        queries: outcomes.len(),
    }
}

fn is_relevant(judged: &HashMap<String, i64>, document: &str) -> bool {
    judged.get(document).is_some_and(|relevance| *relevance > 0)
}

fn discounted(gains: impl Iterator<Item = i64>) -> f64 {
    gains
        .enumerate()
        .map(|(position, gain)| gain.max(0) as f64 / ((position + 2) as f64).log2())
        .sum()
}

/// Nearest rank: the smallest value that at least `percent` percent of all values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn judged(pairs: &[(&str, i64)]) -> HashMap<String, i64> {
        pairs.iter().map(|(id, relevance)| ((*id).to_owned(), *relevance)).collect()
    }

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn ndcg_uses_linear_gain_and_the_ideal_of_all_judgements() {
        let judged = judged(&[("a", 2), ("b", 1), ("missing", 1)]);
        // DCG = 1/log2(2) + 0/log2(3) + 2/log2(4) = 2; ideal = 2 + 1/log2(3) + 1/log2(4) = 3.13093,
        // so 0.638788.
        let ideal = 2.0 + 1.0 / 3.0_f64.log2() + 0.5;
        close(ndcg(&ranking(&["b", "x", "a"]), &judged, 10), 2.0 / ideal);
        assert!((ndcg(&ranking(&["b", "x", "a"]), &judged, 10) - 0.638_788).abs() < 1e-6);
        close(ndcg(&ranking(&["a", "b", "missing"]), &judged, 10), 1.0);
        close(ndcg(&ranking(&[]), &judged, 10), 0.0);
    }

    #[test]
    fn ndcg_looks_no_deeper_than_asked_and_ignores_negative_judgements() {
        let judged = judged(&[("a", 1), ("bad", -2)]);
        close(ndcg(&ranking(&["x", "a"]), &judged, 1), 0.0);
        close(ndcg(&ranking(&["bad", "a"]), &judged, 10), 1.0 / 3.0_f64.log2());
    }

    #[test]
    fn ndcg_of_an_ideal_longer_than_the_depth_is_still_one() {
        let ids: Vec<String> = (0..12).map(|id| format!("d{id}")).collect();
        let all: HashMap<String, i64> = ids.iter().map(|id| (id.clone(), 1)).collect();
        close(ndcg(&ids, &all, 10), 1.0);
    }

    #[test]
    fn recall_counts_relevant_documents_only() {
        let judged = judged(&[("a", 1), ("b", 2), ("zero", 0), ("c", 1), ("d", 1)]);
        close(recall(&ranking(&["a", "zero", "x", "b"]), &judged, 100), 0.5);
        close(recall(&ranking(&["a", "zero", "x", "b"]), &judged, 1), 0.25);
        close(recall(&ranking(&["a"]), &HashMap::new(), 100), 0.0);
    }

    #[test]
    fn reciprocal_rank_is_that_of_the_first_relevant_document() {
        let judged = judged(&[("a", 1), ("zero", 0)]);
        close(reciprocal_rank(&ranking(&["x", "zero", "a"]), &judged, 100), 1.0 / 3.0);
        close(reciprocal_rank(&ranking(&["x", "zero", "a"]), &judged, 2), 0.0);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted: Vec<f64> = (1..=20).map(f64::from).collect();
        close(percentile(&sorted, 50), 10.0);
        close(percentile(&sorted, 95), 19.0);
        close(percentile(&sorted, 99), 20.0);
        close(percentile(&[7.0], 50), 7.0);
        close(percentile(&[], 50), 0.0);
    }

    #[test]
    fn a_summary_is_the_mean_over_queries() {
        let hit = QueryOutcome::score(&ranking(&["a"]), &judged(&[("a", 1)]), 4.0);
        let miss = QueryOutcome::score(&ranking(&["x"]), &judged(&[("a", 1)]), 2.0);
        let scores = summarise(&[hit, miss]);
        close(scores.ndcg_at_10, 0.5);
        close(scores.recall_at_100, 0.5);
        close(scores.mrr, 0.5);
        close(scores.p50_ms, 2.0);
        close(scores.p99_ms, 4.0);
        assert_eq!(scores.queries, 2);
    }
}
