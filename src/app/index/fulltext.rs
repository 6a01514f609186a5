//! Stage two: chunks into the full-text index, in groups, and the flip to "found by keyword".
//!
//! Called by: `app::index`. Talks to: full-text index, catalogue.
//! Invariants: the index commits before the catalogue flips; a rerun writes the same entries over
//! themselves.

use std::sync::Arc;
use std::time::Instant;

use super::derived::Derived;
use super::{Progress, claim, decompress, give_back, groups, put_back};
use crate::app::{App, Error, blocking};
use crate::auth::Write;
use crate::failpoint::Failpoint;
use crate::tenant::{ClaimedJob, FulltextEntry, FulltextSource, JobKind, TenantHandle};
use crate::types::{Language, Voice};

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
                    bytes += source.chunks.iter().map(|chunk| chunk.text.len()).sum::<usize>();
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
    let derived = blocking(move || {
        let texts = sources
            .iter()
            .map(|source| {
                let text = decompress(source.item.0, &source.text_zstd)?;
                let own = source.chunks.iter().filter(|chunk| chunk.voice == Voice::Own);
                Ok(own_words(text, own.map(|chunk| chunk.text.as_str())))
            })
            .collect::<Result<Vec<String>, Error>>()?;
        let entries: Vec<FulltextEntry<'_>> = sources
            .iter()
            .zip(&texts)
            .map(|(source, body)| FulltextEntry {
                item: source.item,
                language: Language::from_code(&source.language).unwrap_or(Language::Other),
                title: &source.title,
                headings: &source.headings,
                body: body.as_str(),
                aside: source
                    .chunks
                    .iter()
                    .filter(|chunk| chunk.voice != Voice::Own)
                    .map(|chunk| chunk.text.as_str())
                    .collect(),
                source: &source.source,
                media_type: &source.media_type,
                authors: &source.authors,
                recipients: &source.recipients,
                date: source.date,
                chunks: source
                    .chunks
                    .iter()
                    .map(|chunk| (chunk.key, chunk.text.as_str()))
                    .collect(),
            })
            .collect();
        handle.fulltext()?.write_group(&entries, &[])?;
        drop(entries);
        let texts = texts.iter().map(String::as_str);
        Ok(sources.iter().zip(texts).map(Derived::of).collect::<Vec<Derived>>())
    })
    .await?;
    tenant.faults().pass(Failpoint::FulltextCommitted).map_err(Error::Fault)?;
    let (finished, embed) = (jobs.to_vec(), app.inference.is_ready());
    tenant
        .write(move |catalog| {
            derived.iter().try_for_each(|derived| derived.store(catalog))?;
            catalog.fulltext_ready(&finished, embed)
        })
        .await?;
    tenant.announce(jobs.iter().map(|job| job.item).collect());
    Ok(())
}

/// A text without what lies between the chunks of its own, unless that is nothing but white space:
/// what a mail repeats of others, and its signature, are found as what they are.
fn own_words<'c>(text: String, chunks: impl Iterator<Item = &'c str>) -> String {
    let mut own = String::new();
    let (mut rest, mut left_out) = (text.as_str(), false);
    for chunk in chunks {
        // Chunks are slices of the text, in order; where one is not found, nothing is left out.
        let Some(at) = rest.find(chunk) else { return text };
        let gap = &rest[..at];
        if gap.trim().is_empty() {
            own.push_str(gap);
        } else {
            left_out = true;
            own.push_str("\n\n");
        }
        own.push_str(chunk);
        rest = &rest[at + chunk.len()..];
    }
    left_out |= !rest.trim().is_empty();
    if left_out { own } else { text }
}

/// Gives the writer's memory back once nothing is on its way.
async fn release_idle_writer(tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let handle = tenant.clone();
    blocking(move || Ok(handle.fulltext()?.release_writer()?)).await
}

#[cfg(test)]
mod tests {
    use super::own_words;

    #[test]
    fn what_is_in_no_chunk_of_its_own_is_none_of_a_texts_words() {
        let text = "Head\n\nMine.\n\n> Yours.\n\nMine too.\n\n-- \nAnn".to_owned();
        let chunks = ["Head\n\nMine.", "Mine too."];
        assert_eq!(own_words(text, chunks.into_iter()), "Head\n\nMine.\n\nMine too.");
        let whole = "One.  Two.\n".to_owned();
        assert_eq!(own_words(whole.clone(), ["One.", "Two."].into_iter()), whole);
    }
}
