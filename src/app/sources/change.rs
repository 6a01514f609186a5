//! Changing a source: its name, how it is read, when, and with which password.
//!
//! Called by: `http`. Talks to: catalogue, configuration by way of `reach`.
//! Invariants: what was taken in stays and is not read again; a change that means another place is
//! refused, since what came from the old one would count as gone; a stored password is never sent
//! anywhere, or under a protection, that it was not given for.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::settings::{DirectorySettings, ImapSettings, Security, SourceSettings};
use super::{SourceChange, SourceDetail, SourceRow, check_interval, check_name, reach, show};
use crate::app::audit::{self, Action, Event};
use crate::app::{App, Error};
use crate::auth::Manage;
use crate::tenant::TenantHandle;
use crate::types::Deletions;

/// What is to be different of a source; what is absent stays.
#[derive(Default)]
pub struct Change {
    pub name: Option<String>,
    /// Only to be told that it stays.
    pub collection: Option<String>,
    pub settings: SettingsChange,
    /// The place is the same as before under a new name: a share mounted elsewhere, a server or a
    /// user renamed.
    pub same_place: bool,
    pub password: Option<Zeroizing<String>>,
    pub interval_seconds: Option<u64>,
    pub deletions: Option<Deletions>,
    pub paused: Option<bool>,
}

/// What is to be different of the settings of a source, whichever kind it is.
#[derive(Default)]
pub struct SettingsChange {
    pub path: Option<PathBuf>,
    pub host: Option<String>,
    pub port: Option<Option<u16>>,
    pub security: Option<Security>,
    pub user: Option<String>,
    pub folders: Option<Vec<String>>,
    pub certificate: Option<Option<String>>,
    pub allow_plain: Option<bool>,
}

impl SettingsChange {
    /// Names of the settings that are given.
    fn named(&self) -> Vec<String> {
        let given = [
            ("path", self.path.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("security", self.security.is_some()),
            ("user", self.user.is_some()),
            ("folders", self.folders.is_some()),
            ("certificate", self.certificate.is_some()),
            ("allow_plain", self.allow_plain.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()).collect()
    }

    /// The settings with what is to be different.
    fn applied_to(self, before: &SourceSettings) -> Result<SourceSettings, Error> {
        match before {
            SourceSettings::Directory(before) => {
                if self.named().iter().any(|name| name != "path") {
                    let detail = "this source is a directory: of its place only `path` can change";
                    return Err(Error::invalid(detail));
                }
                let path = self.path.unwrap_or_else(|| before.path.clone());
                Ok(SourceSettings::Directory(DirectorySettings { path }))
            }
            SourceSettings::Imap(before) => {
                if self.path.is_some() {
                    return Err(Error::invalid("this source is a mailbox: it has no `path`"));
                }
                let before = before.clone();
                Ok(SourceSettings::Imap(ImapSettings {
                    host: self.host.unwrap_or(before.host),
                    port: self.port.unwrap_or(before.port),
                    security: self.security.unwrap_or(before.security),
                    user: self.user.unwrap_or(before.user),
                    folders: self.folders.unwrap_or(before.folders),
                    certificate: self.certificate.unwrap_or(before.certificate),
                    allow_plain: self.allow_plain.unwrap_or(before.allow_plain),
                }))
            }
        }
    }
}

/// Changes a source. One that is not paused and whose name or place is read differently from now
/// on runs at once.
///
/// # Errors
/// `NotFound`; `Invalid` for settings that cannot work or reach beyond what is allowed, and where
/// the password has to be given again; `Conflict` for a name that is taken, for another place and
/// for another collection.
pub async fn change(
    app: &Arc<App>,
    tenant: &TenantHandle<Manage>,
    source: &str,
    change: Change,
) -> Result<SourceDetail, Error> {
    let before = show(app, tenant, source, 0).await?;
    let event = described(&change).on("source", before.row.id);
    let wanted = Planned::of(app, tenant, &before, change).await?;
    let (id, key, settings) = (before.row.id, before.row.key, before.row.settings);
    let occasion = audit::occasion(tenant);
    let changed = tenant.write(move |catalog| {
        let Some(row) = catalog.source(&id.to_string())? else { return Ok(Err(Error::NotFound)) };
        if row.settings != settings {
            let detail = "somebody else changed the source meanwhile: look at it and try again";
            return Ok(Err(Error::Conflict { detail: detail.to_owned() }));
        }
        if let Some(name) = &wanted.row.name
            && catalog.source(name)?.is_some_and(|other| other.key != key)
        {
            let detail = format!("there is a source named {name} already");
            return Ok(Err(Error::Conflict { detail }));
        }
        catalog.change_source(key, &wanted.row)?;
        if wanted.reads_anew && !wanted.row.paused.unwrap_or(row.paused) {
            catalog.ask_source_run(key, row.gone_confirmed)?;
        }
        catalog.record([occasion.record(event)])?;
        Ok(Ok(()))
    });
    changed.await??;
    app.sources.changed(tenant.id());
    tenant.announce_source(id);
    show(app, tenant, &id.to_string(), 0).await
}

/// What the audit trail says of a change: what is different, and of a password only that it is.
fn described(change: &Change) -> Event {
    let named = change.settings.named();
    let mut event = Event::new(Action::SourceChange)
        .with_some("name", change.name.clone())
        .with_some("interval_seconds", change.interval_seconds)
        .with_some("deletions", change.deletions.map(Deletions::as_str))
        .with_some("paused", change.paused)
        .with_some("settings", (!named.is_empty()).then_some(named));
    if change.same_place {
        event = event.with("same_place", true);
    }
    if change.password.is_some() {
        event = event.with("password", true);
    }
    event
}

/// A change that may be made.
struct Planned {
    row: SourceChange,
    /// Another run would find or do something else than the last one.
    reads_anew: bool,
}

impl Planned {
    async fn of(
        app: &Arc<App>,
        tenant: &TenantHandle<Manage>,
        before: &SourceDetail,
        change: Change,
    ) -> Result<Self, Error> {
        let row = &before.row;
        if let Some(seconds) = change.interval_seconds {
            check_interval(seconds)?;
        }
        let name = change.name.filter(|name| *name != row.name);
        if let Some(name) = &name {
            check_name(name)?;
        }
        check_collection(row, change.collection.as_deref())?;
        let settings = change.settings.applied_to(&before.settings)?;
        let is_other = settings != before.settings;
        if is_other || change.password.is_some() {
            let is_directory = matches!(settings, SourceSettings::Directory(_));
            settings.check(change.password.is_some() || (row.has_secret && !is_directory))?;
            if !change.same_place {
                check_place(&before.settings, &settings)?;
            }
            if change.password.is_none() && is_sent_otherwise(&before.settings, &settings)? {
                return Err(Error::invalid(
                    "give the password as well: with these settings it goes somewhere else, or is \
                     protected otherwise, than when it was given",
                ));
            }
            reach::check(app, tenant.id(), &settings).await?;
        }
        Ok(Self {
            reads_anew: is_other || name.is_some() || change.password.is_some(),
            row: SourceChange {
                name,
                settings: is_other.then(|| settings.write()).transpose()?,
                secret: change.password.map(|password| password.as_str().to_owned()),
                interval_seconds: change.interval_seconds,
                deletions: change.deletions,
                paused: change.paused,
            },
        })
    }
}

/// Bytes are held once per collection, so its documents cannot change over.
fn check_collection(row: &SourceRow, wanted: Option<&str>) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != row.collection => Err(Error::Conflict {
            detail: format!(
                "documents stay in the collection they were taken into, which is {}: make a new \
                 source for {wanted}",
                row.collection
            ),
        }),
        _ => Ok(()),
    }
}

/// Refuses settings that mean another place than before.
fn check_place(before: &SourceSettings, after: &SourceSettings) -> Result<(), Error> {
    let other = match (before, after) {
        (SourceSettings::Directory(before), SourceSettings::Directory(after)) => {
            (before.path != after.path).then(|| {
                let (after, before) = (after.path.display(), before.path.display());
                format!(
                    "{after} is another directory than {before}, and what came from there would \
                     be taken for gone"
                )
            })
        }
        (SourceSettings::Imap(before), SourceSettings::Imap(after)) => {
            let (was, is) = (before.address()?.host, after.address()?.host);
            (was != is || before.user != after.user).then(|| {
                format!(
                    "{} at {is} is another mailbox than {} at {was}, which the mails came from",
                    after.user, before.user
                )
            })
        }
        _ => None,
    };
    match other {
        None => Ok(()),
        Some(other) => Err(Error::Conflict {
            detail: format!(
                "{other}: make a new source for it, and remove this one if it is not needed any \
                 more; its documents stay. If it is the same place under a new name, say \
                 `same_place`"
            ),
        }),
    }
}

/// True where a password that was given before would reach somebody it was not given for.
fn is_sent_otherwise(before: &SourceSettings, after: &SourceSettings) -> Result<bool, Error> {
    let (SourceSettings::Imap(before), SourceSettings::Imap(after)) = (before, after) else {
        return Ok(false);
    };
    Ok(before.address()? != after.address()?
        || before.user != after.user
        || before.security != after.security
        || before.certificate != after.certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> SourceSettings {
        SourceSettings::Imap(ImapSettings {
            host: "Mail.example.lan".to_owned(),
            port: None,
            security: Security::Tls,
            user: "office".to_owned(),
            folders: Vec::new(),
            certificate: None,
            allow_plain: false,
        })
    }

    fn directory(path: &str) -> SourceSettings {
        SourceSettings::Directory(DirectorySettings { path: path.into() })
    }

    #[test]
    fn a_change_of_one_kind_does_not_fit_the_other() {
        let path = || SettingsChange { path: Some("/mnt/b".into()), ..SettingsChange::default() };
        let port = || SettingsChange { port: Some(Some(993)), ..SettingsChange::default() };
        assert!(path().applied_to(&mailbox()).is_err());
        assert!(port().applied_to(&directory("/mnt/a")).is_err());
        assert_eq!(path().applied_to(&directory("/mnt/a")).unwrap(), directory("/mnt/b"));
        let none = SettingsChange::default().applied_to(&mailbox()).unwrap();
        assert_eq!(none, mailbox());
    }

    #[test]
    fn another_spelling_of_a_place_is_the_same_place() {
        let with = |change: SettingsChange| change.applied_to(&mailbox()).unwrap();
        let spelt = with(SettingsChange {
            host: Some("mail.example.lan:993".to_owned()),
            ..SettingsChange::default()
        });
        assert!(check_place(&mailbox(), &spelt).is_ok());
        assert!(!is_sent_otherwise(&mailbox(), &spelt).unwrap());
        assert!(check_place(&directory("/mnt/a/"), &directory("/mnt/a")).is_ok());
        let other = with(SettingsChange {
            host: Some("mail2.example.lan".to_owned()),
            ..SettingsChange::default()
        });
        let refused = check_place(&mailbox(), &other).unwrap_err().to_string();
        assert!(refused.contains("another mailbox") && refused.contains("same_place"), "{refused}");
    }

    #[test]
    fn a_stored_password_serves_only_what_it_was_given_for() {
        let sent = |change: SettingsChange| {
            is_sent_otherwise(&mailbox(), &change.applied_to(&mailbox()).unwrap()).unwrap()
        };
        let none = SettingsChange::default;
        assert!(sent(SettingsChange { port: Some(Some(1993)), ..none() }));
        assert!(sent(SettingsChange { security: Some(Security::Plain), ..none() }));
        assert!(sent(SettingsChange { certificate: Some(Some("PEM".to_owned())), ..none() }));
        assert!(!sent(SettingsChange { folders: Some(vec!["INBOX".to_owned()]), ..none() }));
    }
}
