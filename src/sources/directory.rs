//! Directories that the server sees, mounted shares for instance: read, never written.
//!
//! Called by: `sources::run`. Talks to: the file system below an allowed directory.
//! Invariants: every step down is made from the directory above without following a link, so
//! nothing outside is ever reached, however names change meanwhile; a file that changes while it
//! is read is not taken in; memory does not grow with the tree.

mod walk;

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use rustix::fs::{Mode, OFlags};
use tokio_util::io::ReaderStream;

use self::walk::Walk;
use super::feed::{Content, Feed, FeedError, Listing, Page, unsettled};
use super::settle::Observed;
use crate::app::sources::{FoundItem, Reach};

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Files of one directory that were still being written when they were last seen.
pub(super) type Growing = Arc<Mutex<Observed>>;

/// A directory being read.
pub(super) struct Directory {
    reach: Reach,
    growing: Growing,
    /// `None` before the first page and after the last.
    walk: Option<Walk>,
    begun: bool,
    listing: Listing,
}

impl Directory {
    /// The directory at `reach`.
    pub(super) fn new(reach: Reach, growing: Growing) -> Self {
        Self { reach, growing, walk: None, begun: false, listing: Listing::default() }
    }
}

#[async_trait]
impl Feed for Directory {
    async fn page(&mut self) -> Result<Option<Page>, FeedError> {
        let walk = match self.walk.take() {
            Some(walk) => walk,
            None if self.begun => return Ok(None),
            None => {
                self.begun = true;
                let (reach, growing) = (self.reach.clone(), self.growing.clone());
                off_thread(move || {
                    let top = descend(&reach, Path::new(""))?;
                    Walk::begin(top, reach.base.join(&reach.below), growing)
                })
                .await?
                .map_err(|error| FeedError::Lost(format!("it cannot be read: {error}")))?
            }
        };
        let (walk, page) = off_thread(move || {
            let mut walk = walk;
            let page = walk.page();
            (walk, page)
        })
        .await?;
        let page = page.map_err(|error| FeedError::Lost(format!("it cannot be read: {error}")))?;
        if walk.is_done() {
            self.listing = Listing {
                complete: !walk.gave_up(),
                spared: walk.into_spared(),
                cursors: Vec::new(),
            };
        } else {
            self.walk = Some(walk);
        }
        Ok(Some(page))
    }

    fn listing(&mut self) -> Listing {
        std::mem::take(&mut self.listing)
    }

    async fn open(&mut self, item: &FoundItem) -> Result<Content<'_>, FeedError> {
        let (reach, name) = (self.reach.clone(), item.external.clone());
        let opened = off_thread(move || open_regular(&reach, &name)).await?;
        let (file, before) = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FeedError::Gone,
            io::ErrorKind::WouldBlock => FeedError::Unsettled,
            _ => FeedError::Item(error.to_string()),
        })?;
        if before.len() != item.size_bytes {
            return Err(FeedError::Unsettled);
        }
        let again = file.try_clone().map_err(|error| FeedError::Item(error.to_string()))?;
        let size_bytes = before.len();
        let check = async move {
            let still = off_thread(move || again.metadata().map(|now| is_same(&now, &before)));
            match still.await {
                Ok(Ok(true)) => Ok(Bytes::new()),
                Ok(Err(error)) => Err(error),
                _ => Err(unsettled()),
            }
        };
        let bytes = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE)
            .chain(futures::stream::once(check));
        Ok(Content { size_bytes, bytes: bytes.boxed() })
    }
}

/// Runs blocking work on the blocking pool.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FeedError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| FeedError::Lost(format!("reading it ended early: {error}")))
}

/// Opens a directory below the source, step by step.
fn descend(reach: &Reach, below: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = rustix::fs::open(&reach.base, flags, Mode::empty())?;
    for step in reach.below.iter().chain(below) {
        directory = rustix::fs::openat(&directory, step, flags, Mode::empty())?;
    }
    Ok(directory)
}

/// Opens a file below the source that is regular and no link.
fn open_regular(reach: &Reach, name: &[u8]) -> io::Result<(File, Metadata)> {
    let path = Path::new(OsStr::from_bytes(name));
    let directory = descend(reach, path.parent().unwrap_or(Path::new("")))?;
    let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(&directory, name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::other("it is no regular file")) }
}

fn is_same(now: &Metadata, before: &Metadata) -> bool {
    let look = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
    look(now) == look(before)
}
