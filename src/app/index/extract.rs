//! Stage one: bytes to text and chunks, in a child process; children become items of their own.
//!
//! Called by: `app::index`. Talks to: extraction pool, blobs, catalogue.
//! Invariants: children are durable before their parent counts as read, so a crash in between
//! reads the parent again and finds them unchanged; a child beyond the tenant's limits is in the
//! ledger as failed, and its bytes are not kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{HEARTBEAT, LEASE, Progress, claim, compress, give_back, put_back};
use crate::app::quota::Hold;
use crate::app::{App, Error};
use crate::auth::Write;
use crate::chunk;
use crate::extract::{ExtractLimits, ExtractRequest, Passwords};
use crate::extraction::ChildSink;
use crate::failpoint::Failpoint;
use crate::tenant::{
    Amounts, CatalogError, CatalogWriter, ChunkInput, ClaimedJob, ExtractInput, ExtractionRecord,
    JobKind, NewDrop, OutlineEntry, StoredBlob, TenantHandle, Unreadable, heading_path,
};
use crate::types::{
    ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument, ItemKey, ItemState,
    Language, Limits,
};

/// Jobs claimed at once by one worker: few, so that workers share the queue evenly.
const CLAIM: usize = 8;

/// A file that takes longer than this is slow: what was claimed with it is given to others.
const SLOW: Duration = Duration::from_secs(1);

/// Children taken in per transaction.
const CHILD_GROUP: usize = 256;

/// Bytes of children per transaction, beyond its last one. It is also what a tenant may be over
/// its limit for a moment, since a child's size is known only when it was read.
const CHILD_GROUP_BYTES: u64 = 64 << 20;

/// Reason of a child that a limit of the tenant keeps out.
const REFUSED: &str = "quota";

/// Bytes of text that are enough to tell its language.
const LANGUAGE_SAMPLE_BYTES: usize = 8 << 10;

/// Longest title, in scalar values.
const TITLE_CHARS: usize = 300;

pub(super) async fn run(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<Progress, Error> {
    let jobs = claim(tenant, JobKind::Extract, CLAIM).await?;
    if jobs.is_empty() {
        return Ok(Progress::Idle);
    }
    if jobs.len() == CLAIM {
        // There may be more: another worker of the lane can take it at once.
        app.schedule.wake_for(JobKind::Extract, tenant.id());
    }
    let began = Instant::now();
    for (at, job) in jobs.iter().enumerate() {
        let (outcome, alone) = patiently(app, tenant, job, &jobs[at + 1..]).await?;
        if let Err(error) = outcome {
            give_back(app, tenant, JobKind::Extract, vec![job.clone()], &error).await?;
        }
        if alone {
            break;
        }
        if app.schedule.should_yield(JobKind::Extract, tenant.id(), began) {
            put_back(tenant, jobs[at + 1..].to_vec()).await?;
            break;
        }
    }
    Ok(Progress::Busy)
}

/// Reads one file. When it turns out slow, `others` go back in the line for another worker, which
/// the flag in the answer tells, and the lease is renewed for as long as it takes.
async fn patiently(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
    others: &[ClaimedJob],
) -> Result<(Result<(), Error>, bool), Error> {
    let mut reading = std::pin::pin!(extract_one(app, tenant, job));
    let (mut patience, mut alone) = (SLOW, false);
    loop {
        if let Ok(outcome) = tokio::time::timeout(patience, &mut reading).await {
            return Ok((outcome, alone));
        }
        let (own, rest) = (job.clone(), if alone { Vec::new() } else { others.to_vec() });
        tenant
            .write(move |catalog| {
                for job in &rest {
                    catalog.return_job(job, SignedDuration::ZERO, "", false)?;
                }
                catalog.renew_jobs(&[own], LEASE).map(drop)
            })
            .await?;
        app.schedule.wake_for(JobKind::Extract, tenant.id());
        (patience, alone) = (HEARTBEAT, true);
    }
}

async fn extract_one(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
) -> Result<(), Error> {
    let item = job.item;
    let input = tenant.read(move |catalog| catalog.extract_input(item)).await?;
    let Some(input) = input.filter(|input| input.is_current) else {
        return Ok(());
    };
    let mut source = tenant.blobs()?.read(&input.blob).await?;
    let request = ExtractRequest {
        name: input.source.clone(),
        media_type: input.declared_type.clone(),
        format: input.format,
        passwords: Passwords::default(),
        limits: limits(app),
    };
    let mut children =
        ChildIntake { app, tenant, parent: &input, group: Vec::new(), job: job.clone() };
    let extracted = app.extraction.extract(tenant.id(), request, &mut source, &mut children).await;
    children.flush().await?;
    match extracted? {
        Ok(document) => record(app, tenant, job, &input, document).await,
        Err(failure) => record_unreadable(tenant, job, unreadable(&failure)).await,
    }
}

/// The limits of one extraction, from the configuration.
pub(crate) fn limits(app: &App) -> ExtractLimits {
    ExtractLimits {
        max_text_bytes: app.ingest.max_text_per_document,
        max_parse_bytes: app.ingest.max_parse_bytes,
        max_children: app.ingest.max_children,
        max_child_bytes: app.ingest.max_child_bytes,
    }
}

async fn record(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
    input: &ExtractInput,
    document: ExtractedDocument,
) -> Result<(), Error> {
    let (shared, budget, source) = (app.clone(), app.ingest.chunk_tokens, input.source.clone());
    let record = crate::app::blocking(move || {
        let spans = |text: &str| shared.inference.token_spans(text);
        chunked_record(document, &source, budget, &spans)
    })
    .await?;
    if record.chunks.is_empty() && !record.container {
        return record_unreadable(tenant, job, without_text(&record)).await;
    }
    tenant.faults().pass(Failpoint::Extracted).map_err(Error::Fault)?;
    let finished = job.clone();
    tenant.write(move |catalog| catalog.record_extraction(&finished, &record)).await?;
    tenant.announce(vec![job.item]);
    app.schedule.wake_for(JobKind::Fulltext, tenant.id());
    Ok(())
}

async fn record_unreadable(
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
    unreadable: Unreadable,
) -> Result<(), Error> {
    let finished = job.clone();
    tenant.write(move |catalog| catalog.record_unreadable(&finished, &unreadable)).await?;
    tenant.announce(vec![job.item]);
    Ok(())
}

fn unreadable(failure: &ExtractFailure) -> Unreadable {
    let (state, reason) = match failure.code {
        ExtractFailureCode::UnsupportedType => (ItemState::Unsupported, "unsupported_type"),
        ExtractFailureCode::EmptyFile => (ItemState::Failed, "empty_file"),
        ExtractFailureCode::Malformed => (ItemState::Failed, "malformed"),
        ExtractFailureCode::PasswordRequired => (ItemState::Failed, "password_required"),
        ExtractFailureCode::TimedOut => (ItemState::Failed, "timed_out"),
        ExtractFailureCode::OutOfMemory => (ItemState::Failed, "out_of_memory"),
        ExtractFailureCode::WorkerCrashed => (ItemState::Failed, "reader_crashed"),
        ExtractFailureCode::TooLarge => (ItemState::Failed, "too_large"),
        ExtractFailureCode::ReaderMissing => (ItemState::Failed, "reader_missing"),
    };
    Unreadable {
        state,
        reason: reason.to_owned(),
        detail: failure.message.clone(),
        media_type: failure.media_type.clone(),
    }
}

fn without_text(record: &ExtractionRecord) -> Unreadable {
    let scanned = record.metadata.contains_key("pages_without_text");
    let detail = if scanned {
        "Its pages hold images only; reading them needs OCR."
    } else {
        "No text was found in it."
    };
    Unreadable {
        state: ItemState::Unsupported,
        reason: if scanned { "needs_ocr" } else { "no_text" }.to_owned(),
        detail: detail.to_owned(),
        media_type: Some(record.media_type.clone()),
    }
}

fn chunked_record(
    document: ExtractedDocument,
    source: &str,
    budget: usize,
    spans: &chunk::TokenSpans<'_>,
) -> Result<ExtractionRecord, Error> {
    let split = chunk::split(&document.blocks, budget, spans);
    let title = document.title.filter(|title| !title.trim().is_empty());
    let title = title.unwrap_or_else(|| file_stem(source).to_owned());
    let title: String = title.trim().chars().take(TITLE_CHARS).collect();
    let chunks = split
        .chunks
        .into_iter()
        .map(|chunk| {
            let heading = heading_path(&chunk.headings);
            let text = super::embed::input_text(&title, heading.as_deref(), &chunk.text);
            let digest = Sha256::digest(text.as_bytes());
            ChunkInput { chunk, input: digest[..16].to_vec() }
        })
        .collect();
    let outline = split
        .headings
        .into_iter()
        .map(|(level, text, start)| OutlineEntry { level, text, start })
        .collect();
    Ok(ExtractionRecord {
        media_type: document.media_type,
        language: detect_language(&split.text).code().to_owned(),
        title,
        authors: document.authors,
        metadata: document.metadata,
        warnings: document.warnings,
        truncated_at: document.truncated_at,
        content_date: document.content_date,
        text_zstd: compress(&split.text).map_err(|source| Error::Text { item: 0, source })?,
        length_chars: split.length_chars,
        outline,
        page_starts: split.page_starts,
        chunks,
        container: document.container,
    })
}

/// The language most of a document is in; `Other` where the detector is not sure.
fn detect_language(text: &str) -> Language {
    let sample_end = text.floor_char_boundary(LANGUAGE_SAMPLE_BYTES);
    whatlang::detect(&text[..sample_end])
        .filter(whatlang::Info::is_reliable)
        .map_or(Language::Other, |info| Language::from_whatlang_code(info.lang().code()))
}

fn file_stem(source: &str) -> &str {
    let name = source.rsplit('/').next().unwrap_or(source);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Takes in the files found inside a file, in groups.
struct ChildIntake<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantHandle<Write>,
    parent: &'a ExtractInput,
    job: ClaimedJob,
    group: Vec<(NewDrop, StoredBlob)>,
}

impl ChildIntake<'_> {
    async fn flush(&mut self) -> Result<(), Error> {
        if self.group.is_empty() {
            return Ok(());
        }
        let (drops, blobs): (Vec<NewDrop>, Vec<StoredBlob>) = self.group.drain(..).unzip();
        self.tenant.blobs()?.sync().await?;
        let standing = self.app.standing(self.tenant.id()).await?;
        let most = Amounts {
            stored_bytes: drops.iter().map(|drop| drop.size_bytes).sum(),
            documents: drops.len() as u64,
            jobs_in_flight: 0,
        };
        let room = standing.some_room(self.tenant, most).await?;
        let (job, limits) = (self.job.clone(), standing.limits());
        let taken = self
            .tenant
            .write(move |catalog| {
                if catalog.renew_jobs(std::slice::from_ref(&job), LEASE)? == 0 {
                    return Ok(None);
                }
                take_in(catalog, &drops, room, &limits).map(Some)
            })
            .await?;
        let Some(taken) = taken else {
            // Removed or replaced while it was being read: what is inside must not come back.
            return Err(Error::Conflict { detail: "the container is gone".to_owned() });
        };
        drop(blobs);
        for blob in taken.refused {
            super::remove_blob(self.tenant, &blob).await?;
        }
        self.tenant.announce(taken.items);
        self.app.schedule.wake_for(JobKind::Extract, self.tenant.id());
        Ok(())
    }
}

/// What became of a group of children.
struct TakenIn {
    items: Vec<ItemKey>,
    /// Blobs of children that were not taken in.
    refused: Vec<String>,
}

fn take_in(
    catalog: &CatalogWriter<'_>,
    drops: &[NewDrop],
    mut room: Hold,
    limits: &Limits,
) -> Result<TakenIn, CatalogError> {
    let mut taken = TakenIn { items: Vec::with_capacity(drops.len()), refused: Vec::new() };
    let mut came = Amounts::default();
    for drop in drops {
        let growth = catalog.growth(drop)?;
        match room.grow(growth, limits) {
            Ok(()) => {
                let accepted = catalog.accept(drop)?;
                let jobs_in_flight = u64::from(accepted.job.is_some());
                came = came.plus(Amounts { jobs_in_flight, ..growth });
                taken.items.push(accepted.item_key);
            }
            Err(exceeded) => {
                let detail = format!("Not taken in: {exceeded}.");
                taken.items.push(catalog.refuse(drop, REFUSED, &detail)?);
                taken.refused.push(drop.blob.clone());
            }
        }
    }
    room.note(came);
    Ok(taken)
}

#[async_trait]
impl ChildSink for ChildIntake<'_> {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), std::io::Error> {
        let other = |error: crate::tenant::BlobError| std::io::Error::other(error);
        let mut writer = self.tenant.blobs().and_then(|blobs| blobs.begin()).map_err(other)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = body.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            writer.write(&buffer[..read]).await.map_err(other)?;
        }
        let blob = writer.finish_deferred().await.map_err(other)?;
        let source = if header.absolute {
            header.name
        } else {
            format!("{}/{}", self.parent.source, header.name)
        };
        let source = crate::app::ingest::clean_source(&source).map_err(std::io::Error::other)?;
        let new = NewDrop {
            collection: self.parent.collection.clone(),
            source,
            blob: blob.digest.clone(),
            size_bytes: blob.size_bytes,
            file_date: None,
            declared_type: header.media_type,
            format: header.format,
            parent: Some(self.parent.item),
        };
        self.group.push((new, blob));
        let bytes: u64 = self.group.iter().map(|(drop, _)| drop.size_bytes).sum();
        if self.group.len() >= CHILD_GROUP || bytes >= CHILD_GROUP_BYTES {
            self.flush().await.map_err(std::io::Error::other)?;
        }
        Ok(())
    }
}
