//! Synchronised sources of a running server: directories that are kept in step.
//!
//! Called by: cargo test. Talks to: a server, and directories beside it.
//! Invariants: runs are asked for one by one, on a source that is paused, so that what each of
//! them did can be told.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Home, PATIENCE, Server, assert_adds_up, find, sources, wait_for};

/// A home that may read one directory, and that directory.
pub struct Ground {
    pub home: Home,
    pub share: PathBuf,
    _dir: TempDir,
}

impl Ground {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let share = dir.path().join("share");
        fs::create_dir(&share).unwrap();
        let home =
            Home::with_config(&format!("[sources]\nallowed_roots = ['{}']\n", share.display()));
        Self { home, share, _dir: dir }
    }

    /// Writes a file that nobody has touched for a while.
    pub fn put(&self, name: &str, text: &str) {
        put(&self.share.join(name), text);
    }

    pub fn add(&self, more: &[&str]) -> Value {
        let share = self.share.to_str().unwrap();
        let mut args = vec!["source", "add", "demo", "team", "--directory", share];
        args.extend(more);
        self.home.json(&args)
    }

    /// Runs the source and waits for the end.
    pub fn run(&self) -> Value {
        self.home.json(&["source", "run", "demo", "team"])
    }

    pub fn document(&self, source: &str) -> String {
        let ledger = self.home.ledger();
        let items = ledger["items"].as_array().unwrap();
        let item = items.iter().rev().find(|item| {
            item["source"] == source && !["deleted", "superseded"].contains(&word(&item["state"]))
        });
        word(&item.unwrap_or_else(|| panic!("no {source} in {ledger:#}"))["document_id"]).to_owned()
    }
}

pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    age(path, 3600);
}

fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

/// The counts of a run that are not zero.
pub fn counts(run: &Value) -> Value {
    let names = [
        "new",
        "changed",
        "moved",
        "deleted",
        "missing",
        "unchanged",
        "failed",
        "skipped",
        "hidden",
        "unsettled",
    ];
    names
        .into_iter()
        .filter(|name| run[name] != 0)
        .map(|name| (name.to_owned(), run[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn a_directory_is_kept_in_step_with_what_is_added_changed_moved_and_deleted() {
    let ground = Ground::new();
    ground.put("note.txt", "The pelican landed on the pier.");
    ground.put("letters/offer.txt", "The offer names a price for the pier.");
    ground.put("letters/2026/reply.txt", "The reply turns the offer down.");
    ground.put(".hidden.txt", "Nobody sees this.");
    let server = ground.home.serve();
    let made = ground.add(&["--paused", "--collection", "shared"]);
    assert_eq!((&made["state"], &made["kind"]), (&json!("paused"), &json!("directory")));

    let first = ground.run();
    assert_eq!(first["outcome"], "done", "{first:#}");
    assert_eq!(counts(&first), json!({ "new": 3, "hidden": 1 }));
    server.settle();
    assert_eq!(sources(&ground.home.search("pelican", "keyword")), ["team/note.txt"]);
    assert_eq!(counts(&ground.run()), json!({ "unchanged": 3, "hidden": 1 }));

    // One is changed, one is only touched, one is new, one is renamed together with its directory.
    ground.put("note.txt", "The pelican has left the pier again.");
    age(&ground.share.join("letters/offer.txt"), 60);
    ground.put("plan.txt", "A plan for the lighthouse.");
    let reply = ground.document("team/letters/2026/reply.txt");
    fs::rename(ground.share.join("letters/2026"), ground.share.join("letters/old")).unwrap();
    let second = ground.run();
    let expected = json!({ "new": 1, "changed": 1, "moved": 1, "unchanged": 1, "hidden": 1 });
    assert_eq!(counts(&second), expected, "{second:#}");
    server.settle();
    assert_eq!(ground.document("team/letters/old/reply.txt"), reply);
    let by_meaning = |below: &str| {
        let args = ["search", "demo", "a reply", "--mode", "vector", "--source", below];
        let found = ground.home.json(&args);
        sources(&found)
    };
    assert_eq!(by_meaning("team/letters/old/"), ["team/letters/old/reply.txt"]);
    assert!(by_meaning("team/letters/2026/").is_empty(), "it is not there any more");
    assert_eq!(sources(&ground.home.search("reply", "keyword"))[0], "team/letters/old/reply.txt");
    assert_eq!(sources(&ground.home.search("left", "keyword")), ["team/note.txt"]);

    fs::remove_file(ground.share.join("plan.txt")).unwrap();
    let third = ground.run();
    assert_eq!(counts(&third), json!({ "deleted": 1, "unchanged": 3, "hidden": 1 }), "{third:#}");
    let ledger = server.settle();
    assert_adds_up(&ledger);
    assert_eq!((&ledger["received"], &ledger["deleted"]), (&json!(5), &json!(1)), "{ledger:#}");
    assert!(sources(&ground.home.search("lighthouse", "keyword")).is_empty());

    let shown = ground.home.json(&["source", "show", "demo", "team"]);
    assert_eq!((&shown["items"], &shown["runs"].as_array().unwrap().len()), (&json!(3), &4));
    assert_eq!(shown["collection"], "shared");
    let trail = ground.home.json(&["audit", "list", "demo", "--action", "source"]);
    assert!(trail.to_string().contains("source.create"), "{trail:#}");

    ground.home.run(&["source", "remove", "demo", "team"]);
    assert_eq!(ground.home.json(&["source", "list", "demo"])["sources"], json!([]));
    assert_eq!(ground.home.ledger()["indexed"], 3, "documents of a removed source stay");
}

#[test]
fn a_share_that_vanished_or_lost_most_of_its_files_takes_no_document_along() {
    let ground = Ground::new();
    for number in 0..30 {
        ground.put(&format!("{number}.txt"), &format!("File number {number} of the share."));
    }
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 30 }));
    server.settle();
    let indexed = || ground.home.ledger()["indexed"].clone();

    // The mount is gone, then it is an empty directory, then most of it is not there.
    let away = ground.share.with_file_name("away");
    fs::rename(&ground.share, &away).unwrap();
    let failed = |what: &str| {
        let output = ground.home.output(&["source", "run", "demo", "team", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(run["outcome"], "failed", "{run:#}");
        assert_eq!((&run["deleted"], indexed()), (&json!(0), json!(30)), "{what}");
        word(&run["error"]).to_owned()
    };
    assert!(failed("absent").contains("cannot be read"));
    fs::create_dir(&ground.share).unwrap();
    assert!(failed("empty").contains("not mounted"));
    for number in 0..5 {
        let name = format!("{number}.txt");
        fs::rename(away.join(&name), ground.share.join(&name)).unwrap();
    }
    let said = failed("most of it gone");
    assert!(said.contains("25 of 30"), "{said}");
    // It is back: everything is as it was, and nothing is taken in twice.
    for number in 5..30 {
        let name = format!("{number}.txt");
        fs::rename(away.join(&name), ground.share.join(&name)).unwrap();
    }
    assert_eq!(counts(&ground.run()), json!({ "unchanged": 30 }));
    assert_eq!(ground.home.ledger()["received"], 30);

    // Somebody says that it is right.
    for number in 3..30 {
        fs::remove_file(ground.share.join(format!("{number}.txt"))).unwrap();
    }
    failed("most of it removed");
    let run = ground.home.json(&["source", "run", "demo", "team", "--confirm-gone"]);
    assert_eq!(counts(&run), json!({ "deleted": 27, "unchanged": 3 }), "{run:#}");
    let ledger = server.settle();
    assert_eq!((&ledger["indexed"], &ledger["deleted"]), (&json!(3), &json!(27)));
}

#[test]
fn documents_of_files_that_are_gone_stay_where_the_source_says_so() {
    let ground = Ground::new();
    ground.put("a.txt", "The first of two files.");
    ground.put("b.txt", "The second of two files.");
    let server = ground.home.serve();
    ground.add(&["--paused", "--deletions", "keep"]);
    ground.run();
    server.settle();
    fs::remove_file(ground.share.join("b.txt")).unwrap();
    assert_eq!(counts(&ground.run()), json!({ "missing": 1, "unchanged": 1 }));
    assert_eq!(ground.home.ledger()["indexed"], 2);
    // It comes back as it was.
    ground.put("b.txt", "The second of two files.");
    let run = ground.run();
    assert_eq!(counts(&run)["missing"], Value::Null, "{run:#}");
    assert_eq!(ground.home.ledger()["received"], 2);
}

#[test]
fn folders_of_a_mailbox_are_taken_in_though_they_look_hidden_and_the_rest_is_counted() {
    let ground = Ground::new();
    let mail = |name: &str, word: &str| {
        let text = format!("From: a@b.c\nSubject: {word}\nDate: x\n\nAbout the {word}.\n");
        ground.put(&format!("box/{name}"), &text);
    };
    mail("cur/1.host:2,S", "pelican");
    mail(".Sent/cur/2.host:2,S", "cormorant");
    mail(".Drafts.2020/new/3.host", "lighthouse");
    for directory in ["new", "tmp", ".Sent/new", ".Drafts.2020/cur", ".Drafts.2020/tmp"] {
        fs::create_dir_all(ground.share.join("box").join(directory)).unwrap();
    }
    for hidden in [".DS_Store", ".git/objects/a", ".git/cur/b", "~$offer.docx", ".~lock.a.odt#"] {
        ground.put(hidden, "Nobody sees this.");
    }
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 3, "hidden": 4 }));
    server.settle();
    for (word, source) in [
        ("cormorant", "team/box/.Sent/cur/2.host:2,S"),
        ("lighthouse", "team/box/.Drafts.2020/new/3.host"),
    ] {
        assert_eq!(sources(&ground.home.search(word, "keyword")), [source]);
    }
    let output = ground.home.output(&["source", "run", "demo", "team"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("4 things hidden and left alone"), "{said}");
}

#[test]
fn only_what_the_admin_allowed_is_read_and_no_link_leads_out_of_it() {
    let ground = Ground::new();
    let outside = ground.share.with_file_name("outside");
    put(&outside.join("secret.txt"), "The secret word is cormorant.");
    ground.put("inside.txt", "The open word is pelican.");
    std::os::unix::fs::symlink(&outside, ground.share.join("way-out")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret.txt"), ground.share.join("file.txt")).unwrap();
    std::os::unix::fs::symlink(ground.share.join("inside.txt"), ground.share.join("same.txt"))
        .unwrap();
    let _server = ground.home.serve();
    let refused = |path: &Path| {
        let args = ["source", "add", "demo", "x", "--directory", path.to_str().unwrap()];
        let output = ground.home.output(&args);
        assert_eq!(output.status.code(), Some(2), "{}", path.display());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&outside).contains("not below what the admin allowed"));
    assert_eq!(
        refused(&outside).replace("outside", "absent"),
        refused(&ground.share.with_file_name("absent")),
    );
    assert!(refused(&ground.share.join("way-out")).contains("leads out of"));
    refused(&ground.share.join("../outside"));
    refused(Path::new("/etc"));
    refused(ground.home.path());

    ground.add(&["--paused"]);
    let run = ground.run();
    assert_eq!(counts(&run), json!({ "new": 1, "skipped": 2 }), "{run:#}");
    assert!(word(&run["problems"][0]["reason"]).contains("leads out"), "{run:#}");
    // A directory that was walked is replaced by a link.
    put(&ground.share.join("sub/seen.txt"), "Seen before.");
    assert_eq!(counts(&ground.run())["new"], 1);
    fs::remove_dir_all(ground.share.join("sub")).unwrap();
    std::os::unix::fs::symlink(&outside, ground.share.join("sub")).unwrap();
    ground.run();
    assert!(sources(&ground.home.search("cormorant", "keyword")).is_empty());

    // Nothing is allowed by default, and one tenant's root is not another's.
    let closed = Home::new();
    let args = ["source", "add", "demo", "x", "--directory", "/mnt"];
    let said = String::from_utf8_lossy(&closed.output(&args).stderr).into_owned();
    assert!(said.contains("allowed_roots"), "{said}");
}

#[test]
fn what_cannot_be_taken_in_is_listed_and_the_rest_goes_on() {
    let ground = Ground::new();
    ground.put("large.txt", &"A line of a file that is too long.\n".repeat(100));
    ground.put("locked.txt", "Nobody may read this.");
    ground.put("small.txt", "A small file.");
    let locked = ground.share.join("locked.txt");
    let mut forbidden = fs::metadata(&locked).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut forbidden, 0o000);
    fs::set_permissions(&locked, forbidden).unwrap();
    // The superuser reads it all the same.
    let readable = u64::from(File::open(&locked).is_ok());
    ground.home.run(&["tenant", "tier", "demo", "--limit", "upload_bytes=1000"]);
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    let run = ground.run();
    assert_eq!(run["outcome"], "partial", "{run:#}");
    assert_eq!((&run["new"], &run["failed"]), (&json!(1 + readable), &json!(2 - readable)));
    let large = find(&run["problems"], "path", "large.txt");
    assert!(word(&large["reason"]).contains("upload_bytes"), "{run:#}");
    assert!(readable == 1 || find(&run["problems"], "path", "locked.txt") != Value::Null);
    server.settle();
    assert_eq!(sources(&ground.home.search("small", "keyword"))[0], "team/small.txt");
    // With more room it is taken in by the next run.
    ground.home.run(&["tenant", "tier", "demo", "--limit", "upload_bytes=tier"]);
    assert_eq!(ground.run()["new"], 1);
}

#[test]
fn a_file_that_is_still_being_written_is_taken_in_when_it_is_complete() {
    let ground = Ground::new();
    let server = ground.home.serve();
    ground.add(&["--interval", "86400"]);
    let ran = || ground.home.json(&["source", "show", "demo", "team"])["last_run"] != Value::Null;
    wait_for("the first run", || ran().then_some(()));
    // The directory tells that something changed; nobody asks for a run.
    let path = ground.share.join("slow.txt");
    let mut text = String::new();
    for line in 0..25 {
        text.push_str(&format!("Line {line} of a text that arrives slowly.\n"));
        fs::write(&path, &text).unwrap();
        std::thread::sleep(Duration::from_millis(150));
    }
    let item = wait_for("the file", || {
        let ledger = ground.home.ledger();
        ledger["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!((&item["revision"], &item["size_bytes"]), (&json!(1), &json!(text.len())));
    let ledger = server.settle();
    assert_eq!(ledger["received"], 1, "{ledger:#}");
}

fn killed_at(plan: &str) {
    let ground = Ground::new();
    for number in 0..12 {
        ground.put(&format!("{number}.txt"), &format!("File {number} survives a crash."));
    }
    {
        let server = Server::start(&ground.home, &[("CAIRN_FAULTS", plan)]);
        ground.add(&["--interval", "86400"]);
        let stat = format!("/proc/{}/stat", server.pid());
        wait_for(plan, || {
            let stat = fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
    let server = ground.home.serve();
    let ledger = wait_for("the rest", || {
        let ledger = ground.home.ledger();
        (ledger["indexed"] == 12).then_some(ledger)
    });
    assert_eq!(ledger["received"], 12, "{plan}: {ledger:#}");
    server.settle();
    assert_eq!(ground.home.json(&["source", "show", "demo", "team"])["items"], 12, "{plan}");
}

#[test]
fn a_crash_on_the_way_in_doubles_nothing_and_loses_nothing() {
    for plan in ["kill:accepted:3", "kill:blob_stored:5"] {
        killed_at(plan);
    }
}

#[test]
fn a_locked_tenant_is_left_alone_and_goes_on_when_it_is_unlocked() {
    let ground = Ground::new();
    ground.put("a.txt", "Before the lock.");
    let server = ground.home.serve();
    ground.add(&["--interval", "10"]);
    wait_for("the first file", || (ground.home.ledger()["indexed"] == 1).then_some(()));
    ground.home.run(&["tenant", "lock", "demo"]);
    ground.put("b.txt", "Behind the lock.");
    std::thread::sleep(Duration::from_secs(12));
    let output = ground.home.output(&["source", "list", "demo"]);
    assert_eq!(output.status.code(), Some(4), "a locked tenant says so");
    ground.home.run(&["tenant", "unlock", "demo"]);
    wait_for("the second file", || (ground.home.ledger()["indexed"] == 2).then_some(()));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn owners_manage_sources_readers_see_them_and_watchers_are_told() {
    let ground = Ground::new();
    ground.put("a.txt", "A file to be seen.");
    ground.home.member("reader", "reader");
    ground.home.member("owner", "owner");
    let server = ground.home.serve();
    let (owner, reader) = (server.sign_in("owner"), server.sign_in("reader"));
    let all = "/api/v1/tenants/demo/sources";
    let body = json!({ "kind": "directory", "name": "team", "path": ground.share, "paused": true });
    assert_eq!(reader.post(all, &body).status, 404);
    let made = owner.post(all, &body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(owner.post(all, &body).status, 409);
    let id = word(&made.json()["id"]).to_owned();
    let listed = reader.get(all).json();
    assert_eq!(listed["sources"][0]["id"], id.as_str());
    for (field, value) in [("name", json!("a/b")), ("interval_seconds", json!(1))] {
        let mut wrong = body.clone();
        wrong[field] = value;
        assert_eq!(owner.post(all, &wrong).status, 400, "{field}");
    }
    let mut watcher = TcpStream::connect(&server.address).unwrap();
    watcher.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /api/v1/tenants/demo/events HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
        server.address, reader.cookie
    );
    watcher.write_all(head.as_bytes()).unwrap();
    let asked = owner.post(&format!("{all}/{id}/run"), &json!({}));
    assert_eq!(asked.status, 202, "{}", asked.text());
    wait_for("the run", || {
        let shown = reader.get(&format!("{all}/{id}")).json();
        (shown["runs"][0]["new"] == 1 && shown["running"] == Value::Null).then_some(())
    });
    let mut heard = String::new();
    let mut piece = [0; 4096];
    while !heard.contains("event: source") || !heard.contains("\"new\":1") {
        let count = watcher.read(&mut piece).unwrap();
        assert!(count > 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}

/// Waits until the source says that it waits for room; its last run.
fn waiting(ground: &Ground) -> Value {
    wait_for("the source to wait", || {
        let shown = ground.home.json(&["source", "show", "demo", "team"]);
        (shown["state"] == "waiting").then(|| shown["last_run"].clone())
    })
}

#[test]
fn a_source_that_meets_a_full_quota_waits_and_says_so() {
    let ground = Ground::new();
    for number in 0..5 {
        ground.put(&format!("{number}.txt"), &format!("File {number} wants a place."));
    }
    ground.home.run(&["tenant", "tier", "demo", "--limit", "documents=3"]);
    let server = ground.home.serve();
    ground.add(&["--interval", "10"]);
    let run = waiting(&ground);
    assert_eq!((&run["outcome"], &run["new"]), (&json!("waiting"), &json!(3)), "{run:#}");
    assert_eq!((&run["failed"], &run["deleted"]), (&json!(0), &json!(0)), "{run:#}");
    assert!(word(&run["error"]).contains("documents"), "{run:#}");
    let list = ground.home.run(&["source", "list", "demo"]);
    assert!(list.contains("waiting"), "{list}");
    let ledger = server.settle();
    assert_eq!((&ledger["indexed"], &ledger["failed"]), (&json!(3), &json!(0)), "{ledger:#}");

    // With more room it goes on by itself, and nothing is taken in twice.
    ground.home.run(&["tenant", "tier", "demo", "--limit", "documents=tier"]);
    wait_for("the rest", || (ground.home.ledger()["indexed"] == 5).then_some(()));
    let ledger = server.settle();
    assert_eq!((assert_adds_up(&ledger), &ledger["indexed"]), (5, &json!(5)), "{ledger:#}");
    let shown = wait_for("the end of the run", || {
        let shown = ground.home.json(&["source", "show", "demo", "team"]);
        (shown["state"] == "idle").then_some(shown)
    });
    assert_eq!(shown["items"], 5, "{shown:#}");
}

#[test]
fn what_is_gone_at_a_source_makes_room_for_what_is_new_there() {
    let ground = Ground::new();
    for name in ["old/a.txt", "old/b.txt", "kept.txt"] {
        ground.put(name, &format!("The file {name} is there from the beginning."));
    }
    ground.home.run(&["tenant", "tier", "demo", "--limit", "documents=3"]);
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 3 }));
    server.settle();
    let kept = ground.document("team/kept.txt");
    // Two go, two come, and one that stays has another name: it is none of those that are gone.
    fs::remove_dir_all(ground.share.join("old")).unwrap();
    ground.put("new/c.txt", "The file c is new.");
    ground.put("new/d.txt", "The file d is new.");
    fs::rename(ground.share.join("kept.txt"), ground.share.join("zoo.txt")).unwrap();
    let run = ground.run();
    assert_eq!(run["outcome"], "done", "{run:#}");
    assert_eq!(counts(&run), json!({ "new": 2, "moved": 1, "deleted": 2 }), "{run:#}");
    assert_eq!(ground.document("team/zoo.txt"), kept);
    let ledger = server.settle();
    assert_eq!((&ledger["indexed"], &ledger["deleted"]), (&json!(3), &json!(2)), "{ledger:#}");
}

#[test]
fn a_run_waits_for_the_queue_to_empty_and_takes_everything_in() {
    let ground = Ground::new();
    for number in 0..6 {
        ground.put(&format!("{number}.txt"), &format!("File {number} stands in the queue."));
    }
    ground.home.run(&["tenant", "tier", "demo", "--limit", "jobs_in_flight=1"]);
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 6 }));
    assert_eq!(server.settle()["indexed"], 6);
}
