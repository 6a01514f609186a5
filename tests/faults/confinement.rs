//! What a parser could do if a file took it over: nothing.
//!
//! Called by: cargo test. Talks to: `cairn extract` on files whose names ask a worker for an
//! attempt, and a server that is given such files beside good ones.
//! Invariants: every attempt is made inside a confined worker; one that succeeds fails the test.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::process::{kib, peak_of_children};
use crate::harness::{Home, assert_adds_up, find};

/// What a worker says about an attempt, or how it ended.
fn attempt(what: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("probe-{what}"));
    fs::write(&path, "x").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    let output = command.arg("extract").arg(&path).env("SECRET", "x").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    // Markdown begins with what is known about the file.
    String::from_utf8_lossy(&said).trim().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_worker_can_neither_read_nor_list_nor_write_a_file() {
    for what in ["read", "list", "write"] {
        let said = attempt(what);
        assert!(said.contains("refused"), "{what}: {said}");
    }
    assert!(!std::path::Path::new("/tmp/cairn-probe").exists());
}

#[test]
fn a_worker_that_wants_a_socket_a_program_or_another_process_is_ended() {
    let calls = [
        "tcp",
        "udp",
        "exec",
        "syscall-101",
        "syscall-57",
        "syscall-58",
        "syscall-62",
        "syscall-165",
        "syscall-250",
        "syscall-298",
        "syscall-310",
        "syscall-321",
        "syscall-323",
        "syscall-425",
        "syscall-272",
        "syscall-319",
        "syscall-41",
    ];
    for what in calls {
        let said = attempt(what);
        assert!(said.contains("no reader may do") || said.contains("refused"), "{what}: {said}");
    }
    let forked = attempt("fork");
    assert!(forked.contains("refused") || forked.contains("no reader may do"), "{forked}");
}

#[test]
fn a_worker_inherits_neither_variables_nor_descriptors() {
    assert!(attempt("environment").contains("0 variables"));
    let said = attempt("descriptors");
    let count: usize = said.split_whitespace().next().unwrap().parse().unwrap();
    // Three pipes, libpdfium and its own clock.
    assert!(count <= 5, "{said}");
}

#[test]
fn more_memory_than_allowed_is_named_as_the_reason() {
    let said = attempt("memory");
    assert!(said.contains("memory") && !said.contains("succeeded"), "{said}");
}

#[test]
fn files_that_crash_hang_or_spin_are_failed_and_the_others_go_on() {
    let home = Home::with_config("[ingest]\nextraction_seconds = 3\n");
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("bad");
    fs::create_dir(&folder).unwrap();
    let bad = [
        ("abort", "reader_crashed"),
        ("sleep", "timed_out"),
        ("spin", "timed_out"),
        ("memory", "out_of_memory"),
        ("tcp", "reader_crashed"),
    ];
    for (what, _) in bad {
        fs::write(folder.join(format!("probe-{what}")), what).unwrap();
    }
    for number in 0..20 {
        let text = format!("A good document with the number {number}.");
        fs::write(folder.join(format!("{number}.txt")), text).unwrap();
    }
    let started = Instant::now();
    home.json(&["add", "demo", "--no-wait", folder.to_str().unwrap()]);
    let ledger: Value = server.settle();
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_adds_up(&ledger);
    assert_eq!(ledger["indexed"], 20, "{ledger:#}");
    for (what, reason) in bad {
        let item = find(&ledger["items"], "source", &format!("bad/probe-{what}"));
        assert_eq!(item["reason"], reason, "{item:#}");
    }
}

#[test]
fn a_worker_has_a_limit_on_everything_it_could_use_up() {
    let said = attempt("limits");
    let limit = |name: &str| -> u64 {
        let value = said.split(' ').find_map(|limit| limit.strip_prefix(name)?.strip_prefix('='));
        let value = value.unwrap_or_else(|| panic!("no {name} in {said}"));
        value.parse().unwrap_or_else(|_| panic!("no limit on {name}: {said}"))
    };
    assert_eq!((limit("core"), limit("size")), (0, 0), "{said}");
    assert!(limit("files") <= 16, "{said}");
    assert!(limit("memory") <= 2 << 30, "{said}");
    // The time of one document, and what the process had used before.
    assert!(limit("time") <= 60 + 5, "{said}");
}

#[test]
fn a_worker_that_starts_threads_without_end_runs_out_of_its_own_memory() {
    let said = attempt("threads");
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn every_way_to_use_a_worker_up_is_named_and_costs_no_other_file() {
    let home = Home::with_config(
        "[ingest]\nextraction_seconds = 10\nextraction_memory = 536870912\n\
         max_text_per_document = 65536\nmax_children = 40\nmax_child_bytes = 1048576\n",
    );
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("bad");
    fs::create_dir(&folder).unwrap();
    let bad = [
        ("overtime", "timed_out", "of computing"),
        ("hoard", "out_of_memory", "MiB of memory"),
        ("garbage", "reader_crashed", "crashed"),
        ("chatter", "timed_out", "longer than"),
        ("text", "reader_crashed", "more text than allowed"),
        ("children", "reader_crashed", "more files than allowed"),
        ("body", "reader_crashed", "larger file than allowed"),
    ];
    // One after the other, each followed by a good one.
    for (number, (what, _, _)) in bad.iter().enumerate() {
        fs::write(folder.join(format!("probe-{what}")), what).unwrap();
        let text = format!("A good document with the number {number}.");
        fs::write(folder.join(format!("{what}-good.txt")), text).unwrap();
    }
    home.json(&["add", "demo", "--no-wait", folder.to_str().unwrap()]);
    let (ledger, peak) = peak_of_children(server.pid(), || server.settle());
    assert_adds_up(&ledger);
    for (what, reason, words) in bad {
        let item = find(&ledger["items"], "source", &format!("bad/probe-{what}"));
        assert_eq!(item["reason"], reason, "{item:#}");
        assert!(item["detail"].as_str().unwrap().contains(words), "{item:#}");
        let good = find(&ledger["items"], "source", &format!("bad/{what}-good.txt"));
        assert_eq!(good["state"], "indexed", "{good:#}");
    }
    assert!(peak <= 600 << 10, "a worker took {peak} KiB");
    let own = kib(server.pid(), "VmHWM:");
    assert!(own < 1 << 20, "the server took {own} KiB");
    assert_eq!(server.anonymous("GET", "/health", b"").status, 200);
}

#[test]
fn doctor_names_the_layers_that_the_kernel_gives() {
    let home = Home::new();
    let report = home.output(&["doctor", "--json"]);
    let said = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(said.contains("landlock") && said.contains("seccomp"), "{said}");
}
