//! `cairn add`: drop files, folders or standard input into a tenant.
//!
//! Called by: `cli`. Talks to: the API, the file system.
//! Invariants: every file found is acknowledged, skipped with a reason or an error with a reason;
//! one bad file never stops the others.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;
use serde::Serialize;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::pages::{Accepted, LedgerPage, Outcome};
use super::progress::{IndexProgress, UploadProgress};
use super::terminal::{count, printable};
use super::upload::{Destination, Origin, Upload, send};
use super::wait::{Settled, outcome, until_items_settle};
use super::walk::{Found, NotSent, walk};
use crate::types::{ItemId, ItemState, LedgerItem};

/// Uploads in flight at once.
const PARALLEL: usize = 4;
/// Reasons printed before the rest is only counted.
const REASONS_SHOWN: usize = 20;

/// What `add` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn add demo ~/reports            a folder; sources become reports/…
  cairn add demo a.pdf b.eml          single files
  journalctl -b | cairn add demo - --name boot.log
  cairn add demo --documents-jsonl corpus.jsonl")]
pub struct AddArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Files and folders to drop; `-` is standard input
    #[arg(required = true, value_name = "PATH|-")]
    paths: Vec<PathBuf>,
    /// Source of what comes from standard input
    #[arg(long, value_name = "SOURCE")]
    name: Option<String>,
    /// Put this path before every source
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Collection to add to
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Every file is JSON Lines with one document per line: `_id`, `title`, `text`, other fields
    #[arg(long)]
    documents_jsonl: bool,
    /// Take in what symbolic links inside folders point to
    #[arg(long)]
    follow: bool,
    /// Return once everything is stored; indexing goes on while a server runs
    #[arg(long)]
    no_wait: bool,
}

/// The result as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Files acknowledged: the sum of the next three.
    received: u64,
    accepted: u64,
    duplicate: u64,
    unchanged: u64,
    errors: Vec<NotSent>,
    skipped: Vec<NotSent>,
    /// Items found by keyword only, because the model is missing or failed.
    without_vectors: u64,
    /// What was dropped and everything found inside, in its state when the command ended.
    items: Vec<LedgerItem>,
}

/// Runs the command.
///
/// # Errors
/// When the tenant is not there, the command line makes no sense, or the server goes away.
/// Files that cannot be read are not an error here: they are in the report, and exit code 1.
pub async fn run(client: &Client, output: Output, args: AddArgs) -> Result<Exit, CliError> {
    // An unknown tenant is told before a large folder is walked.
    let before: LedgerPage =
        client.get(&api(["tenants", &args.tenant, "ledger"]).with("limit", "1")).await?;
    let (uploads, found, bytes) = plan(&args).await?;
    let destination = Destination {
        tenant: args.tenant.clone(),
        collection: args.collection.clone(),
        documents_jsonl: args.documents_jsonl,
    };
    let mut report = Report { errors: found.errors, skipped: found.skipped, ..Report::default() };
    let roots = send_all(client, &destination, &uploads, bytes, &mut report).await;
    if !args.no_wait {
        let progress = IndexProgress::new(&before.totals);
        let settled = settle(client, &args.tenant, &roots, &mut report, &progress).await;
        progress.finish();
        report.without_vectors = settled?.without_vectors;
    }
    let exit = if report.errors.is_empty() { Exit::Done } else { Exit::Failed };
    if output.json() {
        output.value(&report)?;
    } else {
        print_summary(output, &report, client.is_server(), args.no_wait)?;
    }
    Ok(exit)
}

/// What to send, what was found amiss, and the bytes in all.
async fn plan(args: &AddArgs) -> Result<(Vec<Upload>, Found, u64), CliError> {
    let (stdin, paths): (Vec<PathBuf>, Vec<PathBuf>) =
        args.paths.iter().cloned().partition(|path| path.as_os_str() == "-");
    let mut uploads = Vec::new();
    match (stdin.len(), &args.name) {
        (0, None) => {}
        (0, Some(_)) => {
            return Err(CliError::usage("--name goes with standard input")
                .hint("Write `-` for standard input, or use --prefix for files."));
        }
        (1, Some(name)) => uploads.push(Upload {
            origin: Origin::StandardInput,
            source: name.clone(),
            file_date: None,
        }),
        (1, None) => {
            return Err(CliError::usage("standard input has no name")
                .hint("Say what to call it: `cairn add <tenant> - --name notes.txt`."));
        }
        _ => return Err(CliError::usage("standard input can be read only once")),
    }
    let (follow, prefix) = (args.follow, args.prefix.clone());
    let mut found = tokio::task::spawn_blocking(move || walk(&paths, follow, prefix.as_deref()))
        .await
        .map_err(|error| CliError::because("the folders could not be walked", &error))?;
    let bytes = found.entries.iter().filter_map(|entry| entry.size_bytes).sum();
    uploads.extend(found.entries.drain(..).map(|entry| Upload {
        origin: Origin::Path(entry.path),
        source: entry.source,
        file_date: entry.file_date,
    }));
    Ok((uploads, found, bytes))
}

/// Sends everything; returns the items that were not settled already when they were acknowledged.
async fn send_all(
    client: &Client,
    destination: &Destination,
    uploads: &[Upload],
    bytes: u64,
    report: &mut Report,
) -> Vec<ItemId> {
    let mut roots = Vec::new();
    let progress = UploadProgress::new(uploads.len() as u64, bytes);
    let mut answers = futures::stream::iter(uploads)
        .map(|upload| {
            let progress = &progress;
            async move { (upload, send(client, destination, upload, progress).await) }
        })
        .buffer_unordered(PARALLEL);
    while let Some((upload, answer)) = answers.next().await {
        progress.file_done();
        match answer {
            Ok(accepted) => {
                let item = &accepted.item;
                if accepted.outcome != Outcome::Unchanged || item.state == ItemState::Waiting {
                    roots.push(item.id);
                }
                report.take(accepted);
            }
            Err(error) => {
                report.errors.push(NotSent { source: upload.source.clone(), error: error.message });
            }
        }
    }
    progress.finish();
    roots
}

/// Waits for `roots` and replaces them in the report by what became of them and of everything
/// found inside them.
async fn settle(
    client: &Client,
    tenant: &str,
    roots: &[ItemId],
    report: &mut Report,
    progress: &IndexProgress,
) -> Result<Settled, CliError> {
    let settled = until_items_settle(client, tenant, roots, progress).await?;
    let replaced: HashSet<ItemId> = roots.iter().copied().collect();
    report.items.retain(|item| !replaced.contains(&item.id));
    report.items.extend(outcome(client, tenant, roots).await?);
    report.items.sort_unstable_by_key(|item| item.id);
    Ok(settled)
}

impl Report {
    fn take(&mut self, accepted: Accepted) {
        self.received += 1;
        match accepted.outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Unchanged => self.unchanged += 1,
        }
        self.items.push(accepted.item);
    }

    fn in_state(&self, state: ItemState) -> impl Iterator<Item = &LedgerItem> {
        self.items.iter().filter(move |item| item.state == state)
    }
}

fn print_summary(
    output: Output,
    report: &Report,
    server_runs: bool,
    no_wait: bool,
) -> Result<(), CliError> {
    output.line(format!(
        "{} received: {} new, {} with bytes that are here already, {} unchanged",
        count(report.received, "file"),
        report.accepted,
        report.duplicate,
        report.unchanged
    ))?;
    let states: Vec<String> = ItemState::ALL
        .into_iter()
        .map(|state| (report.in_state(state).count(), state))
        .filter(|(number, _)| *number > 0)
        .map(|(number, state)| format!("{number} {}", state.as_str()))
        .collect();
    if !states.is_empty() {
        let items = count(report.items.len() as u64, "item");
        output.line(format!("{items}: {}", states.join(", ")))?;
    }
    for state in [ItemState::Unsupported, ItemState::Failed] {
        let lines = report.in_state(state).map(|item| {
            let why = item.detail.as_deref().or(item.reason.as_deref()).unwrap_or_default();
            (item.source.as_str(), why)
        });
        print_reasons(output, state.as_str(), lines)?;
    }
    for (word, list) in [("skipped", &report.skipped), ("not sent", &report.errors)] {
        let lines = list.iter().map(|not| (not.source.as_str(), not.error.as_str()));
        if word == "not sent" {
            for (source, why) in lines {
                eprintln!("  {word}: {}: {}", printable(source), printable(why));
            }
        } else {
            print_reasons(output, word, lines)?;
        }
    }
    if report.without_vectors > 0 {
        output.line(format!(
            "{} can be found by keyword only: the model is not ready; see `cairn doctor`",
            count(report.without_vectors, "item")
        ))?;
    }
    if no_wait && !server_runs && report.in_state(ItemState::Waiting).next().is_some() {
        output.line("stored; indexing goes on as soon as a server or another command runs")?;
    }
    Ok(())
}

fn print_reasons<'a>(
    output: Output,
    word: &str,
    lines: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), CliError> {
    let mut hidden = 0;
    for (position, (source, why)) in lines.enumerate() {
        if position < REASONS_SHOWN {
            output.line(format!("  {word}: {}: {}", printable(source), printable(why)))?;
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        output.line(format!("  {word}: {hidden} more; see `cairn ledger` or --json"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: AddArgs,
    }

    async fn planned(words: &[&str]) -> Result<(Vec<Upload>, Found, u64), CliError> {
        let line = ["add", "t"].iter().chain(words);
        let line = Line::try_parse_from(line).unwrap();
        plan(&line.add).await
    }

    #[tokio::test]
    async fn standard_input_needs_a_name_and_only_standard_input_takes_one() {
        let (uploads, _, bytes) = planned(&["-", "--name", "notes.txt"]).await.unwrap();
        assert_eq!(uploads.len(), 1);
        assert_eq!(uploads[0].origin, Origin::StandardInput);
        assert_eq!((uploads[0].source.as_str(), bytes), ("notes.txt", 0));
        for words in [&["-"][..], &["a.txt", "--name", "b"], &["-", "-", "--name", "b"]] {
            let error = planned(words).await.unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{words:?}");
        }
    }

    #[tokio::test]
    async fn a_path_that_is_not_there_is_reported_and_the_others_are_sent() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.txt");
        std::fs::write(&file, "hello").unwrap();
        let absent = dir.path().join("absent.txt");
        let words = [absent.to_str().unwrap(), file.to_str().unwrap()];
        let (uploads, found, bytes) = planned(&words).await.unwrap();
        assert_eq!((uploads.len(), bytes), (1, 5));
        assert_eq!(found.errors[0].source, absent.to_str().unwrap());
    }
}
