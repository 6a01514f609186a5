//! Waiting while too much of a tenant waits to be indexed.
//!
//! Called by: `app::stream`, `sources`. Talks to: nothing.
//! Invariants: only a queue that is full is waited for, since it empties by itself; every other
//! refusal is given back at once.

use std::time::Duration;

use tokio::time::Instant;

use super::Exceeded;
use crate::app::Error;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How long somebody is willing to wait for room in the queue.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `None` where it never ends.
    until: Option<Instant>,
}

impl Patience {
    /// As long as it takes.
    pub fn endless() -> Self {
        Self { until: None }
    }

    /// For so long from now on.
    pub fn lasting(time: Duration) -> Self {
        Self { until: Some(Instant::now() + time) }
    }

    /// Returns after a moment where `error` says that the queue is full and there is patience left:
    /// then it is time for another attempt.
    ///
    /// # Errors
    /// `error` itself, where waiting does not help or has taken too long.
    pub async fn bear(self, error: Error) -> Result<(), Error> {
        let is_full = matches!(error, Error::Quota(Exceeded::Jobs { .. }));
        if !is_full || self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_full_queue_is_waited_for_and_not_beyond_the_time_given() {
        let full = || Error::Quota(Exceeded::Jobs { limit: 1, used: 1 });
        let other = Error::Quota(Exceeded::Documents { limit: 1, used: 1 });
        assert!(Patience::endless().bear(full()).await.is_ok());
        assert!(Patience::endless().bear(other).await.is_err());
        assert!(Patience::lasting(Duration::ZERO).bear(full()).await.is_err());
    }
}
