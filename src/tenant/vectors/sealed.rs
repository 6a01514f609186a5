//! What is in the files of a vector table: content on Lance's side, sealed bytes on the disk's.
//!
//! Called by: `provider`. Talks to: `crypto`, the files of the store below.
//! Invariants: a file is sealed as one whole, whichever way it comes in; the parts of an upload
//! are sealed in the order in which they were given, however their writes are scheduled, and an
//! upload of which any part failed is never completed; ranges, sizes and preconditions are those
//! of the content; encryption runs off the async threads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{
    Error as StoreError, GetOptions, GetResult, GetResultPayload, MultipartUpload, ObjectMeta,
    ObjectStore, PutPayload, PutResult, Result as StoreResult, UploadPart,
};

use crate::crypto::{FileCipher, SealedReader, SealedWriter};
use crate::tenant::latch::Latch;

/// Content decrypted at a time. Lance gathers what it asked for in one buffer, so that a range of
/// this size or less goes without a copy.
const PIECE: u64 = 16 << 20;

/// An error in the store's own words.
pub(super) fn generic(source: io::Error) -> StoreError {
    StoreError::Generic { store: "TenantStore", source: Box::new(source) }
}

/// Runs `work` off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> StoreResult<T> {
    tokio::task::spawn_blocking(work).await?.map_err(generic)
}

/// Seals a payload as a file of its own.
pub(super) async fn payload(cipher: &FileCipher, payload: PutPayload) -> StoreResult<PutPayload> {
    let cipher = cipher.clone();
    blocking(move || {
        let length = FileCipher::sealed_len(payload.content_length() as u64);
        let room = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
        let mut writer = cipher.writer(room)?;
        payload.iter().try_for_each(|part| writer.write_all(part))?;
        Ok(PutPayload::from(writer.finish()?))
    })
    .await
}

/// Puts the length of the content in the place of the file's.
pub(super) fn content_size(meta: &mut ObjectMeta) -> StoreResult<()> {
    meta.size = FileCipher::content_len(meta.size).map_err(generic)?;
    Ok(())
}

/// A listing with the lengths of contents.
pub(super) fn listing(
    listed: BoxStream<'static, StoreResult<ObjectMeta>>,
) -> BoxStream<'static, StoreResult<ObjectMeta>> {
    listed
        .map(|meta| {
            let mut meta = meta?;
            content_size(&mut meta)?;
            Ok(meta)
        })
        .boxed()
}

/// The content of a file or a range of it.
pub(super) async fn get(
    files: &LocalFileSystem,
    cipher: &FileCipher,
    location: &StorePath,
    mut options: GetOptions,
) -> StoreResult<GetResult> {
    // The range is of the content, which the store below knows nothing of.
    let (wanted, head) = (options.range.take(), options.head);
    let found = files.get_opts(location, options).await?;
    let mut meta = found.meta.clone();
    content_size(&mut meta)?;
    let range = match wanted {
        Some(wanted) => {
            wanted.as_range(meta.size).map_err(|error| generic(io::Error::other(error)))?
        }
        None => 0..meta.size,
    };
    let payload = if head {
        futures::stream::empty().boxed()
    } else {
        content(found.payload, cipher.clone(), range.clone()).await?
    };
    Ok(GetResult {
        payload: GetResultPayload::Stream(payload),
        meta,
        range,
        attributes: found.attributes,
        extensions: found.extensions,
    })
}

/// The content of several ranges of a file, in their order.
pub(super) async fn get_ranges(
    files: &LocalFileSystem,
    cipher: &FileCipher,
    location: &StorePath,
    ranges: &[Range<u64>],
) -> StoreResult<Vec<Bytes>> {
    let found = files.get_opts(location, GetOptions::default()).await?;
    let (cipher, ranges) = (cipher.clone(), ranges.to_vec());
    let file = file_of(found.payload)?;
    blocking(move || {
        let reader = cipher.reader(file)?;
        ranges.into_iter().map(|range| reader.read_at(range).map(Bytes::from)).collect()
    })
    .await
}

fn file_of(payload: GetResultPayload) -> StoreResult<std::fs::File> {
    match payload {
        GetResultPayload::File(file, _) => Ok(file),
        GetResultPayload::Stream(_) => {
            Err(StoreError::NotSupported { source: "the store below must give files".into() })
        }
    }
}

/// Opens a sealed file and reads the first piece of `range` in one go, which is all of it for
/// most ranges; what is beyond follows piece by piece.
async fn content(
    payload: GetResultPayload,
    cipher: FileCipher,
    range: Range<u64>,
) -> StoreResult<BoxStream<'static, StoreResult<Bytes>>> {
    let file = file_of(payload)?;
    let end = range.end;
    let (reader, first, at) = blocking(move || {
        let reader = cipher.reader(file)?;
        let (first, at) = read_piece(&reader, range)?;
        Ok((Arc::new(reader), first, at))
    })
    .await?;
    let rest = futures::stream::try_unfold((reader, at), move |(reader, at)| async move {
        if at >= end {
            return Ok(None);
        }
        blocking(move || {
            let (piece, at) = read_piece(&reader, at..end)?;
            Ok(Some((piece, (reader, at))))
        })
        .await
    });
    Ok(futures::stream::once(async move { Ok(first) }).chain(rest).boxed())
}

/// The first piece of a range, and where the next one begins.
fn read_piece(reader: &SealedReader, range: Range<u64>) -> io::Result<(Bytes, u64)> {
    let end = range.end.min(range.start.saturating_add(PIECE));
    Ok((Bytes::from(reader.read_at(range.start..end)?), end))
}

/// An upload in parts, sealed on its way to the upload of the store below.
#[derive(Debug)]
pub(super) struct SealedUpload(Arc<Upload>);

#[derive(Debug)]
struct Upload {
    /// Parts in the order they were given, not yet sealed.
    waiting: Mutex<VecDeque<PutPayload>>,
    /// `None` once anything failed, or the upload came to its end.
    open: tokio::sync::Mutex<Option<Open>>,
    latch: Latch,
}

#[derive(Debug)]
struct Open {
    below: Box<dyn MultipartUpload>,
    writer: SealedWriter<Vec<u8>>,
}

impl SealedUpload {
    pub(super) fn begin(
        cipher: &FileCipher,
        below: Box<dyn MultipartUpload>,
        latch: Latch,
    ) -> StoreResult<Self> {
        let writer = cipher.writer(Vec::new()).map_err(generic)?;
        Ok(Self(Arc::new(Upload {
            waiting: Mutex::default(),
            open: tokio::sync::Mutex::new(Some(Open { below, writer })),
            latch,
        })))
    }
}

impl Upload {
    /// Seals and writes every part that waits. Whichever part's turn comes first writes for the
    /// others, so that their order is that in which they were given.
    async fn write_waiting(&self) -> StoreResult<()> {
        let mut slot = self.open.lock().await;
        // Taken out while it works: a failure, or a caller that goes away, leaves none.
        let mut open = slot.take().ok_or_else(broken)?;
        while let Some(part) = self.next() {
            self.latch.check().map_err(|locked| generic(locked.into()))?;
            let (writer, sealed) = blocking(move || {
                let mut writer = open.writer;
                part.iter().try_for_each(|piece| writer.write_all(piece))?;
                let sealed = std::mem::take(writer.inner_mut());
                Ok((writer, sealed))
            })
            .await?;
            open.writer = writer;
            if !sealed.is_empty() {
                open.below.put_part(sealed.into()).await?;
            }
        }
        *slot = Some(open);
        Ok(())
    }

    fn next(&self) -> Option<PutPayload> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

fn broken() -> StoreError {
    generic(io::Error::other("a part of this upload failed, or it has ended"))
}

#[async_trait]
impl MultipartUpload for SealedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(data);
        let upload = self.0.clone();
        Box::pin(async move { upload.write_waiting().await })
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        self.0.write_waiting().await?;
        let Open { mut below, writer } = self.0.open.lock().await.take().ok_or_else(broken)?;
        let last = blocking(move || writer.finish()).await?;
        below.put_part(last.into()).await?;
        below.complete().await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        let open = self.0.open.lock().await.take();
        match open {
            Some(mut open) => open.below.abort().await,
            // It failed before, and took what it had written with it.
            None => Ok(()),
        }
    }
}
