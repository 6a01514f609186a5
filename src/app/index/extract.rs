//! Stage one: bytes to text and chunks, in a child process; children become items of their own.
//!
//! Called by: `app::index`. Talks to: extraction pool, blobs, catalogue.
//! Invariants: children are durable before their parent counts as read, so a crash in between
//! reads the parent again and finds them unchanged; a child beyond the tenant's limits is in the
//! ledger as failed, and its bytes are not kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use super::children::ChildIntake;
use super::{HEARTBEAT, LEASE, Progress, claim, compress, give_back, put_back};
use crate::app::{App, Error};
use crate::auth::Write;
use crate::chunk;
use crate::extract::{ExtractLimits, ExtractRequest};
use crate::extraction::OcrAbsence;
use crate::failpoint::Failpoint;
use crate::tenant::{
    ChunkInput, ClaimedJob, ExtractInput, ExtractionRecord, JobKind, OCR_REMEDY, OcrPlan,
    OcrResult, OutlineEntry, TenantHandle, Unreadable, heading_path,
};
use crate::types::{ExtractFailure, ExtractFailureCode, ExtractedDocument, ItemState, Language};

/// Jobs claimed at once by one worker: few, so that workers share the queue evenly.
const CLAIM: usize = 8;

/// A file that takes longer than this is slow: what was claimed with it is given to others.
const SLOW: Duration = Duration::from_secs(1);

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
        passwords: input.nesting.passwords.clone().into(),
        limits: limits(app),
    };
    let mut children = ChildIntake::new(app, tenant, &input, job);
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
        max_total_bytes: app.ingest.max_archive_bytes,
    }
}

async fn record(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
    input: &ExtractInput,
    mut document: ExtractedDocument,
) -> Result<(), Error> {
    let (read, plan, absence) = plan_ocr(app, tenant, job, &mut document).await?;
    let queue = plan.queue;
    let (shared, budget, source) = (app.clone(), app.ingest.chunk_tokens, input.source.clone());
    let mut record = crate::app::blocking(move || {
        let spans = |text: &str| shared.inference.token_spans(text);
        chunked_record(document, &source, budget, &spans)
    })
    .await?;
    record.ocr = plan;
    if record.chunks.is_empty() && !record.container {
        if !queue {
            return record_unreadable(tenant, job, without_text(&record, &read, absence)).await;
        }
        let finished = job.clone();
        tenant.write(move |catalog| catalog.await_ocr(&finished, &record)).await?;
        tenant.announce(vec![job.item]);
        app.schedule.wake_for(JobKind::Ocr, tenant.id());
        return Ok(());
    }
    tenant.faults().pass(Failpoint::Extracted).map_err(Error::Fault)?;
    let finished = job.clone();
    tenant.write(move |catalog| catalog.record_extraction(&finished, &record)).await?;
    tenant.announce(vec![job.item]);
    app.schedule.wake_for(JobKind::Fulltext, tenant.id());
    Ok(())
}

/// Puts what OCR has read already in its place, and says what is left for it: what was read, the
/// plan, and why the rest is not read where it is not.
async fn plan_ocr(
    app: &App,
    tenant: &TenantHandle<Write>,
    job: &ClaimedJob,
    document: &mut ExtractedDocument,
) -> Result<(Vec<OcrResult>, OcrPlan, Option<OcrAbsence>), Error> {
    if document.ocr_pages.is_empty() {
        return Ok((Vec::new(), OcrPlan::default(), None));
    }
    let item = job.item;
    let read = tenant.read(move |catalog| catalog.ocr_results(item)).await?;
    let used = super::ocr::merge(document, &read);
    let was_read: HashSet<u32> = read.iter().map(|result| result.page).collect();
    let left = document.ocr_pages.iter().any(|page| !was_read.contains(page));
    let absence = if left { app.ocr.engine().await.err() } else { None };
    let queue = left && absence.is_none();
    Ok((read, OcrPlan { pages: document.ocr_pages.clone(), used, queue }, absence))
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
    let (state, reason) = outcome(failure.code);
    Unreadable {
        state,
        reason: reason.to_owned(),
        detail: failure.message.clone(),
        media_type: failure.media_type.clone(),
    }
}

/// The state of an item that has no text, and the reason in one word.
pub(super) fn outcome(code: ExtractFailureCode) -> (ItemState, &'static str) {
    match code {
        ExtractFailureCode::UnsupportedType => (ItemState::Unsupported, "unsupported_type"),
        ExtractFailureCode::EmptyFile => (ItemState::Failed, "empty_file"),
        ExtractFailureCode::Malformed => (ItemState::Failed, "malformed"),
        ExtractFailureCode::PasswordRequired => (ItemState::Failed, "password_required"),
        ExtractFailureCode::TimedOut => (ItemState::Failed, "timed_out"),
        ExtractFailureCode::OutOfMemory => (ItemState::Failed, "out_of_memory"),
        ExtractFailureCode::WorkerCrashed => (ItemState::Failed, "reader_crashed"),
        ExtractFailureCode::TooLarge => (ItemState::Failed, "too_large"),
        ExtractFailureCode::ReaderMissing => (ItemState::Failed, "reader_missing"),
        ExtractFailureCode::PartOfAnother => (ItemState::Unsupported, "part_of_another"),
    }
}

/// Why there is no text in a file that was read; `read` is what OCR made of its pages, `absence`
/// why it has not looked at all of them.
fn without_text(
    record: &ExtractionRecord,
    read: &[OcrResult],
    absence: Option<OcrAbsence>,
) -> Unreadable {
    let problem = read.iter().find_map(|result| result.problem.clone());
    let small = record.ocr.pages.is_empty() && record.media_type.starts_with("image/");
    let (state, reason, detail) = match (absence, problem) {
        (Some(absence), _) => {
            let detail = format!("Its text is in pictures. {absence} {OCR_REMEDY}");
            (ItemState::Unsupported, "needs_ocr".to_owned(), detail)
        }
        (None, Some((reason, detail))) => (ItemState::Failed, reason, format!("{detail}.")),
        (None, None) => {
            let detail = match record.ocr.pages.len() {
                0 if small => "The picture is too small to hold text that could be read.",
                0 => "No text was found in it.",
                _ => "OCR found no text in it.",
            };
            (ItemState::Unsupported, "no_text".to_owned(), detail.to_owned())
        }
    };
    Unreadable { state, reason, detail, media_type: Some(record.media_type.clone()) }
}

fn chunked_record(
    document: ExtractedDocument,
    source: &str,
    budget: usize,
    spans: &chunk::TokenSpans<'_>,
) -> Result<ExtractionRecord, Error> {
    let split = chunk::split(&document.blocks, budget, spans);
    let split = if is_workbook(&document.media_type) { split.without_pages() } else { split };
    let tables =
        super::tables::gather(&document.blocks, &split.tables, document.truncated_at.is_some())
            .map_err(|source| Error::Text { item: 0, source })?;
    let mut warnings = document.warnings;
    warnings.extend(tables.warning);
    let title = document.title.filter(|title| !title.trim().is_empty());
    let title = title.unwrap_or_else(|| file_stem(source).to_owned());
    let title: String = title.trim().chars().take(TITLE_CHARS).collect();
    let chunks = split
        .chunks
        .into_iter()
        .map(|chunk| {
            ChunkInput::new(chunk, |chunk| {
                let heading = heading_path(&chunk.headings);
                let text = super::embed::input_text(&title, heading.as_deref(), &chunk.text);
                Sha256::digest(text.as_bytes())[..16].to_vec()
            })
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
        warnings,
        truncated_at: document.truncated_at,
        content_date: document.content_date,
        event_date: document.event_date,
        text_zstd: compress(&split.text).map_err(|source| Error::Text { item: 0, source })?,
        length_chars: split.length_chars,
        outline,
        page_starts: split.page_starts,
        chunks,
        tables: tables.kept,
        container: document.container,
        ocr: OcrPlan::default(),
    })
}

/// True for documents whose pages are sheets.
fn is_workbook(media_type: &str) -> bool {
    media_type.contains("spreadsheet") || media_type.starts_with("application/vnd.ms-excel")
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
