//! Sentences as candidates for an answer, and what speaks for the best of them.
//!
//! Called by: `app::ask`. Talks to: inference, full-text index.
//! Invariants: candidates are ordered best first, ties by document rank and offset.

use std::sync::Arc;

use super::sentences::sentences;
use crate::app::search::{Ranked, Retrieved};
use crate::app::{App, Error, blocking};
use crate::auth::CanRead;
use crate::tenant::{StoredChunk, TenantHandle};
use crate::types::{Citation, DateBasis, DocumentId, Evidence, Language, SheetCells, Voice};

/// Sentences embedded per question, to bound what a question may cost.
const MAX_SENTENCES: usize = 64;

/// Share of a sentence's own similarity in its score; its words and its passage have the rest.
const SIMILARITY_WEIGHT: f64 = 0.6;
const COVERAGE_WEIGHT: f64 = 0.25;
const PASSAGE_WEIGHT: f64 = 0.15;

/// A sentence that may answer.
pub(super) struct Candidate {
    pub(super) score: f64,
    similarity: f64,
    coverage: f64,
    document: DocumentId,
    source: String,
    title: String,
    text: String,
    start: u64,
    end: u64,
    page: Option<u32>,
    cells: Option<SheetCells>,
    ocr_confidence: Option<u8>,
    voice: Voice,
    date: (jiff::Timestamp, DateBasis),
}

impl Candidate {
    /// True where two candidates say the same words.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.text == other.text
    }

    pub(super) fn citation(&self) -> Citation {
        Citation {
            document_id: self.document,
            source: self.source.clone(),
            title: self.title.clone(),
            text: self.text.clone(),
            start: self.start,
            end: self.end,
            page: self.page,
            cells: self.cells.clone(),
            ocr: self.ocr_confidence.is_some(),
            ocr_confidence: self.ocr_confidence,
            voice: self.voice,
            date: self.date.0,
            date_basis: self.date.1,
            score: self.score,
        }
    }
}

/// A sentence before it is scored.
struct Raw {
    text: String,
    start: u64,
    end: u64,
    rank: usize,
    page: Option<u32>,
    cells: Option<SheetCells>,
    ocr_confidence: Option<u8>,
    voice: Voice,
    passage: Arc<str>,
    passage_score: f64,
}

/// Scores the sentences of the best passages, best first.
pub(super) async fn candidates<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    retrieved: &Retrieved,
    passages: Vec<Vec<(StoredChunk, f64)>>,
) -> Result<Vec<Candidate>, Error> {
    let Some(question) = retrieved.embedded.as_deref() else {
        return Ok(Vec::new());
    };
    let raws = raw_sentences(passages);
    if raws.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = raws.iter().map(|raw| raw.text.clone()).collect();
    let vectors = app.inference.embedder()?.embed_passages(&texts).await?;
    let coverages = coverages(tenant, retrieved, &raws).await?;
    let mut candidates: Vec<Candidate> = raws
        .into_iter()
        .zip(vectors)
        .zip(coverages)
        .map(|((raw, vector), coverage)| {
            let similarity: f32 = vector.iter().zip(question).map(|(a, b)| a * b).sum();
            let similarity = f64::from(similarity);
            let document = &retrieved.ranked[raw.rank].document;
            Candidate {
                score: SIMILARITY_WEIGHT * similarity
                    + COVERAGE_WEIGHT * coverage.sentence
                    + PASSAGE_WEIGHT * raw.passage_score,
                similarity,
                coverage: coverage.passage,
                document: document.id,
                source: document.source.clone(),
                title: document.title.clone(),
                text: raw.text,
                start: raw.start,
                end: raw.end,
                page: raw.page,
                cells: raw.cells,
                ocr_confidence: raw.ocr_confidence,
                voice: raw.voice,
                date: document.dates.effective(),
            }
        })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(candidates)
}

fn raw_sentences(passages: Vec<Vec<(StoredChunk, f64)>>) -> Vec<Raw> {
    let mut raws = Vec::new();
    for (rank, chunks) in passages.into_iter().enumerate() {
        for (chunk, passage_score) in chunks {
            let passage: Arc<str> = chunk.text.as_str().into();
            for sentence in sentences(&chunk.text) {
                raws.push(Raw {
                    text: sentence.text.to_owned(),
                    start: chunk.start + sentence.start,
                    end: chunk.start + sentence.end,
                    rank,
                    page: chunk.page,
                    cells: chunk.cells.clone(),
                    ocr_confidence: chunk.ocr_confidence,
                    voice: chunk.voice(),
                    passage: passage.clone(),
                    passage_score,
                });
            }
        }
    }
    raws.truncate(MAX_SENTENCES);
    raws
}

/// Share of the question's words found.
struct Coverage {
    sentence: f64,
    passage: f64,
}

async fn coverages<A: CanRead>(
    tenant: &TenantHandle<A>,
    retrieved: &Retrieved,
    raws: &[Raw],
) -> Result<Vec<Coverage>, Error> {
    let jobs: Vec<(String, String, Language)> = raws
        .iter()
        .map(|raw| {
            let document = &retrieved.ranked[raw.rank].document;
            let around = format!("{} {}", document.title, raw.passage);
            let language = Language::from_code(&document.language).unwrap_or(Language::Other);
            (raw.text.clone(), around, language)
        })
        .collect();
    let (handle, query) = (tenant.clone(), retrieved.query.clone());
    blocking(move || {
        let fulltext = handle.fulltext()?;
        Ok(jobs
            .into_iter()
            .map(|(sentence, around, language)| {
                let words = |text: &str| fulltext.matched_words(&query, language, text);
                let asked = words(query.text()).len().max(1) as f64;
                Coverage {
                    sentence: words(&sentence).len() as f64 / asked,
                    passage: words(&around).len() as f64 / asked,
                }
            })
            .collect())
    })
    .await
}

/// What speaks for the best candidate.
pub(super) fn weigh(retrieved: &Retrieved, candidates: &[Candidate]) -> Evidence {
    let Some(best) = candidates.first() else {
        return Evidence::default();
    };
    let most = |value: fn(&Ranked) -> Option<f64>| {
        retrieved.ranked.iter().filter_map(value).fold(0.0, f64::max)
    };
    let similar = candidates.iter().map(|candidate| candidate.similarity).fold(0.0, f64::max);
    Evidence {
        sentence_similarity: similar.max(best.similarity),
        passage_similarity: most(|ranked| ranked.parts.vector),
        coverage: best.coverage.min(1.0),
        keyword_deviations: most(|ranked| ranked.parts.keyword_normalised),
        vector_deviations: most(|ranked| ranked.parts.vector_normalised),
    }
}
