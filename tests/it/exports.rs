//! Exports of other programs become documents with author, date and thread.
//!
//! Called by: cargo test. Talks to: `cairn::extract`, in this process.
//! Invariants: the exports are borrowed as they are and lie under `tests/fixtures`; every file of
//! an archive is a document or listed with a reason.

use std::io::{self, Read};
use std::path::Path;

use cairn::extract::{ExtractLimits, ExtractRequest, ExtractSink, extract, refusal};
use cairn::types::{
    Block, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument, FormatHint,
};

use crate::harness::fixture;

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
