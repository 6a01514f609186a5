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
    /// True while all of them are kept as they are.
    held: bool,
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
    /// to name it, and while all are held.
    pub(super) fn claim(self: &Arc<Self>, name: &str) -> Option<Claim> {
        let mut state = self.state();
        let free = !state.held
            && !state.pending.contains_key(name)
            && state.claimed.insert(name.to_owned());
        free.then(|| Claim { naming: self.clone(), name: name.to_owned() })
    }

    /// True where nobody is busy with anything.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.pending.is_empty() && state.claimed.is_empty() && !state.held
    }

    /// Keeps every file as it is; `None` where somebody does already. What is claimed at present
    /// was unnamed before, or has the same content after.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Hold> {
        let mut state = self.state();
        (!std::mem::replace(&mut state.held, true)).then(|| Hold(self.clone()))
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

/// All files are kept as they are, until dropped. New ones may come.
pub(in crate::tenant) struct Hold(Arc<Naming>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state().held = false;
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
