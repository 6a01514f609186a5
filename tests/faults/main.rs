//! Real faults: the process killed at named points, errors injected, the disk full.
//!
//! Called by: cargo test with the feature `fault-injection`. Talks to: the built binary.
//! Invariants: what was acknowledged is written down outside the appliance, and that list is what
//! the appliance is held to afterwards: nothing lost, nothing twice, totals that add up, no blob
//! that nobody names.

mod clock;
mod confinement;
mod disk_full;
#[path = "../it/harness/mod.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use more of it")]
mod harness;
mod kills;
mod load;
mod refusals;
mod resume;
