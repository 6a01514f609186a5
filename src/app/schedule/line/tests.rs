//! The line with simulated units: shares, no starvation, and twenty thousand files beside twenty.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Several workers of one lane in simulated time. Each tenant has units of given costs left.
struct Simulation {
    line: Line,
    now: Duration,
    /// When each running unit ends.
    running: Vec<(Duration, Turn, Duration)>,
    workers: usize,
    left: BTreeMap<TenantId, Vec<Duration>>,
    shares: BTreeMap<TenantId, u64>,
    served: BTreeMap<TenantId, Duration>,
    ended: BTreeMap<TenantId, Duration>,
}

impl Simulation {
    fn new(workers: usize) -> Self {
        Self {
            line: Line::default(),
            now: Duration::ZERO,
            running: Vec::new(),
            workers,
            left: BTreeMap::new(),
            shares: BTreeMap::new(),
            served: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn arrive(&mut self, share: u64, units: Vec<Duration>) -> TenantId {
        let tenant = TenantId::generate();
        self.left.insert(tenant, units);
        self.shares.insert(tenant, share);
        self.served.insert(tenant, Duration::ZERO);
        self.line.arrive(tenant);
        tenant
    }

    /// Starts what can start, then ends the unit that ends next; false when nothing runs.
    fn step(&mut self) -> bool {
        while self.running.len() < self.workers {
            let Some(turn) = self.line.take() else { break };
            let units = self.left.get_mut(&turn.tenant).unwrap();
            let Some(cost) = units.pop() else {
                self.line.finish(&turn, Duration::ZERO, self.shares[&turn.tenant], false);
                continue;
            };
            if !units.is_empty() {
                // What was claimed was full, so another worker may go on.
                self.line.arrive(turn.tenant);
            }
            self.running.push((self.now + cost, turn, cost));
        }
        let Some(first) = (0..self.running.len()).min_by_key(|at| self.running[*at].0) else {
            return false;
        };
        let (end, turn, cost) = self.running.swap_remove(first);
        self.now = end;
        *self.served.get_mut(&turn.tenant).unwrap() += cost;
        self.ended.insert(turn.tenant, end);
        let more = !self.left[&turn.tenant].is_empty();
        self.line.finish(&turn, cost, self.shares[&turn.tenant], more);
        true
    }

    fn run(&mut self) {
        while self.step() {}
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A unit is eight files of 20 ms each.
const FILE: Duration = Duration::from_millis(20);
const UNIT_FILES: u32 = 8;

fn files(count: u32) -> Vec<Duration> {
    let full = count / UNIT_FILES;
    let rest = count % UNIT_FILES;
    let mut units = vec![FILE * UNIT_FILES; full as usize];
    if rest > 0 {
        units.push(FILE * rest);
    }
    units
}

#[test]
fn twenty_files_do_not_wait_for_twenty_thousand() {
    for workers in [1, 2, 4] {
        let mut alone = Simulation::new(workers);
        let small = alone.arrive(1, files(20));
        alone.run();
        let alone = alone.ended[&small];

        let mut shared = Simulation::new(workers);
        let big = shared.arrive(1, files(20_000));
        // The big one has been at it for a while when the small one comes.
        while shared.now < Duration::from_secs(30) {
            shared.step();
        }
        let came = shared.now;
        let small = shared.arrive(1, files(20));
        shared.run();
        let waited = shared.ended[&small] - came;
        // Half of the lane, and a unit that runs already.
        let bound = alone * 2 + FILE * UNIT_FILES * 2;
        assert!(waited <= bound, "{workers} workers: {waited:?} instead of {alone:?}");
        // Nothing is lost: the lane was never idle.
        let whole = FILE * 20_020 / u32::try_from(workers).unwrap();
        assert!(shared.ended[&big] <= whole + FILE * UNIT_FILES, "{:?}", shared.ended[&big]);
    }
}

#[test]
fn shares_weigh_the_service_and_a_long_unit_is_paid_for() {
    let mut lane = Simulation::new(1);
    let casual = lane.arrive(1, vec![ms(1_000); 100]);
    let pro = lane.arrive(4, vec![ms(50); 100_000]);
    while lane.now < Duration::from_secs(60) {
        lane.step();
    }
    let (casual, pro) = (lane.served[&casual].as_secs_f64(), lane.served[&pro].as_secs_f64());
    assert!((pro / casual - 4.0).abs() < 0.35, "{pro} s to {casual} s");
}

#[test]
fn a_tenant_that_was_idle_has_saved_nothing_up() {
    let mut lane = Simulation::new(1);
    let busy = lane.arrive(1, vec![ms(10); 10_000]);
    while lane.now < ms(20_000) {
        lane.step();
    }
    let late = lane.arrive(1, vec![ms(10); 10_000]);
    let before = lane.served[&busy];
    while lane.now < ms(22_000) {
        lane.step();
    }
    let (busy, late) = (lane.served[&busy] - before, lane.served[&late]);
    assert!(busy.abs_diff(late) <= ms(20), "{busy:?} and {late:?}");
}

#[test]
fn one_worker_is_kept_for_a_tenant_that_has_none() {
    let mut line = Line::default();
    line.keep_one_of(3);
    let (hog, other) = (TenantId::generate(), TenantId::generate());
    let mut held = Vec::new();
    for _ in 0..3 {
        line.arrive(hog);
        held.extend(line.take());
    }
    assert_eq!(held.len(), 2, "the third worker is not for the same tenant");
    line.arrive(other);
    let turn = line.take().expect("the third worker is for the other");
    assert_eq!(turn.tenant, other);
    line.finish(&held.remove(0), ms(1), 1, true);
    assert!(line.take().is_none(), "one worker is free, and kept for a third tenant");
    line.finish(&turn, ms(1), 1, false);
    assert_eq!(line.take().map(|turn| turn.tenant), Some(hog));
}

#[test]
fn accounts_of_tenants_that_came_and_went_are_forgotten() {
    let mut line = Line::default();
    for _ in 0..1_000 {
        line.arrive(TenantId::generate());
        let turn = line.take().unwrap();
        line.finish(&turn, ms(1), 1, false);
    }
    assert_eq!(line.accounts.len(), 0, "nobody waits and nobody runs");
    // Beside one that always has work, the others are forgotten once it has caught up.
    let busy = TenantId::generate();
    line.arrive(busy);
    for _ in 0..1_000 {
        line.arrive(TenantId::generate());
        for _ in 0..2 {
            let turn = line.take().unwrap();
            line.finish(&turn, ms(1), 1, turn.tenant == busy);
        }
    }
    assert!(line.accounts.len() <= 4, "{} accounts are kept", line.accounts.len());
    while let Some(turn) = line.take() {
        line.finish(&turn, ms(1), 1, false);
    }
    assert_eq!(line.running, 0);
    let gone = TenantId::generate();
    line.arrive(gone);
    let turn = line.take().unwrap();
    line.forget(gone);
    line.finish(&turn, ms(1), 1, true);
    assert!(line.take().is_none(), "a tenant that is gone does not come back");
    assert_eq!(line.running, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With one worker the service per share of any two tenants that always have work differs by
    /// at most one unit, in the measure of the tenant for which a unit weighs most.
    #[test]
    fn service_is_within_one_unit_of_the_share(
        tenants in prop::collection::vec((1_u64..20, prop::collection::vec(1_u64..500, 200)), 2..8)
    ) {
        let mut lane = Simulation::new(1);
        let mut unit = 0.0_f64;
        for (share, costs) in &tenants {
            let most = costs.iter().copied().max().unwrap_or(1);
            unit = unit.max(most as f64 / *share as f64);
            lane.arrive(*share, costs.iter().copied().map(ms).collect());
        }
        // Only as long as all of them have work.
        while lane.left.values().all(|units| units.len() > 1) && lane.step() {
            let service: Vec<f64> = lane
                .served
                .iter()
                .map(|(tenant, served)| served.as_secs_f64() * 1e3 / lane.shares[tenant] as f64)
                .collect();
            let most = service.iter().copied().fold(f64::MIN, f64::max);
            let least = service.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!(most - least <= unit + 1e-6, "{service:?}, a unit is {unit}");
        }
    }

    /// However many workers and whatever the shares: everybody who waits is served in bounded time.
    #[test]
    fn nobody_starves(
        workers in 1_usize..5,
        tenants in prop::collection::vec((1_u64..20, 1_u64..300), 2..10)
    ) {
        let mut lane = Simulation::new(workers);
        for (share, cost) in &tenants {
            lane.arrive(*share, vec![ms(*cost); 2_000]);
        }
        let total: u64 = tenants.iter().map(|(share, _)| share).sum();
        // The time in which the smallest share comes to two units of the longest.
        let bound = ms(2 * 300 * total + 2 * 300 * tenants.len() as u64);
        while lane.now < bound && lane.left.values().all(|units| units.len() > 1) {
            lane.step();
        }
        if lane.now >= bound {
            for (tenant, served) in &lane.served {
                prop_assert!(*served > Duration::ZERO, "{tenant} was not served in {bound:?}");
            }
        }
    }
}
