//! Does the model on this machine still give the vectors it was shipped with?
//!
//! Called by: `inference::embedder` for `doctor` and the start of the server. Talks to: a lane.
//! Invariants: the golden texts run one at a time, as their reference vectors were made.

use serde::{Deserialize, Serialize};

use super::error::InferenceError;
use super::lane::Lane;

/// Result of comparing the golden texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SelfTest {
    /// True where every text came within the tolerance.
    pub ok: bool,
    /// Cosine of the text that came out worst.
    pub min_cosine: f32,
    /// Least cosine that counts as the same vector; processors differ in the last digits.
    pub tolerance: f32,
    /// Number of texts compared.
    pub texts: usize,
}

/// `golden.json` of a model.
#[derive(Deserialize)]
pub(super) struct Golden {
    tolerance: f32,
    texts: Vec<GoldenText>,
}

#[derive(Deserialize)]
struct GoldenText {
    text: String,
    vector: Vec<f32>,
}

pub(super) fn run(golden: &Golden, lane: &Lane) -> Result<SelfTest, InferenceError> {
    let mut min_cosine = 1.0_f32;
    for reference in &golden.texts {
        for vector in lane.embed_blocking(std::slice::from_ref(&reference.text))? {
            min_cosine = min_cosine.min(cosine(&vector, &reference.vector));
        }
    }
    Ok(SelfTest {
        ok: !golden.texts.is_empty() && min_cosine >= golden.tolerance,
        min_cosine,
        tolerance: golden.tolerance,
        texts: golden.texts.len(),
    })
}

/// Cosine of two vectors of length 1; 0 where their dimensions differ.
fn cosine(left: &[f32], right: &[f32]) -> f32 {
    if left.len() != right.len() {
        return 0.0;
    }
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_different_dimensions_never_count_as_the_same() {
        assert_eq!(cosine(&[1.0], &[1.0, 0.0]), 0.0);
        assert_eq!(cosine(&[0.6, 0.8], &[0.6, 0.8]), 1.0);
    }
}
