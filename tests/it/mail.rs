//! Mail as other programs understand it: header, body and attachments of a borrowed collection.
//!
//! Called by: cargo test. Talks to: `cairn::extract`, in this process.
//! Invariants: a subset lies under `tests/fixtures`; the whole collection is read where the shared
//! data lies (`CAIRN_DATA`, else `/work/shared/data`), and its absence is said aloud. What counts
//! is the share of all comparisons; no mail is treated by itself.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cairn::extract::{ExtractLimits, ExtractRequest, ExtractSink, extract};
use cairn::types::{Block, ChildHeader, ExtractedDocument};
use serde_json::Value;

use crate::harness::fixture;

/// Share of what is compared that must be as expected.
const AS_EXPECTED: f64 = 0.98;

#[derive(Default)]
struct Found {
    document: ExtractedDocument,
    text: String,
    children: Vec<(ChildHeader, Vec<u8>)>,
}

impl ExtractSink for Found {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.text.push_str(&block.text);
        self.text.push('\n');
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        self.children.push((header.clone(), bytes));
        Ok(())
    }
}

fn read(name: &str, media_type: Option<&str>, bytes: &[u8]) -> Option<Found> {
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: media_type.map(ToOwned::to_owned),
        format: None,
        passwords: Default::default(),
        limits: ExtractLimits::default(),
    };
    let mut found = Found::default();
    found.document = extract(&request, &mut &bytes[..], &mut found).ok()?;
    Some(found)
}

/// The shared data, where it lies on this machine.
fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CAIRN_DATA").unwrap_or_else(|| "/work/shared/data".into());
    let path = Path::new(&root).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not on this machine", path.display());
    None
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// Words, without what layout does to them.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// The last field of that name, as the expected parse gives it.
fn field<'a>(parse: &'a Value, name: &str) -> Option<&'a Value> {
    let headers = parse["parts"][0]["headers"].as_array()?;
    headers.iter().rev().find(|header| header["name"] == name).map(|header| &header["value"])
}

/// `(name, address)` of everyone in an address field, groups spread out.
fn people(parse: &Value, name: &str) -> Vec<(String, String)> {
    let Some(address) = field(parse, name).map(|value| &value["Address"]) else {
        return Vec::new();
    };
    let list = address["List"].as_array().cloned().unwrap_or_else(|| {
        let groups = address["Group"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|g| g["addresses"].as_array().cloned().unwrap_or_default()).collect()
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    list.iter().map(|person| (text(&person["name"]), text(&person["address"]))).collect()
}

/// The expected date as RFC 3339 in its own zone.
fn date(parse: &Value) -> Option<jiff::Timestamp> {
    let date = &field(parse, "date")?["DateTime"];
    let number = |name: &str| date[name].as_i64();
    let sign = if date["tz_before_gmt"].as_bool()? { '-' } else { '+' };
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
        number("year")?,
        number("month")?,
        number("day")?,
        number("hour")?,
        number("minute")?,
        number("second")?,
        number("tz_hour")?,
        number("tz_minute")?
    );
    text.parse().ok()
}

/// Comparisons made, and those that failed.
#[derive(Default)]
struct Tally {
    made: u32,
    failed: Vec<String>,
}

impl Tally {
    fn check(&mut self, right: bool, what: impl FnOnce() -> String) {
        self.made += 1;
        if !right {
            self.failed.push(what());
        }
    }

    fn assert(&self, least: u32) {
        assert!(self.made >= least, "only {} comparisons", self.made);
        let share = 1.0 - self.failed.len() as f64 / f64::from(self.made);
        eprintln!("{share:.4} of {} as expected", self.made);
        assert!(share >= AS_EXPECTED, "{share:.4} of {}: {:#?}", self.made, self.failed);
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn compare(path: &Path, tally: &mut Tally) {
    let name = path.display().to_string();
    let parse: Value =
        serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
    let Some(found) = read(&name, Some("message/rfc822"), &std::fs::read(path).unwrap()) else {
        tally.check(false, || format!("{name}: not read"));
        return;
    };
    let facts = &found.document.metadata;
    if let Some(subject) = field(&parse, "subject").and_then(|value| value["Text"].as_str()) {
        let title = found.document.title.clone().unwrap_or_default();
        tally.check(squeezed(&title) == squeezed(subject), || format!("{name}: title {title}"));
    }
    // Which case an address is written in says nothing.
    let authors = found.document.authors.join(", ").to_lowercase();
    let to = facts.get("to").cloned().unwrap_or_default().to_lowercase();
    for (field, shown) in [("from", &authors), ("to", &to)] {
        let expected = people(&parse, field);
        let all = expected.iter().all(|(name, address)| {
            shown.contains(&squeezed(address).to_lowercase())
                && words(name).iter().all(|w| words(shown).contains(w))
        });
        if !expected.is_empty() {
            tally.check(all, || format!("{name}: {field} {shown} for {expected:?}"));
        }
    }
    if let Some(expected) = date(&parse) {
        let date = found.document.content_date;
        tally.check(date == Some(expected), || format!("{name}: {date:?} for {expected}"));
    }
    bodies(&name, &parse, &found, tally);
    attachments(&name, &parse, &found, tally);
}

fn bodies(name: &str, parse: &Value, found: &Found, tally: &mut Tally) {
    let mut have = std::collections::HashMap::<String, u32>::new();
    for word in words(&found.text) {
        *have.entry(word).or_default() += 1;
    }
    for part in parse["text_body"].as_array().unwrap() {
        let part = &parse["parts"][usize::try_from(part.as_u64().unwrap()).unwrap()];
        let body = part["body"]["Text"].as_str().unwrap_or_default();
        // Where the other program lost characters there is nothing to compare with.
        if body.trim().is_empty() || body.contains('\u{fffd}') {
            continue;
        }
        let all = words(body);
        let hits = all.iter().filter(|word| {
            have.get_mut(*word).is_some_and(|left| {
                *left = left.saturating_sub(1);
                true
            })
        });
        let recall = hits.count() as f64 / all.len().max(1) as f64;
        tally.check(recall >= 0.99, || format!("{name}: body {recall}"));
    }
}

/// Every attachment of the expected parse is a child.
fn attachments(name: &str, parse: &Value, found: &Found, tally: &mut Tally) {
    let expected = parse["attachments"].as_array().unwrap().iter().filter_map(|id| {
        let part = &parse["parts"][usize::try_from(id.as_u64().unwrap()).unwrap()];
        (part["body"]["Multipart"].is_null()).then_some(part)
    });
    let (expected, got) = (expected.count(), found.children.len());
    tally.check(got == expected, || format!("{name}: {got} attachments for {expected}"));
}

#[test]
fn mails_are_understood_as_another_program_does() {
    let mut tally = Tally::default();
    let folder = fixture("mail/mail-parser");
    let mut mails = Vec::new();
    files_below(&folder, &mut mails);
    for mail in mails.iter().filter(|path| path.extension().is_some_and(|e| e == "eml")) {
        compare(mail, &mut tally);
    }
    tally.assert(60);
}

#[test]
fn the_whole_collection_of_mails_is_understood_as_another_program_does() {
    let Some(folder) = shared("email/mail-parser/eml") else { return };
    let mut tally = Tally::default();
    let mut mails = Vec::new();
    files_below(&folder, &mut mails);
    mails.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    assert!(mails.len() >= 100, "{} mails", mails.len());
    mails.iter().for_each(|mail| compare(mail, &mut tally));
    tally.assert(500);
}

#[test]
fn no_mail_of_another_collection_breaks_the_reader() {
    let mut files = Vec::new();
    files_below(&fixture("mail/mime4j"), &mut files);
    if let Some(folder) = shared("email/mime4j") {
        files_below(&folder, &mut files);
    }
    let mut read_mails = 0;
    for file in &files {
        let name = file.display().to_string();
        let Some(found) = read(&name, None, &std::fs::read(file).unwrap()) else { continue };
        read_mails += 1;
        for (header, body) in &found.children {
            read(&header.name, header.media_type.as_deref(), body);
        }
    }
    assert!(read_mails >= 10, "{read_mails} of {} files", files.len());
}

#[test]
fn an_outlook_item_of_another_program_is_read() {
    let path = fixture("documents/markitdown/test_outlook_msg.msg");
    let found = read("test_outlook_msg.msg", None, &std::fs::read(path).unwrap()).unwrap();
    assert_eq!(found.document.media_type, "application/vnd.ms-outlook");
    assert_eq!(found.document.title.as_deref(), Some("Test Email Message"));
    for line in [
        "<test.sender@example.com>",
        "test.recipient@example.com",
        "Subject: Test Email Message",
        "This is the body of the test email message",
    ] {
        assert!(found.text.contains(line), "{line} is not in {}", found.text);
    }
}

/// Messages a second, through detection, splitting and reading, on one core.
#[test]
fn a_mailbox_is_read_at_the_pace_it_must_have() {
    let mut mbox = String::new();
    let body = "Dear all, here are some words of an ordinary length for a mail.\n".repeat(30);
    for number in 0..2000 {
        mbox.push_str(&format!(
            "From a@b Mon Jan  1 10:00:00 2024\nFrom: A <a@example.org>\nTo: b@example.org\n\
             Subject: Note {number}\nDate: Mon, 1 Jan 2024 10:00:00 +0000\n\
             Message-ID: <{number}@x>\n\n{body}\n> quoted\n> words\n\n-- \nA\n\n"
        ));
    }
    let began = std::time::Instant::now();
    let found = read("inbox", None, mbox.as_bytes()).unwrap();
    assert_eq!(found.children.len(), 2000);
    for (header, body) in &found.children {
        assert!(read(&header.name, header.media_type.as_deref(), body).is_some());
    }
    let pace = 2000.0 / began.elapsed().as_secs_f64();
    eprintln!("{pace:.0} messages a second");
    // Tests run unoptimised and beside others; the measured pace is the benchmark's affair.
    assert!(pace > 200.0, "{pace:.0} messages a second");
}
