//! The pipeline behind an accepted item: extract, index, embed, read pictures, purge.
//!
//! Called by: `worker`. Talks to: catalogue, blobs, projections, extraction, inference.
//! Invariants: every stage is idempotent and ends in one commit that needs the job's lease; a
//! stage that fails gives its jobs back and never loses them; while other tenants wait, a unit ends
//! soon after its time, whatever it has claimed.

mod children;
mod derived;
mod embed;
mod extract;
mod fulltext;
mod ocr;
mod purge;
mod tables;

pub use embed::input_text;
pub(super) use extract::limits;
use purge::remove_blob;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::{App, Error};
use crate::auth::Write;
use crate::error::chain;
use crate::tenant::{ClaimedJob, TenantHandle};

pub use crate::tenant::JobKind;

/// What a unit of work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done; there may be more.
    Busy,
    /// Nothing is ready.
    Idle,
}

/// How long a claim holds without a heartbeat.
pub const LEASE: SignedDuration = SignedDuration::from_secs(90);

/// How often a running unit renews its leases.
pub const HEARTBEAT: Duration = Duration::from_secs(20);

/// Free bytes below which any failure is put down to the full disk.
const FULL_BYTES: u64 = 32 << 20;

/// Attempts after which a job is given up.
const MAX_ATTEMPTS: u32 = 5;

/// Does one unit of work of `kind`.
///
/// # Errors
/// Only when the catalogue itself cannot be used; faults of single jobs are recorded there.
pub async fn run_unit(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    kind: JobKind,
) -> Result<Progress, Error> {
    let progress = match kind {
        JobKind::Extract => Box::pin(extract::run(app, tenant)).await,
        JobKind::Fulltext => Box::pin(fulltext::run(app, tenant)).await,
        JobKind::Embed => Box::pin(embed::run(app, tenant)).await,
        JobKind::Ocr => Box::pin(ocr::run(app, tenant)).await,
        JobKind::Purge => Box::pin(purge::run(app, tenant)).await,
    }?;
    if progress == Progress::Busy {
        // Any stage may queue work for any other: a flip frees duplicates to be read, say.
        app.schedule.wake(tenant.id());
    }
    Ok(progress)
}

async fn claim(
    tenant: &TenantHandle<Write>,
    kind: JobKind,
    limit: usize,
) -> Result<Vec<ClaimedJob>, Error> {
    let now = tenant.now();
    // Looking first keeps an idle tenant from taking the write lock.
    if !tenant.read(move |catalog| catalog.has_ready_job(kind, now)).await? {
        return Ok(Vec::new());
    }
    Ok(tenant
        .write(move |catalog| {
            let mut claimed = catalog.claim_jobs(kind, limit, LEASE)?;
            // Work that takes the process with it never comes to be given back.
            for job in claimed.extract_if(.., |job| job.attempts > MAX_ATTEMPTS) {
                catalog.give_up(&job, kind, "the work ended without a word every time")?;
            }
            Ok(claimed)
        })
        .await?)
}

/// Splits claimed jobs into groups: one, or, once a group has failed twice, one for each job, so
/// that a document nothing can be done with takes no other with it.
fn groups(jobs: &[ClaimedJob]) -> impl Iterator<Item = &[ClaimedJob]> {
    let suspect = jobs.iter().any(|job| job.attempts > 2);
    jobs.chunks(if suspect { 1 } else { jobs.len().max(1) })
}

/// Gives jobs back after a failure: a full disk or a missing model is waited out, anything else
/// is tried again a few times and then recorded as failed.
async fn give_back(
    app: &App,
    tenant: &TenantHandle<Write>,
    kind: JobKind,
    jobs: Vec<ClaimedJob>,
    error: &Error,
) -> Result<(), Error> {
    let cause = chain(error);
    let waits = error.is_storage_full()
        || matches!(error, Error::VectorsUnavailable { .. })
        || crate::disk::free_bytes(&app.home.path).is_ok_and(|free| free < FULL_BYTES);
    tracing::warn!(
        tenant = %tenant.id(), kind = kind.as_str(), jobs = jobs.len(), code = error.code().as_str(),
        "a unit of work failed: {cause}"
    );
    let longest = jobs.iter().map(|job| job.attempts).max().unwrap_or(1);
    let delay = if waits { 5 } else { 1 << longest.min(6) };
    let items = jobs.iter().map(|job| job.item).collect();
    let returned = tenant
        .write(move |catalog| {
            for job in &jobs {
                if !waits && job.attempts >= MAX_ATTEMPTS {
                    catalog.give_up(job, kind, &cause)?;
                } else {
                    catalog.return_job(job, SignedDuration::from_secs(delay), &cause, !waits)?;
                }
            }
            Ok(())
        })
        .await;
    if let Err(error) = returned {
        // The leases run out by themselves; the line is looked at again when they have.
        app.schedule.wake_later(kind, tenant.id(), LEASE.unsigned_abs());
        return Err(error.into());
    }
    tenant.announce(items);
    app.schedule.wake_later(kind, tenant.id(), Duration::from_secs(delay.unsigned_abs()));
    Ok(())
}

/// Puts jobs back untouched, so that others get their turn; the tenant stands in the line again.
async fn put_back(tenant: &TenantHandle<Write>, jobs: Vec<ClaimedJob>) -> Result<(), Error> {
    tenant
        .write(move |catalog| {
            for job in &jobs {
                catalog.return_job(job, SignedDuration::ZERO, "", false)?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}

/// Compresses a document's text for the catalogue.
pub(crate) fn compress(text: &str) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(text.as_bytes(), 3)
}

/// Restores a document's text.
///
/// # Errors
/// `Error::Text` when the stored bytes are damaged.
pub(crate) fn decompress(item: i64, body: &[u8]) -> Result<String, Error> {
    let bytes = zstd::stream::decode_all(body).map_err(|source| Error::Text { item, source })?;
    String::from_utf8(bytes)
        .map_err(|error| Error::Text { item, source: std::io::Error::other(error) })
}
