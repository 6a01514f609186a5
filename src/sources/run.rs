//! One run of a source: list what is there, take in what is new or changed, see what is gone.
//!
//! Called by: `sources::synchronise`. Talks to: a [`Feed`], `app::ingest`, `app::maintain`,
//! `app::sources`.
//! Invariants: what was listed is written down before anything is taken in, so a run that ends
//! anywhere goes on where it stopped; something counts as gone only after everything was listed;
//! a source that is suddenly empty, or of which most is gone, has nothing removed until somebody
//! says that this is right.

mod place;
mod take;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::directory::{Directory, Growing};
use super::feed::{Feed, FeedError, Page};
use super::imap::Mailbox;
use super::settle::STILL;
use crate::app::sources::{Reach, SourceRow, SourceSettings};
use crate::app::{App, Error, maintain};
use crate::auth::Write;
use crate::error::chain;
use crate::tenant::TenantHandle;
use crate::types::{Deletions, RunCounts, RunOutcome, RunProblem, SourceRun};

/// Problems listed of one run.
const MOST_PROBLEMS: usize = 100;

/// Things taken out of the catalogue at a time.
const BATCH: u32 = 64;

/// So few may be gone at once without a question.
const FEW: u64 = 10;

/// How long a run that stopped at a limit waits for room, at most.
const LIMIT_WAIT: Duration = Duration::from_secs(60);

/// How a run came to its end.
enum End {
    /// Everything was looked at.
    Complete,
    /// A limit of the tenant is in the way.
    Waiting(String),
    /// The server stops, or the source was paused.
    Stopped,
    /// It was removed meanwhile: there is nothing to record.
    Removed,
    Failed(String),
}

impl From<FeedError> for End {
    fn from(error: FeedError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What ends a run before its time: an end of its own, or an error that leaves it unrecorded.
enum Cut {
    End(End),
    Error(Box<Error>),
}

impl From<End> for Cut {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl<E: Into<Error>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

/// A run going on.
struct Run<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantHandle<Write>,
    source: SourceRow,
    number: i64,
    stopped: &'a watch::Receiver<bool>,
    counts: RunCounts,
    problems: Vec<RunProblem>,
    listed: u64,
    /// How long it took to list all there is.
    listing: Duration,
}

/// Runs a source once and records how it went.
///
/// # Errors
/// When the tenant is locked or its catalogue cannot be used; the source is due again then.
pub(super) async fn run(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    source: SourceRow,
    growing: Growing,
    stopped: &watch::Receiver<bool>,
) -> Result<(), Error> {
    let (key, id) = (source.key, source.id);
    let Some(number) = tenant.write(move |catalog| catalog.begin_source_run(key)).await? else {
        return Ok(());
    };
    let started_at = app.clock.now();
    let mut run = Run {
        app,
        tenant,
        source,
        number,
        stopped,
        counts: RunCounts::default(),
        problems: Vec::new(),
        listed: 0,
        listing: Duration::ZERO,
    };
    run.progress();
    let ended = run.go(growing).await;
    app.sources.note_progress(id, None);
    let end = match ended {
        Ok(()) => End::Complete,
        Err(Cut::End(End::Removed)) => return Ok(()),
        Err(Cut::End(end)) => end,
        Err(Cut::Error(error)) if error.is_locked() || matches!(*error, Error::NotFound) => {
            return Err(*error);
        }
        Err(Cut::Error(error)) => {
            tracing::error!(tenant = %tenant.id(), source = %id, "a run broke off: {}", chain(error.as_ref()));
            End::Failed("the appliance could not go on with it; its log says why".to_owned())
        }
    };
    run.learn_interval().await?;
    let (next, record) = run.conclude(end, started_at);
    tracing::info!(
        tenant = %tenant.id(), source = %id, outcome = record.outcome.as_str(),
        new = record.counts.new, changed = record.counts.changed, moved = record.counts.moved,
        deleted = record.counts.deleted, failed = record.counts.failed, "a source was read"
    );
    tenant.write(move |catalog| catalog.end_source_run(key, &record, next)).await?;
    tenant.announce_source(id);
    Ok(())
}

impl Run<'_> {
    async fn go(&mut self, growing: Growing) -> Result<(), Cut> {
        self.put_in_place().await?;
        let mut feed = self.connect(growing).await?;
        let began = Instant::now();
        self.list(feed.as_mut()).await?;
        self.listing = began.elapsed();
        loop {
            let (before, told) = (self.counts, self.problems.len());
            let Some(why) = self.take_found(feed.as_mut()).await? else {
                return self.see_to_missing().await;
            };
            self.see_to_missing().await?;
            if self.counts.deleted == before.deleted {
                return Err(End::Waiting(why).into());
            }
            // What is gone has made room. What failed is tried again and told once.
            (self.counts.failed, self.counts.unsettled) = (before.failed, before.unsettled);
            self.problems.truncate(told);
        }
    }

    /// The source as its settings describe it, if it is still within reach.
    async fn connect(&self, growing: Growing) -> Result<Box<dyn Feed>, Cut> {
        let tenant = self.tenant.id();
        let settings = SourceSettings::read(&self.source.settings);
        match settings.map_err(|error| End::Failed(error.to_string()))? {
            SourceSettings::Directory(settings) => {
                let app = self.app.clone();
                let reach = tokio::task::spawn_blocking(move || {
                    Reach::directory(&app, tenant, &settings.path)
                })
                .await
                .map_err(Error::Interrupted)?
                .map_err(|refused| End::Failed(refused.to_string()))?;
                Ok(Box::new(Directory::new(reach, growing)))
            }
            SourceSettings::Imap(settings) => {
                let host = Reach::host(self.app, tenant, &settings)
                    .map_err(|error| End::Failed(error.to_string()))?;
                let key = self.source.key;
                let password = self.tenant.read(move |catalog| catalog.source_secret(key)).await?;
                let mailbox = Mailbox::connect(self.tenant, key, &settings, &host, password);
                Ok(Box::new(mailbox.await.map_err(End::from)?))
            }
        }
    }

    /// Writes down what is there.
    async fn list(&mut self, feed: &mut dyn Feed) -> Result<(), Cut> {
        while let Some(page) = feed.page().await.map_err(End::from)? {
            self.go_on().await?;
            self.note(page).await?;
        }
        let listing = feed.listing();
        let (key, number) = (self.source.key, self.number);
        if listing.complete && self.listed == 0 && !self.source.gone_confirmed {
            let (known, _) = self.tenant.read(move |catalog| catalog.source_amounts(key)).await?;
            if known > 0 {
                return Err(End::Failed(format!(
                    "it is empty, though {known} files were taken in from it: perhaps it is not \
                     mounted. Nothing was removed; if it is right, run it again and confirm."
                ))
                .into());
            }
        }
        self.tenant
            .write(move |catalog| {
                if listing.complete {
                    for prefix in &listing.spared {
                        catalog.spare_items(key, number, prefix)?;
                    }
                    catalog.miss_unseen(key, number)?;
                }
                for (name, value) in &listing.cursors {
                    catalog.set_source_cursor(key, name, value)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    async fn note(&mut self, page: Page) -> Result<(), Cut> {
        let (key, number) = (self.source.key, self.number);
        let Page { items, problems, skipped, hidden, renamed } = page;
        self.listed += items.len() as u64;
        self.counts.unsettled += items.iter().filter(|item| !item.settled).count() as u64;
        self.counts.failed += problems.len() as u64;
        self.counts.skipped += skipped.len() as u64;
        self.counts.hidden += hidden;
        for problem in problems.into_iter().chain(skipped) {
            self.list_problem(problem);
        }
        self.counts.unchanged += self
            .tenant
            .write(move |catalog| {
                for prefix in &renamed {
                    catalog.miss_below(key, prefix)?;
                }
                catalog.note_listed(key, number, &items)
            })
            .await?;
        self.progress();
        Ok(())
    }

    /// Removes what is gone, or counts it.
    async fn see_to_missing(&mut self) -> Result<(), Cut> {
        let key = self.source.key;
        let (known, missing) = self.tenant.read(move |catalog| catalog.source_amounts(key)).await?;
        self.counts.missing = missing;
        if self.source.deletions == Deletions::Keep || missing == 0 {
            return Ok(());
        }
        let most = missing > FEW && missing > known;
        if most && !self.source.gone_confirmed {
            return Err(End::Failed(format!(
                "{missing} of {} files are gone, which is most of them: perhaps something is not \
                 mounted. Nothing was removed; if it is right, run it again and confirm.",
                missing + known
            ))
            .into());
        }
        let mut after = 0;
        loop {
            let gone =
                self.tenant.read(move |catalog| catalog.missing_items(key, after, BATCH)).await?;
            let Some(last) = gone.last() else { return Ok(()) };
            after = last.key;
            for item in gone {
                self.go_on().await?;
                if let Some(document) = item.document {
                    match maintain::remove(self.app, self.tenant, document).await {
                        Ok(_) => self.counts.deleted += 1,
                        // Somebody removed it here before.
                        Err(Error::NotFound) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                self.tenant.write(move |catalog| catalog.forget_item(item.key)).await?;
                self.counts.missing = self.counts.missing.saturating_sub(1);
                self.progress();
            }
        }
    }

    /// Ends the run where the server stops, or the source was paused or removed meanwhile.
    async fn go_on(&self) -> Result<(), Cut> {
        if *self.stopped.borrow() {
            return Err(End::Stopped.into());
        }
        let key = self.source.key;
        // Asked for every file: not with the counts that a whole source comes with.
        match self.tenant.read(move |catalog| catalog.source_is_paused(key)).await? {
            None => Err(End::Removed.into()),
            // One that was paused before was asked to run all the same.
            Some(true) if !self.source.paused => Err(End::Stopped.into()),
            Some(_) => Ok(()),
        }
    }

    /// Takes over an interval that was changed meanwhile: the next run is due by it.
    async fn learn_interval(&mut self) -> Result<(), Error> {
        let key = self.source.key;
        let now = self.tenant.read(move |catalog| catalog.source_interval(key)).await?;
        self.source.interval_seconds = now.unwrap_or(self.source.interval_seconds);
        Ok(())
    }

    fn progress(&self) {
        self.app.sources.note_progress(self.source.id, Some(self.counts));
    }

    fn list_problem(&mut self, problem: RunProblem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn fail(&mut self, path: &str, reason: impl Into<String>) {
        self.counts.failed += 1;
        self.list_problem(RunProblem { path: path.to_owned(), reason: reason.into() });
    }

    /// The record of the run, and when the next is due.
    fn conclude(self, end: End, started_at: Timestamp) -> (Timestamp, SourceRun) {
        // A large tree is not looked through without end, for whatever reason.
        let least = self.listing * 4;
        let interval = Duration::from_secs(self.source.interval_seconds).max(least);
        let (outcome, error, mut pause) = match end {
            End::Complete if self.counts.failed > 0 => (RunOutcome::Partial, None, interval),
            End::Complete => (RunOutcome::Done, None, interval),
            End::Waiting(why) => (RunOutcome::Waiting, Some(why), interval.min(LIMIT_WAIT)),
            End::Stopped | End::Removed => (RunOutcome::Stopped, None, Duration::ZERO),
            End::Failed(why) => (RunOutcome::Failed, Some(why), interval),
        };
        if self.counts.unsettled > 0 {
            pause = pause.min((STILL * 2).max(least));
        }
        let ended_at = self.app.clock.now();
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_hours(1));
        let next = ended_at.checked_add(pause).unwrap_or(ended_at);
        let Self { counts, problems, .. } = self;
        (next, SourceRun { started_at, ended_at, outcome, counts, error, problems })
    }
}
