//! Synchronised sources of a tenant: listed, made, changed, asked to run, removed.
//!
//! Called by: `http`; the runs themselves are in `sources`. Talks to: catalogue.
//! Invariants: what a source may reach is asked of the configuration when it is made and again by
//! every run; a secret comes in and never goes out; every change is in the audit trail.

mod change;
mod reach;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, broadcast};
use zeroize::Zeroizing;

use super::audit::{self, Action, Event};
use super::ingest::DEFAULT_COLLECTION;
use super::{App, Error};
use crate::auth::{CanRead, Manage};
use crate::config::SourcesConfig;
use crate::tenant::TenantHandle;
use crate::types::{Deletions, RunCounts, SourceId, SourceRun, TenantId};

pub use crate::tenant::{FoundItem, ListedItem, MissingItem, SourceChange, SourceRow};
pub use change::{Change, SettingsChange, change};
pub use reach::{Reach, Refused};
pub use settings::{DirectorySettings, ImapSettings, Security, SourceSettings};

/// Seconds between two runs where nobody said otherwise, and what may be said.
const DEFAULT_INTERVAL: u64 = 300;
const INTERVALS: std::ops::RangeInclusive<u64> = 10..=30 * 86_400;

/// Longest name of a source, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// Sources of one tenant.
const MOST: usize = 200;

/// What the sources of all tenants share.
pub struct Sources {
    pub config: SourcesConfig,
    /// Places among what is taken in at a time. They are given in the order of asking, so no
    /// source has to wait for the whole of another.
    pub places: Semaphore,
    changes: broadcast::Sender<TenantId>,
    /// Runs going on, with what they did so far.
    running: Mutex<HashMap<SourceId, RunCounts>>,
}

impl Sources {
    /// Nothing runs.
    pub fn new(config: SourcesConfig) -> Self {
        Self {
            places: Semaphore::new(config.concurrent),
            config,
            changes: broadcast::Sender::new(1024),
            running: Mutex::default(),
        }
    }

    /// Tenants whose sources change from now on, or are to run.
    pub fn changes(&self) -> broadcast::Receiver<TenantId> {
        self.changes.subscribe()
    }

    /// Says how far a run is; `None` where it ended.
    pub fn note_progress(&self, source: SourceId, counts: Option<RunCounts>) {
        match counts {
            Some(counts) => drop(self.running().insert(source, counts)),
            None => drop(self.running().remove(&source)),
        }
    }

    /// What the run that goes on did so far.
    pub fn progress(&self, source: SourceId) -> Option<RunCounts> {
        self.running().get(&source).copied()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<SourceId, RunCounts>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, tenant: TenantId) {
        // Nobody watching is no error: a command without a server has no runs.
        let _ = self.changes.send(tenant);
    }
}

/// A source as it is shown.
pub struct SourceDetail {
    pub row: SourceRow,
    pub settings: SourceSettings,
    /// What the run that goes on did so far.
    pub running: Option<RunCounts>,
    /// Its last runs, newest first.
    pub runs: Vec<SourceRun>,
}

/// A source as it is wanted.
pub struct Wanted {
    pub name: String,
    pub collection: Option<String>,
    pub settings: SourceSettings,
    pub password: Option<Zeroizing<String>>,
    pub interval_seconds: Option<u64>,
    pub deletions: Option<Deletions>,
    pub paused: bool,
}

/// The sources in sight, by name.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn list<A: CanRead>(
    app: &App,
    tenant: &TenantHandle<A>,
) -> Result<Vec<SourceDetail>, Error> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method by its name is for one lifetime of the snapshot only"
    )]
    let rows = tenant.read(|catalog| catalog.sources()).await?;
    rows.into_iter().map(|row| detail(app, row, Vec::new())).collect()
}

/// One source, by id or name, with its last `runs`.
///
/// # Errors
/// `NotFound`.
pub async fn show<A: CanRead>(
    app: &App,
    tenant: &TenantHandle<A>,
    source: &str,
    runs: u32,
) -> Result<SourceDetail, Error> {
    let wanted = source.to_owned();
    let found = tenant.read(move |catalog| match catalog.source(&wanted)? {
        None => Ok(None),
        Some(row) => {
            let runs = catalog.source_runs(row.key, runs)?;
            Ok(Some((row, runs)))
        }
    });
    let (row, runs) = found.await?.ok_or(Error::NotFound)?;
    detail(app, row, runs)
}

fn detail(app: &App, row: SourceRow, runs: Vec<SourceRun>) -> Result<SourceDetail, Error> {
    let settings = SourceSettings::read(&row.settings)?;
    Ok(SourceDetail { running: app.sources.progress(row.id), settings, runs, row })
}

/// Makes a source. It runs at once, unless it is to be paused.
///
/// # Errors
/// `Invalid` for settings that cannot work or reach beyond what is allowed; `Conflict` for a name
/// that is taken.
pub async fn create(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    wanted: Wanted,
) -> Result<SourceDetail, Error> {
    check_name(&wanted.name)?;
    let interval_seconds = wanted.interval_seconds.unwrap_or(DEFAULT_INTERVAL);
    check_interval(interval_seconds)?;
    wanted.settings.check(wanted.password.is_some())?;
    reach::check(app, tenant.id(), &wanted.settings).await?;
    let collection = wanted.collection.unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    super::collections::create(tenant, collection.clone()).await?;
    let new = crate::tenant::NewSource {
        kind: wanted.settings.kind(),
        name: wanted.name,
        collection,
        settings: wanted.settings.write()?,
        secret: wanted.password.map(|password| password.as_str().to_owned()),
        interval_seconds,
        deletions: wanted.deletions.unwrap_or(wanted.settings.usual_deletions()),
        paused: wanted.paused,
        created_by: super::deletion::named(tenant.actor()),
    };
    let occasion = audit::occasion(tenant);
    let made = tenant.write(move |catalog| {
        if catalog.sources()?.len() >= MOST {
            return Ok(Err(format!("a tenant has at most {MOST} sources")));
        }
        let Some(row) = catalog.add_source(&new)? else {
            return Ok(Err(format!("there is a source named {} already", new.name)));
        };
        let event = Event::new(Action::SourceCreate)
            .on("source", row.id)
            .with("name", row.name.clone())
            .with("kind", row.kind.as_str());
        catalog.record([occasion.record(event)])?;
        Ok(Ok(row))
    });
    let row = made.await?.map_err(|detail| Error::Conflict { detail })?;
    app.sources.changed(tenant.id());
    tenant.announce_source(row.id);
    detail(app, row, Vec::new())
}

/// Has a source run as soon as it can, also while it is paused. With `gone_confirmed` what is
/// gone there is removed here, however much it is.
///
/// # Errors
/// `NotFound`.
pub async fn ask_run(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    source: &str,
    gone_confirmed: bool,
) -> Result<SourceDetail, Error> {
    let wanted = source.to_owned();
    let occasion = audit::occasion(tenant);
    let asked = tenant.write(move |catalog| {
        let Some(row) = catalog.source(&wanted)? else { return Ok(None) };
        catalog.ask_source_run(row.key, gone_confirmed)?;
        let event = Event::new(Action::SourceChange)
            .on("source", row.id)
            .with("run", true)
            .with("gone_confirmed", gone_confirmed);
        catalog.record([occasion.record(event)])?;
        Ok(Some(row.id))
    });
    let id = asked.await?.ok_or(Error::NotFound)?;
    app.sources.changed(tenant.id());
    show(app, tenant, &id.to_string(), 0).await
}

/// Removes a source. Its documents stay.
///
/// # Errors
/// `NotFound`.
pub async fn remove(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    source: &str,
) -> Result<(), Error> {
    let wanted = source.to_owned();
    let occasion = audit::occasion(tenant);
    let removed = tenant.write(move |catalog| {
        let Some(row) = catalog.source(&wanted)? else { return Ok(None) };
        catalog.remove_source(row.key)?;
        let event = Event::new(Action::SourceDelete)
            .on("source", row.id)
            .with("name", row.name)
            .with("kind", row.kind.as_str());
        catalog.record([occasion.record(event)])?;
        Ok(Some(row.id))
    });
    let id = removed.await?.ok_or(Error::NotFound)?;
    app.sources.changed(tenant.id());
    tenant.announce_source(id);
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let sound = !name.trim().is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.contains('/')
        && !name.chars().any(char::is_control)
        && !matches!(name, "." | "..");
    if sound {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a source needs a name of 1 to {MAX_NAME_BYTES} bytes without `/` and control characters: \
         its documents are listed below it"
    )))
}

fn check_interval(seconds: u64) -> Result<(), Error> {
    if INTERVALS.contains(&seconds) {
        return Ok(());
    }
    let (least, most) = (INTERVALS.start(), INTERVALS.end());
    Err(Error::invalid(format!("interval_seconds must lie between {least} and {most}")))
}
