//! Asking the person at the terminal: a line, a passphrase, a passphrase twice.
//!
//! Called by: commands that need an answer. Talks to: standard input and error.
//! Invariants: questions go to standard error, so that `--json` stays one value; where nobody can
//! be asked, the next line of standard input is the answer.
//! Why: typed characters are shown. Hiding them needs terminal control that Cairn does not link;
//! `--passphrase-file` and a pipe are the ways around it, and the help says so.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::error::CliError;

/// Longer than any line that people type.
const LINE_BYTES: usize = 512;

/// Where a passphrase comes from.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of this file [default: standard input, where typed
    /// characters are shown]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase that opens a home.
    ///
    /// # Errors
    /// When it cannot be read, or there is none.
    pub async fn known(&self) -> Result<Zeroizing<String>, CliError> {
        match &self.passphrase_file {
            Some(path) => first_line(path),
            None => given("Passphrase (typed characters are shown): ").await,
        }
    }

    /// A new passphrase; on a terminal it is asked for twice.
    ///
    /// # Errors
    /// When it cannot be read, there is none, or the two differ.
    pub async fn chosen(&self) -> Result<Zeroizing<String>, CliError> {
        if let Some(path) = &self.passphrase_file {
            return first_line(path);
        }
        let first = given("New passphrase (typed characters are shown): ").await?;
        if is_interactive() && given("The same again: ").await? != first {
            return Err(CliError::failed("the two passphrases differ"));
        }
        Ok(first)
    }
}

/// True where a person answers.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Asks and gives the line that is entered, without its end; `None` at the end of input.
///
/// # Errors
/// When standard input cannot be read.
pub async fn ask(question: impl Into<String>) -> Result<Option<Zeroizing<String>>, CliError> {
    let question = question.into();
    let unread = |error: &(dyn std::error::Error + 'static)| {
        CliError::because("the answer could not be read", error)
    };
    tokio::task::spawn_blocking(move || {
        if is_interactive() {
            io::stderr().write_all(question.as_bytes())?;
        }
        let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES));
        let read = io::stdin().lock().read_line(&mut line)?;
        cut_line_end(&mut line);
        Ok::<_, io::Error>((read > 0).then_some(line))
    })
    .await
    .map_err(|error| unread(&error))?
    .map_err(|error| unread(&error))
}

async fn given(question: &str) -> Result<Zeroizing<String>, CliError> {
    ask(question).await?.filter(|answer| !answer.is_empty()).ok_or_else(|| {
        CliError::usage("no passphrase was given").hint(
            "Enter it on standard input, or name a file that holds it with --passphrase-file.",
        )
    })
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unread = |error: io::Error| CliError::because(path.display().to_string(), &error);
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES));
    io::BufReader::new(file).read_line(&mut line).map_err(unread)?;
    cut_line_end(&mut line);
    if line.is_empty() {
        return Err(CliError::usage(format!("{} holds no passphrase", path.display())));
    }
    Ok(line)
}

fn cut_line_end(line: &mut String) {
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_file_gives_its_first_line_and_keeps_spaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        for (text, expected) in [("a b \n", "a b "), (" x\r\nmore\n", " x"), ("end", "end")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(*first_line(&path).unwrap(), expected);
        }
        for text in ["", "\nsecond"] {
            std::fs::write(&path, text).unwrap();
            assert!(first_line(&path).is_err(), "{text:?}");
        }
        assert!(first_line(&dir.path().join("absent")).is_err());
    }
}
