//! What a kind of source has to offer, so that runs are the same for all.
//!
//! Called by: `sources::run`; `sources::directory` and `sources::imap` offer it. Talks to: nothing.
//! Invariants: a page is bounded, so a source of any size is listed in bounded memory; opening
//! gives a stream, never a whole.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::app::sources::{FoundItem, ListedItem};
use crate::types::RunProblem;

/// Things of a page.
pub(super) const PAGE: usize = 500;

/// Some of what is there.
#[derive(Default)]
pub(super) struct Page {
    pub(super) items: Vec<ListedItem>,
    /// What could not be looked at.
    pub(super) problems: Vec<RunProblem>,
    /// Left alone, by its nature.
    pub(super) skipped: Vec<RunProblem>,
    /// How much is hidden and left alone.
    pub(super) hidden: u64,
    /// Beginnings of names whose things are not listed any more, because they are renamed.
    pub(super) renamed: Vec<Vec<u8>>,
}

/// What a source says after its last page.
#[derive(Default)]
pub(super) struct Listing {
    /// Everything was listed: what was not is gone.
    pub(super) complete: bool,
    /// Beginnings of names that could not be looked at: nothing below them is gone.
    pub(super) spared: Vec<Vec<u8>>,
    /// How far the source was read, to be kept once the things are noted.
    pub(super) cursors: Vec<(String, String)>,
}

/// Content on its way.
pub(super) struct Content<'a> {
    pub(super) size_bytes: u64,
    pub(super) bytes: BoxStream<'a, io::Result<Bytes>>,
}

/// Why something was not had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// It is not there any more.
    #[error("it is gone")]
    Gone,
    /// It is being changed right now.
    #[error("it is being changed")]
    Unsettled,
    /// This one thing cannot be had.
    #[error("{0}")]
    Item(String),
    /// Nothing of the source can be had.
    #[error("{0}")]
    Lost(String),
}

/// A source as a run reads it.
#[async_trait]
pub(super) trait Feed: Send {
    /// More of what is there; `None` at the end.
    async fn page(&mut self) -> Result<Option<Page>, FeedError>;

    /// What there is to say after the last page.
    fn listing(&mut self) -> Listing;

    /// The content of something that was listed.
    async fn open(&mut self, item: &FoundItem) -> Result<Content<'_>, FeedError>;
}

/// The error of a stream whose content changed while it was read.
pub(super) fn unsettled() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "it was changed while it was read")
}
