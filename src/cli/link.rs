//! `cairn link`: a one-time link that makes the first admin or sets a lost password.
//!
//! Called by: `cli`, `cli::init`, `cli::user`. Talks to: the API.
//! Invariants: the link is printed once and kept nowhere in clear.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::printable;
use crate::types::LinkPurpose;

/// What `link` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn link          the first admin; later, a new password for the only admin
  cairn link ada      a new password for ada
Works whatever sign-in attempts failed before.")]
pub struct LinkArgs {
    /// User whose password the link sets, by name or id
    user: Option<String>,
}

/// A one-time link.
#[derive(Debug, Deserialize, Serialize)]
pub struct Link {
    pub link: String,
    pub purpose: LinkPurpose,
    /// Whose password it sets.
    pub name: Option<String>,
    pub expires_at: String,
}

/// Makes a one-time link.
///
/// # Errors
/// Those of the API.
pub async fn make(client: &Client, user: Option<&str>) -> Result<Link, CliError> {
    client.post(&api(["links"]), &serde_json::json!({ "user": user })).await
}

/// Shows a link and what it is for.
///
/// # Errors
/// When standard output is closed.
pub fn print_link(client: &Client, output: Output, link: &Link) -> Result<(), CliError> {
    if output.json() {
        return output.value(link);
    }
    output.line(&link.link)?;
    let purpose = match &link.name {
        Some(name) => format!("Sets the password of {}.", printable(name)),
        None => "Makes the first admin.".to_owned(),
    };
    output.line(format!("{purpose} Works once, until {}.", link.expires_at))?;
    if !client.is_server() {
        output.line("The server is not running: start it with `cairn serve` first.")?;
    }
    Ok(())
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &LinkArgs) -> Result<Exit, CliError> {
    let link = make(client, args.user.as_deref()).await?;
    print_link(client, output, &link)?;
    Ok(Exit::Done)
}
