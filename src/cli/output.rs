//! Standard output, for people or for programs.
//!
//! Called by: every command. Talks to: standard output.
//! Invariants: with `--json` exactly one JSON value is printed and nothing else, by `stream` one on
//! each line; progress and errors go to standard error.
//! Why: `println!` panics when the reader has gone; these calls return an error instead.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::error::CliError;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    /// Standard output; `json` as asked for on the command line.
    pub fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    /// True where a program reads.
    pub fn json(self) -> bool {
        self.json
    }

    /// True where a person reads on a terminal, so that bold means something.
    pub fn bold(self) -> bool {
        self.terminal && !self.json
    }

    /// Prints one line.
    ///
    /// # Errors
    /// When standard output is closed or full.
    pub fn line(self, text: impl AsRef<str>) -> Result<(), CliError> {
        writeln!(io::stdout(), "{}", text.as_ref()).map_err(|error| CliError::output(&error))
    }

    /// Prints one JSON value, indented.
    ///
    /// # Errors
    /// When standard output is closed or full.
    pub fn value(self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| CliError::because("the result cannot be written as JSON", &error))?;
        self.line(text)
    }
}
