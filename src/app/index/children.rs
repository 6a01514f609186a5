//! Files found inside a file become items of their own.
//!
//! Called by: `app::index::extract`. Talks to: blobs, catalogue, the tenant's limits.
//! Invariants: whatever is found is in the ledger: a file that lies too deep, that its reader
//! refused or that a limit keeps out is there as failed or unsupported, with the reason, and its
//! bytes are not kept. Depth and size hold for all levels under one dropped file together.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::LEASE;
use super::extract::outcome;
use crate::app::quota::Hold;
use crate::app::{App, Error};
use crate::auth::Write;
use crate::extract::refusal;
use crate::extraction::ChildSink;
use crate::tenant::{
    Amounts, BlobError, CatalogError, CatalogWriter, ClaimedJob, ExtractInput, JobKind, Nesting,
    NewDrop, StoredBlob, TenantHandle,
};
use crate::types::{ChildHeader, ItemKey, ItemState, Limits};

/// Children taken in per transaction.
const CHILD_GROUP: usize = 256;

/// Bytes of children per transaction, beyond its last one. Together with `CHILD_STEP` it is also
/// what a tenant may be over its limit for a moment, since a child's size is known only when it
/// was read.
const CHILD_GROUP_BYTES: u64 = 64 << 20;

/// Bytes of one child after which it is asked whether more of it may come.
const CHILD_STEP: u64 = 256 << 20;

/// Reason of a child that a limit of the tenant keeps out.
const REFUSED: &str = "quota";

/// What may come out of any dropped file, however small it is.
const NESTED_FREE: u64 = 1 << 30;

/// How many times its own size may come out of a dropped file beyond that.
const NESTED_TIMES: u64 = 250;

/// One file found inside another.
struct Found {
    drop: NewDrop,
    /// Its bytes, or why there are none.
    body: Result<StoredBlob, Refusal>,
}

/// Why a child is listed only.
struct Refusal {
    state: ItemState,
    reason: &'static str,
    detail: String,
}

/// Takes in the files found inside a file, in groups.
pub(super) struct ChildIntake<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantHandle<Write>,
    parent: &'a ExtractInput,
    job: ClaimedJob,
    group: Vec<Found>,
}

impl<'a> ChildIntake<'a> {
    pub(super) fn new(
        app: &'a Arc<App>,
        tenant: &'a TenantHandle<Write>,
        parent: &'a ExtractInput,
        job: &ClaimedJob,
    ) -> Self {
        Self { app, tenant, parent, job: job.clone(), group: Vec::new() }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if self.group.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        self.tenant.blobs()?.sync().await?;
        let standing = self.app.standing(self.tenant.id()).await?;
        let most = Amounts {
            stored_bytes: group.iter().map(|found| found.drop.size_bytes).sum(),
            documents: group.len() as u64,
            jobs_in_flight: 0,
        };
        let room = standing.some_room(self.tenant, most).await?;
        let (job, limits) = (self.job.clone(), standing.limits());
        let nested = Nested::new(&self.parent.nesting, self.app.ingest.max_nested_bytes);
        // The blobs are named by nothing until the commit, and must live until then.
        let (taken, group) = self
            .tenant
            .write(move |catalog| {
                if catalog.renew_jobs(std::slice::from_ref(&job), LEASE)? == 0 {
                    return Ok((None, group));
                }
                let taken = take_in(catalog, &group, &nested, room, &limits)?;
                Ok((Some(taken), group))
            })
            .await?;
        let Some(taken) = taken else {
            // Removed or replaced while it was being read: what is inside must not come back.
            return Err(Error::Conflict { detail: "the container is gone".to_owned() });
        };
        drop(group);
        for blob in taken.refused {
            super::remove_blob(self.tenant, &blob).await?;
        }
        self.tenant.announce(taken.items);
        self.app.schedule.wake_for(JobKind::Extract, self.tenant.id());
        Ok(())
    }

    /// Stores the bytes of a child, or says why they are not taken.
    async fn body(
        &self,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Result<StoredBlob, Refusal>, std::io::Error> {
        let most = self.app.ingest.max_depth;
        if self.parent.nesting.depth >= most {
            return Ok(Err(Refusal {
                state: ItemState::Failed,
                reason: "nested_too_deep",
                detail: format!("It lies more than {most} files deep inside others."),
            }));
        }
        let other = |error: BlobError| std::io::Error::other(error);
        let mut writer = self.tenant.blobs().and_then(|blobs| blobs.begin()).map_err(other)?;
        let mut buffer = vec![0; 64 << 10];
        let (mut written, mut asked) = (0_u64, 0_u64);
        loop {
            match body.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => {
                    writer.write(&buffer[..read]).await.map_err(other)?;
                    written += read as u64;
                    if written - asked >= CHILD_STEP {
                        asked = written;
                        let beyond = self.beyond(written).await.map_err(std::io::Error::other)?;
                        if let Some(refusal) = beyond {
                            return Ok(Err(refusal));
                        }
                    }
                }
                Err(error) => {
                    let Some(failure) = refusal(&error) else { return Err(error) };
                    let (state, reason) = outcome(failure.code);
                    return Ok(Err(Refusal { state, reason, detail: failure.message.clone() }));
                }
            }
        }
        writer.finish_deferred().await.map(Ok).map_err(other)
    }

    /// Why a child that has come to this size already is too much, if it is.
    async fn beyond(&self, bytes: u64) -> Result<Option<Refusal>, Error> {
        let nested = Nested::new(&self.parent.nesting, self.app.ingest.max_nested_bytes);
        let state = ItemState::Failed;
        if bytes > nested.most {
            let (reason, detail) = nested.too_large();
            return Ok(Some(Refusal { state, reason, detail }));
        }
        let wanted = Amounts { stored_bytes: bytes, documents: 0, jobs_in_flight: 0 };
        match self.app.standing(self.tenant.id()).await?.room(self.tenant, wanted).await {
            Ok(_) => Ok(None),
            Err(Error::Quota(exceeded)) => {
                let detail = format!("Not taken in: {exceeded}.");
                Ok(Some(Refusal { state, reason: REFUSED, detail }))
            }
            Err(error) => Err(error),
        }
    }
}

/// What came out of a dropped file, and what may.
#[derive(Clone, Copy)]
struct Nested {
    top: ItemKey,
    most: u64,
}

impl Nested {
    fn new(nesting: &Nesting, most: u64) -> Self {
        let by_size = nesting.top_bytes.saturating_mul(NESTED_TIMES).saturating_add(NESTED_FREE);
        Self { top: nesting.top, most: most.min(by_size) }
    }

    /// Reason and sentence for what goes beyond.
    fn too_large(&self) -> (&'static str, String) {
        let most = self.most >> 20;
        ("too_large", format!("The file that was dropped holds more than {most} MiB in all."))
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
    group: &[Found],
    nested: &Nested,
    mut room: Hold,
    limits: &Limits,
) -> Result<TakenIn, CatalogError> {
    let mut taken = TakenIn { items: Vec::with_capacity(group.len()), refused: Vec::new() };
    let mut came = Amounts::default();
    let (before, mut bytes) = (catalog.nested_bytes(nested.top)?, 0_u64);
    for Found { drop, body } in group {
        if let Err(Refusal { state, reason, detail }) = body {
            taken.items.push(catalog.refuse(drop, *state, reason, detail)?);
            continue;
        }
        let size = if catalog.was_taken(drop)? { 0 } else { drop.size_bytes };
        let over = before.saturating_add(bytes).saturating_add(size) > nested.most;
        // What was taken in before is not turned away for a limit that came later.
        let (reason, detail) = if size > 0 && over {
            nested.too_large()
        } else {
            let growth = catalog.growth(drop)?;
            match room.grow(growth, limits) {
                Ok(()) => {
                    let accepted = catalog.accept(drop)?;
                    let jobs_in_flight = u64::from(accepted.job.is_some());
                    came = came.plus(Amounts { jobs_in_flight, ..growth });
                    bytes += size;
                    taken.items.push(accepted.item_key);
                    continue;
                }
                Err(exceeded) => (REFUSED, format!("Not taken in: {exceeded}.")),
            }
        };
        taken.items.push(catalog.refuse(drop, ItemState::Failed, reason, &detail)?);
        taken.refused.push(drop.blob.clone());
    }
    if bytes > 0 {
        catalog.add_nested(nested.top, bytes)?;
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
        let body = self.body(body).await?;
        let source = if header.absolute {
            header.name
        } else {
            format!("{}/{}", self.parent.source, header.name)
        };
        let source = crate::app::ingest::clean_source(&source).map_err(std::io::Error::other)?;
        let (blob, size_bytes) =
            body.as_ref().map_or((String::new(), 0), |blob| (blob.digest.clone(), blob.size_bytes));
        // Archives tell the time of a place that they do not name.
        let latest = self.app.clock.now().saturating_add(SignedDuration::from_hours(24));
        let latest = latest.unwrap_or(Timestamp::MAX);
        let drop = NewDrop {
            collection: self.parent.collection.clone(),
            source,
            blob,
            size_bytes,
            file_date: header.file_date.filter(|date| *date <= latest),
            declared_type: header.media_type,
            format: header.format,
            parent: Some(self.parent.item),
        };
        self.group.push(Found { drop, body });
        let bytes: u64 = self.group.iter().map(|found| found.drop.size_bytes).sum();
        if self.group.len() >= CHILD_GROUP || bytes >= CHILD_GROUP_BYTES {
            self.flush().await.map_err(std::io::Error::other)?;
        }
        Ok(())
    }
}
