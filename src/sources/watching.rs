//! Directories of sources that tell by themselves that something changed, where they can.
//!
//! Called by: `sources::synchronise`. Talks to: inotify.
//! Invariants: a tree with more directories than a watch should hold is not watched, and nothing
//! is lost by it, since every source is also read by its interval (network mounts tell nothing).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::app::App;
use crate::app::sources::Reach;
use crate::types::{SourceId, TenantId};

/// Directories watched of one source.
const MOST_DIRECTORIES: usize = 1000;

/// What comes within this time is one change.
pub(super) const CALM: Duration = Duration::from_millis(500);

/// Watches on directories of sources.
#[derive(Clone)]
pub(super) struct Watching {
    watches: Arc<Mutex<HashMap<SourceId, Watch>>>,
    touched: Arc<Mutex<HashSet<SourceId>>>,
    tell: mpsc::Sender<TenantId>,
    told: Arc<tokio::sync::Mutex<mpsc::Receiver<TenantId>>>,
}

struct Watch {
    tenant: TenantId,
    place: PathBuf,
    /// `None` where the tree is too large, or cannot tell.
    _watcher: Option<RecommendedWatcher>,
}

impl Watching {
    /// Watches nothing.
    pub(super) fn new() -> Self {
        let (tell, told) = mpsc::channel(64);
        Self {
            watches: Arc::default(),
            touched: Arc::default(),
            tell,
            told: Arc::new(tokio::sync::Mutex::new(told)),
        }
    }

    /// The next tenant of which a directory changed.
    pub(super) async fn touched(&self) -> TenantId {
        let tenant = self.told.lock().await.recv().await;
        match tenant {
            Some(tenant) => tenant,
            // Never: a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// True where a directory of the source changed and was not read since.
    pub(super) fn is_touched(&self, source: SourceId) -> bool {
        lock(&self.touched).contains(&source)
    }

    /// From now on a change of the source is one more.
    pub(super) fn take_touched(&self, source: SourceId) {
        lock(&self.touched).remove(&source);
    }

    /// Ends the watches of a tenant's sources that are not among these.
    pub(super) fn keep(&self, tenant: TenantId, sources: &HashSet<SourceId>) {
        lock(&self.watches)
            .retain(|source, watch| watch.tenant != tenant || sources.contains(source));
    }

    /// Watches the directory of a source, unless it is watched already or out of reach.
    pub(super) async fn watch(
        &self,
        app: &Arc<App>,
        tenant: TenantId,
        source: SourceId,
        place: PathBuf,
    ) {
        if lock(&self.watches).get(&source).is_some_and(|watch| watch.place == place) {
            return;
        }
        let (touched, tell) = (self.touched.clone(), self.tell.clone());
        let (app, at) = (app.clone(), place.clone());
        let watcher = tokio::task::spawn_blocking(move || {
            let reach = Reach::directory(&app, tenant, &at).ok()?;
            let place = reach.base.join(reach.below);
            if !is_small(&place) {
                return None;
            }
            let told = move |event: notify::Result<notify::Event>| {
                let Ok(event) = event else { return };
                // Reading files, as runs do, is no change.
                if !matches!(event.kind, EventKind::Access(_)) && lock(&touched).insert(source) {
                    // A full channel means that a look is due anyway.
                    let _ = tell.try_send(tenant);
                }
            };
            let config = notify::Config::default().with_follow_symlinks(false);
            let mut watcher = RecommendedWatcher::new(told, config).ok()?;
            watcher.watch(&place, RecursiveMode::Recursive).ok()?;
            Some(watcher)
        });
        let watch = Watch { tenant, place, _watcher: watcher.await.ok().flatten() };
        lock(&self.watches).insert(source, watch);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True where a tree has few enough directories to be watched.
fn is_small(place: &Path) -> bool {
    let mut folders = vec![place.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        seen += 1;
        if seen + folders.len() > MOST_DIRECTORIES {
            return false;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            // The type of a link is that of a link: it is not followed.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
                if folders.len() > MOST_DIRECTORIES {
                    return false;
                }
            }
        }
    }
    true
}
