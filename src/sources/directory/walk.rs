//! Walking a tree of any size, a page at a time.
//!
//! Called by: `sources::directory`. Talks to: the file system, by descriptors.
//! Invariants: one open directory per level and nothing else grows with the tree; links are never
//! followed; what cannot be looked at is named, and nothing below it counts as gone; what is
//! hidden is counted.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::Growing;
use crate::app::sources::ListedItem;
use crate::disk;
use crate::sources::feed::{PAGE, Page};
use crate::types::RunProblem;

/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 64;

/// Entries looked at for one page, whatever they are.
const LOOKS: usize = 20_000;

/// Places that cannot be looked at, kept by name; with more, nothing counts as gone.
const MOST_SPARED: usize = 1000;

/// Files changed longer ago than this need not be watched for standing still.
const YOUNG: Duration = Duration::from_secs(10);

/// Clocks of file servers that go this much ahead are believed.
const AHEAD: Duration = Duration::from_secs(3600);

struct Level {
    entries: Dir,
    /// Its path below the source; empty for the source itself.
    path: Vec<u8>,
}

impl Level {
    /// True where the hidden `name` is a folder of a mailbox.
    fn is_mail_folder(&self, name: &[u8]) -> rustix::io::Result<bool> {
        let directory = self.entries.fd()?;
        disk::is_mail_folder(|inner| {
            let path = [name, b"/", inner.as_bytes()].concat();
            let path = OsStr::from_bytes(&path);
            match rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }
}

/// A walk that has not come to its end.
pub(super) struct Walk {
    root: PathBuf,
    levels: Vec<Level>,
    spared: Vec<Vec<u8>>,
    too_many: bool,
    growing: Growing,
    /// Those of them that this walk has seen.
    young: HashSet<PathBuf>,
}

impl Walk {
    /// Begins at a directory; `root` is where it lies.
    pub(super) fn begin(top: OwnedFd, root: PathBuf, growing: Growing) -> io::Result<Self> {
        let top = Level { entries: Dir::new(top)?, path: Vec::new() };
        Ok(Self {
            root,
            levels: vec![top],
            spared: Vec::new(),
            too_many: false,
            growing,
            young: HashSet::new(),
        })
    }

    /// True once everything was walked.
    pub(super) fn is_done(&self) -> bool {
        self.levels.is_empty()
    }

    /// True where too much could not be looked at.
    pub(super) fn gave_up(&self) -> bool {
        self.too_many
    }

    /// What could not be looked at.
    pub(super) fn into_spared(self) -> Vec<Vec<u8>> {
        self.spared
    }

    /// The next things, at most a page of them.
    pub(super) fn page(&mut self) -> io::Result<Page> {
        let mut page = Page::default();
        for _ in 0..LOOKS {
            if page.items.len() >= PAGE {
                break;
            }
            let depth = self.levels.len();
            let Some(level) = self.levels.last_mut() else { break };
            match level.entries.read() {
                Some(Ok(entry)) => {
                    let name = entry.file_name().to_bytes().to_vec();
                    self.look(&name, &mut page);
                }
                None => self.leave(),
                Some(Err(error)) if depth == 1 => return Err(error.into()),
                Some(Err(error)) => {
                    let path = level.path.clone();
                    self.spare(path, &error.into(), &mut page);
                    self.leave();
                }
            }
        }
        Ok(page)
    }

    fn leave(&mut self) {
        self.levels.pop();
        if self.levels.is_empty() {
            let young = std::mem::take(&mut self.young);
            let mut growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
            growing.retain(|path| young.contains(path));
        }
    }

    fn look(&mut self, name: &[u8], page: &mut Page) {
        let Some(level) = self.levels.last() else { return };
        if matches!(name, b"." | b"..") {
            return;
        }
        // What office programs leave beside an open file.
        if name.starts_with(b"~$") {
            page.hidden += 1;
            return;
        }
        let mut path = level.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if disk::is_hidden(name) {
            match level.is_mail_folder(name) {
                Ok(true) => {}
                Ok(false) => return page.hidden += 1,
                Err(_) => {
                    // It may be one whose mails were taken in.
                    page.hidden += 1;
                    return self.keep(path);
                }
            }
        }
        let entry = OsStr::from_bytes(name);
        let found = level
            .entries
            .fd()
            .and_then(|directory| rustix::fs::statat(directory, entry, AtFlags::SYMLINK_NOFOLLOW));
        let stat = match found {
            Ok(stat) => stat,
            // It went while the directory was read.
            Err(rustix::io::Errno::NOENT) => return,
            Err(error) => return self.spare(path, &error.into(), page),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => page.items.push(self.file(path, &stat)),
            FileType::Directory => self.enter(entry, path, page),
            FileType::Symlink => {
                if let Some(reason) = self.refusal(&path) {
                    page.skipped.push(RunProblem { path: shown(&path), reason: reason.to_owned() });
                }
            }
            _ => page.skipped.push(RunProblem {
                path: shown(&path),
                reason: "It is neither a file nor a directory.".to_owned(),
            }),
        }
    }

    fn enter(&mut self, entry: &OsStr, path: Vec<u8>, page: &mut Page) {
        if self.levels.len() > MAX_DEPTH {
            let reason = format!("It lies more than {MAX_DEPTH} directories deep.");
            return page.skipped.push(RunProblem { path: shown(&path), reason });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(level) = self.levels.last() else { return };
        let opened = level
            .entries
            .fd()
            .and_then(|above| rustix::fs::openat(above, entry, flags, Mode::empty()))
            .and_then(Dir::new);
        match opened {
            Ok(entries) => self.levels.push(Level { entries, path }),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => self.spare(path, &error.into(), page),
        }
    }

    /// Why a link is not followed; nothing to say where what it leads to is walked anyway.
    fn refusal(&self, path: &[u8]) -> Option<&'static str> {
        match std::fs::canonicalize(self.root.join(OsStr::from_bytes(path))) {
            Ok(target) if target.starts_with(&self.root) => None,
            Ok(_) => Some("The link leads out of the source and is not followed."),
            Err(_) => Some("The link leads nowhere."),
        }
    }

    fn spare(&mut self, path: Vec<u8>, error: &io::Error, page: &mut Page) {
        page.problems.push(RunProblem { path: shown(&path), reason: error.to_string() });
        self.keep(path);
    }

    /// Nothing below `path` is gone, though it is not looked at.
    fn keep(&mut self, path: Vec<u8>) {
        if self.spared.len() < MOST_SPARED {
            self.spared.push(path);
        } else {
            self.too_many = true;
        }
    }

    fn file(&mut self, path: Vec<u8>, stat: &Stat) -> ListedItem {
        let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
        let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let settled = self.has_settled(&path, size_bytes, seconds, nanos);
        // Without the inode, which some mounts number anew each time.
        let mark = format!("{size_bytes}:{seconds}.{nanos}");
        ListedItem {
            path: shown(&path),
            external: path,
            identity: Some(format!("{mark}:{}", stat.st_ino)),
            mark,
            size_bytes,
            file_date: Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).ok(),
            settled,
        }
    }

    fn has_settled(&mut self, path: &[u8], size_bytes: u64, seconds: i64, nanos: u64) -> bool {
        let Ok(seconds) = u64::try_from(seconds) else { return true };
        let since_1970 = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        let Some(modified) = SystemTime::UNIX_EPOCH.checked_add(since_1970) else { return true };
        let now = SystemTime::now();
        let young = match now.duration_since(modified) {
            Ok(age) => age < YOUNG,
            Err(ahead) => ahead.duration() < AHEAD,
        };
        if !young {
            return true;
        }
        let path = PathBuf::from(OsStr::from_bytes(path));
        let mut growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = growing.has_settled(&path, size_bytes, Some(modified), Instant::now());
        drop(growing);
        self.young.insert(path);
        settled
    }
}

/// A path as text.
fn shown(path: &[u8]) -> String {
    let steps: Vec<String> =
        Path::new(OsStr::from_bytes(path)).iter().map(disk::name_text).collect();
    steps.join("/")
}
