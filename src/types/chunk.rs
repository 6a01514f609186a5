//! Chunks: the unit that is embedded, searched as a passage, and cited.
//!
//! Called by: `chunk`, `tenant`, `app`. Talks to: nothing.
//! Invariants: `text` is exactly the slice of the document's text its offsets name.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who says the words of a chunk. Only a document's own are found by their meaning; all are found by
/// their words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// The document itself.
    #[default]
    Own,
    /// A mail repeats the words of another.
    Quoted,
    /// The signature of a mail, or what a mailing list appends.
    Signature,
}

use super::SheetCells;

/// A span of a document's text, small enough for the embedding model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// 0-based position in the document.
    pub ordinal: u32,
    /// Byte offsets into the document's text, UTF-8.
    pub start_byte: usize,
    pub end_byte: usize,
    /// The same offsets counted in Unicode scalar values.
    pub start_char: u64,
    pub end_char: u64,
    pub page: Option<u32>,
    /// The cells it shows, on one sheet.
    pub cells: Option<SheetCells>,
    /// Heading path, outermost first.
    pub headings: Vec<String>,
    pub text: String,
    /// Tokens of `text` under the embedding model's tokenizer.
    pub tokens: u32,
    #[serde(default)]
    pub voice: Voice,
}

/// The model that made a vector. Vectors of two models are never compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Short stable id with revision and quantisation, such as `all-MiniLM-L6-v2-int8`.
    pub id: String,
    pub revision: String,
    pub dimension: usize,
    /// Longest input in tokens, special tokens included.
    pub max_tokens: usize,
    /// Language the model was trained for, as a sentence for people.
    pub language: String,
    pub licence: String,
    pub sha256: String,
}
