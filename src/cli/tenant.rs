//! `cairn tenant`: create, list, show and delete tenants.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a tenant is deleted only after its name was confirmed or `--yes` was given.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use indicatif::BinaryBytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::ledger::totals_line;
use super::output::Output;
use super::pages::whole_list;
use super::terminal::{printable, table};
use crate::types::LedgerTotals;

/// What `tenant` takes.
#[derive(Debug, Args)]
pub struct TenantArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a tenant: a private data centre with its own stores
    #[command(after_help = "Example:\n  cairn tenant create demo")]
    Create {
        /// Name, unique on this appliance
        name: String,
    },
    /// List all tenants
    #[command(after_help = "Example:\n  cairn tenant list --json")]
    List,
    /// Show one tenant: items by state, bytes on disk, drop folder
    #[command(after_help = "Example:\n  cairn tenant show demo")]
    Show {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Delete a tenant with everything in it
    #[command(after_help = "Example:\n  cairn tenant delete demo --yes")]
    Delete {
        /// Tenant, by name or id
        tenant: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct NewTenant<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Tenant {
    id: String,
    name: String,
    created_at: String,
}

#[derive(Deserialize)]
struct TenantDetail {
    id: String,
    name: String,
    created_at: String,
    totals: LedgerTotals,
    bytes: Bytes,
    inbox: String,
    /// Absent until the tenant has its first vectors.
    vectors: Option<Vectors>,
}

#[derive(Deserialize)]
struct Bytes {
    blobs: u64,
    catalogue: u64,
    fulltext: u64,
    vectors: u64,
}

#[derive(Deserialize)]
struct Vectors {
    rows: u64,
    index: String,
    index_building: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of the API; a deletion that was not confirmed.
pub async fn run(client: &Client, output: Output, args: &TenantArgs) -> Result<Exit, CliError> {
    match &args.action {
        Action::Create { name } => create(client, output, name).await?,
        Action::List => list(client, output).await?,
        Action::Show { tenant } => show(client, output, tenant).await?,
        Action::Delete { tenant, yes } => delete(client, output, tenant, *yes).await?,
    }
    Ok(Exit::Done)
}

async fn create(client: &Client, output: Output, name: &str) -> Result<(), CliError> {
    let created: Value = client.post(&api(["tenants"]), &NewTenant { name }).await?;
    if output.json() {
        return output.value(&created);
    }
    let id = created.get("id").and_then(Value::as_str).unwrap_or_default();
    output.line(format!("created tenant {} ({id})", printable(name)))
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let whole = whole_list(client, &api(["tenants"]), "tenants").await?;
    if output.json() {
        return output.value(&whole);
    }
    let tenants: Vec<Tenant> =
        serde_json::from_value(whole.get("tenants").cloned().unwrap_or_default())
            .map_err(|error| CliError::because("the answer cannot be understood", &error))?;
    if tenants.is_empty() {
        return output.line("no tenants yet; create one with `cairn tenant create <name>`");
    }
    let rows: Vec<Vec<String>> = tenants
        .into_iter()
        .map(|tenant| vec![printable(&tenant.name), tenant.id, tenant.created_at])
        .collect();
    output.line(table(&["name", "id", "created"], &rows))
}

async fn show(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let endpoint = api(["tenants", tenant]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let detail: TenantDetail = client.get(&endpoint).await?;
    let bytes = &detail.bytes;
    let rows = [
        ("tenant", format!("{} ({})", printable(&detail.name), detail.id)),
        ("created", detail.created_at.clone()),
        ("items", totals_line(&detail.totals)),
        ("vectors", vectors_line(detail.vectors.as_ref())),
        (
            "on disk",
            format!(
                "blobs {}, catalogue {}, full text {}, vectors {}",
                BinaryBytes(bytes.blobs),
                BinaryBytes(bytes.catalogue),
                BinaryBytes(bytes.fulltext),
                BinaryBytes(bytes.vectors)
            ),
        ),
        ("drop folder", printable(&detail.inbox)),
    ];
    for (name, value) in rows {
        output.line(format!("{name:<12} {value}"))?;
    }
    Ok(())
}

fn vectors_line(vectors: Option<&Vectors>) -> String {
    let Some(vectors) = vectors else {
        return "none yet".to_owned();
    };
    let building = if vectors.index_building { ", index being built" } else { "" };
    format!("{} rows, {} search{building}", vectors.rows, vectors.index)
}

async fn delete(client: &Client, output: Output, tenant: &str, yes: bool) -> Result<(), CliError> {
    let found: Tenant = client.get(&api(["tenants", tenant])).await?;
    if !yes {
        confirm(&found.name).await?;
    }
    client.delete::<Value>(&api(["tenants", &found.id])).await?;
    if output.json() {
        return output.value(&serde_json::json!({ "deleted": found.id }));
    }
    output.line(format!("deleted tenant {}", printable(&found.name)))
}

/// Asks for the tenant's name on the terminal.
async fn confirm(name: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("deleting a tenant cannot be undone")
            .hint("Say --yes where nobody can be asked."));
    }
    let asked = format!(
        "This deletes everything in `{}` and cannot be undone. Type its name to go on: ",
        printable(name)
    );
    let answer = tokio::task::spawn_blocking(move || {
        io::stderr().write_all(asked.as_bytes())?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok::<String, io::Error>(line)
    })
    .await
    .map_err(|error| CliError::because("the answer could not be read", &error))?
    .map_err(|error| CliError::because("the answer could not be read", &error))?;
    if answer.trim() == name {
        Ok(())
    } else {
        Err(CliError::failed("not deleted: that is not its name"))
    }
}
