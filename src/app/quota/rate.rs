//! How fast a tenant may ask, and how much at once.
//!
//! Called by: `app::quota`. Talks to: nothing.
//! Invariants: a change of the limit takes effect with the next request; what runs already is let
//! finish.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Exceeded;

/// How long a query waits for another to end.
pub(super) const QUERY_PATIENCE: Duration = Duration::from_secs(2);

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Requests per second, with a burst of one second's worth.
pub(super) struct RequestRate<C: Clock = MonotonicClock> {
    per_second: u64,
    limiter: Limiter<C>,
}

impl RequestRate {
    pub(super) fn new(per_second: u64) -> Self {
        Self::with_clock(per_second, MonotonicClock)
    }
}

impl<C: Clock + Clone> RequestRate<C> {
    fn with_clock(per_second: u64, clock: C) -> Self {
        let rate = u32::try_from(per_second).ok().and_then(NonZeroU32::new);
        let quota = Quota::per_second(rate.unwrap_or(NonZeroU32::MAX));
        Self { per_second, limiter: RateLimiter::direct_with_clock(quota, clock) }
    }

    /// Counts a request, under the limit of now.
    pub(super) fn admit(&mut self, per_second: u64) -> Result<(), Exceeded> {
        if per_second != self.per_second {
            *self = Self::with_clock(per_second, self.limiter.clock().clone());
        }
        self.limiter.check().map_err(|not_until| Exceeded::Requests {
            limit: per_second,
            wait: not_until.wait_time_from(self.limiter.clock().now()),
        })
    }
}

/// Places for queries that run at the same time.
pub(super) struct QueryPlaces {
    limit: u64,
    places: Arc<Semaphore>,
}

/// A place among the running queries, until dropped.
pub struct QueryPlace {
    _permit: OwnedSemaphorePermit,
}

impl QueryPlaces {
    pub(super) fn new(limit: u64) -> Self {
        let permits = usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { limit, places: Arc::new(Semaphore::new(permits)) }
    }

    /// The places under the limit of now.
    pub(super) fn places(&mut self, limit: u64) -> Arc<Semaphore> {
        if limit != self.limit {
            *self = Self::new(limit);
        }
        self.places.clone()
    }
}

/// Waits a short while for a place.
pub(super) async fn place(
    places: Arc<Semaphore>,
    limit: u64,
    patience: Duration,
) -> Result<QueryPlace, Exceeded> {
    match tokio::time::timeout(patience, places.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(QueryPlace { _permit: permit }),
        // Nobody closes the places, so an error is as good as none left.
        Ok(Err(_)) | Err(_) => Err(Exceeded::ConcurrentQueries { limit }),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_burst_of_one_second_passes_and_the_next_request_is_told_when_to_come() {
        let clock = FakeRelativeClock::default();
        let mut rate = RequestRate::with_clock(4, clock.clone());
        for request in 0..4 {
            assert_eq!(rate.admit(4), Ok(()), "request {request}");
        }
        let Err(Exceeded::Requests { limit: 4, wait }) = rate.admit(4) else {
            panic!("the fifth request of a second passed");
        };
        assert!(Duration::ZERO < wait && wait <= Duration::from_millis(250), "{wait:?}");
        clock.advance(wait);
        assert_eq!(rate.admit(4), Ok(()));
        assert!(rate.admit(4).is_err());
    }

    #[test]
    fn a_raised_limit_holds_at_once() {
        let clock = FakeRelativeClock::default();
        let mut rate = RequestRate::with_clock(1, clock);
        assert_eq!(rate.admit(1), Ok(()));
        assert!(rate.admit(1).is_err());
        assert_eq!(rate.admit(2), Ok(()));
    }

    #[tokio::test]
    async fn a_query_waits_for_a_place_and_is_refused_when_none_comes() {
        let mut queries = QueryPlaces::new(1);
        let first = place(queries.places(1), 1, Duration::ZERO).await;
        assert!(first.is_ok(), "the only place was free");
        let refused = place(queries.places(1), 1, Duration::from_millis(10)).await.err();
        assert_eq!(refused, Some(Exceeded::ConcurrentQueries { limit: 1 }));
        let waits = tokio::spawn(place(queries.places(1), 1, Duration::from_secs(60)));
        tokio::task::yield_now().await;
        assert!(!waits.is_finished(), "nobody has made room yet");
        drop(first);
        assert!(waits.await.unwrap().is_ok(), "a place came free in time");
    }
}
