//! What a tenant holds that is near something which has just come.
//!
//! Called by: `app::stream`. Talks to: `app::search`.
//! Invariants: it looks with the rights of who sent the record, and never at the record's own
//! document; its queue is bounded, and what finds no place in it is counted, not kept.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Message;
use crate::app::search::{self, SearchRequest};
use crate::app::{App, Error};
use crate::auth::Write;
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
        let finds = match Box::pin(finds(&app, &tenant, &record)).await {
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
            finds: finds.iter().map(|find| (find.document_id, find.score)).collect(),
        });
        let Arrived { seq, document, .. } = record;
        if told.send(Message::Related { seq, document, finds }).await.is_err() {
            return;
        }
    }
}

async fn finds(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    record: &Arrived,
) -> Result<Vec<SearchResult>, Error> {
    let query = words(&record.text);
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let mode = if app.inference.is_ready() { SearchMode::Hybrid } else { SearchMode::Keyword };
    let request = SearchRequest {
        query,
        mode,
        limit: FINDS + 1,
        filter: SearchFilter::default(),
        group_similar: false,
    };
    let mut results = search::search(app, tenant, request).await?.results;
    results.retain(|result| result.document_id != record.document && is_near(result));
    results.truncate(FINDS);
    for result in &mut results {
        result.passages.truncate(1);
    }
    Ok(results)
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
