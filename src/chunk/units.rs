//! Units: the smallest pieces a chunk is put together from. Sentences, or parts of them where a
//! sentence alone exceeds the budget.
//!
//! Called by: `chunk`. Talks to: nothing; pure.
//! Invariants: units are disjoint, in order, start and end at non-white-space characters, and
//! none has more tokens than the budget.

use unicode_segmentation::UnicodeSegmentation;

use super::TokenSpans;

/// A piece of a block; offsets are relative to the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) start_byte: usize,
    pub(super) end_byte: usize,
    pub(super) start_char: u64,
    pub(super) end_char: u64,
    pub(super) tokens: usize,
}

pub(super) fn split_units(text: &str, budget: usize, tokens: &TokenSpans<'_>) -> Vec<Unit> {
    let spans = tokens(text);
    let mut units = Vec::new();
    let mut chars = CharCounter { text, byte: 0, char: 0 };
    let mut next_token = 0;
    for (start, sentence) in text.split_sentence_bound_indices() {
        let lead = sentence.len() - sentence.trim_start().len();
        let body = sentence.trim();
        if body.is_empty() {
            continue;
        }
        let (start, end) = (start + lead, start + lead + body.len());
        while next_token < spans.len() && spans[next_token].0 < start {
            next_token += 1;
        }
        let first = next_token;
        while next_token < spans.len() && spans[next_token].0 < end {
            next_token += 1;
        }
        for (piece_start, piece_end, count) in
            pieces(text, start, end, &spans[first..next_token], budget)
        {
            units.push(Unit {
                start_byte: piece_start,
                end_byte: piece_end,
                start_char: chars.at(piece_start),
                end_char: chars.at(piece_end),
                tokens: count,
            });
        }
    }
    units
}

/// Cuts one sentence into pieces of at most `budget` tokens, at white space where there is some.
fn pieces(
    text: &str,
    start: usize,
    end: usize,
    spans: &[(usize, usize)],
    budget: usize,
) -> Vec<(usize, usize, usize)> {
    if spans.len() <= budget {
        return vec![(start, end, spans.len())];
    }
    let mut pieces = Vec::new();
    let (mut from, mut first) = (start, 0);
    while first < spans.len() {
        let mut last = (first + budget).min(spans.len());
        if last < spans.len() {
            let at_space = (first + 1..=last)
                .rev()
                .find(|index| text[..spans[*index].0].ends_with(|c: char| c.is_whitespace()));
            last = at_space.unwrap_or(last);
        }
        let to = if last < spans.len() { floor_boundary(text, spans[last].0) } else { end };
        let piece = text[from..to].trim();
        if !piece.is_empty() {
            let lead = text[from..to].len() - text[from..to].trim_start().len();
            pieces.push((from + lead, from + lead + piece.len(), last - first));
        }
        from = to;
        first = last;
    }
    pieces
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Counts scalar values up to ever larger byte offsets in one pass.
struct CharCounter<'a> {
    text: &'a str,
    byte: usize,
    char: u64,
}

impl CharCounter<'_> {
    fn at(&mut self, byte: usize) -> u64 {
        self.char += self.text[self.byte..byte].chars().count() as u64;
        self.byte = byte;
        self.char
    }
}
