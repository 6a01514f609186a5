//! What a worker gives up before it looks at a file.
//!
//! Called by: `extract::worker`. Talks to: the kernel.
//! Invariants: `confine` is called once, before any other thread exists, and nothing undoes it.
//! A file system and system call filter belong here too; both must come after what the worker
//! still has to open (libpdfium, fonts).

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, chdir, set_dumpable_behavior, setrlimit, umask,
};
use rustix::thread::set_no_new_privs;

use super::protocol::WorkerSettings;

/// Open files a worker needs: the pipes, the PDF library, a few fonts.
const OPEN_FILES: u64 = 64;

/// Confines this process for the rest of its life.
///
/// # Errors
/// The first limit the kernel refuses.
pub(super) fn confine(settings: &WorkerSettings) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    // Other processes of the same user may then not look into this one, and it leaves no core.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::As, settings.memory_limit_bytes)?;
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    chdir("/")
}

/// Sets a limit, or keeps a stricter one that is in force already.
fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let present = rustix::process::getrlimit(resource);
    let most = present.maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}
