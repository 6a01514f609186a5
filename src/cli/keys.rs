//! `cairn keys`: the key that opens everything, sealing, and the data keys of tenants.
//!
//! Called by: `cli`. Talks to: `keys` (what needs no server), the API (everything else).
//! Invariants: sealing and unsealing are for a running server; no command prints a key, except
//! `generate`, whose key opens nothing yet.

mod recovery;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::Session;
use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::prompt::PassphraseArgs;
use super::terminal::{count, printable};
use crate::config::{Config, KekSourceKind};
use crate::disk::on_one_disk;
use crate::error::chain;
use crate::keys::{KekSource, KeyError, KeyReport, inspect};

pub(super) use recovery::{Shares, SharesArgs, check_one_share, make_shares, print_shares, record};

/// What `keys` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn keys status
  cairn keys unseal
  cairn keys shares --shares 5 --threshold 3")]
pub struct KeysArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show where the key comes from, whether it opens this home, and what is under way
    #[command(after_help = "Example:\n  cairn keys status --json")]
    Status,
    /// Seal the running server: it forgets every key and answers nothing but `unseal`
    #[command(after_help = "Example:\n  cairn keys seal")]
    Seal,
    /// Unseal the running server, by the configured source or by recovery shares
    #[command(after_help = "Examples:
  cairn keys unseal
  cairn keys unseal --passphrase-file /run/user/0/passphrase
  cairn keys unseal --shares")]
    Unseal {
        #[command(flatten)]
        passphrase: PassphraseArgs,
        /// Enter recovery shares, one a line
        #[arg(long)]
        shares: bool,
    },
    /// Put a new key in place of the one that opens this home; content is not touched
    #[command(after_help = "Example:
  cairn keys rotate-kek && cairn keys shares
Shares of the old key open nothing afterwards: print new ones.")]
    RotateKek {
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Give a tenant a new data key; what it holds is re-encrypted in the background
    #[command(after_help = "Example:\n  cairn keys rotate demo")]
    Rotate {
        /// Tenant, by name or id
        tenant: String,
    },
    /// Print recovery shares of the key; shares printed before stay good
    #[command(after_help = "Example:\n  cairn keys shares --shares 5 --threshold 3")]
    Shares {
        #[command(flatten)]
        shares: SharesArgs,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Make the key again from recovery shares, one a line
    #[command(after_help = "Examples:
  cairn keys recover
  cairn keys recover --to /mnt/stick/kek.key")]
    Recover {
        /// Key file to write [default: where the configured source wants it]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Print a new key, for a systemd credential
    #[command(after_help = "Example:
  cairn keys generate | systemd-creds encrypt --name=cairn-kek - \\
      /etc/credstore.encrypted/cairn-kek")]
    Generate,
}

/// Runs the command.
///
/// # Errors
/// Those of the keys folder and of the API.
pub async fn run(session: &Session, args: &KeysArgs) -> Result<Exit, CliError> {
    let output = session.output;
    if matches!(args.action, Action::Generate) {
        return recovery::generate(output);
    }
    let config = session.config(None)?;
    if !config.home.is_initialised() {
        return Err(CliError::no_home(&config.home.path));
    }
    match &args.action {
        Action::Status => return status(output, &config).await,
        Action::Seal => seal(output, &config).await?,
        Action::Unseal { passphrase, shares } => {
            unseal(output, &config, passphrase, *shares).await?;
        }
        Action::RotateKek { passphrase } => rotate_kek(output, &config, passphrase).await?,
        Action::Rotate { tenant } => {
            let endpoint = api(["tenants", tenant, "rotate-key"]);
            let client = Client::connect(&config).await?;
            let begun = client.post::<Value>(&endpoint, &json!({})).await;
            client.close().await?;
            tell(
                output,
                &begun?,
                "the tenant writes with a new key; what it holds is re-encrypted in the background",
            )?;
        }
        Action::Shares { shares, passphrase } => {
            recovery::shares(output, &config, shares, passphrase).await?;
        }
        Action::Recover { to, passphrase } => {
            recovery::recover(output, &config, to.as_deref(), passphrase).await?;
        }
        Action::Generate => {}
    }
    Ok(Exit::Done)
}

async fn seal(output: Output, config: &Config) -> Result<(), CliError> {
    let Some(client) = Client::of_server(config).await? else {
        return tell(output, &json!({ "sealed": true }), "no server runs: nothing is unsealed");
    };
    let sealed: Value = client.post(&api(["seal"]), &json!({})).await?;
    tell(output, &sealed, "sealed; `cairn keys unseal` opens it again")
}

async fn unseal(
    output: Output,
    config: &Config,
    passphrase: &PassphraseArgs,
    shares: bool,
) -> Result<(), CliError> {
    let Some(client) = Client::of_server(config).await? else {
        return Err(CliError::failed("no server runs, so there is nothing to unseal")
            .hint("Start it with `cairn serve`."));
    };
    let body = if shares {
        let wanted = report(config)?;
        let entered = recovery::enter_shares(&wanted).await?;
        let texts: Vec<&str> = entered.iter().map(|text| text.as_str()).collect();
        json!({ "shares": texts })
    } else if config.keys.source == KekSourceKind::Passphrase {
        json!({ "passphrase": passphrase.known().await?.as_str() })
    } else {
        json!({})
    };
    let unsealed: Value = client.post(&api(["unseal"]), &body).await?;
    tell(output, &unsealed, "unsealed")
}

async fn rotate_kek(
    output: Output,
    config: &Config,
    passphrase: &PassphraseArgs,
) -> Result<(), CliError> {
    let body = match config.keys.source {
        KekSourceKind::File => json!({}),
        KekSourceKind::Passphrase => json!({ "passphrase": passphrase.chosen().await?.as_str() }),
        KekSourceKind::Credential => {
            return Err(CliError::from(KeyError::CredentialFixed).hint(
                "Set keys.source = \"file\" with a new key file for the change, then make a \
                 credential of that file.",
            ));
        }
    };
    let client = Client::connect(config).await?;
    let changed = client.post::<Value>(&api(["keys", "rotate"]), &body).await;
    client.close().await?;
    tell(
        output,
        &changed?,
        "this home has a new key; shares printed before open it no more: \
         print new ones with `cairn keys shares`",
    )
}

/// The answer as JSON where that was asked for, else a sentence.
fn tell(output: Output, answer: &Value, sentence: &str) -> Result<(), CliError> {
    if output.json() { output.value(answer) } else { output.line(sentence) }
}

/// What the keys folder of a home says.
fn report(config: &Config) -> Result<KeyReport, CliError> {
    Ok(inspect(&config.home.keys_path())?)
}

/// The state of the keys as `--json` prints it.
#[derive(Serialize)]
struct Status {
    source: &'static str,
    /// The key file or credential; absent with a passphrase.
    place: Option<String>,
    /// The key that the source gives, where it could be read without asking anybody.
    kek: Option<String>,
    /// The key that opens this home.
    wanted: Option<String>,
    /// Why the key does not open this home.
    problem: Option<String>,
    /// Absent where no server runs.
    sealed: Option<bool>,
    scopes: usize,
    rotating: Vec<String>,
    /// From which key to which a change is under way.
    kek_rotation: Option<[String; 2]>,
    damaged: Vec<String>,
    /// True where whoever takes the disk has the key as well.
    key_and_home_on_one_disk: bool,
}

async fn status(output: Output, config: &Config) -> Result<Exit, CliError> {
    let sealed = match Client::of_server(config).await? {
        Some(client) => client
            .get::<Value>(&api(["seal"]))
            .await
            .ok()
            .and_then(|state| state.get("sealed").and_then(Value::as_bool)),
        None => None,
    };
    let status = Status { sealed, ..of_files(config, report(config)?) };
    let sound = status.problem.is_none() && status.damaged.is_empty();
    if output.json() {
        output.value(&status)?;
    } else {
        print(output, &status)?;
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn of_files(config: &Config, report: KeyReport) -> Status {
    let source = KekSource::of(&config.keys, &config.home);
    let read = source.read(&config.home.keys_path(), None);
    let problem = match &read {
        Ok(kek) if report.opens_with(kek.id()) => None,
        Ok(kek) => report.wanted().map(|expected| {
            let wrong = KeyError::WrongKey { expected, found: kek.id() };
            wrong.to_string()
        }),
        Err(KeyError::PassphraseNeeded) => None,
        Err(error) => Some(chain(error)),
    };
    let place = match &source {
        KekSource::File(path) | KekSource::Credential(path) => Some(path),
        KekSource::Passphrase => None,
    };
    Status {
        source: source.word(),
        place: place.map(|path| path.display().to_string()),
        kek: read.ok().map(|kek| kek.id().to_string()),
        wanted: report.wanted().map(|kek| kek.to_string()),
        problem,
        sealed: None,
        scopes: report.scopes,
        rotating: report.rotating,
        kek_rotation: report.kek_rotation.map(|(old, new)| [old.to_string(), new.to_string()]),
        damaged: report.damaged.iter().map(|path| path.display().to_string()).collect(),
        key_and_home_on_one_disk: match &source {
            KekSource::File(path) => on_one_disk(path, &config.home.path),
            _ => false,
        },
    }
}

fn print(output: Output, status: &Status) -> Result<(), CliError> {
    let place = status.place.as_ref().map_or_else(String::new, |place| format!(", {place}"));
    let server = match status.sealed {
        Some(true) => "sealed",
        Some(false) => "unsealed",
        None => "not running",
    };
    let disk = if status.key_and_home_on_one_disk { " (on the home's own disk)" } else { "" };
    let key = match (&status.kek, &status.problem) {
        (_, Some(problem)) => problem.clone(),
        (Some(kek), None) => format!("{kek} opens this home"),
        (None, None) => format!("{} is asked for", status.wanted.as_deref().unwrap_or("a key")),
    };
    let mut rows = vec![
        ("source", format!("{}{place}{disk}", status.source)),
        ("key", key),
        ("server", server.to_owned()),
        ("data keys", count(status.scopes as u64, "scope")),
    ];
    if !status.rotating.is_empty() {
        rows.push(("being changed", status.rotating.join(", ")));
    }
    if let Some([old, new]) = &status.kek_rotation {
        rows.push(("key change", format!("from {old} to {new}, ended at the next unsealing")));
    }
    rows.extend(status.damaged.iter().map(|path| ("damaged", path.clone())));
    for (name, value) in rows {
        output.line(format!("{name:<14} {}", printable(&value)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::keys::{KeyStore, SYSTEM_SCOPE};

    #[test]
    fn a_status_says_whether_the_key_at_hand_opens_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(Some(dir.path().join("home")), Overrides::default()).unwrap();
        let keys = config.home.keys_path();
        let source = KekSource::of(&config.keys, &config.home);
        let kek = source.establish(&keys, None).unwrap();
        KeyStore::create(&keys, &kek).unwrap().create_keyring(SYSTEM_SCOPE).unwrap();
        let status = of_files(&config, report(&config).unwrap());
        assert_eq!(status.problem, None);
        assert_eq!(status.kek, Some(kek.id().to_string()));
        assert!(status.key_and_home_on_one_disk);

        let file = dir.path().join("home.kek.key");
        std::fs::remove_file(&file).unwrap();
        let missing = of_files(&config, report(&config).unwrap());
        assert!(missing.problem.unwrap().contains("there is no key in"));
        assert_eq!(missing.wanted, Some(kek.id().to_string()));

        source.establish(&dir.path().join("other"), None).unwrap();
        let wrong = of_files(&config, report(&config).unwrap());
        assert!(wrong.problem.unwrap().contains("is wanted here"));
    }
}
