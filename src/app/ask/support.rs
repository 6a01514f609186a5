//! How well a question is supported: one number from what speaks for the best sentence.
//!
//! Called by: `app::ask`. Talks to: nothing; pure.
//! Invariants: more evidence of any kind never lowers the support.

use crate::types::Evidence;

/// Support from which an answer is given.
pub const THRESHOLD: f64 = 0.5;

const BIAS: f64 = -6.0;
const SENTENCE: f64 = 4.0;
const PASSAGE: f64 = 4.0;
const COVERAGE: f64 = 2.0;
const KEYWORD: f64 = 0.05;
const VECTOR: f64 = 0.1;

/// Support for an answer, 0 to 1.
pub fn support(evidence: &Evidence) -> f64 {
    let sum = BIAS
        + SENTENCE * evidence.sentence_similarity
        + PASSAGE * evidence.passage_similarity
        + COVERAGE * evidence.coverage
        + KEYWORD * evidence.keyword_deviations
        + VECTOR * evidence.vector_deviations;
    1.0 / (1.0 + (-sum).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_found_is_no_support() {
        assert!(support(&Evidence::default()) < THRESHOLD);
    }

    #[test]
    fn more_evidence_never_lowers_support() {
        let some = Evidence { sentence_similarity: 0.4, ..Evidence::default() };
        let more = Evidence { coverage: 0.5, ..some };
        assert!(support(&more) > support(&some));
    }
}
