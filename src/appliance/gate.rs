//! The two states of an appliance: sealed, with no key and no open store, or open.
//!
//! Called by: `appliance`. Talks to: `keys`, and every module that an open appliance consists of.
//! Invariants: at most one change of state at a time; a request is served by the state that it
//! found, and one that may change something is served to its end, whether or not its client waits
//! for it: half of a change is none. When sealing returns well, the stores are closed and the keys
//! are gone. A change of state is on record as soon as there is a trail to write to.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use zeroize::Zeroizing;

use super::ApplianceError;
use super::backlog::Backlog;
use super::compose::compose;
use crate::app::audit::{self, Action, Event, Party, here};
use crate::app::seal::{KeyEvent, SealControl, SealStatus, Unseal};
use crate::app::{App, Error, blocking};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::disk;
use crate::error::chain;
use crate::http::{self, Seal};
use crate::keys::{Kek, KekSource, KeyError, KeyStore, combine, inspect, split};
use crate::sources::{Inboxes, Synchroniser};
use crate::tenant::{Leftover, RegistryError};
use crate::tls::{self, Tls};
use crate::types::TenantId;
use crate::worker::Workers;

/// Requests at a time that may change something.
const MOST_CHANGES: usize = 1024;

/// How long requests that may change something get to come to their end when the process stops.
const CHANGES_END: Duration = Duration::from_secs(10);

/// Recovery shares made when the key is changed, and how many of them give it back.
const SHARES: u8 = 3;
const THRESHOLD: u8 = 2;

/// Keeps the keys and decides which router answers.
pub(super) struct Gate {
    config: Config,
    keys: Arc<KeyStore>,
    /// Kept while sealed, so that the page which opens the seal can be reached.
    tls: Arc<Tls>,
    source: KekSource,
    state: RwLock<State>,
    changing: tokio::sync::Mutex<()>,
    /// True while a server runs, which watches drop folders; a single command does not.
    serving: AtomicBool,
    /// Requests that may change something.
    changes: TaskTracker,
    /// What was in use of tenants when the appliance was sealed last.
    left: Mutex<Vec<(TenantId, Leftover)>>,
    /// What goes into the audit trail once there is one.
    backlog: Backlog,
    /// Itself, for the routers that carry it.
    me: Weak<Self>,
}

enum State {
    Sealed { why: Option<String> },
    Open(Arc<Open>),
}

/// What there is only while the appliance is open.
struct Open {
    app: Arc<App>,
    network: Router,
    console: Router,
    work: tokio::sync::Mutex<Option<Work>>,
}

/// What goes on in the background.
struct Work {
    workers: Workers,
    inboxes: Option<Inboxes>,
    synchroniser: Option<Synchroniser>,
}

impl Gate {
    /// Opens the keys folder, and everything else where the key can be had without asking.
    ///
    /// # Errors
    /// What cannot be opened although the key fits. A key that is missing or wrong is no error
    /// but leaves the appliance sealed and says why.
    pub(super) async fn start(config: Config) -> Result<Arc<Self>, ApplianceError> {
        let source = KekSource::of(&config.keys, &config.home);
        let opening = config.clone();
        let (keys, tls) = tokio::task::spawn_blocking(move || open_folders(&opening))
            .await
            .map_err(ApplianceError::Interrupted)??;
        let gate = Arc::new_cyclic(|me| Self {
            config,
            keys: Arc::new(keys),
            tls: Arc::new(tls),
            source,
            state: RwLock::new(State::Sealed { why: None }),
            changing: tokio::sync::Mutex::default(),
            serving: AtomicBool::new(false),
            changes: TaskTracker::new(),
            left: Mutex::default(),
            backlog: Backlog::default(),
            me: me.clone(),
        });
        let reading = gate.clone();
        let unsealed = tokio::task::spawn_blocking(move || reading.unseal_at_start())
            .await
            .map_err(ApplianceError::Interrupted)?;
        let why = match unsealed {
            Ok(()) => return gate.open().await.map(|()| gate),
            Err(KeyError::PassphraseNeeded) => None,
            Err(error) => Some(chain(&error)),
        };
        if let Some(why) = &why {
            tracing::error!("the appliance stays sealed: {why}");
        }
        gate.set(State::Sealed { why });
        Ok(gate)
    }

    /// The application; `None` while sealed.
    pub(super) fn app(&self) -> Option<Arc<App>> {
        self.current().map(|open| open.app.clone())
    }

    /// The configuration.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The server's certificate.
    pub(super) fn tls(&self) -> Arc<Tls> {
        self.tls.clone()
    }

    /// A router that answers by the state of the moment.
    pub(super) fn router(self: &Arc<Self>, door: Door) -> Router {
        Router::new().fallback_service(Passage { gate: self.clone(), door })
    }

    /// Reads the KEK where nobody has to be asked for it. A home that has no keys yet gets one.
    fn unseal_at_start(&self) -> Result<(), KeyError> {
        let dir = self.keys.dir();
        let kek = match inspect(dir)?.scopes {
            0 => self.source.establish(dir, None)?,
            _ => self.source.read(dir, None)?,
        };
        self.keys.unseal(kek)
    }

    /// From now on drop folders are watched whenever the appliance is open.
    pub(super) async fn serve(self: &Arc<Self>) {
        self.serving.store(true, Ordering::Relaxed);
        let Some(open) = self.current() else { return };
        if let Some(work) = open.work.lock().await.as_mut() {
            work.inboxes.get_or_insert_with(|| Inboxes::start(open.app.clone()));
            work.synchroniser.get_or_insert_with(|| Synchroniser::start(open.app.clone()));
        }
    }

    /// Waits until what clients began is done, for a while at most.
    pub(super) async fn finish_changes(&self) {
        self.changes.close();
        if tokio::time::timeout(CHANGES_END, self.changes.wait()).await.is_err() {
            tracing::warn!(left = self.changes.len(), "requests are broken off");
        }
    }

    /// Finishes units of work in progress and closes everything. The seal is not changed.
    pub(super) async fn close(&self) {
        if let Some(open) = self.current() {
            open.rest().await;
            let app = open.app.clone();
            let flushed = blocking(move || {
                app.registry.flush_audit();
                Ok(())
            });
            if let Err(error) = flushed.await {
                tracing::error!("audit trails were not brought to their end: {}", chain(&error));
            }
        }
        match self.backlog.len() {
            0 => {}
            entries => tracing::warn!(entries, "entries of the audit trail go with this process"),
        }
    }

    /// Puts something into the appliance's trail; while that cannot be written it is kept. So
    /// sealing never fails for want of a record.
    pub(super) async fn note(&self, by: Party, event: Event) {
        let now = SystemClock.now();
        let record = here(now, by).record(event);
        let Some(open) = self.current() else { return self.backlog.keep([record]) };
        let mut records = self.backlog.take(now);
        records.push(record);
        if let Err(error) = audit::append(&open.app, records.clone()).await {
            tracing::error!("the audit trail cannot be written yet: {}", chain(&error));
            self.backlog.keep(records);
        }
    }

    async fn open(self: &Arc<Self>) -> Result<(), ApplianceError> {
        let (config, keys, tls) = (self.config.clone(), self.keys.clone(), self.tls.clone());
        let app = tokio::task::spawn_blocking(move || compose(config, keys, tls).map(Arc::new))
            .await
            .map_err(ApplianceError::Interrupted)??;
        let control: Arc<dyn SealControl> = self.clone();
        let network = http::router(app.clone(), Seal(control));
        let console = network.clone().layer(axum::Extension(http::LocalConsole));
        let workers = Workers::start(&app);
        let inboxes = self.serving.load(Ordering::Relaxed).then(|| Inboxes::start(app.clone()));
        let synchroniser =
            self.serving.load(Ordering::Relaxed).then(|| Synchroniser::start(app.clone()));
        let work = tokio::sync::Mutex::new(Some(Work { workers, inboxes, synchroniser }));
        self.set(State::Open(Arc::new(Open { app, network, console, work })));
        self.note_certificates().await;
        Ok(())
    }

    /// Puts certificates on record that were made without anybody asking for it.
    pub(super) async fn note_certificates(&self) {
        if let Some(event) = audit::certificates(&self.tls.take_issued()) {
            self.note(audit::itself(), event.with("by", "automatic")).await;
        }
    }

    /// Takes the key in and opens the stores.
    async fn open_with(&self, with: Unseal) -> Result<(), Error> {
        let gate = self.shared();
        let opening = gate.clone();
        blocking(move || {
            let kek = opening.kek(&with)?;
            Ok(opening.keys.unseal(kek)?)
        })
        .await?;
        if let Err(error) = gate.open().await {
            gate.keys.seal();
            let why = chain(&error);
            tracing::error!("the appliance cannot be opened: {why}");
            gate.set(State::Sealed { why: Some(why.clone()) });
            return Err(Error::Sealed { detail: why });
        }
        tracing::info!("the appliance is open");
        Ok(())
    }

    /// False where somebody elsewhere would have the key read that lies on this machine, although
    /// it was taken out of memory on purpose: anybody in the network could undo that.
    fn is_enough(&self, with: &Unseal, by: &Party) -> bool {
        let on_purpose = matches!(&*self.read(), State::Sealed { why: None });
        let asks = self.source.word() == "passphrase";
        !matches!(with, Unseal::Source) || asks || !on_purpose || *by == audit::console()
    }

    /// Fails while somebody still reads from a tenant that sealing has closed.
    fn nothing_left(&self) -> Result<(), Error> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|(_, left)| left.holds_keys());
        match left.first() {
            None => Ok(()),
            Some((tenant, _)) => Err(RegistryError::InUse { tenant: *tenant }.into()),
        }
    }

    fn shared(&self) -> Arc<Self> {
        self.me.upgrade().expect("invariant: a gate lives in an Arc for as long as it is used")
    }

    fn current(&self) -> Option<Arc<Open>> {
        match &*self.read() {
            State::Open(open) => Some(open.clone()),
            State::Sealed { .. } => None,
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The KEK that `by` gives. Blocks: a passphrase is stretched.
    fn kek(&self, by: &Unseal) -> Result<Kek, KeyError> {
        match by {
            Unseal::Source => self.source.read(self.keys.dir(), None),
            Unseal::Passphrase(passphrase) => {
                self.source.read(self.keys.dir(), Some(passphrase.as_str()))
            }
            Unseal::Shares(shares) => {
                let shares: Vec<&str> = shares.iter().map(|share| share.as_str()).collect();
                Ok(combine(&shares)?)
            }
        }
    }
}

impl Open {
    /// Stops what goes on in the background.
    async fn rest(&self) {
        if let Some(work) = self.work.lock().await.take() {
            if let Some(synchroniser) = work.synchroniser {
                synchroniser.stop().await;
            }
            if let Some(inboxes) = work.inboxes {
                inboxes.stop().await;
            }
            work.workers.stop().await;
        }
    }
}

#[async_trait]
impl SealControl for Gate {
    fn status(&self) -> SealStatus {
        let (sealed, detail) = match &*self.read() {
            State::Open(_) => (false, None),
            State::Sealed { why } => (true, why.clone()),
        };
        SealStatus { sealed, source: self.source.word().to_owned(), detail }
    }

    async fn seal(&self, by: Party) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let Some(open) = self.current() else { return self.nothing_left() };
        let event = Event::new(Action::ApplianceSeal);
        self.note(by.clone(), event.clone()).await;
        // New requests find a sealed appliance while those under way are let go.
        self.set(State::Sealed { why: None });
        open.rest().await;
        let (app, keys) = (open.app.clone(), self.keys.clone());
        let closed = blocking(move || {
            let left = app.registry.close_all();
            app.tls.forget_keys();
            keys.seal();
            Ok(left)
        })
        .await
        .and_then(|left| {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = left;
            self.nothing_left()
        });
        if closed.is_err() {
            // For when there is a trail again.
            self.note(by, audit::told(event, &closed)).await;
        }
        tracing::info!("the appliance is sealed");
        closed
    }

    async fn unseal(&self, by: Party, with: Unseal) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        if self.current().is_some() {
            return Ok(());
        }
        let event = Event::new(Action::ApplianceUnseal).with("by", with.word());
        let outcome = match self.is_enough(&with, &by) {
            true => self.open_with(with).await,
            false => Err(Error::invalid(
                "the appliance was sealed on purpose, and its key lies where it runs: open it there \
                 with `cairn keys unseal`, or give recovery shares",
            )),
        };
        self.note(by, audit::told(event, &outcome)).await;
        outcome
    }

    async fn record(&self, by: Party, event: KeyEvent) {
        self.note(by, event.event()).await;
    }

    async fn rotate_kek(
        &self,
        by: Party,
        passphrase: Option<Zeroizing<String>>,
    ) -> Result<Vec<String>, Error> {
        let _changing = self.changing.lock().await;
        let (keys, source) = (self.keys.clone(), self.source.clone());
        let rotated = blocking(move || {
            let kek = Kek::generate().map_err(KeyError::Random)?;
            let target = source.target(passphrase.as_ref().map(|text| text.as_str()))?;
            keys.rotate_kek(&kek, &target)?;
            Ok(split(&kek, THRESHOLD, SHARES).map_err(KeyError::Share)?)
        })
        .await;
        let event = Event::new(Action::ApplianceRotateKek).with("shares", u32::from(SHARES));
        self.note(by, audit::told(event, &rotated)).await;
        rotated
    }
}

/// Which way requests come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// From anybody who reaches the listening address.
    Network,
    /// From this machine's console: the local socket, or a command in this process.
    Console,
}

/// Hands each request to the router of the moment.
#[derive(Clone)]
struct Passage {
    gate: Arc<Gate>,
    door: Door,
}

impl Service<Request> for Passage {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let gate = &self.gate;
        let router = match (gate.current(), self.door) {
            (Some(open), Door::Network) => open.network.clone(),
            (Some(open), Door::Console) => open.console.clone(),
            (None, door) => {
                let sealed = http::sealed_router(Seal(gate.clone()), gate.tls());
                match door {
                    Door::Network => sealed,
                    Door::Console => sealed.layer(axum::Extension(http::LocalConsole)),
                }
            }
        };
        // An answer that nobody waits for is not worth making, and changes nothing.
        if request.method().is_safe() || request.uri().path().ends_with("/ask") {
            return Box::pin(router.oneshot(request));
        }
        // They go on when their clients have left, so connections do not bound them.
        if gate.changes.len() >= MOST_CHANGES {
            return Box::pin(async { Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()) });
        }
        // A client that goes away ends its request, and would end a change half way through it.
        let change = gate.changes.spawn(router.oneshot(request));
        Box::pin(async move {
            Ok(match change.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(error) => {
                    tracing::error!("a request broke off: {error}");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            })
        })
    }
}

/// The keys folder, sealed, and the certificate as far as it can be had without a key.
fn open_folders(config: &Config) -> Result<(KeyStore, Tls), ApplianceError> {
    let dir = config.home.keys_path();
    disk::create_private_dir(&dir).map_err(|source| ApplianceError::Io {
        what: "create",
        path: dir.clone(),
        source,
    })?;
    let keys = KeyStore::open(&dir).map_err(ApplianceError::Keys)?;
    let tls = tls::prepare(&config.home, &config.server, None, Arc::new(SystemClock));
    Ok((keys, tls))
}
