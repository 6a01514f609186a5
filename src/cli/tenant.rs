//! `cairn tenant`: create, list, show, change, carry and delete tenants, and see to their members.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a tenant is deleted only after its name was confirmed or `--yes` was given.

use clap::{Args, Subcommand};
use indicatif::BinaryBytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::ledger::totals_line;
use super::member::{self, MemberAction};
use super::output::Output;
use super::pages::whole_list;
use super::prompt::{ask, is_interactive};
use super::tenant_change;
use super::terminal::{count, printable, table};
use super::transfer;
use crate::app::deletion::Signer;
use crate::types::{LedgerTotals, TenantState, Tier};

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
        /// Limits and features it gets [default: pro]
        #[arg(long, value_name = "TIER")]
        tier: Option<Tier>,
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
    #[command(flatten)]
    Change(tenant_change::Action),
    #[command(flatten)]
    Transfer(transfer::Action),
    /// Delete a tenant with everything in it, and print the certificate of it
    #[command(after_help = "Example:\n  cairn tenant delete demo --yes")]
    Delete {
        /// Tenant, by name or id
        tenant: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the certificates of deleted tenants
    #[command(after_help = "Example:\n  cairn tenant deletions --json")]
    Deletions,
    /// Show by what certificates and archives of this appliance are known
    #[command(after_help = "Example:\n  cairn tenant signer --json
Keep the fingerprint where the appliance cannot change it, and check certificates against it with
`cairn audit verify --certificate FILE --signer FINGERPRINT`.")]
    Signer,
    /// Add, list and remove members
    #[command(after_help = "Example:\n  cairn tenant member add demo ada --role editor")]
    Member {
        #[command(subcommand)]
        action: MemberAction,
    },
}

#[derive(Serialize)]
struct NewTenant<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
}

#[derive(Deserialize)]
struct Tenant {
    id: String,
    name: String,
    tier: Tier,
    state: TenantState,
    locked: bool,
    /// Files that lie unencrypted in its drop folder while nobody takes them in.
    inbox_waiting: Option<u64>,
    created_at: String,
}

impl Tenant {
    /// The state in words.
    fn state(&self) -> String {
        match (self.state, self.locked) {
            (TenantState::Suspended, true) => "suspended, locked".to_owned(),
            (state, _) => state.to_string(),
        }
    }

    /// What is said about files that wait, where some do.
    fn warning(&self) -> Option<String> {
        let files = self.inbox_waiting.filter(|files| *files > 0)?;
        let (lie, done) = match (files, self.state) {
            (1, TenantState::Locked) => ("lies", "unlocked"),
            (_, TenantState::Locked) => ("lie", "unlocked"),
            (1, _) => ("lies", "resumed"),
            (_, _) => ("lie", "resumed"),
        };
        Some(format!(
            "{} {lie} unencrypted in the drop folder of {} until it is {done}",
            count(files, "file"),
            printable(&self.name)
        ))
    }
}

#[derive(Deserialize)]
struct TenantDetail {
    #[serde(flatten)]
    tenant: Tenant,
    /// Absent where nothing can be read, because the tenant is locked.
    #[serde(flatten)]
    numbers: Option<Numbers>,
}

#[derive(Deserialize)]
struct Numbers {
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
        Action::Create { name, tier } => create(client, output, name, *tier).await?,
        Action::List => list(client, output).await?,
        Action::Show { tenant } => show(client, output, tenant).await?,
        Action::Change(action) => tenant_change::run(client, output, action).await?,
        Action::Transfer(action) => Box::pin(transfer::run(client, output, action)).await?,
        Action::Delete { tenant, yes } => delete(client, output, tenant, *yes).await?,
        Action::Deletions => deletions(client, output).await?,
        Action::Signer => signer(client, output).await?,
        Action::Member { action } => member::run(client, output, action).await?,
    }
    Ok(Exit::Done)
}

async fn create(
    client: &Client,
    output: Output,
    name: &str,
    tier: Option<Tier>,
) -> Result<(), CliError> {
    let created: Value = client.post(&api(["tenants"]), &NewTenant { name, tier }).await?;
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
    let warnings: Vec<String> = tenants.iter().filter_map(Tenant::warning).collect();
    let rows: Vec<Vec<String>> = tenants
        .into_iter()
        .map(|tenant| {
            let (tier, state) = (tenant.tier.to_string(), tenant.state());
            vec![printable(&tenant.name), tier, state, tenant.id, tenant.created_at]
        })
        .collect();
    output.line(table(&["name", "tier", "state", "id", "created"], &rows))?;
    warnings.iter().try_for_each(|warning| output.line(format!("warning: {warning}")))
}

async fn show(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let endpoint = api(["tenants", tenant]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let TenantDetail { tenant, numbers } = client.get(&endpoint).await?;
    let warning = tenant.warning();
    let mut rows = vec![
        ("tenant", format!("{} ({})", printable(&tenant.name), tenant.id)),
        ("tier", tenant.tier.to_string()),
        ("state", tenant.state()),
        ("created", tenant.created_at),
    ];
    if let Some(numbers) = numbers {
        let bytes = &numbers.bytes;
        let disk = format!(
            "blobs {}, catalogue {}, full text {}, vectors {}",
            BinaryBytes(bytes.blobs),
            BinaryBytes(bytes.catalogue),
            BinaryBytes(bytes.fulltext),
            BinaryBytes(bytes.vectors)
        );
        rows.extend([
            ("items", totals_line(&numbers.totals)),
            ("vectors", vectors_line(numbers.vectors.as_ref())),
            ("on disk", disk),
            ("drop folder", printable(&numbers.inbox)),
        ]);
    }
    for (name, value) in rows {
        output.line(format!("{name:<12} {value}"))?;
    }
    warning.map_or(Ok(()), |warning| output.line(format!("warning: {warning}")))
}

fn vectors_line(vectors: Option<&Vectors>) -> String {
    let Some(vectors) = vectors else {
        return "none yet".to_owned();
    };
    let building = if vectors.index_building { ", index being built" } else { "" };
    format!("{} rows, {} search{building}", vectors.rows, vectors.index)
}

async fn delete(client: &Client, output: Output, tenant: &str, yes: bool) -> Result<(), CliError> {
    // From the list, which shows a locked tenant too.
    let found = find(client, tenant).await?;
    if !yes {
        confirm(&found.name).await?;
    }
    let certificate: Option<Value> = client.delete(&api(["tenants", &found.id])).await?;
    let certificate = certificate.unwrap_or_default();
    if output.json() {
        return output.value(&certificate);
    }
    output.line(format!("deleted tenant {}", printable(&found.name)))?;
    print_certificate(output, &certificate)
}

async fn find(client: &Client, tenant: &str) -> Result<Tenant, CliError> {
    let whole = whole_list(client, &api(["tenants"]), "tenants").await?;
    let tenants: Vec<Tenant> =
        serde_json::from_value(whole.get("tenants").cloned().unwrap_or_default())
            .map_err(|error| CliError::because("the answer cannot be understood", &error))?;
    tenants.into_iter().find(|known| known.id == tenant || known.name == tenant).ok_or_else(|| {
        CliError::not_found(format!("there is no tenant `{}`", printable(tenant)))
            .hint("See them with `cairn tenant list`.")
    })
}

async fn deletions(client: &Client, output: Output) -> Result<(), CliError> {
    let whole = whole_list(client, &api(["deletions"]), "deletions").await?;
    if output.json() {
        return output.value(&whole);
    }
    let certificates =
        whole.get("deletions").and_then(Value::as_array).cloned().unwrap_or_default();
    if certificates.is_empty() {
        return output.line("no tenant was deleted here");
    }
    certificates.iter().try_for_each(|certificate| print_certificate(output, certificate))
}

async fn signer(client: &Client, output: Output) -> Result<(), CliError> {
    let signer: Signer = client.get(&api(["signer"])).await?;
    if output.json() {
        return output.value(&signer);
    }
    output.line(format!("appliance    {}", signer.appliance))?;
    output.line(format!("public key   {} ({})", signer.public_key, signer.algorithm))?;
    output.line(format!("fingerprint  {}", signer.fingerprint))
}

fn print_certificate(output: Output, certificate: &Value) -> Result<(), CliError> {
    let text = |key: &str| certificate.get(key).and_then(Value::as_str).unwrap_or("unknown");
    output.line(printable(text("statement")))?;
    output.line(format!("content digest: {}", printable(text("content_digest"))))
}

/// Asks for the tenant's name on the terminal.
async fn confirm(name: &str) -> Result<(), CliError> {
    if !is_interactive() {
        return Err(CliError::usage("deleting a tenant cannot be undone")
            .hint("Say --yes where nobody can be asked."));
    }
    let asked = format!(
        "This deletes everything in `{}` and cannot be undone. Type its name to go on: ",
        printable(name)
    );
    let answer = ask(asked).await?.unwrap_or_default();
    if answer.trim() == name {
        Ok(())
    } else {
        Err(CliError::failed("not deleted: that is not its name"))
    }
}
