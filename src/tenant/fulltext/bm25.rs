//! BM25 of one word, with the constants that fit what people write.
//!
//! Called by: `compile`. Talks to: tantivy's postings and field lengths.
//! Invariants: finds what tantivy's own term query finds; only the score differs.
//! Why not tantivy's term query: it fixes `k1` = 1.2 and `b` = 0.75, which punish long documents so
//! hard that a text of two paragraphs falls behind one of two lines. The constants here are those
//! that published baselines of many collections use (Anserini; Lin et al., "Pyserini", SIGIR 2021).
//! Nothing is lost in speed: fusion needs the scores of all that matches, so tantivy's shortcut of
//! skipping blocks that cannot win never applied.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{
    Bm25StatisticsProvider, EmptyScorer, EnableScoring, Explanation, Query, Scorer, TermQuery,
    Weight,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TantivyError, Term};

/// How soon further occurrences of a word stop counting.
const K1: Score = 0.9;
/// How far the length of a document counts against it, 0 to 1.
const B: Score = 0.4;

/// Documents that have a word.
#[derive(Clone, Debug)]
pub(super) struct WordQuery {
    term: Term,
    /// How far the length of a document counts against it.
    b: Score,
}

impl WordQuery {
    pub(super) fn new(term: Term) -> Self {
        Self { term, b: B }
    }

    /// Every document as if it were of average length: for a field that few have.
    pub(super) fn whatever_the_length(term: Term) -> Self {
        Self { term, b: 0.0 }
    }
}

impl Query for WordQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let EnableScoring::Enabled { statistics_provider, .. } = scoring else {
            return TermQuery::new(self.term.clone(), IndexRecordOption::Basic).weight(scoring);
        };
        Ok(Box::new(WordWeight::new(self.term.clone(), self.b, statistics_provider)?))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        visitor(&self.term, false);
    }
}

struct WordWeight {
    term: Term,
    /// What a word is worth by its rarity.
    idf: Score,
    /// `k1 (1 - b + b length / average)` by code of the length.
    norms: Arc<[Score; 256]>,
}

impl WordWeight {
    fn new(term: Term, b: Score, statistics: &dyn Bm25StatisticsProvider) -> tantivy::Result<Self> {
        let documents = statistics.total_num_docs()?;
        let holders = statistics.doc_freq(&term)?.min(documents);
        let tokens = statistics.total_num_tokens(term.field())?;
        let average = (tokens as f64 / documents.max(1) as f64).max(1.0) as Score;
        let rarity = ((documents - holders) as f64 + 0.5) / (holders as f64 + 0.5);
        let mut norms = [0.0; 256];
        for (code, norm) in (0_u8..=255).zip(&mut norms) {
            let length = FieldNormReader::id_to_fieldnorm(code) as Score;
            *norm = K1 * (1.0 - b + b * length / average);
        }
        Ok(Self { term, idf: rarity.ln_1p() as Score, norms: Arc::new(norms) })
    }

    fn word_scorer(
        &self,
        reader: &SegmentReader,
        boost: Score,
    ) -> tantivy::Result<Option<WordScorer>> {
        let field = self.term.field();
        let index = reader.inverted_index(field)?;
        let Some(info) = index.get_term_info(&self.term)? else {
            return Ok(None);
        };
        let postings = index.read_postings_from_terminfo(&info, IndexRecordOption::WithFreqs)?;
        let lengths = match reader.fieldnorms_readers().get_field(field)? {
            Some(lengths) => lengths,
            None => FieldNormReader::constant(reader.max_doc(), 1),
        };
        let weight = boost * self.idf * (1.0 + K1);
        Ok(Some(WordScorer { postings, lengths, weight, norms: self.norms.clone() }))
    }
}

impl Weight for WordWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(match self.word_scorer(reader, boost)? {
            Some(scorer) => Box::new(scorer),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, reader: &SegmentReader, document: DocId) -> tantivy::Result<Explanation> {
        if let Some(mut scorer) = self.word_scorer(reader, 1.0)?
            && (scorer.doc() == document
                || scorer.doc() < document && scorer.seek(document) == document)
        {
            return Ok(Explanation::new("BM25 of a word", scorer.score()));
        }
        Err(TantivyError::InvalidArgument("the document has no such word".to_owned()))
    }
}

struct WordScorer {
    postings: SegmentPostings,
    lengths: FieldNormReader,
    weight: Score,
    norms: Arc<[Score; 256]>,
}

impl DocSet for WordScorer {
    fn advance(&mut self) -> DocId {
        self.postings.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.postings.seek(target)
    }

    fn doc(&self) -> DocId {
        self.postings.doc()
    }

    fn size_hint(&self) -> u32 {
        self.postings.size_hint()
    }
}

impl Scorer for WordScorer {
    fn score(&mut self) -> Score {
        let occurrences = self.postings.term_freq() as Score;
        let norm = self.norms[usize::from(self.lengths.fieldnorm_id(self.doc()))];
        self.weight * occurrences / (occurrences + norm)
    }
}
