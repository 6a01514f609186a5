//! A tenant's audit trail: entries in the transaction of the change they tell of.
//!
//! Called by: `app` with a change, `tenant::handle` for reads, `app::audit` to show it.
//! Talks to: `system::trail` over `tenant.db`, `setting`.
//! Invariants: the text of a query reaches the trail only while the tenant's policy keeps it.

use super::{CatalogError, CatalogReader, CatalogWriter, failed};
use crate::audit::{Entry, EntryHash, Record, Verdict};
use crate::system::Waiting;
use crate::system::trail::{self, Check, Step, TrailQuery};

/// Name of the setting; the trail keeps query text where its value is [`ON`].
pub(super) const QUERY_TEXT: &str = "audit_query_text";
/// Name of the setting that holds the key of the newest entry that waited elsewhere.
const TAKEN_LAST: &str = "audit_taken_last";
const ON: &str = "on";
const OFF: &str = "off";

/// Entries checked at a time.
const CHECK_STEP: usize = 10_000;

impl CatalogWriter<'_> {
    /// Adds entries to the trail; they stand or fall with the rest of the transaction.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn record(&self, records: impl IntoIterator<Item = Record>) -> Result<(), CatalogError> {
        let keeps_query_text = self.keeps_query_text()?;
        trail::append(self.transaction, self.audit, records, keeps_query_text)
            .map_err(failed("append to the audit trail"))
    }

    /// Adds entries that wait elsewhere, oldest first. Those up to the one that was taken last are here
    /// already: the process died before they were forgotten there.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub(in crate::tenant) fn record_waiting(
        &self,
        waiting: &[Waiting],
    ) -> Result<(), CatalogError> {
        let taken = self.setting(TAKEN_LAST)?;
        let known = waiting.iter().rposition(|entry| Some(&entry.key) == taken.as_ref());
        let new = &waiting[known.map_or(0, |known| known + 1)..];
        self.record(new.iter().map(|entry| entry.record.clone()))?;
        match new.last() {
            Some(last) => self.set_setting(TAKEN_LAST, &last.key),
            None => Ok(()),
        }
    }

    /// Keeps the text of queries from now on, or no longer. What was recorded stays.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn keep_query_text(&self, keep: bool) -> Result<(), CatalogError> {
        self.set_setting(QUERY_TEXT, if keep { ON } else { OFF })
    }
}

impl CatalogReader<'_> {
    fn keeps_query_text(&self) -> Result<bool, CatalogError> {
        Ok(self.setting(QUERY_TEXT)?.as_deref() == Some(ON))
    }
}

/// The trail over one snapshot of the catalogue, and nothing else of it.
///
/// It cannot be made outside `tenant`, and a handle for reading documents does not give one:
/// ```compile_fail
/// async fn peek(handle: cairn::tenant::TenantHandle<cairn::auth::Read>) {
///     handle.read_audit(|trail| trail.verify()).await.ok();
/// }
/// ```
pub struct AuditReader<'a> {
    catalog: &'a CatalogReader<'a>,
}

impl<'a> AuditReader<'a> {
    pub(in crate::tenant) fn new(catalog: &'a CatalogReader<'a>) -> Self {
        Self { catalog }
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn page(&self, wanted: &TrailQuery) -> Result<Vec<Entry>, CatalogError> {
        trail::page(self.catalog.connection, self.catalog.audit.scope(), wanted)
            .map_err(failed("read the audit trail"))
    }

    /// Entries from `first` on, oldest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn stretch(&self, first: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        trail::stretch(self.catalog.connection, self.catalog.audit.scope(), first, limit)
            .map_err(failed("read the audit trail"))
    }

    /// Number and hash of the newest entry.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub(in crate::tenant) fn newest(&self) -> Result<Option<(u64, EntryHash)>, CatalogError> {
        trail::last(self.catalog.connection).map_err(failed("read the audit trail"))
    }

    /// Checks the whole trail.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn verify(&self) -> Result<Verdict, CatalogError> {
        let mut check = Check::new(self.catalog.audit);
        loop {
            let step = check.step(self.catalog.connection, CHECK_STEP);
            match step.map_err(failed("check the audit trail"))? {
                Step::More(rest) => check = rest,
                Step::Done(verdict) => return Ok(verdict),
            }
        }
    }

    /// True while the trail keeps the text of queries.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn keeps_query_text(&self) -> Result<bool, CatalogError> {
        self.catalog.keeps_query_text()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;
    use rusqlite::Connection;

    use super::super::Catalog;
    use super::*;
    use crate::audit::{Action, Event, FlawKind, Occasion, Origin, Outcome, Party, Value};
    use crate::crypto::{Keyring, SecretKey};

    fn keyring() -> Keyring {
        Keyring::new("t1", 1, [(1, SecretKey::from_bytes([1; 32]))])
    }

    fn record(event: Event) -> Record {
        let actor = Party::new("user", Some("u1".to_owned()), Some("ann".to_owned()));
        Occasion { at: Timestamp::UNIX_EPOCH, actor, origin: Origin::default() }.record(event)
    }

    fn open(dir: &Path) -> Catalog {
        Catalog::open(&dir.join("tenant.db"), &keyring()).unwrap()
    }

    fn append(catalog: &Catalog, event: Event) {
        catalog.write(Timestamp::UNIX_EPOCH, |catalog| catalog.record([record(event)])).unwrap();
    }

    fn verify(catalog: &Catalog) -> Verdict {
        catalog.read_trail(|trail| trail.verify()).unwrap()
    }

    fn page(catalog: &Catalog, wanted: TrailQuery) -> Vec<Entry> {
        catalog.read_trail(|trail| trail.page(&wanted)).unwrap()
    }

    /// What somebody with the key of the database can do to it.
    fn tamper(catalog: &Catalog, sql: &str) {
        let writer = catalog.writer.lock().unwrap();
        let drop_triggers = "DROP TRIGGER audit_is_never_changed; \
             DROP TRIGGER audit_is_never_shortened; DROP TRIGGER audit_only_grows; \
             DROP TRIGGER audit_head_stays;";
        writer.execute_batch(&format!("{drop_triggers} {sql}")).unwrap();
    }

    fn filled(dir: &Path) -> Catalog {
        let catalog = open(dir);
        for number in 0..6_u64 {
            append(&catalog, Event::new(Action::DocumentRead).on("document", number));
        }
        assert_eq!(verify(&catalog), Verdict { entries: 6, flaw: None });
        catalog
    }

    #[test]
    fn every_kind_of_tampering_with_the_database_is_found() {
        for (sql, sequence, kind) in [
            ("UPDATE audit SET actor_name = 'bob' WHERE sequence = 3", 3, FlawKind::Content),
            ("UPDATE audit SET detail = '{' WHERE sequence = 3", 3, FlawKind::Unreadable),
            ("UPDATE audit SET hash = x'00' WHERE sequence = 3", 3, FlawKind::Unreadable),
            ("DELETE FROM audit WHERE sequence = 3", 3, FlawKind::Gap),
            ("DELETE FROM audit WHERE sequence > 4", 5, FlawKind::Cut),
            ("DELETE FROM audit", 1, FlawKind::Cut),
            ("DELETE FROM audit; DELETE FROM audit_head", 1, FlawKind::Head),
            ("UPDATE audit_head SET sequence = 5", 7, FlawKind::Head),
            (
                "UPDATE audit SET sequence = 99 WHERE sequence = 3; \
                 UPDATE audit SET sequence = 3 WHERE sequence = 4; \
                 UPDATE audit SET sequence = 4 WHERE sequence = 99",
                3,
                FlawKind::Link,
            ),
            (
                "INSERT INTO audit SELECT sequence + 6, at, actor_kind, actor_id, actor_name, \
                 action, resource_kind, resource_id, result, source, request_id, detail, \
                 previous, hash FROM audit WHERE sequence = 1",
                7,
                FlawKind::Link,
            ),
            ("UPDATE audit SET sequence = -1 WHERE sequence = 1", 1, FlawKind::Unreadable),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let catalog = filled(dir.path());
            tamper(&catalog, sql);
            let flaw = verify(&catalog).flaw.unwrap_or_else(|| panic!("{sql}: nothing found"));
            assert_eq!((flaw.sequence, flaw.kind), (sequence, kind), "{sql}");
            // What comes after does not cover it up, not even when the catalogue is opened anew.
            drop(catalog);
            let catalog = open(dir.path());
            append(&catalog, Event::new(Action::Search).ended(Outcome::Failed));
            assert!(verify(&catalog).flaw.is_some(), "{sql}: covered up");
        }
    }

    #[test]
    fn entries_are_neither_changed_nor_removed_by_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = filled(dir.path());
        {
            let writer: std::sync::MutexGuard<'_, Connection> = catalog.writer.lock().unwrap();
            for sql in [
                "UPDATE audit SET result = 'ok'",
                "DELETE FROM audit WHERE sequence = 6",
                "DELETE FROM audit_head",
                "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE sequence = 2",
            ] {
                assert!(writer.execute_batch(sql).is_err(), "{sql}");
            }
        }
        assert_eq!(verify(&catalog).flaw, None);
    }

    #[test]
    fn an_entry_stands_or_falls_with_the_change_it_tells_of() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = filled(dir.path());
        let failed: Result<(), CatalogError> = catalog.write(Timestamp::UNIX_EPOCH, |catalog| {
            catalog.record([record(Event::new(Action::DocumentDelete))])?;
            Err(CatalogError::Corrupt { what: "a test", source: "on purpose".into() })
        });
        assert!(failed.is_err());
        assert_eq!(verify(&catalog), Verdict { entries: 6, flaw: None });
    }

    #[test]
    fn query_text_follows_the_policy_of_the_moment() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(dir.path());
        let ask = || append(&catalog, Event::new(Action::Ask).about("who signed the lease"));
        let policy = |keep| {
            catalog.write(Timestamp::UNIX_EPOCH, |catalog| catalog.keep_query_text(keep)).unwrap();
        };
        ask();
        policy(true);
        ask();
        policy(false);
        ask();
        let texts: Vec<Option<Value>> =
            page(&catalog, TrailQuery { limit: 9, ..Default::default() })
                .iter()
                .map(|entry| entry.detail.get("query").cloned())
                .collect();
        assert_eq!(texts, [None, Some(Value::Text("who signed the lease".to_owned())), None]);
        assert_eq!(verify(&catalog), Verdict { entries: 3, flaw: None });
    }

    #[test]
    fn pages_follow_filters_and_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = filled(dir.path());
        append(&catalog, Event::new(Action::DocumentUpload).on("document", 9));
        append(&catalog, Event::new(Action::Search));
        let sequences = |wanted: TrailQuery| -> Vec<u64> {
            page(&catalog, wanted).iter().map(|entry| entry.sequence).collect()
        };
        let all = TrailQuery { limit: 3, ..Default::default() };
        assert_eq!(sequences(all.clone()), [8, 7, 6]);
        assert_eq!(sequences(TrailQuery { cursor: Some(6), ..all.clone() }), [5, 4, 3]);
        let of = |action: &str| TrailQuery { action: Some(action.to_owned()), ..all.clone() };
        assert_eq!(sequences(of("document")), [7, 6, 5]);
        assert_eq!(sequences(of("document.upload")), [7]);
        assert!(sequences(of("doc")).is_empty());
        for (actor, found) in [("ann", 3), ("u1", 3), ("user", 3), ("bob", 0)] {
            let wanted = TrailQuery { actor: Some(actor.to_owned()), ..all.clone() };
            assert_eq!(sequences(wanted).len(), found, "{actor}");
        }
        let epoch = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(sequences(TrailQuery { after: epoch, ..all.clone() }).len(), 3);
        assert_eq!(sequences(TrailQuery { before: epoch, ..all }).len(), 0);
        let stretch = catalog.read_trail(|trail| trail.stretch(7, 10)).unwrap();
        assert_eq!(stretch.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn the_head_is_sealed_with_the_newest_key_when_the_catalogue_opens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenant.db");
        drop(filled(dir.path()));
        let key = |byte: u8| SecretKey::from_bytes([byte; 32]);
        let both = Keyring::new("t1", 2, [(1, key(1)), (2, key(2))]);
        Catalog::rekey(&path, &both).unwrap();
        assert_eq!(verify(&Catalog::open(&path, &both).unwrap()).flaw, None);
        let new = Keyring::new("t1", 2, [(2, key(2))]);
        assert_eq!(verify(&Catalog::open(&path, &new).unwrap()).flaw, None);
    }
}
