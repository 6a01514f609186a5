//! The appliance's own audit trail: sign-ins, accounts, tenants, keys; never content.
//!
//! Called by: `app::audit`. Talks to: `system::trail`.
//! Invariants: no name or text of any document gets here; an entry is durable when the call
//! returns.

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
        self.transaction("append to the audit trail", |transaction| {
            trail::append(transaction, &self.audit, records, false)
        })
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
