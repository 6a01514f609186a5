//! A tenant taken out of an archive.
//!
//! Called by: `http`. Talks to: `archive`, registry, `system`.
//! Invariants: nothing is a tenant before all of it was verified and fits the limits it is to
//! have; whatever goes wrong, nothing of it is left, and the appliance's trail says that it was
//! tried; what the archive says of itself bounds what is taken from it.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::Map;
use tokio::sync::OwnedSemaphorePermit;
use zeroize::{Zeroize, Zeroizing};

use super::pipe::{self, PipeReader};
use super::{CATALOGUE, CONTENTS, Contents, Fingerprint, ORIGINALS, Provenance, TRAIL};
use crate::app::audit::{self, Action, Event, Occasion};
use crate::app::quota::Exceeded;
use crate::app::{App, Error, maintain};
use crate::archive::{self, ArchiveError, Verified};
use crate::auth::Actor;
use crate::crypto::{SecretKey, unhex};
use crate::error::chain;
use crate::system::TenantRecord;
use crate::tenant::{Amounts, Arrival, Registry};
use crate::types::{Limits, TenantId, TenantState, Tier};

/// Longest description of a tenant, which is read as a whole.
const MAX_CONTENTS_BYTES: u64 = 16 << 20;

/// How often it is looked, while nothing comes, whether it should be waited for.
const LOOK: Duration = Duration::from_secs(1);

/// What is wanted of an import.
pub struct Import {
    pub passphrase: Zeroizing<String>,
    /// The name it is to have; that of the archive where absent.
    pub name: Option<String>,
    /// The tier it is to have; that of the archive where absent.
    pub tier: Option<Tier>,
    /// Whose signature is wanted; any where absent.
    pub signer: Option<Fingerprint>,
}

/// A tenant that came.
pub struct Imported {
    pub record: TenantRecord,
    /// Where it comes from.
    pub provenance: Provenance,
    pub signer: Fingerprint,
    pub documents: u64,
}

/// Makes a tenant of the archive in `bytes`.
///
/// # Errors
/// `Archive` and `Arrival` for whatever is wrong with it; `Invalid` for another signer;
/// `Conflict` for a name that is taken; `Quota` where it does not fit its tier. Nothing of it is
/// kept then.
pub async fn import<E>(
    app: &Arc<App>,
    actor: &Actor,
    wanted: Import,
    bytes: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Imported, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let occasion = audit::here(app.clock.now(), audit::party(actor));
    let turn = app.authority.hashing_turn().await;
    let (sender, receiver) = pipe::channel();
    let shared = app.clone();
    let taking = tokio::task::spawn_blocking(move || {
        let taken = take_in(&shared, &wanted, turn, PipeReader::new(receiver), &occasion);
        conclude(&shared, occasion, taken)
    });
    loop {
        let piece = match tokio::time::timeout(LOOK, bytes.next()).await {
            Ok(Some(piece)) => piece.map_err(io::Error::other),
            Ok(None) => break,
            // A sender who pauses must not keep keys in memory that are to be put away.
            Err(_) if app.registry.is_closing() => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(_) => continue,
        };
        let last = piece.is_err();
        // It is not read any more where it was refused.
        if sender.send(piece).await.is_err() || last {
            break;
        }
    }
    drop(sender);
    let imported = taking.await.map_err(Error::Interrupted)??;
    maintain::put_in_order(app, imported.record.id).await;
    Ok(imported)
}

/// Blocks, for as long as the archive takes to come.
fn take_in(
    app: &App,
    wanted: &Import,
    turn: OwnedSemaphorePermit,
    input: PipeReader,
    occasion: &Occasion,
) -> Result<Imported, Error> {
    let mut turn = Some(turn);
    let mut intake: Option<Intake> = None;
    let verified: Verified =
        archive::read(input, &wanted.passphrase, |name, length, content| match &mut intake {
            Some(intake) => intake.receive(name, length, content),
            None => {
                drop(turn.take());
                intake = Some(Intake::begin(app, wanted, name, length, content)?);
                Ok(())
            }
        })?;
    let intake = intake.ok_or(ArchiveError::Incomplete)?;
    let Verified { manifest, signer } = verified;
    if wanted.signer.is_some_and(|wanted| wanted != signer) {
        return Err(Error::invalid(format!("the archive was signed by another key: {signer}")));
    }
    intake.settle(app, manifest.provenance, signer, occasion)
}

/// Puts the outcome on record, and a tenant that came to work. Blocks.
fn conclude(
    app: &App,
    occasion: Occasion,
    taken: Result<Imported, Error>,
) -> Result<Imported, Error> {
    let event = match &taken {
        Ok(imported) => {
            app.quotas.change(&imported.record);
            app.schedule.arrive(imported.record.id);
            event(&imported.record, &imported.provenance, imported.signer)
                .with("tenant", imported.record.id.to_string())
        }
        Err(error) => {
            tracing::warn!("an archive was not taken in: {}", chain(error));
            audit::told(Event::new(Action::TenantImport), &taken)
        }
    };
    app.system.append_audit(vec![occasion.record(event)])?;
    taken
}

fn event(record: &TenantRecord, provenance: &Provenance, signer: Fingerprint) -> Event {
    Event::new(Action::TenantImport)
        .on("tenant", record.id)
        .with("name", record.name.clone())
        .with("tier", record.tier.as_str())
        .with("from_appliance", provenance.appliance.to_string())
        .with("from_tenant", provenance.tenant.to_string())
        .with("exported_at", provenance.exported_at.to_string())
        .with("signer", signer.to_string())
}

/// An archive being taken in.
struct Intake {
    contents: Contents,
    key: SecretKey,
    name: String,
    tier: Tier,
    limits: Limits,
    arrival: Arrival,
    /// Bytes of originals so far.
    taken: u64,
}

impl Intake {
    /// Begins with what the archive says of itself.
    fn begin(
        app: &App,
        wanted: &Import,
        entry: &str,
        length: u64,
        content: &mut dyn Read,
    ) -> Result<Self, Error> {
        if entry != CONTENTS || length > MAX_CONTENTS_BYTES {
            return Err(ArchiveError::NotAnArchive.into());
        }
        let mut contents = contents(content)?;
        let unfit = || Error::from(ArchiveError::NotAnArchive);
        let digits = Zeroizing::new(std::mem::take(&mut contents.catalogue_key));
        let bytes = Zeroizing::new(unhex(&digits).ok_or_else(unfit)?);
        let key = SecretKey::from_slice(&bytes).ok_or_else(unfit)?;
        // A chain is named after the tenant it began as; the appliance's own is none of those.
        contents.audit_chain.parse::<TenantId>().map_err(|_| unfit())?;
        let name = wanted.name.clone().unwrap_or_else(|| contents.name.clone());
        Registry::check_name(&name)?;
        if app.system.find_tenant(&name)?.is_some() {
            return Err(Error::Conflict {
                detail: format!("there is a tenant {name} already; give another name"),
            });
        }
        let tier = wanted.tier.unwrap_or(contents.tier);
        let limits = tier.limits();
        fits(contents.original_bytes, contents.documents, &limits)?;
        let arrival = app.registry.arrive()?;
        Ok(Self { contents, key, name, tier, limits, arrival, taken: 0 })
    }

    /// Takes an entry.
    fn receive(&mut self, name: &str, length: u64, content: &mut dyn Read) -> Result<(), Error> {
        if name == CATALOGUE {
            return Ok(self.arrival.catalogue(length, content)?);
        }
        if name.starts_with(TRAIL.0) && name.ends_with(TRAIL.1) {
            return Ok(self.arrival.trail(length, content)?);
        }
        let Some(digest) = name.strip_prefix(ORIGINALS) else {
            return Err(Error::invalid(format!(
                "the archive holds {name}, which this release does not know"
            )));
        };
        self.taken = self.taken.saturating_add(length);
        if self.taken > self.contents.original_bytes {
            return Err(Error::invalid("the archive holds more than it says"));
        }
        Ok(self.arrival.original(digest, length, content)?)
    }

    /// Makes it a tenant, once the archive was verified.
    fn settle(
        self,
        app: &App,
        provenance: Provenance,
        signer: Fingerprint,
        occasion: &Occasion,
    ) -> Result<Imported, Error> {
        let Self { contents, key, name, tier, limits, mut arrival, .. } = self;
        let Amounts { stored_bytes, documents, .. } =
            arrival.build(&key, &contents.audit_chain, &contents.audit_end)?;
        fits(stored_bytes, documents, &limits)?;
        let record = TenantRecord {
            id: arrival.id(),
            name,
            tier,
            state: TenantState::Active,
            locked: false,
            limits: Map::new(),
            created_at: app.clock.now(),
        };
        let entry = occasion.clone().record(event(&record, &provenance, signer));
        arrival.settle(&record, entry)?;
        Ok(Imported { record, provenance, signer, documents })
    }
}

/// Reads `tenant.json`.
fn contents(content: &mut dyn Read) -> Result<Contents, Error> {
    let mut bytes = Vec::new();
    let read = content.take(MAX_CONTENTS_BYTES).read_to_end(&mut bytes);
    let contents = serde_json::from_slice(&bytes);
    bytes.zeroize();
    read.map_err(ArchiveError::Read)?;
    Ok(contents.map_err(ArchiveError::Manifest)?)
}

fn fits(stored_bytes: u64, documents: u64, limits: &Limits) -> Result<(), Exceeded> {
    if stored_bytes > limits.stored_bytes {
        return Err(Exceeded::StoredBytes { limit: limits.stored_bytes, used: stored_bytes });
    }
    if documents > limits.documents {
        return Err(Exceeded::Documents { limit: limits.documents, used: documents });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_its_tier_is_refused_by_the_limit_in_the_way() {
        let limits = Tier::Casual.limits();
        assert!(fits(limits.stored_bytes, limits.documents, &limits).is_ok());
        let bytes = fits(limits.stored_bytes + 1, 0, &limits);
        assert!(matches!(bytes, Err(Exceeded::StoredBytes { .. })));
        let documents = fits(0, limits.documents + 1, &limits);
        assert!(matches!(documents, Err(Exceeded::Documents { .. })));
    }
}
