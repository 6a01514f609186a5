//! The composition root: opens everything in order, serves, closes everything in order.
//!
//! Called by: `cli`. Talks to: every module below.
//! Invariants: one process per home, held by a lock; the local socket exists while the home is
//! held, so a second command finds its way in; wiring only, no business logic.

mod local;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::{self, App, Inference, Schedule};
use crate::auth::Authority;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::disk;
use crate::error::{Kind, chain};
use crate::extract::ExtractLimits;
use crate::extraction::{ExtractionConfig, ExtractionPool};
use crate::http;
use crate::inference::{Embedder, InferenceConfig, InferenceError};
use crate::sources::Inboxes;
use crate::system::{System, SystemError};
use crate::tenant::{Registry, VectorSettings};
use crate::worker::Workers;

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
            _ => Kind::Internal,
        }
    }
}

/// What `init_home` made.
#[derive(Clone, Debug)]
pub struct InitReport {
    pub home: PathBuf,
}

/// Makes a home: private directories and the appliance database. Repeating it is harmless. Blocks.
///
/// # Errors
/// When a directory or the database cannot be made.
pub fn init_home(config: &Config) -> Result<InitReport, ApplianceError> {
    let home = &config.home;
    for path in [home.path.clone(), home.tenants_path(), home.scratch_path()] {
        disk::create_private_dir(&path).map_err(|source| ApplianceError::Io {
            what: "create",
            path,
            source,
        })?;
    }
    System::open(&home.system_db_path()).map_err(ApplianceError::System)?;
    Ok(InitReport { home: home.path.clone() })
}

/// A running appliance.
pub struct Appliance {
    app: Arc<App>,
    workers: Workers,
    socket: local::LocalSocket,
    /// Held until everything else is closed.
    _lock: File,
}

impl Appliance {
    /// Takes the home's lock, opens every store and starts the workers and the local socket.
    ///
    /// # Errors
    /// `HomeLocked` while another process holds the home; whatever cannot be opened. A missing
    /// or broken model is no error: search goes on by keyword, and status says so.
    pub async fn open(config: Config) -> Result<Self, ApplianceError> {
        let (lock, app) = tokio::task::spawn_blocking(move || {
            let lock = take_lock(&config)?;
            compose(config).map(|app| (lock, Arc::new(app)))
        })
        .await
        .map_err(ApplianceError::Interrupted)??;
        let socket_path = app.home.socket_path();
        let socket = local::LocalSocket::open(&socket_path, local_router(&app))
            .map_err(|source| ApplianceError::Io { what: "bind", path: socket_path, source })?;
        let workers = Workers::start(&app);
        Ok(Self { app, workers, socket, _lock: lock })
    }

    /// The API as the operator sees it, for commands in this process.
    pub fn local_router(&self) -> Router {
        local_router(&self.app)
    }

    /// Serves until SIGINT or SIGTERM, then closes in order.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(self) -> Result<(), ApplianceError> {
        let address = self.app.server.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ApplianceError::Listen { address, source })?;
        let inboxes = Inboxes::start(self.app.clone());
        tracing::info!("serving on http://{address}");
        let router = http::router(self.app.clone());
        let mut server: JoinHandle<io::Result<()>> = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop_signal()).await
        });
        let ended = tokio::select! {
            ended = &mut server => Some(ended),
            () = stop_signal() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            // An event stream never ends by itself.
            None => tokio::time::timeout(CONNECTION_GRACE, server).await.unwrap_or(Ok(Ok(()))),
        };
        tracing::info!("stopping");
        inboxes.stop().await;
        self.shutdown().await?;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(ApplianceError::Listen { address, source }),
            Err(error) => Err(ApplianceError::Interrupted(error)),
        }
    }

    /// Finishes units of work in progress and closes the home.
    ///
    /// # Errors
    /// Never at present; a closing step that can fail would say so here.
    pub async fn shutdown(self) -> Result<(), ApplianceError> {
        // Closing stores writes a little; on a full volume it may use what was kept back.
        if disk::free_bytes(&self.app.home.path).is_ok_and(|free| free < CLOSING_BYTES) {
            self.app.reserve.release();
        }
        self.workers.stop().await;
        self.socket.close();
        Ok(())
    }
}

fn local_router(app: &Arc<App>) -> Router {
    http::router(app.clone()).layer(axum::Extension(http::LocalOperator))
}

fn take_lock(config: &Config) -> Result<File, ApplianceError> {
    let home = &config.home;
    if !home.is_initialised() {
        return Err(ApplianceError::NotInitialised { home: home.path.clone() });
    }
    let path = home.lock_path();
    disk::lock_exclusive(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => ApplianceError::HomeLocked { home: home.path.clone() },
        _ => ApplianceError::Io { what: "lock", path, source },
    })
}

/// Builds every service, bottom up.
fn compose(config: Config) -> Result<App, ApplianceError> {
    let home = config.home.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    empty_scratch(&config)?;
    let system = Arc::new(System::open(&home.system_db_path()).map_err(ApplianceError::System)?);
    let inference = load_inference(&config);
    let reserve = disk::Reserve::new(home.reserve_path(), config.server.reserve_bytes);
    if let Err(error) = reserve.hold() {
        tracing::warn!("the disk reserve cannot be held: {error}");
    }
    let extraction = ExtractionPool::new(extraction_config(&config)?);
    let registry = Registry::new(
        home.tenants_path(),
        system.clone(),
        clock.clone(),
        config.faults.clone(),
        inference.model().cloned(),
        VectorSettings {
            index_cache_bytes: config.search.index_cache_bytes,
            metadata_cache_bytes: config.search.metadata_cache_bytes,
            exact_rows_limit: config.search.exact_rows_limit,
            allow_index: true,
        },
    );
    registry.sweep();
    Ok(App {
        authority: Authority::new(system.clone(), clock.clone()),
        started_at: clock.now(),
        home,
        server: config.server,
        ingest: config.ingest,
        clock,
        system,
        registry,
        extraction,
        inference,
        schedule: Schedule::default(),
        reserve,
        statistics: app::search::StatisticsCache::default(),
    })
}

fn empty_scratch(config: &Config) -> Result<(), ApplianceError> {
    let path = config.home.scratch_path();
    disk::empty_private_dir(&path).map_err(|source| ApplianceError::Io {
        what: "empty",
        path,
        source,
    })
}

fn extraction_config(config: &Config) -> Result<ExtractionConfig, ApplianceError> {
    let ingest = &config.ingest;
    let worker_exe = std::env::current_exe().map_err(|source| ApplianceError::Io {
        what: "find",
        path: PathBuf::from("/proc/self/exe"),
        source,
    })?;
    Ok(ExtractionConfig {
        worker_exe,
        children: ingest.extraction_children,
        time_limit: ingest.extraction_time(),
        memory_limit_bytes: ingest.extraction_memory,
        limits: ExtractLimits {
            max_text_bytes: ingest.max_text_per_document,
            max_parse_bytes: ingest.max_parse_bytes,
            max_children: ingest.max_children,
            max_child_bytes: ingest.max_child_bytes,
        },
        documents_per_child: ingest.documents_per_child,
    })
}

/// Loads the model and tests it; what is wrong with it becomes part of the appliance's state.
fn load_inference(config: &Config) -> Inference {
    let settings = InferenceConfig {
        model_dir: config.inference.model_dir.clone(),
        threads: config.inference.threads,
        batch_tokens: config.inference.batch_tokens,
        private_dir: config.home.scratch_path(),
    };
    let embedder = match Embedder::load(&settings) {
        Ok(embedder) => embedder,
        Err(error) => {
            tracing::error!("search works by keyword only: {}", chain(&error));
            let detail = format!("{}.", chain(&error));
            return match error {
                InferenceError::Runtime(_) | InferenceError::FileMissing { .. } => {
                    Inference::Missing(detail)
                }
                _ => Inference::Failed(detail),
            };
        }
    };
    match embedder.self_test() {
        Ok(test) if test.ok => Inference::Ready(embedder),
        Ok(test) => Inference::Failed(format!(
            "The model gives other vectors here than where it was made (cosine {:.4}).",
            test.min_cosine
        )),
        Err(error) => Inference::Failed(format!("The model does not run: {}.", chain(&error))),
    }
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
