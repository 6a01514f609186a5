//! The two legs of retrieval.
//!
//! Called by: `app::search`. Talks to: full-text index, vector table, inference.
//! Invariants: both legs honour the same filter and the same required, excluded and field clauses,
//! and count nothing that the caller may not see.

use std::collections::HashSet;
use std::sync::Arc;

use super::statistics::Background;
use crate::app::{App, Error, blocking};
use crate::auth::CanRead;
use crate::tenant::{KeywordHits, Query, TenantHandle, VectorHit};
use crate::types::{ItemKey, Language, SearchFilter, VisibleItems};

/// Hits each leg contributes. Fusion normalises over what both legs found, so the depth matters
/// as much as the formula; a thousand is where quality stops growing on the measured sets.
pub(super) const DEPTH: usize = 1000;

/// What both legs need to know.
pub(super) struct Legs<'a, A> {
    pub(super) app: &'a Arc<App>,
    pub(super) tenant: &'a TenantHandle<A>,
    pub(super) query: Arc<Query>,
    pub(super) filter: SearchFilter,
    /// What a limited caller may see: both legs look at nothing else.
    pub(super) visible: Option<VisibleItems>,
    pub(super) languages: Vec<Language>,
    pub(super) depth: usize,
}

/// What the vector leg found.
pub(super) struct VectorLeg {
    pub(super) hits: Vec<VectorHit>,
    /// Similarity of unrelated text to this query, for normalisation.
    pub(super) background: Background,
    pub(super) embedded: Vec<f32>,
}

impl<A: CanRead> Legs<'_, A> {
    /// BM25 over whole documents.
    pub(super) async fn keyword(&self) -> Result<KeywordHits, Error> {
        let (handle, query, filter, visible, languages, depth) = (
            self.tenant.clone(),
            self.query.clone(),
            self.filter.clone(),
            self.visible.clone(),
            self.languages.clone(),
            self.depth,
        );
        blocking(move || {
            let (fulltext, visible) = (handle.fulltext()?, visible.as_ref());
            Ok(fulltext.search_documents(&query, &filter, visible, &languages, depth)?)
        })
        .await
    }

    /// Cosine similarity of chunks.
    pub(super) async fn vector(&self) -> Result<VectorLeg, Error> {
        let embedder = self.app.inference.embedder()?;
        let embedded = embedder.embed_query(self.query.text()).await?;
        let Some(vectors) = self.tenant.vectors().await? else {
            return Err(Error::VectorsUnavailable {
                detail: "No embedding model is available.".to_owned(),
            });
        };
        let mut hits =
            vectors.nearest(&embedded, &self.filter, self.visible.as_ref(), self.depth).await?;
        if self.query.has_constraints() {
            let admitted = self.admitted(&hits).await?;
            hits.retain(|hit| admitted.contains(&hit.item));
        }
        let background =
            self.app.statistics.background(self.tenant, &embedder.info().id, &embedded).await?;
        Ok(VectorLeg { hits, background, embedded })
    }

    /// Items among `hits` that the query's required, excluded and field clauses admit.
    async fn admitted(&self, hits: &[VectorHit]) -> Result<HashSet<ItemKey>, Error> {
        let items: HashSet<ItemKey> = hits.iter().map(|hit| hit.item).collect();
        let items: Vec<ItemKey> = items.into_iter().collect();
        let (handle, query, filter, languages) =
            (self.tenant.clone(), self.query.clone(), self.filter.clone(), self.languages.clone());
        blocking(move || Ok(handle.fulltext()?.admitted(&query, &filter, &languages, &items)?))
            .await
    }
}
