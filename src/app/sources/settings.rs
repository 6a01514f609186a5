//! What each kind of source needs to know, without its secret.
//!
//! Called by: `app::sources`, `sources`, `http`. Talks to: nothing.
//! Invariants: settings hold no secret, so that they can be shown; what is stored reads back.

use std::path::{Component, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Error;
use crate::config::{Host, HostPort};
use crate::types::{Deletions, SourceKind};

/// Most folders that a mailbox is limited to.
const MOST_FOLDERS: usize = 1000;

/// Longest certificate file.
const MAX_CERTIFICATE_BYTES: usize = 64 << 10;

/// Settings of a source, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceSettings {
    Directory(DirectorySettings),
    Imap(ImapSettings),
}

/// A directory that the server sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectorySettings {
    /// Absolute path on the server.
    #[schema(value_type = String)]
    pub path: PathBuf,
}

/// How a connection is kept from being read by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after asking for it.
    Starttls,
    /// None: for a server on this very machine, or where the owner says so.
    Plain,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImapSettings {
    pub host: String,
    /// 993 with TLS from the start, 143 otherwise.
    pub port: Option<u16>,
    #[serde(default)]
    pub security: Security,
    pub user: String,
    /// Folders to read; all where empty.
    #[serde(default)]
    pub folders: Vec<String>,
    /// PEM of the authority that signed the server's certificate, or of that very certificate.
    pub certificate: Option<String>,
    /// Send the password in clear to another machine.
    #[serde(default)]
    pub allow_plain: bool,
}

impl ImapSettings {
    /// Where to connect to.
    ///
    /// # Errors
    /// `Invalid` for what is no host.
    pub fn address(&self) -> Result<HostPort, Error> {
        let host: HostPort = self
            .host
            .parse()
            .map_err(|error| Error::invalid(format!("the host {} is {error}", self.host)))?;
        let usual = if self.security == Security::Tls { 993 } else { 143 };
        let port = self.port.or(host.port).unwrap_or(usual);
        Ok(host.at(Some(port)))
    }

    fn check(&self, has_password: bool) -> Result<(), Error> {
        let address = self.address()?;
        let unfit = |text: &str| text.is_empty() || text.chars().any(char::is_control);
        if unfit(&self.user) || !has_password {
            return Err(Error::invalid("a mailbox needs a user and a password"));
        }
        if self.folders.len() > MOST_FOLDERS || self.folders.iter().any(|name| unfit(name)) {
            return Err(Error::invalid(format!(
                "folders are names without control characters, at most {MOST_FOLDERS}"
            )));
        }
        if self.certificate.as_ref().is_some_and(|pem| pem.len() > MAX_CERTIFICATE_BYTES) {
            return Err(Error::invalid("the certificate is too long"));
        }
        let here = match &address.host {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        if self.security == Security::Plain && !here && !self.allow_plain {
            return Err(Error::invalid(
                "without TLS the password and every mail could be read on their way: use \
                 `tls` or `starttls`, or say `allow_plain`",
            ));
        }
        Ok(())
    }
}

impl SourceSettings {
    /// The kind of source.
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Directory(_) => SourceKind::Directory,
            Self::Imap(_) => SourceKind::Imap,
        }
    }

    /// What becomes of documents that are gone there, where nobody said it.
    pub fn usual_deletions(&self) -> Deletions {
        match self {
            Self::Directory(_) => Deletions::Remove,
            Self::Imap(_) => Deletions::Keep,
        }
    }

    /// Settings as they are stored.
    pub(super) fn write(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map_err(|error| Error::invalid(format!("the settings are no JSON: {error}")))
    }

    /// Settings that were stored.
    ///
    /// # Errors
    /// `Invalid` where another release stored what this one does not know.
    pub fn read(stored: &str) -> Result<Self, Error> {
        serde_json::from_str(stored)
            .map_err(|error| Error::invalid(format!("stored settings cannot be read: {error}")))
    }

    pub(super) fn check(&self, has_password: bool) -> Result<(), Error> {
        match self {
            Self::Directory(settings) => {
                let path = &settings.path;
                let sound = path.is_absolute()
                    && path
                        .components()
                        .all(|step| matches!(step, Component::RootDir | Component::Normal(_)));
                if !sound {
                    return Err(Error::invalid(
                        "the path must be absolute and without `..`, as the server sees it",
                    ));
                }
                if has_password {
                    return Err(Error::invalid("a directory has no password"));
                }
                Ok(())
            }
            Self::Imap(settings) => settings.check(has_password),
        }
    }
}
