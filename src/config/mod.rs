//! Configuration: one struct per concern, read once from `cairn.toml` in the home directory.
//!
//! Called by: `cli`, `appliance`, and every module for its own struct. Talks to: one file.
//! Invariants: unknown keys are refused; nothing reads the environment after start; every value
//! is valid when `load` returns.

mod host;
mod ingest;
mod keys;
mod ocr;
mod problem;
mod search;
mod server;
mod shown;
mod sources;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use host::{Host, HostError, HostPort};
pub use ingest::IngestConfig;
pub use keys::{KekSourceKind, KeysConfig, default_key_file};
pub use ocr::OcrSection;
pub use problem::Problem;
pub use search::{InferenceSettings, SearchConfig};
pub use server::{DEFAULT_LOG, ServerConfig, TlsMode};
pub use sources::{Allowed, SourcesConfig};

/// Home directory of a packaged installation.
pub const DEFAULT_HOME: &str = "/var/lib/cairn";

/// Everything an appliance needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    pub home: Home,
    pub server: ServerConfig,
    pub ingest: IngestConfig,
    pub ocr: OcrSection,
    pub search: SearchConfig,
    pub inference: InferenceSettings,
    pub keys: KeysConfig,
    pub sources: SourcesConfig,
    /// Faults to inject; empty outside tests.
    pub faults: crate::failpoint::FaultPlan,
}

/// The directory that holds everything, and the names in it.
#[derive(Clone, Debug)]
pub struct Home {
    pub path: PathBuf,
}

impl Home {
    pub fn config_path(&self) -> PathBuf {
        self.path.join("cairn.toml")
    }

    pub fn system_db_path(&self) -> PathBuf {
        self.path.join("system.db")
    }

    pub fn tenants_path(&self) -> PathBuf {
        self.path.join("tenants")
    }

    /// Wrapped keys; the key that opens them lies elsewhere.
    pub fn keys_path(&self) -> PathBuf {
        self.path.join("keys")
    }

    pub fn lock_path(&self) -> PathBuf {
        self.path.join("cairn.lock")
    }

    /// Where a running server takes requests from this machine's operator.
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("cairn.sock")
    }

    /// The server's log; older ones stand beside it with a number behind their name.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("logs").join("cairn.log")
    }

    /// Certificates, and their private keys in sealed form.
    pub fn tls_path(&self) -> PathBuf {
        self.path.join("tls")
    }

    /// Space kept back for the day the volume is full.
    pub fn reserve_path(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Private scratch space, emptied at start.
    pub fn scratch_path(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// True once `cairn init` has run here.
    pub fn is_initialised(&self) -> bool {
        self.system_db_path().exists()
    }
}

/// Values from the command line, which win over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub tls: Option<TlsMode>,
    pub config_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    server: ServerConfig,
    ingest: IngestConfig,
    ocr: OcrSection,
    search: SearchConfig,
    inference: InferenceSettings,
    keys: KeysConfig,
    sources: SourcesConfig,
}

impl Config {
    /// Reads the configuration of a home: defaults, then its file, then `overrides`.
    ///
    /// # Errors
    /// All problems found, each naming the file and the value.
    pub fn load(home: Option<PathBuf>, overrides: Overrides) -> Result<Self, Vec<Problem>> {
        let path = home.unwrap_or_else(|| PathBuf::from(DEFAULT_HOME));
        let path = std::path::absolute(&path).unwrap_or(path);
        let home = Home { path };
        let explicit = overrides.config_file.is_some();
        let file_path = overrides.config_file.unwrap_or_else(|| home.config_path());
        let mut file = read_file(&file_path, explicit).map_err(|problem| vec![problem])?;
        if let Some(listen) = overrides.listen {
            file.server.listen = listen;
        }
        if let Some(tls) = overrides.tls {
            file.server.tls = tls;
        }
        let mut problems = Vec::new();
        file.server.check(&mut problems);
        file.ingest.check(&mut problems);
        file.ocr.check(&mut problems);
        file.search.check(&mut problems);
        file.inference.check(&mut problems);
        file.keys.credentials_dir = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        file.keys.check(&home, &mut problems);
        file.sources.check(&home, &mut problems);
        let faults = match fault_plan() {
            Ok(plan) => plan,
            Err(sentence) => {
                problems.push(Problem::new("CAIRN_FAULTS", sentence));
                crate::failpoint::FaultPlan::default()
            }
        };
        if !problems.is_empty() {
            return Err(problems.into_iter().map(|problem| problem.in_file(&file_path)).collect());
        }
        Ok(Self {
            home,
            server: file.server,
            ingest: file.ingest,
            ocr: file.ocr,
            search: file.search,
            inference: file.inference,
            keys: file.keys,
            sources: file.sources,
            faults,
        })
    }
}

fn read_file(path: &Path, explicit: bool) -> Result<ConfigFile, Problem> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !explicit => {
            return Ok(ConfigFile::default());
        }
        Err(error) => {
            return Err(Problem::new("file", format!("cannot be read: {error}")).in_file(path));
        }
    };
    toml::from_str(&text).map_err(|error| Problem::new("syntax", error.to_string()).in_file(path))
}

#[cfg(feature = "fault-injection")]
fn fault_plan() -> Result<crate::failpoint::FaultPlan, String> {
    std::env::var("CAIRN_FAULTS")
        .map_or_else(|_| Ok(Default::default()), |plan| crate::failpoint::FaultPlan::parse(&plan))
}

#[cfg(not(feature = "fault-injection"))]
#[expect(clippy::unnecessary_wraps, reason = "the build with faults can fail to parse a plan")]
fn fault_plan() -> Result<crate::failpoint::FaultPlan, String> {
    Ok(crate::failpoint::FaultPlan::default())
}
