//! Files under a password: given over HTTP and at the command line, kept nowhere in the clear.
//!
//! Called by: cargo test. Talks to: a server over its TCP port, the command line.
//! Invariants: no password is in an audit trail, a log or a file of the home.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, Response, Server, assert_adds_up, find, fixture};

/// Adds a fixture under its file name; the id of its document.
fn add(home: &Home, path: &str) -> String {
    let report = home.json(&["add", "demo", fixture(path).to_str().unwrap()]);
    let item = &report["items"][0];
    assert_eq!(item["reason"], "password_required", "{path}: {report:#}");
    item["document_id"].as_str().unwrap().to_owned()
}

fn give(server: &Server<'_>, key: &str, document: &str, password: &str) -> Response {
    let path = format!("/api/v1/tenants/demo/documents/{document}/password");
    let body = json!({ "password": password }).to_string();
    server.with_key(key, "POST", &path, body.as_bytes())
}

fn item_of(ledger: &Value, document: &str) -> Value {
    find(&ledger["items"], "document_id", document)
}

/// True where a file below `dir` holds `text`.
fn shows(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return shows(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn a_right_password_opens_every_kind_of_locked_file_and_a_wrong_one_says_so() {
    const FILES: [(&str, &str); 9] = [
        ("archives/extractcode/zip_password_nexb.zip", "nexb"),
        ("archives/extractcode/7zip_password.7z", "nexb"),
        ("archives/locked/aes256.zip", "cairn"),
        ("archives/locked/traditional.zip", "cairn"),
        ("formats/poi/bug53475-password-is-solrcell.docx", "solrcell"),
        ("formats/poi/protected_passtika.xlsx", "tika"),
        ("formats/odf-crypto/lo-legacy-aes-cbc.odt", "password"),
        ("formats/odf-crypto/lo-wholesome-gcm-argon2.odt", "password"),
        ("pdf/pypdf/libreoffice-writer-password.pdf", "openpassword"),
    ];
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let documents = FILES.map(|(path, _)| add(&home, path));
    for document in &documents {
        let answer = give(&server, &key, document, "certainly-not-this");
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    let ledger = server.settle();
    for (document, (path, _)) in documents.iter().zip(FILES) {
        let item = item_of(&ledger, document);
        assert_eq!(item["reason"], "password_required", "{path}: {item:#}");
        let detail = item["detail"].as_str().unwrap();
        assert!(detail.contains("another password") || detail.contains("not among"), "{detail}");
    }
    for (document, (_, password)) in documents.iter().zip(FILES) {
        assert_eq!(give(&server, &key, document, password).status, 202);
    }
    let ledger = server.settle();
    for (document, (path, _)) in documents.iter().zip(FILES) {
        let item = item_of(&ledger, document);
        assert_eq!(item["state"], "indexed", "{path}: {item:#}");
    }
    assert_adds_up(&ledger);
    assert!(
        !home.search("harbour master tide tables", "keyword")["results"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // Nobody is asked for what is open.
    let answer = give(&server, &key, &documents[0], "nexb");
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, "conflict".into()));

    let trail = home.run(&["audit", "export", "demo"]);
    assert!(trail.contains("document.password"), "{trail}");
    for secret in ["certainly-not-this", "solrcell\"", "openpassword\""] {
        assert!(!trail.contains(secret), "the trail holds {secret}");
        assert!(!server.log().contains(secret), "the log holds {secret}");
    }
    assert!(!shows(home.path(), "certainly-not-this"), "a file of the home holds a password");
}

#[test]
fn the_command_line_reads_the_password_from_its_input() {
    let home = Home::new();
    let server = home.serve();
    let document = add(&home, "archives/locked/aes128_stored.zip");
    let give = |password: &str| {
        home.output_with_input(&["unlock-file", "demo", "aes128_stored.zip"], password)
    };
    let wrong = give("no\n");
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("stays locked") && said.contains("another password"), "{said}");
    assert_eq!(give("\n").status.code(), Some(2), "an empty password is none");
    let right = give("cairn\n");
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    let ledger = home.ledger();
    let archive = item_of(&ledger, &document);
    assert_eq!(archive["state"], "indexed", "{archive:#}");
    assert_eq!(find(&ledger["items"], "source", "aes128_stored.zip/note.txt")["state"], "indexed");
    drop(server);
}

#[test]
fn a_locked_file_inside_an_archive_opens_by_itself_or_with_the_archive() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let dir = tempfile::tempdir().unwrap();
    let locked = std::fs::read(fixture("archives/locked/traditional.zip")).unwrap();
    let path = dir.path().join("box.tar");
    std::fs::write(&path, tar("inner.zip", &locked)).unwrap();
    home.add(&[&path]);
    let inner = home.item("box.tar/inner.zip");
    assert_eq!(inner["reason"], "password_required", "{inner:#}");
    let answer = give(&server, &key, inner["document_id"].as_str().unwrap(), "cairn");
    assert_eq!(answer.status, 202, "{}", answer.text());
    let ledger = server.settle();
    for source in ["box.tar/inner.zip", "box.tar/inner.zip/note.txt"] {
        let item = find(&ledger["items"], "source", source);
        assert_eq!(item["state"], "indexed", "{item:#}");
    }
    for (body, status) in [(r#"{"password":""}"#, 400), ("{}", 400)] {
        let path = format!(
            "/api/v1/tenants/demo/documents/{}/password",
            inner["document_id"].as_str().unwrap()
        );
        assert_eq!(server.with_key(&key, "POST", &path, body.as_bytes()).status, status);
    }
}

/// A tar archive of one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
