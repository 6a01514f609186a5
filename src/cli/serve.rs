//! `cairn serve`: runs the server until it is told to stop.
//!
//! Called by: `cli`. Talks to: `appliance`, `telemetry`.
//! Invariants: returns after everything is closed in order.

use std::net::SocketAddr;

use clap::Args;

use super::Session;
use super::error::{CliError, Exit};
use crate::appliance::Appliance;

/// What `serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cairn serve --home ~/cairn --listen 127.0.0.1:8420
Ends in order on SIGINT and SIGTERM.")]
pub struct ServeArgs {
    /// Address and port of the dashboard and the API
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is not valid, the home is not initialised or held by another process,
/// or the address is taken.
pub async fn run(session: &Session, args: &ServeArgs) -> Result<Exit, CliError> {
    let config = session.config(args.listen)?;
    if !config.home.is_initialised() {
        return Err(CliError::not_found(format!(
            "{} is not a Cairn home",
            config.home.path.display()
        ))
        .hint("Create it with `cairn init`, or name another one with --home or CAIRN_HOME."));
    }
    crate::telemetry::init(&config)
        .map_err(|error| CliError::because("logging cannot be set up", &error))?;
    let appliance = Box::pin(Appliance::open(config)).await?;
    Box::pin(appliance.serve()).await?;
    Ok(Exit::Done)
}
