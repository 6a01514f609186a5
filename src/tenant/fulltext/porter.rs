//! Porter's stemmer for English, as a filter of tantivy's.
//!
//! Called by: `analysis`. Talks to: Snowball's stemmers.
//! Invariants: words come in lower case; places and offsets of tokens stay as they are.
//! Why not tantivy's filter, which has the stemmer's second edition only: that one keeps apart
//! what the first one joins, and finds less on the measured set. The published baselines use the
//! first (Porter, "An algorithm for suffix stripping", Program 14(3), 1980).

use snowball_stemmers_rs::{Algorithm, Stemmer};
use tantivy::tokenizer::{Token, TokenFilter, TokenStream, Tokenizer};

/// Brings English words to their stems.
#[derive(Clone, Copy)]
pub(super) struct PorterStemmer;

impl TokenFilter for PorterStemmer {
    type Tokenizer<T: Tokenizer> = Stemming<T>;

    fn transform<T: Tokenizer>(self, tokenizer: T) -> Stemming<T> {
        Stemming { inner: tokenizer }
    }
}

/// A tokenizer whose tokens are stemmed.
#[derive(Clone)]
pub(super) struct Stemming<T> {
    inner: T,
}

impl<T: Tokenizer> Tokenizer for Stemming<T> {
    type TokenStream<'a> = Stemmed<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        Stemmed {
            inner: self.inner.token_stream(text),
            stemmer: Stemmer::create(Algorithm::Porter),
            stem: String::new(),
        }
    }
}

/// The stemmed tokens of one text.
pub(super) struct Stemmed<S> {
    inner: S,
    stemmer: Stemmer,
    /// Kept from token to token for its memory.
    stem: String,
}

impl<S: TokenStream> TokenStream for Stemmed<S> {
    fn advance(&mut self) -> bool {
        if !self.inner.advance() {
            return false;
        }
        let token = self.inner.token_mut();
        self.stem.clear();
        self.stem.push_str(&self.stemmer.stem(&token.text));
        std::mem::swap(&mut token.text, &mut self.stem);
        true
    }

    fn token(&self) -> &Token {
        self.inner.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.inner.token_mut()
    }
}
