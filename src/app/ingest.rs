//! Taking bytes in: streamed to a blob, then document, item and job in one transaction.
//!
//! Called by: `http`, `sources`, `app::index`, `app::uploads`. Talks to: `app::quota`, blobs, catalogue.
//! Invariants: what is acknowledged is durable; a failed upload leaves nothing behind; room for
//! the bytes is kept before they are written.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::audit::{self, Action, Event};
use super::quota::Hold;
use super::{App, Error};
use crate::auth::CanWrite;
use crate::failpoint::Failpoint;
use crate::tenant::{
    Accepted, Amounts, CatalogError, CatalogWriter, NewDrop, Outcome, TenantHandle,
};
use crate::types::{FormatHint, LedgerItem, Limits};

/// Name of the collection that documents go to unless they say otherwise.
pub const DEFAULT_COLLECTION: &str = "documents";

/// Longest source path, in bytes.
const MAX_SOURCE_BYTES: usize = 4096;

/// What the sender says about an upload.
#[derive(Clone, Debug)]
pub struct Upload {
    pub source: String,
    pub collection: Option<String>,
    pub file_date: Option<Timestamp>,
    pub declared_type: Option<String>,
    pub format: Option<FormatHint>,
    /// Length of what is to come, where the sender said it.
    pub size_bytes: Option<u64>,
}

/// The acknowledgement of an upload.
#[derive(Debug)]
pub struct Receipt {
    pub accepted: Accepted,
    pub source: String,
    pub item: LedgerItem,
}

/// Streams `bytes` into the tenant and acknowledges them.
///
/// # Errors
/// `Invalid` for an unusable source; `TooLarge`; `Quota`; `TenantClosed`; `UploadBroken`
/// when the sender stops early; a full disk. Nothing of the upload is kept then.
pub async fn accept<A: CanWrite, E>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    upload: Upload,
    bytes: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Receipt, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    accept_and(app, tenant, upload, bytes, |_, _, _| Ok(())).await
}

/// The same, with something of the caller's own to be recorded in the same transaction, for which
/// it gets the digest of the bytes.
///
/// # Errors
/// As for [`accept`], and that of `also`.
pub async fn accept_and<A: CanWrite, E>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    upload: Upload,
    bytes: impl Stream<Item = Result<Bytes, E>>,
    also: impl FnOnce(&CatalogWriter<'_>, &Accepted, &NewDrop) -> Result<(), CatalogError>
    + Send
    + 'static,
) -> Result<Receipt, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match take_in(app, tenant, upload, bytes, also).await {
        Err(error) => Err(audit::refused(tenant, Event::new(Action::DocumentUpload), error).await),
        taken => taken,
    }
}

async fn take_in<A: CanWrite, E>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    upload: Upload,
    bytes: impl Stream<Item = Result<Bytes, E>>,
    also: impl FnOnce(&CatalogWriter<'_>, &Accepted, &NewDrop) -> Result<(), CatalogError>
    + Send
    + 'static,
) -> Result<Receipt, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let destination = Destination::of(&upload)?;
    let declared = upload.size_bytes.unwrap_or(0);
    let Admitted { mut room, limits, limit_bytes } =
        admit(app, tenant, &destination, declared).await?;
    let mut writer = tenant.blobs()?.begin()?;
    let mut bytes = std::pin::pin!(bytes);
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| Error::UploadBroken(error.into()))?;
        let size = writer.size_bytes() + piece.len() as u64;
        if size > limit_bytes {
            return Err(Error::TooLarge { limit_bytes });
        }
        let beyond = size.saturating_sub(room.amounts().stored_bytes);
        room.grow(Amounts { stored_bytes: beyond, ..Amounts::default() }, &limits)?;
        writer.write(&piece).await?;
    }
    let blob = writer.finish().await?;
    let new = destination.drop_of(upload, blob.digest.clone(), blob.size_bytes);
    commit(app, tenant, new, room, blob, also).await
}

/// Where an upload goes, as it is stored.
pub(super) struct Destination {
    collection: String,
    source: String,
}

impl Destination {
    /// # Errors
    /// `Invalid` for an unusable source.
    pub(super) fn of(upload: &Upload) -> Result<Self, Error> {
        let source = clean_source(&upload.source)?;
        let collection = upload.collection.as_deref().unwrap_or(DEFAULT_COLLECTION).to_owned();
        Ok(Self { collection, source })
    }

    /// What there is to record of an upload whose bytes are stored as `blob`.
    pub(super) fn drop_of(self, upload: Upload, blob: String, size_bytes: u64) -> NewDrop {
        NewDrop {
            collection: self.collection,
            source: self.source,
            blob,
            size_bytes,
            file_date: upload.file_date,
            declared_type: upload.declared_type,
            format: upload.format,
            parent: None,
        }
    }
}

/// Leave to take something in.
pub(super) struct Admitted {
    pub(super) room: Hold,
    pub(super) limits: Limits,
    /// The most it may have.
    pub(super) limit_bytes: u64,
}

/// Keeps room for a document of which `declared` bytes are known to come.
///
/// # Errors
/// `TooLarge`; `Quota`; `TenantClosed`.
pub(super) async fn admit<A: CanWrite>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    destination: &Destination,
    declared: u64,
) -> Result<Admitted, Error> {
    let standing = app.standing(tenant.id()).await?;
    standing.must_be_active()?;
    let limits = standing.limits();
    let limit_bytes = limits.upload_bytes.min(app.server.max_upload_bytes);
    if declared > limit_bytes {
        return Err(Error::TooLarge { limit_bytes });
    }
    let (name, path) = (destination.collection.clone(), destination.source.clone());
    let is_new = !tenant.read(move |catalog| catalog.is_live(&name, &path)).await?;
    let wanted =
        Amounts { stored_bytes: declared, documents: u64::from(is_new), jobs_in_flight: 1 };
    let room = standing.room(tenant, wanted).await?;
    Ok(Admitted { room, limits, limit_bytes })
}

/// Records an original that is stored, and queues it, together with what `also` records. `kept` is
/// held until the commit, also should the caller give up waiting: the blob itself, if nothing else
/// names it.
///
/// # Errors
/// When the catalogue cannot be written, or what `also` returns; then nothing is recorded.
pub(super) async fn commit<A: CanWrite, K: Send + 'static>(
    app: &Arc<App>,
    tenant: &TenantHandle<A>,
    new: NewDrop,
    mut room: Hold,
    kept: K,
    also: impl FnOnce(&CatalogWriter<'_>, &Accepted, &NewDrop) -> Result<(), CatalogError>
    + Send
    + 'static,
) -> Result<Receipt, Error> {
    let (occasion, source) = (audit::occasion(tenant), new.source.clone());
    let (accepted, item, _kept) = tenant
        .write(move |catalog| {
            let growth = catalog.growth(&new)?;
            let accepted = catalog.accept(&new)?;
            also(catalog, &accepted, &new)?;
            let item = catalog.ledger_item(accepted.item_key)?;
            let event = Event::new(Action::DocumentUpload)
                .on("document", accepted.document)
                .with("revision", accepted.revision)
                .with("outcome", accepted.outcome.as_str())
                .with("size_bytes", new.size_bytes);
            catalog.record([occasion.record(event)])?;
            room.note(Amounts { jobs_in_flight: u64::from(accepted.job.is_some()), ..growth });
            Ok((accepted, item, (kept, room)))
        })
        .await?;
    tenant.announce(vec![accepted.item_key]);
    if accepted.outcome == Outcome::Accepted {
        app.schedule.wake(tenant.id());
    }
    tenant.faults().pass(Failpoint::Accepted).map_err(Error::Fault)?;
    let item = item.ok_or(Error::NotFound)?;
    Ok(Receipt { accepted, source, item })
}

/// A source as stored: forward slashes, no `.` or `..` steps, no leading slash, no control
/// characters other than those a file name may really have, which are escaped.
///
/// # Errors
/// `Invalid` where nothing is left of it, or too much.
pub fn clean_source(source: &str) -> Result<String, Error> {
    let mut steps: Vec<&str> = Vec::new();
    for step in source.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let mut clean = String::with_capacity(source.len());
    for c in steps.join("/").chars() {
        if c.is_control() || is_direction_mark(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    if clean.is_empty() {
        return Err(Error::invalid("the upload has no name: give `source=` or a file name"));
    }
    if clean.len() > MAX_SOURCE_BYTES {
        return Err(Error::invalid(format!("the source is longer than {MAX_SOURCE_BYTES} bytes")));
    }
    Ok(clean)
}

/// Marks that reorder the text around them, with which a name could pretend to be another.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_lose_steps_that_climb_and_names_that_deceive() {
        let clean = |source: &str| clean_source(source).expect("a usable source");
        assert_eq!(clean("/a/./b//c.txt"), "a/b/c.txt");
        assert_eq!(clean("../../etc/passwd"), "etc/passwd");
        assert_eq!(clean("two\nlines.txt"), "two\\u{a}lines.txt");
        assert_eq!(clean("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert!(clean_source("/../").is_err());
    }
}
