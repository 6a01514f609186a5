//! `cairn extract`: what the extraction worker makes of one file.
//!
//! Called by: `cli`. Talks to: `extraction` (a child process), `extract` (Markdown), `chunk` (the
//! text that offsets count in).
//! Invariants: the file is parsed in the child process, never here; no home is needed or touched;
//! `start` and `end` of a block are those that search results of the same file would carry.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncRead;

use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::{lines, printable};
use crate::chunk;
use crate::config::IngestConfig;
use crate::disk::name_text;
use crate::error::chain;
use crate::extract::{ExtractLimits, ExtractRequest, Passwords, refusal, to_markdown};
use crate::extraction::{ChildSink, ExtractionConfig, ExtractionPool};
use crate::types::{ChildHeader, ExtractFailure, ExtractedDocument, FormatHint, TenantId};

/// What `extract` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn extract report.pdf > report.md
  cairn extract mails.mbox --json | jq '.children'")]
pub struct ExtractArgs {
    /// The file to read
    file: PathBuf,
    /// The file is JSON Lines with one document per line
    #[arg(long)]
    documents_jsonl: bool,
}

/// The result as `--json` prints it.
#[derive(Serialize)]
struct Report {
    name: String,
    /// Scalar values in the document's text.
    text_length: u64,
    /// Offset of the first character of each page.
    page_starts: Vec<u64>,
    /// The document as extracted, with `start` and `end` in every block that has text.
    #[serde(flatten)]
    document: Value,
    children: Vec<Child>,
}

/// A file found inside.
#[derive(Serialize)]
struct Child {
    #[serde(flatten)]
    header: ChildHeader,
    size_bytes: u64,
    /// Why it is not taken, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<ExtractFailure>,
}

/// Lists children and lets their bytes go.
#[derive(Default)]
struct Listing {
    children: Vec<Child>,
}

#[async_trait]
impl ChildSink for Listing {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), io::Error> {
        let (size_bytes, refused) = match tokio::io::copy(body, &mut tokio::io::sink()).await {
            Ok(size_bytes) => (size_bytes, None),
            Err(error) => match refusal(&error) {
                Some(failure) => (0, Some(failure.clone())),
                None => return Err(error),
            },
        };
        self.children.push(Child { header, size_bytes, refused });
        Ok(())
    }
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be opened, or has no text that the worker can read.
pub async fn run(output: Output, args: &ExtractArgs) -> Result<Exit, CliError> {
    let name = args.file.file_name().map(name_text).unwrap_or_default();
    let mut listing = Listing::default();
    let document = extract(&args.file, &name, args.documents_jsonl, &mut listing).await?;
    if output.json() {
        output.value(&report(name, &document, listing.children)?)?;
        return Ok(Exit::Done);
    }
    let markdown = to_markdown(&document);
    let markdown = markdown.trim_end();
    if !markdown.is_empty() {
        output.line(if output.bold() { lines(markdown) } else { markdown.to_owned() })?;
    }
    for child in &listing.children {
        let name = printable(&child.header.name);
        output.line(match &child.refused {
            None => format!("- found inside: {name} ({} bytes)", child.size_bytes),
            Some(why) => format!("- found inside, not taken: {name} ({})", printable(&why.message)),
        })?;
    }
    Ok(Exit::Done)
}

async fn extract(
    path: &Path,
    name: &str,
    documents_jsonl: bool,
    listing: &mut Listing,
) -> Result<ExtractedDocument, CliError> {
    let mut file = tokio::fs::File::open(path).await.map_err(|error| {
        let failed = CliError::because(path.display().to_string(), &error);
        let missing = error.kind() == io::ErrorKind::NotFound;
        if missing { CliError { exit: Exit::NotFound, ..failed } } else { failed }
    })?;
    let defaults = IngestConfig::default();
    let limits = ExtractLimits {
        max_text_bytes: defaults.max_text_per_document,
        max_parse_bytes: defaults.max_parse_bytes,
        max_children: defaults.max_children,
        max_child_bytes: defaults.max_child_bytes,
        max_total_bytes: defaults.max_archive_bytes,
    };
    let worker_exe = std::env::current_exe()
        .map_err(|error| CliError::because("this program cannot find itself", &error))?;
    let pool = ExtractionPool::new(ExtractionConfig {
        worker_exe,
        children: 1,
        time_limit: defaults.extraction_time(),
        memory_limit_bytes: defaults.extraction_memory,
        limits,
        documents_per_child: 1,
    });
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: documents_jsonl.then_some(FormatHint::DocumentsJsonl),
        passwords: Passwords::default(),
        limits,
    };
    let tenant = TenantId::generate();
    let failed = |cause: String| CliError::failed(format!("{}: {cause}", path.display()));
    Box::pin(pool.extract(tenant, request, &mut file, listing))
        .await
        .map_err(|error| failed(chain(&error)))?
        .map_err(|failure| failed(failure.message))
}

fn report(
    name: String,
    document: &ExtractedDocument,
    children: Vec<Child>,
) -> Result<Report, CliError> {
    let text = chunk::split(&document.blocks, usize::MAX, &|_| Vec::new());
    let mut value = serde_json::to_value(document)
        .map_err(|error| CliError::because("the document cannot be written as JSON", &error))?;
    let offsets = block_offsets(document, &text.text);
    if let Some(Value::Array(blocks)) = value.get_mut("blocks") {
        for (block, offsets) in blocks.iter_mut().zip(offsets) {
            if let (Value::Object(fields), Some((start, end))) = (block, offsets) {
                fields.insert("start".to_owned(), start.into());
                fields.insert("end".to_owned(), end.into());
            }
        }
    }
    Ok(Report {
        name,
        text_length: text.length_chars,
        page_starts: text.page_starts,
        document: value,
        children,
    })
}

/// Where each block stands in the document's text, in scalar values; `None` for a block that is
/// not part of it. Blocks are joined by white space only.
fn block_offsets(document: &ExtractedDocument, text: &str) -> Vec<Option<(u64, u64)>> {
    let mut rest = text;
    let mut position = 0;
    let mut offsets = Vec::with_capacity(document.blocks.len());
    for block in &document.blocks {
        let gap = ["", "\n\n", "\n"].into_iter().find(|gap| {
            !block.text.trim().is_empty()
                && rest.strip_prefix(gap).is_some_and(|at| at.starts_with(&block.text))
        });
        offsets.push(gap.map(|gap| {
            let start = position + gap.len() as u64;
            let end = start + block.text.chars().count() as u64;
            position = end;
            rest = &rest[gap.len() + block.text.len()..];
            (start, end)
        }));
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Block, BlockKind};

    fn block(kind: BlockKind, text: &str) -> Block {
        Block::new(kind, text)
    }

    #[test]
    fn offsets_of_blocks_slice_the_text_that_search_cites() {
        let item = BlockKind::ListItem { depth: 0, ordered: false };
        let document = ExtractedDocument {
            blocks: vec![
                block(BlockKind::Heading { level: 1 }, "Größe"),
                block(BlockKind::Paragraph, "  "),
                block(item.clone(), "one"),
                block(item, "two"),
            ],
            ..ExtractedDocument::default()
        };
        let text = chunk::split(&document.blocks, usize::MAX, &|_| Vec::new()).text;
        let slice = |(start, end): (u64, u64)| -> String {
            text.chars().skip(start as usize).take((end - start) as usize).collect()
        };
        let slices: Vec<Option<String>> =
            block_offsets(&document, &text).into_iter().map(|found| found.map(slice)).collect();
        let expected = [Some("Größe"), None, Some("one"), Some("two")];
        assert_eq!(slices, expected.map(|text| text.map(ToOwned::to_owned)));
    }
}
