//! Pictures and scanned pages: read by the OCR program, marked as such, listed where it is missing.
//!
//! Called by: cargo test. Talks to: a server, and tesseract with its packs for English and German.
//! Invariants: where tesseract is missing these tests fail and do not pass over it, since set-up
//! installs it; what a picture says is known from the page it was made of.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};

use crate::extraction::recall;
use crate::harness::{Home, Response, Server, assert_adds_up, find, fixture, sources, wait_for};

/// Killed for a forbidden system call.
const SIGSYS: i32 = 31;

fn words() -> String {
    fs::read_to_string(fixture("pdf/pypdf/crazyones.txt")).unwrap()
}

/// Waits until nothing waits, for OCR neither.
fn all_read(server: &Server<'_>) -> Value {
    wait_for("the pictures to be read", || {
        let ledger = server.home.ledger();
        let pending = |item: &Value| item["reason"] == "ocr_pending";
        let items = ledger["items"].as_array().unwrap();
        (ledger["waiting"] == 0 && !items.iter().any(pending)).then_some(ledger)
    })
}

fn request(server: &Server<'_>, key: &str, source: &str, part: &str) -> Response {
    let id = server.home.item(source)["document_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tenants/demo/documents/{id}{part}");
    server.with_key(key, "GET", &path, b"")
}

fn add_all(home: &Home, names: &[&str]) {
    let paths: Vec<_> = names.iter().map(|name| fixture("ocr").join(name)).collect();
    let mut args = vec!["add", "demo", "--no-wait"];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    home.run(&args);
}

#[test]
fn pictures_of_every_kind_are_read_and_say_so() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let whole =
        ["letter.png", "letter.jpg", "letter.webp", "letter.jp2", "scanned.pdf", "two-pages.tiff"];
    let half = ["letter.gif", "letter.bmp", "letter.pbm", "letter.j2k"];
    add_all(
        &home,
        &[&whole[..], &half[..], &["rotated.png", "blank.png", "icon.png", "broken.png"]].concat(),
    );
    let ledger = all_read(&server);
    assert_eq!(assert_adds_up(&ledger), 14);
    let expected = words();
    let mut report = Vec::new();
    for (names, least) in [(&whole[..], 0.88), (&half[..], 0.4), (&["rotated.png"][..], 0.7)] {
        for name in names {
            let item = find(&ledger["items"], "source", name);
            assert_eq!(
                (&item["state"], &item["reason"]),
                (&json!("indexed"), &json!("ocr")),
                "{item:#}"
            );
            let detail = item["detail"].as_str().unwrap();
            assert!(detail.starts_with("Indexed, text read by OCR (confidence "), "{detail}");
            let text = request(&server, &key, name, "/text").text();
            let share = recall(&expected, &text);
            report.push(format!("{name}: {share:.3}"));
            assert!(share >= least, "{name} has {share} of the words: {text}");
            let facts = request(&server, &key, name, "").json()["metadata"].clone();
            let sure: u32 = facts["ocr_confidence"].as_str().unwrap().parse().unwrap();
            assert!((60..=100).contains(&sure), "{name}: {facts:#}");
        }
    }
    println!("words found: {}", report.join(", "));
    for (name, state, reason) in [
        ("blank.png", "unsupported", "no_text"),
        ("icon.png", "unsupported", "no_text"),
        ("broken.png", "failed", "malformed"),
    ] {
        let item = find(&ledger["items"], "source", name);
        assert_eq!((&item["state"], &item["reason"]), (&json!(state), &json!(reason)), "{item:#}");
    }
    let icon = find(&ledger["items"], "source", "icon.png");
    assert!(icon["detail"].as_str().unwrap().contains("too small"), "{icon:#}");
    let found = home.search("source:two-pages.tiff red planet laboratory", "keyword");
    assert_eq!(sources(&found), ["two-pages.tiff"], "{found:#}");
    let passage = &found["results"][0]["passages"][0];
    assert_eq!((&passage["page"], &passage["ocr"]), (&json!(2), &json!(true)), "{passage:#}");
}

#[test]
fn a_page_that_was_scanned_stands_between_the_pages_that_were_not() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    add_all(&home, &["mixed.pdf"]);
    wait_for("the pages with text", || {
        (sources(&home.search("otters", "keyword")) == ["mixed.pdf"]).then_some(())
    });
    let ledger = all_read(&server);
    let item = find(&ledger["items"], "source", "mixed.pdf");
    assert_eq!((&item["state"], &item["reason"]), (&json!("indexed"), &json!("ocr")), "{item:#}");
    let detail = item["detail"].as_str().unwrap();
    assert!(detail.contains("text of 1 page read by OCR (confidence 9"), "{detail}");
    for (query, page, ocr) in
        [("otters", 1, false), ("troublemakers rebels", 2, true), ("herons", 3, false)]
    {
        let found = home.search(query, "keyword");
        let passage = &found["results"][0]["passages"][0];
        assert_eq!((&passage["page"], &passage["ocr"]), (&json!(page), &json!(ocr)), "{found:#}");
        assert_eq!(passage["ocr_confidence"].is_u64(), ocr, "{passage:#}");
    }
    let by_meaning = home.search("people who want to change the world", "vector");
    assert_eq!(by_meaning["results"][0]["passages"][0]["ocr"], true, "{by_meaning:#}");
    let text = request(&server, &key, "mixed.pdf", "/text").text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    assert!(place("otters") < place("troublemakers") && place("genius") < place("herons"));
    let answer = home.json(&["ask", "demo", "Who do we see genius in, the crazy ones?"]);
    let citations = answer["citations"].as_array().unwrap();
    assert!(
        citations.iter().any(|citation| citation["ocr"] == true
            && citation["page"] == 2
            && citation["ocr_confidence"].as_u64().is_some_and(|sure| sure > 80)),
        "{answer:#}"
    );
    // Making the indexes anew reads nothing again and loses no mark.
    home.json(&["rebuild", "demo"]);
    assert_eq!(server.settle()["indexed"], 1);
    let found = home.search("troublemakers", "keyword");
    assert_eq!(found["results"][0]["passages"][0]["ocr"], true, "{found:#}");
    assert_eq!(home.item("mixed.pdf")["reason"], "ocr");
}

#[test]
fn without_the_program_pictures_are_listed_and_once_it_is_there_they_are_read() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("tesseract");
    let home = Home::with_config(&format!("[ocr]\nprogram = \"{}\"\n", program.display()));
    let server = home.serve();
    add_all(&home, &["letter.png", "scanned.pdf", "mixed.pdf", "icon.png"]);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 4);
    for (name, state) in
        [("letter.png", "unsupported"), ("scanned.pdf", "unsupported"), ("mixed.pdf", "indexed")]
    {
        let item = find(&ledger["items"], "source", name);
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!(state), &json!("needs_ocr")),
            "{item:#}"
        );
        let detail = item["detail"].as_str().unwrap();
        assert!(detail.contains("apt-get install tesseract-ocr"), "{detail}");
    }
    assert_eq!(find(&ledger["items"], "source", "icon.png")["reason"], "no_text");
    assert_eq!(sources(&home.search("herons", "keyword")), ["mixed.pdf"]);
    let doctor = home.output(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let check = find(&doctor["checks"], "name", "ocr");
    assert_eq!(check["ok"], true, "an installation may do without: {check:#}");
    assert!(check["hint"].as_str().unwrap().contains("apt-get install"), "{check:#}");
    assert_eq!(home.json(&["status"])["ocr"]["state"], "missing");
    std::os::unix::fs::symlink("/usr/bin/tesseract", &program).unwrap();
    let status = home.json(&["status"]);
    assert_eq!(status["ocr"]["languages"], json!(["eng", "deu"]), "{status:#}");
    assert!(status["ocr"]["version"].as_str().unwrap().starts_with('5'), "{status:#}");
    home.json(&["retry", "demo", "--no-wait"]);
    let ledger = all_read(&server);
    assert_eq!((&ledger["indexed"], &ledger["unsupported"]), (&json!(3), &json!(1)), "{ledger:#}");
    for name in ["letter.png", "scanned.pdf", "mixed.pdf"] {
        assert_eq!(find(&ledger["items"], "source", name)["reason"], "ocr");
    }
}

#[test]
fn a_file_is_found_all_the_while_its_scanned_page_is_read_and_put_in() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("tesseract");
    let home = Home::with_config(&format!("[ocr]\nprogram = \"{}\"\n", program.display()));
    home.run(&["tenant", "tier", "demo", "--limit", "requests_per_second=100000"]);
    let server = home.serve();
    let key = server.key("demo");
    add_all(&home, &["mixed.pdf"]);
    assert_eq!(server.settle()["indexed"], 1);
    let missing = |mode: &str| {
        let path = format!("/api/v1/tenants/demo/search?q=otters&mode={mode}");
        let found = server.with_key(&key, "GET", &path, b"").json();
        let hit = &found["results"][0];
        let is_found = hit["source"] == "mixed.pdf" && hit["passages"][0]["page"] == 1;
        (!is_found).then_some(found)
    };
    for mode in ["keyword", "vector", "hybrid"] {
        assert_eq!(missing(mode), None);
    }
    std::os::unix::fs::symlink("/usr/bin/tesseract", &program).unwrap();
    home.json(&["retry", "demo", "--no-wait"]);
    let mut asked = 0;
    wait_for("the scanned page", || {
        for _ in 0..20 {
            for mode in ["keyword", "vector", "hybrid"] {
                asked += 1;
                if let Some(found) = missing(mode) {
                    panic!("search {asked}, by {mode}: {found:#}\n{:#}", home.item("mixed.pdf"));
                }
            }
        }
        let item = home.item("mixed.pdf");
        (item["state"] == "indexed" && item["reason"] == "ocr").then_some(())
    });
    assert!(asked > 60, "only {asked} searches: nothing is shown");
    let found = home.search("troublemakers", "keyword");
    assert_eq!(found["results"][0]["passages"][0]["page"], 2, "{found:#}");
    let found = home.search("people who want to change the world", "vector");
    assert_eq!(found["results"][0]["passages"][0]["ocr"], true, "{found:#}");
}

#[test]
fn a_server_that_is_killed_while_pages_are_read_goes_on_where_it_was() {
    let home = Home::with_config("[ocr]\nprocesses = 1\n");
    let names = ["letter.gif", "two-pages.tiff", "mixed.pdf", "letter.bmp", "letter.pbm"];
    {
        let server = home.serve();
        add_all(&home, &names);
        wait_for("one of them to be read", || {
            let ledger = home.ledger();
            let items = ledger["items"].as_array().unwrap();
            items.iter().any(|item| item["reason"] == "ocr").then_some(())
        });
        drop(server);
    }
    let server = home.serve();
    let ledger = all_read(&server);
    assert_eq!((assert_adds_up(&ledger), &ledger["indexed"]), (5, &json!(5)), "{ledger:#}");
    for name in names {
        assert_eq!(find(&ledger["items"], "source", name)["reason"], "ocr");
    }
    home.run(&["remove", "demo", "mixed.pdf"]);
    let ledger = server.settle();
    assert_eq!(ledger["deleted"], 1, "{ledger:#}");
}

/// A picture whose lines are all black, which packs well.
fn bomb(side: u32, real: bool) -> Vec<u8> {
    let mut lines = ZlibEncoder::new(Vec::new(), Compression::fast());
    let line = vec![0_u8; side as usize * 3 + 1];
    for _ in 0..if real { side } else { 1 } {
        lines.write_all(&line).unwrap();
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", header), (b"IDAT", lines.finish().unwrap()), (b"IEND", vec![])] {
        png.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(&data);
        png.extend_from_slice(kind);
        png.extend_from_slice(&data);
        png.extend_from_slice(&sum.sum().to_be_bytes());
    }
    png
}

#[test]
fn pictures_that_unpack_to_more_than_memory_cost_themselves_alone() {
    let home = Home::with_config("[ocr]\npage_seconds = 30\nmemory = 536870912\n");
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("header.png"), bomb(60_000, false)).unwrap();
    fs::write(dir.path().join("real.png"), bomb(9_900, true)).unwrap();
    fs::copy(fixture("ocr/letter.gif"), dir.path().join("good.gif")).unwrap();
    let paths = ["header.png", "real.png", "good.gif"].map(|name| dir.path().join(name));
    let paths = paths.each_ref().map(|path| path.to_str().unwrap());
    home.run(&["add", "demo", "--no-wait", paths[0], paths[1], paths[2]]);
    let ledger = all_read(&server);
    assert_adds_up(&ledger);
    let reason = |name: &str| find(&ledger["items"], "source", name)["reason"].clone();
    assert_eq!(reason("header.png"), "too_large");
    let ends = ["out_of_memory", "malformed", "reader_crashed", "timed_out"];
    assert!(ends.iter().any(|end| reason("real.png") == *end), "{ledger:#}");
    assert_eq!(reason("good.gif"), "ocr");
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 1_200_000, "the server took {peak} KiB");
}

/// Runs a program as the OCR program is run.
fn confined(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let settings = json!({
        "program": program, "arguments": arguments,
        "memory_limit_bytes": 1_u64 << 30, "cpu_seconds": 30,
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["ocr-worker", &settings.to_string()])
        .env("SECRET", "of the server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that is refused closes its end.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_confined_program_reads_its_input_and_nothing_of_the_system() {
    let echoed = confined("/bin/cat", &[], b"what it was given");
    assert_eq!(echoed.stdout, b"what it was given", "{echoed:?}");
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "a key").unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for path in
        ["/etc/passwd", "/proc/self/environ", secret.to_str().unwrap(), own.to_str().unwrap()]
    {
        let refused = confined("/bin/cat", &[path], b"");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains("denied"), "{path}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{path}: {refused:?}");
    }
    let variables = confined("/usr/bin/env", &[], b"");
    let shown = String::from_utf8(variables.stdout).unwrap();
    assert!(!shown.contains("SECRET") && shown.contains("OMP_THREAD_LIMIT=1"), "{shown}");
    let other = confined("/usr/bin/env", &["/bin/cat"], b"what it was given");
    assert!(!other.status.success() && other.stdout.is_empty(), "{other:?}");
    let missing = confined("/nonexistent/tesseract", &[], b"");
    assert_eq!(missing.status.code(), Some(104), "{missing:?}");
}

#[test]
fn the_ocr_program_itself_reaches_no_network_and_writes_no_file() {
    let listed = confined("/usr/bin/tesseract", &["--list-langs"], b"");
    let languages = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(languages.contains("eng") && languages.contains("deu"), "{listed:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}/picture.png", listener.local_addr().unwrap());
    let fetching = confined("/usr/bin/tesseract", &[&address, "stdout"], b"");
    assert_eq!(fetching.status.signal(), Some(SIGSYS), "{fetching:?}");
    assert!(listener.accept().is_err(), "it reached the network");
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("written");
    let picture = fs::read(fixture("ocr/letter.gif")).unwrap();
    confined("/usr/bin/tesseract", &["stdin", target.to_str().unwrap(), "-l", "eng"], &picture);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it wrote a file");
    let reading = confined("/usr/bin/tesseract", &["/etc/passwd", "stdout"], b"");
    let shown = String::from_utf8_lossy(&reading.stdout).into_owned();
    assert!(!reading.status.success() && !shown.contains("root"), "{reading:?}");
}
