//! `cairn eval`: quality and latency of search by mode, on a data set in the BEIR layout.
//!
//! Called by: `cli`. Talks to: the API, `app::eval`.
//! Invariants: every query goes through the search that users have; a document counts by its
//! source, which is its `_id`; adding the same corpus again embeds nothing again.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::pages::{LedgerPage, Outcome};
use super::progress::{IndexProgress, StepProgress, UploadProgress};
use super::search::Mode;
use super::terminal::{count, table};
use super::upload::{Destination, Origin, Upload, send};
use super::wait::{until_all_settle, until_items_settle};
use crate::app::eval::{
    BeirError, ModeScores, Qrels, Query, QueryOutcome, plain_words, read_corpus_ids, read_qrels,
    read_queries, summarise,
};
use crate::disk::name_text;

/// What `eval` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cairn eval bench --corpus corpus.jsonl --queries queries.jsonl --qrels qrels.tsv

How it measures: the corpus is added to the tenant as one document per line (a second run adds
nothing). Every query that has judgements is sent in every mode; marks of the query syntax in it
are taken as plain words. Results that are not in the corpus file, and a result whose id is the
query's own, are dropped before scoring, so let the tenant hold little else. nDCG@10 has linear
gain, as trec_eval; MRR looks as deep as recall; latency is that of the whole request.")]
pub struct EvalArgs {
    /// Tenant, by name or id
    tenant: String,
    /// JSON Lines with `_id`, `title`, `text`
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// JSON Lines with `_id`, `text`
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Judgements: query, document, score, separated by tabs, or the four columns of TREC
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Modes to measure
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values_t = [Mode::Hybrid, Mode::Keyword, Mode::Vector]
    )]
    modes: Vec<Mode>,
    /// Queries in flight at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Results asked for per query; below 100, recall at 100 cannot be measured
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(100..))]
    limit: u32,
    /// Collection the corpus is added to
    #[arg(long, default_value = "eval", value_name = "NAME")]
    collection: String,
    /// Measure what the tenant holds, without adding the corpus
    #[arg(long)]
    no_ingest: bool,
}

/// The result as `--json` prints it: one entry per mode, and how the corpus got in.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    modes: BTreeMap<&'static str, ModeScores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest: Option<Ingest>,
}

#[derive(Serialize)]
struct Ingest {
    documents: u64,
    /// True where the tenant held this very corpus already.
    unchanged: bool,
    seconds: f64,
}

/// The part of a search response that is scored.
#[derive(Deserialize)]
struct Ranked {
    results: Vec<RankedDocument>,
}

#[derive(Deserialize)]
struct RankedDocument {
    source: String,
}

/// A data set, read.
struct DataSet {
    /// Source the corpus file is added under, and its size.
    source: String,
    bytes: u64,
    corpus: HashSet<String>,
    queries: Vec<Query>,
    qrels: Qrels,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be understood, or those of the API; a mode that the appliance cannot do
/// (no model) is an error, not a row of zeros.
pub async fn run(client: &Client, output: Output, args: &EvalArgs) -> Result<Exit, CliError> {
    let set = read(args).await?;
    let ingest = if args.no_ingest { None } else { Some(ingest(client, args, &set).await?) };
    let mut modes = BTreeMap::new();
    for mode in &args.modes {
        modes.insert(mode.as_str(), measure(client, args, &set, *mode).await?);
    }
    if output.json() {
        output.value(&Report { modes, ingest })?;
        return Ok(Exit::Done);
    }
    output.line(format!(
        "judged queries: {}, {} in the corpus, concurrency {}",
        set.queries.len(),
        count(set.corpus.len() as u64, "document"),
        args.concurrency
    ))?;
    if let Some(ingest) = &ingest {
        let word = if ingest.unchanged { "was there already" } else { "was added" };
        output.line(format!("the corpus {word} ({:.1} s)", ingest.seconds))?;
    }
    output.line("")?;
    output.line(scores_table(&modes))?;
    Ok(Exit::Done)
}

/// Reads the three files and keeps the queries that have judgements.
async fn read(args: &EvalArgs) -> Result<DataSet, CliError> {
    let files = [args.corpus.clone(), args.queries.clone(), args.qrels.clone()];
    let read = tokio::task::spawn_blocking(move || {
        let [corpus, queries, qrels] = files;
        Ok::<_, CliError>(DataSet {
            source: corpus_source(&corpus),
            bytes: std::fs::metadata(&corpus).map_or(0, |metadata| metadata.len()),
            corpus: parse(&corpus, read_corpus_ids)?,
            queries: parse(&queries, read_queries)?,
            qrels: parse(&qrels, read_qrels)?,
        })
    });
    let mut set = read
        .await
        .map_err(|error| CliError::because("the data set could not be read", &error))??;
    set.queries.retain(|query| set.qrels.contains_key(&query.id));
    if set.queries.is_empty() {
        return Err(CliError::failed("no query has a judgement")
            .hint("Do the queries and the judgements belong together?"));
    }
    Ok(set)
}

fn parse<T>(
    path: &Path,
    parser: impl FnOnce(BufReader<File>) -> Result<T, BeirError>,
) -> Result<T, CliError> {
    let file =
        File::open(path).map_err(|error| CliError::because(path.display().to_string(), &error))?;
    parser(BufReader::new(file))
        .map_err(|error| CliError::because(path.display().to_string(), &error))
}

/// Adds the corpus and waits until all of it can be searched.
async fn ingest(client: &Client, args: &EvalArgs, set: &DataSet) -> Result<Ingest, CliError> {
    let tenant = args.tenant.as_str();
    let before: LedgerPage =
        client.get(&api(["tenants", tenant, "ledger"]).with("limit", "1")).await?;
    let destination = Destination {
        tenant: tenant.to_owned(),
        collection: Some(args.collection.clone()),
        documents_jsonl: true,
    };
    let upload = Upload {
        origin: Origin::Path(args.corpus.clone()),
        source: set.source.clone(),
        file_date: None,
    };
    let started = Instant::now();
    let progress = UploadProgress::new(1, set.bytes);
    let accepted = send(client, &destination, &upload, &progress).await;
    progress.finish();
    let accepted = accepted.map_err(|error| CliError {
        message: format!("{}: {}", args.corpus.display(), error.message),
        ..error
    })?;
    let progress = IndexProgress::new(&before.totals);
    let settled = if accepted.outcome == Outcome::Duplicate {
        // The documents came in with another file of the same bytes, so all there is has to settle.
        until_all_settle(client, tenant, &progress).await
    } else {
        until_items_settle(client, tenant, &[accepted.item.id], &progress).await
    };
    progress.finish();
    settled?;
    Ok(Ingest {
        documents: set.corpus.len() as u64,
        unchanged: accepted.outcome != Outcome::Accepted,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Folder and name of the corpus file: every data set calls its file `corpus.jsonl`, and the same
/// source again would be a new revision that replaces the other set.
fn corpus_source(path: &Path) -> String {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().map(name_text).unwrap_or_default();
    match real.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{name}", name_text(folder)),
        None => name,
    }
}

/// Sends every query in one mode and scores what comes back.
async fn measure(
    client: &Client,
    args: &EvalArgs,
    set: &DataSet,
    mode: Mode,
) -> Result<ModeScores, CliError> {
    // The first request pays for what is loaded on demand; users pay that once, not per query.
    if let Some(first) = set.queries.first() {
        search(client, args, mode, &first.text).await?;
    }
    let progress = StepProgress::new(mode.as_str(), set.queries.len() as u64);
    let outcomes: Result<Vec<QueryOutcome>, CliError> = futures::stream::iter(&set.queries)
        .map(|query| {
            let progress = &progress;
            async move {
                let outcome = ask(client, args, set, mode, query).await;
                progress.step();
                outcome
            }
        })
        .buffer_unordered(usize::from(args.concurrency))
        .try_collect()
        .await;
    progress.finish();
    outcomes.map(|outcomes| summarise(&outcomes))
}

async fn ask(
    client: &Client,
    args: &EvalArgs,
    set: &DataSet,
    mode: Mode,
    query: &Query,
) -> Result<QueryOutcome, CliError> {
    let (ranked, latency_ms) = search(client, args, mode, &query.text).await?;
    let sources = ranked.results.into_iter().map(|result| result.source);
    let ranking = ranking_of(sources, &query.id, &set.corpus);
    let judged = set.qrels.get(&query.id).cloned().unwrap_or_default();
    Ok(QueryOutcome::score(&ranking, &judged, latency_ms))
}

/// Documents of the corpus in rank order, each once, without the query's own.
fn ranking_of(
    sources: impl Iterator<Item = String>,
    query_id: &str,
    corpus: &HashSet<String>,
) -> Vec<String> {
    let mut seen = HashSet::new();
    sources
        .filter(|source| source != query_id && corpus.contains(source))
        .filter(|source| seen.insert(source.clone()))
        .collect()
}

/// One search and the milliseconds from sending it to having its answer.
async fn search(
    client: &Client,
    args: &EvalArgs,
    mode: Mode,
    text: &str,
) -> Result<(Ranked, f64), CliError> {
    let endpoint = api(["tenants", &args.tenant, "search"])
        .with("q", plain_words(text))
        .with("mode", mode.as_str())
        .with("limit", args.limit.to_string())
        // Judgements are of documents, each by itself.
        .with("group_similar", "false");
    let started = Instant::now();
    let bytes = client.get_bytes(&endpoint).await?;
    let latency_ms = started.elapsed().as_secs_f64() * 1e3;
    let ranked = serde_json::from_slice(&bytes)
        .map_err(|error| CliError::because("the answer cannot be understood", &error))?;
    Ok((ranked, latency_ms))
}

fn scores_table(modes: &BTreeMap<&'static str, ModeScores>) -> String {
    let header = ["mode", "nDCG@10", "Recall@100", "MRR", "p50 ms", "p95 ms", "p99 ms"];
    let rows: Vec<Vec<String>> = modes
        .iter()
        .map(|(mode, scores)| {
            vec![
                (*mode).to_owned(),
                format!("{:.4}", scores.ndcg_at_10),
                format!("{:.4}", scores.recall_at_100),
                format!("{:.4}", scores.mrr),
                format!("{:.1}", scores.p50_ms),
                format!("{:.1}", scores.p95_ms),
                format!("{:.1}", scores.p99_ms),
            ]
        })
        .collect();
    table(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_itself_foreign_documents_and_repeats_are_not_ranked() {
        let corpus = HashSet::from(["a".to_owned(), "b".to_owned(), "q".to_owned()]);
        let sources = ["q", "x.pdf", "b", "a", "b"].into_iter().map(str::to_owned);
        assert_eq!(ranking_of(sources, "q", &corpus), ["b", "a"]);
    }

    #[test]
    fn two_data_sets_with_the_same_file_name_have_two_sources() {
        let dir = tempfile::tempdir().unwrap();
        let sources: Vec<String> = ["scifact", "hotpot"]
            .into_iter()
            .map(|set| {
                let folder = dir.path().join(set);
                std::fs::create_dir(&folder).unwrap();
                std::fs::write(folder.join("corpus.jsonl"), "{}").unwrap();
                corpus_source(&folder.join("corpus.jsonl"))
            })
            .collect();
        assert_eq!(sources, ["scifact/corpus.jsonl", "hotpot/corpus.jsonl"]);
    }

    #[test]
    fn the_json_of_a_run_has_one_object_per_mode() {
        let modes = BTreeMap::from([("keyword", ModeScores::default())]);
        let value = serde_json::to_value(Report { modes, ingest: None }).unwrap();
        for field in ["ndcg_at_10", "recall_at_100", "mrr", "p50_ms", "p95_ms", "p99_ms"] {
            assert_eq!(value["keyword"][field], 0.0, "{field}");
        }
        assert!(value.get("ingest").is_none());
    }
}
