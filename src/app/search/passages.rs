//! The passages a result shows: the chunks both legs like best, with matched words marked.
//!
//! Called by: `app::search`, `app::ask`. Talks to: full-text index, catalogue.
//! Invariants: a passage is exactly one stored chunk; a document found by either leg shows at
//! least one passage.

use std::collections::{HashMap, HashSet};

use super::{Ranked, Retrieved};
use crate::app::{Error, blocking};
use crate::auth::CanRead;
use crate::tenant::{CatalogError, CatalogReader, StoredChunk, TenantHandle};
use crate::types::{ChunkKey, ItemKey, Language, Passage};

/// Passages shown per document.
pub(crate) const PER_DOCUMENT: usize = 3;

/// Words found in a chunk count this much against its similarity.
const KEYWORD_WEIGHT: f64 = 0.5;

/// Words found in a quote or a signature count this much against those that the document says
/// itself.
const ASIDE_WEIGHT: f64 = 0.7;

/// Passages of every ranked document, in the same order.
pub(crate) async fn choose<A: CanRead>(
    tenant: &TenantHandle<A>,
    retrieved: &Retrieved,
) -> Result<Vec<Vec<Passage>>, Error> {
    let chosen = choose_chunks(tenant, retrieved).await?;
    let jobs: Vec<(Language, Vec<(StoredChunk, f64)>)> = retrieved
        .ranked
        .iter()
        .zip(chosen)
        .map(|(ranked, chunks)| {
            (Language::from_code(&ranked.document.language).unwrap_or(Language::Other), chunks)
        })
        .collect();
    let (handle, query) = (tenant.clone(), retrieved.query.clone());
    blocking(move || {
        let fulltext = handle.fulltext()?;
        Ok(jobs
            .into_iter()
            .map(|(language, chunks)| {
                chunks
                    .into_iter()
                    .map(|(chunk, score)| Passage {
                        voice: chunk.voice(),
                        highlights: fulltext.highlight(&query, language, &chunk.text),
                        text: chunk.text,
                        start: chunk.start,
                        end: chunk.end,
                        page: chunk.page,
                        cells: chunk.cells,
                        ocr: chunk.ocr_confidence.is_some(),
                        ocr_confidence: chunk.ocr_confidence,
                        heading: chunk.heading,
                        score,
                    })
                    .collect()
            })
            .collect())
    })
    .await
}

/// The best chunks of every ranked document, in the same order.
pub(crate) async fn choose_chunks<A: CanRead>(
    tenant: &TenantHandle<A>,
    retrieved: &Retrieved,
) -> Result<Vec<Vec<(StoredChunk, f64)>>, Error> {
    let items: Vec<ItemKey> = retrieved.ranked.iter().map(|ranked| ranked.document.item).collect();
    let (handle, query, languages, visible) = (
        tenant.clone(),
        retrieved.query.clone(),
        retrieved.languages.clone(),
        retrieved.visible.clone(),
    );
    let asked = items.clone();
    let by_word = blocking(move || {
        let (fulltext, visible) = (handle.fulltext()?, visible.as_ref());
        Ok(fulltext.search_passages(&query, visible, &languages, &asked, 2 * PER_DOCUMENT)?)
    })
    .await?;
    let keys: Vec<ChunkKey> = by_word.values().flatten().map(|(key, _)| *key).collect();
    let aside = tenant.read(move |catalog| catalog.aside_among(&keys)).await?;
    let wanted: Vec<Vec<(ChunkKey, f64)>> = retrieved
        .ranked
        .iter()
        .map(|ranked| {
            let words = by_word.get(&ranked.document.item).map_or(&[][..], Vec::as_slice);
            best_of(ranked, words, &aside)
        })
        .collect();
    Ok(tenant.read(move |catalog| stored(catalog, &items, wanted)).await?)
}

/// The chunks that are wanted of each item. One found by its title, source or filters alone shows
/// how it begins; so does one whose chunks changed since the indexes were asked.
fn stored(
    catalog: &CatalogReader<'_>,
    items: &[ItemKey],
    wanted: Vec<Vec<(ChunkKey, f64)>>,
) -> Result<Vec<Vec<(StoredChunk, f64)>>, CatalogError> {
    let keys: Vec<ChunkKey> = wanted.iter().flatten().map(|(key, _)| *key).collect();
    let mut stored: HashMap<ChunkKey, StoredChunk> =
        catalog.chunks(&keys)?.into_iter().map(|chunk| (chunk.key, chunk)).collect();
    let shown = items.iter().zip(wanted).map(|(item, wanted)| {
        let chunks: Vec<(StoredChunk, f64)> = wanted
            .into_iter()
            .filter_map(|(key, score)| Some((stored.remove(&key)?, score)))
            .collect();
        if !chunks.is_empty() {
            return Ok(chunks);
        }
        let opening = catalog.first_chunk(*item)?;
        Ok(opening.into_iter().map(|chunk| (chunk, 0.0)).collect())
    });
    shown.collect()
}

/// Mixes what both legs think of a document's chunks; scores lie between 0 and about 1.
fn best_of(
    ranked: &Ranked,
    words: &[(ChunkKey, f32)],
    aside: &HashSet<ChunkKey>,
) -> Vec<(ChunkKey, f64)> {
    // As many of each, so that others take no place from what the document says itself.
    let is_aside = |found: &&(ChunkKey, f32)| aside.contains(&found.0);
    let own = words.iter().filter(|found| !is_aside(found)).take(PER_DOCUMENT);
    let others = words.iter().filter(is_aside).take(PER_DOCUMENT);
    let best_word = words.first().map_or(1.0, |(_, score)| f64::from(*score)).max(1e-6);
    let mut scores: HashMap<ChunkKey, f64> = HashMap::new();
    for (key, score) in own.chain(others) {
        let weight = if aside.contains(key) { ASIDE_WEIGHT } else { 1.0 };
        *scores.entry(*key).or_default() += weight * KEYWORD_WEIGHT * f64::from(*score) / best_word;
    }
    for (key, similarity) in ranked.chunks.iter().take(2 * PER_DOCUMENT) {
        *scores.entry(*key).or_default() +=
            (1.0 - KEYWORD_WEIGHT) * f64::from(*similarity).max(0.0);
    }
    let mut best: Vec<(ChunkKey, f64)> = scores.into_iter().collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(PER_DOCUMENT);
    best
}
