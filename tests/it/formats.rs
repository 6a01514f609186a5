//! `cairn extract` on documents of many formats, against what another program makes of them.
//!
//! Called by: cargo test. Talks to: the command line; no home and no server are needed.
//! Invariants: texts are compared as sequences of words without markup: twice the longest common
//! subsequence over the sum of both lengths; tables by their cells: the share of the expected
//! cells that are cells here too. A mean holds for a whole list and no file is treated by itself.
//! The list and what is left out of it, each with its reason, is `fixtures/formats/pairs.tsv`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::fixture;
use crate::mail;

const LEAST: f64 = 0.9;

pub fn extracted(path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.arg("extract").arg(path).arg("--json").env("CAIRN_HOME", "/no/such/home");
    let output = command.output().expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", path.display());
    serde_json::from_slice(&output.stdout).expect("the program writes JSON")
}

pub fn text(document: &Value) -> String {
    let blocks = document["blocks"].as_array().expect("blocks").iter();
    let texts: Vec<&str> = blocks.map(|block| block["text"].as_str().expect("a text")).collect();
    texts.join("\n")
}

/// Markdown without comments, link targets and escapes.
fn unmarked(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some(at) = rest.find("<!--") {
        out.push_str(&rest[..at]);
        rest = rest[at..].find("-->").map_or("", |end| &rest[at + end + 3..]);
    }
    out.push_str(rest);
    let mut plain = String::new();
    let mut rest = out.as_str();
    while let Some(at) = rest.find("](") {
        plain.push_str(&rest[..=at]);
        rest = rest[at..].find(')').map_or("", |end| &rest[at + end + 1..]);
    }
    plain.push_str(rest);
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("&quot;", "\"")] {
        plain = plain.replace(entity, character);
    }
    plain.replace(" 00:00:00", "")
}

/// Lower-case words; a list's numbers are its layout.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in unmarked(text).lines() {
        let line = line.trim_start();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let numbered = (1..4).contains(&digits) && line[digits..].starts_with(". ");
        let line = if numbered { &line[digits..] } else { line };
        let plain = line.replace(['\'', '’', '\u{ad}', '\\'], "").to_lowercase();
        let found = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.extend(found.map(str::to_owned));
    }
    words
}

pub fn similarity(a: &[String], b: &[String]) -> f64 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    let mut row = vec![0_u32; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (at, other) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    2.0 * f64::from(row[b.len()]) / (a.len() + b.len()) as f64
}

/// Cells of the tables of a Markdown text, as words.
fn expected_cells(markdown: &str) -> Vec<String> {
    let rows = markdown.lines().filter(|line| line.starts_with('|'));
    let rows = rows.filter(|line| line.contains(|c: char| !matches!(c, '|' | '-' | ':' | ' ')));
    let cells = rows.flat_map(|row| {
        let row = row.replace("\\|", "\u{1}");
        row.split('|').map(|cell| words(cell).join(" ")).collect::<Vec<_>>()
    });
    cells.filter(|cell| !cell.is_empty()).collect()
}

fn cells(document: &Value) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for block in document["blocks"].as_array().expect("blocks") {
        let Some(rows) = block["rows"].as_array() else {
            continue;
        };
        for cell in rows.iter().flat_map(|row| row.as_array().expect("a row")) {
            let cell = words(cell.as_str().expect("a cell")).join(" ");
            *counts.entry(cell).or_insert(0) += 1;
        }
    }
    counts
}

struct Score {
    name: String,
    text: f64,
    cells: usize,
    found: usize,
}

fn score(source: &Path, expected: &Path) -> Score {
    let document = extracted(source);
    let expected = fs::read_to_string(expected).expect("an expected text");
    let text = similarity(&words(&text(&document)), &words(&expected));
    let wanted = expected_cells(&expected);
    let mut have = cells(&document);
    let found = wanted.iter().filter(|cell| match have.get_mut(*cell) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    let found = found.count();
    let name = source.file_name().expect("a name").to_string_lossy().into_owned();
    Score { name, text, cells: wanted.len(), found }
}

fn assert_close(scores: &[Score]) {
    for Score { name, text, cells, found } in scores {
        eprintln!("{name:44} {text:.3} {found:5}/{cells}");
    }
    let mean = scores.iter().map(|score| score.text).sum::<f64>() / scores.len() as f64;
    let cells: usize = scores.iter().map(|score| score.cells).sum();
    let found: usize = scores.iter().map(|score| score.found).sum();
    let share = found as f64 / cells as f64;
    eprintln!("{} files, mean {mean:.3}, cells {share:.3}", scores.len());
    assert!(mean >= LEAST, "mean similarity {mean:.3}");
    assert!(share >= LEAST, "{share:.3} of {cells} cells");
}

/// The full data, where the machine has it.
pub fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("CAIRN_DATA").map(PathBuf::from);
    let found = given
        .into_iter()
        .chain([root.join("../shared/data"), root.join("../../shared/data")])
        .find(|path| path.join("docs/docling").is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: no data under CAIRN_DATA or ../shared/data");
    }
    found
}

#[test]
fn office_documents_read_as_another_program_reads_them() {
    let folder = fixture("formats/docling");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let scores: Vec<Score> = files
        .iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let expected = folder.join("expected").join(format!("{name}.md"));
            expected.is_file().then(|| score(path, &expected))
        })
        .collect();
    assert!(scores.len() >= 20, "only {} files", scores.len());
    assert_close(&scores);
}

#[test]
fn all_listed_pairs_read_as_another_program_reads_them() {
    let Some(data) = data() else {
        return;
    };
    let list = fs::read_to_string(fixture("formats/pairs.tsv")).expect("the list of pairs");
    let mut scores = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split('\t');
        let (Some(source), Some(expected), reason) = (fields.next(), fields.next(), fields.next())
        else {
            panic!("not a pair: {line}");
        };
        if reason.is_none() {
            scores.push(score(&data.join("docs").join(source), &data.join("docs").join(expected)));
        }
    }
    assert!(scores.len() >= 60, "only {} pairs", scores.len());
    assert_close(&scores);
}

/// Everything a reader of the document sees, facts included, as words on one line.
fn seen(document: &Value) -> String {
    let mut all = vec![document["title"].as_str().unwrap_or_default().to_owned()];
    let authors = document["authors"].as_array().into_iter().flatten();
    for author in authors.filter_map(Value::as_str) {
        all.push(format!("Authors: {author}"));
        // Whoever a mail is from, by address alone as well.
        let address = author.rsplit_once('<').map(|(_, address)| address);
        all.extend(address.map(|address| format!("From: {address}")));
    }
    let facts = document["metadata"].as_object().into_iter().flatten();
    all.extend(facts.filter_map(|(_, value)| value.as_str()).map(str::to_owned));
    all.push(text(document));
    format!(" {} ", words(&all.join("\n")).join(" "))
}

/// The same of a file read in this process, and of every file inside it.
fn seen_inside(name: &str, bytes: &[u8], all: &mut (String, String)) {
    let Some(found) = mail::read(name, None, bytes) else { return };
    let mut document = serde_json::to_value(&found.document).expect("a document");
    document["blocks"] = serde_json::json!([{ "text": found.text }]);
    all.0.push_str(&seen(&document));
    all.1.push_str(&found.text);
    for (header, bytes) in &found.children {
        seen_inside(&header.name, bytes, all);
    }
}

/// Checks the listed strings of every file that lies in one of the folders.
fn assert_strings(folders: &[PathBuf]) -> usize {
    let list = fs::read_to_string(fixture("formats/markitdown/strings.tsv")).expect("the strings");
    let mut documents: HashMap<String, Option<(String, String)>> = HashMap::new();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, kind, string] = fields.as_slice() else {
            continue;
        };
        let found = documents.entry((*file).to_owned()).or_insert_with(|| {
            let path =
                folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file())?;
            let document = extracted(&path);
            let mut all = (seen(&document), text(&document));
            if document["container"] == true {
                seen_inside(file, &fs::read(&path).expect("the file"), &mut all);
            }
            Some(all)
        });
        let Some((words_seen, text)) = found else {
            continue;
        };
        checked += 1;
        let right = if *kind == "must" {
            words_seen.contains(&format!(" {} ", words(string).join(" ")))
        } else {
            !text.contains(string)
        };
        if !right {
            wrong.push(line.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    checked
}

#[test]
fn strings_that_must_be_in_a_document_are_and_others_are_not() {
    let checked = assert_strings(&[fixture("formats/markitdown"), fixture("documents/markitdown")]);
    assert!(checked >= 50, "only {checked} strings");
}

#[test]
fn strings_hold_on_all_files_of_the_list() {
    if let Some(data) = data() {
        let checked = assert_strings(&[data.join("docs/markitdown/test_files")]);
        assert!(checked >= 75, "only {checked} strings");
    }
}

/// The strings of the lists in the source of the vectors: those of each line, and of each list on
/// one line.
fn literals(vectors: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_list = false;
    for line in vectors.lines().map(str::trim) {
        let begins = line.find("must_include=[").or(line.find("must_not_include=["));
        in_list |= begins.is_some();
        if in_list {
            let mut rest = line;
            while let Some(start) = rest.find(['"', '\'']) {
                let quote = &rest[start..=start];
                let Some(length) = rest[start + 1..].find(quote) else { break };
                found.push(rest[start + 1..start + 1 + length].to_owned());
                rest = rest[start + length + 2..].trim_start_matches(',').trim_start();
                if rest.starts_with('#') {
                    break;
                }
            }
        }
        in_list &= !line.ends_with("],") && line != "]";
    }
    found
}

#[test]
fn no_string_of_the_vectors_is_left_out_without_a_reason() {
    let Some(data) = data() else { return };
    let vectors = fs::read_to_string(data.join("docs/markitdown/_test_vectors.py")).unwrap();
    let list = fs::read_to_string(fixture("formats/markitdown/strings.tsv")).expect("the strings");
    let listed: Vec<&str> = list.lines().filter_map(|line| line.split('\t').nth(2)).collect();
    let literals = literals(&vectors);
    assert!(literals.len() >= 90, "{} strings", literals.len());
    for string in literals {
        assert!(listed.contains(&string.as_str()), "{string} is not in the list");
    }
}
