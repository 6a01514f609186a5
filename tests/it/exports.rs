//! Exports of other programs become documents with author, date and thread.
//!
//! Called by: cargo test. Talks to: `cairn::extract`, in this process, and a server.
//! Invariants: the exports are borrowed as they are and lie under `tests/fixtures`; every file of
//! an archive is a document or listed with a reason.

use std::io::{self, Read};
use std::path::Path;

use cairn::extract::{ExtractLimits, ExtractRequest, ExtractSink, extract, refusal};
use cairn::types::{
    Block, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument, FormatHint,
};

use serde_json::Value;

use crate::harness::{Home, Server, assert_adds_up, find, fixture, sources};

/// One document with its text.
#[derive(Debug)]
struct Page {
    path: String,
    document: ExtractedDocument,
    blocks: Vec<Block>,
}

impl Page {
    fn text(&self) -> String {
        let texts: Vec<&str> = self.blocks.iter().map(|block| block.text.as_str()).collect();
        texts.join("\n")
    }

    fn fact(&self, key: &str) -> &str {
        self.document.metadata.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// Everything that came out of a file, at every depth.
#[derive(Debug, Default)]
struct All {
    documents: Vec<Page>,
    failed: Vec<(String, ExtractFailure)>,
}

impl All {
    fn ending(&self, path: &str) -> &Page {
        let found = self.documents.iter().find(|document| document.path.ends_with(path));
        found.unwrap_or_else(|| panic!("no {path} among {:#?}", self.paths()))
    }

    fn paths(&self) -> Vec<&str> {
        self.documents.iter().map(|document| document.path.as_str()).collect()
    }

    fn failure(&self, path: &str) -> &ExtractFailure {
        let found = self.failed.iter().find(|(name, _)| name.ends_with(path));
        &found.unwrap_or_else(|| panic!("{path} did not fail: {:#?}", self.failed)).1
    }
}

#[derive(Default)]
struct Sink {
    blocks: Vec<Block>,
    children: Vec<(ChildHeader, Result<Vec<u8>, ExtractFailure>)>,
}

impl ExtractSink for Sink {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.blocks.push(block);
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        let body = match body.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(refusal(&error).expect("a child's own failure").clone()),
        };
        self.children.push((header.clone(), body));
        Ok(())
    }
}

fn read(
    path: &str,
    format: Option<FormatHint>,
    media_type: Option<String>,
    bytes: &[u8],
    all: &mut All,
) {
    let request = ExtractRequest {
        name: path.to_owned(),
        media_type,
        format,
        passwords: Default::default(),
        limits: ExtractLimits::default(),
    };
    let mut sink = Sink::default();
    match extract(&request, &mut &bytes[..], &mut sink) {
        Ok(document) => {
            all.documents.push(Page { path: path.to_owned(), document, blocks: sink.blocks });
        }
        Err(failure) => all.failed.push((path.to_owned(), failure)),
    }
    for (header, body) in sink.children {
        let path = format!("{path}/{}", header.name);
        match body {
            Ok(bytes) => read(&path, header.format, header.media_type, &bytes, all),
            Err(failure) => all.failed.push((path, failure)),
        }
    }
}

fn all_of(name: &str) -> All {
    let path = fixture("exports").join(name);
    let file = Path::new(name).file_name().unwrap().to_string_lossy();
    let mut all = All::default();
    read(&file, None, None, &std::fs::read(path).unwrap(), &mut all);
    all
}

fn date(document: &Page) -> String {
    document.document.content_date.map(|date| date.to_string()).unwrap_or_default()
}

#[test]
fn a_slack_export_becomes_a_document_for_each_day_of_a_channel() {
    let all = all_of("slack/testarchive.zip");
    let day = all.ending("enrique/2016-01-15.json");
    assert_eq!(day.document.title.as_deref(), Some("#enrique, 2016-01-15"));
    assert_eq!(date(day), "2016-01-15T08:17:45Z");
    assert!(day.document.authors.iter().any(|author| author.starts_with("Harry Potter")));
    assert_eq!(day.fact("channel"), "#enrique");
    assert_eq!(day.fact("thread_id"), "slack:C0JGLMMNX");
    let text = day.text();
    assert!(text.contains("Harry Potter (08:17): what should setup.py do?"), "{text}");
    // Every entry of the archive stands in the ledger.
    for entry in ["users.json", "channels.json", "traveling-sailor/2016-03-29.json"] {
        all.ending(entry);
    }
    assert_eq!(all.failure("integration_logs.json").code, ExtractFailureCode::PartOfAnother);
    // Mentions and links are words.
    for document in &all.documents {
        let text = document.text();
        assert!(
            !text.contains("<@U") && !text.contains("&lt;") && !text.contains("<http"),
            "{text}"
        );
    }
    assert!(all.ending("users.json").text().contains("Harry Potter | abilinski"));
}

/// Words of Markdown or text, without marks, link targets and escapes.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        plain.push_str(&rest[..at]);
        rest = rest[at..].find(')').map_or("", |end| &rest[at + end + 1..]);
    }
    plain.push_str(rest);
    let plain = plain.replace("<br>", " ").replace('\\', " ").to_lowercase();
    let words = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(ToOwned::to_owned).collect()
}

/// Markdown without what is no text of the page: the links of its table of contents, the names of
/// files it embeds, the kinds of its callouts and the languages of its code.
fn without_marks(markdown: &str) -> String {
    let lines = markdown.lines().filter(|line| {
        let line = line.trim();
        !line.starts_with("- [[#") && !line.starts_with("![[") && !line.starts_with("```")
    });
    let lines = lines.map(|line| match line.split_once("> [!") {
        Some((before, mark)) => {
            let after = mark.split_once(']').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The share of the expected words that are there, each as often as it is expected.
fn share_of(expected: &[String], found: &[String]) -> f64 {
    let mut have = std::collections::HashMap::<&str, u32>::new();
    for word in found {
        *have.entry(word).or_default() += 1;
    }
    let there = expected.iter().filter(|word| {
        have.get_mut(word.as_str()).filter(|left| **left > 0).map(|left| *left -= 1).is_some()
    });
    there.count() as f64 / expected.len() as f64
}

#[test]
fn pages_of_notion_hold_every_word_that_another_program_reads() {
    let all = all_of("notion/notion-testspace.zip");
    let expected = fixture("exports/notion/expected/notion-testspace");
    let mut shares = Vec::new();
    for (page, title) in [
        ("Notion-Testspace 1590080aa5a3802488c2e857dea7aa7d.html", "Notion-Testspace"),
        ("Block Reference 1580080aa5a38194a9c0e77779ee82d5.html", "Block Reference"),
        ("Formatting Tests 1580080aa5a380d1b0c7c2f979343d88.html", "Formatting Tests"),
        ("Attachment Tests 15f0080aa5a380c6b16cfed449a03a8b.html", "Attachment Tests"),
    ] {
        let found = all.ending(page);
        assert_eq!(found.document.title.as_deref(), Some(title));
        // The other program keeps the title as the name of the file.
        let body: Vec<&str> = found.blocks.iter().skip(1).map(|b| b.text.as_str()).collect();
        let markdown = std::fs::read_to_string(expected.join(format!("{title}.md"))).unwrap();
        let share = share_of(&words(&without_marks(&markdown)), &words(&body.join("\n")));
        shares.push((title, share));
    }
    eprintln!("{shares:?}");
    assert!(shares.iter().all(|(_, share)| *share >= 0.95), "{shares:?}");
    let page = all.ending("Formatting Tests 1580080aa5a380d1b0c7c2f979343d88.html");
    assert_eq!(page.fact("path"), "Notion-Testspace");
    let home = all.ending("Notion-Testspace 1590080aa5a3802488c2e857dea7aa7d.html");
    assert_eq!(home.fact("links_to"), "Block Reference, Formatting Tests, Attachment Tests");
    assert_eq!(all.failure("index.html").code, ExtractFailureCode::PartOfAnother);
}

#[test]
fn properties_of_a_notion_row_are_its_facts() {
    let all = all_of("notion/database-row.html");
    let row = all.ending("database-row.html");
    assert_eq!(row.document.title.as_deref(), Some("Espresso machine"));
    assert_eq!(date(row), "2024-03-01T00:00:00Z");
    for (name, value) in [
        ("price_(brl)", "R$67.3"),
        ("discount", "15%"),
        ("status", "Owned"),
        ("tags", "home office, coffee"),
        ("serviced", "Yes"),
        ("sold", "No"),
        ("bought", "March 1, 2024"),
        ("manual", "https://example.com/manual"),
    ] {
        assert_eq!(row.fact(name), value, "{name}");
    }
    assert!(!row.document.metadata.contains_key("empty"));
    assert!(row.text().ends_with("A row kept for its properties rather than its body."));
}

#[test]
fn databases_of_notion_are_tables_and_read_once() {
    let all = all_of("notion/Notion.Test.Export.zip");
    let database = all.ending("Habit Tracker 152bb52ee2b5804da922efa8c3194444_all.csv");
    assert_eq!(database.document.title.as_deref(), Some("Habit Tracker"));
    assert!(
        database.blocks.iter().all(|b| matches!(b.kind, cairn::types::BlockKind::Table { .. }))
    );
    let view = all.failure("Habit Tracker 152bb52ee2b5804da922efa8c3194444.csv");
    assert_eq!(view.code, ExtractFailureCode::PartOfAnother);
    let row = all.ending("@May 1, 2025 1e6bb52ee2b581528e50ff01f95c6af2.md");
    assert_eq!(row.document.title.as_deref(), Some("@May 1, 2025"));
    assert_eq!(date(row), "2025-05-01T06:31:00Z");
    assert_eq!(row.fact("meditated"), "No");
    assert_eq!(row.fact("path"), "Habit Tracker");
}

/// The files of the Slack export, unpacked.
fn slack_files() -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(fixture("exports/slack/testarchive.zip")).unwrap();
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
    let mut files = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        if file.is_file() {
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            files.push((file.name().unwrap().into_owned(), content));
        }
    }
    files
}

/// The same files as a compressed tar archive, with a picture of `noise` bytes among them.
fn slack_tgz(noise: usize) -> Vec<u8> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    let mut state = 7_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(noise)
    .collect();
    for (name, content) in
        [("__uploads/photo.bin".to_owned(), noise)].into_iter().chain(slack_files())
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("./{name}"), content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_slack_export_in_another_kind_of_archive_gives_the_same_documents() {
    let zip = all_of("slack/testarchive.zip");
    let seven = all_of("slack/testarchive.7z");
    let mut tar = All::default();
    read("slack.tgz", None, None, &slack_tgz(0), &mut tar);
    for day in ["enrique/2016-01-15.json", "traveling-sailor/2016-03-29.json", "users.json"] {
        for other in [&seven, &tar] {
            assert_eq!(other.ending(day).text(), zip.ending(day).text(), "{day}");
            assert_eq!(other.ending(day).document, zip.ending(day).document, "{day}");
        }
    }
    assert_eq!(seven.documents.len(), zip.documents.len());
    for all in [&seven, &tar] {
        let failure = all.failure("integration_logs.json");
        assert_eq!(failure.code, ExtractFailureCode::PartOfAnother);
    }
}

#[test]
fn chats_of_teams_become_documents_with_people_and_dates() {
    let all = all_of("chats/messages.json");
    let day = all.ending("8-live-bob.ray/2024-01-05");
    assert_eq!(day.document.title.as_deref(), Some("Bob Ray, 2024-01-05"));
    assert_eq!(day.document.authors, ["live:jane.doe", "Bob Ray"]);
    assert_eq!(date(day), "2024-01-05T10:00:00Z");
    assert!(day.text().ends_with("Bob Ray (10:05): The harbour or the mill?"), "{}", day.text());
    let next = all.ending("8-live-bob.ray/2024-01-06");
    assert!(next.text().contains("[In answer to Bob Ray: The harbour or the mill?]\nThe mill"));
    let group = all.ending("19-5f0c@thread.skype/2024-01-05");
    assert_eq!(group.document.title.as_deref(), Some("Windmill restoration, 2024-01-05"));
    assert!(group.text().ends_with("Bob Ray (14:00): [File: sails.pdf]"), "{}", group.text());

    let all = all_of("chats/copied-english.txt");
    let day = all.ending("2024-01-05");
    assert_eq!(day.document.authors, ["Jane Doe", "Ray, Bob (External)"]);
    assert_eq!(date(day), "2024-01-05T10:32:00Z");
    assert!(day.text().contains("Ray, Bob (External) (10:33): I have.\nIt hangs beside the door."));
    assert_eq!(date(all.ending("2024-01-15")), "2024-01-15T16:00:00Z");
    let all = all_of("chats/copied-german.txt");
    let chat = all.ending("copied-german.txt");
    assert_eq!(chat.document.authors, ["Jörg von der Heide", "Anna Klein"]);
    assert!(chat.text().contains("Anna Klein (10:33): Ich.\nEr hängt neben der Tür."));
}

#[test]
fn each_event_of_a_borrowed_calendar_is_a_document() {
    let at = |page: &Page| page.document.event_date.map(|at| at.to_string()).unwrap_or_default();
    let all = all_of("calendar/example.ics");
    assert_eq!(all.ending("example.ics").document.title.as_deref(), Some("Holidays"));
    let christmas = all.ending("event 636a0cc1dbfd91667894465@icalendar");
    assert_eq!(christmas.document.title.as_deref(), Some("Orthodox Christmas"));
    assert_eq!(at(christmas), "2022-01-07T00:00:00Z");
    assert_eq!(christmas.fact("location"), "Russia");
    assert_eq!(all.documents.len(), 4);

    let all = all_of("calendar/multiple_calendar_components.ics");
    assert_eq!(at(all.ending("event 956630271")), "2003-12-25T00:00:00Z");
    assert_eq!(at(all.ending("event wh4t3v3r")), "2003-12-25T00:00:00Z");
    let all = all_of("calendar/america_new_york.ics");
    assert_eq!(at(&all.documents[0]), "2014-08-29T12:00:00Z");
    let all = all_of("calendar/property_params.ics");
    let people = [
        "RembrandDX <rembrand@daxlab.com>",
        "RembrandXS <rembrand@xs4all.nl>",
        "RembrandSB <rembspam@xs4all.nl>",
    ];
    assert_eq!(all.documents[0].document.authors, people);
}

/// The document of a source, as the server shows it.
fn shown(server: &Server<'_>, key: &str, ledger: &Value, source: &str) -> Value {
    let item = find(&ledger["items"], "source", source);
    let path = format!("/api/v1/tenants/demo/documents/{}", item["document_id"].as_str().unwrap());
    server.with_key(key, "GET", &path, b"").json()
}

#[test]
fn a_server_knows_exports_that_are_no_small_zip() {
    // Less than each of the archives, more than the lists and days of the chat when compressed.
    let home = Home::with_config("[ingest]\nmax_parse_bytes = 200000\n");
    let server = home.serve();
    let key = server.key("demo");
    let dir = tempfile::tempdir().unwrap();
    let tgz = dir.path().join("slack.tgz");
    std::fs::write(&tgz, slack_tgz(300_000)).unwrap();
    // The same export, unpacked and dropped file by file.
    let loose = dir.path().join("export");
    for (name, content) in slack_files() {
        let path = loose.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    home.add(&[
        &tgz,
        &loose,
        &fixture("exports/chats/messages.json"),
        &fixture("exports/calendar/example.ics"),
    ]);
    let ledger = server.settle();
    assert_adds_up(&ledger);

    let day = shown(&server, &key, &ledger, "slack.tgz/enrique/2016-01-15.json");
    assert_eq!(day["title"], "#enrique, 2016-01-15", "{day:#}");
    assert_eq!(day["media_type"], "application/x-chat+json");
    assert_eq!(day["dates"]["content"], "2016-01-15T08:17:45Z");
    assert!(day["authors"].as_array().unwrap().contains(&"Harry Potter".into()), "{day:#}");

    let day = shown(&server, &key, &ledger, "export/enrique/2016-01-15.json");
    assert_eq!(day["title"], "#enrique, 2016-01-15", "{day:#}");
    assert_eq!(day["media_type"], "application/x-chat+json");
    let members = shown(&server, &key, &ledger, "export/users.json");
    assert_eq!(members["title"], "Slack members", "{members:#}");

    let chat = shown(&server, &key, &ledger, "messages.json/8-live-bob.ray/2024-01-06");
    assert_eq!(chat["authors"], serde_json::json!(["live:jane.doe"]), "{chat:#}");
    let event = "example.ics/event 636a0cc1dbfd91667894465@icalendar";
    let event = shown(&server, &key, &ledger, event);
    assert_eq!(event["dates"]["event"], "2022-01-07T00:00:00Z", "{event:#}");
    assert_eq!(event["media_type"], "application/x-event+json");

    // The date of an event is what its search is narrowed by.
    let found = home.json(&[
        "search",
        "demo",
        "Christmas",
        "--mode",
        "keyword",
        "--after",
        "2022-01-06",
        "--before",
        "2022-01-08",
    ]);
    assert_eq!(sources(&found), ["example.ics/event 636a0cc1dbfd91667894465@icalendar"]);
}
