//! `cairn version`.
//!
//! Called by: `cli`. Talks to: nothing.
//! Invariants: needs no home and starts nothing.

use serde::Serialize;

use super::error::{CliError, Exit};
use super::output::Output;

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    architecture: &'static str,
    system: &'static str,
    /// False in builds that measure what encryption costs; `bundle/build` refuses them.
    encrypts: bool,
}

/// Runs the command.
///
/// # Errors
/// When standard output is closed.
pub fn run(output: Output) -> Result<Exit, CliError> {
    let version = Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        architecture: std::env::consts::ARCH,
        system: std::env::consts::OS,
        encrypts: !cfg!(feature = "pass-through-cipher"),
    };
    if output.json() {
        output.value(&version)?;
    } else {
        output.line(format!(
            "{} {} ({}, {})",
            version.name, version.version, version.architecture, version.system
        ))?;
        if !version.encrypts {
            output.line("This build encrypts nothing. It is for benchmarks only.")?;
        }
    }
    Ok(Exit::Done)
}
