//! What a worker gives up before it looks at a file.
//!
//! Called by: `extract::worker`, `extract::ocr`. Talks to: the kernel.
//! Invariants: `confine` is called once, before any other thread exists, and nothing undoes it;
//! everything the worker has to open (libpdfium) is open by then. A layer that the kernel lacks is
//! reported, not passed over in silence.
//!
//! Four layers, each of which holds without the others: limits, no right to anything in the file
//! system (Landlock), a list of system calls (`sandbox::syscalls`), and the parent's clock.

mod budget;
mod syscalls;

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, chdir, set_dumpable_behavior, setrlimit, umask,
};
use rustix::thread::set_no_new_privs;

pub(super) use self::budget::CpuBudget;
use super::protocol::{Confinement, WorkerSettings};

/// No descriptor can be opened any more; the pipes, libpdfium and the budget's file stay.
const OPEN_FILES: u64 = 16;
/// A program opens its libraries and data one after the other.
const PROGRAM_OPEN_FILES: u64 = 32;
/// Descriptors that the parent gave on purpose.
const STDIO: i32 = 2;

/// Why this process must not read a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SandboxError {
    #[error("a limit of this process cannot be set")]
    Limit(#[source] Errno),
    #[error("the list of open descriptors cannot be read")]
    Descriptors(#[source] std::io::Error),
    #[error("the time this process has used cannot be read")]
    Budget(#[source] std::io::Error),
    #[error("the rules of Landlock are refused")]
    Landlock(#[source] RulesetError),
    #[error("the list of system calls does not compile")]
    Syscalls(#[source] seccompiler::BackendError),
    #[error("this kernel has no {0}, or has it turned off")]
    Missing(&'static str),
}

/// Closes what whoever started the parent may have left open for everyone. Comes first, while
/// every descriptor above stdio is a stranger's.
///
/// # Errors
/// [`SandboxError::Descriptors`].
pub(super) fn close_strangers() -> Result<(), SandboxError> {
    let listed =
        std::fs::read_dir(Path::new("/proc/self/fd")).map_err(SandboxError::Descriptors)?;
    // The list's own descriptor is among them and is gone before they are closed.
    let numbers: Vec<i32> = listed
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| *number > STDIO)
        .collect();
    for number in numbers {
        if std::fs::read_link(format!("/proc/self/fd/{number}")).is_err() {
            continue;
        }
        // SAFETY: nothing in this process owns a descriptor above stdio yet, and
        // this one is open.
        #[expect(unsafe_code, reason = "an inherited descriptor has no owner that could close it")]
        unsafe {
            rustix::io::close(number);
        }
    }
    Ok(())
}

/// Confines this process for the rest of its life, and says which layers the kernel gave.
///
/// # Errors
/// Anything the kernel knows and yet refuses.
pub(super) fn confine(settings: &WorkerSettings) -> Result<Confinement, SandboxError> {
    limits(settings.memory_limit_bytes, OPEN_FILES).map_err(SandboxError::Limit)?;
    let landlock_abi = no_file_system()?;
    let seccomp = syscalls::restrict().map_err(SandboxError::Syscalls)?;
    Ok(Confinement { landlock_abi, seccomp })
}

/// What a foreign program may do that this process is about to become.
pub(super) struct ProgramRights<'r> {
    /// The one file that may be run, and the loader it names.
    pub(super) run: Vec<&'r Path>,
    /// Files and folders that may be read.
    pub(super) read: Vec<&'r Path>,
    pub(super) memory_limit_bytes: u64,
    pub(super) cpu_seconds: u64,
}

/// Confines this process for a program that opens files of its own: it may read what it is made
/// of, write nothing, start nothing else and reach nobody.
///
/// # Errors
/// Anything the kernel refuses; and [`SandboxError::Missing`], since such a program is only kept
/// from files of others by layers that every one of them needs.
pub(super) fn confine_program(rights: &ProgramRights<'_>) -> Result<(), SandboxError> {
    limits(rights.memory_limit_bytes, PROGRAM_OPEN_FILES).map_err(SandboxError::Limit)?;
    limit(Resource::Cpu, rights.cpu_seconds.max(1)).map_err(SandboxError::Limit)?;
    let enforced = every_right()
        .and_then(Ruleset::create)
        .and_then(|rules| {
            rules
                .add_rules(path_beneath_rules(&rights.read, AccessFs::ReadFile | AccessFs::ReadDir))
        })
        .and_then(|rules| {
            let run = AccessFs::ReadFile | AccessFs::Execute;
            rules.add_rules(path_beneath_rules(&rights.run, run))
        })
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(SandboxError::Landlock)?;
    if enforced.ruleset == RulesetStatus::NotEnforced {
        return Err(SandboxError::Missing("Landlock"));
    }
    if !syscalls::restrict_program().map_err(SandboxError::Syscalls)? {
        return Err(SandboxError::Missing("system call filters"));
    }
    Ok(())
}

fn limits(memory_limit_bytes: u64, open_files: u64) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    // Other processes of the same user may then not look into this one, and it leaves no core.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, open_files)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::As, memory_limit_bytes)?;
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    chdir("/")
}

/// Sets a limit, or keeps a stricter one that is in force already.
fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let present = rustix::process::getrlimit(resource);
    let most = present.maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Every right that this kernel can take away, with no path excepted; the ABI in force. Debian
/// 12 has ABI 2, which lacks the rules on network and signals: `syscalls` has both.
fn no_file_system() -> Result<Option<u32>, SandboxError> {
    let enforced = every_right()
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(SandboxError::Landlock)?;
    Ok(match (enforced.ruleset, enforced.landlock) {
        (RulesetStatus::NotEnforced, _) => None,
        (_, LandlockStatus::Available { effective_abi, .. }) => Some(effective_abi as u32),
        _ => None,
    })
}

fn every_right() -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
}
