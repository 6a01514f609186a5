//! The appliance's own audit trail: sign-ins, accounts, tenants, keys; never content.
//!
//! Called by: `app::audit`. Talks to: `system::trail`.
//! Invariants: no name or text of any document gets here; an entry is durable when the call
//! returns.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::trail::{self, Check, Step, TrailQuery};
use super::{System, SystemError, failed};
use crate::audit::{Entry, Record, Verdict};

/// Entries checked before others may use the database again.
const CHECK_STEP: usize = 2000;

impl System {
    /// Adds entries to the appliance's trail.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn append_audit(&self, records: Vec<Record>) -> Result<(), SystemError> {
        let latest = records.iter().map(|record| record.at().as_microsecond()).max();
        self.transaction("append to the audit trail", |transaction| {
            trail::append(transaction, &self.audit, records, false)
        })?;
        // Nobody has asked yet: then the trail is, whole.
        if self.latest_audit.load(Ordering::Relaxed) != i64::MIN {
            self.latest_audit.fetch_max(latest.unwrap_or(i64::MIN), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The latest time on record; `None` before the first entry.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn latest_audit(&self) -> Result<Option<Timestamp>, SystemError> {
        let connection = self.connection();
        let mut latest = self.latest_audit.load(Ordering::Relaxed);
        let read = failed("read the audit trail");
        if latest == i64::MIN {
            let asked = connection.query_row("SELECT max(at) FROM audit", [], |row| row.get(0));
            let Some(found) = asked.map_err(read)? else { return Ok(None) };
            latest = self.latest_audit.fetch_max(found, Ordering::Relaxed).max(found);
        }
        Ok(Timestamp::from_microsecond(latest).ok())
    }

    /// Entries of the appliance's trail, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit_page(&self, wanted: &TrailQuery) -> Result<Vec<Entry>, SystemError> {
        trail::page(&self.connection(), self.audit.scope(), wanted)
            .map_err(failed("read the audit trail"))
    }

    /// Entries of the appliance's trail from `first` on, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit_stretch(&self, first: u64, limit: usize) -> Result<Vec<Entry>, SystemError> {
        trail::stretch(&self.connection(), self.audit.scope(), first, limit)
            .map_err(failed("read the audit trail"))
    }

    /// Checks the appliance's trail.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn verify_audit(&self) -> Result<Verdict, SystemError> {
        let mut check = Check::new(&self.audit);
        loop {
            let step = check.step(&self.connection(), CHECK_STEP);
            match step.map_err(failed("check the audit trail"))? {
                Step::More(rest) => check = rest,
                Step::Done(verdict) => return Ok(verdict),
            }
        }
    }
}
