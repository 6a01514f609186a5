//! A home on a volume that fills up while documents come in.
//!
//! Called by: cargo test. Talks to: a server in a mount namespace of its own, over HTTP.
//! Invariants: what was acknowledged before, during and after is indexed once space is free; where
//! no namespace can be made, the test says so.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{PATIENCE, wait_for};
use crate::load::{request, source, upload};

const VOLUME: &str = "160m";

/// A server whose home is a small volume that only it can see.
struct Confined {
    dir: TempDir,
    child: Child,
    address: String,
    key: String,
}

impl Confined {
    /// `None` where the machine allows no mount namespace.
    fn start() -> Option<Self> {
        let allowed = Command::new("unshare").args(["--mount", "--map-root-user", "true"]).output();
        if !allowed.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("a full disk was not tried, mount namespaces are not allowed: {allowed:?}");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let script = format!(
            "set -e; mount -t tmpfs -o size={VOLUME} cairn \"$CAIRN_HOME\"; \"$CAIRN\" init; \
             \"$CAIRN\" tenant create demo; \"$CAIRN\" apikey create demo --name faults > \"$KEY\"; \
             exec \"$CAIRN\" serve --tls off --listen {address}"
        );
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-c", &script])
            .env("CAIRN", env!("CARGO_BIN_EXE_cairn"))
            .env("CAIRN_HOME", dir.path().join("home"))
            .env("KEY", dir.path().join("key"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut confined = Self { dir, child, address, key: String::new() };
        wait_for("the confined server", || {
            if let Some(status) = confined.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", confined.log());
            }
            TcpStream::connect(&confined.address).ok()
        });
        let key = fs::read_to_string(confined.dir.path().join("key")).unwrap();
        key.trim().clone_into(&mut confined.key);
        Some(confined)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The home as the server sees it.
    fn home(&self) -> PathBuf {
        let inside = self.dir.path().join("home");
        let inside = inside.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.child.id().to_string()).join("root").join(inside)
    }

    /// Fills the volume to its last byte.
    fn fill(&self) {
        let mut filler = File::create(self.home().join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let piece = vec![0; size];
            while filler.write_all(&piece).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.home().join("filler")).unwrap();
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = request(&self.address, &self.key, "GET", path, b"").unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        let start = body.iter().position(|byte| *byte == b'{').unwrap();
        let values = serde_json::Deserializer::from_slice(&body[start..]).into_iter::<Value>();
        values.flatten().next().unwrap()
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- server log ---\n{}", self.log());
        }
    }
}

/// Uploads documents; the sources that were acknowledged, and the codes of refusals.
fn send(server: &Confined, numbers: std::ops::Range<usize>) -> (BTreeSet<String>, Vec<String>) {
    let (mut acknowledged, mut refusals) = (BTreeSet::new(), Vec::new());
    for number in numbers {
        let path = format!("documents?source={}", source(number));
        let text = crate::load::text(number);
        let (status, body) =
            request(&server.address, &server.key, "POST", &path, text.as_bytes()).unwrap();
        if status == 202 {
            acknowledged.insert(source(number));
            continue;
        }
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 507, "{problem:#}");
        refusals.push(problem["code"].as_str().unwrap().to_owned());
    }
    (acknowledged, refusals)
}

fn settle(server: &Confined) -> Value {
    let started = Instant::now();
    loop {
        let ledger = server.get("ledger?limit=1000");
        if ledger["waiting"] == 0 {
            return ledger;
        }
        assert!(started.elapsed() < PATIENCE, "nothing goes on after space is free: {ledger:#}");
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_full_disk_refuses_plainly_and_work_goes_on_once_space_is_free() {
    let Some(server) = Confined::start() else {
        return;
    };
    let (mut acknowledged, refusals) = send(&server, 0..20);
    assert_eq!((acknowledged.len(), refusals.len()), (20, 0));
    // Full while what was acknowledged is still on its way through the stages.
    server.fill();
    let (during, refusals) = send(&server, 20..40);
    assert!(!refusals.is_empty(), "a full disk took {during:?}");
    assert!(refusals.iter().all(|code| code == "storage_full"), "{refusals:?}");
    acknowledged.extend(during);
    // Reading works, and so does asking how it stands.
    server.get("search?q=lantern&mode=keyword");
    server.get("ledger?limit=1");

    server.free();
    let ledger = settle(&server);
    let (after, refusals) = send(&server, 40..50);
    assert_eq!((after.len(), refusals.len()), (10, 0), "space is free again");
    acknowledged.extend(after);
    let received = ledger["received"].as_u64().unwrap() + 10;
    let ledger = settle(&server);
    assert_eq!(ledger["received"], received);
    assert_eq!(ledger["failed"], 0, "a full disk is no fault of a document: {ledger:#}");
    let items = ledger["items"].as_array().unwrap();
    for source in &acknowledged {
        let states: Vec<&Value> = items
            .iter()
            .filter(|item| item["source"] == source.as_str())
            .map(|item| &item["state"])
            .collect();
        assert_eq!(states, ["indexed"], "{source}");
    }
    let found = server.get("search?q=lantern&mode=keyword&limit=1000");
    let found: BTreeSet<String> = crate::harness::sources(&found).into_iter().collect();
    assert!(found.is_superset(&acknowledged), "{found:?}");
    // A document that was refused comes in now, under the same source.
    let status = upload(&server.address, &server.key, 20);
    assert_eq!(status, Some(202));
}
