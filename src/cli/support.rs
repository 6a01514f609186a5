//! `cairn support-archive`: what support needs to find a fault, without anybody's content.
//!
//! Called by: `cli`. Talks to: the API, the file system.
//! Invariants: what is in the archive is shown before it is written; a file that is there already
//! is never replaced; a home that cannot be opened still gives what can be had without it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::BinaryBytes;
use serde::Serialize;

use super::Session;
use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::prompt::{ask, is_interactive};
use super::terminal::{printable, table};
use crate::app::support::{self, Contents, LOG_LINES, Listed};
use crate::config::Config;

/// What `support-archive` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn support-archive                       shows what is in it, asks, then writes it here
  cairn support-archive --list
  cairn support-archive --output /media/stick/cairn.tar --yes")]
pub struct SupportArgs {
    /// File to write [default: cairn-support-<time>.tar here]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lines of the server's log to take along
    #[arg(long, value_name = "N", default_value_t = LOG_LINES)]
    log_lines: usize,
    /// Show what would be in it and write nothing
    #[arg(long)]
    list: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    /// Absent where nothing was written.
    path: Option<String>,
    entries: &'a [Listed],
}

/// Runs the command.
///
/// # Errors
/// When the archive cannot be made or written, or nobody agreed to it.
pub async fn run(session: &Session, args: &SupportArgs) -> Result<Exit, CliError> {
    let config = session.config(None)?;
    let archive = make(&config, args.log_lines).await?;
    let Contents { made_at, entries } = support::contents(&archive)
        .map_err(|error| CliError::because("the archive cannot be read", &error))?;
    let output = session.output;
    if args.list {
        show(output, &entries)?;
        if output.json() {
            output.value(&Report { path: None, entries: &entries })?;
        }
        return Ok(Exit::Done);
    }
    let path = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!("cairn-support-{}.tar", made_at.strftime("%Y%m%dT%H%M%SZ")))
    });
    if !args.yes {
        show(output, &entries)?;
        agree(&path).await?;
    }
    write(&path, &archive).map_err(|error| {
        CliError::because(format!("{} cannot be written", path.display()), &error)
    })?;
    let shown = path.display().to_string();
    if output.json() {
        output.value(&Report { path: Some(shown), entries: &entries })?;
    } else {
        if args.yes {
            show(output, &entries)?;
        }
        output.line(format!(
            "wrote {} ({})",
            printable(&shown),
            BinaryBytes(archive.len() as u64)
        ))?;
    }
    Ok(Exit::Done)
}

/// The archive, from the API or, where the home cannot be opened, from what lies beside it.
async fn make(config: &Config, log_lines: usize) -> Result<Vec<u8>, CliError> {
    let client = match Client::connect(config).await {
        Ok(client) => client,
        Err(error) if config.home.is_initialised() => {
            return closed(config, error.message, log_lines).await;
        }
        Err(error) => return Err(error),
    };
    let endpoint = api(["support", "archive"]).with("log_lines", log_lines.to_string());
    let bytes = client.get_bytes(&endpoint).await;
    client.close().await?;
    match bytes {
        // A sealed appliance answers nothing else.
        Err(error) if error.exit == Exit::Locked => closed(config, error.message, log_lines).await,
        bytes => Ok(bytes?.to_vec()),
    }
}

/// What can be had of a home that is not open.
async fn closed(config: &Config, problem: String, log_lines: usize) -> Result<Vec<u8>, CliError> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || support::closed_archive(&config, &problem, log_lines))
        .await
        .map_err(|error| CliError::because("the archive could not be made", &error))?
        .map_err(|error| CliError::because("the archive could not be made", &error))
}

fn show(output: Output, entries: &[Listed]) -> Result<(), CliError> {
    if output.json() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let size = BinaryBytes(entry.size_bytes).to_string();
            vec![printable(&entry.name), size, printable(&entry.about)]
        })
        .collect();
    output.line(table(&["file", "size", "holds"], &rows))
}

async fn agree(path: &Path) -> Result<(), CliError> {
    if !is_interactive() {
        return Err(CliError::usage("nobody is there to agree to what the archive holds")
            .hint("Look at it with --list, then say --yes."));
    }
    let asked = format!("Write this to {}? [y/N] ", printable(&path.display().to_string()));
    let answer = ask(asked).await?.unwrap_or_default();
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(CliError::failed("nothing was written"))
    }
}

fn write(path: &Path, archive: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(archive)?;
    file.sync_all()
}
