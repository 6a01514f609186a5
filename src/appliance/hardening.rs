//! What a process that holds keys asks of the kernel for itself.
//!
//! Called by: `appliance`, before any key is read; `appliance::tls`. Talks to: the kernel.
//! Invariants: no memory of the process gets to disk as a core dump, nor to another process of the
//! same user.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Keeps memory out of core dumps and from other processes, and lets as many files be opened as the
/// machine allows. What the kernel refuses is said in the log: an admin may have reasons.
pub(super) fn harden() {
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    let kept = setrlimit(Resource::Core, none)
        // A program that core dumps are piped into heeds no limit, and this.
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = kept {
        tracing::warn!("memory could get into a core dump: {error}");
    }
    let files = getrlimit(Resource::Nofile);
    if files.current != files.maximum {
        let most = Rlimit { current: files.maximum, maximum: files.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, most) {
            tracing::warn!("no more files can be opened than {:?}: {error}", files.current);
        }
    }
}

/// Files that the process may open at a time; `None` where there is no limit.
pub(super) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
