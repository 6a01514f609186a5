//! Hybrid retrieval: words and meaning, fused per document, shown with the best passages.
//!
//! Called by: `http`, `app::ask`. Talks to: full-text index, vector table, inference, catalogue.
//! Invariants: only ready revisions are shown; a mode that needs vectors fails plainly when they
//! cannot be had, and never turns into another mode.

mod fusion;
mod legs;
mod passages;
mod similar;
mod statistics;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use self::fusion::Scored;
use super::audit::{self, Action, Event};
use super::{App, Error};
use crate::auth::CanRead;
use crate::tenant::{CatalogError, HitDocument, Query, TenantHandle, VectorHit};
use crate::types::{
    ChunkKey, DocumentId, ItemKey, Language, ScoreParts, SearchFilter, SearchMode, SearchResponse,
    SearchResult, VisibleItems,
};

pub(crate) use passages::choose_chunks;
pub use statistics::StatisticsCache;

/// A search as asked for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    pub query: String,
    pub mode: SearchMode,
    /// Documents to return.
    pub limit: usize,
    pub filter: SearchFilter,
    /// Of near-duplicates only the best is shown, with the others named beside it.
    pub group_similar: bool,
}

/// A ranked document, before its passages are chosen.
pub(crate) struct Ranked {
    pub(crate) document: HitDocument,
    pub(crate) score: f64,
    pub(crate) parts: ScoreParts,
    /// Chunks the vector leg found, best first.
    pub(crate) chunks: Vec<(ChunkKey, f32)>,
}

/// The outcome of retrieval, shared by search and ask.
pub(crate) struct Retrieved {
    pub(crate) query: Arc<Query>,
    pub(crate) languages: Vec<Language>,
    /// What the caller may see, where that is not everything.
    pub(crate) visible: Option<VisibleItems>,
    pub(crate) ranked: Vec<Ranked>,
    pub(crate) notices: Vec<String>,
    /// The embedded query, where vectors took part.
    pub(crate) embedded: Option<Vec<f32>>,
}

/// Searches a tenant.
///
/// # Errors
/// `VectorsUnavailable` for a mode that needs vectors where there are none; `Quota` where the
/// tenant runs as many queries as it may.
pub async fn search<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    request: SearchRequest,
) -> Result<SearchResponse, Error> {
    let event =
        Event::new(Action::Search).about(&request.query).with("mode", request.mode.as_str());
    let found = Box::pin(find(app, tenant, request)).await;
    let event = match &found {
        Err(_) => event,
        Ok(response) => {
            let shown = response.results.iter().map(|result| result.document_id);
            event.with("results", response.results.len()).with("documents", named(shown))
        }
    };
    audit::concluded(tenant, event, found).await
}

/// Documents named in the entry of a search or an answer.
const NAMED: usize = 20;

/// The first few of the documents whose text was shown.
pub(super) fn named(shown: impl Iterator<Item = DocumentId>) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for document in shown.map(|id| id.to_string()) {
        if named.len() == NAMED {
            break;
        }
        if !named.contains(&document) {
            named.push(document);
        }
    }
    named
}

/// The same without a record of it: for what Cairn looks up by itself and shows no text of.
///
/// # Errors
/// Those of `search`.
pub(super) async fn find<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    request: SearchRequest,
) -> Result<SearchResponse, Error> {
    let started = Instant::now();
    let _place = app.standing(tenant.id()).await?.query_place().await?;
    let retrieved = retrieve(app, tenant, &request).await?;
    let shown = passages::choose(tenant, &retrieved).await?;
    let mut similar = match request.group_similar {
        true => similar::others(tenant, &retrieved.ranked).await?,
        false => HashMap::new(),
    };
    let results = retrieved
        .ranked
        .into_iter()
        .zip(shown)
        .map(|(ranked, passages)| {
            let document = ranked.document;
            SearchResult {
                document_id: document.id,
                source: document.source,
                also_at: document.also_at,
                also_similar: similar.remove(&document.item).unwrap_or_default(),
                title: document.title,
                media_type: document.media_type,
                score: ranked.score,
                score_parts: ranked.parts,
                dates: document.dates,
                has_vectors: document.in_vectors,
                passages,
            }
        })
        .collect();
    Ok(SearchResponse {
        query: request.query,
        mode: request.mode,
        results,
        notices: retrieved.notices,
        took_ms: started.elapsed().as_secs_f64() * 1e3,
    })
}

/// Ranks documents for a request.
pub(crate) async fn retrieve<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    request: &SearchRequest,
) -> Result<Retrieved, Error> {
    let parsed = Query::parse(&request.query);
    let query = Arc::new(parsed.query);
    let filter = merged(&request.filter, parsed.filter);
    let visible = tenant.visible_items().await?;
    let (codes, awaiting) = tenant
        .read(|catalog| Ok((catalog.languages()?, catalog.documents_without_vectors()?)))
        .await?;
    let languages: Vec<Language> =
        codes.iter().filter_map(|code| Language::from_code(code)).collect();
    let legs = legs::Legs {
        app,
        tenant,
        query: query.clone(),
        filter,
        visible: visible.clone(),
        languages: languages.clone(),
        depth: request.limit.max(legs::DEPTH),
    };
    let wants_keyword = request.mode != SearchMode::Vector;
    // A query of exclusions and filters only has no meaning to embed: words alone decide.
    let wants_vector = request.mode != SearchMode::Keyword && !query.text().is_empty();
    let keyword = async { if wants_keyword { legs.keyword().await.map(Some) } else { Ok(None) } };
    let vector =
        async { if wants_vector { Box::pin(legs.vector()).await.map(Some) } else { Ok(None) } };
    let (keyword, vector) = tokio::try_join!(keyword, vector)?;

    let mut found: HashSet<ItemKey> = HashSet::new();
    if let Some(leg) = &keyword {
        found.extend(leg.hits.iter().map(|hit| hit.item));
    }
    if let Some(leg) = &vector {
        found.extend(leg.hits.iter().map(|hit| hit.item));
    }
    let found: Vec<ItemKey> = found.into_iter().collect();
    let ready = tenant.read(move |catalog| catalog.ready_items(&found)).await?;
    let chunks = vector.as_ref().map(|leg| by_item(&leg.hits)).unwrap_or_default();
    let mut scored = fusion::fuse(keyword.as_ref(), vector.as_ref(), &chunks, &ready);
    let scored = match request.group_similar {
        true => similar::first_of_each(tenant, scored, request.limit).await?,
        false => {
            scored.truncate(request.limit);
            scored
        }
    };
    let mut documents = shown(tenant, &scored).await?;
    let ranked: Vec<Ranked> = scored
        .into_iter()
        .filter_map(|scored| {
            Some(Ranked {
                document: documents.remove(&scored.item)?,
                score: scored.score,
                parts: scored.parts,
                chunks: chunks.get(&scored.item).cloned().unwrap_or_default(),
            })
        })
        .collect();
    Ok(Retrieved {
        notices: notices(&query, wants_vector, awaiting),
        query,
        languages,
        visible,
        ranked,
        embedded: vector.map(|leg| leg.embedded),
    })
}

fn merged(explicit: &SearchFilter, typed: SearchFilter) -> SearchFilter {
    SearchFilter {
        source: explicit.source.clone().or(typed.source),
        media_type: explicit.media_type.clone().or(typed.media_type),
        after: explicit.after.max(typed.after),
        before: match (explicit.before, typed.before) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
    }
}

fn notices(query: &Query, wants_vector: bool, awaiting: u64) -> Vec<String> {
    let mut notices = Vec::new();
    if wants_vector && awaiting > 0 {
        let documents =
            if awaiting == 1 { "1 document is" } else { &format!("{awaiting} documents are") };
        notices.push(format!(
            "{documents} found by keyword only so far: vectors are still being computed."
        ));
    }
    if query.truncated() {
        notices.push("The query is very long; its last words were left out.".to_owned());
    }
    notices
}

/// The documents that a result shows, with the other sources of the same bytes.
async fn shown<A: CanRead>(
    tenant: &TenantHandle<A>,
    scored: &[Scored],
) -> Result<HashMap<ItemKey, HitDocument>, Error> {
    let items: Vec<ItemKey> = scored.iter().map(|scored| scored.item).collect();
    let read = tenant.read(move |catalog| {
        let mut documents = catalog.hit_documents(&items)?;
        for document in documents.values_mut() {
            document.also_at = catalog.also_at(document.document)?;
        }
        Ok::<_, CatalogError>(documents)
    });
    Ok(read.await?)
}

fn by_item(hits: &[VectorHit]) -> HashMap<ItemKey, Vec<(ChunkKey, f32)>> {
    let mut chunks: HashMap<ItemKey, Vec<(ChunkKey, f32)>> = HashMap::new();
    for hit in hits {
        chunks.entry(hit.item).or_default().push((hit.chunk, hit.similarity));
    }
    for found in chunks.values_mut() {
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
    chunks
}
