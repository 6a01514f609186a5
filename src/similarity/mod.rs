//! How alike two texts are, without having both at hand: MinHash over runs of five words.
//!
//! Called by: `app::index`, `tenant::catalog`. Talks to: nothing; pure.
//! Invariants: the same words give the same signature on every machine and in every release that
//! shares the catalogue's format; time is linear in the text and its length is bounded.
//! Why MinHash: the share of equal hashes estimates the share of runs two texts have in common
//! (Jaccard), and bands of hashes find those with a large share by equality, which an index does.

use unicode_segmentation::UnicodeSegmentation;

/// Texts that share at least this much of their runs of words are near-duplicates.
pub const THRESHOLD: f64 = 0.85;

/// Hashes of a signature: the estimate is off by about 0.03 at the threshold.
const HASHES: usize = 128;
/// Hashes that must all be equal for one band to be: two texts at the threshold share a band in
/// 99 cases of 100, two that have half in common in 6.
const PER_BAND: usize = 8;
/// Words of one run.
const RUN: usize = 5;
/// Shorter texts are near-duplicates by chance.
const MIN_WORDS: usize = 50;
/// Words of a text that are looked at.
const MAX_WORDS: usize = 100_000;

/// What a text is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Little-endian `u32`s.
    pub hashes: Vec<u8>,
    /// Near-duplicates share at least one.
    pub bands: Vec<i64>,
}

/// The signature of a text; `None` for one that is too short.
pub fn signature(text: &str) -> Option<Signature> {
    let words: Vec<u64> =
        text.unicode_words().take(MAX_WORDS).map(|word| hash(&word.to_lowercase())).collect();
    if words.len() < MIN_WORDS {
        return None;
    }
    let mut runs: Vec<u64> =
        words.windows(RUN).map(|run| run.iter().fold(0, |all, word| mix(all ^ *word))).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut least = [u32::MAX; HASHES];
    for run in runs {
        let mut state = run;
        for slot in &mut least {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            // The upper half: the lower bits are mixed less well.
            let value = (mix(state) >> 32) as u32;
            *slot = (*slot).min(value);
        }
    }
    let hashes: Vec<u8> = least.iter().flat_map(|value| value.to_le_bytes()).collect();
    let bands = least
        .chunks(PER_BAND)
        .zip(1_u64..)
        .map(|(band, number)| {
            let digest = band.iter().fold(number, |all, value| mix(all ^ u64::from(*value)));
            digest.cast_signed()
        })
        .collect();
    Some(Signature { hashes, bands })
}

/// The estimated share of runs of words that two texts have in common.
pub fn likeness(one: &[u8], other: &[u8]) -> f64 {
    let ((one, _), (other, _)) = (one.as_chunks::<4>(), other.as_chunks::<4>());
    let all = one.len().max(other.len());
    let equal = one.iter().zip(other).filter(|(one, other)| one == other).count();
    if all == 0 { 0.0 } else { equal as f64 / all as f64 }
}

/// FNV-1a.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finisher of `SplitMix64`: every bit of the input changes half of the output's.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(from: u32, to: u32) -> String {
        (from..to).map(|word| format!("word{word} ")).collect()
    }

    fn compare(one: &str, other: &str) -> (f64, bool) {
        let (one, other) = (signature(one), signature(other));
        let (one, other) = (one.expect("long enough"), other.expect("long enough"));
        let shared = one.bands.iter().any(|band| other.bands.contains(band));
        (likeness(&one.hashes, &other.hashes), shared)
    }

    #[test]
    fn a_changed_line_leaves_texts_alike() {
        let (one, other) = (format!("Page 1 of 9. {}", text(0, 300)), text(0, 300));
        let (similarity, shared) =
            compare(&one, &format!("Draft of May\n{}", other.to_uppercase()));
        assert!(similarity >= THRESHOLD && shared, "{similarity}");
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        for moved in [30, 100, 150] {
            let (similarity, _) = compare(&text(0, 304), &text(moved, 304 + moved));
            let common = f64::from(300 - moved);
            let truth = common / (600.0 - common);
            assert!((similarity - truth).abs() < 0.15, "{similarity} for {truth}");
        }
        assert!(compare(&text(0, 300), &text(1000, 1300)).0 < 0.05);
    }

    #[test]
    fn short_texts_have_no_signature() {
        assert_eq!(signature(&text(0, 49)), None);
        assert!(signature(&text(0, 50)).is_some());
    }
}
