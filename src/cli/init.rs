//! `cairn init`: makes a home and says what to do next.
//!
//! Called by: `cli`. Talks to: `appliance`, the API.
//! Invariants: a home that is there already is left as it is.

use serde::Serialize;

use super::Session;
use super::client::Client;
use super::error::{CliError, Exit};
use super::link::{Link, make};
use crate::appliance::init_home;

#[derive(Serialize)]
struct Report {
    home: String,
    created: bool,
    #[serde(flatten)]
    link: Option<Link>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration cannot be read or the home cannot be made.
pub async fn run(session: &Session) -> Result<Exit, CliError> {
    let config = session.config(None)?;
    let created = !config.home.is_initialised();
    let mut report = Report { home: config.home.path.display().to_string(), created, link: None };
    if created {
        let target = config.clone();
        tokio::task::spawn_blocking(move || init_home(&target))
            .await
            .map_err(|error| CliError::because("the home could not be made", &error))??;
        let client = Client::connect(&config).await?;
        let link = make(&client).await;
        client.close().await?;
        report.link = Some(link?);
    }
    let output = session.output;
    if output.json() {
        output.value(&report)?;
        return Ok(Exit::Done);
    }
    let Some(link) = &report.link else {
        output.line(format!("{} is a Cairn home already; nothing was changed", report.home))?;
        return Ok(Exit::Done);
    };
    let option = session.home_option();
    output.line(format!("made a Cairn home in {}", report.home))?;
    output.line("\nNext:")?;
    output.line(format!("  cairn{option} serve                   start the server"))?;
    output.line(format!("  cairn{option} tenant create demo      make a tenant"))?;
    output.line(format!("  cairn{option} add demo <folder>       drop your files in"))?;
    output.line(format!("  cairn{option} ask demo '<question>'   ask"))?;
    output.line("\nThe dashboard, once the server runs (this link works once):")?;
    output.line(format!("  {}", link.link))?;
    output.line(format!("It dies at {}; `cairn link` makes another.", link.expires_at))?;
    Ok(Exit::Done)
}
