//! `cairn link`: a one-time link that opens the dashboard as its admin.
//!
//! Called by: `cli`, `cli::init`. Talks to: the API.
//! Invariants: the link is printed once and kept nowhere in clear.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;

/// A one-time link.
#[derive(Debug, Deserialize, Serialize)]
pub struct Link {
    pub link: String,
    pub expires_at: String,
}

/// Makes a one-time link.
///
/// # Errors
/// Those of the API.
pub async fn make(client: &Client) -> Result<Link, CliError> {
    client.post(&api(["links"]), &serde_json::json!({})).await
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output) -> Result<Exit, CliError> {
    let link = make(client).await?;
    if output.json() {
        output.value(&link)?;
    } else {
        output.line(&link.link)?;
        output.line(format!("Works once, until {}.", link.expires_at))?;
        if !client.is_server() {
            output.line("The server is not running: start it with `cairn serve` first.")?;
        }
    }
    Ok(Exit::Done)
}
