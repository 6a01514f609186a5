//! `cairn ask`: an answer made of cited sentences, or a plain "not found".
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: every sentence printed has a number that leads to its source.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::search::{basis, ocr_mark, voice_mark};
use super::terminal::{passage, printable, strong};
use crate::types::{Answer, Citation};

/// What `ask` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn ask demo 'When was the contract signed?'
  cairn ask demo 'Who audits the accounts?' --json")]
pub struct AskArgs {
    /// Tenant, by name or id
    tenant: String,
    /// The question, in plain words
    #[arg(allow_hyphen_values = true)]
    question: String,
}

#[derive(Serialize)]
struct Question<'a> {
    question: &'a str,
}

/// Runs the command. A question without an answer is not a failure.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &AskArgs) -> Result<Exit, CliError> {
    let endpoint = api(["tenants", &args.tenant, "ask"]);
    let question = Question { question: &args.question };
    if output.json() {
        output.value(&client.post::<Value>(&endpoint, &question).await?)?;
        return Ok(Exit::Done);
    }
    let answer: Answer = client.post(&endpoint, &question).await?;
    output.line(strong(&passage(&answer.answer, &[], false), output.bold()))?;
    if !answer.citations.is_empty() {
        output.line("")?;
    }
    for (position, citation) in answer.citations.iter().enumerate() {
        output.line(format!("[{}] {}", position + 1, place(citation)))?;
        output.line(format!("    “{}”", passage(&citation.text, &[], false)))?;
    }
    for notice in &answer.notices {
        output.line(format!("note: {}", printable(notice)))?;
    }
    Ok(Exit::Done)
}

fn place(citation: &Citation) -> String {
    let mut parts = vec![printable(&citation.title)];
    if citation.title != citation.source {
        parts.push(printable(&citation.source));
    }
    parts.extend(citation.page.map(|page| format!("page {page}")));
    parts.extend(citation.cells.as_ref().map(|cells| printable(&cells.to_string())));
    parts.extend(citation.ocr_confidence.map(ocr_mark));
    parts.extend(voice_mark(citation.voice));
    parts.push(format!("{} ({})", citation.date.strftime("%Y-%m-%d"), basis(citation.date_basis)));
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::types::{DateBasis, DocumentId, SheetCells, Voice};

    #[test]
    fn a_citation_names_source_page_and_which_date_was_used() {
        let citation = Citation {
            document_id: DocumentId::generate(),
            source: "contracts/a.pdf".to_owned(),
            title: "Lease".to_owned(),
            text: "It was signed.".to_owned(),
            start: 0,
            end: 14,
            page: Some(3),
            cells: None,
            ocr: true,
            ocr_confidence: Some(87),
            voice: Voice::Signature,
            date: Timestamp::UNIX_EPOCH,
            date_basis: DateBasis::Content,
            score: 0.9,
        };
        assert_eq!(
            place(&citation),
            "Lease · contracts/a.pdf · page 3 · read by OCR, 87 % sure · signature · 1970-01-01 (content date)"
        );
        let range = "A5:D12".parse().expect("cells");
        let cells = Some(SheetCells { sheet: Some("Budget".to_owned()), range });
        let source = "costs.xlsx".to_owned();
        let voice = Voice::Own;
        let table = Citation { page: None, cells, ocr_confidence: None, voice, source, ..citation };
        assert_eq!(place(&table), "Lease · costs.xlsx · Budget A5:D12 · 1970-01-01 (content date)");
    }
}
