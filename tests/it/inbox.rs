//! The drop folder of a running server.
//!
//! Called by: cargo test. Talks to: a server, and files dropped beside it.
//! Invariants: a file is gone from the folder only after the ledger has it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Server, assert_adds_up, sources, wait_for};

const CONFIG: &str = "[ingest]\ninbox_rescan_seconds = 1\n";

fn inbox(home: &Home) -> PathBuf {
    let shown = home.json(&["tenant", "show", "demo"]);
    PathBuf::from(shown["inbox"].as_str().unwrap())
}

/// Waits until a source is settled; its item.
fn taken_in(home: &Home, source: &str) -> Value {
    wait_for(&format!("{source:?} to be taken in"), || {
        let ledger = home.ledger();
        let items = ledger["items"].as_array().unwrap();
        let item = items.iter().rev().find(|item| item["source"] == source)?;
        (item["state"] != "waiting").then(|| item.clone())
    })
}

/// Drops a file and waits until it is taken in, so that everything that lay there before has been
/// looked at too, more than once.
fn marker(home: &Home, folder: &Path, name: &str) {
    fs::write(folder.join(name), format!("Marker {name}.")).unwrap();
    taken_in(home, name);
}

fn text_of(server: &Server<'_>, key: &str, item: &Value) -> String {
    let document = item["document_id"].as_str().unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{document}/text");
    server.with_key(key, "GET", &path, b"").text()
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn a_dropped_file_is_taken_in_under_its_path_and_removed() {
    let home = Home::with_config(CONFIG);
    let server = home.serve();
    let inbox = inbox(&home);
    fs::create_dir_all(inbox.join("letters/2026")).unwrap();
    let top = inbox.join("note.txt");
    let deep = inbox.join("letters/2026/offer.txt");
    fs::write(&top, "The pelican landed on the pier.").unwrap();
    fs::write(&deep, "The offer names a price for the pier.").unwrap();
    for (source, path) in [("note.txt", &top), ("letters/2026/offer.txt", &deep)] {
        let item = taken_in(&home, source);
        assert_eq!(item["state"], "indexed", "{item:#}");
        wait_for("the file to be removed", || (!is_there(path)).then_some(()));
    }
    assert_eq!(sources(&home.search("pelican", "hybrid"))[0], "note.txt");
    assert_eq!(sources(&home.search("price", "keyword")), ["letters/2026/offer.txt"]);
    // A changed file under the same name is the next revision.
    fs::write(&top, "The pelican left the pier.").unwrap();
    wait_for("the second revision", || {
        (sources(&home.search("left", "keyword")) == ["note.txt"]).then_some(())
    });
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 3);
    assert_eq!(ledger["superseded"], 1);
    // A tenant made while the server runs has a folder that is watched too.
    home.run(&["tenant", "create", "later"]);
    let later = home.json(&["tenant", "show", "later"])["inbox"].as_str().unwrap().to_owned();
    fs::write(Path::new(&later).join("late.txt"), "Late but here.").unwrap();
    wait_for("the file of the later tenant", || {
        (home.json(&["ledger", "later"])["indexed"] == 1).then_some(())
    });
}

#[test]
fn a_file_that_is_still_being_written_is_taken_in_when_it_is_complete() {
    let home = Home::with_config(CONFIG);
    let server = home.serve();
    let key = server.key("demo");
    let inbox = inbox(&home);
    let path = inbox.join("slow.txt");
    let mut whole = String::new();
    let mut file = File::create(&path).unwrap();
    // Longer than two observation intervals, with pauses far below one.
    for line in 0..40 {
        let line = format!("Line {line} of a text that arrives slowly.\n\n");
        file.write_all(line.as_bytes()).unwrap();
        file.sync_data().unwrap();
        whole.push_str(&line);
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    let item = taken_in(&home, "slow.txt");
    assert_eq!((&item["state"], &item["revision"]), (&"indexed".into(), &1.into()), "{item:#}");
    assert_eq!(item["size_bytes"], whole.len());
    let text = text_of(&server, &key, &item);
    assert!(text.contains("Line 0 of") && text.contains("Line 39 of"), "{text}");

    // The usual way of careful programs: write under a hidden name, then rename.
    let hidden = inbox.join(".report.txt.part");
    fs::write(&hidden, "The report is complete.").unwrap();
    marker(&home, &inbox, "marker-1.txt");
    assert!(is_there(&hidden), "a hidden file was taken");
    fs::rename(&hidden, inbox.join("report.txt")).unwrap();
    assert_eq!(taken_in(&home, "report.txt")["state"], "indexed");
    // A file moved in from elsewhere on the same volume.
    let outside = home.path().join("moved.txt");
    fs::write(&outside, "This one was moved in.").unwrap();
    fs::rename(&outside, inbox.join("moved.txt")).unwrap();
    assert_eq!(taken_in(&home, "moved.txt")["state"], "indexed");
    assert_eq!(assert_adds_up(&server.settle()), 4);
}

#[test]
fn the_folders_of_a_dropped_mailbox_are_taken_in_under_their_names() {
    let home = Home::with_config(CONFIG);
    let server = home.serve();
    let inbox = inbox(&home);
    for folder in ["cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp", ".git/objects"] {
        fs::create_dir_all(inbox.join("box").join(folder)).unwrap();
    }
    let sent = "box/.Sent/cur/1.host:2,S";
    fs::write(inbox.join(sent), "From: a@b.c\nSubject: s\nDate: x\n\nThe cormorant.\n").unwrap();
    let hidden = inbox.join("box/.git/objects/a");
    fs::write(&hidden, "Nobody sees this.").unwrap();
    assert_eq!(taken_in(&home, sent)["state"], "indexed");
    marker(&home, &inbox, "marker-1.txt");
    assert!(is_there(&hidden) && !is_there(&inbox.join(sent)));
    assert_eq!(assert_adds_up(&server.settle()), 2);
}

#[test]
fn links_and_special_files_are_neither_followed_nor_removed() {
    let home = Home::with_config(CONFIG);
    let server = home.serve();
    let inbox = inbox(&home);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("private.txt"), "Private pangolin.").unwrap();
    let links = [
        ("host", PathBuf::from("/etc/hostname")),
        ("folder", outside.path().to_owned()),
        ("private.txt", outside.path().join("private.txt")),
        ("dangling", PathBuf::from("/no/such/file")),
    ];
    for (name, target) in &links {
        std::os::unix::fs::symlink(target, inbox.join(name)).unwrap();
    }
    let fifo = inbox.join("pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // One that vanishes before anybody has a closer look.
    fs::write(inbox.join("gone.txt"), "Here and gone.").unwrap();
    fs::remove_file(inbox.join("gone.txt")).unwrap();
    marker(&home, &inbox, "marker-1.txt");
    marker(&home, &inbox, "marker-2.txt");
    for (name, _) in &links {
        assert!(is_there(&inbox.join(name)), "{name} was removed");
    }
    assert!(is_there(&fifo));
    assert!(is_there(&outside.path().join("private.txt")));
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 2, "only the markers were taken in: {ledger:#}");
    assert_eq!(sources(&home.search("pangolin", "keyword")), Vec::<String>::new());
    assert_eq!(server.anonymous("GET", "/health", b"").status, 200);
}

#[test]
fn names_that_deceive_or_are_no_text_lose_no_file() {
    let home = Home::with_config(CONFIG);
    let server = home.serve();
    let inbox = inbox(&home);
    let names: [&[u8]; 5] = [
        b"two\nlines.txt",
        "invoice\u{202e}fdp.txt".as_bytes(),
        b"caf\xe9.txt",
        b"caf\xe8.txt",
        b" spaces and 'quotes' \".txt",
    ];
    for (number, name) in names.iter().enumerate() {
        let text = format!("Curious name number{number} of a file.");
        fs::write(inbox.join(OsStr::from_bytes(name)), text).unwrap();
    }
    wait_for("the folder to be empty", || {
        fs::read_dir(&inbox).unwrap().next().is_none().then_some(())
    });
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 5);
    assert_eq!(ledger["indexed"], 5, "every name is a document of its own: {ledger:#}");
    for number in 0..names.len() {
        let found = sources(&home.search(&format!("number{number}"), "keyword"));
        assert_eq!(found.len(), 1, "number{number}: {found:?}");
        let deceiving = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!found[0].contains(deceiving), "{:?}", found[0]);
    }
    assert_eq!(sources(&home.search("number0", "keyword")), ["two\\u{a}lines.txt"]);
    assert_eq!(sources(&home.search("number1", "keyword")), ["invoice\\u{202e}fdp.txt"]);
    let shown = home.run(&["ledger", "demo", "--all"]);
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
}
