//! Near-duplicates: items whose texts have nearly the same words in the same order.
//!
//! Called by: `app::index`, `app::search`. Talks to: `signature`, `signature_band`.
//! Invariants: two items share a cluster exactly where a chain of near-duplicates links them, but
//! for clusters too large to be taken apart again; how many items one is compared with is bounded.
//! To whoever sees some documents only, no chain counts that leads through another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{params, params_from_iter};

use super::rows::{id, placeholders};
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::similarity::{Signature, THRESHOLD, likeness};
use crate::types::{DocumentId, ItemKey};

/// Items looked at per band, the oldest first.
const PER_BAND: i64 = 32;
/// Clusters above this size stay together when an item leaves: taking them apart compares every
/// item with every other.
const MAX_TAKEN_APART: usize = 200;
/// Items of a cluster that are compared for whoever does not see all of it; others stand alone.
const MAX_COMPARED: usize = 1000;

/// A document nearly the same as another.
#[derive(Clone, Debug)]
pub struct SimilarDocument {
    pub item: ItemKey,
    pub document: DocumentId,
    pub source: String,
    pub hashes: Vec<u8>,
}

impl CatalogReader<'_> {
    /// The clusters of those of `items` that have one.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn clusters(&self, items: &[ItemKey]) -> Result<HashMap<ItemKey, i64>, CatalogError> {
        let mut clusters = HashMap::new();
        for group in items.chunks(500) {
            clusters.extend(self.all(
                "read clusters",
                &format!(
                    "SELECT item, cluster FROM signature WHERE item IN ({})",
                    placeholders(group.len())
                ),
                params_from_iter(group.iter().map(|key| key.0)),
                |row| Ok((ItemKey(row.get(0)?), row.get(1)?)),
            )?);
        }
        Ok(clusters)
    }

    /// The hashes of an item's text.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn signature(&self, item: ItemKey) -> Result<Option<Vec<u8>>, CatalogError> {
        self.one(
            "read a signature",
            "SELECT hashes FROM signature WHERE item = ?1",
            [item.0],
            |row| row.get(0),
        )
    }

    /// Documents shown in searches that are in the cluster of `item`, without itself.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn similar_documents(
        &self,
        item: ItemKey,
        limit: usize,
    ) -> Result<Vec<SimilarDocument>, CatalogError> {
        self.all(
            "list similar documents",
            "SELECT s.item, d.id, d.source, s.hashes FROM signature own \
             JOIN signature s ON s.cluster = own.cluster AND s.item <> own.item \
             JOIN item i ON i.key = s.item JOIN document d ON d.key = i.document \
             WHERE own.item = ?1 AND d.deleted_at IS NULL \
             AND (d.fulltext_item = i.key OR d.vector_item = i.key) \
             ORDER BY d.key LIMIT ?2",
            params![item.0, limit as i64],
            |row| {
                Ok(SimilarDocument {
                    item: ItemKey(row.get(0)?),
                    document: id(row, 1)?,
                    source: row.get(2)?,
                    hashes: row.get(3)?,
                })
            },
        )
    }

    /// The same by what is in sight alone.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn similar_documents_in_sight(
        &self,
        item: ItemKey,
        limit: usize,
    ) -> Result<Vec<SimilarDocument>, CatalogError> {
        let Some(cluster) = self.cluster(item)? else { return Ok(Vec::new()) };
        let linked = self.linked_in_sight(cluster)?;
        let Some(own) = linked.get(&item) else { return Ok(Vec::new()) };
        let mut similar = self.similar_documents(item, MAX_COMPARED)?;
        similar.retain(|similar| linked.get(&similar.item) == Some(own));
        similar.truncate(limit);
        Ok(similar)
    }

    /// What of `items` belongs together by what is in sight alone: a cluster, and the part of it
    /// that is left where nothing else links it.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn clusters_in_sight(
        &self,
        items: &[ItemKey],
    ) -> Result<HashMap<ItemKey, (i64, i64)>, CatalogError> {
        let mut together: BTreeMap<i64, Vec<ItemKey>> = BTreeMap::new();
        for (item, cluster) in self.clusters(items)? {
            together.entry(cluster).or_default().push(item);
        }
        let mut parts = HashMap::new();
        for (cluster, items) in together {
            let linked = match items.len() {
                1 => HashMap::new(),
                _ => self.linked_in_sight(cluster)?,
            };
            for item in items {
                parts.insert(item, (cluster, linked.get(&item).map_or(item.0, |part| part.0)));
            }
        }
        Ok(parts)
    }

    /// Those of a cluster that are in sight, each with the first that a chain of them links it to.
    fn linked_in_sight(&self, cluster: i64) -> Result<HashMap<ItemKey, ItemKey>, CatalogError> {
        let members = linked(&self.members(cluster, MAX_COMPARED)?);
        Ok(members.into_iter().map(|(item, first)| (ItemKey(item), ItemKey(first))).collect())
    }

    fn cluster(&self, item: ItemKey) -> Result<Option<i64>, CatalogError> {
        self.one(
            "read a cluster",
            "SELECT cluster FROM signature WHERE item = ?1",
            [item.0],
            |row| row.get(0),
        )
    }

    /// Items of a cluster with their hashes, the oldest first.
    fn members(&self, cluster: i64, limit: usize) -> Result<Vec<(i64, Vec<u8>)>, CatalogError> {
        self.all(
            "list a cluster",
            "SELECT item, hashes FROM signature WHERE cluster = ?1 ORDER BY item LIMIT ?2",
            params![cluster, limit as i64],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}

impl CatalogWriter<'_> {
    /// Stores what an item's text is compared by and joins the clusters of those it is
    /// nearly the same as. An item whose text is gone gets none.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn store_signature(
        &self,
        item: ItemKey,
        signature: Option<&Signature>,
    ) -> Result<(), CatalogError> {
        if let (Some(new), Some(stored)) = (signature, self.signature(item)?)
            && new.hashes == stored
        {
            return Ok(());
        }
        self.clear_signature(item)?;
        let Some(signature) = signature else { return Ok(()) };
        let stored = self.execute(
            "store a signature",
            "INSERT INTO signature (item, hashes, cluster) SELECT ?1, ?2, ?1 \
             WHERE EXISTS (SELECT 1 FROM text WHERE item = ?1)",
            params![item.0, signature.hashes],
        )?;
        if stored == 0 {
            return Ok(());
        }
        for candidate in self.candidates(item, signature)? {
            let other = self.one(
                "read a signature to compare",
                "SELECT hashes, cluster FROM signature WHERE item = ?1",
                [candidate],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)),
            )?;
            if let Some((hashes, cluster)) = other
                && likeness(&hashes, &signature.hashes) >= THRESHOLD
            {
                self.join_clusters(item, cluster)?;
            }
        }
        for band in &signature.bands {
            self.execute(
                "store a band of a signature",
                "INSERT OR IGNORE INTO signature_band (digest, item) VALUES (?1, ?2)",
                params![band, item.0],
            )?;
        }
        Ok(())
    }

    /// Items that share a band with a signature.
    fn candidates(
        &self,
        item: ItemKey,
        signature: &Signature,
    ) -> Result<BTreeSet<i64>, CatalogError> {
        let mut candidates = BTreeSet::new();
        for band in &signature.bands {
            candidates.extend(self.all(
                "find similar items",
                "SELECT item FROM signature_band WHERE digest = ?1 AND item <> ?2 LIMIT ?3",
                params![band, item.0, PER_BAND],
                |row| row.get::<_, i64>(0),
            )?);
        }
        Ok(candidates)
    }

    fn join_clusters(&self, item: ItemKey, other: i64) -> Result<(), CatalogError> {
        self.execute(
            "join clusters",
            "UPDATE signature SET cluster = ?2 \
             WHERE cluster = (SELECT cluster FROM signature WHERE item = ?1) AND cluster <> ?2",
            params![item.0, other],
        )?;
        Ok(())
    }

    /// Removes what an item's text is compared by, and takes its cluster apart where it held it
    /// together.
    pub(super) fn clear_signature(&self, item: ItemKey) -> Result<(), CatalogError> {
        let Some(cluster) = self.cluster(item)? else { return Ok(()) };
        self.execute(
            "remove the bands of a signature",
            "DELETE FROM signature_band WHERE item = ?1",
            [item.0],
        )?;
        self.execute("remove a signature", "DELETE FROM signature WHERE item = ?1", [item.0])?;
        let members = self.members(cluster, MAX_TAKEN_APART + 1)?;
        if members.len() > MAX_TAKEN_APART {
            return Ok(());
        }
        for (member, cluster) in linked(&members) {
            self.execute(
                "set a cluster",
                "UPDATE signature SET cluster = ?2 WHERE item = ?1 AND cluster <> ?2",
                [member, cluster],
            )?;
        }
        Ok(())
    }
}

/// Each member with the first one that a chain of likeness links it to.
fn linked(members: &[(i64, Vec<u8>)]) -> Vec<(i64, i64)> {
    let mut cluster_of: Vec<Option<i64>> = vec![None; members.len()];
    for first in 0..members.len() {
        if cluster_of[first].is_some() {
            continue;
        }
        cluster_of[first] = Some(members[first].0);
        let mut reached = vec![first];
        while let Some(at) = reached.pop() {
            for other in 0..members.len() {
                if cluster_of[other].is_none()
                    && likeness(&members[at].1, &members[other].1) >= THRESHOLD
                {
                    cluster_of[other] = Some(members[first].0);
                    reached.push(other);
                }
            }
        }
    }
    members.iter().zip(cluster_of).map(|((key, _), own)| (*key, own.unwrap_or(*key))).collect()
}
