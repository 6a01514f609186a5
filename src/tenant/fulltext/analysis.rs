//! How text becomes terms: split, lower-case, stem, fold accents; and which words say nothing.
//!
//! Called by: `mod`, `schema`, `compile`, `highlight`. Talks to: tantivy's tokenizers.
//! Invariants: index, query and highlighting use the same chain; changing it changes
//! `ANALYSIS_VERSION`, so that an index made by another chain is not opened as if it fitted.
//! Why accents fold after stemming: stemmers tell endings apart by them, readers and keyboards
//! often do not.
//! Why stop words are indexed all the same: a phrase or a query may consist of nothing else.
//! They are left out when a query is compiled.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language as StemmerLanguage, LowerCaser, PreTokenizedString,
    RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream,
    TokenizerManager,
};

use super::porter::PorterStemmer;
use crate::types::Language;

const ANALYSIS_VERSION: u32 = 2;

/// Words of this many bytes and more are no words: encoded data, hashes, ruled lines.
const LONGEST_WORD: usize = 64;

/// Stands before a term that is said aside; no chain makes a term that begins with it.
const ASIDE: char = '>';

/// tantivy's English list is Lucene's 33 words; its other lists are Snowball's, which hold
/// pronouns, auxiliaries and question words too. This is both together, with the endings that
/// splitting at an apostrophe leaves behind. `t` and `d` stay: a T cell is not a stop word.
const ENGLISH_STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "after",
    "again",
    "against",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "down",
    "during",
    "each",
    "few",
    "for",
    "from",
    "further",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "here",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "ll",
    "me",
    "more",
    "most",
    "my",
    "myself",
    "no",
    "nor",
    "not",
    "of",
    "off",
    "on",
    "once",
    "only",
    "or",
    "other",
    "ought",
    "our",
    "ours",
    "ourselves",
    "out",
    "over",
    "own",
    "s",
    "same",
    "she",
    "should",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "too",
    "under",
    "until",
    "up",
    "ve",
    "very",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
];

/// Name under which an index's schema asks for a language's chain.
pub(super) fn tokenizer_name(language: Language) -> String {
    format!("words_{}_{ANALYSIS_VERSION}", language.code())
}

/// The words of `text` as the chain splits it: runs of letters and digits, spelled as they are.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The chains of all languages.
pub(super) struct Analysis {
    languages: Vec<Chain>,
}

struct Chain {
    analyzer: TextAnalyzer,
    /// Lets every word through but the language's stop words.
    content: Option<TextAnalyzer>,
}

impl Analysis {
    pub(super) fn new() -> Self {
        Self { languages: Language::ALL.into_iter().map(chain).collect() }
    }

    /// A manager that knows every chain by its [`tokenizer_name`].
    pub(super) fn tokenizers(&self) -> TokenizerManager {
        let manager = TokenizerManager::default();
        for language in Language::ALL {
            manager.register(&tokenizer_name(language), self.analyzer(language));
        }
        manager
    }

    /// The language's chain.
    pub(super) fn analyzer(&self, language: Language) -> TextAnalyzer {
        self.languages[language.index()].analyzer.clone()
    }

    /// The terms of words that follow each other, with their places. A word that is too long
    /// leaves its place empty.
    pub(super) fn terms(&self, language: Language, words: &[String]) -> Vec<(usize, String)> {
        let mut analyzer = self.analyzer(language);
        let mut terms = Vec::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            analyzer
                .token_stream(word)
                .process(&mut |token: &Token| terms.push((place, token.text.clone())));
        }
        terms
    }

    /// `text` with its terms marked as said aside, so that none meets a word the document says itself.
    pub(super) fn aside(&self, language: Language, text: &str) -> PreTokenizedString {
        let (mut analyzer, mut tokens) = (self.analyzer(language), Vec::new());
        analyzer.token_stream(text).process(&mut |token: &Token| {
            tokens.push(Token { text: aside_term(&token.text), ..token.clone() });
        });
        PreTokenizedString { text: String::new(), tokens }
    }

    /// True where `word` carries no content in `language`.
    pub(super) fn is_stop_word(&self, language: Language, word: &str) -> bool {
        let content = &self.languages[language.index()].content;
        content.clone().is_some_and(|mut content| !content.token_stream(word).advance())
    }
}

/// The form of a term that is said aside.
pub(super) fn aside_term(term: &str) -> String {
    format!("{ASIDE}{term}")
}

fn chain(language: Language) -> Chain {
    let words = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser);
    let analyzer = match stemmer_language(language) {
        Some(StemmerLanguage::English) => {
            words.filter(PorterStemmer).filter(AsciiFoldingFilter).build()
        }
        Some(stemmer) => words.filter(Stemmer::new(stemmer)).filter(AsciiFoldingFilter).build(),
        None => words.filter(AsciiFoldingFilter).build(),
    };
    let content = stop_words(language).map(|stop_words| {
        TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(LowerCaser)
            .filter(stop_words)
            .build()
    });
    Chain { analyzer, content }
}

fn stop_words(language: Language) -> Option<StopWordFilter> {
    match language {
        Language::English => {
            let words = ENGLISH_STOP_WORDS.iter().map(|&word| word.to_owned());
            Some(StopWordFilter::remove(words))
        }
        _ => StopWordFilter::new(stemmer_language(language)?),
    }
}

fn stemmer_language(language: Language) -> Option<StemmerLanguage> {
    Some(match language {
        Language::Arabic => StemmerLanguage::Arabic,
        Language::Danish => StemmerLanguage::Danish,
        Language::Dutch => StemmerLanguage::Dutch,
        Language::English => StemmerLanguage::English,
        Language::Finnish => StemmerLanguage::Finnish,
        Language::French => StemmerLanguage::French,
        Language::German => StemmerLanguage::German,
        Language::Greek => StemmerLanguage::Greek,
        Language::Hungarian => StemmerLanguage::Hungarian,
        Language::Italian => StemmerLanguage::Italian,
        Language::Norwegian => StemmerLanguage::Norwegian,
        Language::Portuguese => StemmerLanguage::Portuguese,
        Language::Romanian => StemmerLanguage::Romanian,
        Language::Russian => StemmerLanguage::Russian,
        Language::Spanish => StemmerLanguage::Spanish,
        Language::Swedish => StemmerLanguage::Swedish,
        Language::Tamil => StemmerLanguage::Tamil,
        Language::Turkish => StemmerLanguage::Turkish,
        Language::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(language: Language, word: &str) -> Option<String> {
        Analysis::new().terms(language, &[word.to_owned()]).pop().map(|(_, term)| term)
    }

    #[test]
    fn forms_of_a_word_share_a_term_and_accents_do_not_matter() {
        assert_eq!(term(Language::German, "Häuser"), term(Language::German, "Haus"));
        assert_eq!(term(Language::French, "résumé"), term(Language::French, "resume"));
        assert_eq!(term(Language::English, "Meetings"), term(Language::English, "meeting"));
        assert_eq!(term(Language::Other, "Meetings").as_deref(), Some("meetings"));
    }

    #[test]
    fn a_word_that_is_too_long_leaves_its_place_empty() {
        let words = ["a".to_owned(), "x".repeat(LONGEST_WORD), "b".to_owned()];
        let places: Vec<usize> =
            Analysis::new().terms(Language::Other, &words).into_iter().map(|term| term.0).collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn stop_words_are_those_of_the_language() {
        let analysis = Analysis::new();
        assert!(analysis.is_stop_word(Language::English, "Which"));
        assert!(!analysis.is_stop_word(Language::English, "die"));
        assert!(analysis.is_stop_word(Language::German, "die"));
        assert!(!analysis.is_stop_word(Language::Other, "the"));
    }
}
