//! Files that are broken, hostile, huge or change while they are read, beside good ones.
//!
//! Called by: cargo test. Talks to: a server and its extraction workers.
//! Invariants: the server outlives every file; a good file is indexed whatever else was dropped.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::process::{children_of, kib};
use crate::harness::{Home, Server, assert_adds_up, find, fixture, sources, wait_for};

fn detail(server: &Server<'_>, key: &str, source: &str) -> Value {
    let id = server.home.item(source)["document_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tenants/demo/documents/{id}");
    server.with_key(key, "GET", &path, b"").json()
}

#[test]
fn every_bad_file_says_why_and_the_good_one_beside_it_is_indexed() {
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mixed");
    fs::create_dir(&folder).unwrap();
    let copy = |from: &str, name: &str| {
        fs::copy(fixture(from), folder.join(name)).unwrap();
    };
    let pdf = fs::read(fixture("pdf/pypdf/crazyones.pdf")).unwrap();
    fs::write(folder.join("empty.txt"), "").unwrap();
    fs::write(folder.join("cut.pdf"), &pdf[..400]).unwrap();
    fs::write(folder.join("half.pdf"), &pdf[..pdf.len() / 2]).unwrap();
    copy("pdf/pypdf/issue-297.pdf", "odd.pdf");
    copy("pdf/pypdf/libreoffice-writer-password.pdf", "locked.pdf");
    // A page with nothing on it: there is nothing that OCR could read.
    let blank = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\n\
         trailer<</Root 1 0 R>>\n%%EOF\n";
    fs::write(folder.join("pictures.pdf"), blank).unwrap();
    copy("documents/markitdown/random.bin", "random.bin");
    copy("documents/docling/lorem_ipsum.docx", "letter.docx");
    fs::write(folder.join("latin.txt"), b"Stra\xdfe und \xc4pfel, invalid as UTF-8.").unwrap();
    fs::write(folder.join("mixed.txt"), b"caf\xc3\xa9 and then \xff\xfe\xc3\x28 broken.").unwrap();
    fs::write(folder.join("nul.txt"), [0_u8; 4096]).unwrap();
    fs::write(folder.join("broken.json"), b"{\"a\": [1, 2,").unwrap();
    fs::write(folder.join("broken.eml"), b"Subject: half a mail\nFrom:").unwrap();
    fs::write(folder.join("good.txt"), "The good file speaks of narwhals.").unwrap();
    let report = home.add(&[&folder]);
    assert_eq!(report["errors"], serde_json::json!([]), "{report:#}");

    let ledger = server.settle();
    assert_adds_up(&ledger);
    for item in ledger["items"].as_array().unwrap() {
        let settled = item["state"] == "indexed";
        let explained = item["reason"].is_string()
            && item["detail"].as_str().is_some_and(|detail| detail.len() > 8);
        assert!(settled || explained, "{item:#}");
    }
    for (source, state, reason) in [
        ("mixed/empty.txt", "failed", "empty_file"),
        ("mixed/cut.pdf", "failed", "malformed"),
        ("mixed/locked.pdf", "failed", "password_required"),
        ("mixed/pictures.pdf", "unsupported", "no_text"),
        ("mixed/random.bin", "unsupported", "unsupported_type"),
    ] {
        let item = find(&ledger["items"], "source", source);
        assert_eq!((&item["state"], &item["reason"]), (&state.into(), &reason.into()), "{item:#}");
    }
    let docx = find(&ledger["items"], "source", "mixed/letter.docx");
    assert_eq!(docx["state"], "indexed", "{docx:#}");
    assert_eq!(sources(&home.search("narwhals", "hybrid"))[0], "mixed/good.txt");
    assert_eq!(sources(&home.search("Straße Äpfel", "keyword")), ["mixed/latin.txt"]);
}

#[test]
fn a_text_of_two_gibibytes_is_indexed_up_to_the_limit_in_bounded_memory() {
    const LIMIT: u64 = 1 << 20;
    let home = Home::with_config(&format!("[ingest]\nmax_text_per_document = {LIMIT}\n"));
    let server = home.serve();
    let key = server.key("demo");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.txt");
    {
        // Equal paragraphs make equal chunks, so that few texts have to be embedded.
        let paragraph = "The gauge at the weir was read again and nothing had changed.\n\n";
        let filler = paragraph.repeat((1 << 20) / paragraph.len());
        let mut file = BufWriter::new(File::create(&path).unwrap());
        file.write_all(b"Huge text begins with an axolotl.\n\n").unwrap();
        let mut written = 0_u64;
        while written < 2 << 30 {
            file.write_all(filler.as_bytes()).unwrap();
            written += filler.len() as u64;
        }
        file.write_all(b"Huge text ends with a capybara.\n").unwrap();
        file.flush().unwrap();
    }
    let report = home.add(&[&path]);
    let bytes = fs::metadata(&path).unwrap().len();
    fs::remove_file(&path).unwrap();
    assert_eq!(report["accepted"], 1, "{report:#}");
    let ledger = server.settle();
    assert_adds_up(&ledger);
    let document = detail(&server, &key, "huge.txt");
    assert_eq!(document["state"], "indexed", "{document:#}");
    assert_eq!(document["size_bytes"], bytes);
    let cut = document["truncated_at"].as_u64().expect("the cut is reported");
    assert!((LIMIT / 2..=LIMIT * 2).contains(&cut), "cut at {cut}");
    // The limit counts the text that was found; the blank lines that join it come on top.
    assert!(document["text_length"].as_u64().unwrap() <= LIMIT * 17 / 16, "{document:#}");
    assert_eq!(sources(&home.search("axolotl", "keyword")), ["huge.txt"]);
    assert_eq!(sources(&home.search("capybara", "keyword")), Vec::<String>::new());
    let peak = kib(server.pid(), "VmHWM:");
    assert!(peak < 1_200_000, "the server took {peak} KiB");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_taken_in_as_it_was() {
    let home = Home::with_config("[ingest]\nmax_text_per_document = 65536\n");
    let server = home.serve();
    let key = server.key("demo");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("growing.log");
    let line = "A line of a log that never ends.\n";
    fs::write(&path, line.repeat(600_000)).unwrap();
    let done = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            let piece = line.repeat(1000);
            let most = 512 << 20;
            let mut written = 0;
            while !done.load(Ordering::Relaxed) && written < most {
                file.write_all(piece.as_bytes()).unwrap();
                written += piece.len();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let report = home.output(&["add", "demo", path.to_str().unwrap(), "--json"]);
        done.store(true, Ordering::Relaxed);
        report
    });
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 1);
    let document = detail(&server, &key, "growing.log");
    assert_eq!(document["state"], "indexed", "{document:#}");
    let id = document["id"].as_str().unwrap();
    let content = format!("/api/v1/tenants/demo/documents/{id}/content");
    let kept = server.with_key(&key, "GET", &content, b"").body;
    assert_eq!(document["size_bytes"], kept.len());
    let now = fs::read(&path).unwrap();
    assert!(kept.len() >= line.len() * 600_000 && kept.len() <= now.len());
    assert!(now.starts_with(&kept), "what was kept is not what the file began with");
    // The next time it is a new revision.
    home.add(&[&path]);
    let ledger = server.settle();
    assert_eq!((assert_adds_up(&ledger), &ledger["superseded"]), (2, &1.into()));
}

#[test]
fn hostile_files_cost_their_own_time_limit_and_no_more() {
    const LIMIT_SECONDS: u64 = 5;
    let home = Home::with_config(&format!(
        "[ingest]\nextraction_seconds = {LIMIT_SECONDS}\nmax_text_per_document = 65536\n"
    ));
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hostile");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    write("nested.html", "<div>".repeat(1 << 20));
    write("tables.html", "<table><tr><td>".repeat(300_000));
    write("attributes.html", format!("<p {}>text</p>", "a='b' ".repeat(800_000)));
    write("nested.json", "[".repeat(5 << 20));
    write("objects.json", "{\"a\":".repeat(1 << 20));
    write("brackets.md", "(".repeat(20 << 20));
    write("links.md", "[a](".repeat(1 << 20));
    write("quotes.md", ">".repeat(4 << 20));
    write("quote.csv", format!("a,b\n\"{}", "x,\n".repeat(2 << 20)));
    let hostile = fs::read_dir(&folder).unwrap().count() as u64;
    let pid = server.pid();
    home.run(&["add", "demo", folder.to_str().unwrap(), "--no-wait"]);
    let started = Instant::now();
    let good = dir.path().join("good.txt");
    fs::write(&good, "The good file speaks of narwhals.").unwrap();
    home.run(&["add", "demo", good.to_str().unwrap(), "--no-wait"]);
    wait_for("the good file to be found", || {
        (sources(&home.search("narwhals", "keyword")) == ["good.txt"]).then_some(())
    });
    // Each may hold up a worker for its own limit; the rest is a generous bound for a busy machine.
    let waited = started.elapsed();
    let most = Duration::from_secs(hostile * LIMIT_SECONDS + 30);
    assert!(waited < most, "the good file waited for {waited:?}");
    let ledger = server.settle();
    // JSON that is none is read as text in a few parts.
    let received = assert_adds_up(&ledger);
    assert!(received <= hostile + 1 + 8, "{ledger:#}");
    let items = ledger["items"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["parent"].is_null()).count() as u64, hostile + 1);
    for item in items {
        let explained = item["state"] == "indexed" || item["reason"].is_string();
        assert!(explained, "{item:#}");
    }
    assert_eq!(server.pid(), pid);
    assert_eq!(server.anonymous("GET", "/health", b"").status, 200);
    assert_eq!(sources(&home.search("narwhals", "vector"))[0], "good.txt");
}

#[test]
fn a_worker_that_is_killed_loses_nothing() {
    const FILES: u64 = 40;
    // Texts that take a while to read but, cut short, not to embed.
    let home = Home::with_config("[ingest]\nmax_text_per_document = 2000\n");
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("many");
    fs::create_dir(&folder).unwrap();
    for number in 0..FILES {
        let text = format!("<p>Document number{number} of many.</p>").repeat(20_000);
        fs::write(folder.join(format!("{number:02}.html")), text).unwrap();
    }
    home.run(&["add", "demo", folder.to_str().unwrap(), "--no-wait"]);
    let mut killed = 0;
    let ledger = wait_for("the ledger to settle", || {
        let ledger = home.ledger();
        for child in children_of(server.pid()) {
            if killed < 6 && kill(child) {
                killed += 1;
            }
        }
        (ledger["waiting"] == 0).then_some(ledger)
    });
    assert!(killed > 0, "no worker was caught alive");
    assert_eq!(assert_adds_up(&ledger), FILES);
    for item in ledger["items"].as_array().unwrap() {
        let blamed = item["state"] == "failed" && item["reason"] == "reader_crashed";
        assert!(item["state"] == "indexed" || blamed, "{item:#}");
    }
    home.json(&["retry", "demo"]);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), FILES);
    assert_eq!(ledger["indexed"], FILES, "{ledger:#}");
    for number in [0, FILES / 2, FILES - 1] {
        let found = sources(&home.search(&format!("number{number}"), "keyword"));
        assert_eq!(found, [format!("many/{number:02}.html")]);
    }
}

/// Kills a process that may have ended already.
fn kill(pid: u32) -> bool {
    let pid = pid.to_string();
    let killed = Command::new("kill").args(["-9", &pid]).output().unwrap();
    killed.status.success()
}

#[test]
fn removing_documents_while_a_large_container_is_read_stalls_nothing() {
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loose");
    fs::create_dir(&folder).unwrap();
    for number in 0..20 {
        fs::write(folder.join(format!("{number}.txt")), format!("Loose leaf number {number}."))
            .unwrap();
    }
    home.add(&[&folder]);
    let lines: String = (0..1500)
        .map(|n| format!("{{\"_id\":\"line-{n}\",\"title\":\"Line {n}\",\"text\":\"Short.\"}}\n"))
        .collect();
    let container = dir.path().join("many.jsonl");
    fs::write(&container, lines).unwrap();
    home.json(&["add", "demo", "--no-wait", "--documents-jsonl", container.to_str().unwrap()]);
    for number in 0..20 {
        home.run(&["remove", "demo", &format!("loose/{number}.txt")]);
    }
    let ledger = server.settle();
    assert_adds_up(&ledger);
    assert_eq!((&ledger["indexed"], &ledger["deleted"]), (&1501.into(), &20.into()));
}
