//! What a source of a tenant may reach: directories and hosts that the admin allowed.
//!
//! Called by: `app::sources`, and by every run in `sources`. Talks to: configuration, file system.
//! Invariants: a path that is not below an allowed directory gives the same answer whether it is
//! there or not; links are followed on the way to the source and must not lead out of what is
//! allowed; the home is never within reach.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::settings::{ImapSettings, SourceSettings};
use crate::app::{App, Error, blocking};
use crate::config::HostPort;
use crate::types::TenantId;

/// Why a source is out of reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "the admin has not allowed this tenant any directory of the server yet: they are listed \
         in cairn.toml under [sources], allowed_roots = [\"/mnt/share\"]"
    )]
    NoRoot,
    #[error("{path} is not below what the admin allowed this tenant: {allowed}")]
    OutsideRoots { path: String, allowed: String },
    #[error("{path} cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{path} leads out of {root}, which is what the admin allowed")]
    LeadsOut { path: String, root: String },
    #[error(
        "the admin has not allowed this tenant the host {host}: hosts are listed in cairn.toml \
         under [sources], allowed_hosts = [\"mail.example.lan\"]"
    )]
    Host { host: String },
}

/// A directory within reach.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The allowed directory, without links.
    pub base: PathBuf,
    /// The way from there to the source, without links.
    pub below: PathBuf,
}

impl Reach {
    /// The directory of a tenant's source. Blocks.
    ///
    /// # Errors
    /// Why it is out of reach.
    pub fn directory(app: &App, tenant: TenantId, path: &Path) -> Result<Self, Refused> {
        let (id, name) = names(app, tenant);
        let roots: Vec<&PathBuf> = app
            .sources
            .config
            .allowed_roots
            .iter()
            .filter_map(|root| root.to(&[&id, &name]))
            .collect();
        if roots.is_empty() {
            return Err(Refused::NoRoot);
        }
        let shown = path.display().to_string();
        let Some(root) = roots.iter().find(|root| path.starts_with(root)) else {
            let allowed: Vec<String> =
                roots.iter().map(|root| root.display().to_string()).collect();
            return Err(Refused::OutsideRoots { path: shown, allowed: allowed.join(", ") });
        };
        let real = |path: &Path| {
            std::fs::canonicalize(path).map_err(|error| Refused::Unreadable {
                path: path.display().to_string(),
                reason: error.to_string(),
            })
        };
        let (base, place) = (real(root)?, real(path)?);
        let home = std::fs::canonicalize(&app.home.path).unwrap_or_else(|_| app.home.path.clone());
        match place.strip_prefix(&base) {
            Ok(below) if !place.starts_with(&home) && !home.starts_with(&place) => {
                Ok(Self { base: base.clone(), below: below.to_owned() })
            }
            _ => Err(Refused::LeadsOut { path: shown, root: root.display().to_string() }),
        }
    }

    /// The host of a tenant's source.
    ///
    /// # Errors
    /// Why it is out of reach; `Invalid` where it is no host.
    pub fn host(app: &App, tenant: TenantId, settings: &ImapSettings) -> Result<HostPort, Error> {
        let address = settings.address()?;
        let (id, name) = names(app, tenant);
        let allowed = app.sources.config.allowed_hosts.iter().any(|allowed| {
            allowed.to(&[&id, &name]).is_some_and(|allowed| {
                allowed.host == address.host
                    && (allowed.port.is_none() || allowed.port == address.port)
            })
        });
        if allowed {
            return Ok(address);
        }
        Err(Error::invalid(Refused::Host { host: address.to_string() }.to_string()))
    }
}

/// What the configuration may call a tenant.
fn names(app: &App, tenant: TenantId) -> (String, String) {
    let name = app.quotas.standing(tenant).map(|standing| standing.policy().name);
    (tenant.to_string(), name.unwrap_or_default())
}

/// Refuses settings that reach beyond what is allowed.
pub(super) async fn check(
    app: &Arc<App>,
    tenant: TenantId,
    settings: &SourceSettings,
) -> Result<(), Error> {
    let (app, settings) = (app.clone(), settings.clone());
    blocking(move || match settings {
        SourceSettings::Directory(settings) => {
            let reach = Reach::directory(&app, tenant, &settings.path);
            let reach = reach.map_err(|refused| Error::invalid(refused.to_string()))?;
            let place = reach.base.join(reach.below);
            if place.is_dir() {
                return Ok(());
            }
            Err(Error::invalid(format!("{} is no directory", settings.path.display())))
        }
        SourceSettings::Imap(settings) => Reach::host(&app, tenant, &settings).map(drop),
    })
    .await
}
