//! `cairn source`: places that documents come from by themselves.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a password is never an argument, where others see it: it comes from standard input.

mod set;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::Client;
use super::endpoint::{Endpoint, api};
use super::error::{CliError, Exit};
use super::output::Output;
use super::prompt;
use super::terminal::{count, printable, table};
use crate::types::{RunCounts, RunOutcome, SourceRun};

/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(300);

/// Problems printed of a run.
const PROBLEMS_SHOWN: usize = 10;

/// What `source` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cairn source list demo")]
pub struct SourceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a directory that the server sees, or a mailbox; the server reads it from now on
    #[command(after_help = "Examples:
  cairn source add demo contracts --directory /mnt/contracts
  cairn source add demo office --imap mail.example.lan --user office@example.lan < password

The admin lists in cairn.toml what may be reached:
  [sources]
  allowed_roots = [\"/mnt\"]
  allowed_hosts = [\"mail.example.lan\"]")]
    Add(Box<AddArgs>),
    /// List the sources with how their last run went
    #[command(after_help = "Example:\n  cairn source list demo")]
    List {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Show a source with its last run and what went wrong in it
    #[command(after_help = "Example:\n  cairn source show demo contracts")]
    Show(OneArgs),
    /// Change a source: its name, interval, folders, password and the like; what was taken in stays
    #[command(after_help = "Examples:
  cairn source set demo contracts --interval 3600 --deletions keep
  cairn source set demo office --password < password-file
  cairn source set demo contracts --directory /srv/contracts --same-place")]
    Set(Box<set::SetArgs>),
    /// Stop reading a source until it is resumed
    #[command(after_help = "Example:\n  cairn source pause demo contracts")]
    Pause(OneArgs),
    /// Go on reading a source
    #[command(after_help = "Example:\n  cairn source resume demo contracts")]
    Resume(OneArgs),
    /// Read a source now and wait for the end of it
    #[command(after_help = "Examples:
  cairn source run demo contracts
  cairn source run demo contracts --confirm-gone")]
    Run {
        #[command(flatten)]
        one: OneArgs,
        /// It is right that so much is gone there: remove it here too
        #[arg(long)]
        confirm_gone: bool,
        /// Return once the run is asked for
        #[arg(long)]
        no_wait: bool,
    },
    /// Remove a source; its documents stay
    #[command(after_help = "Example:\n  cairn source remove demo contracts")]
    Remove(OneArgs),
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Source, by name or id
    source: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SecurityWord {
    Tls,
    Starttls,
    Plain,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeletionsWord {
    Remove,
    Keep,
}

impl SecurityWord {
    fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::Plain => "plain",
        }
    }
}

impl DeletionsWord {
    fn word(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Tenant, by name or id
    tenant: String,
    /// Name; documents are listed below it
    name: String,
    /// Directory to read, as the server sees it
    #[arg(long, value_name = "DIR", required_unless_present = "imap", conflicts_with = "imap")]
    directory: Option<PathBuf>,
    /// Mail server to read a mailbox of; the password is read from standard input
    #[arg(long, value_name = "HOST", requires = "user")]
    imap: Option<String>,
    /// Port of the mail server [default: 993, or 143 without TLS from the start]
    #[arg(long, requires = "imap")]
    port: Option<u16>,
    /// How the connection to the mail server is protected
    #[arg(long, value_enum, default_value = "tls", requires = "imap")]
    security: SecurityWord,
    /// Send the password in clear to another machine
    #[arg(long, requires = "imap")]
    allow_plain: bool,
    /// User name at the mail server
    #[arg(long, requires = "imap")]
    user: Option<String>,
    /// Folder to read; may be given more than once [default: all]
    #[arg(long = "folder", value_name = "NAME", requires = "imap")]
    folders: Vec<String>,
    /// PEM of the authority or the certificate that the mail server is to show
    #[arg(long, value_name = "FILE", requires = "imap")]
    certificate: Option<PathBuf>,
    /// Collection that the documents go to [default: documents]
    #[arg(long)]
    collection: Option<String>,
    /// Seconds between two runs [default: 300]
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// What becomes of documents that are gone there [default: remove; keep for mailboxes]
    #[arg(long, value_enum)]
    deletions: Option<DeletionsWord>,
    /// Do not read it yet
    #[arg(long)]
    paused: bool,
}

#[derive(Deserialize)]
struct Sources {
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    id: String,
    name: String,
    kind: String,
    path: Option<String>,
    host: Option<String>,
    user: Option<String>,
    collection: String,
    state: String,
    items: u64,
    missing: u64,
    running: Option<RunCounts>,
    last_run: Option<SourceRun>,
    next_run_at: Option<String>,
}

impl Source {
    fn place(&self) -> String {
        match (&self.path, &self.user, &self.host) {
            (Some(path), _, _) => printable(path),
            (None, Some(user), Some(host)) => printable(&format!("{user} at {host}")),
            _ => String::new(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Those of the API; a source of no such name.
pub async fn run(client: &Client, output: Output, args: &SourceArgs) -> Result<Exit, CliError> {
    match &args.action {
        Action::Add(args) => add(client, output, args).await?,
        Action::List { tenant } => list(client, output, tenant).await?,
        Action::Show(one) => show(client, output, one).await?,
        Action::Set(args) => set::set(client, output, args).await?,
        Action::Pause(one) => {
            change(client, output, one, &json!({ "paused": true }), "paused").await?;
        }
        Action::Resume(one) => {
            change(client, output, one, &json!({ "paused": false }), "resumed").await?;
        }
        Action::Run { one, confirm_gone, no_wait } => {
            return run_now(client, output, one, *confirm_gone, *no_wait).await;
        }
        Action::Remove(one) => {
            let endpoint = find(client, one).await?;
            client.delete::<Value>(&endpoint).await?;
            if output.json() {
                output.value(&json!({ "removed": one.source }))?;
            } else {
                let name = printable(&one.source);
                output.line(format!("removed source {name}; its documents stay"))?;
            }
        }
    }
    Ok(Exit::Done)
}

async fn add(client: &Client, output: Output, args: &AddArgs) -> Result<(), CliError> {
    let mut body = json!({
        "name": args.name,
        "collection": args.collection,
        "interval_seconds": args.interval,
        "paused": args.paused,
        "deletions": args.deletions.map(DeletionsWord::word),
    });
    let settings = match (&args.directory, &args.imap) {
        (Some(path), _) => {
            let path = std::path::absolute(path)
                .map_err(|error| CliError::because(path.display().to_string(), &error))?;
            json!({ "kind": "directory", "path": path })
        }
        (None, host) => {
            json!({
                "kind": "imap",
                "host": host,
                "port": args.port,
                "security": args.security.word(),
                "allow_plain": args.allow_plain,
                "user": args.user,
                "folders": args.folders,
                "certificate": args.certificate.as_deref().map(certificate).transpose()?,
                "password": password().await?.as_str(),
            })
        }
    };
    if let (Some(body), Value::Object(settings)) = (body.as_object_mut(), settings) {
        body.extend(settings);
    }
    let made: Value = client.post(&api(["tenants", &args.tenant, "sources"]), &body).await?;
    if output.json() {
        return output.value(&made);
    }
    output.line(format!("made source {}", printable(&args.name)))?;
    if !client.is_server() && !args.paused {
        output.line("it is read once the server runs: `cairn serve`")?;
    }
    Ok(())
}

/// The password of a mailbox, from standard input.
async fn password() -> Result<Zeroizing<String>, CliError> {
    let question = "Password of the mailbox (typed characters are shown): ";
    let password = prompt::ask(question).await?.filter(|line| !line.is_empty());
    password.ok_or_else(|| CliError::usage("no password came on standard input"))
}

fn certificate(path: &std::path::Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::because(path.display().to_string(), &error))
}

async fn list(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let endpoint = api(["tenants", tenant, "sources"]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let list: Sources = client.get(&endpoint).await?;
    if list.sources.is_empty() {
        return output.line("no sources yet; add one with `cairn source add`");
    }
    let rows: Vec<Vec<String>> = list
        .sources
        .iter()
        .map(|source| {
            let last = source.last_run.as_ref().map_or_else(
                || "never".to_owned(),
                |run| format!("{}, {}", run.ended_at.strftime("%F %T"), run.outcome.as_str()),
            );
            vec![
                printable(&source.name),
                source.kind.clone(),
                source.state.clone(),
                source.items.to_string(),
                last,
                source.place(),
            ]
        })
        .collect();
    output.line(table(&["name", "kind", "state", "items", "last run", "place"], &rows))
}

async fn show(client: &Client, output: Output, one: &OneArgs) -> Result<(), CliError> {
    let endpoint = find(client, one).await?;
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let source: Source = client.get(&endpoint).await?;
    let rows = [
        ("source", format!("{} ({})", printable(&source.name), source.id)),
        ("place", source.place()),
        ("collection", printable(&source.collection)),
        ("state", source.state.clone()),
        ("items", format!("{}, {} missing", source.items, source.missing)),
        ("next run", source.next_run_at.clone().unwrap_or_else(|| "none".to_owned())),
    ];
    for (name, value) in rows {
        output.line(format!("{name:<12} {value}"))?;
    }
    match &source.last_run {
        Some(run) => report(output, run),
        None => Ok(()),
    }
}

async fn change(
    client: &Client,
    output: Output,
    one: &OneArgs,
    body: &Value,
    what: &str,
) -> Result<(), CliError> {
    let endpoint = find(client, one).await?;
    let changed: Value = client.patch(&endpoint, body).await?;
    if output.json() {
        return output.value(&changed);
    }
    output.line(format!("{what} source {}", printable(&one.source)))
}

async fn run_now(
    client: &Client,
    output: Output,
    one: &OneArgs,
    confirm_gone: bool,
    no_wait: bool,
) -> Result<Exit, CliError> {
    let endpoint = find(client, one).await?;
    let before: Source = client.get(&endpoint).await?;
    let before = before.last_run.map(|run| run.ended_at);
    let body = json!({ "gone_confirmed": confirm_gone });
    let asked: Value = client.post(&endpoint.clone().below(["run"]), &body).await?;
    if no_wait || !client.is_server() {
        if output.json() {
            output.value(&asked)?;
        } else if client.is_server() {
            output.line("the run is asked for")?;
        } else {
            output.line("it is read once the server runs: `cairn serve`")?;
        }
        return Ok(Exit::Done);
    }
    let run = loop {
        tokio::time::sleep(LOOK).await;
        let now: Source = client.get(&endpoint).await?;
        let settled = now.running.is_none() && now.state != "due";
        match now.last_run {
            Some(run) if settled && Some(run.ended_at) != before => break run,
            _ => {}
        }
    };
    if output.json() {
        output.value(&run)?;
    } else {
        report(output, &run)?;
    }
    Ok(if run.outcome == RunOutcome::Failed { Exit::Failed } else { Exit::Done })
}

/// Says how a run went.
fn report(output: Output, run: &SourceRun) -> Result<(), CliError> {
    let counts = run.counts;
    output.line(format!(
        "last run     {}, {}: {} new, {} changed, {} moved, {} removed, {} unchanged",
        run.ended_at.strftime("%F %T"),
        run.outcome.as_str(),
        counts.new,
        counts.changed,
        counts.moved,
        counts.deleted,
        counts.unchanged
    ))?;
    for (number, what) in [
        (counts.failed, "could not be taken in"),
        (counts.skipped, "left alone"),
        (counts.hidden, "hidden and left alone"),
        (counts.missing, "gone there and kept here"),
        (counts.unsettled, "still being written"),
    ] {
        if number > 0 {
            output.line(format!("             {} {what}", count(number, "thing")))?;
        }
    }
    if let Some(error) = &run.error {
        output.line(format!("error        {}", printable(error)))?;
    }
    for problem in run.problems.iter().take(PROBLEMS_SHOWN) {
        let (path, reason) = (printable(&problem.path), printable(&problem.reason));
        output.line(format!("             {path}: {reason}"))?;
    }
    match run.problems.len().saturating_sub(PROBLEMS_SHOWN) {
        0 => Ok(()),
        more => output.line(format!("             and {more} more")),
    }
}

/// The address of a source given by id or name.
async fn find(client: &Client, one: &OneArgs) -> Result<Endpoint, CliError> {
    let endpoint = api(["tenants", &one.tenant, "sources"]);
    let list: Sources = client.get(&endpoint).await?;
    let found = list
        .sources
        .iter()
        .find(|source| source.id == one.source || source.name == one.source)
        .ok_or_else(|| {
            CliError::not_found(format!("there is no source {}", printable(&one.source)))
                .hint(format!("See `cairn source list {}`.", printable(&one.tenant)))
        })?;
    Ok(endpoint.below([&found.id]))
}
