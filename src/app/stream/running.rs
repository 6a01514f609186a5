//! One document that grows while lines come.
//!
//! Called by: `app::stream`. Talks to: `app::ingest`.
//! Invariants: every revision holds all lines before it; a revision is made only when the one
//! before can be found, so that a fast sender never keeps a document from being found at all; a
//! document that is long enough is left and the next one begun, so that a revision stays cheap.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;

use super::Acknowledged;
use crate::app::ingest::{self, Receipt, Upload};
use crate::app::{App, Error};
use crate::auth::Write;
use crate::tenant::TenantHandle;
use crate::types::ItemState;

/// Text after which a document is left and the next one begun.
const DOCUMENT_BYTES: usize = 128 << 10;
/// Lines that wait for a revision, in bytes.
const PENDING_BYTES: usize = 256 << 10;
/// Lines are gathered for so long.
const GATHER: Duration = Duration::from_millis(200);
/// A revision that cannot be found after so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A line that waits.
pub(super) struct Pending {
    pub(super) seq: u64,
    pub(super) number: u64,
}

/// The document that lines are added to.
pub(super) struct Running {
    /// What every document of this connection is called, up to its number.
    base: String,
    collection: Option<String>,
    number: u32,
    text: String,
    /// Lines that are not in a revision yet.
    added: String,
    pub(super) pending: Vec<Pending>,
    first_pending: Option<Instant>,
    last: Option<(Receipt, Instant)>,
}

impl Running {
    pub(super) fn new(base: String, collection: Option<String>) -> Self {
        Self {
            base,
            collection,
            number: 1,
            text: String::new(),
            added: String::new(),
            pending: Vec::new(),
            first_pending: None,
            last: None,
        }
    }

    /// Adds a line; one without a number of its own only parts what is around it.
    pub(super) fn add(&mut self, line: &str, pending: Option<Pending>) {
        self.added.push_str(line);
        self.added.push('\n');
        if let Some(pending) = pending {
            self.pending.push(pending);
            self.first_pending.get_or_insert_with(Instant::now);
        }
    }

    /// True where more lines may be gathered.
    pub(super) fn has_room(&self) -> bool {
        self.added.len() < PENDING_BYTES
    }

    /// What waits, as text.
    pub(super) fn added(&self) -> &str {
        &self.added
    }

    /// True where it is time for a revision: there are lines, they were gathered for a moment, and
    /// the revision before can be found.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub(super) async fn is_due(&self, tenant: &TenantHandle<Write>) -> Result<bool, Error> {
        if self.first_pending.is_none_or(|since| since.elapsed() < GATHER) {
            return Ok(false);
        }
        let Some((receipt, since)) = &self.last else { return Ok(true) };
        if since.elapsed() >= PATIENCE {
            return Ok(true);
        }
        let (document, item) = (receipt.accepted.document, receipt.accepted.item_key);
        Ok(tenant
            .read(move |catalog| {
                let Some(row) = catalog.document(document)? else { return Ok(true) };
                let waits = row.item == item && row.state == ItemState::Waiting;
                Ok(!waits || row.fulltext_item == Some(item))
            })
            .await?)
    }

    /// Forgets what waits, and gives it back.
    pub(super) fn give_up(&mut self) -> Vec<Pending> {
        self.added.clear();
        self.first_pending = None;
        std::mem::take(&mut self.pending)
    }

    /// Makes a revision with all that waits; on an error it waits on.
    ///
    /// # Errors
    /// Those of an upload.
    pub(super) async fn flush(
        &mut self,
        app: &Arc<App>,
        tenant: &TenantHandle<Write>,
    ) -> Result<(Acknowledged, Vec<Pending>), Error> {
        if !self.text.is_empty() && self.text.len() + self.added.len() > DOCUMENT_BYTES {
            self.text.clear();
            self.number += 1;
        }
        let whole = format!("{}{}", self.text, self.added);
        let upload = Upload {
            source: format!("{}-{:04}.txt", self.base, self.number),
            collection: self.collection.clone(),
            file_date: None,
            declared_type: Some("text/plain; charset=utf-8".to_owned()),
            format: None,
            size_bytes: Some(whole.len() as u64),
        };
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from(whole.clone()))]);
        let receipt = ingest::accept(app, tenant, upload, bytes).await?;
        self.text = whole;
        self.added.clear();
        self.first_pending = None;
        let pending = std::mem::take(&mut self.pending);
        let acknowledged = Acknowledged::from(&receipt);
        self.last = Some((receipt, Instant::now()));
        Ok((acknowledged, pending))
    }
}
