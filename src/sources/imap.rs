//! A mailbox on the site's own mail server.
//!
//! Called by: `sources::run`. Talks to: nothing yet.
//! Invariants: none.

use async_trait::async_trait;

use super::feed::{Content, Feed, FeedError, Listing, Page};
use crate::app::sources::{FoundItem, ImapSettings};
use crate::auth::Write;
use crate::config::HostPort;
use crate::tenant::TenantHandle;

pub(super) struct Mailbox {}

impl Mailbox {
    pub(super) async fn connect(
        _tenant: &TenantHandle<Write>,
        _source: i64,
        _settings: &ImapSettings,
        _host: &HostPort,
        _password: Option<String>,
    ) -> Result<Self, FeedError> {
        Err(FeedError::Lost("mailboxes are not read by this release".to_owned()))
    }
}

#[async_trait]
impl Feed for Mailbox {
    async fn page(&mut self) -> Result<Option<Page>, FeedError> {
        Ok(None)
    }

    fn listing(&mut self) -> Listing {
        Listing::default()
    }

    async fn open(&mut self, _item: &FoundItem) -> Result<Content<'_>, FeedError> {
        Err(FeedError::Gone)
    }
}
