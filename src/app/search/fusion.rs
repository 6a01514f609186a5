//! Fusion of the legs: each score is expressed in standard deviations above what an unrelated
//! document gets, then the two are mixed.
//!
//! Called by: `app::search`. Talks to: nothing; pure.
//! Invariants: the order is total and stable (equal scores by item); a leg that took no part
//! changes nothing; only visible documents come out.
//! Why: raw scores of the legs cannot be compared and ranks throw their margins away; a convex
//! mix of normalised scores beats reciprocal ranks on most published sets (Bruch, Gai, Ingber,
//! arXiv 2210.11934). Normalising by the whole collection (z-score) rather than by the hits
//! (min-max) keeps the scale of a leg that found nothing of note: its best hit stays small.

use std::collections::HashMap;

use super::legs::VectorLeg;
use crate::tenant::{KeywordHits, ReadyItem};
use crate::types::{ChunkKey, ItemKey, ScoreParts};

/// Share of the keyword leg. nDCG@10 is flat between .25 and .4 (SciFact .735 to .740, the HotpotQA
/// questions .815 to .829), while the recall of a hundred grows as the share falls (SciFact .955
/// at .4, .967 at .25): the end of the flat range that loses nothing is taken.
const KEYWORD_WEIGHT: f64 = 0.25;

/// A document and its score.
pub(super) struct Scored {
    pub(super) item: ItemKey,
    pub(super) score: f64,
    pub(super) parts: ScoreParts,
}

/// Ranks all documents that a leg found and that are ready to be shown.
pub(super) fn fuse(
    keyword: Option<&KeywordHits>,
    vector: Option<&VectorLeg>,
    chunks: &HashMap<ItemKey, Vec<(ChunkKey, f32)>>,
    ready: &[ReadyItem],
) -> Vec<Scored> {
    let keyword_scale = keyword.map(keyword_scale);
    let keyword_scores: HashMap<ItemKey, f64> = keyword
        .into_iter()
        .flat_map(|hits| &hits.hits)
        .map(|hit| (hit.item, f64::from(hit.score)))
        .collect();
    let vector_scale =
        vector.map(|leg| Scale { mean: leg.background.mean, deviation: leg.background.deviation });
    // A document whose chunks are not among the hits is at most as similar as the last of them.
    let vector_floor = vector
        .and_then(|leg| leg.hits.iter().map(|hit| f64::from(hit.similarity)).reduce(f64::min));
    let mut scored: Vec<Scored> = ready
        .iter()
        .filter_map(|ready| {
            let keyword = keyword_scores.get(&ready.item).filter(|_| ready.in_fulltext);
            let vector = chunks
                .get(&ready.item)
                .filter(|_| ready.in_vectors)
                .and_then(|found| found.first())
                .map(|(_, similarity)| f64::from(*similarity));
            if keyword.is_none() && vector.is_none() {
                return None;
            }
            let parts = ScoreParts {
                keyword: keyword.copied(),
                keyword_normalised: keyword_scale
                    .map(|scale| scale.of(keyword.copied().unwrap_or(0.0))),
                vector,
                vector_normalised: vector_scale.map(|scale| {
                    scale.of(vector
                        .unwrap_or_else(|| scale.mean.min(vector_floor.unwrap_or(scale.mean))))
                }),
            };
            Some(Scored { item: ready.item, score: mixed(&parts), parts })
        })
        .collect();
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    scored
}

fn mixed(parts: &ScoreParts) -> f64 {
    match (parts.keyword_normalised, parts.vector_normalised) {
        (Some(keyword), Some(vector)) => KEYWORD_WEIGHT * keyword + (1.0 - KEYWORD_WEIGHT) * vector,
        // With one leg the raw score is the more readable and gives the same order.
        (Some(_), None) => parts.keyword.unwrap_or(0.0),
        (None, Some(_)) => parts.vector.unwrap_or(0.0),
        (None, None) => 0.0,
    }
}

#[derive(Clone, Copy)]
struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    fn of(self, score: f64) -> f64 {
        (score - self.mean) / self.deviation
    }
}

/// Mean and deviation of BM25 over the whole collection, documents without a hit counting 0.
fn keyword_scale(hits: &KeywordHits) -> Scale {
    let documents = hits.documents.max(1) as f64;
    let mean = hits.score_sum / documents;
    let variance = hits.score_square_sum / documents - mean * mean;
    let best = hits.hits.first().map_or(1.0, |hit| f64::from(hit.score));
    // A term that one document in a thousand has would lift that document beyond anything the
    // other leg can say; a floor relative to the best hit keeps both legs in the conversation.
    let deviation = variance.max(0.0).sqrt().max(best * MIN_DEVIATION).max(1e-6);
    Scale { mean, deviation }
}

/// Least deviation of the keyword leg, as a share of its best score.
const MIN_DEVIATION: f64 = 0.1;

#[cfg(test)]
mod tests;
