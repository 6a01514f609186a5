//! The time, as a value that tests can hold still.
//!
//! Called by: `system`, `tenant`, `app`, `worker`, `http`. Talks to: the operating system's clock.
//! Invariants: nothing else in the crate asks the system what time it is.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

/// Where components get the time from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment, UTC.
    fn now(&self) -> Timestamp;
}

/// A clock shared by every component of one appliance.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().expect("invariant: no holder of this lock panics");
        *now = now.saturating_add(by).expect("invariant: a signed duration saturates");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("invariant: no holder of this lock panics")
    }
}
