//! `cairn source set`: what is to be different of a source.
//!
//! Called by: `cli::source`. Talks to: the API.
//! Invariants: what is not named stays; a password comes from standard input, and only where it is
//! asked for.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{DeletionsWord, OneArgs, SecurityWord, certificate, find, password};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::terminal::printable;

/// What is to be different; what is not named stays.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Another name; its documents move below it, by the next run
    #[arg(long)]
    name: Option<String>,
    /// Seconds between two runs
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// What becomes of documents that are gone there
    #[arg(long, value_enum)]
    deletions: Option<DeletionsWord>,
    /// Where the directory is now, as the server sees it; another directory is a new source
    #[arg(long, value_name = "DIR", conflicts_with = "imap")]
    directory: Option<PathBuf>,
    /// What the mail server is called now; another server is a new source
    #[arg(long, value_name = "HOST")]
    imap: Option<String>,
    /// What the user is called at the mail server now; another mailbox is a new source
    #[arg(long)]
    user: Option<String>,
    /// It is the same place under a new name: a share mounted elsewhere, a renamed server or user
    #[arg(long)]
    same_place: bool,
    /// Port of the mail server
    #[arg(long)]
    port: Option<u16>,
    /// How the connection to the mail server is protected
    #[arg(long, value_enum)]
    security: Option<SecurityWord>,
    /// Send the password in clear to another machine, or no longer
    #[arg(long, value_name = "true|false")]
    allow_plain: Option<bool>,
    /// Folder to read, in place of those so far; may be given more than once
    #[arg(long = "folder", value_name = "NAME", conflicts_with = "all_folders")]
    folders: Vec<String>,
    /// Read all folders
    #[arg(long)]
    all_folders: bool,
    /// PEM of the authority or the certificate that the mail server is to show
    #[arg(long, value_name = "FILE", conflicts_with = "usual_certificates")]
    certificate: Option<PathBuf>,
    /// Trust the certificates that this machine trusts
    #[arg(long)]
    usual_certificates: bool,
    /// Read a new password from standard input; needed with all that changes where it goes
    #[arg(long)]
    password: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of the API; a source of no such name; nothing to change.
pub(super) async fn set(client: &Client, output: Output, args: &SetArgs) -> Result<(), CliError> {
    let mut body = changes(args)?;
    if body.is_empty() && !args.password {
        let hint = "Say what is to be different; `cairn source set --help` lists it.";
        return Err(CliError::usage("nothing is to be changed").hint(hint));
    }
    let endpoint = find(client, &args.one).await?;
    if args.password {
        body.insert("password".to_owned(), json!(password().await?.as_str()));
    }
    let changed: Value = client.patch(&endpoint, &Value::Object(body)).await?;
    if output.json() {
        return output.value(&changed);
    }
    output.line(format!("changed source {}", printable(&args.one.source)))?;
    if args.name.is_some() {
        output.line("its documents move below its new name with its next run")?;
    }
    Ok(())
}

fn changes(args: &SetArgs) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let path = args.directory.as_deref().map(std::path::absolute).transpose();
    let path = path.map_err(|error| CliError::because("the directory", &error))?;
    put("name", args.name.as_ref().map(|name| json!(name)));
    put("interval_seconds", args.interval.map(|seconds| json!(seconds)));
    put("deletions", args.deletions.map(|word| json!(word.word())));
    put("path", path.map(|path| json!(path)));
    put("host", args.imap.as_ref().map(|host| json!(host)));
    put("user", args.user.as_ref().map(|user| json!(user)));
    put("port", args.port.map(|port| json!(port)));
    put("security", args.security.map(|word| json!(word.word())));
    put("allow_plain", args.allow_plain.map(|allow| json!(allow)));
    let folders = args.all_folders || !args.folders.is_empty();
    put("folders", folders.then(|| json!(args.folders)));
    let pem = args.certificate.as_deref().map(certificate).transpose()?;
    let pem = pem.map(|pem| json!(pem));
    put("certificate", if args.usual_certificates { Some(Value::Null) } else { pem });
    if !body.is_empty() && args.same_place {
        body.insert("same_place".to_owned(), json!(true));
    }
    Ok(body)
}
