//! `cairn ledger`: every item with its state and reason, and totals that add up.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: `--json` prints every item asked for, never a first page only.

use std::ops::ControlFlow;

use clap::Args;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::pages::{LedgerPage, each_page, whole_list};
use super::terminal::{duration, printable, table};
use crate::types::{ItemState, LedgerItem, LedgerTotals, Throughput};

/// What `ledger` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn ledger demo
  cairn ledger demo --state failed --all
  cairn ledger demo --json | jq '.items[] | select(.state == \"unsupported\") | .source'")]
pub struct LedgerArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Show only items in this state
    #[arg(long, value_parser = parse_state, value_name = "STATE")]
    state: Option<ItemState>,
    /// Show at most this many items (--json prints all)
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Show all items
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &LedgerArgs) -> Result<Exit, CliError> {
    let endpoint = api(["tenants", &args.tenant, "ledger"])
        .with_some("state", args.state.map(ItemState::as_str));
    if output.json() {
        output.value(&whole_list(client, &endpoint, "items").await?)?;
        return Ok(Exit::Done);
    }
    let limit = if args.all { usize::MAX } else { args.limit };
    let mut head: Option<(LedgerTotals, Throughput)> = None;
    let mut items: Vec<LedgerItem> = Vec::new();
    each_page(client, &endpoint, |page: LedgerPage| {
        head.get_or_insert((page.totals, page.throughput));
        items.extend(page.items);
        Ok(if items.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    let (totals, throughput) = head.unwrap_or_default();
    output.line(totals_line(&totals))?;
    if let Some(line) = throughput_line(&throughput) {
        output.line(line)?;
    }
    items.truncate(limit);
    if !items.is_empty() {
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        output.line("")?;
        output.line(table(&["state", "source", "reason"], &rows))?;
    }
    let matching = args.state.map_or(totals.received, |state| in_state(&totals, state));
    let shown = items.len() as u64;
    if matching > shown {
        output.line(format!("… and {} more; see them with --all", matching - shown))?;
    }
    Ok(Exit::Done)
}

/// All counts in one line.
pub fn totals_line(totals: &LedgerTotals) -> String {
    let states: Vec<String> = ItemState::ALL
        .into_iter()
        .map(|state| format!("{} {}", in_state(totals, state), state.as_str()))
        .collect();
    format!("{} received: {}", totals.received, states.join(", "))
}

fn throughput_line(throughput: &Throughput) -> Option<String> {
    let seconds = std::time::Duration::from_secs(throughput.eta_s?);
    let rate = throughput.documents_per_s.map(|rate| format!(" at {rate:.1} documents/s"));
    Some(format!("done in about {}{}", duration(seconds), rate.unwrap_or_default()))
}

fn row(item: &LedgerItem) -> Vec<String> {
    let indent = if item.parent.is_some() { "  " } else { "" };
    let why = item.detail.as_deref().or(item.reason.as_deref()).unwrap_or_default();
    vec![
        item.state.as_str().to_owned(),
        format!("{indent}{}", printable(&item.source)),
        printable(why),
    ]
}

fn in_state(totals: &LedgerTotals, state: ItemState) -> u64 {
    match state {
        ItemState::Waiting => totals.waiting,
        ItemState::Indexed => totals.indexed,
        ItemState::Duplicate => totals.duplicate,
        ItemState::Unsupported => totals.unsupported,
        ItemState::Failed => totals.failed,
        ItemState::Superseded => totals.superseded,
        ItemState::Deleted => totals.deleted,
    }
}

fn parse_state(word: &str) -> Result<ItemState, String> {
    ItemState::parse(word).ok_or_else(|| {
        let words: Vec<&str> = ItemState::ALL.into_iter().map(ItemState::as_str).collect();
        format!("expected one of {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_line_names_every_state() {
        let mut totals = LedgerTotals::default();
        totals.add(ItemState::Indexed, 2);
        totals.add(ItemState::Failed, 1);
        assert_eq!(
            totals_line(&totals),
            "3 received: 0 waiting, 2 indexed, 0 duplicate, 0 unsupported, 1 failed, \
             0 superseded, 0 deleted"
        );
    }

    #[test]
    fn an_unknown_state_names_the_known_ones() {
        assert_eq!(parse_state("failed"), Ok(ItemState::Failed));
        assert!(parse_state("broken").unwrap_err().contains("waiting, indexed"));
    }
}
