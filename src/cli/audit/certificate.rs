//! `cairn audit verify --certificate`: whether the certificate of a deletion is what an appliance
//! signed.
//!
//! Called by: `cli::audit`. Talks to: a file.
//! Invariants: no home and no appliance is needed; a certificate counts as sound only where its
//! signature fits, and is by whom it should be where that was said.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::unreadable;
use crate::app::deletion::{CertificateError, check};
use crate::app::transfer::Fingerprint;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::terminal::printable;
use crate::error::chain;

/// Longest file read: many thousand certificates.
const MOST_BYTES: u64 = 64 << 20;

/// What is said of one certificate.
#[derive(Debug, Serialize)]
struct Verdict {
    ok: bool,
    /// Fingerprint of whoever signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Checks a certificate, or all in a list of them as `cairn tenant deletions --json` prints it.
pub(super) fn verify(
    output: Output,
    path: &Path,
    signer: Option<Fingerprint>,
) -> Result<Exit, CliError> {
    let length = std::fs::metadata(path).map_err(unreadable(path))?.len();
    if length > MOST_BYTES {
        return Err(CliError::usage(format!(
            "{} is no certificate: it is too long",
            path.display()
        )));
    }
    let bytes = std::fs::read(path).map_err(unreadable(path))?;
    let file: Value = serde_json::from_slice(&bytes).map_err(|_| {
        CliError::usage(format!("{} is no certificate of a deletion", path.display()))
            .hint("`cairn tenant delete --json` and `cairn tenant deletions --json` print them.")
    })?;
    let certificates = match file.get("deletions").and_then(Value::as_array) {
        Some(list) => list.clone(),
        None => vec![file],
    };
    let verdicts: Vec<Verdict> =
        certificates.iter().map(|certificate| judge(certificate, signer)).collect();
    let sound = verdicts.iter().all(|verdict| verdict.ok);
    if output.json() {
        output.value(&serde_json::json!({ "ok": sound, "certificates": verdicts }))?;
    } else {
        verdicts.iter().try_for_each(|verdict| print(output, verdict, signer.is_some()))?;
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn judge(certificate: &Value, wanted: Option<Fingerprint>) -> Verdict {
    let bad = |error: &CertificateError| Verdict {
        ok: false,
        signer: None,
        statement: None,
        key_ids: None,
        reason: Some(chain(error)),
    };
    let (certificate, signer) = match check(certificate) {
        Ok(sound) => sound,
        Err(error) => return bad(&error),
    };
    let other = wanted.filter(|wanted| *wanted != signer);
    Verdict {
        ok: other.is_none(),
        signer: Some(signer.to_string()),
        statement: Some(certificate.statement),
        key_ids: Some(certificate.destroyed_key.key_ids),
        reason: other.map(|wanted| format!("it is signed by another appliance than {wanted}")),
    }
}

fn print(output: Output, verdict: &Verdict, named: bool) -> Result<(), CliError> {
    if let Some(statement) = &verdict.statement {
        output.line(printable(statement))?;
    }
    match (&verdict.reason, &verdict.signer) {
        (Some(reason), Some(signer)) => output.line(format!("NOT SOUND: {reason}, by {signer}")),
        (Some(reason), None) => output.line(format!("NOT SOUND: {reason}")),
        (None, signer) => {
            let signer = signer.as_deref().unwrap_or_default();
            output.line(format!("sound, signed by {signer}"))?;
            match named {
                true => Ok(()),
                false => output.line(
                    "note: compare that with the fingerprint that `cairn tenant signer` shows on \
                     the appliance, or say it with --signer.",
                ),
            }
        }
    }
}
