//! `kill -9` at every named point and at random times; errors at every named point.
//!
//! Called by: cargo test. Talks to: `load`.
//! Invariants: a plan that is never reached fails its test, so a point that moved is noticed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Home, PATIENCE, Server, wait_for};
use crate::load::{
    Acknowledged, await_death, check, has_died, key, pour, request, settled, source, upload,
};

/// Points that every document passes, and the passes to die on.
const PER_DOCUMENT: [&str; 4] = ["blob_written", "blob_stored", "accepted", "extracted"];
const DOCUMENT_PASSES: [u32; 2] = [1, 17];

/// Points that a group passes.
const PER_GROUP: [&str; 3] = ["fulltext_committed", "embedded", "vectors_appended"];
const GROUP_PASSES: [u32; 2] = [1, 2];

const DOCUMENTS: usize = 40;

fn killed_at(point: &str, pass: u32) {
    let home = Home::new();
    let key = key(&home);
    let acknowledged = Acknowledged::default();
    let plan = format!("kill:{point}:{pass}");
    {
        let server = Server::start(&home, &[("CAIRN_FAULTS", &plan)]);
        let (mut from, started) = (0, Instant::now());
        // Groups may swallow many documents; more come until the plan is reached.
        while !has_died(&server) && from < 5 * DOCUMENTS && started.elapsed() < PATIENCE {
            pour(&server, &key, from, from + DOCUMENTS, &acknowledged);
            from += DOCUMENTS;
        }
        await_death(&server, &plan);
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let server = home.serve();
    let ledger = check(&server, &key, &acknowledged);
    let received = ledger["received"].as_u64().unwrap();
    // At most the uploads that were in flight are in without having been acknowledged.
    assert!(received <= acknowledged.len() as u64 + 4, "{plan}: {received} received");
    eprintln!("{plan}: {} acknowledged, {received} received", acknowledged.len());
}

#[test]
fn no_acknowledged_document_is_lost_when_killed_on_its_way_in() {
    for point in PER_DOCUMENT {
        for pass in DOCUMENT_PASSES {
            killed_at(point, pass);
        }
    }
}

#[test]
fn no_acknowledged_document_is_lost_when_killed_between_index_and_catalogue() {
    for point in PER_GROUP {
        for pass in GROUP_PASSES {
            killed_at(point, pass);
        }
    }
}

#[test]
fn a_change_of_members_and_its_entries_are_one_when_killed_on_the_way_to_the_tenants_trail() {
    for point in ["audit_waiting", "audit_taken"] {
        let home = Home::new();
        home.user("boss", &["--role", "admin"]);
        home.user("ann", &[]);
        let plan = format!("kill:{point}:1");
        {
            let server = Server::start(&home, &[("CAIRN_FAULTS", &plan)]);
            let boss = server.sign_in("boss");
            let member = serde_json::json!({ "role": "editor", "collections": null });
            // The connection breaks off.
            let put = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                boss.put("/api/v1/tenants/demo/members/ann", &member)
            }));
            assert!(put.is_err(), "{plan}: answered");
            await_death(&server, &plan);
        }
        let server = home.serve();
        assert_eq!(server.sign_in("ann").get("/api/v1/tenants/demo").status, 200, "{plan}");
        for trail in [&["audit", "list"][..], &["audit", "list", "demo"]] {
            let args = [trail, &["--action", "member.change"]].concat();
            let entries = home.json(&args);
            assert_eq!(entries["entries"].as_array().unwrap().len(), 1, "{plan}: {entries:#}");
        }
        let report = home.json(&["audit", "verify"]);
        assert_eq!(report["ok"], true, "{plan}: {report:#}");
    }
}

/// The id of the document of a source.
fn document_of(home: &Home, source: &str) -> String {
    home.item(source)["document_id"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_removed_stays_removed_when_killed_while_it_is_purged() {
    for pass in [1, 2] {
        let home = Home::new();
        let key = key(&home);
        let acknowledged = Acknowledged::default();
        let plan = format!("kill:purged:{pass}");
        let mut removed = BTreeSet::new();
        {
            let server = Server::start(&home, &[("CAIRN_FAULTS", &plan)]);
            pour(&server, &key, 0, 12, &acknowledged);
            settled(&server);
            let victims: Vec<(String, String)> = (0..8)
                .map(|number| (source(number), document_of(&home, &source(number))))
                .collect();
            for (source, id) in victims {
                let path = format!("documents/{id}");
                match request(&server.address, &key, "DELETE", &path, b"") {
                    Some((200, _)) => drop(removed.insert(source)),
                    // In flight when it died: either outcome is right, so it is asked for again.
                    None => {
                        await_death(&server, &plan);
                        removed.insert(source);
                        break;
                    }
                    other => panic!("{plan}: removal was answered with {other:?}"),
                }
                // One purge at a time, so that there is a second one to die in.
                let started = Instant::now();
                while !has_died(&server) && started.elapsed() < Duration::from_millis(400) {
                    sleep(Duration::from_millis(20));
                }
                if has_died(&server) {
                    break;
                }
            }
            await_death(&server, &plan);
        }
        let server = home.serve();
        for source in &removed {
            let ledger = home.ledger();
            let items = ledger["items"].as_array().unwrap();
            let item = items.iter().find(|item| item["source"] == source.as_str()).unwrap();
            if item["state"] != "deleted" {
                home.json(&["remove", "demo", source]);
            }
        }
        let kept: BTreeSet<String> =
            acknowledged.into_inner().unwrap().difference(&removed).cloned().collect();
        let ledger = check(&server, &key, &kept);
        assert_eq!(ledger["deleted"], removed.len(), "{plan}: {ledger:#}");
        assert_eq!(ledger["indexed"], kept.len(), "{plan}: {ledger:#}");
    }
}

#[test]
fn two_hundred_documents_survive_kills_at_random_times() {
    const TOTAL: usize = 200;
    const KILLS: usize = 5;
    let home = Home::new();
    let key = key(&home);
    let acknowledged = Acknowledged::default();
    let address = Mutex::new(String::new());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    // The same times on every run, as far as the machine allows.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= TOTAL || stop.load(Ordering::SeqCst) {
                        return;
                    }
                    if send_until_acknowledged(&address, &key, number, &stop) {
                        acknowledged.lock().unwrap().insert(source(number));
                    }
                    sleep(Duration::from_millis(60));
                }
            });
        }
        let _end = Stop(&stop);
        for _ in 0..KILLS {
            let server = home.serve();
            address.lock().unwrap().clone_from(&server.address);
            sleep(Duration::from_millis(300 + random(1700)));
            // Dropping the server is `kill -9`.
        }
        let server = home.serve();
        address.lock().unwrap().clone_from(&server.address);
        wait_for("all documents to be acknowledged", || {
            (acknowledged.lock().unwrap().len() == TOTAL).then_some(())
        });
        let acknowledged = acknowledged.lock().unwrap().clone();
        let ledger = check(&server, &key, &acknowledged);
        assert_eq!(ledger["indexed"], TOTAL, "{ledger:#}");
    });
}

/// Ends the uploads when the test ends, by success or panic; a scope waits for its threads.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends a document again and again until it is acknowledged, as a careful client would; false
/// where the test ended first.
fn send_until_acknowledged(
    address: &Mutex<String>,
    key: &str,
    number: usize,
    stop: &AtomicBool,
) -> bool {
    while !stop.load(Ordering::SeqCst) {
        let now = address.lock().unwrap().clone();
        if upload(&now, key, number) == Some(202) {
            return true;
        }
        sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn an_error_at_any_point_is_retried_until_every_document_is_indexed() {
    const FEW: usize = 12;
    let plans = PER_DOCUMENT.iter().map(|point| (*point, 3));
    let plans = plans.chain(PER_GROUP.iter().map(|point| (*point, 1))).chain([("purged", 1)]);
    for (point, pass) in plans {
        let plan = format!("fail:{point}:{pass}");
        let home = Home::new();
        let key = key(&home);
        let server = Server::start(&home, &[("CAIRN_FAULTS", &plan)]);
        let mut refused = 0;
        for number in 0..FEW {
            while upload(&server.address, &key, number) != Some(202) {
                refused += 1;
                assert!(refused < 3, "{plan}: refused {refused} times");
            }
        }
        let mut expected: BTreeSet<String> = (0..FEW).map(source).collect();
        settled(&server);
        if point == "purged" {
            home.json(&["remove", "demo", &source(0)]);
            expected.remove(&source(0));
        }
        check(&server, &key, &expected);
        let log = server.log();
        assert!(log.contains("injected fault"), "{plan} was never reached:\n{log}");
        let at_upload = ["blob_written", "blob_stored", "accepted"].contains(&point);
        assert_eq!(refused, u32::from(at_upload), "{plan}");
    }
}
