//! Settings of a source that change while it is in use.
//!
//! Called by: cargo test. Talks to: a server, directories beside it, a mail server on loopback.
//! Invariants: what was taken in stays and is not read again; a password never comes back and goes
//! nowhere that it was not given for.

use std::fs;

use serde_json::{Value, json};

use crate::harness::imap::{MailServer, PASSWORD, Security, mail};
use crate::harness::{Home, assert_adds_up, sources, wait_for};
use crate::mailboxes::{add, add_to, home, is_done, run};
use crate::sources::{Ground, counts, word};

/// Runs `source set` and gives what it says, which is an error with this exit code.
fn refused(home: &Home, code: i32, more: &[&str]) -> String {
    let mut args = vec!["source", "set", "demo"];
    args.extend(more);
    let output = home.output(&args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
    said
}

/// A key that may change sources.
fn owner_key(home: &Home, tenant: &str) -> String {
    let args = ["apikey", "create", tenant, "--name", "owner", "--role", "owner"];
    word(&home.json(&args)["key"]).to_owned()
}

fn set(home: &Home, name: &str, more: &[&str]) -> Value {
    let mut args = vec!["source", "set", "demo", name];
    args.extend(more);
    home.json(&args)
}

#[test]
fn a_source_whose_settings_change_goes_on_where_it_was() {
    let ground = Ground::new();
    ground.put("note.txt", "The pelican landed on the pier.");
    ground.put("letters/offer.txt", "The offer names a price for the pier.");
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 2 }));
    server.settle();
    let note = ground.document("team/note.txt");

    let changed = set(&ground.home, "team", &["--interval", "86400", "--deletions", "keep"]);
    assert_eq!(changed["interval_seconds"], 86400, "{changed:#}");
    assert_eq!(
        (&changed["deletions"], &changed["paused"], &changed["items"]),
        (&json!("keep"), &json!(true), &json!(2))
    );
    assert_eq!(counts(&ground.run()), json!({ "unchanged": 2 }));

    // Under another name its documents are the same ones, and nothing is read again.
    let renamed = set(&ground.home, "team", &["--name", "harbour"]);
    assert_eq!(renamed["name"], "harbour");
    let run = ground.home.json(&["source", "run", "demo", "harbour"]);
    assert_eq!(counts(&run), json!({ "moved": 2, "unchanged": 2 }), "{run:#}");
    let ledger = server.settle();
    assert_eq!((assert_adds_up(&ledger), &ledger["indexed"]), (2, &json!(2)), "{ledger:#}");
    assert_eq!(ground.document("harbour/note.txt"), note);
    assert_eq!(sources(&ground.home.search("pelican", "keyword")), ["harbour/note.txt"]);
    let offer = sources(&ground.home.search("source:harbour offer", "keyword"));
    assert_eq!(offer, ["harbour/letters/offer.txt"]);
    // A file that changes is another revision of the document that moved.
    ground.put("note.txt", "The pelican has left the pier again.");
    let run = ground.home.json(&["source", "run", "demo", "harbour"]);
    assert_eq!(counts(&run), json!({ "changed": 1, "unchanged": 1 }), "{run:#}");
    server.settle();
    assert_eq!(ground.document("harbour/note.txt"), note);

    let trail = ground.home.json(&["audit", "list", "demo", "--action", "source.change"]);
    let trail = trail.to_string();
    for fact in ["\"name\":\"harbour\"", "\"interval_seconds\":86400", "\"moved\":2"] {
        assert!(trail.contains(fact), "{fact} is not in {trail}");
    }
}

#[test]
fn another_place_needs_a_new_source_unless_it_is_the_same_under_a_new_name() {
    let ground = Ground::new();
    ground.put("a.txt", "A file of the share.");
    ground.put("sub/b.txt", "A file further down.");
    let server = ground.home.serve();
    ground.add(&["--paused"]);
    assert_eq!(counts(&ground.run()), json!({ "new": 2 }));
    let ledger = server.settle();
    let key = owner_key(&ground.home, "demo");
    let id = word(&ground.home.json(&["source", "show", "demo", "team"])["id"]).to_owned();
    let path = format!("/api/v1/tenants/demo/sources/{id}");
    let patch = |body: Value| {
        let answer = server.with_key(&key, "PATCH", &path, body.to_string().as_bytes());
        (answer.status, word(&answer.json()["detail"]).to_owned())
    };
    let sub = ground.share.join("sub");
    let (status, said) = patch(json!({ "path": sub }));
    assert_eq!(status, 409, "{said}");
    assert!(said.contains("another directory") && said.contains("new source"), "{said}");
    let (status, said) = patch(json!({ "collection": "elsewhere" }));
    assert_eq!(status, 409, "{said}");
    assert!(said.contains("stay in the collection"), "{said}");
    for (wrong, why) in [
        (json!({ "interval_seconds": 1 }), "interval_seconds"),
        (json!({ "name": "a/b" }), "name"),
        (json!({ "port": 993 }), "is a directory"),
        (json!({ "password": "secret" }), "no password"),
        (json!({ "path": "/etc", "same_place": true }), "not below what the admin allowed"),
        (json!({ "colour": "green" }), "colour"),
    ] {
        let (status, said) = patch(wrong);
        assert!(status == 400 && said.contains(why), "{status}: {said}");
    }
    // What it is already is no change.
    assert_eq!(patch(json!({ "path": ground.share, "collection": "documents" })).0, 200);
    assert_eq!(counts(&ground.run()), json!({ "unchanged": 2 }));

    // The share is mounted elsewhere: the files are the same ones.
    let elsewhere = ground.share.join("mounted");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(ground.share.join("a.txt"), elsewhere.join("a.txt")).unwrap();
    fs::rename(&sub, elsewhere.join("sub")).unwrap();
    let place = elsewhere.to_str().unwrap();
    let said = refused(&ground.home, 1, &["team", "--directory", place]);
    assert!(said.contains("new source"), "{said}");
    set(&ground.home, "team", &["--directory", place, "--same-place"]);
    assert_eq!(counts(&ground.run()), json!({ "unchanged": 2 }));
    assert_eq!(server.settle()["received"], ledger["received"]);

    // A name that is taken, and a source of somebody else.
    let other = ground.share.join("other");
    fs::create_dir(&other).unwrap();
    let other = other.to_str().unwrap();
    let add = ["source", "add", "demo", "second", "--directory", other, "--paused"];
    ground.home.run(&add);
    assert!(refused(&ground.home, 1, &["second", "--name", "team"]).contains("already"));
    ground.home.run(&["tenant", "create", "stranger"]);
    let stranger = owner_key(&ground.home, "stranger");
    let body = json!({ "name": "mine now" }).to_string();
    for tenant in ["demo", "stranger"] {
        let path = format!("/api/v1/tenants/{tenant}/sources/{id}");
        let answer = server.with_key(&stranger, "PATCH", &path, body.as_bytes());
        assert_eq!(answer.status, 404, "{tenant}: {}", answer.text());
    }
    assert_eq!(ground.home.json(&["source", "show", "demo", "team"])["name"], "team");
}

#[test]
fn a_source_that_is_not_paused_runs_at_once_when_it_changes() {
    let ground = Ground::new();
    ground.put("a.txt", "The only file of the share.");
    let server = ground.home.serve();
    ground.add(&["--interval", "86400"]);
    wait_for("the first run", || (ground.home.ledger()["indexed"] == 1).then_some(()));
    set(&ground.home, "team", &["--name", "harbour"]);
    wait_for("the document to move", || {
        let found = sources(&ground.home.search("only", "keyword"));
        (found == ["harbour/a.txt"]).then_some(())
    });
    assert_eq!(server.settle()["received"], 1);
}

#[test]
fn a_new_password_and_other_folders_take_nothing_in_again() {
    let (home, mails) = (home(), MailServer::start(Security::Starttls));
    mails.deliver("INBOX", &mail(1, "Wanted", "A mail about the pelican."));
    mails.deliver("Archive", &mail(2, "Kept", "A mail about the heron."));
    let server = home.serve();
    let wrong = ["--folder", "INBOX"];
    let made = add_to(&home, mails.port, &mails.certificate, "starttls", "wrong", &wrong);
    assert!(made.status.success());
    assert_eq!(run(&home)["outcome"], "failed");
    let args = ["source", "set", "demo", "mail", "--password", "--json"];
    let changed = home.output_with_input(&args, &format!("{PASSWORD}\n"));
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    is_done(&run(&home), 1);
    assert_eq!(server.settle()["received"], 1);

    // The password stays where it is not given.
    set(&home, "mail", &["--folder", "INBOX", "--folder", "Archive"]);
    is_done(&run(&home), 1);
    let changed = set(&home, "mail", &["--all-folders", "--interval", "600"]);
    assert_eq!((&changed["folders"], &changed["has_password"]), (&json!([]), &json!(true)));
    is_done(&run(&home), 0);
    assert_eq!(server.settle()["received"], 2);
    let shown = home.run(&["source", "show", "demo", "mail", "--json"]);
    let trail = home.run(&["audit", "list", "demo", "--json"]);
    assert!(trail.contains("folders"), "{trail}");
    for text in [shown, trail, server.log(), changed.to_string()] {
        assert!(!text.contains("cret\\"), "the password is shown");
    }
}

#[test]
fn a_stored_password_is_not_sent_to_another_server_or_without_protection() {
    let (home, mails) = (home(), MailServer::start(Security::Plain));
    let other = MailServer::start(Security::Plain);
    mails.deliver("INBOX", &mail(1, "A mail", "A mail."));
    let server = home.serve();
    assert!(add(&home, &mails, "plain", &[]).status.success());
    is_done(&run(&home), 1);
    let port = other.port.to_string();
    let said = refused(&home, 2, &["mail", "--port", &port]);
    assert!(said.contains("give the password as well"), "{said}");
    let said = refused(&home, 2, &["mail", "--imap", "127.0.0.1", "--same-place", "--user", "b"]);
    assert!(said.contains("give the password as well"), "{said}");
    let key = owner_key(&home, "demo");
    let id = word(&home.json(&["source", "show", "demo", "mail"])["id"]).to_owned();
    let path = format!("/api/v1/tenants/demo/sources/{id}");
    let body = json!({ "host": "127.0.0.1", "password": "another" }).to_string();
    let answer = server.with_key(&key, "PATCH", &path, body.as_bytes());
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(answer.text().contains("another mailbox"), "{}", answer.text());
    // With the password it may, and the mails are known again.
    let args = ["source", "set", "demo", "mail", "--password", "--imap", "127.0.0.1"];
    let args = [&args[..], &["--same-place"]].concat();
    let changed = home.output_with_input(&args, &format!("{PASSWORD}\n"));
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    is_done(&run(&home), 0);
    assert_eq!(server.settle()["received"], 1);
    assert!(!other.state().asked.iter().any(|asked| asked == "LOGIN"), "it went to another server");
}
