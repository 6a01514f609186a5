//! The main job: dump files in, search, ask, follow the citation.
//!
//! Called by: cargo test. Talks to: the command line.
//! Invariants: none.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Home, assert_adds_up, find, root, sources};

/// The slice of a document's text that a passage or citation names.
fn slice(home: &Home, server: &crate::harness::Server<'_>, key: &str, cited: &Value) -> String {
    let _ = home;
    let document = cited["document_id"].as_str().unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{document}/text");
    let text = server.with_key(key, "GET", &path, b"").text();
    let (start, end) = (cited["start"].as_u64().unwrap(), cited["end"].as_u64().unwrap());
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

#[test]
fn a_newcomer_dumps_the_samples_and_gets_cited_answers() {
    let home = Home::new();
    let added = home.add(&[&root().join("assets/samples/documents")]);
    assert_eq!(added["errors"].as_array().unwrap().len(), 0, "{added:#}");
    let ledger = home.ledger();
    assert_adds_up(&ledger);
    assert_eq!(ledger["waiting"], 0);
    assert!(ledger["indexed"].as_u64().unwrap() >= 18, "{ledger:#}");
    for item in ledger["items"].as_array().unwrap() {
        let settled_well = item["state"] == "indexed" || item["state"] == "duplicate";
        assert!(settled_well || item["reason"].is_string(), "{item:#}");
    }

    let server = home.serve();
    let key = server.key("demo");
    for mode in ["hybrid", "keyword", "vector"] {
        let found = home.search("who patented the typewriter", mode);
        let first = &found["results"][0];
        assert!(
            first["source"].as_str().unwrap().contains("word processor"),
            "{mode}: {:?}",
            sources(&found)
        );
        let passage = &first["passages"][0];
        let mut named = passage.clone();
        named["document_id"] = first["document_id"].clone();
        assert_eq!(slice(&home, &server, &key, &named), passage["text"].as_str().unwrap());
    }

    let answer = home.json(&["ask", "demo", "Who patented the typewriter?"]);
    assert_eq!(answer["found"], true, "{answer:#}");
    let citation = &answer["citations"][0];
    assert!(citation["text"].as_str().unwrap().contains("Sholes"), "{answer:#}");
    assert_eq!(citation["page"], 1);
    assert_eq!(slice(&home, &server, &key, citation), citation["text"].as_str().unwrap());
    assert!(citation["date_basis"].is_string());

    let unknown = home.json(&["ask", "demo", "Who won the 1998 football World Cup?"]);
    assert_eq!(unknown["found"], false, "{unknown:#}");
    assert_eq!(unknown["citations"].as_array().unwrap().len(), 0);
}

#[test]
fn mail_in_an_mbox_and_lines_of_jsonl_become_documents_of_their_own() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let mbox = dir.path().join("archive.mbox");
    let mail = |n: u32, body: &str| {
        format!(
            "From a@example.org Thu Jan  1 00:00:00 2026\nFrom: Ann <a@example.org>\nTo: b@example.org\n\
             Subject: Note {n}\nDate: Thu, {n:02} Jan 2026 10:00:00 +0000\n\n{body}\n\n"
        )
    };
    let text = mail(1, "The boiler room flooded.") + &mail(2, "The plumber fixed the valve.");
    std::fs::write(&mbox, text).unwrap();
    let lines = dir.path().join("corpus.jsonl");
    std::fs::write(
        &lines,
        "{\"_id\":\"doc-1\",\"title\":\"Herons\",\"text\":\"Herons wade in shallow water.\"}\n\
         this line is broken\n\
         {\"_id\":\"doc-2\",\"title\":\"Owls\",\"text\":\"Owls hunt at night.\"}\n",
    )
    .unwrap();
    home.add(&[&mbox]);
    home.json(&["add", "demo", "--documents-jsonl", lines.to_str().unwrap()]);
    let ledger = home.ledger();
    assert_adds_up(&ledger);
    assert_eq!(ledger["waiting"], 0);
    assert_eq!(ledger["failed"], 1, "the broken line is listed by itself: {ledger:#}");

    let container = find(&ledger["items"], "source", "archive.mbox");
    assert_eq!(container["reason"], "container");
    let children: Vec<&Value> = ledger["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["parent"] == container["id"])
        .collect();
    assert_eq!(children.len(), 2);
    let found = home.search("who fixed the valve", "hybrid");
    assert!(sources(&found)[0].starts_with("archive.mbox/"), "{found:#}");
    assert_eq!(found["results"][0]["dates"]["content"], "2026-01-02T10:00:00Z");
    assert_eq!(sources(&home.search("night hunters", "hybrid"))[0], "doc-2");
}

#[test]
fn filters_and_query_signs_hold_in_every_mode() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a")).unwrap();
    std::fs::create_dir(dir.path().join("b")).unwrap();
    std::fs::write(dir.path().join("a/one.txt"), "The turbine report mentions vibration.").unwrap();
    std::fs::write(dir.path().join("b/two.md"), "# Turbine\n\nThe turbine runs smoothly.").unwrap();
    home.add(&[&dir.path().join("a"), &dir.path().join("b")]);
    for mode in ["hybrid", "keyword", "vector"] {
        let only = |args: &[&str]| {
            let mut all = vec!["search", "demo"];
            all.extend_from_slice(args);
            all.extend_from_slice(&["--mode", mode]);
            sources(&home.json(&all))
        };
        assert_eq!(only(&["turbine", "--source", "a/"]), ["a/one.txt"], "{mode}");
        assert_eq!(only(&["turbine", "--type", "text/markdown"]), ["b/two.md"], "{mode}");
        assert_eq!(only(&["turbine -vibration"]), ["b/two.md"], "{mode}");
        assert_eq!(only(&["turbine", "--before", "2001-01-01"]), Vec::<String>::new(), "{mode}");
    }
}

#[test]
fn every_command_says_what_it_does_and_how_to_go_on() {
    let home = Home::new();
    let missing = home.output(&["search", "nobody", "anything"]);
    assert_eq!(missing.status.code(), Some(3));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!said.is_empty() && !said.contains("panicked"), "{said}");
    assert_eq!(home.output(&["search"]).status.code(), Some(2));
    let nowhere = home.output(&["add", "demo", "/no/such/file"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("/no/such/file"));
    let elsewhere = home
        .command(&["ledger", "demo"])
        .env("CAIRN_HOME", Path::new("/no/such/home"))
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(3));
}
