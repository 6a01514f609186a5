//! `cairn extract` on documents of many formats, against what another program makes of them.
//!
//! Called by: cargo test. Talks to: the command line; no home and no server are needed.
//! Invariants: texts are compared as sequences of words without markup: twice the longest common
//! subsequence over the sum of both lengths; tables by their cells: the share of the expected
//! cells that are cells here too; headings and list items by the same share, weighed against those
//! that are only here. Each format is measured by itself against a floor, and no file is.
//! The list and what is left out of it, each with its reason, is `fixtures/formats/pairs.tsv`.

use std::collections::{BTreeMap, HashMap};
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
    let texts: Vec<&str> =
        blocks(document).map(|block| block["text"].as_str().expect("a text")).collect();
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

fn cells(document: &Value) -> Vec<String> {
    let rows = blocks(document).filter_map(|block| block["rows"].as_array()).flatten();
    let cells = rows.flat_map(|row| row.as_array().expect("a row"));
    cells.map(|cell| words(cell.as_str().expect("a cell")).join(" ")).collect()
}

fn blocks(document: &Value) -> impl Iterator<Item = &Value> {
    document["blocks"].as_array().expect("blocks").iter()
}

/// The blocks of a kind, each by the words of its first line.
fn of_kind(document: &Value, kind: &str) -> Vec<String> {
    let found = blocks(document).filter(|block| block["kind"] == kind);
    let lines = found.filter_map(|block| block["text"].as_str()?.lines().next());
    lines.map(|line| words(line).join(" ")).filter(|line| !line.is_empty()).collect()
}

/// Headings of a Markdown text, as words.
fn expected_headings(markdown: &str) -> Vec<String> {
    let is_heading = |line: &&str| {
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        (1..=6).contains(&marks) && line[marks..].starts_with(' ')
    };
    let headings = markdown.lines().filter(is_heading).map(|line| words(line).join(" "));
    headings.filter(|heading| !heading.is_empty()).collect()
}

/// Items of the lists of a Markdown text, each by the words of its first line.
fn expected_items(markdown: &str) -> Vec<String> {
    let item = |line: &str| {
        let line = line.trim_start();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let rest = match digits {
            0 => ["- ", "* ", "+ "].into_iter().find_map(|mark| line.strip_prefix(mark)),
            _ => [". ", ") "].into_iter().find_map(|mark| line[digits..].strip_prefix(mark)),
        }?;
        let boxes = ["[ ] ", "[x] ", "[X] "];
        let rest = boxes.into_iter().find_map(|tick| rest.strip_prefix(tick)).unwrap_or(rest);
        Some(words(rest).join(" "))
    };
    markdown.lines().filter_map(item).filter(|item| !item.is_empty()).collect()
}

/// Things that another program finds in a document and things that are found here.
#[derive(Clone, Copy, Default)]
struct Tally {
    expected: usize,
    found: usize,
    shared: usize,
}

impl Tally {
    fn of(expected: &[String], found: Vec<String>) -> Self {
        let mut have: HashMap<String, usize> = HashMap::new();
        let count = found.len();
        found.into_iter().for_each(|thing| *have.entry(thing).or_default() += 1);
        let shared = expected.iter().filter(|thing| match have.get_mut(*thing) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        });
        Self { expected: expected.len(), found: count, shared: shared.count() }
    }

    fn with(self, other: Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            found: self.found + other.found,
            shared: self.shared + other.shared,
        }
    }

    /// The share of the expected things that are here too; none where none are expected.
    fn recall(self) -> Option<f64> {
        (self.expected > 0).then(|| self.shared as f64 / self.expected as f64)
    }

    /// The same, weighed against what is here and was not expected.
    fn agreement(self) -> Option<f64> {
        let all = self.expected + self.found;
        (self.expected > 0).then(|| 2.0 * self.shared as f64 / all as f64)
    }
}

struct Score {
    name: String,
    text: f64,
    cells: Tally,
    headings: Tally,
    items: Tally,
}

fn score(source: &Path, expected: &Path) -> Score {
    let document = extracted(source);
    let expected = fs::read_to_string(expected).expect("an expected text");
    Score {
        name: source.file_name().expect("a name").to_string_lossy().into_owned(),
        text: similarity(&words(&text(&document)), &words(&expected)),
        cells: Tally::of(&expected_cells(&expected), cells(&document)),
        headings: Tally::of(&expected_headings(&expected), of_kind(&document, "heading")),
        items: Tally::of(&expected_items(&expected), of_kind(&document, "list_item")),
    }
}

/// What is reached with the files of one ending, a bit below it. None where the other program finds
/// no such thing.
struct Floor {
    ending: &'static str,
    text: f64,
    cells: Option<f64>,
    headings: Option<f64>,
    items: Option<f64>,
}

const fn floor(
    ending: &'static str,
    text: f64,
    cells: Option<f64>,
    headings: Option<f64>,
    items: Option<f64>,
) -> Floor {
    Floor { ending, text, cells, headings, items }
}

/// Zero is a structure that is not read: AsciiDoc is plain text here, and items of lists in a PDF are
/// paragraphs. The references of an article (nxml) are a list to the other program alone.
const FLOORS: [Floor; 16] = [
    floor("asciidoc", 0.87, Some(0.0), Some(0.0), Some(0.0)),
    floor("csv", 0.99, Some(0.99), None, None),
    floor("doc", 0.99, Some(0.99), Some(0.99), Some(0.99)),
    floor("docx", 0.94, Some(0.96), Some(0.98), Some(0.83)),
    floor("html", 0.94, Some(0.84), Some(0.97), Some(0.61)),
    floor("md", 0.95, Some(0.96), Some(0.99), Some(0.99)),
    floor("nxml", 0.84, Some(0.99), Some(0.93), Some(0.05)),
    floor("odp", 0.75, Some(0.99), Some(0.79), Some(0.99)),
    floor("ods", 0.96, Some(0.99), None, None),
    floor("odt", 0.98, Some(0.95), Some(0.94), Some(0.99)),
    floor("pdf", 0.93, Some(0.22), Some(0.86), Some(0.0)),
    floor("pptx", 0.85, Some(0.99), Some(0.99), Some(0.99)),
    floor("vtt", 0.82, None, None, None),
    floor("xls", 0.94, Some(0.99), None, None),
    floor("xlsm", 0.99, Some(0.99), Some(0.99), None),
    floor("xlsx", 0.85, Some(0.99), Some(0.93), None),
];

fn shown(share: Option<f64>) -> String {
    share.map_or_else(|| "    -".to_owned(), |share| format!("{share:.3}"))
}

/// Judges the files of each ending by themselves: what one format has much of would hide another.
fn assert_close(scores: &[Score]) {
    let mut formats: BTreeMap<&str, Vec<&Score>> = BTreeMap::new();
    for score in scores {
        let ending = score.name.rsplit('.').next().unwrap_or_default();
        formats.entry(ending).or_default().push(score);
    }
    let mut below = Vec::new();
    for (ending, scores) in formats {
        let sum = |of: fn(&Score) -> Tally| {
            scores.iter().fold(Tally::default(), |sum, score| sum.with(of(score)))
        };
        let text = scores.iter().map(|score| score.text).sum::<f64>() / scores.len() as f64;
        let cells = sum(|score| score.cells).recall();
        let headings = sum(|score| score.headings).agreement();
        let items = sum(|score| score.items).agreement();
        eprintln!(
            "{ending:9} {:3} files: text {text:.3}, cells {}, headings {}, list items {}",
            scores.len(),
            shown(cells),
            shown(headings),
            shown(items)
        );
        for score in scores {
            eprintln!("  {:44} {:.3}", score.name, score.text);
        }
        let floor = FLOORS.iter().find(|floor| floor.ending == ending);
        let floor = floor.unwrap_or_else(|| panic!("no floor for files that end in {ending}"));
        for (what, reached, least) in [
            ("text", Some(text), Some(floor.text)),
            ("cells", cells, floor.cells),
            ("headings", headings, floor.headings),
            ("list items", items, floor.items),
        ] {
            if reached.zip(least).is_some_and(|(reached, least)| reached < least) {
                below.push(format!("{what} of {ending}: {} of {}", shown(reached), shown(least)));
            }
        }
    }
    let mean = scores.iter().map(|score| score.text).sum::<f64>() / scores.len() as f64;
    eprintln!("{} files, mean {mean:.3}", scores.len());
    assert!(mean >= LEAST, "mean similarity {mean:.3}");
    assert!(below.is_empty(), "{below:#?}");
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
