//! Requests to retrieval and what comes back.
//!
//! Called by: `tenant`, `app`, `http`, `cli`. Talks to: nothing.
//! Invariants: `start` and `end` count Unicode scalar values of the document's text, so that
//! every language can slice with them; `text` is exactly that slice.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cells::SheetCells;
use super::chunk::Voice;
use super::ids::{DocumentId, ItemKey};
use super::item::{DateBasis, Dates};

/// Which evidence ranks the documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    #[default]
    Hybrid,
    Keyword,
    Vector,
}

impl SearchMode {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Keyword => "keyword",
            Self::Vector => "vector",
        }
    }
}

/// The items that a caller may see who is limited to some collections of a tenant.
pub type VisibleItems = Arc<HashSet<ItemKey>>;

/// Restricts a search; an empty filter admits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchFilter {
    /// Admits sources that start with this path.
    pub source: Option<String>,
    /// Admits one media type (`application/pdf`) or a whole family (`text/`).
    pub media_type: Option<String>,
    /// Admits documents whose effective date is not before this.
    pub after: Option<Timestamp>,
    /// Admits documents whose effective date is before this.
    pub before: Option<Timestamp>,
}

impl SearchFilter {
    /// True where nothing is filtered out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The answer to a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResponse {
    pub query: String,
    pub mode: SearchMode,
    pub results: Vec<SearchResult>,
    /// What the reader should know about completeness, such as documents without vectors yet.
    pub notices: Vec<String>,
    pub took_ms: f64,
}

/// One document with its best passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    #[schema(value_type = String)]
    pub document_id: DocumentId,
    pub source: String,
    /// Other sources that hold the same bytes.
    pub also_at: Vec<String>,
    /// Documents with nearly the same text, for which this one stands.
    #[serde(default)]
    pub also_similar: Vec<SimilarResult>,
    pub title: String,
    pub media_type: String,
    /// Fused score; comparable within one response only.
    pub score: f64,
    pub score_parts: ScoreParts,
    pub dates: Dates,
    /// False while the document is found by keyword only because its vectors are still awaited.
    pub has_vectors: bool,
    pub passages: Vec<Passage>,
}

/// A document with nearly the same text as a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SimilarResult {
    #[schema(value_type = String)]
    pub document_id: DocumentId,
    pub source: String,
    /// Estimated share of five-word runs that both texts have, 0 to 1.
    pub similarity: f64,
}

/// What each leg contributed: the raw value and its normalised form; absent where the leg did
/// not find the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreParts {
    /// BM25 over the whole document.
    pub keyword: Option<f64>,
    pub keyword_normalised: Option<f64>,
    /// Cosine similarity of the best chunk.
    pub vector: Option<f64>,
    pub vector_normalised: Option<f64>,
}

/// A chunk as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Passage {
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub page: Option<u32>,
    /// The cells it shows, where it is from a sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<SheetCells>,
    /// Heading path, outermost first, joined by ` › `.
    pub heading: Option<String>,
    /// True where the text was read by OCR from a picture.
    #[serde(default)]
    pub ocr: bool,
    /// How sure OCR is of the page, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocr_confidence: Option<u8>,
    /// Whose words they are.
    #[serde(default)]
    pub voice: Voice,
    /// Matched words as `[start, end)` in scalar values, relative to `text`.
    pub highlights: Vec<[u32; 2]>,
    pub score: f64,
}

/// An answer with its proof, or a plain "not found".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    pub question: String,
    pub found: bool,
    /// The cited sentences, or the sentence that says nothing was found.
    pub answer: String,
    pub citations: Vec<Citation>,
    /// Support for the best sentence, 0 to 1; `found` is `support >= threshold`.
    pub support: f64,
    pub threshold: f64,
    /// What the support is made of.
    pub evidence: Evidence,
    pub notices: Vec<String>,
    pub took_ms: f64,
}

/// What speaks for the best sentence found. All values are 0 where nothing was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Cosine similarity of question and sentence.
    pub sentence_similarity: f64,
    /// Cosine similarity of question and the best passage of any document.
    pub passage_similarity: f64,
    /// Share of the question's words that the sentence's passage or its title has.
    pub coverage: f64,
    /// Deviations above an unrelated document, by word and by meaning, of the best document.
    pub keyword_deviations: f64,
    pub vector_deviations: f64,
}

/// The source of one sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    #[schema(value_type = String)]
    pub document_id: DocumentId,
    pub source: String,
    pub title: String,
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub page: Option<u32>,
    /// The cells it shows, where it is from a sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<SheetCells>,
    /// True where the text was read by OCR from a picture.
    #[serde(default)]
    pub ocr: bool,
    /// How sure OCR is of the page, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocr_confidence: Option<u8>,
    /// Whose words they are.
    #[serde(default)]
    pub voice: Voice,
    #[schema(value_type = String)]
    pub date: Timestamp,
    pub date_basis: DateBasis,
    pub score: f64,
}
