//! Which words of a text a query asked for.
//!
//! Called by: `mod`. Talks to: `analysis`.
//! Invariants: ranges are in order, do not overlap, and count Unicode scalar values.

use std::collections::HashSet;

use tantivy::tokenizer::TokenStream;

use super::analysis::Analysis;
use super::query::{Clause, Query};
use crate::types::Language;

/// The words of `text` whose stem is that of a word `query` asks for, as `[start, end)`.
pub(super) fn highlight(
    analysis: &Analysis,
    query: &Query,
    language: Language,
    text: &str,
) -> Vec<[u32; 2]> {
    let wanted = wanted_terms(analysis, query, language);
    let mut ranges = Vec::new();
    if wanted.is_empty() {
        return ranges;
    }
    let mut analyzer = analysis.analyzer(language);
    let mut stream = analyzer.token_stream(text);
    // Bytes and scalar values before the place reached.
    let (mut byte, mut scalar) = (0, 0_u32);
    while stream.advance() {
        let token = stream.token();
        if wanted.contains(&token.text) {
            let start = scalar.saturating_add(scalars(&text[byte..token.offset_from]));
            let end = start.saturating_add(scalars(&text[token.offset_from..token.offset_to]));
            ranges.push([start, end]);
            (byte, scalar) = (token.offset_to, end);
        }
    }
    ranges
}

/// The distinct terms of `query` that `text` has.
pub(super) fn matched_words(
    analysis: &Analysis,
    query: &Query,
    language: Language,
    text: &str,
) -> HashSet<String> {
    let wanted = wanted_terms(analysis, query, language);
    let mut found = HashSet::new();
    let mut analyzer = analysis.analyzer(language);
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        let term = &stream.token().text;
        if wanted.contains(term) && !found.contains(term) {
            found.insert(term.clone());
        }
    }
    found
}

fn scalars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// Terms of all words asked for in the text; stop words only where nothing else is asked for.
fn wanted_terms(analysis: &Analysis, query: &Query, language: Language) -> HashSet<String> {
    let in_text = |clause: &&Clause| clause.positive() && clause.scope.in_text();
    let words: Vec<String> =
        query.clauses().iter().filter(in_text).flat_map(|clause| clause.words.clone()).collect();
    let (stop_words, content): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| analysis.is_stop_word(language, word));
    let wanted = if content.is_empty() { stop_words } else { content };
    analysis.terms(language, &wanted).into_iter().map(|(_, term)| term).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(query: &str, language: Language, text: &str) -> Vec<String> {
        let query = Query::parse(query).query;
        let scalars: Vec<char> = text.chars().collect();
        highlight(&Analysis::new(), &query, language, text)
            .into_iter()
            .map(|[start, end]| scalars[start as usize..end as usize].iter().collect())
            .collect()
    }

    #[test]
    fn offsets_count_scalar_values_past_umlauts_and_emoji() {
        let text = "Größe 🏠🏡 der Häuser: das Haus, das häusliche.";
        assert_eq!(marked("Haus", Language::German, text), ["Häuser", "Haus"]);
        let query = Query::parse("Haus").query;
        let ranges = highlight(&Analysis::new(), &query, Language::German, "Ä🏠 Haus");
        assert_eq!(ranges, [[3, 7]]);
    }

    #[test]
    fn excluded_words_and_stop_words_stay_dark() {
        let text = "The budget of the draft meetings";
        assert_eq!(marked("the meeting -draft", Language::English, text), ["meetings"]);
        assert_eq!(marked("the", Language::English, text), ["The", "the"]);
        assert_eq!(marked("\"of the draft\"", Language::English, text), ["draft"]);
        assert!(marked("source:budget", Language::English, text).is_empty());
    }

    proptest! {
        #[test]
        fn ranges_are_ordered_and_inside_the_text(query in ".{0,20}", text in ".{0,60}") {
            let query = Query::parse(&format!("{query} {text}")).query;
            let mut last = 0;
            for [start, end] in highlight(&Analysis::new(), &query, Language::German, &text) {
                prop_assert!(last <= start && start < end);
                last = end;
            }
            prop_assert!(last as usize <= text.chars().count());
        }
    }
}
