//! Sentences of a passage, with offsets into the document.
//!
//! Called by: `app::ask`. Talks to: nothing; pure.
//! Invariants: a sentence is an exact slice of the passage; offsets count scalar values.

use unicode_segmentation::UnicodeSegmentation;

/// A sentence and where it stands in the passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence<'a> {
    pub(super) text: &'a str,
    /// Offset of its first scalar value, relative to the passage.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Words below which a sentence says too little to stand as an answer.
const MIN_WORDS: usize = 4;

/// Shortest piece that may end a sentence: anything less is an abbreviation or an initial.
const MIN_BYTES: usize = 20;

/// Sentences that are worth citing, in order.
pub(super) fn sentences(passage: &str) -> Vec<Sentence<'_>> {
    let mut found = Vec::new();
    let (mut from, mut to) = (0, 0);
    for piece in passage.split_sentence_bounds() {
        to += piece.len();
        // "Fig. 3", "e.g. this": the standard's rules end a sentence there, readers do not.
        if to < passage.len()
            && passage[from..to].trim().len() < MIN_BYTES
            && !piece.ends_with('\n')
        {
            continue;
        }
        found.extend(sentence(passage, from, to));
        from = to;
    }
    found.extend(sentence(passage, from, to));
    found
}

fn sentence(passage: &str, from: usize, to: usize) -> Option<Sentence<'_>> {
    let text = passage[from..to].trim();
    if text.unicode_words().take(MIN_WORDS).count() < MIN_WORDS {
        return None;
    }
    let lead = passage[from..to].len() - passage[from..to].trim_start().len();
    let start = passage[..from + lead].chars().count() as u64;
    Some(Sentence { text, start, end: start + text.chars().count() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_exact_slices_with_offsets_in_scalar_values() {
        let passage =
            "Ärger über die Züge hält an. The second sentence is here.\nA third line of it.";
        let found = sentences(passage);
        let chars: Vec<char> = passage.chars().collect();
        assert_eq!(found.len(), 3);
        for sentence in &found {
            let slice: String =
                chars[sentence.start as usize..sentence.end as usize].iter().collect();
            assert_eq!(slice, sentence.text);
        }
    }

    #[test]
    fn an_abbreviation_does_not_end_a_sentence() {
        let found = sentences("See Fig. 3 for the results of the second experiment.");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_bare_heading_is_no_answer() {
        assert!(sentences("Results").is_empty());
    }
}
