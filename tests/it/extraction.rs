//! `cairn extract` on borrowed files, against what other programs make of them.
//!
//! Called by: cargo test. Talks to: the command line; no home and no server are needed.
//! Invariants: a comparison is by words, since layout and marks are a matter of taste; a threshold
//! holds for a whole group of files and none is treated by itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::fixture;

/// Share of the expected words that must be found.
const RECALL: f64 = 0.9;

fn extract(path: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.arg("extract").arg(path).args(options).env("CAIRN_HOME", "/no/such/home");
    command.output().unwrap()
}

fn extracted(path: &Path) -> Value {
    let output = extract(path, &["--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", path.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn markdown(path: &Path) -> String {
    let output = extract(path, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", path.display());
    String::from_utf8(output.stdout).unwrap()
}

/// All text of an extracted document.
fn text(document: &Value) -> String {
    let blocks = document["blocks"].as_array().unwrap().iter();
    let texts: Vec<&str> = blocks.map(|block| block["text"].as_str().unwrap()).collect();
    texts.join("\n")
}

/// Words, without what typesetting does to them.
fn words(text: &str) -> HashMap<String, usize> {
    let plain = text
        .replace('ﬁ', "fi")
        .replace('ﬂ', "fl")
        .replace('ﬀ', "ff")
        .replace(['\'', '’', '\u{ad}'], "")
        .to_lowercase();
    let mut counts = HashMap::new();
    for word in plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Share of the words of `expected` that `found` has too, each as often.
pub fn recall(expected: &str, found: &str) -> f64 {
    let (expected, found) = (words(expected), words(found));
    let all: usize = expected.values().sum();
    let hits: usize =
        expected.iter().map(|(word, count)| found.get(word).map_or(0, |has| *has.min(count))).sum();
    if all == 0 { 1.0 } else { hits as f64 / all as f64 }
}

/// The text of Markdown: without comments, targets of links, and named characters.
fn prose(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some(at) = rest.find(['<', ']', '&']) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let end = match mark.as_bytes()[0] {
            b'<' if mark.starts_with("<!--") => mark.find("-->").map(|end| end + 3),
            b']' if mark.starts_with("](") => mark.find(')').map(|end| end + 1),
            b'&' => mark.find(';').filter(|end| *end < 8).map(|end| end + 1),
            _ => None,
        };
        out.push(' ');
        rest = &mark[end.unwrap_or(1)..];
    }
    out + rest
}

fn assert_recalls(results: &[(String, f64)]) {
    let low: Vec<&(String, f64)> = results.iter().filter(|(_, recall)| *recall < RECALL).collect();
    assert!(low.is_empty(), "too few of the expected words: {low:#?}");
}

#[test]
fn documents_have_the_words_that_another_program_finds() {
    let mut results = Vec::new();
    for entry in std::fs::read_dir(fixture("documents/docling/expected")).unwrap() {
        let expected = entry.unwrap().path();
        let name = expected.file_stem().unwrap().to_str().unwrap().to_owned();
        let found = markdown(&fixture("documents/docling").join(&name));
        let expected = prose(&std::fs::read_to_string(&expected).unwrap());
        results.push((name, recall(&expected, &prose(&found))));
    }
    assert!(results.len() >= 18, "{results:?}");
    assert_recalls(&results);
}

#[test]
fn business_papers_have_the_words_that_another_program_finds() {
    let mut results = Vec::new();
    for entry in std::fs::read_dir(fixture("documents/markitdown/expected")).unwrap() {
        let expected = entry.unwrap().path();
        let name = expected.file_stem().unwrap().to_str().unwrap().to_owned();
        let found = markdown(&fixture("documents/markitdown").join(format!("{name}.pdf")));
        let expected = prose(&std::fs::read_to_string(&expected).unwrap());
        results.push((name, recall(&expected, &prose(&found))));
    }
    assert_eq!(results.len(), 3);
    assert_recalls(&results);
}

#[test]
fn pages_of_a_pdf_are_counted_and_their_text_is_read() {
    let mut results = Vec::new();
    for (name, expected) in [("crazyones", "crazyones.txt"), ("toy", "toy.layout.txt")] {
        let found = text(&extracted(&fixture("pdf/pypdf").join(format!("{name}.pdf"))));
        let expected = std::fs::read_to_string(fixture("pdf/pypdf").join(expected)).unwrap();
        results.push((name.to_owned(), recall(&expected, &found)));
    }
    assert_recalls(&results);
    for (name, pages) in [
        ("crazyones.pdf", 1),
        ("two-different-pages.pdf", 2),
        ("pdflatex-outline.pdf", 4),
        ("Seige_of_Vicksburg_Sample_OCR.pdf", 6),
    ] {
        let document = extracted(&fixture("pdf/pypdf").join(name));
        assert_eq!(document["media_type"], "application/pdf", "{name}");
        assert_eq!(document["metadata"]["pages"], pages.to_string(), "{name}");
        let starts = document["page_starts"].as_array().unwrap();
        assert_eq!(starts.len(), pages, "{name}: {starts:?}");
        assert!(starts.is_sorted_by_key(|start| start.as_u64().unwrap()), "{name}: {starts:?}");
        let blocks = document["blocks"].as_array().unwrap();
        let seen: Vec<u64> = blocks.iter().filter_map(|block| block["page"].as_u64()).collect();
        assert!(seen.is_sorted() && seen.last().is_some(), "{name}: {seen:?}");
    }
    let scripts = text(&extracted(&fixture("pdf/pypdf/multilang.pdf")));
    for (script, range) in [
        ("Arabic", '\u{600}'..='\u{6ff}'),
        ("Cyrillic", '\u{400}'..='\u{4ff}'),
        ("Thai", '\u{e00}'..='\u{e7f}'),
        ("Chinese", '\u{4e00}'..='\u{9fff}'),
        ("Japanese", '\u{3040}'..='\u{30ff}'),
    ] {
        assert!(scripts.chars().any(|c| range.contains(&c)), "no {script} in {scripts}");
    }
}

#[test]
fn offsets_of_blocks_slice_their_own_text() {
    for name in ["documents/docling/duck.md", "documents/docling/example_01.html"] {
        let document = extracted(&fixture(name));
        let length = document["text_length"].as_u64().unwrap();
        let mut last = 0;
        for block in document["blocks"].as_array().unwrap() {
            let Some(start) = block["start"].as_u64() else {
                continue;
            };
            let end = block["end"].as_u64().unwrap();
            let chars = block["text"].as_str().unwrap().chars().count() as u64;
            assert_eq!(end - start, chars, "{name}: {block:#}");
            assert!(start >= last && end <= length, "{name}: {block:#}");
            last = end;
        }
        assert!(last > 0, "{name}: no block has an offset");
    }
}

#[test]
fn a_table_in_shift_jis_and_a_web_page_are_read() {
    let table = extracted(&fixture("documents/markitdown/test_mskanji.csv"));
    let kanji = text(&table).chars().filter(|c| ('\u{3040}'..='\u{9fff}').contains(c)).count();
    assert!(kanji > 5 && !text(&table).contains('\u{fffd}'), "{}", text(&table));
    let kinds: Vec<&Value> =
        table["blocks"].as_array().unwrap().iter().map(|block| &block["kind"]).collect();
    assert!(kinds.contains(&&Value::from("table")), "{kinds:?}");
    let page = extracted(&fixture("documents/markitdown/test_blog.html"));
    assert!(page["title"].as_str().is_some_and(|title| title.len() > 5), "{:?}", page["title"]);
    assert!(!text(&page).contains("function("), "a script is taken for text");
    let headings =
        page["blocks"].as_array().unwrap().iter().filter(|block| block["kind"] == "heading");
    assert!(headings.count() >= 3);
    let unreadable = extract(&fixture("documents/markitdown/random.bin"), &[]);
    assert_eq!(unreadable.status.code(), Some(1));
}

/// A header of the first part of an expected parse.
fn header<'a>(parse: &'a Value, name: &str) -> Option<&'a Value> {
    let headers = parse["parts"][0]["headers"].as_array()?;
    headers.iter().find(|header| header["name"] == name).map(|header| &header["value"])
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn mails_have_the_subject_sender_and_body_of_the_expected_parse() {
    let mut compared = 0;
    let mut bodies = Vec::new();
    let mut mails: Vec<PathBuf> = std::fs::read_dir(fixture("mail/mail-parser"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    mails.sort();
    for mail in mails {
        let name = mail.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("malformed") {
            // No mail may end the command in any other way.
            let code = extract(&mail, &["--json"]).status.code();
            assert!(matches!(code, Some(0 | 1)), "{name}: {code:?}");
            continue;
        }
        let json = std::fs::read_to_string(mail.with_extension("json")).unwrap();
        let parse: Value = serde_json::from_str(&json).unwrap();
        let found = extracted(&mail);
        assert_eq!(found["media_type"], "message/rfc822", "{name}");
        if let Some(subject) = header(&parse, "subject").and_then(|value| value["Text"].as_str()) {
            let title = found["title"].as_str().unwrap_or_default();
            assert_eq!(squeezed(title), squeezed(subject), "{name}");
            compared += 1;
        }
        let from = header(&parse, "from").map(|value| &value["Address"]["List"][0]["address"]);
        if let Some(from) = from.and_then(Value::as_str) {
            assert!(found["authors"].to_string().contains(from), "{name}: {}", found["authors"]);
            compared += 1;
        }
        for part in parse["text_body"].as_array().unwrap() {
            let part = &parse["parts"][part.as_u64().unwrap() as usize];
            let body = part["body"]["Text"].as_str().unwrap_or_default();
            if !body.contains('\u{fffd}') {
                bodies.push((name.clone(), recall(body, &text(&found))));
            }
        }
    }
    assert!(compared >= 15 && bodies.len() >= 10, "{compared} headers, {} bodies", bodies.len());
    assert_recalls(&bodies);
}

#[test]
fn attachments_and_mails_of_an_mbox_are_listed() {
    let mbox = extracted(&fixture("mail/mime4j/mbox/mbox.rlug"));
    assert_eq!(mbox["container"], true);
    let names: Vec<&Value> =
        mbox["children"].as_array().unwrap().iter().map(|child| &child["name"]).collect();
    let expected: Vec<String> = (1..=5).map(|number| format!("message-{number:06}")).collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    let mail = extracted(&fixture("mail/mail-parser/legacy-015.eml"));
    let children = mail["children"].as_array().unwrap();
    assert_eq!(children.len(), 4, "{children:#?}");
    for child in children {
        assert!(child["size_bytes"].as_u64().unwrap() > 0, "{child:#}");
        assert!(child["name"].as_str().unwrap().starts_with("attachment-"), "{child:#}");
    }
    let printed = markdown(&fixture("mail/mail-parser/legacy-015.eml"));
    assert_eq!(printed.matches("found inside").count(), 4, "{printed}");
}

#[test]
fn a_locked_pdf_says_so_and_one_with_an_empty_password_opens() {
    for name in ["libreoffice-writer-password.pdf", "encryption/r6-user-password.pdf"] {
        let output = extract(&fixture("pdf/pypdf").join(name), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("password") && !said.contains("panicked"), "{name}: {said}");
        assert!(output.stdout.is_empty());
    }
    let open = extracted(&fixture("pdf/pypdf/encryption/r6-empty-password.pdf"));
    assert_eq!(open["media_type"], "application/pdf");
    let absent = extract(Path::new("/no/such/file.pdf"), &[]);
    assert_eq!(absent.status.code(), Some(3));
}
