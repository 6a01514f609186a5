//! Archives and documents that others made to break or to fool a reader, each through a server.
//!
//! Called by: cargo test. Talks to: a server and its extraction workers.
//! Invariants: every file and everything inside it ends in a state with a reason that a person
//! understands; no reader crashes; no name that a file gives appears on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::process::{kib, peak_of_children};
use crate::harness::{Home, assert_adds_up, find, fixture};

/// Most memory of one worker, and of the server.
const MOST_KIB: u64 = 1 << 20;
/// Reasons that are the file's own. A reader that crashed or ran out of time or memory is a fault.
const OWN_REASONS: [&str; 9] = [
    "empty_file",
    "malformed",
    "needs_ocr",
    "nested_too_deep",
    "no_text",
    "password_required",
    "too_large",
    "unsupported_type",
    "quota",
];

/// All files below a folder; what goes away meanwhile is passed over.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// What is wrong with what the ledger says about an item, if anything.
pub fn unclear(item: &Value) -> Option<String> {
    let state = item["state"].as_str().unwrap_or_default();
    if matches!(state, "indexed" | "duplicate" | "superseded") {
        return None;
    }
    let reason = item["reason"].as_str().unwrap_or_default();
    let detail = item["detail"].as_str().unwrap_or_default();
    let sentence = detail.len() > 15
        && detail.contains(' ')
        && !detail.contains("Error {")
        && !detail.contains("Mismatch")
        && !detail.contains("panicked")
        && !detail.contains("broke its reader");
    let known = OWN_REASONS.contains(&reason) && matches!(state, "failed" | "unsupported");
    (!known || !sentence).then(|| format!("{item:#}"))
}

/// Reads folders through a server and checks what comes of every file in them.
fn read_all(folders: &[PathBuf]) -> Value {
    // Little of each text is enough: what counts is how reading ends.
    let home = Home::with_config("[ingest]\nmax_text_per_document = 1000\n");
    let server = home.serve();
    let mut dropped = 0;
    let ((), peak) = peak_of_children(server.pid(), || {
        for folder in folders {
            let report = home.add(&[folder]);
            assert_eq!(report["errors"], serde_json::json!([]), "{report:#}");
            dropped += files_below(folder).len() as u64;
        }
    });
    let (ledger, peak_later) = peak_of_children(server.pid(), || server.settle());
    assert!(assert_adds_up(&ledger) > dropped, "nothing was found inside {dropped} files");
    let items = ledger["items"].as_array().expect("items");
    let bad: Vec<String> = items.iter().filter_map(unclear).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(peak.max(peak_later) < MOST_KIB, "a worker took {} KiB", peak.max(peak_later));
    let own = kib(server.pid(), "VmHWM:");
    assert!(own < MOST_KIB, "the server took {own} KiB");
    assert_nothing_written(&home, items);
    ledger
}

/// Files are kept under names of our own: none that an archive gives is on the disk.
fn assert_nothing_written(home: &Home, items: &[Value]) {
    let sources = items.iter().filter_map(|item| item["source"].as_str());
    let names: BTreeSet<&str> = sources
        .filter_map(|source| source.rsplit('/').next())
        .filter(|n| n.contains('.'))
        .collect();
    let beside = home.path().parent().expect("a home lies in a folder");
    for path in files_below(beside) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(!names.contains(name), "{} is named by an archive", path.display());
    }
    for outside in ["/tmp/evil.txt", "/tmp/evil.sh", "/tmp/subdir/evil.txt"] {
        assert!(!Path::new(outside).exists(), "{outside} was written");
    }
}

#[test]
fn hostile_archives_and_documents_end_with_a_reason() {
    let ledger = read_all(&[
        fixture("robust/extractcode"),
        fixture("robust/poi"),
        fixture("archives/extractcode"),
        fixture("formats/poi"),
    ]);
    let items = &ledger["items"];
    for (source, state, reason) in [
        ("extractcode/zip/exceptionhero.javascript.1.0.5.nupkg", "indexed", Some("container")),
        ("poi/xxe_in_schema.xlsx", "indexed", None),
        ("poi/password.xls", "failed", Some("password_required")),
        ("extractcode/basic.rar", "unsupported", Some("unsupported_type")),
        ("extractcode/zip_broken.zip", "failed", Some("malformed")),
        ("extractcode/7zip_password.7z", "failed", Some("password_required")),
    ] {
        let source = items
            .as_array()
            .expect("items")
            .iter()
            .filter_map(|item| item["source"].as_str())
            .find(|found| found.ends_with(source.rsplit('/').next().unwrap_or(source)))
            .unwrap_or_else(|| panic!("{source} is not in the ledger"));
        let item = find(items, "source", source);
        assert_eq!(item["state"], state, "{item:#}");
        assert_eq!(item["reason"].as_str(), reason, "{item:#}");
    }
    // A link is listed under its own name and never followed.
    let links = items.as_array().expect("items").iter().filter(|item| {
        item["detail"].as_str().is_some_and(|detail| detail.contains("links are not followed"))
    });
    assert!(links.count() >= 3);
}

#[test]
fn all_hostile_files_that_the_machine_has_end_with_a_reason() {
    if let Some(data) = crate::formats::data() {
        read_all(&[data.join("robust/extractcode"), data.join("robust/poi-password")]);
    }
}

#[test]
fn entities_from_outside_are_never_expanded() {
    const SECRET: &str = "the secret of the host";
    let dir = tempfile::tempdir().expect("a folder");
    let secret = dir.path().join("secret.txt");
    fs::write(&secret, SECRET).expect("a file");
    let declared = format!("<!ENTITY x SYSTEM \"file://{}\">", secret.display());
    let laughs: String = ('b'..='j')
        .map(|name| {
            let before = char::from(name as u8 - 1);
            format!("<!ENTITY {name} \"{}\">", format!("&{before};").repeat(10))
        })
        .collect();
    let folder = dir.path().join("attacks");
    fs::create_dir(&folder).expect("a folder");
    let page = |name: &str, declared: &str, body: &str| {
        let text = format!("<?xml version=\"1.0\"?><!DOCTYPE r [{declared}]>{body}");
        fs::write(folder.join(name), text).expect("a file");
    };
    page("outside.xml", &declared, "<r>narwhal before &x; after</r>");
    page("laughs.xml", &format!("<!ENTITY a \"lol\">{laughs}"), "<r>narwhal &j; after</r>");
    page("dtd.xml", "<!ENTITY % x SYSTEM \"http://127.0.0.1:9/x.dtd\"> %x;", "<r>narwhal</r>");
    page("picture.svg", &declared, "<svg><text>narwhal &x;</text></svg>");
    page("page.xhtml", &declared, "<html><body><p>narwhal &x; &a;</p></body></html>");
    page("feed.rss", &declared, "<rss><channel><title>narwhal &x;</title></channel></rss>");
    let home = Home::new();
    let server = home.serve();
    let (ledger, peak) = peak_of_children(server.pid(), || {
        home.add(&[&folder]);
        server.settle()
    });
    assert_eq!(assert_adds_up(&ledger), 6);
    for item in ledger["items"].as_array().expect("items") {
        assert_eq!(unclear(item), None);
    }
    assert!(peak < MOST_KIB, "a worker took {peak} KiB");
    let found = home.search("narwhal", "keyword");
    assert!(found["results"].as_array().expect("results").len() >= 5, "{found:#}");
    for mode in ["keyword", "hybrid"] {
        let found = home.search(SECRET, mode)["results"].to_string();
        assert!(!found.contains(SECRET) && !found.contains("lollol"), "{found}");
    }
}
