//! `cairn doctor`: checks everything an installation needs and says what to mend.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a home that cannot be opened at all is a failed check, not a failed doctor.

use serde::{Deserialize, Serialize};

use super::Session;
use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::printable;

#[derive(Deserialize, Serialize)]
struct Report {
    checks: Vec<Check>,
}

#[derive(Deserialize, Serialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
    hint: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration cannot be read, or those of the API.
pub async fn run(session: &Session) -> Result<Exit, CliError> {
    let config = session.config(None)?;
    let report = match Client::connect(&config).await {
        Ok(client) => {
            let report = client.get(&api(["doctor"])).await;
            client.close().await?;
            report?
        }
        Err(error) => Report {
            checks: vec![Check {
                name: "home".to_owned(),
                ok: false,
                detail: error.message,
                hint: error.hint,
            }],
        },
    };
    print(session.output, &report)?;
    let healthy = report.checks.iter().all(|check| check.ok);
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

fn print(output: Output, report: &Report) -> Result<(), CliError> {
    if output.json() {
        return output.value(report);
    }
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in &report.checks {
        let word = match (check.ok, &check.hint) {
            (true, None) => "ok    ",
            (true, Some(_)) => "warn  ",
            (false, _) => "FAILED",
        };
        let detail = printable(&check.detail);
        output.line(format!("{word}  {:<width$}  {detail}", check.name))?;
        if let Some(hint) = &check.hint {
            output.line(format!("{:width$}          {}", "", printable(hint)))?;
        }
    }
    Ok(())
}
