//! The key of a home: made by `init`, printed as shares, lost and recovered.
//!
//! Called by: cargo test. Talks to: the built binary, the key file beside the home.
//! Invariants: a home whose key is missing or wrong says so and loses nothing.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Home, find, sources, wait_for};

/// A home that only `init` has touched, and its key beside it.
struct Fresh {
    dir: tempfile::TempDir,
}

impl Fresh {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("home.kek.key")
    }

    fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.home()).unwrap();
        std::fs::write(self.home().join("cairn.toml"), text).unwrap();
    }

    /// Runs a command with `input` on its standard input.
    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(args)
            .env("CAIRN_HOME", self.home())
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that asks for nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed; what it prints as JSON.
    fn json(&self, args: &[&str], input: &str) -> Value {
        let output = self.run(&[args, &["--json"]].concat(), input);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn mode(&self, path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

fn shares(report: &Value) -> Vec<String> {
    let shares = report["shares"].as_array().unwrap();
    shares.iter().map(|share| share.as_str().unwrap().to_owned()).collect()
}

#[test]
fn init_makes_a_key_beside_the_home_and_prints_shares_once() {
    let fresh = Fresh::new();
    let report = fresh.json(&["init"], "");
    assert_eq!((report["created"].as_bool(), report["threshold"].as_u64()), (Some(true), Some(2)));
    assert_eq!(shares(&report).len(), 3);
    assert!(report["link"].is_string(), "{report:#}");
    assert!(report["warnings"][0].as_str().unwrap().contains("disk"), "{report:#}");
    assert_eq!(fresh.mode(&fresh.key_file()), 0o600);
    assert_eq!(fresh.mode(&fresh.home().join("keys")), 0o700);
    let key = std::fs::read(fresh.key_file()).unwrap();

    let again = fresh.json(&["init"], "");
    assert_eq!(again["created"], false);
    assert!(again.get("shares").is_none(), "{again:#}");
    assert_eq!(std::fs::read(fresh.key_file()).unwrap(), key);
    let status = fresh.json(&["keys", "status"], "");
    assert_eq!(status["kek"], report["kek"]);
    assert_eq!((&status["problem"], &status["scopes"]), (&Value::Null, &Value::from(1)));
}

#[test]
fn init_prints_as_many_shares_as_it_is_told() {
    let fresh = Fresh::new();
    let refused = fresh.run(&["init", "--shares", "2", "--threshold", "3"], "");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(!fresh.home().exists() && !fresh.key_file().exists());
    let output = fresh.run(&["init", "--shares", "5", "--threshold", "3"], "");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().filter(|line| line.matches('-').count() == 18).count();
    assert_eq!(lines, 5, "{printed}");
    assert!(printed.contains("any 3 of these 5"), "{printed}");

    let silent = Fresh::new();
    let output = silent.run(&["init", "--no-shares"], "");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("Recovery shares"), "{}", text(&output));
}

#[test]
fn a_lost_key_is_made_again_from_shares_and_by_nothing_else() {
    let fresh = Fresh::new();
    let shares = shares(&fresh.json(&["init"], ""));
    fresh.json(&["tenant", "create", "demo"], "");
    let key = std::fs::read(fresh.key_file()).unwrap();
    std::fs::remove_file(fresh.key_file()).unwrap();
    for args in [&["init"][..], &["tenant", "list"], &["status"]] {
        let output = fresh.run(args, "");
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", text(&output));
        assert!(text(&output).contains("cairn keys recover"), "{args:?}: {}", text(&output));
    }
    assert!(!fresh.key_file().exists(), "no new key papers over the loss");
    assert_eq!(fresh.run(&["keys", "status"], "").status.code(), Some(1));

    let one = fresh.run(&["keys", "recover"], &shares[2]);
    assert_eq!(one.status.code(), Some(2), "{}", text(&one));
    assert!(text(&one).contains("not enough"), "{}", text(&one));
    let mistyped = format!("{}\n{}\n", shares[0], shares[2].replace('-', "").replacen('0', "1", 1));
    let slip = fresh.run(&["keys", "recover"], &mistyped);
    assert!(text(&slip).contains("share 2: the share is mistyped"), "{}", text(&slip));
    let lines = format!("{}\n\n{}\n", shares[2], shares[0].to_lowercase());
    fresh.json(&["keys", "recover"], &lines);
    assert_eq!(std::fs::read(fresh.key_file()).unwrap(), key);
    let tenants = fresh.json(&["tenant", "list"], "");
    assert_eq!(tenants["tenants"][0]["name"], "demo");
}

#[test]
fn a_foreign_key_and_an_open_one_are_refused_and_nothing_is_lost() {
    let (fresh, other) = (Fresh::new(), Fresh::new());
    fresh.json(&["init"], "");
    let foreign = shares(&other.json(&["init"], ""));
    let key = std::fs::read(fresh.key_file()).unwrap();
    let to = fresh.dir.path().join("recovered.key");
    let args = ["keys", "recover", "--to", to.to_str().unwrap()];
    let refused = fresh.run(&args, &foreign.join("\n"));
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(!to.exists());

    std::fs::copy(other.key_file(), fresh.key_file()).unwrap();
    let wrong = fresh.run(&["status"], "");
    assert_eq!(wrong.status.code(), Some(4), "{}", text(&wrong));
    assert!(text(&wrong).contains("is wanted here"), "{}", text(&wrong));
    std::fs::write(fresh.key_file(), &key).unwrap();
    std::fs::set_permissions(fresh.key_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let open = fresh.run(&["status"], "");
    assert!(text(&open).contains("chmod 600"), "{}", text(&open));
    std::fs::set_permissions(fresh.key_file(), PermissionsExt::from_mode(0o600)).unwrap();
    fresh.json(&["status"], "");
}

#[test]
fn a_passphrase_opens_the_key_and_shares_outlive_it() {
    let fresh = Fresh::new();
    fresh.configure("[keys]\nsource = \"passphrase\"\n");
    let weak = fresh.run(&["init"], "short\n");
    assert!(text(&weak).contains("at least 12"), "{}", text(&weak));
    assert_eq!(fresh.run(&["init"], "").status.code(), Some(2));
    let report = fresh.json(&["init"], "correct horse battery\n");
    let door = fresh.home().join("tls/door.crt");
    assert!(door.is_file(), "the first start is sealed and has to be reached");
    let again = fresh.json(&["keys", "shares"], "correct horse battery\n");
    assert_eq!(again["kek"], report["kek"]);
    let wrong = fresh.run(&["keys", "shares"], "wrong horse battery\n");
    assert!(text(&wrong).contains("the passphrase is wrong"), "{}", text(&wrong));

    let file = fresh.dir.path().join("passphrase");
    std::fs::write(&file, "an entirely new one\n").unwrap();
    let args = ["keys", "recover", "--passphrase-file", file.to_str().unwrap()];
    fresh.json(&args, &shares(&report)[..2].join("\n"));
    let renewed = fresh.json(&["keys", "shares"], "an entirely new one\n");
    assert_eq!(renewed["kek"], report["kek"]);
}

#[test]
fn a_damaged_wrapped_key_stops_what_it_opens_and_nothing_is_lost() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    let id = home.json(&["tenant", "show", "demo"])["id"].as_str().unwrap().to_owned();
    home.run(&["tenant", "create", "other"]);
    let keys = home.path().join("keys");
    let search = |tenant: &str| home.output(&["search", tenant, "heron", "--mode", "keyword"]);

    let file = keys.join(format!("{id}.json"));
    let whole = std::fs::read(&file).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"{}"] {
        std::fs::write(&file, broken).unwrap();
        let refused = search("demo");
        assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
        assert!(text(&refused).contains("key is damaged"), "{}", text(&refused));
        assert_eq!(search("other").status.code(), Some(0), "another tenant does not notice");
        let status = home.output(&["keys", "status"]);
        assert_eq!(status.status.code(), Some(1));
        assert!(text(&status).contains(&id), "{}", text(&status));
    }
    std::fs::write(&file, &whole).unwrap();
    let found = text(&search("demo"));
    assert!(found.contains("heron.txt"), "{found}");

    let file = keys.join("system.json");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let refused = search("demo");
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("system.json is damaged"), "{}", text(&refused));
    std::fs::write(&file, &whole).unwrap();
    assert!(text(&search("demo")).contains("heron.txt"));
    assert_eq!(home.json(&["audit", "verify"])["ok"], true);
}

#[test]
fn an_appliance_has_the_name_it_was_given_and_a_theft_of_its_disk_is_warned_of() {
    let fresh = Fresh::new();
    fresh.configure("[server]\ntls = \"off\"\n");
    for name in ["", "  ", "two\nlines", &"n".repeat(65)] {
        let refused = fresh.run(&["init", "--name", name], "");
        assert_eq!(refused.status.code(), Some(2), "{name:?}: {}", text(&refused));
    }
    assert!(!fresh.key_file().exists());
    fresh.json(&["init", "--name", " Records of the museum "], "");
    assert_eq!(fresh.json(&["status"], "")["name"], "Records of the museum");
    assert!(text(&fresh.run(&["status"], "")).contains("Records of the museum"));

    let doctor = fresh.run(&["doctor", "--json"], "");
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let check = |name: &str| find(&report["checks"], "name", name);
    let place = check("key_place");
    assert_eq!(place["ok"], true, "a warning is no failure: {place:#}");
    assert!(place["detail"].as_str().unwrap().contains("share one disk"), "{place:#}");
    assert!(place["hint"].as_str().unwrap().contains("keys.source"), "{place:#}");
    assert_eq!(check("swap")["ok"], true);
    assert_eq!(check("clock")["ok"], true);
    let said = text(&fresh.run(&["doctor"], ""));
    assert!(said.contains("warn    key_place"), "{said}");
}

/// Entries of the appliance's trail about an action, oldest first.
fn noted(trail: &Value, action: &str) -> Vec<Value> {
    let entries = trail["entries"].as_array().unwrap().iter().rev();
    entries.filter(|entry| entry["action"] == action).cloned().collect()
}

#[test]
fn shares_printed_and_keys_recovered_while_no_server_runs_are_on_record() {
    let fresh = Fresh::new();
    fresh.configure("[keys]\nsource = \"passphrase\"\n[server]\ntls = \"off\"\n");
    let report = fresh.json(&["init"], "correct horse battery\n");
    fresh.json(&["keys", "shares", "--shares", "5", "--threshold", "3"], "correct horse battery\n");
    let file = fresh.dir.path().join("passphrase");
    std::fs::write(&file, "an entirely new one\n").unwrap();
    let args = ["keys", "recover", "--passphrase-file", file.to_str().unwrap()];
    fresh.json(&args, &shares(&report)[..2].join("\n"));
    let wrong = fresh.run(&["keys", "shares"], "wrong horse battery\n");
    assert!(!wrong.status.success());

    // What needs no passphrase afterwards: the same key in a file.
    std::fs::write(fresh.home().join("cairn.toml"), "[server]\ntls = \"off\"\n").unwrap();
    fresh.json(&["keys", "recover"], &shares(&report)[1..].join("\n"));
    let trail = fresh.json(&["audit", "list"], "");
    let made = noted(&trail, "appliance.shares");
    assert_eq!(made.len(), 2, "{trail:#}");
    assert_eq!(
        (&made[0]["detail"]["shares"], &made[1]["detail"]["threshold"]),
        (&3.into(), &3.into())
    );
    assert!(made.iter().all(|entry| entry["actor"]["kind"] == "console"), "{trail:#}");
    assert_eq!(noted(&trail, "appliance.recover").len(), 2, "{trail:#}");
    assert_eq!(fresh.json(&["audit", "verify"], "")["ok"], true);
}

#[test]
fn every_key_event_is_on_record_with_and_without_a_server() {
    let home = Home::new();
    let events = |home: &Home| {
        home.run(&["tenant", "lock", "demo"]);
        home.run(&["tenant", "unlock", "demo"]);
        home.run(&["keys", "rotate", "demo"]);
        home.run(&["keys", "rotate-kek"]);
        home.run(&["keys", "shares"]);
    };
    events(&home);
    let server = home.serve();
    events(&home);
    home.run(&["keys", "seal"]);
    home.run(&["keys", "shares"]);
    home.run(&["keys", "unseal"]);
    drop(server);
    let trail = home.json(&["audit", "list", "--all"]);
    for (action, times) in [
        ("tenant.lock", 2),
        ("tenant.unlock", 2),
        ("tenant.rotate_key", 2),
        ("appliance.rotate_kek", 2),
        // One of `init`, and one that waited until there was a trail again.
        ("appliance.shares", 4),
        ("appliance.seal", 1),
        ("appliance.unseal", 1),
    ] {
        let found = noted(&trail, action);
        assert_eq!(found.len(), times, "{action}: {trail:#}");
        assert!(found.iter().all(|entry| entry["result"] == "ok"), "{action}: {found:#?}");
    }
    assert_eq!(home.json(&["audit", "verify"])["ok"], true);
}

#[test]
fn a_certificate_that_is_renewed_by_itself_is_on_record() {
    let fresh = Fresh::new();
    fresh.configure("[server]\nnames = ['one.lan']\n");
    fresh.json(&["init"], "");
    let certificates = |fresh: &Fresh| {
        noted(&fresh.json(&["audit", "list", "--all"], ""), "appliance.certificate")
    };
    let before = certificates(&fresh);
    assert_eq!(before.len(), 1, "{before:#?}");
    assert_eq!(before[0]["detail"]["by"], "init");
    assert_eq!(certificates(&fresh).len(), 1, "looking after what is sound is no event");
    fresh.configure("[server]\nnames = ['two.lan']\n");
    let after = certificates(&fresh);
    assert_eq!(after.len(), 2, "{after:#?}");
    let (entry, detail) = (&after[1], &after[1]["detail"]);
    assert_eq!((&entry["actor"]["kind"], &detail["by"]), (&"system".into(), &"automatic".into()));
    let made = detail["certificates"].to_string();
    assert!(made.contains("server ") && made.contains("door ") && made.contains("until"), "{made}");
    assert!(!made.contains("authority"), "the authority stays: {made}");
}

#[test]
fn a_credential_opens_the_home_and_its_absence_is_told() {
    let fresh = Fresh::new();
    fresh.configure("[keys]\nsource = \"credential\"\n");
    let missing = fresh.run(&["init"], "");
    assert_eq!(missing.status.code(), Some(4), "{}", text(&missing));
    assert!(text(&missing).contains("LoadCredentialEncrypted"), "{}", text(&missing));
    let key = fresh.run(&["keys", "generate"], "");
    std::fs::write(fresh.dir.path().join("cairn-kek"), key.stdout).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["init", "--no-shares"])
        .env("CAIRN_HOME", fresh.home())
        .env("CREDENTIALS_DIRECTORY", fresh.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!fresh.key_file().exists());
}

#[test]
fn a_sealed_server_serves_nothing_and_goes_on_where_it_was_when_unsealed() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    let server = home.serve();
    let key = server.key("demo");
    let search = "/api/v1/tenants/demo/search?q=heron";
    assert_eq!(server.with_key(&key, "GET", search, b"").status, 200);
    assert_eq!(home.json(&["keys", "seal"])["sealed"], true);

    let refused = server.with_key(&key, "GET", search, b"");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (423, Some("sealed")));
    assert_eq!(server.anonymous("GET", "/ready", b"").status, 503);
    assert_eq!(server.anonymous("GET", "/api/v1/seal", b"").json()["sealed"], true);
    assert_eq!(home.output(&["search", "demo", "heron"]).status.code(), Some(4));

    // Whoever is in the network does not undo it: the key is on the machine and not theirs.
    let json = [("Content-Type", "application/json")];
    let refused = server.request("POST", "/api/v1/unseal", &json, b"{}");
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("cairn keys unseal"), "{}", refused.text());
    assert_eq!(server.anonymous("GET", "/api/v1/seal", b"").json()["sealed"], true);

    assert_eq!(home.json(&["keys", "unseal"])["sealed"], false);
    let trail = home.json(&["audit", "list", "--action", "appliance.unseal"]);
    let ends: Vec<&Value> =
        trail["entries"].as_array().unwrap().iter().map(|e| &e["result"]).collect();
    assert_eq!(ends, ["ok", "refused"], "newest first: {trail:#}");
    let found = server.with_key(&key, "GET", search, b"").json();
    assert_eq!(found["results"][0]["source"], "heron.txt");
    let verdict = home.json(&["audit", "verify"]);
    assert!(verdict.to_string().contains("true"), "{verdict}");
}

#[test]
fn the_end_of_a_change_of_the_data_key_is_on_record_once() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    let server = home.serve();
    home.run(&["keys", "rotate", "demo"]);
    let trail = wait_for("the old key to be destroyed", || {
        let trail = home.json(&["audit", "list", "demo"]);
        (!noted(&trail, "tenant.retire_key").is_empty()).then_some(trail)
    });
    let (begun, ended) = (noted(&trail, "tenant.rotate_key"), noted(&trail, "tenant.retire_key"));
    assert_eq!((begun.len(), ended.len()), (1, 1), "{trail:#}");
    let number = |entry: &Value| entry["sequence"].as_u64().unwrap();
    assert!(number(&begun[0]) < number(&ended[0]), "{trail:#}");
    assert_eq!((&ended[0]["actor"]["kind"], &ended[0]["result"]), (&"system".into(), &"ok".into()));
    assert_eq!(ended[0]["detail"]["epoch"], 2, "{trail:#}");
    assert_eq!(home.json(&["keys", "status"])["rotating"], serde_json::json!([]));
    drop(server);
    // Another start finds nothing to record.
    let _server = home.serve();
    assert_eq!(sources(&home.search("heron", "keyword")), ["heron.txt"]);
    assert_eq!(noted(&home.json(&["audit", "list", "demo"]), "tenant.retire_key").len(), 1);
    assert_eq!(home.json(&["audit", "verify", "demo"])["ok"], true);
}
