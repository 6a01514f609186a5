//! Tests of fusion.
//!
//! Called by: the test runner. Talks to: nothing.
//! Invariants: none.

use super::*;
use crate::app::search::statistics::Background;
use crate::tenant::{KeywordHit, VectorHit};

fn ready(item: i64) -> ReadyItem {
    ReadyItem { item: ItemKey(item), in_fulltext: true, in_vectors: true }
}

fn keyword(scores: &[(i64, f32)], documents: u64) -> KeywordHits {
    KeywordHits {
        hits: scores
            .iter()
            .map(|(item, score)| KeywordHit { item: ItemKey(*item), score: *score })
            .collect(),
        documents,
        matched: scores.len() as u64,
        score_sum: scores.iter().map(|(_, score)| f64::from(*score)).sum(),
        score_square_sum: scores.iter().map(|(_, score)| f64::from(*score).powi(2)).sum(),
    }
}

fn vector(similarities: &[(i64, f32)]) -> VectorLeg {
    VectorLeg {
        hits: similarities
            .iter()
            .map(|(item, similarity)| VectorHit {
                chunk: ChunkKey(*item),
                item: ItemKey(*item),
                similarity: *similarity,
            })
            .collect(),
        background: Background { mean: 0.05, deviation: 0.1 },
        embedded: Vec::new(),
    }
}

fn order(keyword: Option<&KeywordHits>, vector: Option<&VectorLeg>) -> Vec<i64> {
    let ready: Vec<ReadyItem> = (1..=5).map(ready).collect();
    let chunks = vector.map(|leg| crate::app::search::by_item(&leg.hits)).unwrap_or_default();
    fuse(keyword, vector, &chunks, &ready).iter().map(|scored| scored.item.0).collect()
}

#[test]
fn one_leg_alone_keeps_its_own_order() {
    let words = keyword(&[(3, 9.0), (1, 4.0), (2, 2.0)], 100);
    assert_eq!(order(Some(&words), None), [3, 1, 2]);
    let meaning = vector(&[(2, 0.9), (5, 0.4)]);
    assert_eq!(order(None, Some(&meaning)), [2, 5]);
}

#[test]
fn a_document_both_legs_like_comes_before_one_that_only_one_likes() {
    let words = keyword(&[(1, 8.0), (2, 7.5)], 100);
    let meaning = vector(&[(3, 0.62), (2, 0.6)]);
    assert_eq!(order(Some(&words), Some(&meaning))[0], 2);
}

#[test]
fn equal_scores_are_ordered_by_item() {
    let words = keyword(&[(4, 5.0), (2, 5.0), (3, 5.0)], 10);
    assert_eq!(order(Some(&words), None), [2, 3, 4]);
}

#[test]
fn a_document_hidden_by_the_catalogue_never_comes_out() {
    let words = keyword(&[(9, 50.0), (1, 1.0)], 10);
    assert_eq!(order(Some(&words), None), [1]);
}
