//! Stage two: chunks into the full-text index, in groups, and the flip to "found by keyword".
//!
//! Called by: `app::index`. Talks to: full-text index, catalogue.
//! Invariants: the index commits before the catalogue flips; a rerun writes the same entries over
//! themselves.

use std::sync::Arc;
use std::time::Instant;

use super::{Progress, claim, decompress, give_back, groups, put_back};
use crate::app::{App, Error, blocking};
use crate::auth::Write;
use crate::failpoint::Failpoint;
use crate::tenant::{ClaimedJob, FulltextEntry, FulltextSource, JobKind, TenantHandle};
use crate::types::Language;

/// Text of one commit's group, in bytes; a single larger document is a group of its own.
const GROUP_BYTES: usize = 16 << 20;

pub(super) async fn run(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<Progress, Error> {
    wait_for_group(app, tenant).await?;
    let jobs = claim(tenant, JobKind::Fulltext, app.ingest.group_documents).await?;
    if jobs.is_empty() {
        release_idle_writer(tenant).await?;
        return Ok(Progress::Idle);
    }
    let began = Instant::now();
    let mut groups = groups(&jobs);
    while let Some(jobs) = groups.next() {
        let mut rest = index(app, tenant, jobs, began).await?;
        if app.schedule.should_yield(JobKind::Fulltext, tenant.id(), began) {
            rest.extend(groups.by_ref().flatten().cloned());
            put_back(tenant, rest).await?;
        }
    }
    Ok(Progress::Busy)
}

/// Writes jobs in groups of bounded size, giving the rest back at the first failure; what is left
/// when others should have their turn.
async fn index(
    app: &App,
    tenant: &TenantHandle<Write>,
    mut rest: &[ClaimedJob],
    began: Instant,
) -> Result<Vec<ClaimedJob>, Error> {
    while !rest.is_empty() {
        let (group, taken) = load_group(tenant, rest).await?;
        let (now, later) = rest.split_at(taken);
        if let Err(error) = write_group(app, tenant, group, now).await {
            give_back(app, tenant, JobKind::Fulltext, rest.to_vec(), &error).await?;
            return Ok(Vec::new());
        }
        rest = later;
        if app.schedule.should_yield(JobKind::Fulltext, tenant.id(), began) {
            break;
        }
    }
    Ok(rest.to_vec())
}

/// Lets a group fill while extraction still delivers.
async fn wait_for_group(app: &App, tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let now = tenant.now();
    let more = tenant.read(move |catalog| catalog.has_ready_job(JobKind::Extract, now)).await?;
    if more {
        tokio::time::sleep(app.ingest.group_wait()).await;
    }
    Ok(())
}

/// Sources of the first jobs up to the group's size in bytes, and how many jobs that is.
async fn load_group(
    tenant: &TenantHandle<Write>,
    jobs: &[ClaimedJob],
) -> Result<(Vec<FulltextSource>, usize), Error> {
    let items: Vec<_> = jobs.iter().map(|job| job.item).collect();
    Ok(tenant
        .read(move |catalog| {
            let (mut sources, mut bytes, mut taken) = (Vec::new(), 0, 0);
            for item in items {
                if bytes >= GROUP_BYTES {
                    break;
                }
                taken += 1;
                if let Some(source) = catalog.fulltext_source(item)? {
                    bytes += source.chunks.iter().map(|(_, text)| text.len()).sum::<usize>();
                    sources.push(source);
                }
            }
            Ok((sources, taken))
        })
        .await?)
}

async fn write_group(
    app: &App,
    tenant: &TenantHandle<Write>,
    sources: Vec<FulltextSource>,
    jobs: &[ClaimedJob],
) -> Result<(), Error> {
    let handle = tenant.clone();
    blocking(move || {
        let texts = sources
            .iter()
            .map(|source| decompress(source.item.0, &source.text_zstd))
            .collect::<Result<Vec<String>, Error>>()?;
        let entries: Vec<FulltextEntry<'_>> = sources
            .iter()
            .zip(&texts)
            .map(|(source, body)| FulltextEntry {
                item: source.item,
                language: Language::from_code(&source.language).unwrap_or(Language::Other),
                title: &source.title,
                headings: &source.headings,
                body,
                source: &source.source,
                media_type: &source.media_type,
                date: source.date,
                chunks: source.chunks.iter().map(|(key, text)| (*key, text.as_str())).collect(),
            })
            .collect();
        Ok(handle.fulltext()?.write_group(&entries, &[])?)
    })
    .await?;
    tenant.faults().pass(Failpoint::FulltextCommitted).map_err(Error::Fault)?;
    let (finished, embed) = (jobs.to_vec(), app.inference.is_ready());
    tenant.write(move |catalog| catalog.fulltext_ready(&finished, embed)).await?;
    tenant.announce(jobs.iter().map(|job| job.item).collect());
    Ok(())
}

/// Gives the writer's memory back once nothing is on its way.
async fn release_idle_writer(tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let handle = tenant.clone();
    blocking(move || Ok(handle.fulltext()?.release_writer()?)).await
}
