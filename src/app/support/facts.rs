//! Facts about the machine and the process, as the kernel tells them.
//!
//! Called by: `app::support`. Talks to: `/proc`, `/etc/os-release`, the home volume.
//! Invariants: no host name, no user, no path; what cannot be read is left out.

use std::path::Path;

use serde_json::{Map, Value, json};

/// Operating system and processor.
pub(super) fn system() -> Value {
    let uname = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    json!({
        "kernel": text(uname.release()),
        "architecture": text(uname.machine()),
        "distribution": {
            "id": os_release("ID"),
            "version": os_release("VERSION_ID"),
        },
        "processor": processor("model name"),
        "processor_flags": processor("flags").map(|flags| relevant(&flags)),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
    })
}

/// Memory, load and disk at present.
pub(super) fn resources(home: &Path) -> Value {
    let memory = numbers("/proc/meminfo", &["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"]);
    let process = numbers("/proc/self/status", &["VmRSS", "VmHWM", "VmSize", "Threads"]);
    let disk = rustix::fs::statvfs(home).ok().map(|stat| {
        json!({
            "total_bytes": stat.f_blocks.saturating_mul(stat.f_frsize),
            "free_bytes": stat.f_bavail.saturating_mul(stat.f_frsize),
            "inodes": stat.f_files,
            "inodes_free": stat.f_favail,
        })
    });
    json!({
        "memory_kib": memory,
        "memory_limit": read("/sys/fs/cgroup/memory.max"),
        "process_kib": process,
        "open_files": std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        "load": read("/proc/loadavg"),
        "uptime_seconds": read("/proc/uptime"),
        "home_volume": disk,
    })
}

/// Extensions that decide what the model and the hashes can use.
fn relevant(flags: &str) -> Vec<String> {
    const WANTED: &[&str] =
        &["sse4_2", "avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "fma", "aes", "sha_ni"];
    flags.split_whitespace().filter(|flag| WANTED.contains(flag)).map(str::to_owned).collect()
}

fn processor(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, value) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let (_, value) =
        text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key)?;
    Some(value.trim_matches('"').to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Numbers of a `Name: value` file in `/proc`.
fn numbers(path: &str, wanted: &[&str]) -> Map<String, Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| wanted.contains(name))
        .filter_map(|(name, value)| {
            let number: u64 = value.split_whitespace().next()?.parse().ok()?;
            Some((name.to_owned(), number.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_facts_without_its_name() {
        let (system, resources) = (system(), resources(Path::new("/")));
        assert!(system["processors"].as_u64() > Some(0), "{system:#}");
        assert!(resources["memory_kib"]["MemTotal"].as_u64() > Some(0), "{resources:#}");
        assert!(resources["home_volume"]["total_bytes"].as_u64() > Some(0), "{resources:#}");
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host.len() > 5 {
            assert!(!system.to_string().contains(&host), "{system:#}");
        }
    }
}
