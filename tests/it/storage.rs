//! Data outlives releases: formats are checked, old homes open, projections can be thrown away.
//!
//! Called by: cargo test. Talks to: the command line, files of a home.
//! Invariants: `tests/fixtures/datadirs/vN` is written once per released format and never again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Home, assert_adds_up, fixture, sources, wait_for};

fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

fn cairn(home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(args)
        .env("CAIRN_HOME", home)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// The directory of the only tenant of a home.
fn tenant_dir(home: &Path) -> PathBuf {
    std::fs::read_dir(home.join("tenants")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn homes_of_every_released_format_open_and_answer() {
    for version in ["v1"] {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        copy_tree(&fixture("datadirs").join(version), &home);
        let (code, ledger, said) = cairn(&home, &["ledger", "demo", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
        assert_eq!(assert_adds_up(&ledger), ledger["received"].as_u64().unwrap());
        assert_eq!(ledger["indexed"], 3);
        for mode in ["keyword", "vector", "hybrid"] {
            let (code, found, said) =
                cairn(&home, &["search", "demo", "heron in the reeds", "--mode", mode, "--json"]);
            assert_eq!(code, Some(0), "{said}");
            let found: serde_json::Value = serde_json::from_str(&found).unwrap();
            assert_eq!(sources(&found)[0], "birds/heron.txt", "{version} by {mode}");
        }
    }
}

#[test]
fn a_newer_format_is_refused_and_both_versions_are_named() {
    let home = Home::new();
    home.add_text("a.txt", "Some text to keep.");
    let set_version = |path: &Path, version: u32| {
        rusqlite::Connection::open(path)
            .unwrap()
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    let system = home.path().join("system.db");
    set_version(&system, 99);
    let refused = home.output(&["tenant", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("99") && said.contains("format 1"), "{said}");
    set_version(&system, 1);

    let catalogue = tenant_dir(home.path()).join("tenant.db");
    set_version(&catalogue, 77);
    assert!(!home.output(&["ledger", "demo"]).status.success());
    set_version(&catalogue, 1);

    let format = tenant_dir(home.path()).join("blobs/format");
    std::fs::write(&format, "55").unwrap();
    assert!(!home.output(&["ledger", "demo"]).status.success());
    std::fs::write(&format, "1").unwrap();
    assert_eq!(home.ledger()["indexed"], 1, "nothing was harmed by being refused");
}

#[test]
fn lost_projections_are_made_anew_by_themselves() {
    let home = Home::new();
    home.add_text("a.txt", "The lighthouse keeper counts ships.");
    let tenant = tenant_dir(home.path());
    for projection in ["fulltext", "vectors"] {
        std::fs::remove_dir_all(tenant.join(projection)).unwrap();
        std::fs::create_dir(tenant.join(projection)).unwrap();
    }
    let _server = home.serve();
    for mode in ["keyword", "vector"] {
        wait_for(&format!("the projection behind {mode} search"), || {
            (sources(&home.search("lighthouse", mode)) == ["a.txt"]).then_some(())
        });
    }
}

#[test]
fn a_reserve_is_held_back_and_the_log_is_a_private_file() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let _server = home.serve();
    let reserve = std::fs::metadata(home.path().join("reserve")).unwrap();
    assert!(reserve.blocks() * 512 >= 64 << 20, "the space is really taken");
    let log = std::fs::metadata(home.path().join("logs/cairn.log")).unwrap();
    assert_eq!(log.mode() & 0o077, 0);
}
