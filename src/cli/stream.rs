//! `cairn stream`: standard input into a tenant, line by line, while it comes.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: what is printed about a line comes after it is durable; memory is bounded by one
//! line of the answer.

use axum::body::Body;
use bytes::Bytes;
use clap::Args;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::{count, printable};
use crate::types::SearchResult;

/// Bytes of standard input sent at a time.
const CHUNK_BYTES: usize = 16 << 10;
/// Longest line of the answer.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Characters shown of a passage.
const SHOWN_CHARS: usize = 160;

/// What `stream` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tail -F /var/log/app.log | cairn stream demo --source logs/app
  cairn stream demo --ndjson < records.ndjson

Lines can be found within two seconds. What the tenant holds near them is printed as it is found.")]
pub struct StreamArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Path that what comes is put below [default: stream]
    #[arg(long, value_name = "PATH")]
    source: Option<String>,
    /// Collection to put it in
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Every line is an object with `text` and perhaps `source`, `title`, `date`, `author`
    #[arg(long)]
    ndjson: bool,
}

#[derive(Deserialize)]
struct Answer {
    line: Option<u64>,
    error: Option<Refused>,
    related: Option<Vec<SearchResult>>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct Refused {
    detail: String,
}

#[derive(Deserialize)]
struct End {
    accepted: u64,
    refused: u64,
}

/// Runs the command.
///
/// # Errors
/// Those of the API, and where the answer ends before standard input does.
pub async fn run(client: &Client, output: Output, args: &StreamArgs) -> Result<Exit, CliError> {
    let endpoint = api(["tenants", &args.tenant, "ingest", "stream"])
        .with_some("source", args.source.as_deref())
        .with_some("collection", args.collection.as_deref());
    let media_type = if args.ndjson { "application/x-ndjson" } else { "text/plain" };
    let input = ReaderStream::with_capacity(tokio::io::stdin(), CHUNK_BYTES);
    let answer = client.converse(&endpoint, media_type, Body::from_stream(input)).await?;
    let mut pieces = answer.into_body().into_data_stream();
    let mut rest = Vec::new();
    let mut ended = None;
    while let Some(piece) = pieces.next().await {
        let piece: Bytes =
            piece.map_err(|error| CliError::because("the answer broke off", &error))?;
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if let Some(end) = tell(output, &line)? {
                ended = Some(end);
            }
        }
        if rest.len() > MAX_ANSWER_BYTES {
            return Err(CliError::failed("the answer cannot be understood"));
        }
    }
    let Some(End { accepted, refused }) = ended else {
        return Err(CliError::failed("the stream broke off before all was taken in")
            .hint("See what is there with `cairn ledger`."));
    };
    if !output.json() {
        output.line(format!("{} taken in, {refused} refused", count(accepted, "line")))?;
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::Failed })
}

/// Prints what one line of the answer says to people.
fn tell(output: Output, line: &[u8]) -> Result<Option<End>, CliError> {
    let unclear =
        |error: serde_json::Error| CliError::because("the answer cannot be understood", &error);
    let value: Value = serde_json::from_slice(line).map_err(unclear)?;
    if output.json() {
        output.line(value.to_string())?;
    }
    let answer: Answer = serde_json::from_value(value).map_err(unclear)?;
    if output.json() {
        return Ok(answer.end);
    }
    if let Some(refused) = answer.error {
        let number = answer.line.unwrap_or_default();
        eprintln!("line {number}: {}", printable(&refused.detail));
    }
    for find in answer.related.unwrap_or_default() {
        let text = find.passages.first().map(|passage| passage.text.as_str()).unwrap_or_default();
        let text: String = text.chars().take(SHOWN_CHARS).collect();
        output.line(format!("{}: {}", printable(&find.source), printable(&text)))?;
    }
    Ok(answer.end)
}
