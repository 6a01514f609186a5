//! What a tenant holds that is near something which has just come.
//!
//! Called by: `app::stream`; `http`, for those who watch. Talks to: `app::search`.
//! Invariants: it looks with the rights of who is told, and never at the record's own document: what
//! a limited watcher is told neither shows nor is weighed by what they may not see; its queue is
//! bounded, and what finds no place in it is counted, not kept.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Message;
use crate::app::search::{self, SearchRequest};
use crate::app::{App, Error};
use crate::auth::{Read, Write};
use crate::tenant::{TenantEvent, TenantHandle};
use crate::types::{DocumentId, SearchFilter, SearchMode, SearchResult};

/// Records that wait to be looked up.
pub(super) const WAITING: usize = 32;
/// Finds told of one record.
const FINDS: usize = 3;
/// Words of a record that are looked for.
const WORDS: usize = 60;
/// Cosine similarity from which on a passage is near.
const NEAR: f64 = 0.4;
/// Normalised score of words from which on a document without vectors is near.
const NEAR_BY_WORDS: f64 = 0.5;

/// A record that was taken in.
pub(super) struct Arrived {
    pub(super) seq: u64,
    pub(super) document: DocumentId,
    pub(super) text: String,
}

/// Looks every record up that comes, until no more come or nobody listens.
pub(super) async fn run(
    app: Arc<App>,
    tenant: TenantHandle<Write>,
    mut arrived: mpsc::Receiver<Arrived>,
    told: mpsc::Sender<Message>,
) {
    while let Some(record) = arrived.recv().await {
        let query = words(&record.text);
        if query.is_empty() {
            continue;
        }
        // The sender is shown text, so it is on record as any search.
        let found = search::search(&app, &tenant, request(&app, query.clone()));
        let finds = match Box::pin(found).await.map(|found| near(found.results, record.document)) {
            Ok(finds) if finds.is_empty() => continue,
            Ok(finds) => finds,
            Err(error) => {
                // Too many queries at a time, say: the record itself is in all the same.
                tracing::debug!(tenant = %tenant.id(), "nothing was looked up for a record: {error}");
                continue;
            }
        };
        tenant.tell(TenantEvent::Related {
            document: record.document,
            query: query.into(),
            finds: finds.iter().map(|find| (find.document_id, find.score)).collect(),
        });
        let Arrived { seq, document, .. } = record;
        if told.send(Message::Related { seq, document, finds }).await.is_err() {
            return;
        }
    }
}

/// A document near one that has just come, as a watcher is told of it.
#[derive(Clone, Debug)]
pub struct RelatedFind {
    pub document: DocumentId,
    pub source: String,
    pub title: Option<String>,
    pub score: f64,
}

/// A document that has just come with what is near it, for a watcher: its source and `finds`. A
/// watcher who sees only some collections gets finds of their own. `None` where the document is not
/// in sight, or nothing near it.
///
/// # Errors
/// When the catalogue cannot be read, or too many look at a time.
pub async fn related(
    app: &Arc<App>,
    tenant: &TenantHandle<Read>,
    document: DocumentId,
    query: &str,
    finds: Vec<(DocumentId, f64)>,
) -> Result<Option<(String, Vec<RelatedFind>)>, Error> {
    let Some(of) = tenant.read(move |catalog| catalog.document(document)).await? else {
        return Ok(None);
    };
    let seen = if tenant.is_limited() {
        let found = Box::pin(search::find(app, tenant, request(app, query.to_owned()))).await?;
        near(found.results, document).into_iter().map(shown).collect()
    } else {
        in_catalogue(tenant, finds).await?
    };
    Ok((!seen.is_empty()).then_some((of.source, seen)))
}

fn shown(result: SearchResult) -> RelatedFind {
    let SearchResult { document_id, source, title, score, .. } = result;
    RelatedFind { document: document_id, source, title: Some(title), score }
}

async fn in_catalogue(
    tenant: &TenantHandle<Read>,
    finds: Vec<(DocumentId, f64)>,
) -> Result<Vec<RelatedFind>, Error> {
    let seen = tenant.read(move |catalog| {
        let mut seen = Vec::new();
        for (document, score) in finds {
            if let Some(row) = catalog.document(document)? {
                let (source, title) = (row.source, row.title);
                seen.push(RelatedFind { document, source, title, score });
            }
        }
        Ok(seen)
    });
    Ok(seen.await?)
}

/// What a record is looked up by.
fn request(app: &App, query: String) -> SearchRequest {
    let mode = if app.inference.is_ready() { SearchMode::Hybrid } else { SearchMode::Keyword };
    let filter = SearchFilter::default();
    SearchRequest { query, mode, limit: FINDS + 1, filter, group_similar: false }
}

/// The results that are near a record and are not the record itself.
fn near(mut results: Vec<SearchResult>, document: DocumentId) -> Vec<SearchResult> {
    results.retain(|result| result.document_id != document && is_near(result));
    results.truncate(FINDS);
    for result in &mut results {
        result.passages.truncate(1);
    }
    results
}

fn is_near(result: &SearchResult) -> bool {
    let parts = result.score_parts;
    match parts.vector {
        Some(similarity) => similarity >= NEAR,
        None => parts.keyword_normalised.is_some_and(|score| score >= NEAR_BY_WORDS),
    }
}

/// The first words of a text as a query in which no sign means anything.
fn words(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.len() <= 64)
        .take(WORDS)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_by_its_words_alone() {
        assert_eq!(words("-not \"a phrase\" title:word +must"), "not a phrase title word must");
        assert_eq!(words(" :-) "), "");
        assert_eq!(words(&"word ".repeat(500)).split(' ').count(), WORDS);
    }
}
