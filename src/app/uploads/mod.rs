//! Uploads that come in pieces and go on where they broke off.
//!
//! Called by: `http`, `app::maintain`. Talks to: `app::ingest`, `app::quota`, blobs, catalogue.
//! Invariants: what was acknowledged of an upload is durable and sealed; nobody but one writer adds
//! to it; when all of it is here, one transaction makes it a document and says so on the upload, so
//! that it happens once, whoever asks again; what is never finished goes when its time is over.
//! Why parts are blobs: sealing, removal, a change of the data key and the sweep of leftovers are
//! theirs already. An upload of one part is its own original and is not written again.

mod metadata;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::audit::{self, Action, Event};
use super::ingest::{self, Admitted, Destination, Receipt};
use super::quota::Exceeded;
use super::{App, Error};
use crate::auth::Write;
use crate::crypto::unbase64;
use crate::tenant::{Amounts, StoredBlob, TenantHandle, UploadPart};
use crate::types::UploadId;
use turn::Turn;

pub use crate::tenant::UploadRow;
pub use turn::Turns;

/// Unfinished uploads of a tenant.
const MOST_OPEN: u64 = 100;

/// How long an upload lives after its last bytes.
const LIFETIME: SignedDuration = SignedDuration::from_hours(72);

/// Bytes after which what has come is made durable, so that a crash costs no more.
const PART_BYTES: u64 = 16 << 20;

/// Parts of one upload. Each is a file.
const MOST_PARTS: usize = 20_000;

/// A sender that is silent for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a writer that is asked to stop may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A SHA-256 that the bytes of one request must have.
#[derive(Clone, Debug)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// Reads `sha256 <base 64>`.
    ///
    /// # Errors
    /// `Invalid` for another algorithm or a value that is no checksum.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digest = text
            .split_once(' ')
            .filter(|(name, _)| *name == "sha256")
            .and_then(|(_, value)| unbase64(value.trim().trim_end_matches('=')))
            .and_then(|bytes| bytes.try_into().ok());
        digest.map(Self).ok_or_else(|| Error::invalid("the checksum is no `sha256` in base 64"))
    }
}

/// Begins an upload of `length` bytes.
///
/// # Errors
/// `Invalid` for metadata that cannot be read or names no file; `TooLarge`; `Quota`, also where
/// too many uploads are open; `TenantClosed`.
pub async fn create(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    length: u64,
    metadata: String,
) -> Result<UploadRow, Error> {
    match begin(app, tenant, length, metadata).await {
        Err(error) => Err(audit::refused(tenant, Event::new(Action::DocumentUpload), error).await),
        begun => begun,
    }
}

async fn begin(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    length: u64,
    metadata: String,
) -> Result<UploadRow, Error> {
    let destination = Destination::of(&metadata::parse(&metadata, length)?)?;
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough over the snapshot's lifetime"
    )]
    let open = tenant.read(|catalog| catalog.open_uploads()).await?;
    if open.count >= MOST_OPEN {
        return Err(Exceeded::Uploads { limit: MOST_OPEN }.into());
    }
    let Admitted { mut room, limits, .. } =
        ingest::admit(app, tenant, &destination, length).await?;
    // What others have announced will want its room too.
    room.grow(Amounts { stored_bytes: open.bytes, ..Amounts::default() }, &limits)?;
    let (id, expires_at) = (UploadId::generate(), expiry(tenant.now()));
    tenant.write(move |catalog| catalog.begin_upload(id, length, &metadata, expires_at)).await?;
    drop(room);
    if length == 0 {
        return complete_if_here(app, tenant, id).await;
    }
    find(tenant, id).await
}

/// How an upload stands. A writer whose connection may have broken is stopped first, so that all
/// that came is counted; an upload that is all here becomes its document.
///
/// # Errors
/// `NotFound` for one that is not there or has expired.
pub async fn status(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
) -> Result<UploadRow, Error> {
    let row = find(tenant, id).await?;
    if row.finished.is_some() {
        return Ok(row);
    }
    match app.uploads.take(id, PATIENCE).await {
        Some(turn) => {
            let row = find(tenant, id).await?;
            finish_in_turn(app, tenant, row, turn).await
        }
        // It is being put together.
        None => Ok(row),
    }
}

/// Adds the bytes that come to an upload that has `from` already, as far as they come.
///
/// # Errors
/// `NotFound`; `Conflict` where it has more or less already, or somebody else keeps writing to it;
/// `ChecksumMismatch`, and then nothing of the request is kept; `UploadBroken` where the sender
/// stopped early, and then what came is kept; `Quota` where all is here and does not fit.
pub async fn append<E>(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
    from: u64,
    checksum: Option<Checksum>,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Result<UploadRow, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    find(tenant, id).await?;
    app.standing(tenant.id()).await?.must_be_active()?;
    let (shared, handle) = (app.clone(), tenant.clone());
    let work = async move {
        let turn = take_turn(&shared, id).await?;
        let row = find(&handle, id).await?;
        if row.received != from {
            let detail = format!("the upload has {} bytes, not {from}", row.received);
            return Err(Error::Conflict { detail });
        }
        let row = if row.finished.is_none() && row.received < row.length {
            receive(&handle, &row, checksum, &turn, bytes).await?;
            find(&handle, id).await?
        } else {
            row
        };
        finish_in_turn(&shared, &handle, row, turn).await
    };
    // Who hangs up must not take along what has come of the upload.
    let task = tokio::spawn(audit::with_origin(audit::origin(), work));
    task.await.map_err(Error::Interrupted)?
}

/// Gives an upload up.
///
/// # Errors
/// `NotFound`; `Conflict` where somebody keeps writing to it.
pub async fn remove(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
) -> Result<(), Error> {
    find(tenant, id).await?;
    let _turn = take_turn(app, id).await?;
    let row = find(tenant, id).await?;
    discard(tenant, row.key).await
}

/// Finishes uploads that a crash kept from it, and removes those whose time is over.
///
/// # Errors
/// When a store cannot be used.
pub(super) async fn upkeep(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let now = tenant.now();
    let (complete, expired) = tenant
        .read(move |catalog| Ok((catalog.complete_uploads()?, catalog.expired_uploads(now)?)))
        .await?;
    for id in complete {
        if let Err(error) = complete_if_here(app, tenant, id).await {
            // Full, say: it waits until its time is over.
            tracing::warn!(
                tenant = %tenant.id(), upload = %id,
                "an upload is all here and cannot be taken in: {}", crate::error::chain(&error)
            );
        }
    }
    for (key, id) in expired {
        if let Some(_turn) = app.uploads.take(id, Duration::from_millis(10)).await {
            discard(tenant, key).await?;
        }
    }
    Ok(())
}

async fn complete_if_here(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    id: UploadId,
) -> Result<UploadRow, Error> {
    let turn = take_turn(app, id).await?;
    let row = find(tenant, id).await?;
    finish_in_turn(app, tenant, row, turn).await
}

/// The right to write to an upload, which whoever has it is asked to give back.
async fn take_turn(app: &App, id: UploadId) -> Result<Turn, Error> {
    app.uploads.take(id, PATIENCE).await.ok_or_else(|| Error::Conflict {
        detail: "another request writes to the upload".to_owned(),
    })
}

async fn find(tenant: &TenantHandle<Write>, id: UploadId) -> Result<UploadRow, Error> {
    let now = tenant.now();
    tenant.read(move |catalog| catalog.upload(id, now)).await?.ok_or(Error::NotFound)
}

fn expiry(now: Timestamp) -> Timestamp {
    now.saturating_add(LIFETIME).unwrap_or(now)
}

/// Forgets an upload, then its blobs.
async fn discard(tenant: &TenantHandle<Write>, key: i64) -> Result<(), Error> {
    let parts = tenant
        .write(move |catalog| {
            let parts = catalog.upload_parts(key)?;
            catalog.remove_upload(key)?;
            Ok(parts)
        })
        .await?;
    remove_blobs(tenant, parts).await
}

async fn remove_blobs(tenant: &TenantHandle<Write>, parts: Vec<UploadPart>) -> Result<(), Error> {
    let blobs = tenant.blobs()?;
    for UploadPart { blob, .. } in parts {
        let digest = blob.clone();
        let is_named = async || {
            Ok::<bool, Error>(tenant.read(move |catalog| catalog.blob_is_named(&digest)).await?)
        };
        blobs.remove_unnamed(&blob, is_named).await?;
    }
    Ok(())
}

/// What has come of one request and is not recorded yet.
struct Coming<'a> {
    tenant: &'a TenantHandle<Write>,
    upload: i64,
    /// Where the next part begins.
    at: u64,
    /// Parts that wait for the checksum of all.
    stored: Vec<StoredBlob>,
}

impl Coming<'_> {
    /// Records what is stored; after that it is acknowledged.
    async fn record(&mut self) -> Result<(), Error> {
        let (stored, key, mut at) = (std::mem::take(&mut self.stored), self.upload, self.at);
        if stored.is_empty() {
            return Ok(());
        }
        let expires_at = expiry(self.tenant.now());
        let (recorded, end, _kept) = self
            .tenant
            .write(move |catalog| {
                for blob in &stored {
                    let part =
                        UploadPart { blob: blob.digest.clone(), size_bytes: blob.size_bytes };
                    if !catalog.add_upload_part(key, at, &part, expires_at)? {
                        return Ok((false, at, stored));
                    }
                    at += blob.size_bytes;
                }
                Ok((true, at, stored))
            })
            .await?;
        if !recorded {
            return Err(Error::NotFound);
        }
        self.at = end;
        Ok(())
    }
}

/// Takes in what comes. Without a checksum whatever came before it broke off is kept.
async fn receive<E>(
    tenant: &TenantHandle<Write>,
    row: &UploadRow,
    checksum: Option<Checksum>,
    turn: &Turn,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<(), Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let key = row.key;
    let parts = tenant.read(move |catalog| catalog.upload_parts(key)).await?.len();
    if parts >= MOST_PARTS {
        return Err(Error::invalid("the upload came in too many pieces: send larger ones"));
    }
    let mut coming = Coming { tenant, upload: row.key, at: row.received, stored: Vec::new() };
    let mut left = row.length - row.received;
    let mut digest = Sha256::new();
    let blobs = tenant.blobs()?;
    let mut writer = blobs.begin()?;
    let mut bytes = std::pin::pin!(bytes);
    let ended = loop {
        let piece = tokio::select! {
            biased;
            () = turn.asked() => break Err(Error::Conflict {
                detail: "another request took the upload over".to_owned(),
            }),
            piece = tokio::time::timeout(SILENCE, bytes.next()) => piece,
        };
        let piece = match piece {
            Ok(None) => break Ok(()),
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => break Err(Error::UploadBroken(error.into())),
            Err(silent) => break Err(Error::UploadBroken(silent.into())),
        };
        let Some(rest) = left.checked_sub(piece.len() as u64) else {
            break Err(Error::invalid("there is more than was announced in Upload-Length"));
        };
        left = rest;
        if checksum.is_some() {
            digest.update(&piece);
        }
        writer.write(&piece).await?;
        if writer.size_bytes() >= PART_BYTES {
            let full = std::mem::replace(&mut writer, blobs.begin()?);
            coming.stored.push(full.finish().await?);
            if checksum.is_none() {
                coming.record().await?;
            }
        }
    };
    if let Some(Checksum(expected)) = checksum {
        ended?;
        if digest.finalize().as_slice() != expected {
            return Err(Error::ChecksumMismatch);
        }
        if writer.size_bytes() > 0 {
            coming.stored.push(writer.finish().await?);
        }
        return coming.record().await;
    }
    if writer.size_bytes() > 0 {
        coming.stored.push(writer.finish().await?);
    }
    coming.record().await?;
    ended
}

/// Makes an upload that is all here a document, unless it is one already.
async fn finish_in_turn(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    row: UploadRow,
    turn: Turn,
) -> Result<UploadRow, Error> {
    if row.finished.is_some() || row.received < row.length {
        return Ok(row);
    }
    let (shared, handle, id) = (app.clone(), tenant.clone(), row.id);
    let work = async move {
        let finished = finish(&shared, &handle, &row).await;
        drop(turn);
        match finished {
            Err(error) => {
                let event = Event::new(Action::DocumentUpload);
                Err(audit::refused(&handle, event, error).await)
            }
            finished => finished,
        }
    };
    // Begun is done: a large file takes a while, and who sent it may not wait.
    let task = tokio::spawn(audit::with_origin(audit::origin(), work));
    task.await.map_err(Error::Interrupted)??;
    find(tenant, id).await
}

async fn finish(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    row: &UploadRow,
) -> Result<Receipt, Error> {
    let upload = metadata::parse(&row.metadata, row.length)?;
    let destination = Destination::of(&upload)?;
    let Admitted { room, .. } = ingest::admit(app, tenant, &destination, row.length).await?;
    let key = row.key;
    let parts = tenant.read(move |catalog| catalog.upload_parts(key)).await?;
    let (digest, joined) = match parts.as_slice() {
        // It is named by the upload until the commit, and by the item from then on.
        [only] => (only.blob.clone(), None),
        several => {
            let joined = join(tenant, several).await?;
            (joined.digest.clone(), Some(joined))
        }
    };
    let new = destination.drop_of(upload, digest, row.length);
    let receipt = ingest::commit(app, tenant, new, room, joined, move |catalog, accepted, _| {
        catalog.finish_upload(key, accepted)
    });
    let receipt = receipt.await?;
    remove_blobs(tenant, parts).await?;
    Ok(receipt)
}

/// One blob of the bytes of all parts.
async fn join(tenant: &TenantHandle<Write>, parts: &[UploadPart]) -> Result<StoredBlob, Error> {
    let blobs = tenant.blobs()?;
    let mut writer = blobs.begin()?;
    let mut buffer = vec![0; 256 << 10];
    for part in parts {
        let mut reader = blobs.read(&part.blob).await?;
        loop {
            let count = reader
                .read(&mut buffer)
                .await
                .map_err(|error| Error::UploadBroken(error.into()))?;
            if count == 0 {
                break;
            }
            writer.write(&buffer[..count]).await?;
        }
    }
    Ok(writer.finish().await?)
}
