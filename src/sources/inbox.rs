//! The drop folders: files that appear there are taken in and removed.
//!
//! Called by: `appliance`. Talks to: `app::ingest`, which it opens a tenant for only when a file
//! is there to be taken in.
//! Invariants: a file is removed only after it was acknowledged, and only if it is still the very
//! file that was read; symlinks, devices and what is hidden are left where they are, and said to be;
//! a file that cannot be read is tried again, never dropped; files of a tenant that is locked,
//! suspended or at a limit wait.
//! Why: inotify tells early, a rescan tells for certain (network mounts have no inotify), so both
//! only trigger the same scan.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use notify::{RecursiveMode, Watcher};
use rustix::fs::{Mode, OFlags};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

use super::settle::{Observed, STILL};
use crate::app::ingest::{Upload, accept};
use crate::app::{App, Error, TenantChange, stop_asked, tenants};
use crate::auth::{SystemActor, Write};
use crate::disk;
use crate::error::chain;
use crate::tenant::TenantHandle;
use crate::types::TenantId;

/// How long a folder stands empty before it is removed.
const EMPTY_FOLDER_AGE: Duration = Duration::from_secs(60);

/// Deepest folder below an inbox that is looked into.
const MAX_DEPTH: usize = 32;

/// Watches the drop folders of all tenants.
pub struct Inboxes {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Inboxes {
    /// Starts watching.
    pub fn start(app: Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(app, stopped));
        Self { stop, task }
    }

    /// Stops watching after the file in progress.
    pub async fn stop(self) {
        // A watcher that ended already is no error.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!("the drop folder watcher died: {error}");
        }
    }
}

/// One tenant's drop folder.
struct Inbox {
    tenant: TenantId,
    root: PathBuf,
    observed: Observed,
    /// Names already complained about, so that each is logged once.
    refused: HashSet<PathBuf>,
    /// Files that were taken in but cannot be removed, as they were then.
    stuck: HashMap<PathBuf, (u64, i64, i64)>,
    /// Most hidden things that were said to lie there.
    hidden: u64,
    /// The tenant has no room, which was said once.
    full: bool,
}

async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let (touched, mut touches) = mpsc::channel::<()>(1);
    let mut changes = app.schedule.tenant_changes();
    let mut watcher = notify::recommended_watcher(move |_event| {
        // A full channel means that a scan is due anyway.
        let _ = touched.try_send(());
    })
    .map_err(|error| tracing::warn!("inotify is not available, folders are rescanned: {error}"))
    .ok();
    let mut inboxes: HashMap<TenantId, Inbox> = HashMap::new();
    let rescan = Duration::from_secs(app.ingest.inbox_rescan_seconds);
    let mut listed = false;
    loop {
        if !listed {
            listed = watch_all(&app, &mut inboxes, watcher.as_mut()).await;
        }
        for inbox in inboxes.values_mut() {
            if let Err(error) = inbox.scan(&app).await {
                tracing::warn!(tenant = %inbox.tenant, "drop folder: {}", chain(&error));
            }
        }
        let pending = inboxes.values().any(|inbox| inbox.observed.is_pending());
        let pause = if pending { STILL.min(rescan) } else { rescan };
        tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => return,
            change = changes.recv() => match change {
                Ok(TenantChange::Departed(tenant)) => drop(inboxes.remove(&tenant)),
                _ => listed = false,
            },
            Some(()) = touches.recv() => tokio::time::sleep(Duration::from_millis(200)).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Watches the inbox of every tenant; false where the list cannot be read.
async fn watch_all(
    app: &Arc<App>,
    inboxes: &mut HashMap<TenantId, Inbox>,
    mut watcher: Option<&mut notify::RecommendedWatcher>,
) -> bool {
    let tenants = match tenants::all(app).await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::warn!("drop folders cannot be listed: {}", chain(&error));
            return false;
        }
    };
    for id in tenants {
        if inboxes.contains_key(&id) {
            continue;
        }
        let root = app.registry.inbox(id);
        if let Some(watcher) = watcher.as_mut()
            && let Err(error) = watcher.watch(&root, RecursiveMode::Recursive)
        {
            tracing::warn!(tenant = %id, "drop folder is rescanned only: {error}");
        }
        let inbox = Inbox {
            tenant: id,
            root,
            observed: Observed::default(),
            refused: HashSet::new(),
            stuck: HashMap::new(),
            hidden: 0,
            full: false,
        };
        inboxes.insert(id, inbox);
    }
    true
}

impl Inbox {
    async fn scan(&mut self, app: &Arc<App>) -> Result<(), Error> {
        if !app.standing(self.tenant).await?.is_active() {
            return Ok(());
        }
        let root = self.root.clone();
        let Listed { files, odd, hidden } =
            tokio::task::spawn_blocking(move || list(&root)).await.map_err(Error::Interrupted)?;
        for path in odd {
            if self.refused.insert(path) {
                tracing::warn!(
                    tenant = %self.tenant,
                    "the drop folder holds a link or special file; it is not followed"
                );
            }
        }
        if hidden > self.hidden {
            self.hidden = hidden;
            tracing::info!(
                tenant = %self.tenant, hidden,
                "the drop folder holds hidden files or folders; they are left where they are"
            );
        }
        let seen: HashSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
        self.observed.retain(|path| seen.contains(path));
        let now = Instant::now();
        let mut opened = None;
        for (path, meta) in &files {
            if self.stuck.get(path) == Some(&look(meta)) {
                continue;
            }
            if self.observed.has_settled(path, meta.len(), meta.modified().ok(), now) {
                let tenant = match &opened {
                    Some(tenant) => tenant,
                    None => match app.open_for_work(self.tenant, SystemActor::Inbox).await {
                        Ok(tenant) => opened.insert(tenant),
                        Err(error) if error.is_locked() => return Ok(()),
                        Err(error) => return Err(error),
                    },
                };
                match self.take_in(app, tenant, path).await {
                    Ok(()) => self.full = false,
                    Err(error) if error.is_locked() => return Ok(()),
                    Err(error) if error.is_storage_full() => return Err(error),
                    Err(error) if error.is_for_the_tenant() => {
                        // All files wait where they are, until the tenant has room again.
                        let said = std::mem::replace(&mut self.full, true);
                        return if said { Ok(()) } else { Err(error) };
                    }
                    Err(error) => {
                        // It stays where it is; one that is changed is tried again.
                        tracing::warn!(
                            tenant = %self.tenant,
                            "a dropped file cannot be taken in: {}", chain(&error)
                        );
                        self.stuck.insert(path.clone(), look(meta));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes one file in and removes it. A file that vanished, is locked or changes while it is
    /// read is left for the next scan.
    async fn take_in(
        &mut self,
        app: &Arc<App>,
        tenant: &TenantHandle<Write>,
        path: &Path,
    ) -> Result<(), Error> {
        let opened = path.to_owned();
        let file = tokio::task::spawn_blocking(move || open_regular(&opened))
            .await
            .map_err(Error::Interrupted)?;
        let (file, before) = match file {
            Ok(opened) => opened,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound && self.refused.insert(path.into())
                {
                    tracing::warn!(tenant = %self.tenant, "a dropped file cannot be read yet: {error}");
                }
                return Ok(());
            }
        };
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let upload = Upload {
            source: source_text(relative),
            collection: None,
            file_date: before.modified().ok().and_then(|time| Timestamp::try_from(time).ok()),
            declared_type: None,
            format: None,
            size_bytes: Some(before.len()),
        };
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 << 10);
        accept(app, tenant, upload, stream).await?;
        self.observed.retain(|other| other != path);
        let (taken, look) = (path.to_owned(), look(&before));
        let removed = tokio::task::spawn_blocking(move || remove_if_same(&taken, &before))
            .await
            .map_err(Error::Interrupted)?;
        if let Err(error) = removed {
            tracing::warn!(
                tenant = %self.tenant,
                "a file that was taken in cannot be removed from the drop folder: {error}"
            );
            self.stuck.insert(path.to_owned(), look);
        }
        Ok(())
    }
}

/// A path below the inbox as a source.
fn source_text(relative: &Path) -> String {
    let steps: Vec<String> = relative.iter().map(disk::name_text).collect();
    steps.join("/")
}

/// What tells one state of a file from another.
fn look(meta: &Metadata) -> (u64, i64, i64) {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

/// What lies in a drop folder.
#[derive(Default)]
struct Listed {
    /// Regular files.
    files: Vec<(PathBuf, Metadata)>,
    /// Entries that are neither file nor folder.
    odd: Vec<PathBuf>,
    /// How much is hidden; a folder counts as one.
    hidden: u64,
}

/// Looks through the folders below `root`.
fn list(root: &Path) -> Listed {
    let mut listed = Listed::default();
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if disk::is_left_alone(&path) {
                listed.hidden += 1;
                continue;
            }
            // `symlink_metadata` does not follow, so nothing outside the inbox is reached.
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_dir() && depth < MAX_DEPTH {
                // Empty ones tell a folder of a mailbox.
                if !path
                    .parent()
                    .and_then(Path::file_name)
                    .is_some_and(|name| disk::is_hidden(name.as_encoded_bytes()))
                {
                    remove_if_left_empty(&path);
                }
                folders.push((path, depth + 1));
            } else if meta.is_file() {
                listed.files.push((path, meta));
            } else if !meta.is_dir() {
                listed.odd.push(path);
            }
        }
    }
    listed
}

/// Opens a file that is regular and no link, without racing against its replacement.
fn open_regular(path: &Path) -> std::io::Result<(std::fs::File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    // A program that locks the file while it writes says when it is done.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared)?;
    Ok((file, meta))
}

/// Removes a file that was taken in. One that was replaced or grew meanwhile stays and is taken
/// in as the next revision.
fn remove_if_same(path: &Path, taken: &Metadata) -> std::io::Result<()> {
    let Ok(now) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    let same = now.ino() == taken.ino() && now.dev() == taken.dev() && look(&now) == look(taken);
    if same { std::fs::remove_file(path) } else { Ok(()) }
}

/// Removes a folder that has stood empty for a while, so that a folder somebody is still copying
/// into is not pulled away.
fn remove_if_left_empty(folder: &Path) {
    let untouched = std::fs::symlink_metadata(folder)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    if untouched.is_some_and(|age| age > EMPTY_FOLDER_AGE) {
        // A folder that is not empty refuses to go, which is what is wanted.
        let _ = std::fs::remove_dir(folder);
    }
}
