//! What happened to the appliance while its audit trail could not be written.
//!
//! Called by: `appliance::gate`. Talks to: nothing.
//! Invariants: entries keep their order; there is a most, because anybody may try to open a sealed
//! appliance, and what went beyond it is counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::app::audit::{Action, Event, Outcome, Record, here, itself};

/// Records kept in memory.
const MOST: usize = 256;

/// Records that wait for the trail to be opened.
#[derive(Default)]
pub(super) struct Backlog(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    left_out: u64,
}

impl Backlog {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records behind those that wait.
    pub(super) fn keep(&self, records: impl IntoIterator<Item = Record>) {
        let mut waiting = self.waiting();
        for record in records {
            if waiting.records.len() < MOST {
                waiting.records.push(record);
            } else {
                waiting.left_out += 1;
            }
        }
    }

    /// Takes out all that waits, with a word on what found no place.
    pub(super) fn take(&self, now: Timestamp) -> Vec<Record> {
        let Waiting { mut records, left_out } = std::mem::take(&mut *self.waiting());
        if left_out > 0 {
            let event = Event::new(Action::ApplianceUnseal)
                .ended(Outcome::Refused)
                .with("left_out", left_out);
            records.push(here(now, itself()).record(event));
        }
        records
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting().records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::audit::Party;

    #[test]
    fn a_flood_is_cut_off_and_counted() {
        let backlog = Backlog::default();
        let attempt = || {
            let event = Event::new(Action::ApplianceUnseal).ended(Outcome::Refused);
            here(Timestamp::UNIX_EPOCH, Party::anonymous()).record(event)
        };
        backlog.keep((0..MOST + 9).map(|_| attempt()));
        assert_eq!(backlog.len(), MOST);
        assert_eq!(backlog.take(Timestamp::UNIX_EPOCH).len(), MOST + 1);
        assert!(backlog.take(Timestamp::UNIX_EPOCH).is_empty());
    }
}
