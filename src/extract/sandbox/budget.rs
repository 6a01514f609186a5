//! Processor time for each document of a worker that reads many.
//!
//! Called by: `extract::worker`. Talks to: the kernel.
//! Invariants: the file it reads from is opened before the worker is confined; a document that
//! uses its time up ends the process by `SIGXCPU`.
//!
//! Why the limit moves: the kernel counts a process's time from its start, so a fixed limit would
//! end a worker in the middle of a document that has done nothing wrong. Code that has taken the
//! worker over may move it too; the parent's clock ends that.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::SandboxError;
use crate::extract::protocol::patience;

/// Ticks of `/proc/self/stat` in a second; fixed for programs on x86-64.
const TICKS: u64 = 100;
/// Fields of that file between the program's name and the time in user mode.
const BEFORE_TIMES: usize = 11;
/// How often a document that gives signs of life gets its time anew.
const SELDOM: Duration = Duration::from_secs(1);

/// Gives documents their time.
pub(in crate::extract) struct CpuBudget {
    stat: File,
    seconds: u64,
    /// How many times they hold for the document at hand.
    times: u64,
    given: Instant,
}

impl CpuBudget {
    /// A budget of `seconds` for each document.
    ///
    /// # Errors
    /// [`SandboxError::Budget`].
    pub(in crate::extract) fn open(seconds: u64) -> Result<Self, SandboxError> {
        let stat = File::open("/proc/self/stat").map_err(SandboxError::Budget)?;
        let budget = Self { stat, seconds: seconds.max(1), times: 1, given: Instant::now() };
        budget.used().map_err(SandboxError::Budget)?;
        Ok(budget)
    }

    /// Starts the time of a document of `length` bytes.
    pub(in crate::extract) fn begin(&mut self, length: u64) {
        self.times = u64::from(patience(length));
        self.give();
    }

    fn give(&mut self) {
        self.given = Instant::now();
        // A worker that cannot move its limit keeps the stricter one it has.
        if let Ok(used) = self.used() {
            let maximum = getrlimit(Resource::Cpu).maximum;
            let wanted =
                used.saturating_add(self.seconds.saturating_mul(self.times)).saturating_add(1);
            let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
            let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
        }
    }

    /// Gives the same time again to a document that hands something out, as the parent's clock
    /// does.
    pub(in crate::extract) fn renew(&mut self) {
        if self.given.elapsed() >= SELDOM {
            self.give();
        }
    }

    /// Whole seconds of processor time this process has used.
    fn used(&self) -> io::Result<u64> {
        let mut bytes = [0; 1024];
        let length = self.stat.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        let ticks = text.rsplit(')').next().and_then(|after_name| {
            let mut times = after_name.split_whitespace().skip(BEFORE_TIMES);
            let user: u64 = times.next()?.parse().ok()?;
            let system: u64 = times.next()?.parse().ok()?;
            user.checked_add(system)
        });
        ticks.map(|ticks| ticks / TICKS).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spent_is_time_counted() {
        let budget = CpuBudget::open(3600).unwrap();
        let before = budget.used().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) && budget.used().unwrap() == before {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
        assert!(budget.used().unwrap() > before);
    }
}
