//! Recovery shares on paper: printing them, checking one, and making the key again from them.
//!
//! Called by: `cli::keys`, `cli::init`. Talks to: `keys`, `appliance` or the API for the record.
//! Invariants: what is recovered is written only if it opens this home; an existing key file is
//! never overwritten.

use std::io::{self, Write as _};
use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::report;
use crate::app::seal::KeyEvent;
use crate::appliance::record_key_event;
use crate::cli::client::Client;
use crate::cli::endpoint::api;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::prompt::{PassphraseArgs, ask, is_interactive};
use crate::config::Config;
use crate::keys::{
    Kek, KekSource, KeyError, KeyReport, Share, ShareError, check_counts, combine, split,
    write_key_file, write_passphrase_file,
};

/// How many shares are made.
#[derive(Debug, Args)]
pub struct SharesArgs {
    /// Shares to print
    #[arg(long, value_name = "N", default_value_t = 3)]
    shares: u8,
    /// How many of them give the key back
    #[arg(long, value_name = "K", default_value_t = 2)]
    threshold: u8,
}

impl SharesArgs {
    /// The making of such shares, for the audit trail.
    pub fn event(&self) -> KeyEvent {
        KeyEvent::Shares { shares: self.shares, threshold: self.threshold }
    }

    /// Refuses counts that make no sense, before anything is made.
    ///
    /// # Errors
    /// A sentence on what is possible.
    pub fn check(&self) -> Result<(), CliError> {
        Ok(check_counts(self.threshold, self.shares).map_err(KeyError::Share)?)
    }
}

/// Printed shares.
#[derive(Serialize)]
pub struct Shares {
    /// The key they give back.
    pub kek: String,
    pub threshold: u8,
    pub shares: Vec<String>,
}

/// Splits a key.
///
/// # Errors
/// When the counts make no sense.
pub fn make_shares(kek: &Kek, args: &SharesArgs) -> Result<Shares, CliError> {
    let shares = split(kek, args.threshold, args.shares).map_err(KeyError::Share)?;
    Ok(Shares { kek: kek.id().to_string(), threshold: args.threshold, shares })
}

/// Puts on record what is done with the key here, before anybody gets anything of it.
///
/// # Errors
/// When the audit trail cannot be written.
pub async fn record(config: &Config, kek: &Kek, event: KeyEvent) -> Result<(), CliError> {
    if let Some(client) = Client::of_server(config).await? {
        return client.post::<Value>(&api(["keys", "events"]), &event).await.map(drop);
    }
    let (config, kek) = (config.clone(), kek.clone());
    tokio::task::spawn_blocking(move || record_key_event(&config, &kek, event))
        .await
        .map_err(|error| CliError::because("the audit trail was not written", &error))?
        .map_err(CliError::from)
}

/// Prints shares for people.
///
/// # Errors
/// When standard output is closed or full.
pub fn print_shares(output: Output, shares: &Shares) -> Result<(), CliError> {
    output.line(format!(
        "Recovery shares of key {}: any {} of these {} give it back.",
        shares.kek,
        shares.threshold,
        shares.shares.len()
    ))?;
    output.line("Write each on a paper of its own and keep the papers apart; without the key")?;
    output.line("and without enough shares nothing in this home can be read again.")?;
    for (at, share) in shares.shares.iter().enumerate() {
        output.line(format!("\n  {}   {share}", at + 1))?;
    }
    output.line("")
}

/// Has one share typed back, where a person is there to do it, and says whether it is right.
///
/// # Errors
/// When standard input cannot be read.
pub async fn check_one_share(output: Output, shares: &Shares) -> Result<(), CliError> {
    let seen_by_a_person = is_interactive() && output.bold();
    if !seen_by_a_person {
        return Ok(());
    }
    let mut question = "Type one of them back from paper, to be sure (or `skip`): ".to_owned();
    while let Some(typed) = ask(question).await? {
        if typed.trim() == "skip" {
            break;
        }
        match judge(&typed, shares) {
            Ok(index) => return output.line(format!("Share {index} is right.\n")),
            Err(problem) => question = format!("No: {problem}.\nOnce more (or `skip`): "),
        }
    }
    output.line("Not checked. `cairn keys shares` prints new shares at any time.\n")
}

fn judge(typed: &str, shares: &Shares) -> Result<u8, String> {
    let share = Share::parse(typed).map_err(|error| error.to_string())?;
    let text = share.to_text();
    if shares.shares.contains(&text) {
        Ok(share.index())
    } else {
        Err("this share is of another printing".to_owned())
    }
}

/// `keys shares`: prints new shares of the key.
pub async fn shares(
    output: Output,
    config: &Config,
    args: &SharesArgs,
    passphrase: &PassphraseArgs,
) -> Result<(), CliError> {
    let source = KekSource::of(&config.keys, &config.home);
    let passphrase = match source {
        KekSource::Passphrase => Some(passphrase.known().await?),
        _ => None,
    };
    let kek =
        source.read(&config.home.keys_path(), passphrase.as_ref().map(|text| text.as_str()))?;
    demand(&report(config)?, &kek)?;
    let shares = make_shares(&kek, args)?;
    record(config, &kek, args.event()).await?;
    if output.json() {
        return output.value(&shares);
    }
    print_shares(output, &shares)?;
    check_one_share(output, &shares).await
}

/// `keys recover`: makes the key again from shares and puts it where the source wants it.
pub async fn recover(
    output: Output,
    config: &Config,
    to: Option<&Path>,
    passphrase: &PassphraseArgs,
) -> Result<(), CliError> {
    let wanted = report(config)?;
    let source = KekSource::of(&config.keys, &config.home);
    if to.is_none() && matches!(source, KekSource::Credential(_)) {
        return Err(CliError::usage("a systemd credential cannot be written from here")
            .hint("Name a key file with --to, and make a credential of it with systemd-creds."));
    }
    let kek = combine(&enter_shares(&wanted).await?).map_err(KeyError::Share)?;
    demand(&wanted, &kek)?;
    let place = match (to, &source) {
        (Some(path), _) => written(path, &kek)?,
        (None, KekSource::File(path)) => written(path, &kek)?,
        (None, _) => {
            let passphrase = passphrase.chosen().await?;
            write_passphrase_file(&config.home.keys_path(), &kek, &passphrase)?;
            "the new passphrase".to_owned()
        }
    };
    // The key is back by now, and that must not fail for want of a trail that may be damaged too.
    if let Err(error) = record(config, &kek, KeyEvent::Recovered {}).await {
        let _ = writeln!(io::stderr(), "note: not in the audit trail: {}", error.message);
    }
    if output.json() {
        return output.value(&json!({ "kek": kek.id(), "place": place }));
    }
    output.line(format!("recovered key {}; this home opens with {place}", kek.id()))
}

fn written(path: &Path, kek: &Kek) -> Result<String, CliError> {
    match write_key_file(path, kek) {
        // The very key that was wanted is no reason to complain.
        Err(KeyError::KekExists { .. })
            if crate::keys::read_key_file(path).is_ok_and(|found| found.id() == kek.id()) => {}
        outcome => outcome?,
    }
    Ok(path.display().to_string())
}

/// A new key on standard output, for a pipe.
pub fn generate(output: Output) -> Result<Exit, CliError> {
    let kek = Kek::generate().map_err(KeyError::Random)?;
    let line = kek.to_line();
    if output.json() {
        output.value(&json!({ "kek": kek.id(), "key": line.trim_end() }))?;
    } else {
        output.line(line.trim_end())?;
    }
    Ok(Exit::Done)
}

/// Has shares entered until there are enough. On a terminal a bad one is asked for again; from a
/// pipe every line is one, and all are judged together.
pub async fn enter_shares(wanted: &KeyReport) -> Result<Vec<Zeroizing<String>>, CliError> {
    let mut entered: Vec<Zeroizing<String>> = Vec::new();
    let mut seen: Vec<Share> = Vec::new();
    let mut question = "Share 1: ".to_owned();
    while let Some(line) = ask(question.clone()).await? {
        if line.trim().is_empty() {
            continue;
        }
        if !is_interactive() {
            entered.push(line);
            continue;
        }
        match admit(&line, &seen, wanted) {
            Ok(share) => {
                let enough = seen.len() + 1 >= usize::from(share.threshold());
                entered.push(line);
                seen.push(share);
                if enough {
                    break;
                }
                question = format!("Share {}: ", seen.len() + 1);
            }
            Err(problem) => question = format!("No: {problem}.\nShare {}: ", seen.len() + 1),
        }
    }
    Ok(entered)
}

/// Judges a share as soon as it is entered.
fn admit(line: &str, seen: &[Share], wanted: &KeyReport) -> Result<Share, String> {
    let share = Share::parse(line).map_err(|error| error.to_string())?;
    if let Some(expected) = wanted.wanted().filter(|_| !wanted.opens_with(share.kek_id())) {
        let (position, found) = (seen.len() + 1, share.kek_id());
        return Err(ShareError::Foreign { position, found, expected }.to_string());
    }
    if seen.iter().any(|before| before.index() == share.index()) {
        return Err("this share was entered already".to_owned());
    }
    Ok(share)
}

/// Refuses a key that does not open this home.
fn demand(report: &KeyReport, kek: &Kek) -> Result<(), CliError> {
    match report.wanted() {
        Some(expected) if !report.opens_with(kek.id()) => {
            Err(KeyError::WrongKey { expected, found: kek.id() }.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kek: &Kek) -> Shares {
        make_shares(kek, &SharesArgs { shares: 3, threshold: 2 }).unwrap()
    }

    fn report_of(kek: &Kek) -> KeyReport {
        KeyReport { scopes: 1, keks: [kek.id()].into(), ..KeyReport::default() }
    }

    #[test]
    fn a_share_typed_back_is_judged() {
        let kek = Kek::generate().unwrap();
        let (shares, others) = (printed(&kek), printed(&kek));
        assert_eq!(judge(&shares.shares[1].to_lowercase(), &shares), Ok(2));
        assert!(judge(&others.shares[1], &shares).unwrap_err().contains("another printing"));
        let cut = &shares.shares[0][5..];
        assert!(judge(cut, &shares).unwrap_err().contains("72"));
    }

    #[test]
    fn foreign_and_repeated_shares_are_refused_as_they_are_entered() {
        let (kek, other) = (Kek::generate().unwrap(), Kek::generate().unwrap());
        let report = report_of(&kek);
        let (mine, foreign) = (printed(&kek), printed(&other));
        let first = admit(&mine.shares[0], &[], &report).unwrap();
        let error = admit(&foreign.shares[0], &[], &report).unwrap_err();
        assert!(error.contains(&other.id().to_string()), "{error}");
        let error = admit(&mine.shares[0], &[first], &report).unwrap_err();
        assert!(error.contains("already"), "{error}");
    }

    #[test]
    fn a_recovered_key_goes_to_a_new_file_or_is_there_already() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        let (kek, other) = (Kek::generate().unwrap(), Kek::generate().unwrap());
        let again = combine(&printed(&kek).shares[1..]).unwrap();
        written(&path, &again).unwrap();
        assert_eq!(crate::keys::read_key_file(&path).unwrap().id(), kek.id());
        written(&path, &kek).unwrap();
        let refused = written(&path, &other).unwrap_err();
        assert!(refused.message.contains("not overwritten"), "{}", refused.message);
        assert!(demand(&report_of(&kek), &again).is_ok());
        assert!(demand(&report_of(&kek), &other).is_err());
    }
}
