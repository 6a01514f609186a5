//! From clauses to tantivy queries, over the languages in use.
//!
//! Called by: `mod`. Talks to: `analysis`, `schema`, `statistics`, tantivy.
//! Invariants: a filter never changes a score; a document scores each distinct term once,
//! whichever words of the query led to it.
//!
//! A document's score is BM25 over title and text, plus small shares of BM25 over the title, the
//! headings, the source and the authors: whoever names a thing in a heading writes about it, and
//! who is asked for by name may be the one who wrote. The shares stay
//! small because title and headings are counted in the text already; measured on one collection
//! of abstracts, any share of the title up to a half moved nDCG@10 by less than 0.01. What a mail
//! quotes or signs with has a share as well, so that it is found where the mail that says it is not, and behind
//! that mail where it is.

use std::collections::HashSet;
use std::ops::Bound;

use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, InvertedIndexRangeQuery,
    Occur, PhraseQuery, Query as IndexQuery, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Score, Searcher, Term};

use super::analysis::{Analysis, aside_term};
use super::bm25::WordQuery;
use super::query::{Clause, Occurrence, Query, Scope};
use super::schema::{DocumentFields, HAS_AUTHORS, HAS_RECIPIENTS, LanguageFields, PassageFields};
use super::seen::Seen;
use super::statistics::Statistics;
use crate::types::{ItemKey, Language, SearchFilter};

/// Share of a word's score in the title that is added to its score in title and text.
pub(super) const TITLE_SHARE: Score = 0.1;
/// The same for headings.
pub(super) const HEADINGS_SHARE: Score = 0.05;
/// The same for the source, so that a file is found by its name; the text says more.
pub(super) const SOURCE_SHARE: Score = 0.1;
/// Share of a word's score where it is said aside. However often a quote says a word, it stays below what a
/// text of common length has for saying it once: `0.4 (1 + k1) < 1`.
pub(super) const ASIDE_SHARE: Score = 0.4;

/// The same for the authors: what somebody wrote comes behind what is written about them.
pub(super) const AUTHORS_SHARE: Score = 0.25;

type Part = (Occur, Box<dyn IndexQuery>);

/// A query tantivy can run, with the statistics to score it by.
pub(super) struct Compiled<'a> {
    pub(super) query: BooleanQuery,
    pub(super) statistics: Statistics<'a>,
}

/// The index a query is compiled for.
#[derive(Clone, Copy)]
pub(super) enum Corpus<'a> {
    Documents(&'a DocumentFields),
    Passages(&'a PassageFields),
}

/// Fields to look in, and the share of the score that counts.
enum Target<'a> {
    ByLanguage(&'a LanguageFields, Score),
    Neutral(Field, Score),
    /// Where what is said aside lies, and where the words that documents say themselves do.
    Aside(&'a LanguageFields, &'a LanguageFields),
}

/// A query and its term, where it has a single one.
type Leaf = (Box<dyn IndexQuery>, Option<Term>);

impl<'a> Corpus<'a> {
    fn targets(self, scope: Scope) -> Vec<Target<'a>> {
        match (self, scope) {
            (Self::Documents(fields), Scope::Anywhere) => vec![
                Target::ByLanguage(&fields.body, 1.0),
                Target::ByLanguage(&fields.title, TITLE_SHARE),
                Target::ByLanguage(&fields.headings, HEADINGS_SHARE),
                Target::Neutral(fields.source, SOURCE_SHARE),
                Target::Neutral(fields.authors, AUTHORS_SHARE),
                Target::Aside(&fields.headings, &fields.body),
            ],
            (Self::Documents(fields), Scope::Title) => vec![Target::ByLanguage(&fields.title, 1.0)],
            (Self::Documents(fields), Scope::Heading) => {
                vec![Target::ByLanguage(&fields.headings, 1.0)]
            }
            (Self::Documents(fields), Scope::Source) => vec![Target::Neutral(fields.source, 1.0)],
            (Self::Documents(fields), Scope::Author) => vec![Target::Neutral(fields.authors, 1.0)],
            (Self::Documents(fields), Scope::Recipient) => {
                vec![Target::Neutral(fields.recipients, 1.0)]
            }
            (Self::Documents(fields), Scope::MediaType) => {
                vec![Target::Neutral(fields.media_words, 0.0)]
            }
            (Self::Passages(fields), Scope::Anywhere) => {
                vec![Target::ByLanguage(&fields.text, 1.0)]
            }
            // Where a document has its title says nothing about its passages.
            (Self::Passages(_), _) => Vec::new(),
        }
    }

    fn language_field(self) -> Field {
        match self {
            Self::Documents(fields) => fields.language,
            Self::Passages(fields) => fields.language,
        }
    }

    fn fields_of(self, language: Language) -> Vec<Field> {
        match self {
            Self::Documents(fields) => {
                [&fields.body, &fields.title, &fields.headings].map(|by| by.get(language)).into()
            }
            Self::Passages(fields) => vec![fields.text.get(language)],
        }
    }
}

/// Compiles one query for one index.
pub(super) struct Compiler<'a> {
    analysis: &'a Analysis,
    corpus: Corpus<'a>,
    query: &'a Query,
    languages: Vec<Language>,
    statistics: Statistics<'a>,
    /// Languages in which the query is nothing but stop words, which then have to do.
    unstopped: Vec<Language>,
    /// Terms that score already.
    scored: HashSet<Term>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        analysis: &'a Analysis,
        corpus: Corpus<'a>,
        (searcher, seen): (&'a Searcher, Option<&'a Seen>),
        query: &'a Query,
        languages: &[Language],
    ) -> tantivy::Result<Self> {
        let mut languages = languages.to_vec();
        languages.sort_unstable();
        languages.dedup();
        let mut statistics = Statistics::new(searcher, seen);
        for &language in &languages {
            let of_language = Term::from_field_text(corpus.language_field(), language.code());
            let documents = statistics.holders_of(&of_language)?;
            for field in corpus.fields_of(language) {
                statistics.set_holders(field, documents);
            }
        }
        if let Corpus::Documents(fields) = corpus {
            for (field, word) in
                [(fields.authors, HAS_AUTHORS), (fields.recipients, HAS_RECIPIENTS)]
            {
                let named = Term::from_field_text(fields.names, word);
                let documents = statistics.holders_of(&named)?;
                statistics.set_holders(field, documents);
            }
        }
        let unstopped = languages
            .iter()
            .copied()
            .filter(|&language| only_stop_words(analysis, query, language))
            .collect();
        Ok(Self {
            analysis,
            corpus,
            query,
            languages,
            statistics,
            unstopped,
            scored: HashSet::new(),
        })
    }

    /// Ranks documents under `filter`. None where nothing is asked for.
    pub(super) fn documents(
        mut self,
        fields: &DocumentFields,
        filter: &SearchFilter,
    ) -> tantivy::Result<Option<Compiled<'a>>> {
        let mut parts = self.constraints(fields, filter)?;
        let query = self.query;
        // What the source or the type must be narrows a search; it does not answer it.
        let required = query
            .clauses()
            .iter()
            .any(|c| c.occurrence == Occurrence::Required && c.scope.in_text());
        let asks = query.clauses().iter().any(|c| c.occurrence == Occurrence::Optional);
        let ranked = self.ranked(|clause| clause.occurrence == Occurrence::Optional)?;
        let minimum = usize::from(!ranked.is_empty() && !required);
        if ranked.is_empty() && !required {
            if asks || parts.is_empty() {
                return Ok(None);
            }
            parts.push((Occur::Must, unscored(Box::new(AllQuery))));
        }
        parts.extend(ranked);
        let query = BooleanQuery::with_minimum_required_clauses(parts, minimum);
        Ok(Some(Compiled { query, statistics: self.statistics }))
    }

    /// Those of `items` that the query's constraints and `filter` admit, ranked by nothing.
    pub(super) fn admitted(
        mut self,
        fields: &DocumentFields,
        filter: &SearchFilter,
        items: &[ItemKey],
    ) -> tantivy::Result<BooleanQuery> {
        let mut parts = self.constraints(fields, filter)?;
        parts.push((Occur::Must, any_item(fields.item, items)));
        Ok(BooleanQuery::new(parts))
    }

    /// Ranks the chunks of `items` by all that is asked for. None where that is nothing.
    pub(super) fn passages(
        mut self,
        fields: &PassageFields,
        items: &[ItemKey],
    ) -> tantivy::Result<Option<Compiled<'a>>> {
        let mut parts = self.ranked(Clause::positive)?;
        if parts.is_empty() {
            return Ok(None);
        }
        parts.push((Occur::Must, unscored(any_item(fields.item, items))));
        let query = BooleanQuery::with_minimum_required_clauses(parts, 1);
        Ok(Some(Compiled { query, statistics: self.statistics }))
    }

    fn constraints(
        &mut self,
        fields: &DocumentFields,
        filter: &SearchFilter,
    ) -> tantivy::Result<Vec<Part>> {
        let mut parts = filter_parts(fields, filter);
        let query = self.query;
        for clause in query.clauses() {
            let leaves = match clause.occurrence {
                Occurrence::Optional => continue,
                Occurrence::Required | Occurrence::Excluded => self.leaves(clause)?,
            };
            let any: Box<dyn IndexQuery> = if leaves.is_empty() {
                Box::new(EmptyQuery)
            } else {
                Box::new(BooleanQuery::union(leaves.into_iter().map(|leaf| leaf.0).collect()))
            };
            let part = match (clause.occurrence, clause.scope) {
                (Occurrence::Excluded, _) => (Occur::MustNot, any),
                (_, Scope::MediaType) => (Occur::Must, unscored(any)),
                _ => (Occur::Must, any),
            };
            parts.push(part);
        }
        Ok(parts)
    }

    fn ranked(&mut self, chosen: impl Fn(&Clause) -> bool) -> tantivy::Result<Vec<Part>> {
        let mut parts = Vec::new();
        let query = self.query;
        for clause in query.clauses().iter().filter(|clause| chosen(clause)) {
            for (leaf, term) in self.leaves(clause)? {
                if term.is_none_or(|term| self.scored.insert(term)) {
                    parts.push((Occur::Should, leaf));
                }
            }
        }
        Ok(parts)
    }

    /// One query for each field and language the clause can be found in, with its term where it
    /// has a single one.
    fn leaves(&mut self, clause: &Clause) -> tantivy::Result<Vec<Leaf>> {
        let languages = self.languages.clone();
        let dropped: Vec<bool> = languages.iter().map(|&l| self.dropped(clause, l)).collect();
        let mut leaves = Vec::new();
        for target in self.corpus.targets(clause.scope) {
            match target {
                Target::ByLanguage(fields, share) => {
                    let form = |&language: &Language| {
                        self.terms(fields.get(language), language, &clause.words)
                    };
                    let forms: Vec<_> = languages.iter().map(form).collect();
                    // Over all languages, those too that leave the word out: "the" is no rarity
                    // in a German document that quotes English.
                    if forms.len() > 1 {
                        self.statistics.unite(&forms)?;
                    }
                    let kept = forms.into_iter().zip(&dropped).filter(|(_, dropped)| !**dropped);
                    leaves.extend(kept.filter_map(|(form, _)| leaf(form, share)));
                }
                Target::Aside(fields, own) => {
                    let form = |&language: &Language| {
                        self.aside_terms(fields.get(language), language, &clause.words)
                    };
                    let forms: Vec<_> = languages.iter().map(form).collect();
                    let said = |&language: &Language| {
                        self.terms(own.get(language), language, &clause.words)
                    };
                    let said: Vec<_> = languages.iter().map(said).collect();
                    if self.statistics.lend(&said, &forms)? {
                        let kept =
                            forms.into_iter().zip(&dropped).filter(|(_, dropped)| !**dropped);
                        leaves.extend(kept.filter_map(|(form, _)| aside_leaf(form)));
                    }
                }
                Target::Neutral(field, share) => {
                    if dropped.is_empty() || dropped.contains(&false) {
                        let form = self.terms(field, Language::Other, &clause.words);
                        leaves.extend(leaf(form, share));
                    }
                }
            }
        }
        Ok(leaves)
    }

    /// True where `clause` is a stop word of `language` that may be left out.
    fn dropped(&self, clause: &Clause, language: Language) -> bool {
        let stop_word = |word: &String| self.analysis.is_stop_word(language, word);
        clause.plain && !self.unstopped.contains(&language) && clause.words.iter().all(stop_word)
    }

    fn terms(&self, field: Field, language: Language, words: &[String]) -> Vec<(usize, Term)> {
        let terms = self.analysis.terms(language, words).into_iter();
        terms.map(|(place, term)| (place, Term::from_field_text(field, &term))).collect()
    }

    fn aside_terms(
        &self,
        field: Field,
        language: Language,
        words: &[String],
    ) -> Vec<(usize, Term)> {
        let terms = self.analysis.terms(language, words).into_iter();
        let aside = |(place, term): (usize, String)| {
            (place, Term::from_field_text(field, &aside_term(&term)))
        };
        terms.map(aside).collect()
    }
}

/// True where `query` asks the text for nothing that carries content in `language`.
fn only_stop_words(analysis: &Analysis, query: &Query, language: Language) -> bool {
    let stop_word = |word: &String| analysis.is_stop_word(language, word);
    let says_something = |clause: &Clause| {
        clause.positive()
            && clause.scope.in_text()
            && (!clause.plain || !clause.words.iter().all(stop_word))
    };
    !query.clauses().iter().any(says_something)
}

fn leaf(mut form: Vec<(usize, Term)>, share: Score) -> Option<(Box<dyn IndexQuery>, Option<Term>)> {
    let (query, term): (Box<dyn IndexQuery>, _) = if form.len() > 1 {
        (Box::new(PhraseQuery::new_with_offset(form)), None)
    } else {
        let (_, term) = form.pop()?;
        (Box::new(WordQuery::new(term.clone())), Some(term))
    };
    let whole = (share - 1.0).abs() < Score::EPSILON;
    let query: Box<dyn IndexQuery> =
        if whole { query } else { Box::new(BoostQuery::new(query, share)) };
    Some((query, term))
}

fn aside_leaf(mut form: Vec<(usize, Term)>) -> Option<Leaf> {
    let (query, term): (Box<dyn IndexQuery>, _) = if form.len() > 1 {
        (Box::new(PhraseQuery::new_with_offset(form)), None)
    } else {
        let (_, term) = form.pop()?;
        (Box::new(WordQuery::whatever_the_length(term.clone())), Some(term))
    };
    let query: Box<dyn IndexQuery> = Box::new(BoostQuery::new(query, ASIDE_SHARE));
    Some((query, term))
}

fn unscored(query: Box<dyn IndexQuery>) -> Box<dyn IndexQuery> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn any_item(field: Field, items: &[ItemKey]) -> Box<dyn IndexQuery> {
    Box::new(TermSetQuery::new(items.iter().map(|item| Term::from_field_i64(field, item.0))))
}

fn filter_parts(fields: &DocumentFields, filter: &SearchFilter) -> Vec<Part> {
    let mut parts: Vec<Box<dyn IndexQuery>> = Vec::new();
    if let Some(source) = filter.source.as_deref().filter(|source| !source.is_empty()) {
        // Over the fast field, because nearly every document has a source of its own: one pass
        // over packed ordinals, where the inverted index would read a posting list for each.
        let (from, to) = prefix(fields.source_path, source);
        parts.push(Box::new(RangeQuery::new(from, to)));
    }
    if let Some(media_type) = &filter.media_type {
        let media_type = media_type.to_lowercase();
        if media_type.ends_with('/') {
            let (from, to) = prefix(fields.media_type, &media_type);
            parts.push(Box::new(InvertedIndexRangeQuery::new(from, to)));
        } else {
            let term = Term::from_field_text(fields.media_type, &media_type);
            parts.push(Box::new(TermQuery::new(term, IndexRecordOption::Basic)));
        }
    }
    if filter.after.is_some() || filter.before.is_some() {
        let bound =
            |time: jiff::Timestamp| Term::from_field_i64(fields.date, time.as_microsecond());
        let from = filter.after.map_or(Bound::Unbounded, |time| Bound::Included(bound(time)));
        let to = filter.before.map_or(Bound::Unbounded, |time| Bound::Excluded(bound(time)));
        parts.push(Box::new(RangeQuery::new(from, to)));
    }
    parts.into_iter().map(|part| (Occur::Must, unscored(part))).collect()
}

/// The bounds of all strings that start with `prefix`.
fn prefix(field: Field, prefix: &str) -> (Bound<Term>, Bound<Term>) {
    let mut end = prefix.to_owned();
    let mut upper = Bound::Unbounded;
    while let Some(last) = end.pop() {
        // UTF-8 sorts as scalar values do, and there are none in the surrogates' gap.
        let next = if last == '\u{D7FF}' { 0xE000 } else { u32::from(last) + 1 };
        if let Some(next) = char::from_u32(next) {
            end.push(next);
            upper = Bound::Excluded(Term::from_field_text(field, &end));
            break;
        }
    }
    (Bound::Included(Term::from_field_text(field, prefix)), upper)
}
