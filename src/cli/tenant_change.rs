//! `cairn tenant tier|tiers|rename|suspend|resume|lock|unlock|usage`: what a tenant may use, and
//! whether it is served.
//!
//! Called by: `cli::tenant`. Talks to: the API.
//! Invariants: setting one limit leaves the tenant's other own limits as they are.

use clap::Subcommand;
use indicatif::BinaryBytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::endpoint::api;
use super::error::CliError;
use super::output::Output;
use super::terminal::{printable, table};
use crate::types::{Limits, TenantState, Tier};

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Give a tenant another tier, or limits of its own; without either, show its usage
    #[command(after_help = "Examples:
  cairn tenant tier demo enterprise
  cairn tenant tier demo --limit documents=1000 --limit stored_bytes=20GiB
  cairn tenant tier demo --limit documents=tier --limit upload_bytes=none")]
    Tier {
        /// Tenant, by name or id
        tenant: String,
        /// casual, pro or enterprise
        tier: Option<Tier>,
        /// A limit of its own: a number, `none`, or `tier` for that of its tier
        #[arg(long = "limit", value_name = "NAME=VALUE")]
        limits: Vec<String>,
    },
    /// List the tiers with their limits and features
    #[command(after_help = "Example:\n  cairn tenant tiers")]
    Tiers,
    /// Give a tenant another name
    #[command(after_help = "Example:\n  cairn tenant rename demo archive")]
    Rename {
        /// Tenant, by name or id
        tenant: String,
        /// Name, unique on this appliance
        name: String,
    },
    /// Close a tenant to its members; its work waits and nothing is lost
    #[command(after_help = "Example:\n  cairn tenant suspend demo")]
    Suspend {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Open a suspended tenant again
    #[command(after_help = "Example:\n  cairn tenant resume demo")]
    Resume {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Take a tenant's keys out of memory, so that nobody can read it
    #[command(after_help = "Example:\n  cairn tenant lock demo")]
    Lock {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Let a locked tenant be opened again
    #[command(after_help = "Example:\n  cairn tenant unlock demo")]
    Unlock {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Show how much of its limits a tenant uses
    #[command(after_help = "Example:\n  cairn tenant usage demo --json")]
    Usage {
        /// Tenant, by name or id
        tenant: String,
    },
}

#[derive(Default, Serialize)]
struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Changed {
    name: String,
    tier: Tier,
    state: TenantState,
}

#[derive(Deserialize)]
struct Usage {
    tier: Tier,
    state: TenantState,
    limits: Map<String, Value>,
    own_limits: Map<String, Value>,
    features: Vec<String>,
    used: Map<String, Value>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Tiers {
    tiers: Vec<TierRow>,
}

#[derive(Deserialize)]
struct TierRow {
    name: Tier,
    limits: Map<String, Value>,
    features: Vec<String>,
}

/// Runs one of these commands.
///
/// # Errors
/// Those of the API; a limit that cannot be understood.
pub async fn run(client: &Client, output: Output, action: &Action) -> Result<(), CliError> {
    match action {
        Action::Tier { tenant, tier: None, limits } if limits.is_empty() => {
            usage(client, output, tenant).await
        }
        Action::Tier { tenant, tier, limits } => {
            let own = if limits.is_empty() {
                None
            } else {
                let before: Usage = client.get(&api(["tenants", tenant, "usage"])).await?;
                Some(with_limits(before.own_limits, limits)?)
            };
            change(client, output, tenant, &Change { tier: *tier, limits: own, name: None }).await
        }
        Action::Tiers => tiers(client, output).await,
        Action::Rename { tenant, name } => {
            change(client, output, tenant, &Change { name: Some(name), ..Change::default() }).await
        }
        Action::Suspend { tenant } => turn(client, output, tenant, "suspend").await,
        Action::Resume { tenant } => turn(client, output, tenant, "resume").await,
        Action::Lock { tenant } => turn(client, output, tenant, "lock").await,
        Action::Unlock { tenant } => turn(client, output, tenant, "unlock").await,
        Action::Usage { tenant } => usage(client, output, tenant).await,
    }
}

async fn change(
    client: &Client,
    output: Output,
    tenant: &str,
    change: &Change<'_>,
) -> Result<(), CliError> {
    report(output, client.patch(&api(["tenants", tenant]), change).await?)
}

async fn turn(
    client: &Client,
    output: Output,
    tenant: &str,
    action: &'static str,
) -> Result<(), CliError> {
    let nothing = serde_json::json!({});
    report(output, client.post(&api(["tenants", tenant, action]), &nothing).await?)
}

fn report(output: Output, answer: Value) -> Result<(), CliError> {
    if output.json() {
        return output.value(&answer);
    }
    let changed: Changed = understood(answer)?;
    output.line(format!(
        "tenant {}: tier {}, {}",
        printable(&changed.name),
        changed.tier,
        changed.state
    ))
}

async fn usage(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let answer: Value = client.get(&api(["tenants", tenant, "usage"])).await?;
    if output.json() {
        return output.value(&answer);
    }
    let usage: Usage = understood(answer)?;
    output.line(format!("tier {}, {}", usage.tier, usage.state))?;
    if !usage.features.is_empty() {
        output.line(format!("features: {}", printable(&usage.features.join(", "))))?;
    }
    let rows: Vec<Vec<String>> = Limits::NAMES
        .iter()
        .map(|name| {
            let limit = |of: &Map<String, Value>| of.get(*name).map(|value| shown(name, value));
            let own = if usage.own_limits.contains_key(*name) { "own" } else { "" };
            let used = limit(&usage.used).unwrap_or_default();
            vec![(*name).to_owned(), used, limit(&usage.limits).unwrap_or_default(), own.to_owned()]
        })
        .collect();
    output.line(table(&["limit", "used", "of", ""], &rows))?;
    usage
        .warnings
        .iter()
        .try_for_each(|warning| output.line(format!("note: {}", printable(warning))))
}

async fn tiers(client: &Client, output: Output) -> Result<(), CliError> {
    let answer: Value = client.get(&api(["tiers"])).await?;
    if output.json() {
        return output.value(&answer);
    }
    let Tiers { tiers } = understood(answer)?;
    let mut header = vec!["limit"];
    header.extend(tiers.iter().map(|tier| tier.name.as_str()));
    let row = |name: &str, cell: &dyn Fn(&TierRow) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(tiers.iter().map(cell));
        row
    };
    let mut rows: Vec<Vec<String>> = Limits::NAMES
        .iter()
        .map(|name| {
            row(name, &|tier| tier.limits.get(*name).map_or(String::new(), |v| shown(name, v)))
        })
        .collect();
    rows.push(row("features", &|tier| printable(&tier.features.join(" "))));
    output.line(table(&header, &rows))
}

/// A limit for people.
fn shown(name: &str, value: &Value) -> String {
    match value.as_u64() {
        None => "none".to_owned(),
        Some(bytes) if name.ends_with("_bytes") => BinaryBytes(bytes).to_string(),
        Some(number) => number.to_string(),
    }
}

/// Own limits with those of the command line set, or given back to the tier.
fn with_limits(
    mut own: Map<String, Value>,
    given: &[String],
) -> Result<Map<String, Value>, CliError> {
    for limit in given {
        let Some((name, value)) = limit.split_once('=') else {
            return Err(CliError::usage(format!("`{limit}` is no limit"))
                .hint("Write --limit NAME=VALUE, for instance --limit documents=1000."));
        };
        match value {
            "tier" => drop(own.remove(name)),
            "none" => drop(own.insert(name.to_owned(), Value::Null)),
            value => {
                let number = number(value).ok_or_else(|| {
                    CliError::usage(format!("`{value}` is no number")).hint(
                        "Write a whole number, for bytes also with KiB, MiB, GiB or TiB, or `none` or `tier`.",
                    )
                })?;
                own.insert(name.to_owned(), number.into());
            }
        }
    }
    Ok(own)
}

/// `20`, `20GiB`.
fn number(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, CliError> {
    serde_json::from_value(answer)
        .map_err(|error| CliError::because("the answer cannot be understood", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_and_given_back_one_by_one() {
        let own: Map<String, Value> =
            serde_json::from_str(r#"{"documents":5,"upload_bytes":9}"#).unwrap();
        let given = ["documents=tier", "stored_bytes=2GiB", "concurrent_queries=none"];
        let given: Vec<String> = given.into_iter().map(str::to_owned).collect();
        let own = with_limits(own, &given).unwrap();
        let expected = r#"{"concurrent_queries":null,"stored_bytes":2147483648,"upload_bytes":9}"#;
        assert_eq!(Value::Object(own), serde_json::from_str::<Value>(expected).unwrap());
        for wrong in ["documents", "documents=many", "documents=3GB", "documents=-1"] {
            assert!(with_limits(Map::new(), &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
