//! The composition root: opens everything in order, serves, closes everything in order.
//!
//! Called by: `cli`. Talks to: every module below.
//! Invariants: one process per home, held by a lock; the local socket exists while the home is
//! held, so a second command finds its way in; wiring only, no business logic.

mod backlog;
mod compose;
mod crowd;
mod gate;
mod hardening;
mod local;
mod tls;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use self::gate::{Door, Gate};
use crate::app::audit::{Action, Event, certificates, console, here, itself};
use crate::app::seal::KeyEvent;
use crate::app::status::clock_behind;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Home};
use crate::disk;
use crate::error::Kind;
use crate::keys::{Kek, KekSource, KeyError, KeyStore, SYSTEM_SCOPE};
use crate::system::{System, SystemError};
use crate::tls::TlsError;

/// How long open connections may take to finish after the signal to stop.
const CONNECTION_GRACE: Duration = Duration::from_secs(3);

/// Free space below which closing uses the reserve.
const CLOSING_BYTES: u64 = 8 << 20;

/// The appliance could not be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum ApplianceError {
    #[error("{home} is not a Cairn home; create it with `cairn init`")]
    NotInitialised { home: PathBuf },
    #[error("another process holds {home}")]
    HomeLocked { home: PathBuf },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("open the keys")]
    Keys(#[source] KeyError),
    #[error("serve TLS")]
    Tls(#[source] TlsError),
    #[error("open the appliance database")]
    System(#[source] SystemError),
    #[error("a task ended early")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl ApplianceError {
    /// What kind of outcome this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotInitialised { .. } => Kind::NotFound,
            Self::HomeLocked { .. } => Kind::Locked,
            Self::Keys(error) => error.kind(),
            _ => Kind::Internal,
        }
    }
}

/// What `init_home` made.
#[derive(Clone, Debug)]
pub struct InitReport {
    pub home: PathBuf,
    /// The key that opens the home, for printing shares of it.
    pub kek: Kek,
}

/// Makes a home: private directories, the key where the source has none yet, the appliance's data
/// key, its database and its certificates, among them the one it is reached by before it is first
/// unsealed. `name` is what people call it. Repeating it is harmless. Blocks.
///
/// # Errors
/// `HomeLocked` while another process holds the home; when the key cannot be had, or a directory
/// or the database cannot be made.
pub fn init_home(
    config: &Config,
    passphrase: Option<&str>,
    name: Option<&str>,
) -> Result<InitReport, ApplianceError> {
    let home = &config.home;
    for path in [home.path.clone(), home.tenants_path(), home.scratch_path()] {
        disk::create_private_dir(&path).map_err(|source| ApplianceError::Io {
            what: "create",
            path,
            source,
        })?;
    }
    let _lock = lock_home(home)?;
    let dir = home.keys_path();
    let kek = KekSource::of(&config.keys, home)
        .establish(&dir, passphrase)
        .map_err(ApplianceError::Keys)?;
    let keyring = KeyStore::create(&dir, &kek)
        .and_then(|keys| keys.ensure_keyring(SYSTEM_SCOPE))
        .map_err(ApplianceError::Keys)?;
    let system = System::open(&home.system_db_path(), &keyring).map_err(ApplianceError::System)?;
    if let Some(name) = name {
        system.name_appliance(name).map_err(ApplianceError::System)?;
    }
    let issued = tls::prepare(home, &config.server, keyring);
    if let Some(event) = certificates(&issued) {
        append(&system, event.with("by", "init"))?;
    }
    Ok(InitReport { home: home.path.clone(), kek })
}

/// Puts on record what the console has done with the key while no server runs. Blocks.
///
/// # Errors
/// `HomeLocked` while another process holds the home; when `kek` does not open the home or its
/// database cannot be written.
pub fn record_key_event(config: &Config, kek: &Kek, event: KeyEvent) -> Result<(), ApplianceError> {
    let _lock = take_lock(config)?;
    let keyring = KeyStore::create(&config.home.keys_path(), kek)
        .and_then(|keys| keys.ensure_keyring(SYSTEM_SCOPE))
        .map_err(ApplianceError::Keys)?;
    let system =
        System::open(&config.home.system_db_path(), &keyring).map_err(ApplianceError::System)?;
    append(&system, event.event())
}

fn append(system: &System, event: Event) -> Result<(), ApplianceError> {
    let record = here(SystemClock.now(), console()).record(event);
    system.append_audit(vec![record]).map_err(ApplianceError::System)
}

/// A running appliance.
pub struct Appliance {
    gate: Arc<Gate>,
    socket: local::LocalSocket,
    /// Held until everything else is closed.
    _lock: File,
}

impl Appliance {
    /// Takes the home's lock, opens every store and starts the workers and the local socket.
    ///
    /// # Errors
    /// `HomeLocked` while another process holds the home; whatever cannot be opened. A key that
    /// is not at hand is no error: the appliance is sealed then, and says why. Nor is a missing
    /// or broken model: search goes on by keyword, and status says so.
    pub async fn open(config: Config) -> Result<Self, ApplianceError> {
        hardening::harden();
        let taking = config.clone();
        let lock = tokio::task::spawn_blocking(move || take_lock(&taking))
            .await
            .map_err(ApplianceError::Interrupted)??;
        let socket_path = config.home.socket_path();
        let gate = Gate::start(config).await?;
        let socket = local::LocalSocket::open(&socket_path, gate.router(Door::Console))
            .map_err(|source| ApplianceError::Io { what: "bind", path: socket_path, source })?;
        Ok(Self { gate, socket, _lock: lock })
    }

    /// The API as this machine's console sees it, for commands in this process.
    pub fn local_router(&self) -> Router {
        self.gate.router(Door::Console)
    }

    /// Serves until SIGINT or SIGTERM, then closes in order.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(self) -> Result<(), ApplianceError> {
        let address = self.gate.config().server.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ApplianceError::Listen { address, source })?;
        let certificate = self.gate.tls();
        let listener = tls::Listener::new(&certificate, listener).map_err(ApplianceError::Tls)?;
        self.gate.serve().await;
        self.note(Action::ApplianceStart).await;
        let renewals = tls::Renewals::start(self.gate.clone());
        tracing::info!("serving on {}", certificate.names().origin());
        let handle = listener.handle();
        let mut server = tokio::spawn(listener.serve(self.gate.router(Door::Network)));
        let ended = tokio::select! {
            ended = &mut server => ended,
            () = stop_signal() => {
                // An event stream never ends by itself.
                handle.graceful_shutdown(Some(CONNECTION_GRACE));
                server.await
            }
        };
        tracing::info!("stopping");
        renewals.stop();
        self.gate.finish_changes().await;
        self.note(Action::ApplianceStop).await;
        self.shutdown().await?;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(ApplianceError::Listen { address, source }),
            Err(error) => Err(ApplianceError::Interrupted(error)),
        }
    }

    async fn note(&self, action: Action) {
        let event = Event::new(action)
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("sealed", self.gate.app().is_none());
        let event = match self.clock_behind().await {
            Some(said) => {
                tracing::warn!("{said}");
                event.with("clock_behind", true)
            }
            None => event,
        };
        self.gate.note(itself(), event).await;
    }

    /// What is to be said of a clock that stands before what is on record.
    async fn clock_behind(&self) -> Option<String> {
        clock_behind(&self.gate.app()?).await.ok()?
    }

    /// Finishes units of work in progress and closes the home.
    ///
    /// # Errors
    /// Never at present; a closing step that can fail would say so here.
    pub async fn shutdown(self) -> Result<(), ApplianceError> {
        if let Some(app) = self.gate.app() {
            // Closing stores writes a little; on a full volume it may use what was kept back.
            if disk::free_bytes(&app.home.path).is_ok_and(|free| free < CLOSING_BYTES) {
                app.reserve.release();
            }
        }
        self.socket.close();
        self.gate.finish_changes().await;
        self.gate.close().await;
        Ok(())
    }
}

fn take_lock(config: &Config) -> Result<File, ApplianceError> {
    let home = &config.home;
    if !home.is_initialised() {
        return Err(ApplianceError::NotInitialised { home: home.path.clone() });
    }
    lock_home(home)
}

fn lock_home(home: &Home) -> Result<File, ApplianceError> {
    let path = home.lock_path();
    disk::lock_exclusive(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => ApplianceError::HomeLocked { home: home.path.clone() },
        _ => ApplianceError::Io { what: "lock", path, source },
    })
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        _ => {
            tracing::error!("signals cannot be watched; stop the process with SIGKILL");
            std::future::pending::<()>().await;
        }
    }
}
