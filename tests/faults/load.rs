//! The load under which faults happen, and the check of what is left.
//!
//! Called by: the tests of this program. Talks to: a server over HTTP, its home on disk.
//! Invariants: a document counts as acknowledged only after a complete answer 202.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, PATIENCE, Server, assert_adds_up, wait_for};

/// A word that every document holds.
pub const COMMON: &str = "lantern";

/// Uploading threads.
const THREADS: usize = 4;

/// Sources that were acknowledged; it lives outside the appliance.
pub type Acknowledged = Mutex<BTreeSet<String>>;

pub fn source(number: usize) -> String {
    format!("load/{number:03}.txt")
}

pub fn text(number: usize) -> String {
    format!("Keeper number{number} lit the {COMMON} at dusk and wrote entry{number} in the log.")
}

/// A key of the tenant `demo`, made before any server runs. The tenant gets the widest limits:
/// what they refuse is tested elsewhere.
pub fn key(home: &Home) -> String {
    home.run(&["tenant", "tier", "demo", "enterprise"]);
    let made = home.json(&["apikey", "create", "demo", "--name", "faults"]);
    made["key"].as_str().unwrap().to_owned()
}

/// One request to a server that may die at any moment; status and body of a complete answer.
pub fn request(
    address: &str,
    key: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "{method} /api/v1/tenants/demo/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer[split + 4..].to_vec();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let complete = length.is_none_or(|length| length.trim().parse() == Ok(body.len()));
    complete.then_some((status, body))
}

/// Uploads one document; the status of the answer, if one came.
pub fn upload(address: &str, key: &str, number: usize) -> Option<u16> {
    let path = format!("documents?source={}", source(number));
    request(address, key, "POST", &path, text(number).as_bytes()).map(|(status, _)| status)
}

/// True once the process has ended; its parent has not looked yet.
pub fn has_died(server: &Server<'_>) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z')) || stat.is_empty()
}

/// Uploads documents `from..to` from several threads until all are in or the server is dead. What
/// is refused is not tried again. Pauses keep groups apart, so that every stage runs often.
pub fn pour(server: &Server<'_>, key: &str, from: usize, to: usize, acknowledged: &Acknowledged) {
    let next = AtomicUsize::new(from);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= to {
                        return;
                    }
                    match upload(&server.address, key, number) {
                        Some(202) => {
                            acknowledged.lock().unwrap().insert(source(number));
                        }
                        Some(_) => {}
                        None if has_died(server) => return,
                        None => {}
                    }
                    sleep(Duration::from_millis(20));
                }
            });
        }
    });
}

/// Waits until the server has died by its fault.
pub fn await_death(server: &Server<'_>, what: &str) {
    wait_for(&format!("the server to die at {what}"), || has_died(server).then_some(()));
}

/// Waits until nothing waits; the ledger. Longer than the lease of a job, which is what a unit of
/// work that could not give its jobs back leaves behind.
pub fn settled(server: &Server<'_>) -> Value {
    let started = Instant::now();
    loop {
        let ledger = server.home.ledger();
        if ledger["waiting"] == 0 {
            return ledger;
        }
        assert!(started.elapsed() < PATIENCE * 2, "still waiting: {ledger:#}");
        sleep(Duration::from_millis(100));
    }
}

/// Files that hold blobs.
pub fn blobs(home: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        entries.flatten().map(|entry| entry.path()).collect()
    };
    let tenants = list(&home.join("tenants"));
    tenants
        .iter()
        .flat_map(|tenant| list(&tenant.join("blobs")))
        .flat_map(|shard| list(&shard))
        .collect()
}

/// Holds a restarted appliance to the list: every acknowledged source is indexed exactly once and
/// found by its words, nothing else is found twice, and the blobs are those of the documents.
pub fn check(server: &Server<'_>, key: &str, acknowledged: &BTreeSet<String>) -> Value {
    let ledger = settled(server);
    assert_adds_up(&ledger);
    let items = ledger["items"].as_array().unwrap();
    let mut indexed: Vec<String> = items
        .iter()
        .filter(|item| item["state"] == "indexed")
        .map(|item| item["source"].as_str().unwrap().to_owned())
        .collect();
    indexed.sort();
    let distinct: BTreeSet<String> = indexed.iter().cloned().collect();
    assert_eq!(indexed.len(), distinct.len(), "a source is indexed twice: {indexed:?}");
    let lost: Vec<&String> = acknowledged.difference(&distinct).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}\n{ledger:#}");
    assert_eq!(ledger["failed"], 0, "{ledger:#}");

    for mode in ["keyword", "vector"] {
        let path = format!("search?q={COMMON}&mode={mode}&limit=1000");
        let (status, body) = request(&server.address, key, "GET", &path, b"").unwrap();
        assert_eq!(status, 200);
        let found = found_sources(&body);
        let once: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(found.len(), once.len(), "{mode}: found twice: {found:?}");
        assert_eq!(once, distinct, "{mode}");
    }
    for wanted in acknowledged {
        let number: usize = wanted[5..8].parse().unwrap();
        let path = format!("search?q=entry{number}&mode=keyword");
        let (_, body) = request(&server.address, key, "GET", &path, b"").unwrap();
        assert_eq!(found_sources(&body).as_slice(), std::slice::from_ref(wanted));
    }
    // Every text differs, so there is one blob for each document, and leftovers are swept.
    wait_for("blobs that nobody names to go", || {
        (blobs(server.home.path()).len() == distinct.len()).then_some(())
    });
    ledger
}

fn found_sources(body: &[u8]) -> Vec<String> {
    // The answer of a live server comes whole or in pieces; the pieces' sizes are no JSON.
    let start = body.iter().position(|byte| *byte == b'{').unwrap();
    let mut values = serde_json::Deserializer::from_slice(&body[start..]).into_iter::<Value>();
    let response = values.next().unwrap().unwrap();
    crate::harness::sources(&response)
}
