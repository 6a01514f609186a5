//! Limits of a tenant, fairness between tenants, and a tenant's life from suspension to its end.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: what is refused leaves nothing behind, and the limit is named.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Home, PATIENCE, Response, Server, assert_adds_up, wait_for};

fn limit(home: &Home, tenant: &str, limits: &[&str]) {
    let mut args = vec!["tenant", "tier", tenant];
    for limit in limits {
        args.extend(["--limit", limit]);
    }
    home.run(&args);
}

fn upload(server: &Server<'_>, key: &str, source: &str, body: &[u8]) -> Response {
    let path = format!("/api/v1/tenants/demo/documents?source={source}");
    server.with_key(key, "POST", &path, body)
}

#[track_caller]
fn assert_refused(response: &Response, status: u16, code: &str, names: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    let problem = response.json();
    assert_eq!(problem["code"], code, "{problem:#}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(names), "{detail} does not name {names}");
}

/// Files below the blobs of all tenants, temporary ones included, but for the format's mark.
fn blob_files(home: &Home) -> Vec<String> {
    fn walk(path: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else if entry.file_name() != "format" {
                found.push(entry.path().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    for tenant in std::fs::read_dir(home.path().join("tenants")).unwrap().flatten() {
        walk(&tenant.path().join("blobs"), &mut found);
    }
    found
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mail(number: u32) -> String {
    format!(
        "From ann@example.org Thu Jan  1 00:00:00 2026\nFrom: Ann <ann@example.org>\n\
         To: ben@example.org\nSubject: Note {number}\n\
         Date: Thu, {number:02} Jan 2026 10:00:00 +0000\n\nThe courier of day {number} came.\n\n"
    )
}

/// Sends a body of unknown length in pieces of 1000 bytes, the last of which is one too many.
fn upload_in_pieces(server: &Server<'_>, key: &str, pieces: usize) -> u16 {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v1/tenants/demo/documents?source=pieces.txt HTTP/1.1\r\nHost: {}\r\n\
         Connection: close\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..pieces {
        stream.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes()).unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let head = String::from_utf8_lossy(&answer);
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn an_upload_that_is_too_large_is_refused_at_once_or_on_the_way_and_leaves_nothing() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    limit(&home, "demo", &["upload_bytes=2000"]);
    let refused = upload(&server, &key, "large.txt", &vec![b'x'; 2001]);
    assert_refused(&refused, 413, "too_large", "upload_bytes");
    assert_eq!(upload_in_pieces(&server, &key, 3), 413);
    assert_eq!(upload(&server, &key, "fits.txt", &vec![b'y'; 2000]).status, 202);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 1);
    assert_eq!(blob_files(&home).len(), 1, "{:?}", blob_files(&home));
}

#[test]
fn space_and_documents_are_limited_and_what_is_removed_makes_room() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    limit(&home, "demo", &["stored_bytes=100", "documents=2"]);
    let text = |c: char| c.to_string().repeat(60).into_bytes();
    assert_eq!(upload(&server, &key, "a.txt", &text('a')).status, 202);
    let refused = upload(&server, &key, "b.txt", &text('b'));
    assert_refused(&refused, 507, "quota_stored_bytes", "stored_bytes");
    assert_eq!(refused.header("retry-after"), None, "waiting alone does not help");
    assert_eq!(upload(&server, &key, "c.txt", b"short").status, 202);
    let refused = upload(&server, &key, "d.txt", b"third");
    assert_refused(&refused, 507, "quota_documents", "documents");
    // Another revision is no other document.
    assert_eq!(upload(&server, &key, "c.txt", b"short as well").status, 202);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 3);

    let usage = home.json(&["tenant", "usage", "demo"]);
    assert_eq!(usage["used"]["documents"], 2, "{usage:#}");
    assert_eq!(usage["own_limits"], json!({ "documents": 2, "stored_bytes": 100 }));
    home.json(&["remove", "demo", "a.txt"]);
    wait_for("the room to come back", || {
        let answer = upload(&server, &key, "b.txt", &text('b'));
        (answer.status == 202).then_some(())
    });
    assert_adds_up(&server.settle());
    wait_for("the bytes of what is gone to go", || (blob_files(&home).len() == 2).then_some(()));
}

#[test]
fn a_full_queue_puts_uploads_off_and_the_command_line_waits() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    limit(&home, "demo", &["jobs_in_flight=1"]);
    // Long enough to be still on its way when the next one comes.
    let words: String = (0..60_000).map(|n| format!("Sentence {n} of a long report. ")).collect();
    assert_eq!(upload(&server, &key, "long.txt", words.as_bytes()).status, 202);
    let refused = upload(&server, &key, "next.txt", b"later");
    assert_refused(&refused, 429, "quota_jobs", "jobs_in_flight");
    assert_eq!(refused.header("retry-after").as_deref(), Some("10"));
    limit(&home, "demo", &["jobs_in_flight=2"]);
    assert_eq!(upload(&server, &key, "next.txt", b"later").status, 202);
}

#[test]
fn children_over_the_limit_are_in_the_ledger_and_come_in_when_there_is_room() {
    let home = Home::new();
    let server = home.serve();
    limit(&home, "demo", &["documents=3"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.mbox");
    std::fs::write(&path, (1..=5).map(mail).collect::<String>()).unwrap();
    home.add(&[&path]);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 6, "the mailbox and five mails");
    assert_eq!((&ledger["indexed"], &ledger["failed"]), (&3.into(), &3.into()), "{ledger:#}");
    let refused: Vec<&Value> = ledger["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["reason"] == "quota")
        .collect();
    assert_eq!(refused.len(), 3, "{ledger:#}");
    assert!(refused[0]["detail"].as_str().unwrap().contains("documents"), "{}", refused[0]);
    assert_eq!(blob_files(&home).len(), 3, "the bytes of what was refused are not kept");

    // Reading it again refuses the same ones and makes no further rows of them.
    home.json(&["retry", "demo"]);
    let again = server.settle();
    assert_eq!((&again["failed"], &again["received"]), (&3.into(), &6.into()), "{again:#}");
    limit(&home, "demo", &["documents=tier"]);
    assert!(home.json(&["retry", "demo"])["retried"].as_u64() > Some(0));
    let whole = server.settle();
    assert_adds_up(&whole);
    assert_eq!((&whole["indexed"], &whole["failed"]), (&6.into(), &0.into()), "{whole:#}");
    for day in 1..=5 {
        let found = home.search(&format!("\"courier of day {day}\""), "keyword");
        assert_eq!(found["results"].as_array().unwrap().len(), 1, "mail {day}");
    }
}

#[test]
fn requests_are_limited_per_tenant_and_strangers_see_nothing_of_it() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.run(&["tenant", "create", "other"]);
    let stranger = server.key("other");
    limit(&home, "demo", &["requests_per_second=3"]);
    let path = "/api/v1/tenants/demo/ledger";
    let answers: Vec<Response> = (0..12).map(|_| server.with_key(&key, "GET", path, b"")).collect();
    assert_eq!(answers[0].status, 200);
    let refused = answers.iter().find(|answer| answer.status == 429).expect("12 requests at once");
    assert_refused(refused, 429, "quota_requests", "requests_per_second");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));

    let body = |response: &Response| {
        let mut problem = response.json();
        problem["request_id"] = Value::Null;
        (response.status, problem)
    };
    let foreign = server.with_key(&stranger, "GET", path, b"");
    let absent = server.with_key(&stranger, "GET", "/api/v1/tenants/absent/ledger", b"");
    assert_eq!(foreign.status, 404);
    assert_eq!(body(&foreign), body(&absent));
    // The other tenant has a budget of its own, and the console is never kept out.
    let own = server.with_key(&stranger, "GET", "/api/v1/tenants/other/ledger", b"");
    assert_eq!(own.status, 200, "{}", own.text());
    for _ in 0..5 {
        home.ledger();
    }
}

#[test]
fn queries_beyond_the_limit_wait_for_a_place() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text("a.txt", "The ferry leaves at noon.");
    limit(&home, "demo", &["concurrent_queries=1"]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let path = "/api/v1/tenants/demo/search?q=ferry&mode=keyword";
                    server.with_key(&key, "GET", path, b"").status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 4]);
}

#[test]
fn a_suspended_tenant_keeps_everything_and_its_members_are_told() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text("a.txt", "The ferry leaves at noon.");
    let path = "/api/v1/tenants/demo/ledger";
    assert_eq!(home.json(&["tenant", "suspend", "demo"])["state"], "suspended");
    let refused = server.with_key(&key, "GET", path, b"");
    assert_refused(&refused, 403, "tenant_suspended", "suspended");
    assert_eq!(upload(&server, &key, "b.txt", b"later").status, 403);
    // The console may look, and nothing is added behind anybody's back.
    assert_eq!(home.ledger()["indexed"], 1);
    let added = home.output(&[
        "add",
        "demo",
        "--no-wait",
        home.path().join("cairn.toml").to_str().unwrap(),
    ]);
    assert_eq!(added.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&added.stderr).contains("suspended"));

    // Work that is queued waits.
    home.json(&["retry", "demo"]);
    home.json(&["rebuild", "demo", "--projection", "fulltext", "--no-wait"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(home.ledger()["waiting"], 1, "a suspended tenant was worked on");
    assert_eq!(home.json(&["tenant", "resume", "demo"])["state"], "active");
    assert_eq!(server.settle()["indexed"], 1);
    assert_eq!(server.with_key(&key, "GET", path, b"").status, 200);
}

#[test]
fn a_locked_tenant_is_read_by_nobody_until_it_is_unlocked() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text("a.txt", "The ferry leaves at noon.");
    let path = "/api/v1/tenants/demo/search?q=ferry&mode=keyword";
    assert_eq!(server.with_key(&key, "GET", path, b"").status, 200);
    assert_eq!(home.json(&["tenant", "lock", "demo"])["state"], "locked");
    let refused = server.with_key(&key, "GET", path, b"");
    assert_refused(&refused, 423, "tenant_locked", "locked");
    assert_eq!(home.output(&["search", "demo", "ferry"]).status.code(), Some(4));
    assert_eq!(home.output(&["tenant", "suspend", "demo"]).status.code(), Some(1));
    let usage = home.json(&["tenant", "usage", "demo"]);
    assert_eq!(usage["state"], "locked", "{usage:#}");
    assert_eq!(home.json(&["tenant", "unlock", "demo"])["state"], "active");
    assert_eq!(server.with_key(&key, "GET", path, b"").status, 200);
}

#[test]
fn tiers_are_listed_changed_and_warned_about() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.run(&["tenant", "create", "other", "--tier", "casual"]);
    let tiers = home.json(&["tenant", "tiers"]);
    let names: Vec<&str> = tiers["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| tier["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["casual", "pro", "enterprise"]);
    let casual = &tiers["tiers"][0];
    assert_eq!(home.json(&["tenant", "usage", "other"])["limits"], casual["limits"]);
    let refused = home.output(&["apikey", "create", "other"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("api_keys"));
    home.run(&["tenant", "tier", "other", "pro"]);
    let stranger = server.key("other");

    limit(&home, "demo", &["documents=5"]);
    for number in 0..4 {
        home.add_text(&format!("{number}.txt"), &format!("Number {number}."));
    }
    let usage = server.with_key(&key, "GET", "/api/v1/tenants/demo/usage", b"").json();
    let warning = usage["warnings"][0].as_str().unwrap();
    assert!(warning.contains("80 %") && warning.contains("documents"), "{usage:#}");
    let notices = |key: &str| {
        server.with_key(key, "GET", "/api/v1/status", b"").json()["notices"].to_string()
    };
    assert!(notices(&key).contains("80 %"), "{}", notices(&key));
    assert!(!notices(&stranger).contains("demo"), "{}", notices(&stranger));

    // Who does not administer the appliance sees no such tenant, whatever it asks for.
    for (method, path) in [
        ("PATCH", "/api/v1/tenants/demo"),
        ("POST", "/api/v1/tenants/demo/suspend"),
        ("POST", "/api/v1/tenants/demo/resume"),
        ("POST", "/api/v1/tenants/demo/lock"),
        ("POST", "/api/v1/tenants/demo/unlock"),
        ("DELETE", "/api/v1/tenants/demo"),
        ("GET", "/api/v1/deletions"),
        ("GET", "/api/v1/support"),
    ] {
        let answer = server.with_key(&key, method, path, b"{}");
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
    assert_eq!(server.with_key(&stranger, "GET", "/api/v1/tenants/demo/usage", b"").status, 404);

    let wrong = home.output(&["tenant", "tier", "demo", "--limit", "disk=3"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("stored_bytes"));
    assert_eq!(home.output(&["tenant", "rename", "demo", "other"]).status.code(), Some(1));
    assert_eq!(home.json(&["tenant", "rename", "demo", "renamed"])["name"], "renamed");
    assert_eq!(server.with_key(&key, "GET", "/api/v1/tenants/renamed/ledger", b"").status, 200);
}

#[test]
fn a_deleted_tenant_leaves_a_certificate_that_can_be_checked() {
    let home = Home::new();
    let server = home.serve();
    assert_eq!(home.json(&["tenant", "deletions"])["deletions"], json!([]));
    let texts = ["The ferry leaves at noon.", "The ferry returns at six."];
    for (number, text) in texts.iter().enumerate() {
        home.add_text(&format!("{number}.txt"), text);
    }
    home.add_text("again.txt", texts[0]);
    server.settle();
    let id = home.json(&["tenant", "show", "demo"])["id"].clone();
    let certificate = home.json(&["tenant", "delete", "demo", "--yes"]);
    assert_eq!((&certificate["tenant"], &certificate["name"]), (&id, &"demo".into()));
    assert_eq!(certificate["documents"], 3, "{certificate:#}");
    assert_eq!(certificate["stored_bytes"], texts.iter().map(|text| text.len()).sum::<usize>());
    let mut digests: Vec<String> = texts.iter().map(|text| sha256(text.as_bytes())).collect();
    digests.sort();
    let lines: String = digests.iter().map(|digest| format!("{digest}\n")).collect();
    assert_eq!(certificate["content_digest"], sha256(lines.as_bytes()), "{certificate:#}");
    assert!(certificate["statement"].as_str().unwrap().contains("was deleted"), "{certificate:#}");
    assert_eq!(home.json(&["tenant", "deletions"])["deletions"], json!([certificate]));
    assert!(home.run(&["tenant", "deletions"]).contains("was deleted"));
    assert_eq!(blob_files(&home), Vec::<String>::new());
    assert_eq!(home.output(&["tenant", "delete", "demo", "--yes"]).status.code(), Some(3));

    // The name is free again, and the certificate stays that of the one before.
    home.run(&["tenant", "create", "demo"]);
    drop(server);
    assert_eq!(home.json(&["tenant", "deletions"])["deletions"][0]["tenant"], id);
}

#[test]
fn a_tenant_of_few_files_does_not_wait_for_one_of_many() {
    let home = Home::new();
    let server = home.serve();
    home.run(&["tenant", "create", "small"]);
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str, count: usize, sentences: usize| {
        let folder = dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..count {
            let text: String = (0..sentences)
                .map(|hour| {
                    format!(
                        "Report {number} of {name}: at hour {hour} the gauge read {number} cm. "
                    )
                })
                .collect();
            std::fs::write(folder.join(format!("{number}.txt")), text).unwrap();
        }
        folder.display().to_string()
    };
    // The many are long, so that they are still on their way when the few come.
    let (many, few) = (folder("many", 1200, 40), folder("few", 20, 1));
    home.run(&["add", "demo", "--no-wait", &many]);
    let before = home.ledger()["waiting"].as_u64().unwrap();
    assert!(before > 600, "only {before} wait, so nothing is shown");
    let started = Instant::now();
    let added = home.json(&["add", "small", &few]);
    let took = started.elapsed();
    assert_eq!(added["accepted"], 20);
    assert_eq!(home.json(&["ledger", "small"])["indexed"], 20);
    let left = home.ledger()["waiting"].as_u64().unwrap();
    assert!(left > before / 2, "after {took:?} only {left} of {before} still wait");
    drop(server);
}
