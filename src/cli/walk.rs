//! Which files a command line means, and under which source each is dropped.
//!
//! Called by: `cli::add`. Talks to: the file system (names and metadata, no content).
//! Invariants: every path given ends in an entry, an error or a skip, so nothing is lost without
//! a word; the same tree gives the same sources in the same order; no two entries share one.
//! Why: a name that is not UTF-8 keeps its readable parts and has the other bytes, and its `%`,
//! percent-escaped. Sources are text in JSON and SQL, and dropping the name would drop the file.

use std::collections::HashMap;

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::disk::name_text;

/// One file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub source: String,
    /// Bytes at the time of the walk; `None` for a pipe.
    pub size_bytes: Option<u64>,
    pub file_date: Option<Timestamp>,
}

/// A file that is not sent, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotSent {
    pub source: String,
    pub error: String,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Found {
    pub entries: Vec<Entry>,
    /// What could not be read.
    pub errors: Vec<NotSent>,
    /// What was left out on purpose.
    pub skipped: Vec<NotSent>,
}

/// Finds the files at and below `paths`. Links that are named themselves are followed; links
/// inside a folder only where `follow` says so. Sources start with `prefix`, where given.
pub fn walk(paths: &[PathBuf], follow: bool, prefix: Option<&str>) -> Found {
    let mut walk = Walk { follow, found: Found::default(), sources: HashMap::new() };
    for path in paths {
        let name = given_name(path);
        let source = match (prefix.map(|prefix| prefix.trim_end_matches('/')), name) {
            (Some(prefix), name) if !prefix.is_empty() => join(prefix, &name),
            (_, name) => name,
        };
        walk.visit(path, source, true, &mut Vec::new());
    }
    walk.found
}

struct Walk {
    follow: bool,
    found: Found,
    /// Which path took a source.
    sources: HashMap<String, PathBuf>,
}

impl Walk {
    /// `ancestors` are device and inode of the folders above, to notice links that lead back.
    fn visit(&mut self, path: &Path, source: String, given: bool, ancestors: &mut Vec<(u64, u64)>) {
        let link = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            // What somebody typed is shown as it was typed.
            Err(error) if given => return self.error(path.display().to_string(), &error),
            Err(error) => return self.error(source, &error),
        };
        let is_link = link.file_type().is_symlink();
        if is_link && !given && !self.follow {
            return self.skip(source, "a symbolic link; --follow takes in what it points to");
        }
        let target = if is_link { fs::metadata(path) } else { Ok(link) };
        let metadata = match target {
            Ok(metadata) => metadata,
            Err(error) => return self.error(source, &error),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            let identity = (metadata.dev(), metadata.ino());
            if ancestors.contains(&identity) {
                return self.skip(source, "a symbolic link that leads back to a folder above it");
            }
            ancestors.push(identity);
            self.visit_dir(path, &source, ancestors);
            ancestors.pop();
        } else if kind.is_file() {
            self.file(path, source, &metadata);
        } else if kind.is_fifo() && given {
            self.take(Entry { path: path.to_owned(), source, size_bytes: None, file_date: None });
        } else {
            self.skip(source, "not a regular file");
        }
    }

    fn visit_dir(&mut self, path: &Path, source: &str, ancestors: &mut Vec<(u64, u64)>) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.error(source.to_owned(), &error),
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(error) => self.error(source.to_owned(), &error),
            }
        }
        names.sort_unstable();
        for name in names {
            self.visit(&path.join(&name), join(source, &name_text(&name)), false, ancestors);
        }
    }

    fn file(&mut self, path: &Path, source: String, metadata: &Metadata) {
        let file_date =
            metadata.modified().ok().and_then(|modified| Timestamp::try_from(modified).ok());
        self.take(Entry {
            path: path.to_owned(),
            source,
            size_bytes: Some(metadata.len()),
            file_date,
        });
    }

    fn take(&mut self, entry: Entry) {
        match self.sources.get(&entry.source) {
            None => {
                self.sources.insert(entry.source.clone(), entry.path.clone());
                self.found.entries.push(entry);
            }
            Some(taken) if *taken == entry.path => self.skip(entry.source, "named twice"),
            Some(taken) => {
                let error = format!(
                    "{} has the same source already; add one of them by itself with --prefix",
                    taken.display()
                );
                self.found.errors.push(NotSent { source: entry.source, error });
            }
        }
    }

    fn error(&mut self, source: String, error: &io::Error) {
        self.found.errors.push(NotSent { source, error: error.to_string() });
    }

    fn skip(&mut self, source: String, why: &str) {
        self.found.skipped.push(NotSent { source, error: why.to_owned() });
    }
}

/// The name a given path has in its parent; of `.` and `..` the name of the folder they mean;
/// empty for the root.
fn given_name(path: &Path) -> String {
    if let Some(name) = path.file_name() {
        return name_text(name);
    }
    fs::canonicalize(path).ok().and_then(|real| real.file_name().map(name_text)).unwrap_or_default()
}

fn join(folder: &str, name: &str) -> String {
    match (folder.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => folder.to_owned(),
        _ => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests;
