//! `cairn retry`, `cairn unlock-file`, `cairn remove` and `cairn rebuild`.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a source that names several documents removes none of them; a password is never an
//! argument, where others see it.

use std::ops::ControlFlow;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::pages::{DocumentPage, DocumentSummary, each_page};
use super::progress::IndexProgress;
use super::prompt::ask;
use super::terminal::{count, printable};
use super::wait::until_all_settle;
use crate::types::{DocumentId, LedgerTotals};

/// What `retry` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn retry demo                    everything that failed
  cairn retry demo reports/a.pdf      one document")]
pub struct RetryArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Document id or source; without it, every failed item
    #[arg(value_name = "ID|SOURCE")]
    document: Option<String>,
    /// Return once the work is queued
    #[arg(long)]
    no_wait: bool,
}

/// What `unlock-file` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn unlock-file demo contracts/2024.pdf
  cairn unlock-file demo contracts.zip < password.txt

The password is asked for, or read from the first line of standard input. It is kept, encrypted,
while the document is there, and also tried on files inside it.")]
pub struct UnlockArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Document id or source of a file that asks for a password
    #[arg(value_name = "ID|SOURCE")]
    document: String,
    /// Return once the work is queued
    #[arg(long)]
    no_wait: bool,
}

/// What `remove` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn remove demo reports/2024/a.pdf
  cairn remove demo 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct RemoveArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Document id or source; what was found inside it goes too
    #[arg(value_name = "ID|SOURCE")]
    document: String,
}

/// What `rebuild` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cairn rebuild demo --projection fulltext")]
pub struct RebuildArgs {
    /// Tenant, by name or id
    tenant: String,
    /// What to throw away and make again
    #[arg(long, value_enum, default_value_t = Projection::All)]
    projection: Projection,
    /// Return once the work is queued
    #[arg(long)]
    no_wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Projection {
    All,
    Fulltext,
    Vectors,
}

#[derive(Serialize)]
struct RetryRequest {
    state: &'static str,
}

#[derive(Serialize)]
struct RebuildRequest {
    projection: Projection,
}

#[derive(Deserialize, Serialize)]
struct Retried {
    retried: u64,
}

/// How a document stands after a password was tried.
#[derive(Deserialize, Serialize)]
struct Unlocked {
    id: String,
    source: String,
    state: String,
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Deleted {
    deleted: u64,
}

#[derive(Deserialize, Serialize)]
struct Queued {
    queued: u64,
}

/// Runs `cairn retry`.
///
/// # Errors
/// Those of the API; a source that names no document, or several.
pub async fn retry(client: &Client, output: Output, args: &RetryArgs) -> Result<Exit, CliError> {
    let result: Retried = match &args.document {
        Some(document) => {
            let id = find(client, &args.tenant, document).await?;
            let endpoint = api(["tenants", &args.tenant, "documents", &id, "retry"]);
            client.post(&endpoint, &serde_json::json!({})).await?
        }
        None => {
            let endpoint = api(["tenants", &args.tenant, "retry"]);
            client.post(&endpoint, &RetryRequest { state: "failed" }).await?
        }
    };
    if !args.no_wait && result.retried > 0 {
        wait(client, &args.tenant).await?;
    }
    if output.json() {
        output.value(&result)?;
    } else {
        output.line(format!("retried {}", count(result.retried, "item")))?;
    }
    Ok(Exit::Done)
}

/// Runs `cairn unlock-file`.
///
/// # Errors
/// Those of the API; no password; one that does not open the file.
pub async fn unlock(client: &Client, output: Output, args: &UnlockArgs) -> Result<Exit, CliError> {
    let id = find(client, &args.tenant, &args.document).await?;
    let document = api(["tenants", &args.tenant, "documents", &id]);
    // Before anything is asked for.
    let _: Unlocked = client.get(&document).await?;
    let question = "Password of the file (typed characters are shown): ";
    let password = ask(question).await?.filter(|password| !password.is_empty());
    let Some(password) = password else {
        return Err(CliError::usage("no password was given").hint("Enter it on standard input."));
    };
    let endpoint = api(["tenants", &args.tenant, "documents", &id, "password"]);
    let given = serde_json::json!({ "password": *password });
    let _: Retried = client.post(&endpoint, &given).await?;
    if !args.no_wait {
        wait(client, &args.tenant).await?;
    }
    let after: Unlocked = client.get(&document).await?;
    if after.reason.as_deref() == Some("password_required") {
        let detail = after.detail.unwrap_or_default();
        return Err(CliError::failed(format!("the file stays locked: {}", printable(&detail))));
    }
    if output.json() {
        output.value(&after)?;
    } else {
        output.line(if args.no_wait { "queued" } else { "opened" })?;
    }
    Ok(Exit::Done)
}

/// Runs `cairn remove`.
///
/// # Errors
/// Those of the API; a source that names no document, or several.
pub async fn remove(client: &Client, output: Output, args: &RemoveArgs) -> Result<Exit, CliError> {
    let id = find(client, &args.tenant, &args.document).await?;
    let result: Option<Deleted> =
        client.delete(&api(["tenants", &args.tenant, "documents", &id])).await?;
    let result = result.unwrap_or(Deleted { deleted: 1 });
    if output.json() {
        output.value(&result)?;
    } else {
        output.line(format!("removed {}", count(result.deleted, "document")))?;
    }
    Ok(Exit::Done)
}

/// Runs `cairn rebuild`.
///
/// # Errors
/// Those of the API.
pub async fn rebuild(
    client: &Client,
    output: Output,
    args: &RebuildArgs,
) -> Result<Exit, CliError> {
    let endpoint = api(["tenants", &args.tenant, "rebuild"]);
    let request = RebuildRequest { projection: args.projection };
    let result: Queued = client.post(&endpoint, &request).await?;
    if !args.no_wait && result.queued > 0 {
        wait(client, &args.tenant).await?;
    }
    if output.json() {
        output.value(&result)?;
    } else {
        let done = if args.no_wait { "queued" } else { "rebuilt" };
        output.line(format!("{done} {}", count(result.queued, "item")))?;
    }
    Ok(Exit::Done)
}

async fn wait(client: &Client, tenant: &str) -> Result<(), CliError> {
    let progress = IndexProgress::new(&LedgerTotals::default());
    let settled = until_all_settle(client, tenant, &progress).await;
    progress.finish();
    let settled = settled?;
    if settled.without_vectors > 0 {
        return Err(CliError::failed(format!(
            "{} still wait for vectors: the model is not ready",
            count(settled.without_vectors, "item")
        ))
        .hint("See what is missing with `cairn doctor`."));
    }
    Ok(())
}

/// The id of the document that an id or a source names.
async fn find(client: &Client, tenant: &str, document: &str) -> Result<String, CliError> {
    if document.parse::<DocumentId>().is_ok() {
        return Ok(document.to_owned());
    }
    let endpoint = api(["tenants", tenant, "documents"]).with("q", document);
    let mut found: Vec<DocumentSummary> = Vec::new();
    each_page(client, &endpoint, |page: DocumentPage| {
        found.extend(page.documents.into_iter().filter(|summary| summary.source == document));
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    match found.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(CliError::not_found(format!("no document has the source `{document}`"))
            .hint(format!("See the sources with `cairn ledger {}`.", printable(tenant)))),
        several => {
            let ids: Vec<&str> = several.iter().map(|summary| summary.id.as_str()).collect();
            Err(CliError::failed(format!("several documents have the source `{document}`"))
                .hint(format!("Name one by its id: {}.", ids.join(", "))))
        }
    }
}
