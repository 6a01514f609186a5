//! Data outlives releases: formats are checked, old homes open, projections can be thrown away.
//!
//! Called by: cargo test. Talks to: the command line, files of a home.
//! Invariants: `tests/fixtures/datadirs/vN` is written once per released format and never again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cairn::crypto::KeyPurpose;
use cairn::keys::{KeyStore, SYSTEM_SCOPE, read_key_file};
use cairn::{config, database};

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

/// A server on a home that no harness made, until dropped.
struct Served(Child);

impl Served {
    fn start(home: &Path) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_cairn"));
        serve.args(["serve", "--tls", "off", "--listen", "127.0.0.1:0"]).env("CAIRN_HOME", home);
        let served = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the server's socket", || home.join("cairn.sock").exists().then_some(()));
        Self(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        let answer = |args: &[&str]| -> serde_json::Value {
            let (code, answer, said) = cairn(&home, args);
            assert_eq!(code, Some(0), "{said}");
            serde_json::from_str(&answer).unwrap()
        };
        // What an earlier release wrote in the clear is made anew while a server runs.
        let _server = Served::start(&home);
        wait_for("the migrated home to be indexed", || {
            let ledger = answer(&["ledger", "demo", "--json"]);
            assert_eq!(assert_adds_up(&ledger), ledger["received"].as_u64().unwrap());
            (ledger["indexed"] == 3).then_some(())
        });
        for mode in ["keyword", "vector", "hybrid"] {
            let found = answer(&["search", "demo", "heron in the reeds", "--mode", mode, "--json"]);
            assert_eq!(sources(&found)[0], "birds/heron.txt", "{version} by {mode}");
        }
        assert!(!shows(&home.join("tenants"), "heron"), "{version}: a tenant shows its content");
    }
}

/// True where a file below `dir`, or its name, holds a word in the clear.
fn shows(dir: &Path, word: &str) -> bool {
    let status = Command::new("grep").args(["-raiq", word]).arg(dir).status().unwrap();
    let named = Command::new("find").arg(dir).args(["-iname", &format!("*{word}*")]).output();
    status.success() || !named.unwrap().stdout.is_empty()
}

/// An encrypted database of a home, as the appliance opens it.
fn open(home: &Path, scope: &str, purpose: KeyPurpose, database: &Path) -> rusqlite::Connection {
    let home = config::Home { path: home.to_owned() };
    let kek = read_key_file(&config::default_key_file(&home)).unwrap();
    let keys = KeyStore::open(&home.keys_path()).unwrap();
    keys.unseal(kek).unwrap();
    let keyring = keys.keyring(scope).unwrap();
    let key = keyring.subkey(keyring.current_epoch(), purpose).unwrap();
    database::open(database, &key).unwrap()
}

/// Gives an encrypted database of a home another format number.
fn set_format(home: &Path, scope: &str, purpose: KeyPurpose, database: &Path, format: u32) {
    let opened = open(home, scope, purpose, database);
    opened.pragma_update(None, "user_version", format).unwrap();
}

/// What a catalogue of format 3 has beyond one of format 2.
const DERIVED: &str = "DROP TABLE date_mention; DROP TABLE signature; DROP TABLE signature_band; \
    DROP INDEX item_thread; DROP INDEX item_message; DROP INDEX item_thread_subject; PRAGMA user_version = 2;";

#[test]
fn a_catalogue_without_derived_tables_gets_them_filled_at_a_rebuild() {
    let home = Home::new();
    home.add_text("a.txt", "The lighthouse was lit on 3 March 2021.");
    let tenant = tenant_dir(home.path());
    let scope = tenant.file_name().unwrap().to_str().unwrap();
    let catalogue = tenant.join("tenant.db");
    open(home.path(), scope, KeyPurpose::Catalogue, &catalogue).execute_batch(DERIVED).unwrap();
    let server = home.serve();
    let key = server.key("demo");
    let id = home.item("a.txt")["document_id"].as_str().unwrap().to_owned();
    let mentions = || {
        let path = format!("/api/v1/tenants/demo/documents/{id}");
        server.with_key(&key, "GET", &path, b"").json()["date_mentions"].clone()
    };
    assert_eq!(mentions(), serde_json::json!([]));
    home.run(&["rebuild", "demo", "--projection", "fulltext"]);
    wait_for("the mentioned dates", || (mentions()[0]["from"] == "2021-03-03").then_some(()));
}

#[test]
fn a_newer_format_is_refused_and_both_versions_are_named() {
    let home = Home::new();
    home.add_text("a.txt", "Some text to keep.");
    let system = home.path().join("system.db");
    let set = |format| set_format(home.path(), SYSTEM_SCOPE, KeyPurpose::System, &system, format);
    set(99);
    let refused = home.output(&["tenant", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("99") && said.contains("format 2"), "{said}");
    set(2);

    let tenant = tenant_dir(home.path());
    let scope = tenant.file_name().unwrap().to_str().unwrap();
    let catalogue = tenant.join("tenant.db");
    let set = |format| set_format(home.path(), scope, KeyPurpose::Catalogue, &catalogue, format);
    set(77);
    assert!(!home.output(&["ledger", "demo"]).status.success());
    set(3);

    let format = tenant_dir(home.path()).join("blobs/format");
    std::fs::write(&format, "55").unwrap();
    assert!(!home.output(&["ledger", "demo"]).status.success());
    std::fs::write(&format, "2").unwrap();
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
