//! Processes as the kernel sees them: who is whose child, and what each has held.
//!
//! Called by: tests of memory and of crashes. Talks to: `/proc`.
//! Invariants: a process that ends while it is looked at is passed over.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A field of `/proc/<pid>/status`, in KiB.
pub fn kib(pid: u32, field: &str) -> u64 {
    status(pid, field).unwrap_or_else(|| panic!("process {pid} says nothing of {field}"))
}

fn status(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Processes whose parent is `pid`.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("a list of processes").flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after_name.split_whitespace();
        let state = fields.next();
        let parent = fields.next().and_then(|parent| parent.parse::<u32>().ok());
        if parent == Some(pid) && state != Some("Z") {
            found.push(child);
        }
    }
    found
}

/// Does `work` and tells the most memory that any child of `pid` held meanwhile, in KiB.
pub fn peak_of_children<T>(pid: u32, work: impl FnOnce() -> T) -> (T, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for child in children_of(pid) {
                    peak.fetch_max(status(child, "VmHWM:").unwrap_or(0), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result
    });
    let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (result, peak.into_inner())
}
