//! A log file that is replaced before it grows too large, and a few old ones behind it.
//!
//! Called by: `telemetry`. Talks to: the log directory.
//! Invariants: at most `KEPT` old files of about `MAX_BYTES` each stay; a log that cannot be
//! written never stops the server.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Size at which a log file is put aside, in bytes.
const MAX_BYTES: u64 = 10 << 20;

/// Old log files kept.
const KEPT: usize = 5;

/// Writes to a rotating file.
#[derive(Clone)]
pub(super) struct RotatingLog {
    shared: Arc<Mutex<Current>>,
}

struct Current {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

impl RotatingLog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MAX_BYTES)
    }

    fn with_limit(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = append(path)?;
        let bytes = file.metadata()?.len();
        let current = Current { path: path.to_owned(), file, bytes, max_bytes };
        Ok(Self { shared: Arc::new(Mutex::new(current)) })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

impl Current {
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            // The first days have no old files yet.
            let _ = std::fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
        }
        std::fs::rename(&self.path, numbered(&self.path, 1))?;
        self.file = append(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

impl Write for RotatingLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut current = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if current.bytes + line.len() as u64 > current.max_bytes {
            let _ = current.rotate();
        }
        if current.file.write_all(line).is_ok() {
            current.bytes += line.len() as u64;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_logs_are_kept_up_to_a_number_and_no_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cairn.log");
        let mut log = RotatingLog::with_limit(&path, 100).unwrap();
        for number in 0..100 {
            let line = format!("{number:03} a line of thirty characters\n");
            log.write_all(line.as_bytes()).unwrap();
        }
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, KEPT + 1);
        let last = std::fs::read_to_string(&path).unwrap();
        assert!(last.ends_with("099 a line of thirty characters\n"));
        assert!(std::fs::read_to_string(numbered(&path, KEPT)).unwrap().len() <= 100);
    }
}
