//! The command line: one subcommand, one file.
//!
//! Called by: `main`. Talks to: `appliance`, `config`, `extract`, `extraction`, `app::eval`,
//! `keys`, and through the HTTP API to everything else.
//! Invariants: exit codes are 0 done, 1 failed, 2 usage, 3 not found or not allowed, 4 locked;
//! `extract-worker` and `ocr-worker` run before any thread, runtime or log exists.

mod add;
mod apikey;
mod ask;
mod audit;
mod client;
mod doctor;
mod endpoint;
mod error;
mod eval;
mod extract;
mod init;
mod keys;
mod ledger;
mod link;
mod maintain;
mod member;
mod output;
mod pages;
mod progress;
mod prompt;
mod search;
mod serve;
mod socket;
mod source;
mod status;
mod stream;
mod support;
mod tenant;
mod tenant_change;
mod terminal;
mod tls;
mod transfer;
mod upload;
mod user;
mod version;
mod wait;
mod walk;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Overrides};
use client::Client;
use error::{CliError, Exit};
use output::Output;

/// How long open reads (a terminal, a pipe) may keep a finished command.
const RUNTIME_PATIENCE: Duration = Duration::from_millis(500);

/// Air-gapped document intelligence: dump your data in, ask it anything, with proof.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, max_term_width = 100)]
#[command(after_help = "First steps:
  cairn init --home ~/cairn && export CAIRN_HOME=~/cairn
  cairn tenant create demo
  cairn add demo ~/Documents
  cairn ask demo 'When does the lease end?'

Every command works whether or not the server runs.
Exit codes: 0 done, 1 failed, 2 usage, 3 not found or not allowed, 4 locked.")]
struct CommandLine {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Shared {
    /// Home directory [default: /var/lib/cairn]
    #[arg(long, global = true, env = "CAIRN_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// Configuration file [default: cairn.toml in the home]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a home, its key with recovery shares, and a first link to the dashboard
    Init(init::InitArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    #[command(flatten)]
    Request(Request),
    /// Show what the extraction worker makes of one file, as Markdown
    Extract(extract::ExtractArgs),
    /// Seal and unseal, print recovery shares, change keys
    Keys(keys::KeysArgs),
    /// Check everything an installation needs; exit code 1 where a check fails
    #[command(after_help = "Example:\n  cairn doctor --json")]
    Doctor,
    /// Collect what support needs to find a fault: no content, no names
    SupportArchive(support::SupportArgs),
    /// Show the version
    #[command(after_help = "Example:\n  cairn version --json")]
    Version,
    /// Extract documents from frames on standard input; started by Cairn itself
    #[command(hide = true)]
    ExtractWorker,
    /// Become the OCR program, confined; started by Cairn itself
    #[command(hide = true)]
    OcrWorker { settings: String },
}

/// Commands that are requests to the API.
#[derive(Debug, Subcommand)]
enum Request {
    /// Show whether the server runs, the model, free space and what needs attention
    #[command(after_help = "Example:\n  cairn status --json")]
    Status,
    /// Make a one-time link that makes the first admin or sets a new password
    Link(link::LinkArgs),
    /// Add, list, show, disable and delete users, reset what they lost
    #[command(after_help = "Example:\n  cairn user add ada")]
    User(user::UserArgs),
    /// Create, list, show, change and delete tenants, and see to their members
    #[command(after_help = "Example:\n  cairn tenant create demo")]
    Tenant(tenant::TenantArgs),
    /// Create, list and revoke API keys
    #[command(after_help = "Example:\n  cairn apikey create demo --name importer")]
    Apikey(apikey::ApiKeyArgs),
    /// Show, renew or replace the server's certificate
    Tls(tls::TlsArgs),
    /// Add, list, run, pause and remove places that documents come from by themselves
    Source(source::SourceArgs),
    /// Drop files, folders or standard input into a tenant
    Add(add::AddArgs),
    /// Take standard input in line by line while it comes, and print what is near
    Stream(stream::StreamArgs),
    /// List every item with its state and reason, and totals that add up
    Ledger(ledger::LedgerArgs),
    /// Work again on what failed
    Retry(maintain::RetryArgs),
    /// Give the password of a locked file, and read it
    UnlockFile(maintain::UnlockArgs),
    /// Remove a document
    Remove(maintain::RemoveArgs),
    /// Throw away full text and vectors and make them again from what is stored
    Rebuild(maintain::RebuildArgs),
    /// Find documents and their best passages
    Search(search::SearchArgs),
    /// Ask a question; the answer is made of cited sentences
    Ask(ask::AskArgs),
    /// List, export and check audit trails
    Audit(audit::AuditArgs),
    /// Measure search quality and latency on a data set in the BEIR layout
    Eval(eval::EvalArgs),
}

/// What every command knows of its surroundings.
struct Session {
    home: Option<PathBuf>,
    config_file: Option<PathBuf>,
    output: Output,
}

impl Session {
    /// The configuration of the home, with the address given on the command line.
    ///
    /// # Errors
    /// Every problem of the configuration.
    fn config(&self, listen: Option<SocketAddr>) -> Result<Config, CliError> {
        self.config_with(Overrides { listen, ..Overrides::default() })
    }

    /// The configuration of the home, with what was given on the command line.
    ///
    /// # Errors
    /// Every problem of the configuration.
    fn config_with(&self, mut overrides: Overrides) -> Result<Config, CliError> {
        overrides.config_file = self.config_file.clone();
        Config::load(self.home.clone(), overrides).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            CliError::usage(lines.join("; ")).hint("Mend the configuration file and try again.")
        })
    }

    /// `--home` as it has to be repeated in commands that are suggested.
    fn home_option(&self) -> String {
        self.home
            .as_deref()
            .map(Path::display)
            .map_or_else(String::new, |home| format!(" --home '{home}'"))
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    crate::native::silence_telemetry();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and usage go where nobody may be reading; the exit code still tells.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    if matches!(line.command, Command::ExtractWorker) {
        return ExitCode::from(u8::try_from(crate::extract::run_worker()).unwrap_or(1));
    }
    if let Command::OcrWorker { settings } = &line.command {
        return ExitCode::from(
            u8::try_from(crate::extract::ocr::run_ocr_worker(settings)).unwrap_or(1),
        );
    }
    // Kept to the end: it is removed when the process ends.
    let _scratch = crate::scratch::claim();
    let output = Output::new(line.shared.json);
    let session = Session { home: line.shared.home, config_file: line.shared.config, output };
    match on_runtime(&session, line.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.report(output.json());
            if error.unheard { Exit::Done.into() } else { error.exit.into() }
        }
    }
}

fn on_runtime(session: &Session, command: Command) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::because("no threads could be started", &error))?;
    let result = runtime.block_on(dispatch(session, command));
    runtime.shutdown_timeout(RUNTIME_PATIENCE);
    result
}

async fn dispatch(session: &Session, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => Box::pin(init::run(session, &args)).await,
        Command::Serve(args) => Box::pin(serve::run(session, &args)).await,
        Command::Request(command) => Box::pin(request(session, command)).await,
        Command::Extract(args) => Box::pin(extract::run(session.output, &args)).await,
        Command::Keys(args) => Box::pin(keys::run(session, &args)).await,
        Command::Doctor => Box::pin(doctor::run(session)).await,
        Command::SupportArchive(args) => Box::pin(support::run(session, &args)).await,
        Command::Version => version::run(session.output),
        Command::OcrWorker { .. } => Err(CliError::usage("ocr-worker is started by Cairn itself")),
        Command::ExtractWorker => Err(CliError::usage("extract-worker is started by Cairn itself")),
    }
}

/// Runs a command against the running server, or against the home opened here; an interrupt ends
/// the command and still closes the home in order.
async fn request(session: &Session, command: Request) -> Result<Exit, CliError> {
    if let Request::Audit(args) = &command
        && let Some(file) = args.file()
    {
        return audit::verify_file(session.output, &file);
    }
    let config = session.config(None)?;
    let client = Client::connect(&config).await?;
    let result = tokio::select! {
        result = answer(session.output, &client, &config, command) => result,
        _ = tokio::signal::ctrl_c() => Err(CliError::failed("interrupted")
            .hint("What was acknowledged is stored; `cairn ledger` shows where it stands.")),
    };
    let closed = client.close().await;
    let exit = result?;
    closed.map(|()| exit)
}

async fn answer(
    output: Output,
    client: &Client,
    config: &Config,
    command: Request,
) -> Result<Exit, CliError> {
    match command {
        Request::Status => status::run(client, output, &config.home.path).await,
        Request::Link(args) => link::run(client, output, &args).await,
        Request::User(args) => user::run(client, output, &args).await,
        Request::Tenant(args) => tenant::run(client, output, &args).await,
        Request::Apikey(args) => apikey::run(client, output, &args).await,
        Request::Tls(args) => tls::run(client, output, &args).await,
        Request::Source(args) => Box::pin(source::run(client, output, &args)).await,
        Request::Add(args) => Box::pin(add::run(client, output, args)).await,
        Request::Stream(args) => Box::pin(stream::run(client, output, &args)).await,
        Request::Ledger(args) => ledger::run(client, output, &args).await,
        Request::Retry(args) => maintain::retry(client, output, &args).await,
        Request::UnlockFile(args) => maintain::unlock(client, output, &args).await,
        Request::Remove(args) => maintain::remove(client, output, &args).await,
        Request::Rebuild(args) => maintain::rebuild(client, output, &args).await,
        Request::Search(args) => search::run(client, output, &args).await,
        Request::Ask(args) => ask::run(client, output, &args).await,
        Request::Audit(args) => Box::pin(audit::run(client, output, &args)).await,
        Request::Eval(args) => Box::pin(eval::run(client, output, &args)).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound_and_every_command_has_an_example() {
        let mut tree = CommandLine::command();
        tree.build();
        tree.clone().debug_assert();
        for command in tree.get_subcommands() {
            if command.is_hide_set() || command.get_name() == "help" {
                continue;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
            assert!(command.get_about().is_some(), "{} has no summary", command.get_name());
        }
    }

    #[test]
    fn options_of_every_command_may_come_before_or_after_it() {
        for words in [
            ["cairn", "--json", "--home", "/h", "status"],
            ["cairn", "status", "--json", "--home", "/h"],
        ] {
            let line = CommandLine::try_parse_from(words).unwrap();
            assert!(line.shared.json);
            assert_eq!(line.shared.home.as_deref(), Some(Path::new("/h")));
        }
    }

    #[test]
    fn a_query_may_start_with_a_minus() {
        let line = CommandLine::try_parse_from(["cairn", "search", "t", "-draft report"]).unwrap();
        assert!(matches!(line.command, Command::Request(Request::Search(_))));
        for words in [
            ["cairn", "search", "--mode", "keyword", "t", "q"],
            ["cairn", "search", "t", "q", "--mode", "keyword"],
            ["cairn", "search", "t", "--mode", "keyword", "q"],
        ] {
            assert!(CommandLine::try_parse_from(words).is_ok(), "{words:?}");
        }
    }
}
