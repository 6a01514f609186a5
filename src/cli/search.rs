//! `cairn search`: ranked documents with their best passages.
//!
//! Called by: `cli`; `cli::eval` uses its modes. Talks to: the API.
//! Invariants: `--json` prints what the API answered, with all its fields.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::{passage, printable, strong};
use crate::types::{DateBasis, SearchResponse, SearchResult, Voice};

/// Which evidence ranks the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Hybrid,
    Keyword,
    Vector,
}

impl Mode {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Keyword => "keyword",
            Self::Vector => "vector",
        }
    }
}

/// What `search` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn search demo 'invoice from march'
  cairn search demo '\"exact phrase\" -draft title:report' --mode keyword
  cairn search demo budget --type application/pdf --after 2024-01-01 --limit 3 --json")]
pub struct SearchArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Words, "exact phrase", -word, field:word (title, heading, source, type, author, from, to), after:DATE,
    /// before:DATE
    #[arg(allow_hyphen_values = true)]
    query: String,
    /// Which evidence ranks the documents
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    mode: Mode,
    /// Documents to return
    #[arg(long, default_value_t = 10)]
    limit: u32,
    /// Only sources that start with this path
    #[arg(long, value_name = "PATH")]
    source: Option<String>,
    /// Only this media type (application/pdf) or family (text/)
    #[arg(long = "type", value_name = "TYPE")]
    media_type: Option<String>,
    /// Only documents dated on or after this day
    #[arg(long, value_name = "DATE")]
    after: Option<String>,
    /// Only documents dated before this day
    #[arg(long, value_name = "DATE")]
    before: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &SearchArgs) -> Result<Exit, CliError> {
    let endpoint = api(["tenants", &args.tenant, "search"])
        .with("q", &args.query)
        .with("mode", args.mode.as_str())
        .with("limit", args.limit.to_string())
        .with_some("source", args.source.as_deref())
        .with_some("type", args.media_type.as_deref())
        .with_some("after", args.after.as_deref())
        .with_some("before", args.before.as_deref());
    if output.json() {
        output.value(&client.get::<Value>(&endpoint).await?)?;
        return Ok(Exit::Done);
    }
    let response: SearchResponse = client.get(&endpoint).await?;
    for (position, result) in response.results.iter().enumerate() {
        print_result(output, position + 1, result)?;
    }
    if response.results.is_empty() {
        output.line("nothing found")?;
    }
    for notice in &response.notices {
        output.line(format!("note: {}", printable(notice)))?;
    }
    Ok(Exit::Done)
}

/// The word for the date that was used.
pub fn basis(basis: DateBasis) -> &'static str {
    match basis {
        DateBasis::Event => "event date",
        DateBasis::Content => "content date",
        DateBasis::File => "file date",
        DateBasis::Ingest => "ingest date",
    }
}

/// The mark of a text that was read from a picture.
pub fn ocr_mark(confidence: u8) -> String {
    format!("read by OCR, {confidence} % sure")
}

/// The mark of words that are not the document's own.
pub fn voice_mark(voice: Voice) -> Option<String> {
    match voice {
        Voice::Own => None,
        Voice::Quoted => Some("quoted".to_owned()),
        Voice::Signature => Some("signature".to_owned()),
    }
}

fn print_result(output: Output, rank: usize, result: &SearchResult) -> Result<(), CliError> {
    let title = strong(&printable(&result.title), output.bold());
    output.line(format!("{rank}. {title}  ({:.3})", result.score))?;
    let (date, date_basis) = result.dates.effective();
    let mut about = vec![printable(&result.source)];
    about.extend(result.also_at.iter().map(|source| format!("also {}", printable(source))));
    about.extend(match result.also_similar.len() {
        0 => None,
        1 => Some("1 more is nearly the same".to_owned()),
        more => Some(format!("{more} more are nearly the same")),
    });
    about.push(format!("{} ({})", date.strftime("%Y-%m-%d"), basis(date_basis)));
    if !result.has_vectors {
        about.push("found by keyword only so far".to_owned());
    }
    output.line(format!("   {}", about.join(" · ")))?;
    for found in &result.passages {
        let mut place = Vec::new();
        place.extend(found.page.map(|page| format!("page {page}")));
        place.extend(found.cells.as_ref().map(|cells| printable(&cells.to_string())));
        place.extend(found.ocr_confidence.map(ocr_mark));
        place.extend(voice_mark(found.voice));
        place.extend(found.heading.as_deref().map(printable));
        let place =
            if place.is_empty() { String::new() } else { format!("[{}] ", place.join(", ")) };
        let text = passage(&found.text, &found.highlights, output.bold());
        output.line(format!("   {place}{text}"))?;
    }
    output.line("")
}
