//! The way back: a superseded or removed revision out of every projection, then its rows, then
//! its blob.
//!
//! Called by: `app::index`. Talks to: projections, catalogue, blobs.
//! Invariants: the catalogue hid the revision before; a blob goes only when nothing names it.

use std::sync::Arc;

use super::{Progress, claim, give_back};
use crate::app::{App, Error, blocking};
use crate::auth::Write;
use crate::failpoint::Failpoint;
use crate::tenant::{ClaimedJob, JobKind, TenantHandle};

const CLAIM: usize = 256;

pub(super) async fn run(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<Progress, Error> {
    let jobs = claim(tenant, JobKind::Purge, CLAIM).await?;
    if jobs.is_empty() {
        return Ok(Progress::Idle);
    }
    if let Err(error) = purge(app, tenant, &jobs).await {
        give_back(app, tenant, JobKind::Purge, jobs, &error).await?;
    }
    Ok(Progress::Busy)
}

async fn purge(app: &App, tenant: &TenantHandle<Write>, jobs: &[ClaimedJob]) -> Result<(), Error> {
    let items: Vec<_> = jobs.iter().map(|job| job.item).collect();
    let (handle, gone) = (tenant.clone(), items.clone());
    blocking(move || Ok(handle.fulltext()?.write_group(&[], &gone)?)).await?;
    if app.inference.is_ready()
        && let Some(vectors) = tenant.vectors().await?
    {
        vectors.remove_items(&items).await?;
    }
    tenant.faults().pass(Failpoint::Purged).map_err(Error::Fault)?;
    let claimed = jobs.to_vec();
    let purged = tenant.write(move |catalog| catalog.purge_rows(&claimed)).await?;
    for blob in purged.into_iter().filter_map(|item| item.orphaned_blob) {
        remove_blob(tenant, &blob).await?;
    }
    let finished = jobs.to_vec();
    tenant
        .write(move |catalog| {
            for job in &finished {
                catalog.finish_purge(job)?;
            }
            Ok(())
        })
        .await?;
    app.quotas.note_removal(tenant.id());
    Ok(())
}

/// Removes a blob that no item names.
pub(super) async fn remove_blob(tenant: &TenantHandle<Write>, blob: &str) -> Result<(), Error> {
    let digest = blob.to_owned();
    tenant
        .blobs()?
        .remove_unnamed(blob, async || {
            Ok::<bool, Error>(tenant.read(move |catalog| catalog.blob_is_named(&digest)).await?)
        })
        .await
}
