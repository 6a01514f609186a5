//! Answering from the documents alone: the best sentences, each with its citation, or a plain
//! "not found".
//!
//! Called by: `http`. Talks to: `app::search`, inference.
//! Invariants: an answer holds nothing but sentences of the tenant's documents; every sentence is
//! cited by document, offsets, page and date; too little support gives no answer at all.

mod evidence;
mod sentences;
mod support;

use std::sync::Arc;
use std::time::Instant;

use super::audit::{self, Action, Event};
use super::search::{self, SearchRequest};
use super::{App, Error};
use crate::auth::CanRead;
use crate::tenant::TenantHandle;
use crate::types::{Answer, Citation, Evidence, SearchFilter, SearchMode};

pub use support::{THRESHOLD, support};

use evidence::Candidate;

/// Documents whose passages are looked through for an answer.
const DOCUMENTS: usize = 8;

/// Sentences in an answer.
const SENTENCES: usize = 3;

/// A further sentence is given only if it scores at least this share of the best one.
const FURTHER: f64 = 0.85;

/// What is said where nothing supports an answer.
const NOT_FOUND: &str = "Not found in this tenant.";

/// Answers a question.
///
/// # Errors
/// `VectorsUnavailable` where no embedding model works: support cannot be judged without it;
/// `Quota` where the tenant runs as many queries as it may.
pub async fn ask<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    question: String,
) -> Result<Answer, Error> {
    let event = Event::new(Action::Ask).about(&question);
    let answered = Box::pin(answer(app, tenant, question)).await;
    let event = match &answered {
        Err(_) => event,
        Ok(answer) => {
            let cited = answer.citations.iter().map(|citation| citation.document_id);
            event.with("found", answer.found).with("documents", search::named(cited))
        }
    };
    audit::concluded(tenant, event, answered).await
}

async fn answer<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    question: String,
) -> Result<Answer, Error> {
    let started = Instant::now();
    let _place = app.standing(tenant.id()).await?.query_place().await?;
    let examined = examine(app, tenant, &question).await?;
    let support = support(&examined.evidence);
    let found = support >= THRESHOLD && !examined.candidates.is_empty();
    let citations = if found { cite(&examined.candidates) } else { Vec::new() };
    let answer = if found {
        citations.iter().map(|citation| citation.text.as_str()).collect::<Vec<_>>().join(" ")
    } else {
        NOT_FOUND.to_owned()
    };
    Ok(Answer {
        question,
        found,
        answer,
        citations,
        support,
        threshold: THRESHOLD,
        evidence: examined.evidence,
        notices: examined.notices,
        took_ms: started.elapsed().as_secs_f64() * 1e3,
    })
}

/// What the documents offer for a question, before it is decided whether that suffices.
struct Examined {
    evidence: Evidence,
    candidates: Vec<Candidate>,
    notices: Vec<String>,
}

/// Retrieves passages for a question and scores their sentences.
///
/// # Errors
/// `VectorsUnavailable` where no embedding model works.
async fn examine<A: CanRead>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    question: &str,
) -> Result<Examined, Error> {
    let request = SearchRequest {
        query: question.to_owned(),
        mode: SearchMode::Hybrid,
        limit: DOCUMENTS,
        filter: SearchFilter::default(),
        group_similar: false,
    };
    app.inference.embedder()?;
    let retrieved = search::retrieve(app, tenant, &request).await?;
    let passages = search::choose_chunks(tenant, &retrieved).await?;
    let candidates = evidence::candidates(app, tenant, &retrieved, passages).await?;
    let evidence = evidence::weigh(&retrieved, &candidates);
    Ok(Examined { evidence, candidates, notices: retrieved.notices })
}

/// The best sentences, best first, without repeating one.
fn cite(candidates: &[Candidate]) -> Vec<Citation> {
    let mut chosen: Vec<&Candidate> = Vec::new();
    let best = candidates.first().map_or(0.0, |candidate| candidate.score);
    for candidate in candidates {
        if chosen.len() == SENTENCES || candidate.score < best * FURTHER {
            break;
        }
        if !chosen.iter().any(|other| other.repeats(candidate)) {
            chosen.push(candidate);
        }
    }
    chosen.into_iter().map(Candidate::citation).collect()
}
