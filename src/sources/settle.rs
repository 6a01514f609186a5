//! Telling a finished file from one that is still being written.
//!
//! Called by: `sources::inbox`, `sources::directory`. Talks to: nothing.
//! Invariants: a file is offered once its size and modification time have stood still for one
//! whole observation interval.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a file must stand still.
pub(super) const STILL: Duration = Duration::from_millis(1500);

/// Files seen so far and how they looked.
#[derive(Default)]
pub(super) struct Observed {
    files: HashMap<PathBuf, Look>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    size_bytes: u64,
    modified: Option<SystemTime>,
    since: Instant,
}

impl Observed {
    /// Notes how a file looks now; true once it has looked the same for [`STILL`].
    pub(super) fn has_settled(
        &mut self,
        path: &Path,
        size_bytes: u64,
        modified: Option<SystemTime>,
        now: Instant,
    ) -> bool {
        // A file moved in whole keeps its old modification time: nothing to wait for.
        let old = modified
            .and_then(|modified| SystemTime::now().duration_since(modified).ok())
            .is_some_and(|age| age > Duration::from_secs(10));
        let look = Look { size_bytes, modified, since: now };
        match self.files.get_mut(path) {
            Some(before) if before.size_bytes == size_bytes && before.modified == modified => {
                now.duration_since(before.since) >= STILL || old
            }
            Some(before) => {
                *before = look;
                false
            }
            None => {
                self.files.insert(path.to_owned(), look);
                false
            }
        }
    }

    /// Forgets files that are gone.
    pub(super) fn retain(&mut self, still_there: impl Fn(&Path) -> bool) {
        self.files.retain(|path, _| still_there(path));
    }

    /// True while a file is being watched for standing still.
    pub(super) fn is_pending(&self) -> bool {
        !self.files.is_empty()
    }
}
