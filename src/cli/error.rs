//! What a command ends with: an exit code, and for people one line of what and one of what next.
//!
//! Called by: every file of `cli`. Talks to: nothing.
//! Invariants: the exit code follows from the public error code alone, so that a command ends
//! alike whether the server ran or not.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::appliance::ApplianceError;
use crate::error::{Kind, chain};
use crate::keys::KeyError;

/// How a command ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    /// Not there, or not for this caller.
    NotFound = 3,
    /// Locked or sealed, or the home is held by another command.
    Locked = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Usage,
            Kind::Unauthenticated | Kind::Forbidden | Kind::NotFound => Self::NotFound,
            Kind::Locked => Self::Locked,
            Kind::Conflict
            | Kind::Misdirected
            | Kind::TooLarge
            | Kind::TooMany
            | Kind::QuotaExceeded
            | Kind::Unavailable
            | Kind::StorageFull
            | Kind::Internal => Self::Failed,
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    pub message: String,
    pub hint: Option<String>,
    /// The public error code, where the API gave one.
    pub code: Option<String>,
    pub exit: Exit,
    /// Finds the cause in the server's log.
    pub request_id: Option<String>,
    /// The reader of our output has gone (`cairn ledger t | head`); nobody is left to tell.
    pub unheard: bool,
}

/// An RFC 9457 body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    hint: Option<String>,
    request_id: Option<String>,
}

/// A failure as `--json` prints it.
#[derive(Serialize)]
struct Printed<'a> {
    error: &'a str,
    code: Option<&'a str>,
    hint: Option<&'a str>,
    request_id: Option<&'a str>,
    exit: u8,
}

impl CliError {
    /// A failure with exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::ending(Exit::Failed, message)
    }

    /// A command line that cannot be carried out as written.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::ending(Exit::Usage, message)
    }

    /// A thing that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::ending(Exit::NotFound, message)
    }

    /// A folder that is no home.
    pub fn no_home(path: &Path) -> Self {
        Self::not_found(format!("{} is not a Cairn home", path.display()))
            .hint("Create it with `cairn init`, or name another one with --home or CAIRN_HOME.")
    }

    /// A failure with a chosen exit code.
    pub fn ending(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: None,
            exit,
            request_id: None,
            unheard: false,
        }
    }

    /// The same with a line on what to do next.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A failure of `what`, with the error and all its causes in the line.
    pub fn because(what: impl AsRef<str>, error: &(dyn Error + 'static)) -> Self {
        Self::failed(format!("{}: {}", what.as_ref(), chain(error)))
    }

    /// A failure to write to standard output.
    pub fn output(error: &io::Error) -> Self {
        let unheard = error.kind() == io::ErrorKind::BrokenPipe;
        Self { unheard, ..Self::failed(format!("the output cannot be written: {error}")) }
    }

    /// What an answer other than success means.
    pub fn from_reply(status: StatusCode, body: &[u8]) -> Self {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let message = match (problem.title, problem.detail) {
            (_, Some(detail)) => detail,
            (Some(title), None) => title,
            (None, None) => format!("the request was answered with {status}"),
        };
        Self {
            hint: problem.hint,
            code: problem.code,
            request_id: problem.request_id,
            ..Self::ending(exit_of(status), message)
        }
    }

    /// Tells the reader on standard error, as JSON where `json` was asked for.
    pub fn report(&self, json: bool) {
        if self.unheard {
            return;
        }
        let text = if json { self.as_json() } else { self.as_lines() };
        // Standard error may be closed; there is no other place to say so.
        let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
    }

    fn as_lines(&self) -> String {
        let mut text = format!("error: {}\n", super::terminal::printable(&self.message));
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {}\n", super::terminal::printable(hint)));
        } else if let (Exit::Failed, Some(id)) = (self.exit, &self.request_id) {
            text.push_str(&format!("hint: the server's log has the cause under request {id}\n"));
        }
        text
    }

    fn as_json(&self) -> String {
        let printed = Printed {
            error: &self.message,
            code: self.code.as_deref(),
            hint: self.hint.as_deref(),
            request_id: self.request_id.as_deref(),
            exit: self.exit as u8,
        };
        serde_json::to_string(&printed).unwrap_or_default() + "\n"
    }
}

impl From<ApplianceError> for CliError {
    fn from(error: ApplianceError) -> Self {
        Self::ending(error.kind().into(), chain(&error))
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        Self::ending(error.kind().into(), chain(&error))
    }
}

fn exit_of(status: StatusCode) -> Exit {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage,
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotFound,
        StatusCode::LOCKED => Exit::Locked,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_becomes_what_and_what_next() {
        let body = br#"{"title":"No such thing","detail":"There is no tenant `x`.","code":"not_found","hint":"See `cairn tenant list`.","request_id":"r1"}"#;
        let error = CliError::from_reply(StatusCode::NOT_FOUND, body);
        assert_eq!(error.exit, Exit::NotFound);
        assert_eq!(error.code.as_deref(), Some("not_found"));
        assert_eq!(
            error.as_lines(),
            "error: There is no tenant `x`.\nhint: See `cairn tenant list`.\n"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_document_still_names_the_status() {
        let error = CliError::from_reply(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(error.exit, Exit::Failed);
        assert!(error.message.contains("502"), "{}", error.message);
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let cases = [
            (StatusCode::BAD_REQUEST, 2),
            (StatusCode::UNAUTHORIZED, 3),
            (StatusCode::NOT_FOUND, 3),
            (StatusCode::LOCKED, 4),
            (StatusCode::CONFLICT, 1),
            (StatusCode::SERVICE_UNAVAILABLE, 1),
            (StatusCode::INSUFFICIENT_STORAGE, 1),
        ];
        for (status, exit) in cases {
            assert_eq!(exit_of(status) as u8, exit, "{status}");
        }
    }

    #[test]
    fn an_error_as_json_is_one_line_with_its_exit_code() {
        let text = CliError::usage("bad\nline").as_json();
        assert_eq!(text.trim_end().lines().count(), 1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["exit"], 2);
    }
}
