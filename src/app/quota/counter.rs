//! What a tenant holds and what is on its way in, counted beside the catalogue.
//!
//! Called by: `app::quota`. Talks to: nothing; pure.
//! Invariants: what is counted is never less than what the catalogue holds of this process's
//! uploads: a correction adds again what was settled since its snapshot began. It may be more for
//! a while, after removals say, so a refusal is worth a correction first.
//! Why: the catalogue could be asked each time, but counting a million rows per upload would cost
//! more than the upload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Exceeded;
use crate::tenant::Amounts;
use crate::types::Limits;

/// A correction comes at most this often, and takes at most a twentieth of the time.
const CORRECTION_PAUSE: Duration = Duration::from_secs(1);
const CORRECTION_COST: u32 = 20;

/// The numbers of one tenant.
#[derive(Default)]
pub(super) struct Counter {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None until the catalogue was asked once.
    used: Option<Amounts>,
    /// Room held by uploads under way.
    held: Amounts,
    /// Everything settled since the process started.
    settled: Amounts,
    corrected: Option<Correction>,
    /// Something went that the counter did not see.
    stale: bool,
}

struct Correction {
    at: Instant,
    took: Duration,
}

/// The moment before the catalogue was asked.
pub(super) struct Mark {
    settled: Amounts,
    at: Instant,
}

impl Counter {
    /// What is held by the tenant, as far as is known.
    pub(super) fn used(&self) -> Option<Amounts> {
        self.state().used
    }

    /// Notes that something was removed, so that the next refusal looks at the catalogue.
    pub(super) fn note_removal(&self) {
        self.state().stale = true;
    }

    /// Starts a correction: to be called before the snapshot is taken.
    pub(super) fn mark(&self) -> Mark {
        let mut state = self.state();
        state.stale = false;
        Mark { settled: state.settled, at: Instant::now() }
    }

    /// Takes over what the catalogue says.
    pub(super) fn correct(&self, mark: &Mark, truth: Amounts) -> Amounts {
        let mut state = self.state();
        let since = state.settled.less(mark.settled);
        let used = truth.plus(since);
        state.used = Some(used);
        state.corrected = Some(Correction { at: Instant::now(), took: mark.at.elapsed() });
        used
    }

    /// True where the numbers may be behind the catalogue and looking again is not too dear.
    pub(super) fn wants_correction(&self) -> bool {
        let state = self.state();
        match &state.corrected {
            None => true,
            Some(_) if state.stale => true,
            Some(last) => {
                last.at.elapsed() >= CORRECTION_PAUSE.max(last.took.saturating_mul(CORRECTION_COST))
            }
        }
    }

    /// Room of nothing, to be grown.
    pub(super) fn hold(self: &Arc<Self>) -> Hold {
        Hold { counter: self.clone(), amounts: Amounts::default(), came: Amounts::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room kept for something on its way in; given back when dropped, less what came.
///
/// It goes along into the transaction that takes things in: whoever asked for them may have
/// stopped waiting when it commits, and they count all the same.
pub struct Hold {
    counter: Arc<Counter>,
    amounts: Amounts,
    came: Amounts,
}

impl Hold {
    /// Keeps more room, if `limits` leave it. What does not grow is not looked at, so a tenant over
    /// one limit can still do what needs none of it.
    ///
    /// # Errors
    /// The first limit in the way; then nothing more is kept.
    pub fn grow(&mut self, more: Amounts, limits: &Limits) -> Result<(), Exceeded> {
        let mut state = self.counter.state();
        let used = state.used.unwrap_or_default().plus(state.held);
        let over = |more: u64, used: u64, limit: u64| more > 0 && used.saturating_add(more) > limit;
        if over(more.stored_bytes, used.stored_bytes, limits.stored_bytes) {
            let (limit, used) = (limits.stored_bytes, used.stored_bytes);
            return Err(Exceeded::StoredBytes { limit, used });
        }
        if over(more.documents, used.documents, limits.documents) {
            let (limit, used) = (limits.documents, used.documents);
            return Err(Exceeded::Documents { limit, used });
        }
        if over(more.jobs_in_flight, used.jobs_in_flight, limits.jobs_in_flight) {
            let (limit, used) = (limits.jobs_in_flight, used.jobs_in_flight);
            return Err(Exceeded::Jobs { limit, used });
        }
        state.held = state.held.plus(more);
        self.amounts = self.amounts.plus(more);
        Ok(())
    }

    /// Room kept so far.
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Notes what is about to be committed. A commit that fails after all is counted until the
    /// next correction.
    pub fn note(&mut self, came: Amounts) {
        self.came = self.came.plus(came);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.counter.state();
        state.held = state.held.less(self.amounts);
        state.settled = state.settled.plus(self.came);
        state.used = state.used.map(|used| used.plus(self.came));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Tier;

    fn amounts(stored_bytes: u64, documents: u64, jobs_in_flight: u64) -> Amounts {
        Amounts { stored_bytes, documents, jobs_in_flight }
    }

    fn counter(used: Amounts) -> Arc<Counter> {
        let counter = Arc::new(Counter::default());
        counter.correct(&counter.mark(), used);
        counter
    }

    fn limits() -> Limits {
        Limits { stored_bytes: 100, documents: 3, jobs_in_flight: 2, ..Tier::Casual.limits() }
    }

    #[test]
    fn room_that_is_held_is_not_given_twice_and_comes_back_when_dropped() {
        let counter = counter(amounts(40, 1, 0));
        let mut first = counter.hold();
        first.grow(amounts(60, 1, 1), &limits()).unwrap();
        let mut second = counter.hold();
        let refused = second.grow(amounts(1, 0, 0), &limits());
        assert_eq!(refused, Err(Exceeded::StoredBytes { limit: 100, used: 100 }));
        drop(first);
        second.grow(amounts(60, 0, 0), &limits()).unwrap();
        second.note(amounts(10, 0, 0));
        drop(second);
        assert_eq!(counter.used(), Some(amounts(50, 1, 0)));
    }

    #[test]
    fn each_limit_is_named_and_only_what_grows_is_checked() {
        let counter = counter(amounts(1_000, 3, 2));
        let mut hold = counter.hold();
        hold.grow(amounts(0, 0, 0), &limits()).unwrap();
        let refused = |more| counter.hold().grow(more, &limits()).unwrap_err();
        assert_eq!(refused(amounts(1, 0, 0)), Exceeded::StoredBytes { limit: 100, used: 1_000 });
        assert_eq!(refused(amounts(0, 1, 0)), Exceeded::Documents { limit: 3, used: 3 });
        assert_eq!(refused(amounts(0, 0, 1)), Exceeded::Jobs { limit: 2, used: 2 });
    }

    #[test]
    fn a_removal_makes_the_next_refusal_look_again() {
        let counter = counter(amounts(0, 0, 0));
        assert!(!counter.wants_correction(), "it was corrected just now");
        counter.note_removal();
        assert!(counter.wants_correction());
        counter.correct(&counter.mark(), amounts(0, 0, 0));
        assert!(!counter.wants_correction());
    }

    proptest! {
        /// Uploads that commit before, during and after a snapshot are never forgotten.
        #[test]
        fn a_correction_never_counts_less_than_the_catalogue_holds(
            sizes in prop::collection::vec((1_u64..50, 0_u8..4), 0..40)
        ) {
            let counter = counter(Amounts::default());
            let mut truth = Amounts::default();
            let (mut mark, mut snapshot) = (None, Amounts::default());
            for (bytes, step) in sizes {
                match step {
                    // The catalogue commits, then the counter hears of it.
                    0 | 1 => {
                        let came = amounts(bytes, 1, 1);
                        truth = truth.plus(came);
                        if step == 1 {
                            // A snapshot falls between the two.
                            mark = Some(counter.mark());
                            snapshot = truth;
                        }
                        counter.hold().note(came);
                    }
                    2 => {
                        mark = Some(counter.mark());
                        snapshot = truth;
                    }
                    _ => {
                        if let Some(mark) = mark.take() {
                            counter.correct(&mark, snapshot);
                        }
                    }
                }
                let used = counter.used().unwrap();
                prop_assert!(used.stored_bytes >= truth.stored_bytes);
                prop_assert!(used.documents >= truth.documents);
            }
            counter.correct(&counter.mark(), truth);
            prop_assert_eq!(counter.used(), Some(truth));
        }
    }
}
