//! Near-duplicates in results: the best of each group stands for the others.
//!
//! Called by: `app::search`. Talks to: catalogue.
//! Invariants: the order of what is left is that of the ranking; a caller is told only of
//! documents within sight, and nothing out of sight decides which of them belong together.

use std::collections::{HashMap, HashSet};

use super::Ranked;
use super::fusion::Scored;
use crate::app::Error;
use crate::auth::CanRead;
use crate::similarity::likeness;
use crate::tenant::{CatalogError, TenantHandle};
use crate::types::{ItemKey, SimilarResult};

/// Ranked items among which groups are looked for, beyond which results may repeat.
const DEPTH: usize = 1000;
/// Near-duplicates named beside a result.
const NAMED: usize = 20;

/// The first `limit` items of the ranking, without those that an earlier one stands for.
pub(super) async fn first_of_each<A: CanRead>(
    tenant: &TenantHandle<A>,
    mut scored: Vec<Scored>,
    limit: usize,
) -> Result<Vec<Scored>, Error> {
    let items: Vec<ItemKey> =
        scored.iter().take(DEPTH.max(limit)).map(|scored| scored.item).collect();
    let limited = tenant.is_limited();
    let clusters = tenant.read(move |catalog| match limited {
        true => catalog.clusters_in_sight(&items),
        false => {
            let clusters = catalog.clusters(&items)?.into_iter();
            Ok(clusters.map(|(item, cluster)| (item, (cluster, cluster))).collect())
        }
    });
    let clusters = clusters.await?;
    let mut seen = HashSet::new();
    scored.retain(|scored| clusters.get(&scored.item).is_none_or(|cluster| seen.insert(*cluster)));
    scored.truncate(limit);
    Ok(scored)
}

/// What each shown item stands for.
pub(super) async fn others<A: CanRead>(
    tenant: &TenantHandle<A>,
    ranked: &[Ranked],
) -> Result<HashMap<ItemKey, Vec<SimilarResult>>, Error> {
    let items: Vec<ItemKey> = ranked.iter().map(|ranked| ranked.document.item).collect();
    let limited = tenant.is_limited();
    let read = tenant.read(move |catalog| {
        let mut others = HashMap::new();
        for item in items {
            let similar = match limited {
                true => catalog.similar_documents_in_sight(item, NAMED)?,
                false => catalog.similar_documents(item, NAMED)?,
            };
            if similar.is_empty() {
                continue;
            }
            let own = catalog.signature(item)?.unwrap_or_default();
            let mut named: Vec<SimilarResult> = similar
                .into_iter()
                .map(|similar| SimilarResult {
                    document_id: similar.document,
                    source: similar.source,
                    similarity: likeness(&own, &similar.hashes),
                })
                .collect();
            named.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
            others.insert(item, named);
        }
        Ok::<_, CatalogError>(others)
    });
    Ok(read.await?)
}
