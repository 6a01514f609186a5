//! Stages three and four: embeddings into the catalogue, vectors into the table, in groups, and
//! the flip to "found by meaning".
//!
//! Called by: `app::index`. Talks to: inference, catalogue, vector table.
//! Invariants: an embedding is in the catalogue before its vector is appended, and the append is
//! durable before the catalogue flips; a rerun removes what a crash left behind first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::{HEARTBEAT, LEASE, Progress, claim, give_back, groups, put_back};
use crate::app::{App, Error};
use crate::auth::Write;
use crate::failpoint::Failpoint;
use crate::tenant::{
    ClaimedJob, HEADING_SEPARATOR, JobKind, StoredChunk, TenantHandle, VectorPlace, VectorRow,
    VectorSource, Vectors,
};
use crate::types::{ChunkKey, ItemKey};

/// Documents whose jobs are claimed at once.
const CLAIM: usize = 64;

/// Chunks embedded between two commits of their embeddings.
const WINDOW: usize = 128;

/// Longest title given to the embedder with each chunk, in bytes.
const TITLE_BYTES: usize = 200;

/// Longest heading path given to the embedder with each chunk, in bytes.
const HEADING_BYTES: usize = 120;

/// The text embedded for a chunk. A passage out of the middle of a document means little without
/// what the document is about, so title and innermost headings go first.
pub fn input_text(title: &str, heading: Option<&str>, text: &str) -> String {
    let title = &title[..title.floor_char_boundary(TITLE_BYTES)];
    let mut input = String::with_capacity(title.len() + text.len() + 64);
    input.push_str(title);
    let mut room = HEADING_BYTES;
    let inner: Vec<&str> = heading
        .unwrap_or_default()
        .rsplit(HEADING_SEPARATOR)
        .filter(|heading| !heading.is_empty() && *heading != title)
        .take_while(|heading| {
            let fits = heading.len() <= room;
            room = room.saturating_sub(heading.len());
            fits
        })
        .collect();
    for heading in inner.into_iter().rev() {
        input.push_str(". ");
        input.push_str(heading);
    }
    input.push_str(". ");
    input.push_str(text);
    input
}

pub(super) async fn run(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<Progress, Error> {
    if !app.inference.is_ready() {
        return Ok(Progress::Idle);
    }
    let jobs = claim(tenant, JobKind::Embed, CLAIM).await?;
    if jobs.is_empty() {
        return Ok(Progress::Idle);
    }
    if jobs.len() == CLAIM {
        // There may be more: the other worker of the lane can take it at once.
        app.schedule.wake_for(JobKind::Embed, tenant.id());
    }
    let began = Instant::now();
    let mut groups = groups(&jobs);
    while let Some(jobs) = groups.next() {
        let mut group = Group::new(app, tenant, jobs, began);
        let outcome = group.run().await;
        let mut unfinished = group.unfinished;
        if let Err(error) = outcome {
            give_back(app, tenant, JobKind::Embed, unfinished, &error).await?;
            unfinished = Vec::new();
        }
        if app.schedule.should_yield(JobKind::Embed, tenant.id(), began) {
            unfinished.extend(groups.by_ref().flatten().cloned());
        }
        if !unfinished.is_empty() {
            put_back(tenant, unfinished).await?;
        }
    }
    Ok(Progress::Busy)
}

/// A batch of claimed jobs on its way into the vector table.
struct Group<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantHandle<Write>,
    /// Claimed and not yet flipped.
    unfinished: Vec<ClaimedJob>,
    /// Vectors that wait for the next append, and the jobs that append completes.
    rows: Vec<VectorRow>,
    complete: Vec<ClaimedJob>,
    /// Rows that searches see of items that were read again or moved, and those of them that stay.
    present: HashMap<ChunkKey, VectorPlace>,
    kept: HashSet<ChunkKey>,
    renewed: Instant,
    /// When the unit began that the group is part of.
    began: Instant,
}

impl<'a> Group<'a> {
    fn new(
        app: &'a Arc<App>,
        tenant: &'a TenantHandle<Write>,
        jobs: &[ClaimedJob],
        began: Instant,
    ) -> Self {
        Self {
            app,
            tenant,
            unfinished: jobs.to_vec(),
            rows: Vec::new(),
            complete: Vec::new(),
            present: HashMap::new(),
            kept: HashSet::new(),
            renewed: Instant::now(),
            began,
        }
    }

    /// Embeds the jobs, or as many of them as others leave time for; the rest stays unfinished.
    async fn run(&mut self) -> Result<(), Error> {
        self.make_way().await?;
        let jobs = self.unfinished.clone();
        let mut next = 0;
        while next < jobs.len() {
            // Small documents share a window, so that one batch serves many of them.
            let mut window = Vec::new();
            let mut sources = HashMap::new();
            let first = next;
            while next < jobs.len() && window.len() < WINDOW {
                let item = jobs[next].item;
                if let Some((source, chunks)) = self.load(item, 0).await? {
                    if chunks.len() == WINDOW {
                        break;
                    }
                    window.extend(chunks);
                    sources.insert(item, source);
                }
                next += 1;
            }
            self.embed(&window, &sources).await?;
            self.complete.extend_from_slice(&jobs[first..next]);
            if next < jobs.len() && first == next {
                if !self.embed_long(&jobs[next]).await? {
                    break;
                }
                next += 1;
            }
            if self.rows.len() >= self.app.ingest.group_chunks {
                self.append().await?;
            }
            if self.should_yield() {
                break;
            }
        }
        self.append().await
    }

    /// Removes rows that a crash or a rebuild may have left; none is the usual case and costs no
    /// commit. Of an item that searches see, because it was read again, the rows stay until those
    /// that it lacks are there.
    async fn make_way(&mut self) -> Result<(), Error> {
        let vectors = self.vectors().await?;
        let items: Vec<ItemKey> = self.unfinished.iter().map(|job| job.item).collect();
        let asked = items.clone();
        let ready = self.tenant.read(move |catalog| catalog.ready_items(&asked)).await?;
        let seen = ready.iter().filter(|ready| ready.in_vectors).map(|ready| ready.item);
        let seen: HashSet<ItemKey> = seen.collect();
        let (seen, unseen): (Vec<_>, Vec<_>) = items.iter().partition(|item| seen.contains(item));
        vectors.remove_items(&unseen).await?;
        let present = vectors.places_of(&seen).await?.into_iter();
        self.present = present.map(|place| (place.chunk, place)).collect();
        Ok(())
    }

    fn should_yield(&self) -> bool {
        self.app.schedule.should_yield(JobKind::Embed, self.tenant.id(), self.began)
    }

    /// Embeds a document of many windows, appending as it goes so that memory stays bounded; false
    /// where it has to go on in a later unit, which finds what was embedded in the catalogue.
    async fn embed_long(&mut self, job: &ClaimedJob) -> Result<bool, Error> {
        if !self.store_missing(job).await? {
            return Ok(false);
        }
        let mut ordinal = 0;
        while let Some((source, chunks)) = self.load(job.item, ordinal).await? {
            let Some(last) = chunks.last() else { break };
            ordinal = last.ordinal + 1;
            self.embed(&chunks, &HashMap::from([(job.item, source)])).await?;
            if self.rows.len() >= self.app.ingest.group_chunks {
                self.append().await?;
            }
        }
        self.complete.push(job.clone());
        Ok(true)
    }

    /// Embeds and stores what a document lacks, without rows; false where its time ran out.
    async fn store_missing(&mut self, job: &ClaimedJob) -> Result<bool, Error> {
        let item = job.item;
        let model = self.app.inference.embedder()?.info().id.clone();
        let mut ordinal = 0;
        loop {
            let wanted = model.clone();
            let found = self
                .tenant
                .read(move |catalog| {
                    let Some(source) = catalog.vector_source(item)? else {
                        return Ok(None);
                    };
                    let chunks = catalog.item_chunks_to_embed(item, &wanted, ordinal, WINDOW)?;
                    Ok(Some((source, chunks)))
                })
                .await?;
            let Some((source, chunks)) = found else { return Ok(true) };
            let Some(last) = chunks.last() else { return Ok(true) };
            ordinal = last.ordinal + 1;
            self.embeddings(&chunks, &HashMap::from([(item, source)])).await?;
            if self.should_yield() {
                return Ok(false);
            }
        }
    }

    async fn load(
        &self,
        item: ItemKey,
        first_ordinal: u32,
    ) -> Result<Option<(VectorSource, Vec<StoredChunk>)>, Error> {
        Ok(self
            .tenant
            .read(move |catalog| {
                let Some(source) = catalog.vector_source(item)? else {
                    return Ok(None);
                };
                Ok(Some((source, catalog.item_chunks(item, first_ordinal, WINDOW)?)))
            })
            .await?)
    }

    /// Embeds what has no embedding yet, stores it, and queues the rows.
    async fn embed(
        &mut self,
        chunks: &[StoredChunk],
        sources: &HashMap<ItemKey, VectorSource>,
    ) -> Result<(), Error> {
        if chunks.is_empty() {
            return Ok(());
        }
        let known = self.embeddings(chunks, sources).await?;
        for chunk in chunks {
            let (Some(source), Some(vector)) = (sources.get(&chunk.item), known.get(&chunk.input))
            else {
                continue;
            };
            if self.present.get(&chunk.key).is_some_and(|place| place.source == source.source) {
                self.kept.insert(chunk.key);
                continue;
            }
            self.rows.push(VectorRow {
                chunk: chunk.key,
                item: chunk.item,
                source: source.source.as_str().into(),
                media_type: source.media_type.as_str().into(),
                date_us: source.date.as_microsecond(),
                vector: vector.clone(),
            });
        }
        Ok(())
    }

    /// Embeddings of chunks by input; those that were missing are computed and stored.
    async fn embeddings(
        &mut self,
        chunks: &[StoredChunk],
        sources: &HashMap<ItemKey, VectorSource>,
    ) -> Result<HashMap<Vec<u8>, Vec<f32>>, Error> {
        self.heartbeat().await?;
        let embedder = self.app.inference.embedder()?;
        let model = embedder.info().id.clone();
        let inputs: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.input.clone()).collect();
        let wanted = model.clone();
        let mut known =
            self.tenant.read(move |catalog| catalog.embeddings(&wanted, &inputs)).await?;
        let mut seen = HashSet::new();
        let fresh: Vec<&StoredChunk> = chunks
            .iter()
            .filter(|chunk| !known.contains_key(&chunk.input) && seen.insert(&chunk.input))
            .collect();
        if !fresh.is_empty() {
            let texts: Vec<String> = fresh
                .iter()
                .map(|chunk| {
                    let title = sources.get(&chunk.item).map_or("", |source| &source.title);
                    input_text(title, chunk.heading.as_deref(), &chunk.text)
                })
                .collect();
            let vectors = embedder.embed_passages(&texts).await?;
            let stored: Vec<(Vec<u8>, Vec<f32>)> =
                fresh.iter().map(|chunk| chunk.input.clone()).zip(vectors).collect();
            known.extend(stored.iter().cloned());
            self.tenant.write(move |catalog| catalog.store_embeddings(&model, &stored)).await?;
        }
        self.tenant.faults().pass(Failpoint::Embedded).map_err(Error::Fault)?;
        Ok(known)
    }

    /// Appends the queued rows and flips the jobs they complete.
    async fn append(&mut self) -> Result<(), Error> {
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            // Those of a document that moved take the place of the ones that name where it was.
            let moved = rows.iter().filter_map(|row| self.present.remove(&row.chunk));
            let moved: Vec<ChunkKey> = moved.map(|place| place.chunk).collect();
            let vectors = self.vectors().await?;
            vectors.remove_chunks(&moved).await?;
            vectors.append(rows).await?;
            self.tenant.faults().pass(Failpoint::VectorsAppended).map_err(Error::Fault)?;
        }
        if self.complete.is_empty() {
            return Ok(());
        }
        let done = std::mem::take(&mut self.complete);
        let finished: HashSet<ItemKey> = done.iter().map(|job| job.item).collect();
        let gone: Vec<ChunkKey> = self
            .present
            .extract_if(|_, place| finished.contains(&place.item))
            .map(|(chunk, _)| chunk)
            .filter(|chunk| !self.kept.contains(chunk))
            .collect();
        self.vectors().await?.remove_chunks(&gone).await?;
        let items = done.iter().map(|job| job.item).collect();
        let keys: HashSet<i64> = done.iter().map(|job| job.key).collect();
        self.tenant.write(move |catalog| catalog.vectors_ready(&done)).await?;
        self.unfinished.retain(|job| !keys.contains(&job.key));
        self.tenant.announce(items);
        Ok(())
    }

    async fn vectors(&self) -> Result<Vectors, Error> {
        self.tenant.vectors().await?.ok_or_else(|| Error::VectorsUnavailable {
            detail: "No embedding model is available.".to_owned(),
        })
    }

    async fn heartbeat(&mut self) -> Result<(), Error> {
        if self.renewed.elapsed() > HEARTBEAT {
            let jobs = self.unfinished.clone();
            self.tenant.write(move |catalog| catalog.renew_jobs(&jobs, LEASE)).await?;
            self.renewed = Instant::now();
        }
        Ok(())
    }
}
