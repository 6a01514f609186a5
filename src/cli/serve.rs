//! `cairn serve`: runs the server until it is told to stop.
//!
//! Called by: `cli`. Talks to: `appliance`, `telemetry`.
//! Invariants: returns after everything is closed in order.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::Session;
use super::error::{CliError, Exit};
use crate::appliance::Appliance;
use crate::config::{Overrides, TlsMode};

/// What `serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cairn serve --home ~/cairn --listen 127.0.0.1:8420
Ends in order on SIGINT and SIGTERM.")]
pub struct ServeArgs {
    /// Address and port of the dashboard and the API
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve TLS, or plain HTTP on a loopback address
    #[arg(long, value_name = "MODE")]
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tls {
    Auto,
    Off,
}

impl From<Tls> for TlsMode {
    fn from(mode: Tls) -> Self {
        match mode {
            Tls::Auto => Self::Auto,
            Tls::Off => Self::Off,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the configuration is not valid, the home is not initialised or held by another process,
/// or the address is taken.
pub async fn run(session: &Session, args: &ServeArgs) -> Result<Exit, CliError> {
    let config = session.config_with(Overrides {
        listen: args.listen,
        tls: args.tls.map(TlsMode::from),
        ..Overrides::default()
    })?;
    if !config.home.is_initialised() {
        return Err(CliError::no_home(&config.home.path));
    }
    crate::telemetry::init(&config)
        .map_err(|error| CliError::because("logging cannot be set up", &error))?;
    let appliance = Box::pin(Appliance::open(config)).await?;
    Box::pin(appliance.serve()).await?;
    Ok(Exit::Done)
}
