//! `cairn init`: makes a home and its key, prints recovery shares once, and says what to do next.
//!
//! Called by: `cli`. Talks to: `appliance`, `keys`, the API.
//! Invariants: a home that is there already is left as it is, except that one without keys gets
//! them; shares are printed before anything that can fail for another reason.

use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Session;
use super::client::Client;
use super::error::{CliError, Exit};
use super::keys::{Shares, SharesArgs, check_one_share, make_shares, print_shares, record};
use super::link::{Link, make};
use super::prompt::PassphraseArgs;
use crate::appliance::init_home;
use crate::config::Config;
use crate::disk::on_one_disk;
use crate::keys::{Kek, KekSource, inspect};

/// What `init` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn init --home ~/cairn
  cairn init --name 'Records of the museum' --shares 5 --threshold 3
The key lies in /etc/cairn/kek.key for the default home, else beside the home; cairn.toml may
name another file, a passphrase or a systemd credential under [keys].")]
pub struct InitArgs {
    /// What people call this appliance; status and page show it
    #[arg(long, value_name = "NAME", value_parser = appliance_name)]
    name: Option<String>,
    #[command(flatten)]
    shares: SharesArgs,
    /// Print no recovery shares; `cairn keys shares` prints them later
    #[arg(long)]
    no_shares: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Longest name, in letters.
const MAX_NAME_CHARS: usize = 64;

/// A name as it was typed, without white space around it.
fn appliance_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let sound = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    match sound && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(format!("a name has 1 to {MAX_NAME_CHARS} letters on one line")),
    }
}

#[derive(Serialize)]
struct Report {
    home: String,
    created: bool,
    #[serde(flatten)]
    shares: Option<Shares>,
    #[serde(flatten)]
    link: Option<Link>,
    warnings: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration cannot be read, the key cannot be had, or the home cannot be made.
pub async fn run(session: &Session, args: &InitArgs) -> Result<Exit, CliError> {
    let config = session.config(None)?;
    let source = KekSource::of(&config.keys, &config.home);
    let keys = config.home.keys_path();
    let created = !config.home.is_initialised();
    let output = session.output;
    let home = config.home.path.display().to_string();
    if !created && inspect(&keys)?.scopes > 0 {
        // A home whose key file is lost is told so here too, rather than that all is well.
        if matches!(source, KekSource::File(_)) {
            source.read(&keys, None)?;
        }
        let report = Report { home, created, shares: None, link: None, warnings: Vec::new() };
        if output.json() {
            output.value(&report)?;
        } else {
            let home = &report.home;
            output.line(format!("{home} is a Cairn home already; nothing was changed"))?;
        }
        return Ok(Exit::Done);
    }
    args.shares.check()?;
    let made = make_home(&config, &source, args).await?;
    let shares = (!args.no_shares).then(|| make_shares(&made, &args.shares)).transpose()?;
    if shares.is_some() {
        record(&config, &made, args.shares.event()).await?;
    }
    let mut warnings = Vec::new();
    if let KekSource::File(path) = &source
        && on_one_disk(path, &config.home.path)
    {
        let path = path.display();
        warnings.push(format!(
            "{path} lies on the disk of the home: whoever takes that disk can read everything"
        ));
    }
    if !output.json() {
        let what = if created { "a Cairn home" } else { "keys for the Cairn home" };
        output.line(format!("made {what} in {home}"))?;
        output.line(format!("its key {} comes from {}\n", made.id(), place(&source)))?;
        for warning in &warnings {
            output.line(format!("warning: {warning}\n"))?;
        }
        if let Some(shares) = &shares {
            print_shares(output, shares)?;
            check_one_share(output, shares).await?;
        }
    }
    let told = warnings.len();
    let link = first_link(&config, created, &mut warnings).await;
    if output.json() {
        output.value(&Report { home, created, shares, link, warnings })?;
        return Ok(Exit::Done);
    }
    for warning in &warnings[told..] {
        output.line(format!("warning: {warning}\n"))?;
    }
    print_next(session, link.as_ref())?;
    Ok(Exit::Done)
}

/// Makes the home; a passphrase is asked for where the source wants one.
async fn make_home(config: &Config, source: &KekSource, args: &InitArgs) -> Result<Kek, CliError> {
    let passphrase: Option<Zeroizing<String>> = match source {
        KekSource::Passphrase if source.is_there(&config.home.keys_path()) => {
            Some(args.passphrase.known().await?)
        }
        KekSource::Passphrase => Some(args.passphrase.chosen().await?),
        _ => None,
    };
    let (target, name) = (config.clone(), args.name.clone());
    let report = tokio::task::spawn_blocking(move || {
        init_home(&target, passphrase.as_ref().map(|text| text.as_str()), name.as_deref())
    })
    .await
    .map_err(|error| CliError::because("the home could not be made", &error))??;
    Ok(report.kek)
}

/// The first link to the dashboard. A home that has been made stays made without it, so whatever
/// is in its way is a warning.
async fn first_link(config: &Config, created: bool, warnings: &mut Vec<String>) -> Option<Link> {
    if !created {
        return None;
    }
    let made = async {
        let client = Client::connect(config).await?;
        let link = make(&client, None).await;
        client.close().await?;
        link
    };
    match Box::pin(made).await {
        Ok(link) => Some(link),
        Err(error) => {
            warnings.push(format!("no link to the dashboard yet: {}", error.message));
            None
        }
    }
}

fn place(source: &KekSource) -> String {
    match source {
        KekSource::File(path) => path.display().to_string(),
        KekSource::Passphrase => "the passphrase".to_owned(),
        KekSource::Credential(_) => "the systemd credential".to_owned(),
    }
}

fn print_next(session: &Session, link: Option<&Link>) -> Result<(), CliError> {
    let (output, option) = (session.output, session.home_option());
    output.line("Next:")?;
    output.line(format!("  cairn{option} serve                   start the server"))?;
    output.line(format!("  cairn{option} tenant create demo      make a tenant"))?;
    output.line(format!("  cairn{option} add demo <folder>       drop your files in"))?;
    output.line(format!("  cairn{option} ask demo '<question>'   ask"))?;
    let Some(link) = link else {
        return output.line(format!(
            "\nOnce the server runs and is unsealed, `cairn{option} link` makes the first admin."
        ));
    };
    output.line("\nThe dashboard's first admin, once the server runs (this link works once):")?;
    output.line(format!("  {}", link.link))?;
    if link.link.starts_with("https") {
        output.line(format!("Browsers trust it after `cairn{option} tls ca` says how."))?;
    }
    output.line(format!("It dies at {}; `cairn link` makes another.", link.expires_at))
}
