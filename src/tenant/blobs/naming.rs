//! Which blobs are about to be named and which are about to go.
//!
//! Called by: the other files of `blobs`. Talks to: nothing.
//! Invariants: naming and removing exclude each other per blob, so that nobody waits for the
//! upload of anything else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The blobs of one tenant that somebody is busy with, by their name on disk.
#[derive(Default)]
pub(super) struct Naming {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Default)]
struct State {
    pending: HashMap<String, u32>,
    claimed: HashSet<String>,
}

impl Naming {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces that a blob is about to be named, waiting while it is claimed.
    pub(super) async fn announce(self: &Arc<Self>, name: &str) -> Pending {
        loop {
            let released = self.released.notified();
            {
                let mut state = self.state();
                if !state.claimed.contains(name) {
                    *state.pending.entry(name.to_owned()).or_default() += 1;
                    return Pending { naming: self.clone(), name: name.to_owned() };
                }
            }
            released.await;
        }
    }

    /// Claims a file, to remove it or to put another in its place; `None` while somebody is about
    /// to name it.
    pub(super) fn claim(self: &Arc<Self>, name: &str) -> Option<Claim> {
        let mut state = self.state();
        let free = !state.pending.contains_key(name) && state.claimed.insert(name.to_owned());
        free.then(|| Claim { naming: self.clone(), name: name.to_owned() })
    }

    /// True where nobody is busy with anything.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.pending.is_empty() && state.claimed.is_empty()
    }
}

/// A blob about to be named, until dropped.
pub(super) struct Pending {
    naming: Arc<Naming>,
    name: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut state = self.naming.state();
        if let Some(count) = state.pending.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                state.pending.remove(&self.name);
            }
        }
    }
}

/// A file that is somebody's alone, until dropped.
pub(super) struct Claim {
    naming: Arc<Naming>,
    name: String,
}

impl Claim {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.naming.state().claimed.remove(&self.name);
        self.naming.released.notify_waiters();
    }
}
