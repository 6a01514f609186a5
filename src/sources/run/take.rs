//! Taking in what a run found: moved, touched only, or new content.
//!
//! Called by: `sources::run`. Talks to: a [`Feed`], `app::ingest`.
//! Invariants: that something was taken in is in the transaction that took it in; a file that
//! cannot be had is listed and the run goes on; room of the tenant is waited for, not overrun.

use std::io;

use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::super::feed::{Content, Feed, FeedError};
use super::{BATCH, Cut, End, Run};
use crate::app::Error;
use crate::app::audit::{self, Action, Event};
use crate::app::ingest::{Upload, accept_and};
use crate::app::quota::{Exceeded, Patience};
use crate::app::sources::FoundItem;
use crate::types::SourceKind;

/// What became of one thing.
enum Taken {
    New,
    Changed,
    Moved,
    Unchanged,
    Unsettled,
    /// It went meanwhile.
    Gone,
    Failed(String),
}

impl Run<'_> {
    /// Takes in everything that is noted as found, or as much of it as a limit of the tenant
    /// allows; which one is in the way, where one is.
    pub(super) async fn take_found(&mut self, feed: &mut dyn Feed) -> Result<Option<String>, Cut> {
        let (key, mut after) = (self.source.key, 0);
        let mut waits_for = None;
        loop {
            let found =
                self.tenant.read(move |catalog| catalog.found_items(key, after, BATCH)).await?;
            let Some(last) = found.last() else { return Ok(waits_for) };
            after = last.key;
            for item in found {
                self.go_on().await?;
                // What only moved needs no room, and must not be taken for gone.
                if waits_for.is_some() {
                    let moved = item.document.is_none() && self.was_moved(&item).await?;
                    self.counts.moved += u64::from(moved);
                    continue;
                }
                let taken = match self.take(feed, &item).await {
                    Err(Cut::End(End::Waiting(why))) => {
                        waits_for = Some(why);
                        continue;
                    }
                    taken => taken?,
                };
                match taken {
                    Taken::New => self.counts.new += 1,
                    Taken::Changed => self.counts.changed += 1,
                    Taken::Moved => self.counts.moved += 1,
                    Taken::Unchanged => self.counts.unchanged += 1,
                    Taken::Unsettled => self.counts.unsettled += 1,
                    // One that was taken in before is seen to with all that is missing.
                    Taken::Gone if item.document.is_none() => {
                        self.tenant.write(move |catalog| catalog.forget_item(item.key)).await?;
                    }
                    Taken::Gone => {}
                    Taken::Failed(reason) => self.fail(&item.path, reason),
                }
                self.progress();
            }
        }
    }

    async fn take(&mut self, feed: &mut dyn Feed, item: &FoundItem) -> Result<Taken, Cut> {
        if item.document.is_none() && self.was_moved(item).await? {
            return Ok(Taken::Moved);
        }
        let standing = self.app.standing(self.tenant.id()).await?;
        let limit = standing.limits().upload_bytes.min(self.app.server.max_upload_bytes);
        if item.size_bytes > limit {
            return Ok(Taken::Failed(format!(
                "it is {} bytes long, and {limit} may be (upload_bytes)",
                item.size_bytes
            )));
        }
        if item.document.is_some() && item.taken_bytes == Some(item.size_bytes) {
            match self.was_only_touched(feed, item).await? {
                Ok(true) => return Ok(Taken::Unchanged),
                Ok(false) => {}
                Err(taken) => return Ok(taken),
            }
        }
        let patience = Patience::endless();
        loop {
            match self.attempt(feed, item).await {
                Err(Cut::Error(error)) => patience.bear(*error).await?,
                taken => return taken,
            }
            self.go_on().await?;
        }
    }

    /// Takes something in, if there is room in the queue.
    async fn attempt(&self, feed: &mut dyn Feed, item: &FoundItem) -> Result<Taken, Cut> {
        // First, so that nothing is fetched only to be refused.
        self.app.standing(self.tenant.id()).await?.queue_has_room(self.tenant).await?;
        let places = &self.app.sources.places;
        let _place = places.acquire().await.map_err(|_| End::Stopped)?;
        let content = match feed.open(item).await {
            Ok(content) => content,
            Err(error) => return not_had(error).map_err(Cut::from),
        };
        match self.store(item, content).await {
            Err(error) => refused(error),
            Ok(taken) => Ok(taken),
        }
    }

    /// Streams content in; it is noted as taken in the same transaction.
    async fn store(&self, item: &FoundItem, content: Content<'_>) -> Result<Taken, Error> {
        let is_mail = self.source.kind == SourceKind::Imap;
        let upload = Upload {
            source: self.place_of(&item.path),
            collection: Some(self.source.collection.clone()),
            file_date: item.file_date,
            declared_type: is_mail.then(|| "message/rfc822".to_owned()),
            format: None,
            size_bytes: Some(content.size_bytes),
        };
        let key = item.key;
        let receipt =
            accept_and(self.app, self.tenant, upload, content.bytes, move |catalog, as_, drop| {
                catalog.note_taken(key, as_.document, &drop.blob, drop.size_bytes)
            })
            .await?;
        Ok(match (receipt.accepted.outcome.as_str(), &item.document) {
            ("unchanged", _) => Taken::Unchanged,
            (_, None) => Taken::New,
            (_, Some(_)) => Taken::Changed,
        })
    }

    /// Finds out whether something is what is gone under another name; if so, its document gets
    /// the new one and nothing is read.
    async fn was_moved(&self, item: &FoundItem) -> Result<bool, Cut> {
        let Some(identity) = item.identity.clone() else { return Ok(false) };
        let (source, found, to) = (self.source.key, item.key, self.place_of(&item.path));
        let occasion = audit::occasion(self.tenant);
        let moved = self
            .tenant
            .write(move |catalog| {
                let Some(missing) = catalog.missing_like(source, &identity)? else {
                    return Ok(false);
                };
                let Some(document) = missing.document else { return Ok(false) };
                if !catalog.move_document(document, &to)? {
                    return Ok(false);
                }
                catalog.replace_item(missing.key, found)?;
                let event = Event::new(Action::DocumentUpload)
                    .on("document", document)
                    .with("outcome", "moved");
                catalog.record([occasion.record(event)])?;
                Ok(true)
            })
            .await?;
        if moved {
            self.tenant.announce(Vec::new());
            self.app.schedule.wake(self.tenant.id());
        }
        Ok(moved)
    }

    /// Reads something of the same length to see whether its content is the same too.
    async fn was_only_touched(
        &self,
        feed: &mut dyn Feed,
        item: &FoundItem,
    ) -> Result<Result<bool, Taken>, Cut> {
        let mut content = match feed.open(item).await {
            Ok(content) => content,
            Err(error) => return Ok(Err(not_had(error)?)),
        };
        let mut digest = Sha256::new();
        while let Some(piece) = content.bytes.next().await {
            match piece {
                Ok(piece) => digest.update(&piece),
                Err(error) => return Ok(Err(broken(&error)?)),
            }
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if item.digest.as_deref() != Some(digest.as_str()) {
            return Ok(Ok(false));
        }
        let key = item.key;
        self.tenant.write(move |catalog| catalog.note_same(key)).await?;
        Ok(Ok(true))
    }
}

/// What it means for the run that something was not had.
fn not_had(error: FeedError) -> Result<Taken, End> {
    match error {
        FeedError::Gone => Ok(Taken::Gone),
        FeedError::Unsettled => Ok(Taken::Unsettled),
        FeedError::Item(reason) => Ok(Taken::Failed(reason)),
        FeedError::Lost(reason) => Err(End::Failed(reason)),
    }
}

/// What it means that content broke off.
fn broken(error: &io::Error) -> Result<Taken, End> {
    match error.kind() {
        io::ErrorKind::ResourceBusy => Ok(Taken::Unsettled),
        io::ErrorKind::ConnectionAborted => Err(End::Failed(error.to_string())),
        _ => Ok(Taken::Failed(error.to_string())),
    }
}

/// What it means that something was not taken in.
fn refused(error: Error) -> Result<Taken, Cut> {
    match error {
        Error::UploadBroken(cause) => match cause.downcast_ref::<io::Error>() {
            Some(cause) => Ok(broken(cause)?),
            None => Ok(Taken::Failed(cause.to_string())),
        },
        Error::Invalid { .. } | Error::TooLarge { .. } => Ok(Taken::Failed(error.to_string())),
        // The queue empties by itself: it is waited for.
        error @ Error::Quota(Exceeded::Jobs { .. }) => Err(error.into()),
        error if error.is_locked() => Err(error.into()),
        error if error.is_for_the_tenant() => Err(End::Waiting(error.to_string()).into()),
        error if error.is_storage_full() => {
            Err(End::Waiting("the volume is full".to_owned()).into())
        }
        error => Err(error.into()),
    }
}
