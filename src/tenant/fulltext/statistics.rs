//! The numbers BM25 scores with, where the index's own would mislead.
//!
//! Called by: `compile`, and tantivy while it scores. Talks to: tantivy.
//! Invariants: with one language in use and everything in sight, every number of what documents
//! say themselves is the index's own, but for the fields with names, which few documents have;
//! with some documents in sight, no number counts any other.
//! Why: tantivy divides a field's length and a term's documents by all documents, but a field of
//! one language holds the documents of that language alone. Among many English documents a few
//! German ones would count as endless, and each of their words as rare. So a field's length is
//! brought to what it would be if all documents were like those that have it, and a word is as
//! frequent as its forms are in all languages together.
//!
//! Deleted documents are counted until a merge drops them, in every number alike: a score may
//! shift a little when one happens.

use std::collections::HashMap;

use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::seen::Seen;

/// Statistics of one searcher, adjusted for languages.
pub(super) struct Statistics<'a> {
    searcher: &'a Searcher,
    /// What counts, where that is not everything.
    seen: Option<&'a Seen>,
    /// Documents in a word's forms, for terms that are forms of one word.
    frequencies: HashMap<Term, u64>,
    /// Documents that can have the field.
    holders: HashMap<Field, u64>,
}

impl<'a> Statistics<'a> {
    pub(super) fn new(searcher: &'a Searcher, seen: Option<&'a Seen>) -> Self {
        Self { searcher, seen, frequencies: HashMap::new(), holders: HashMap::new() }
    }

    /// Documents that have a term, in this form.
    pub(super) fn holders_of(&self, term: &Term) -> tantivy::Result<u64> {
        match self.seen {
            Some(seen) => seen.holders(self.searcher, term),
            None => self.searcher.doc_freq(term),
        }
    }

    /// Says how many documents can have `field` at all.
    pub(super) fn set_holders(&mut self, field: Field, documents: u64) {
        self.holders.insert(field, documents);
    }

    /// Makes terms at the same place in different languages' `forms` count as one word.
    pub(super) fn unite(&mut self, forms: &[Vec<(usize, Term)>]) -> tantivy::Result<()> {
        let mut together: HashMap<usize, u64> = HashMap::new();
        for (place, term) in forms.iter().flatten() {
            *together.entry(*place).or_default() += self.holders_of(term)?;
        }
        for (place, term) in forms.iter().flatten() {
            // Two words may share a form in one language and not in the other.
            let known = self.frequencies.entry(term.clone()).or_default();
            *known = (*known).max(together[place]);
        }
        Ok(())
    }

    /// Makes a word in `aside` as frequent as it is in both, so that one that is seldom said aside is
    /// no rarity; false where nobody says any of them aside.
    pub(super) fn lend(
        &mut self,
        own: &[Vec<(usize, Term)>],
        aside: &[Vec<(usize, Term)>],
    ) -> tantivy::Result<bool> {
        let mut together: HashMap<usize, u64> = HashMap::new();
        for (place, term) in aside.iter().flatten() {
            *together.entry(*place).or_default() += self.holders_of(term)?;
        }
        if together.values().all(|holders| *holders == 0) {
            return Ok(false);
        }
        for (place, term) in own.iter().flatten() {
            *together.entry(*place).or_default() += self.holders_of(term)?;
        }
        for (place, term) in aside.iter().flatten() {
            let known = self.frequencies.entry(term.clone()).or_default();
            *known = (*known).max(together[place]);
        }
        Ok(true)
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let tokens = match self.seen {
            Some(seen) => seen.tokens(self.searcher, field)?,
            None => self.searcher.total_num_tokens(field)?,
        };
        match self.holders.get(&field) {
            Some(&holders) if holders > 0 => {
                let scaled = u128::from(tokens) * u128::from(self.total_num_docs()?);
                Ok(u64::try_from(scaled / u128::from(holders)).unwrap_or(u64::MAX))
            }
            _ => Ok(tokens),
        }
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        match self.seen {
            Some(seen) => Ok(seen.documents()),
            None => self.searcher.total_num_docs(),
        }
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        match self.frequencies.get(term) {
            // More documents than there are would be an error to tantivy.
            Some(&together) => Ok(together.min(self.total_num_docs()?)),
            None => self.holders_of(term),
        }
    }
}
