//! `cairn apikey`: keys with which programs reach one tenant.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a key is printed once, when it is made.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::{printable, table};
use crate::clock::{Clock, SystemClock};
use crate::types::Role;

/// What `apikey` takes.
#[derive(Debug, Args)]
pub struct ApiKeyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for one tenant; it is shown once
    #[command(after_help = "Examples:
  cairn apikey create demo --name importer
  cairn apikey create demo --name monitor --role reader --expires-days 90")]
    Create {
        /// Tenant, by name or id
        tenant: String,
        /// What the key is for, as it will be listed
        #[arg(long, default_value = "api")]
        name: String,
        /// owner, editor, reader or auditor
        #[arg(long, default_value_t = Role::Editor)]
        role: Role,
        /// Days after which the key stops working; without it, it works until it is revoked
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_days: Option<u32>,
    },
    /// List a tenant's keys
    #[command(after_help = "Example:\n  cairn apikey list demo")]
    List {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Revoke a key
    #[command(
        after_help = "Example:\n  cairn apikey revoke demo 01890a5d-ac96-774b-bcce-b302099a8057"
    )]
    Revoke {
        /// Tenant, by name or id
        tenant: String,
        /// Id of the key, from `cairn apikey list`
        key: String,
    },
}

#[derive(Serialize)]
struct NewKey<'a> {
    name: &'a str,
    role: Role,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    role: Role,
    created_by: Option<String>,
    rests: bool,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &ApiKeyArgs) -> Result<Exit, CliError> {
    match &args.action {
        Action::Create { tenant, name, role, expires_days } => {
            let expires_at = expires_days.map(expiry);
            let key = NewKey { name, role: *role, expires_at };
            create(client, output, tenant, &key).await?;
        }
        Action::List { tenant } => list(client, output, tenant).await?,
        Action::Revoke { tenant, key } => {
            client.delete::<Value>(&api(["tenants", tenant, "keys", key])).await?;
            if output.json() {
                output.value(&serde_json::json!({ "revoked": key }))?;
            } else {
                output.line(format!("revoked key {}", printable(key)))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The moment this many days from now.
fn expiry(days: u32) -> Timestamp {
    let span = SignedDuration::from_hours(i64::from(days) * 24);
    SystemClock.now().saturating_add(span).unwrap_or(Timestamp::MAX)
}

async fn create(
    client: &Client,
    output: Output,
    tenant: &str,
    key: &NewKey<'_>,
) -> Result<(), CliError> {
    let created: Value = client.post(&api(["tenants", tenant, "keys"]), key).await?;
    if output.json() {
        return output.value(&created);
    }
    let key = created.get("key").and_then(Value::as_str).unwrap_or_default();
    output.line(key)?;
    // On standard error, so that `KEY=$(cairn apikey create …)` holds the key alone.
    let note = "Keep it now: it is not shown again. Send it as `Authorization: Bearer <key>`.";
    let _ = writeln!(io::stderr(), "{note}");
    Ok(())
}

async fn list(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let endpoint = api(["tenants", tenant, "keys"]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let list: Keys = client.get(&endpoint).await?;
    if list.keys.is_empty() {
        return output.line("no keys; make one with `cairn apikey create <tenant> --name <name>`");
    }
    let rows: Vec<Vec<String>> = list
        .keys
        .into_iter()
        .map(|key| {
            let never = || "never".to_owned();
            let (used, expires) =
                (key.last_used_at.unwrap_or_else(never), key.expires_at.unwrap_or_else(never));
            let role = key.role.to_string();
            let by = key.created_by.unwrap_or_else(|| "console".to_owned());
            let by = if key.rests { format!("{by}, and opens nothing") } else { by };
            vec![printable(&key.name), role, key.id, printable(&by), key.created_at, expires, used]
        })
        .collect();
    output.line(table(&["name", "role", "id", "made by", "created", "expires", "last used"], &rows))
}
