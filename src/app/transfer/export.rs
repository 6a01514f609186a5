//! A tenant written into an archive.
//!
//! Called by: `http`. Talks to: `archive`, the tenant's stores, `system`.
//! Invariants: it is on record before the first byte leaves; an archive that could not be written
//! to its end has none, so nothing takes it for a whole one; originals are held only while
//! somebody reads.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use zeroize::Zeroizing;

use super::pipe::{self, Piece, PipeWriter};
use super::{CATALOGUE, CONTENTS, Contents, Member, ORIGINALS, TRAIL, check_passphrase};
use crate::app::audit::{self, Action, Event, Outcome};
use crate::app::{App, Error, blocking, deletion, maintain};
use crate::archive::{ArchiveError, ArchiveWriter, Fingerprint, Provenance, SigningKey};
use crate::auth::Manage;
use crate::crypto::hex;
use crate::error::chain;
use crate::tenant::{Departure, TenantHandle};

/// Bytes of audit entries in one part; the entry that goes beyond is the last.
const PART_BYTES: usize = 4 << 20;
/// Audit entries, and digests of originals, read at a time.
const PAGE: usize = 500;

/// An archive on its way.
pub struct Export {
    /// The tenant's name.
    pub name: String,
    /// Whose signature it is going to carry.
    pub signer: Fingerprint,
    /// It ends in an error where the archive is not whole.
    pub archive: BoxStream<'static, Piece>,
}

/// All that the writing thread needs.
struct Writing {
    departure: Departure,
    provenance: Provenance,
    contents: Contents,
    key: SigningKey,
}

/// Writes everything of a tenant into an archive that `passphrase` opens, signed by this
/// appliance.
///
/// # Errors
/// `Invalid` for a passphrase that is too short; `Conflict` while an earlier export is under way;
/// when the catalogue cannot be copied.
pub async fn export(
    app: &Arc<App>,
    tenant: TenantHandle<Manage>,
    passphrase: Zeroizing<String>,
) -> Result<Export, Error> {
    check_passphrase(&passphrase)?;
    let prepared = prepare(app, &tenant).await;
    let event = Event::new(Action::TenantExport);
    let writing = audit::concluded_about(app, tenant.id(), tenant.actor(), event, prepared).await?;
    let (name, signer) = (writing.provenance.name.clone(), writing.key.fingerprint());
    let turn = app.authority.hashing_turn().await;
    let (sender, receiver) = pipe::channel();
    let (app, origin, runtime) = (app.clone(), audit::origin(), Handle::current());
    let whole = Arc::new(AtomicBool::new(false));
    let archive = pieces(receiver, whole.clone());
    tokio::task::spawn_blocking(move || {
        let out = PipeWriter::new(sender, runtime.clone());
        let written = write(writing, out, &passphrase, turn, &whole);
        runtime.block_on(audit::with_origin(origin, conclude(&app, &tenant, written)));
    });
    Ok(Export { name, signer, archive })
}

/// What comes through, with an error at the end unless it is `whole` by then.
fn pieces(receiver: mpsc::Receiver<Piece>, whole: Arc<AtomicBool>) -> BoxStream<'static, Piece> {
    let next = move |receiver: Option<mpsc::Receiver<Piece>>| {
        let whole = whole.clone();
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(piece) => Some((piece, Some(receiver))),
                None if whole.load(Ordering::Acquire) => None,
                None => Some((Err(io::Error::other("the export broke off")), None)),
            }
        }
    };
    futures::stream::unfold(Some(receiver), next).boxed()
}

async fn prepare(app: &Arc<App>, tenant: &TenantHandle<Manage>) -> Result<Writing, Error> {
    let (app, tenant) = (app.clone(), tenant.clone());
    blocking(move || {
        let record = app.system.find_tenant(&tenant.id().to_string())?.ok_or(Error::NotFound)?;
        let members = app.system.list_members(record.id)?;
        let key = app.registry.signing_key()?;
        let departure = tenant.depart()?.ok_or_else(|| Error::Conflict {
            detail: "an export of this tenant is under way".to_owned(),
        })?;
        let provenance = Provenance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            appliance: app.system.appliance_id()?,
            tenant: record.id,
            name: record.name.clone(),
            tier: record.tier,
            exported_at: app.clock.now(),
            by: deletion::named(tenant.actor()),
        };
        let member = |member: crate::system::Membership| Member {
            name: member.user_name,
            role: member.role,
        };
        let amounts = departure.amounts();
        let contents = Contents {
            name: record.name,
            tier: record.tier,
            catalogue_key: hex(departure.key().expose()),
            audit_chain: departure.chain().to_owned(),
            audit_end: *departure.end(),
            documents: amounts.documents,
            originals: departure.originals(),
            original_bytes: amounts.stored_bytes,
            members: members.into_iter().map(member).collect(),
        };
        Ok(Writing { departure, provenance, contents, key })
    })
    .await
}

/// Writes the archive, entry after entry. Blocks, for as long as its reader takes.
fn write(
    writing: Writing,
    out: PipeWriter,
    passphrase: &str,
    turn: OwnedSemaphorePermit,
    whole: &AtomicBool,
) -> Result<(), Error> {
    let Writing { departure, provenance, contents, key } = writing;
    let mut archive = ArchiveWriter::begin(out, passphrase)?;
    drop(turn);
    let contents = Zeroizing::new(serde_json::to_vec(&contents).map_err(ArchiveError::Manifest)?);
    archive.add(CONTENTS, contents.len() as u64, contents.as_slice())?;
    let catalogue = departure.catalogue().map_err(ArchiveError::Write)?;
    let length = catalogue.metadata().map_err(ArchiveError::Write)?.len();
    archive.add(CATALOGUE, length, catalogue)?;
    add_trail(&mut archive, &departure)?;
    add_originals(&mut archive, &departure)?;
    let (mut out, _) = archive.finish(provenance, &key)?;
    out.flush().map_err(ArchiveError::Write)?;
    // Before the reader learns that nothing more comes.
    whole.store(true, Ordering::Release);
    Ok(())
}

fn add_trail(archive: &mut ArchiveWriter<PipeWriter>, departure: &Departure) -> Result<(), Error> {
    let (mut next, mut part) = (1, 0_u32);
    loop {
        let mut lines = Vec::new();
        while lines.len() < PART_BYTES {
            let entries = departure.entries(next, PAGE)?;
            let Some(last) = entries.last() else { break };
            next = last.sequence + 1;
            lines.extend_from_slice(&audit::lines(&entries)?);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let name = format!("{}{part:06}{}", TRAIL.0, TRAIL.1);
        archive.add(&name, lines.len() as u64, lines.as_slice())?;
        part += 1;
    }
}

fn add_originals(
    archive: &mut ArchiveWriter<PipeWriter>,
    departure: &Departure,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let digests = departure.digests(&after, PAGE)?;
        let Some(last) = digests.last() else { return Ok(()) };
        after.clone_from(last);
        for digest in &digests {
            let original = departure.original(digest)?;
            archive.add(&format!("{ORIGINALS}{digest}"), original.size_bytes(), original)?;
        }
    }
}

/// Ends an export: says what went wrong, and does what was put off meanwhile.
async fn conclude(app: &Arc<App>, tenant: &TenantHandle<Manage>, written: Result<(), Error>) {
    if let Err(error) = written {
        tracing::error!(tenant = %tenant.id(), "an export broke off: {}", chain(&error));
        let event = Event::new(Action::TenantExport)
            .on("tenant", tenant.id())
            .ended(Outcome::Failed)
            .with("code", error.code().as_str());
        let noted = audit::record_about(app, tenant.id(), tenant.actor(), event).await;
        if let Err(error) = noted {
            tracing::error!("an export that broke off is not on record: {}", chain(&error));
        }
    }
    if let Err(error) = maintain::sweep_originals(tenant).await
        && !error.is_locked()
    {
        tracing::warn!(tenant = %tenant.id(), "originals are swept later: {}", chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_archive_that_breaks_off_ends_in_an_error() {
        for whole in [true, false] {
            let (sender, receiver) = pipe::channel();
            sender.send(Ok("begin".into())).await.unwrap();
            drop(sender);
            let pieces = pieces(receiver, Arc::new(AtomicBool::new(whole)));
            let last = pieces.collect::<Vec<Piece>>().await.pop().unwrap();
            assert_eq!(last.is_ok(), whole);
        }
    }
}
