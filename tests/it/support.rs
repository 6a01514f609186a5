//! The support archive of the real binary: complete, looked at first, and free of everything named.
//!
//! Called by: cargo test. Talks to: the command line, the archive it writes.
//! Invariants: a marker planted in names, contents, queries and settings is nowhere in the archive.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Home, wait_for};

const MARKER: &str = "quetzalcoatl";

/// The files of an archive.
fn files(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

fn json(files: &BTreeMap<String, String>, name: &str) -> Value {
    serde_json::from_str(&files[name]).unwrap()
}

#[test]
fn no_planted_name_is_in_the_archive() {
    let home = Home::with_config(&format!(
        "[server]\nlog = 'info,{MARKER}=debug'\n[ingest]\ninbox_rescan_seconds = 1\n"
    ));
    let tenant = format!("{MARKER}-tenant");
    home.run(&["tenant", "create", &tenant]);
    let server = home.serve();
    home.run(&["apikey", "create", &tenant, "--name", &format!("key of {MARKER}")]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("{MARKER} plan.txt"));
    std::fs::write(&file, format!("The plan of {MARKER} is secret.")).unwrap();
    let broken = dir.path().join(format!("{MARKER}.pdf"));
    std::fs::write(&broken, format!("%PDF-1.7 {MARKER}")).unwrap();
    home.run(&["add", &tenant, file.to_str().unwrap(), broken.to_str().unwrap()]);
    home.run(&["search", &tenant, &format!("plan of {MARKER}"), "--mode", "keyword"]);
    home.output(&["search", MARKER, MARKER]);
    home.output(&["tenant", "create", &format!("{MARKER} with spaces")]);
    let shown = home.json(&["tenant", "show", &tenant]);
    let inbox = Path::new(shown["inbox"].as_str().unwrap()).to_owned();
    std::os::unix::fs::symlink("/etc/hostname", inbox.join(format!("{MARKER} link"))).unwrap();
    wait_for("the log to have a line about the drop folder", || {
        server.log().contains("link or special file").then_some(())
    });

    let path = dir.path().join("support.tar");
    let report = home.json(&["support-archive", "--yes", "--output", path.to_str().unwrap()]);
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(!text.contains(MARKER), "{}", around(&text, MARKER));
    let id = shown["id"].as_str().unwrap();
    assert!(!text.contains(id), "{}", around(&text, id));
    let place = home.path().display().to_string().to_lowercase();
    assert!(!text.contains(&place), "{}", around(&text, &place));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let files = files(&path);
    let listed: Vec<&str> = report["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    for name in &listed {
        assert!(files.contains_key(*name), "{name} is listed and not there");
    }
    assert_eq!(listed.len(), files.len());
    assert_eq!(json(&files, "versions.json")["cairn"], env!("CARGO_PKG_VERSION"));
    assert!(files["cairn.log"].contains("serving on"), "{}", files["cairn.log"]);
    assert_eq!(json(&files, "configuration.json")["server"]["log"], "<set>");
    assert_eq!(json(&files, "configuration.json")["ingest"]["inbox_rescan_seconds"], 1);
    let tenants = json(&files, "tenants.json");
    let second = &tenants["tenants"][1];
    assert_eq!((&second["tenant"], &second["tier"]), (&2.into(), &"pro".into()), "{tenants:#}");
    let indexed =
        second["items"].as_array().unwrap().iter().find(|item| item["state"] == "indexed");
    assert_eq!(indexed.unwrap()["count"], 1, "{tenants:#}");
    let checks = files["checks.json"].clone();
    assert!(checks.contains("extraction"), "{checks}");
}

fn around(text: &str, marker: &str) -> String {
    let at = text.find(marker).unwrap_or(0);
    let start = text.floor_char_boundary(at.saturating_sub(200));
    let end = text.floor_char_boundary((at + 200).min(text.len()));
    text[start..end].to_owned()
}

#[test]
fn nothing_is_written_before_somebody_has_looked() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("support.tar");
    let place = path.to_str().unwrap();
    let listed = home.run(&["support-archive", "--list", "--output", place]);
    assert!(listed.contains("cairn.log") && listed.contains("tenants.json"), "{listed}");
    assert!(!path.exists());
    let refused = home.output(&["support-archive", "--output", place]);
    assert_eq!(refused.status.code(), Some(2), "nobody is there to agree");
    let shown = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(shown.contains("versions.json"), "what it holds was not shown: {shown}");
    assert!(!path.exists());
    home.run(&["support-archive", "--yes", "--output", place]);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(
        home.output(&["support-archive", "--yes", "--output", place]).status.code(),
        Some(1)
    );
    assert_eq!(std::fs::read(&path).unwrap(), before, "a file that is there is not replaced");
}

#[test]
fn a_home_that_cannot_be_opened_still_tells_what_it_can() {
    let home = Home::new();
    std::fs::write(home.path().join("system.db"), format!("no database {MARKER}")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("support.tar");
    home.run(&["support-archive", "--yes", "--output", path.to_str().unwrap()]);
    let files = files(&path);
    assert!(files["problem.txt"].contains("database"), "{}", files["problem.txt"]);
    assert!(!files["problem.txt"].contains(&home.path().display().to_string()));
    assert!(files.contains_key("configuration.json") && files.contains_key("health.json"));
}
