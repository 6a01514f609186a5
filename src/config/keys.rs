//! `[keys]`: where the key that opens everything comes from.
//!
//! Called by: `config`, `keys`, `cli`. Talks to: nothing.
//! Invariants: the key file never lies inside the home, so a copy of the home opens nothing.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{DEFAULT_HOME, Home, Problem};

/// The key file of a packaged installation.
const PACKAGED_KEY_FILE: &str = "/etc/cairn/kek.key";

/// What gives the KEK at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KekSourceKind {
    /// A file that only the server's user can read.
    #[default]
    File,
    /// A passphrase that somebody enters after each start.
    Passphrase,
    /// A credential that systemd hands to the service.
    Credential,
}

/// Where the KEK comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// `file`, `passphrase` or `credential`.
    pub source: KekSourceKind,
    /// The key file, where it is not the default one.
    pub file: Option<PathBuf>,
    /// Name of the systemd credential.
    pub credential: String,
    /// Where systemd put this service's credentials; from the environment, never from the file.
    #[serde(skip)]
    pub credentials_dir: Option<PathBuf>,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            source: KekSourceKind::File,
            file: None,
            credential: "cairn-kek".to_owned(),
            credentials_dir: None,
        }
    }
}

impl KeysConfig {
    /// The key file of a home: the configured one, or the default.
    pub fn key_file(&self, home: &Home) -> PathBuf {
        self.file.clone().unwrap_or_else(|| default_key_file(home))
    }

    pub(super) fn check(&self, home: &Home, problems: &mut Vec<Problem>) {
        if let Some(file) = &self.file {
            if !file.is_absolute() {
                problems.push(Problem::new("keys.file", "must be an absolute path"));
            } else if without_dots(file).starts_with(without_dots(&home.path)) {
                problems.push(Problem::new(
                    "keys.file",
                    "must lie outside the home: a copy of the home would hold its own key",
                ));
            }
            if self.source != KekSourceKind::File {
                problems.push(Problem::new("keys.file", "is used with source = \"file\" only"));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let named = self.credential.chars().all(plain) && !self.credential.starts_with('.');
        if self.credential.is_empty() || !named {
            problems.push(Problem::new(
                "keys.credential",
                "must be a name of letters, digits, `-`, `_` and `.`",
            ));
        }
    }
}

/// The key file of a home whose configuration names none: in `/etc` for a packaged installation,
/// else beside the home.
pub fn default_key_file(home: &Home) -> PathBuf {
    let path = without_dots(&home.path);
    if path == Path::new(DEFAULT_HOME) {
        return PathBuf::from(PACKAGED_KEY_FILE);
    }
    let mut name = path.file_name().unwrap_or("cairn".as_ref()).to_owned();
    name.push(".kek.key");
    path.parent().unwrap_or(&path).join(name)
}

/// The path without `.` and `..`, so that one home has one key file however it is spelt.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: &str) -> Home {
        Home { path: PathBuf::from(path) }
    }

    fn problems(text: &str) -> Vec<String> {
        let config: KeysConfig = toml::from_str(text).unwrap();
        let mut problems = Vec::new();
        config.check(&home("/srv/cairn"), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_key_file_lies_in_etc_or_beside_the_home() {
        let cases = [
            ("/var/lib/cairn", "/etc/cairn/kek.key"),
            ("/srv/data", "/srv/data.kek.key"),
            ("/srv/x/../data/.", "/srv/data.kek.key"),
            ("/", "/cairn.kek.key"),
        ];
        for (path, expected) in cases {
            assert_eq!(default_key_file(&home(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn a_key_file_inside_the_home_is_refused() {
        for path in ["/srv/cairn/kek.key", "/srv/x/../cairn/keys/kek.key"] {
            let found = problems(&format!("file = \"{path}\""));
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(found[0].contains("outside the home"), "{found:?}");
        }
        assert!(problems("file = \"/srv/cairn.kek.key\"").is_empty());
    }

    #[test]
    fn values_that_cannot_be_meant_are_problems() {
        assert!(problems("file = \"kek.key\"")[0].contains("absolute"));
        assert!(problems("source = \"passphrase\"\nfile = \"/k\"")[0].contains("only"));
        for name in ["", "../x", "a/b", ".hidden"] {
            assert_eq!(problems(&format!("credential = \"{name}\"")).len(), 1, "{name}");
        }
        assert!(toml::from_str::<KeysConfig>("source = \"usb\"").is_err());
        assert!(toml::from_str::<KeysConfig>("credentials_dir = \"/x\"").is_err());
    }

    #[test]
    fn without_a_word_the_key_comes_from_a_file() {
        let config = KeysConfig::default();
        assert_eq!(config.source, KekSourceKind::File);
        assert_eq!(config.key_file(&home("/srv/data")), Path::new("/srv/data.kek.key"));
    }
}
