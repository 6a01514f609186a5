//! The process that becomes the OCR program: `cairn ocr-worker`.
//!
//! Called by: `cli`. Talks to: `sandbox`, then nothing, for it is another program.
//! Invariants: it is confined before the program's first instruction, and the program cannot undo
//! it; the program gets a picture on stdin and says on stdout what it reads; it has no descriptor,
//! no variable and no right beyond that. Where the kernel cannot confine it, it does not run.
//!
//! Why a process in between: what a program may open can be taken from it only by itself or by
//! what it was before, and the server must not be confined like this.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, nice, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::sandbox::{self, ProgramRights, SandboxError};

/// Exit codes of our own; the program's own failures are 1.
pub const EXIT_SETTINGS: i32 = 102;
/// The process could not be confined.
pub const EXIT_UNCONFINED: i32 = 103;
/// The program could not be started.
pub const EXIT_NOT_RUN: i32 = 104;

/// What is to be run, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OcrSettings {
    /// Absolute path of the program.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Address space, in bytes.
    pub memory_limit_bytes: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
}

/// Where libraries lie, and their list.
const LIBRARIES: [&str; 6] =
    ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache"];
/// The loader that programs of this architecture name.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
/// Beside the folder of the program: its own libraries, and what it knows of languages.
const OWN: [&str; 4] = ["lib", "lib64", "share/tesseract-ocr", "share/tessdata"];
/// The server's own work goes first.
const NICE: i32 = 10;

/// Becomes the program that `settings`, as JSON, names; returns the exit code only where it cannot.
pub fn run_ocr_worker(settings: &str) -> i32 {
    let settings: OcrSettings = match serde_json::from_str(settings) {
        Ok(settings) => settings,
        Err(error) => return report(&error, EXIT_SETTINGS),
    };
    let Ok(program) = settings.program.canonicalize() else {
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        return report(&error, EXIT_NOT_RUN);
    };
    if let Err(error) = confine(&program, &settings) {
        return report(&error, EXIT_UNCONFINED);
    }
    let arguments = settings.arguments.iter().map(OsString::from);
    // One thread: a page is read no faster by more while others wait for the processor.
    let environment = [("OMP_THREAD_LIMIT", "1"), ("LC_ALL", "C")];
    let mut command = Command::new(&program);
    report(&command.args(arguments).env_clear().envs(environment).exec(), EXIT_NOT_RUN)
}

fn confine(program: &Path, settings: &OcrSettings) -> Result<(), SandboxError> {
    sandbox::close_strangers()?;
    // Neither is needed for safety: the parent kills it, and its place in the queue is the kernel's.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = nice(NICE);
    let prefix = program.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
    let own = OWN.map(|folder| prefix.join(folder));
    let read = LIBRARIES.iter().map(Path::new).chain(own.iter().map(PathBuf::as_path)).collect();
    sandbox::confine_program(&ProgramRights {
        run: vec![program, Path::new(LOADER)],
        read,
        memory_limit_bytes: settings.memory_limit_bytes,
        cpu_seconds: settings.cpu_seconds,
    })
}

/// Stderr is the parent's to read.
fn report(error: &dyn std::error::Error, code: i32) -> i32 {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{error}");
    code
}
