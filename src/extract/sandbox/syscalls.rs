//! The system calls a worker may still make.
//!
//! Called by: `extract::sandbox`. Talks to: `seccompiler`.
//! Invariants: both filters are in force before a byte of a document is read, and threads started
//! later have them too.
//!
//! Why a list of what is allowed, answered with `ENOSYS` otherwise: a list of what is forbidden
//! misses the calls of kernels to come, and a list of what is allowed that kills would break with
//! the next C library. `ENOSYS` is what an older kernel says, for which every C library has a way
//! around: `clone3`, whose flags no filter can see, falls back to `clone`, whose flags one can.
//! What no reader has any business with ends the process at once: that is an attack or a wild
//! jump, and must not be tried until it works.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is,
    SeccompCondition as Condition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

const ENOSYS: u32 = 38;

/// Memory, threads, time, and descriptors that are open already.
const ALLOWED: &[i64] = &[
    0, 1, 3, 5, 7, 8, 11, 12, 13, 14,
    15, // read write close fstat poll lseek munmap brk rt_sig*
    17, 18, 19, 20, 24, 25, 28,
    35, // pread64 pwrite64 readv writev sched_yield mremap madvise …
    39, 60, 63, 72, 99, 102, 104, 107, 108,
    110, // getpid exit uname fcntl sysinfo get*id getppid
    131, 186, 202, 204, 218,
    219, // sigaltstack gettid futex sched_getaffinity set_tid_address …
    228, 229, 230, 231, 271, 273, // clock_* exit_group ppoll set_robust_list
    309, 318, 324, 334, 449, // getcpu getrandom membarrier rseq futex_waitv
];

/// Sockets, processes, other processes' memory and signals, kernel interfaces, mounts, keys.
const FATAL: &[i64] = &[
    41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299,
    307, // socket … accept4 recvmmsg sendmmsg
    57, 58, 59, 322, // fork vfork execve execveat
    62, 129, 200, 297, 424, // kill rt_sigqueueinfo tkill rt_tgsigqueueinfo pidfd_send_signal
    101, 310, 311, 312, 434, 438, 440, // ptrace process_vm_* kcmp pidfd_* process_madvise
    135, 154, 172, 173, // personality modify_ldt iopl ioperm
    155, 161, 165, 166, 272, 308, // pivot_root chroot mount umount2 unshare setns
    428, 429, 430, 431, 432, 433, 442, // open_tree … fspick mount_setattr
    167, 168, 169, 175, 176, 246, 313, 320, // swap reboot modules kexec
    248, 249, 250, // add_key request_key keyctl
    298, 321, 323, 304, 425, 426, 427, // perf bpf userfaultfd open_by_handle_at io_uring
];

const MMAP: i64 = 9;
const MPROTECT: i64 = 10;
const CLONE: i64 = 56;
const PRCTL: i64 = 157;
const TGKILL: i64 = 234;
const NEWFSTATAT: i64 = 262;
const PRLIMIT: i64 = 302;

const EXECVE: i64 = 59;
const OPENAT: i64 = 257;

/// What a program needs beyond `ALLOWED` to load its libraries and read its data: ioctl (is this a
/// terminal), access, getcwd, readlink, arch_prctl, getdents64, readlinkat, faccessat(2), statfs.
const PROGRAM_ALLOWED: &[i64] = &[16, 21, 79, 89, 137, 138, 158, 217, 267, 269, 439];

const PROT_WRITE: u64 = 2;
/// Writing, creating, truncating; and a file without a name needs the first of them.
const OPEN_TO_CHANGE: u64 = 0o1103;
const PROT_EXEC: u64 = 4;
const CLONE_THREAD: u64 = 0x1_0000;
const PR_SET_NAME: u64 = 15;
const AT_EMPTY_PATH: u64 = 0x1000;
const RLIMIT_CPU: u64 = 0;

/// Puts both filters in force; false where the kernel has no filters.
///
/// # Errors
/// Where the lists do not make a filter.
pub(super) fn restrict() -> Result<bool, BackendError> {
    let fatal = FATAL.iter().map(|call| (*call, Vec::new())).collect();
    let fatal = program(fatal, SeccompAction::Allow, SeccompAction::KillProcess)?;
    let allowed = program(allowed()?, SeccompAction::Errno(ENOSYS), SeccompAction::Allow)?;
    // The stricter answer counts; the second filter allows no third.
    Ok(apply_filter(&fatal).is_ok() && apply_filter(&allowed).is_ok())
}

/// Puts filters in force for a program that this process becomes; false where the kernel has none.
/// The program may be run, by the rules of Landlock that one alone; nothing is ever forked.
///
/// # Errors
/// Where the lists do not make a filter.
pub(super) fn restrict_program() -> Result<bool, BackendError> {
    let fatal = FATAL.iter().filter(|call| **call != EXECVE).map(|call| (*call, Vec::new()));
    let fatal = program(fatal.collect(), SeccompAction::Allow, SeccompAction::KillProcess)?;
    let rules = allowed_to_program()?;
    let allowed = program(rules, SeccompAction::Errno(ENOSYS), SeccompAction::Allow)?;
    Ok(apply_filter(&fatal).is_ok() && apply_filter(&allowed).is_ok())
}

fn allowed_to_program() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules = allowed()?;
    rules.extend(PROGRAM_ALLOWED.iter().chain([&EXECVE]).map(|call| (*call, Vec::new())));
    // Code comes out of files; what can be written is never run, and stays so.
    let written_or_run = PROT_WRITE | PROT_EXEC;
    rules.insert(
        MMAP,
        vec![
            when(&[(2, Is::MaskedEq(PROT_EXEC), 0)])?,
            when(&[(2, Is::MaskedEq(written_or_run), PROT_EXEC)])?,
        ],
    );
    rules.insert(OPENAT, vec![when(&[(2, Is::MaskedEq(OPEN_TO_CHANGE), 0)])?]);
    rules.insert(NEWFSTATAT, Vec::new());
    Ok(rules)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, otherwise, matched, TargetArch::x86_64)?.try_into()
}

fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let process = u64::from(std::process::id());
    // What is written into memory is never run.
    rules.insert(MMAP, vec![when(&[(2, Is::MaskedEq(PROT_EXEC), 0)])?]);
    rules.insert(MPROTECT, vec![when(&[(2, Is::MaskedEq(PROT_EXEC), 0)])?]);
    rules.insert(CLONE, vec![when(&[(0, Is::MaskedEq(CLONE_THREAD), CLONE_THREAD)])?]);
    rules.insert(PRCTL, vec![when(&[(0, Is::Eq, PR_SET_NAME)])?]);
    // `abort` signals its own thread.
    rules.insert(TGKILL, vec![when(&[(0, Is::Eq, process)])?]);
    // The size of an open file, as newer C libraries ask for it.
    rules.insert(NEWFSTATAT, vec![when(&[(3, Is::MaskedEq(AT_EMPTY_PATH), AT_EMPTY_PATH)])?]);
    // Own limits may be looked at; the one on time moves with every document.
    let own = |resource| [(0, Is::Eq, 0), resource];
    rules.insert(PRLIMIT, vec![when(&own((2, Is::Eq, 0)))?, when(&own((1, Is::Eq, RLIMIT_CPU)))?]);
    Ok(rules)
}

fn when(conditions: &[(u8, Is, u64)]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .iter()
        .map(|(argument, is, value)| Condition::new(*argument, Width::Qword, is.clone(), *value))
        .collect::<Result<Vec<_>, _>>()?;
    SeccompRule::new(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_make_filters_and_share_no_call() {
        let allowed = allowed().unwrap();
        assert!(FATAL.iter().all(|call| !allowed.contains_key(call)));
        let to_program = allowed_to_program().unwrap();
        let both = FATAL.iter().filter(|call| to_program.contains_key(call));
        assert_eq!(both.collect::<Vec<_>>(), [&EXECVE]);
        assert!(program(to_program, SeccompAction::Errno(ENOSYS), SeccompAction::Allow).is_ok());
        assert!(program(allowed, SeccompAction::Errno(ENOSYS), SeccompAction::Allow).is_ok());
        let fatal: BTreeMap<_, _> = FATAL.iter().map(|call| (*call, Vec::new())).collect();
        assert_eq!(fatal.len(), FATAL.len(), "a call is listed twice");
        assert!(program(fatal, SeccompAction::Allow, SeccompAction::KillProcess).is_ok());
    }
}
