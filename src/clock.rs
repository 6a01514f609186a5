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
        shifted(Timestamp::now())
    }
}

#[cfg(not(feature = "fault-injection"))]
fn shifted(now: Timestamp) -> Timestamp {
    now
}

/// As by a clock that is wrong by as many seconds as `CAIRN_CLOCK_SHIFT` says.
#[cfg(feature = "fault-injection")]
fn shifted(now: Timestamp) -> Timestamp {
    static SHIFT: std::sync::OnceLock<SignedDuration> = std::sync::OnceLock::new();
    let shift = SHIFT.get_or_init(|| {
        let seconds = std::env::var("CAIRN_CLOCK_SHIFT").ok().and_then(|text| text.parse().ok());
        SignedDuration::from_secs(seconds.unwrap_or(0))
    });
    now.saturating_add(*shift).unwrap_or(now)
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock, forward or back.
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
