//! The audit trails as use cases write them and auditors read them.
//!
//! Called by: every use case; `http`, `appliance`. Talks to: catalogue, `system`.
//! Invariants: what is read is taken for the record before it is handed out, and reaches the disk a
//! fifth of a second later at most; an entry of a change is in the
//! transaction of the change wherever that is a write to the catalogue or to the appliance database;
//! the appliance's trail holds nothing about documents.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;

use super::{App, Error, blocking};
use crate::auth::{Access, Actor, Audit, Manage, SystemActor};
use crate::error::Kind;
use crate::system::{System, SystemError};
use crate::tenant::TenantHandle;
use crate::tls::Issued;
use crate::types::{Feature, TenantId};

pub use crate::audit::{Action, Entry, Event, Occasion, Origin, Outcome, Party, Record, Verdict};
pub use crate::system::TrailQuery;

tokio::task_local! {
    /// Where the request that this task serves came from.
    static ORIGIN: Origin;
}

/// Entries read at a time for an export.
const STRETCH: usize = 500;

/// Runs `work` so that what it records is said to come from `origin`.
pub async fn with_origin<F: Future>(origin: Origin, work: F) -> F::Output {
    ORIGIN.scope(origin, work).await
}

/// The present request; empty for jobs and Cairn's own work.
pub(super) fn origin() -> Origin {
    ORIGIN.try_with(Clone::clone).unwrap_or_default()
}

/// An actor as the trail names it.
pub fn party(actor: &Actor) -> Party {
    match actor {
        Actor::Console => Party::new(actor.kind(), None, None),
        Actor::User { id, name, .. } => {
            Party::new(actor.kind(), Some(id.to_string()), Some(name.clone()))
        }
        Actor::ApiKey { id, name, .. } => {
            Party::new(actor.kind(), Some(id.to_string()), Some(name.clone()))
        }
        Actor::System(SystemActor::Worker) => {
            Party::new(actor.kind(), None, Some("worker".to_owned()))
        }
        Actor::System(SystemActor::Inbox) => {
            Party::new(actor.kind(), None, Some("inbox".to_owned()))
        }
        Actor::System(SystemActor::Source) => {
            Party::new(actor.kind(), None, Some("source".to_owned()))
        }
    }
}

/// This machine's console as the trail names it.
pub fn console() -> Party {
    party(&Actor::Console)
}

/// The appliance as the trail names it.
pub fn itself() -> Party {
    Party::new("system", None, Some("appliance".to_owned()))
}

/// Certificates that were made; `None` where none was.
pub fn certificates(issued: &[Issued]) -> Option<Event> {
    let issued: Vec<String> = issued.iter().map(ToString::to_string).collect();
    (!issued.is_empty())
        .then(|| Event::new(Action::ApplianceCertificate).with("certificates", issued))
}

/// Now, by the holder of this handle: for an entry that goes into a transaction of its own.
pub fn occasion<A: Access>(tenant: &TenantHandle<A>) -> Occasion {
    here(tenant.now(), party(tenant.actor()))
}

/// Records what the holder of a handle did without changing the catalogue. It does not wait for
/// the disk.
///
/// # Errors
/// When the trail cannot take it; what was read must not be handed out then.
pub async fn record<A: Access>(tenant: &TenantHandle<A>, event: Event) -> Result<(), Error> {
    Ok(tenant.audit(occasion(tenant).record(event)).await?)
}

/// Records how something ended and passes the outcome on, unless it cannot be recorded.
///
/// # Errors
/// That of `outcome`, or that the trail cannot take the record.
pub async fn concluded<A: Access, T>(
    tenant: &TenantHandle<A>,
    event: Event,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    match outcome {
        Ok(value) => record(tenant, event).await.map(|()| value),
        Err(error) => Err(refused(tenant, event, error).await),
    }
}

/// Records that something did not succeed; gives the reason back.
pub async fn refused<A: Access>(tenant: &TenantHandle<A>, event: Event, error: Error) -> Error {
    let event = event.ended(ended(&error)).with("code", error.code().as_str());
    if let Err(unrecorded) = record(tenant, event).await {
        // Nothing was handed out, and the caller is told of the first failure.
        tracing::error!(
            tenant = %tenant.id(),
            "a failure is not in the audit trail: {}", crate::error::chain(&unrecorded)
        );
    }
    error
}

/// How an error looks in the trail: no for an answer, or no answer.
pub fn ended(error: &Error) -> Outcome {
    match error.code().kind() {
        Kind::Unavailable | Kind::StorageFull | Kind::Internal => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

/// Records an event of the appliance, durably. It may not name a document.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn record_appliance(app: &Arc<App>, actor: &Actor, event: Event) -> Result<(), Error> {
    record_appliance_as(app, party(actor), event).await
}

/// The same by somebody who is no actor: a caller whose sign-in failed, say.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn record_appliance_as(app: &Arc<App>, actor: Party, event: Event) -> Result<(), Error> {
    let record = here(app.clock.now(), actor).record(event);
    append(app, vec![record]).await
}

/// An occasion of the present request.
pub fn here(at: Timestamp, actor: Party) -> Occasion {
    Occasion { at, actor, origin: origin() }
}

/// Puts records into the appliance's trail, durably.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn append(app: &Arc<App>, records: Vec<Record>) -> Result<(), Error> {
    let app = app.clone();
    blocking(move || Ok(app.system.append_audit(records)?)).await
}

/// Records for the appliance how something ended and passes the outcome on, unless it cannot be
/// recorded.
///
/// # Errors
/// That of `outcome`, or that the appliance database cannot be written.
pub async fn concluded_for_appliance<T>(
    app: &Arc<App>,
    actor: &Actor,
    event: Event,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    record_appliance(app, actor, told(event, &outcome)).await?;
    outcome
}

/// The same in both trails, for what is done to a tenant as a whole.
///
/// # Errors
/// That of `outcome`, or that a trail cannot be written.
pub async fn concluded_about<T>(
    app: &Arc<App>,
    tenant: TenantId,
    actor: &Actor,
    event: Event,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    record_about(app, tenant, actor, told(event.on("tenant", tenant), &outcome)).await?;
    outcome
}

/// An event with how it ended.
pub fn told<T>(event: Event, outcome: &Result<T, Error>) -> Event {
    match outcome {
        Ok(_) => event,
        Err(error) => event.ended(ended(error)).with("code", error.code().as_str()),
    }
}

/// What goes on record with a change of the appliance database.
pub enum Told {
    /// In the appliance's trail.
    OfAppliance(Event),
    /// In the appliance's trail and in that of the tenant it concerns.
    OfTenant(TenantId, Event),
    /// In the trail of a tenant that it concerns as well.
    OnlyOfTenant(TenantId, Event),
}

/// Makes a change of the appliance database together with what goes on record about it: both last,
/// or neither. `change` blocks and is as short as such a change; see [`System::together`].
///
/// A tenant gets its entries at once where it can be opened, and else when it is opened next.
///
/// # Errors
/// Whatever `change` returns, or that the appliance database cannot be written.
pub async fn recorded<T: Send + 'static>(
    app: &Arc<App>,
    actor: &Actor,
    change: impl FnOnce(&App) -> Result<(T, Vec<Told>), Error> + Send + 'static,
) -> Result<T, Error> {
    let occasion = here(app.clock.now(), party(actor));
    let shared = app.clone();
    let changed = blocking(move || {
        shared.system.together(|| {
            let (changed, told) = change(&shared)?;
            let concerned = put_on_record(&shared.system, &occasion, told)?;
            Ok((changed, concerned))
        })
    });
    let (changed, concerned) = changed.await?;
    for tenant in concerned {
        deliver(app, tenant).await;
    }
    Ok(changed)
}

/// Puts events into the appliance's trail and on their way to those of tenants; the tenants that
/// are to get some. Blocks.
pub(super) fn put_on_record(
    system: &System,
    occasion: &Occasion,
    told: Vec<Told>,
) -> Result<BTreeSet<TenantId>, SystemError> {
    let (mut records, mut concerned) = (Vec::new(), BTreeSet::new());
    let mut of_tenant = |tenant, event: &Event| {
        if system.put_in_outbox(tenant, &occasion.clone().record(event.clone()))? {
            concerned.insert(tenant);
        }
        Ok::<_, SystemError>(())
    };
    for told in told {
        let event = match told {
            Told::OfAppliance(event) => event,
            Told::OfTenant(tenant, event) => {
                of_tenant(tenant, &event)?;
                event.with("tenant", tenant.to_string())
            }
            Told::OnlyOfTenant(tenant, event) => {
                of_tenant(tenant, &event)?;
                continue;
            }
        };
        records.push(occasion.clone().record(event));
    }
    system.append_audit(records)?;
    Ok(concerned)
}

/// Has a tenant take what waits for its trail. What it cannot take now stays where it is.
pub(super) async fn deliver(app: &Arc<App>, tenant: TenantId) {
    let delivered = match app.open_for_work(tenant, SystemActor::Worker).await {
        Ok(open) => open.take_from_outbox().await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let Err(error) = delivered
        && !error.is_locked()
        && !matches!(error, Error::NotFound)
    {
        tracing::error!(
            tenant = %tenant,
            "a tenant's audit trail lacks entries for now: {}", crate::error::chain(&error)
        );
    }
}

/// Records what was done to a tenant as a whole: in the appliance's trail, and in the tenant's own.
///
/// # Errors
/// When the appliance database cannot be written.
pub async fn record_about(
    app: &Arc<App>,
    tenant: TenantId,
    actor: &Actor,
    event: Event,
) -> Result<(), Error> {
    recorded(app, actor, move |_| Ok(((), vec![Told::OfTenant(tenant, event)]))).await
}

/// A trail open for reading.
pub enum Trail {
    Tenant(TenantHandle<Audit>),
    /// The appliance's own, with who reads it.
    Appliance(Arc<App>, Actor),
}

/// A page of a trail, newest first.
#[derive(Debug)]
pub struct TrailPage {
    pub entries: Vec<Entry>,
    /// Entry to continue before.
    pub next_cursor: Option<u64>,
}

impl Trail {
    /// Entries that match, newest first.
    ///
    /// # Errors
    /// `Invalid` for a filter by an action that does not exist.
    pub async fn page(&self, mut wanted: TrailQuery) -> Result<TrailPage, Error> {
        if let Some(word) = wanted.action.as_deref().filter(|word| !Action::is_filter(word)) {
            return Err(Error::invalid(format!("{word:?} is no action of the audit trail")));
        }
        // Leafing on is the same reading.
        if wanted.cursor.is_none() {
            self.note(Event::new(Action::AuditRead)).await?;
        }
        let limit = wanted.limit;
        wanted.limit += 1;
        let mut entries = match self {
            Self::Tenant(tenant) => tenant.read_audit(move |trail| trail.page(&wanted)).await?,
            Self::Appliance(app, _) => {
                let app = app.clone();
                blocking(move || Ok(app.system.audit_page(&wanted)?)).await?
            }
        };
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next_cursor = entries.last().filter(|_| more).map(|entry| entry.sequence);
        Ok(TrailPage { entries, next_cursor })
    }

    /// Checks every entry and the end of the trail.
    ///
    /// # Errors
    /// When it cannot be read; a trail that is not sound is a verdict, not an error.
    pub async fn verify(&self) -> Result<Verdict, Error> {
        let verdict = match self {
            Self::Tenant(tenant) => tenant.verify_audit().await?,
            Self::Appliance(app, _) => {
                let app = app.clone();
                blocking(move || Ok(app.system.verify_audit()?)).await?
            }
        };
        let event = Event::new(Action::AuditVerify)
            .with("entries", verdict.entries)
            .with("sound", verdict.flaw.is_none());
        self.note(event).await?;
        Ok(verdict)
    }

    /// Entries from `first` on as JSON Lines, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the export cannot be recorded; the stream ends in an error where the trail cannot be
    /// read.
    pub async fn export(
        self,
        first: u64,
        limit: usize,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>>, Error> {
        // A further part of the same export is no other one.
        if first <= 1 {
            self.note(Event::new(Action::AuditExport)).await?;
        }
        Ok(futures::stream::try_unfold((self, first, limit), |(trail, first, left)| async move {
            let entries = trail.stretch(first, left.min(STRETCH)).await?;
            let Some(last) = entries.last() else { return Ok(None) };
            let rest = (last.sequence + 1, left - entries.len());
            Ok(Some((lines(&entries)?, (trail, rest.0, rest.1))))
        }))
    }

    async fn stretch(&self, first: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        match self {
            Self::Tenant(tenant) => {
                Ok(tenant.read_audit(move |trail| trail.stretch(first, limit)).await?)
            }
            Self::Appliance(app, _) => {
                let app = app.clone();
                blocking(move || Ok(app.system.audit_stretch(first, limit)?)).await
            }
        }
    }

    async fn note(&self, event: Event) -> Result<(), Error> {
        match self {
            Self::Tenant(tenant) => record(tenant, event).await,
            Self::Appliance(app, actor) => record_appliance(app, actor, event).await,
        }
    }
}

/// Refuses the trail as a file to members of a tenant whose tier does not include it. Whoever runs
/// the machine gets it in any case: a trail must not be out of reach of those who examine it.
///
/// # Errors
/// `NotInTier`.
pub async fn allow_export(app: &Arc<App>, tenant: &TenantHandle<Audit>) -> Result<(), Error> {
    if *tenant.actor() == Actor::Console {
        return Ok(());
    }
    match app.standing(tenant.id()).await?.require(Feature::AuditExport) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(tenant, Event::new(Action::AuditExport), error).await),
    }
}

pub(super) fn lines(entries: &[Entry]) -> Result<Bytes, Error> {
    let mut out = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut out, entry).map_err(|error| Error::AuditLine(error.into()))?;
        out.push(b'\n');
    }
    Ok(out.into())
}

/// True while a tenant's trail keeps the text of queries.
///
/// # Errors
/// When the catalogue cannot be read.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is not general enough over the lifetime of a snapshot"
)]
pub async fn keeps_query_text(tenant: &TenantHandle<Audit>) -> Result<bool, Error> {
    Ok(tenant.read_audit(|trail| trail.keeps_query_text()).await?)
}

/// Has a tenant's trail keep the text of queries from now on, or no longer.
///
/// # Errors
/// When the catalogue cannot be written.
pub async fn keep_query_text(tenant: &TenantHandle<Manage>, keep: bool) -> Result<(), Error> {
    // What was asked under the policy so far is recorded under it.
    tenant.flush_audit().await?;
    let record = occasion(tenant).record(Event::new(Action::AuditPolicy).with("query_text", keep));
    let change = tenant.write(move |catalog| {
        catalog.keep_query_text(keep)?;
        catalog.record([record])
    });
    Ok(change.await?)
}
