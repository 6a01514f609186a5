//! The `cairn` binary.
//!
//! Called by: the operating system. Talks to: `cli`.
//! Invariants: nothing happens here; every command is a room of `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cairn::cli::main()
}
