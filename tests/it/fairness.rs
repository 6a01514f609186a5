//! A small tenant beside a large one gets its turn.
//!
//! Called by: cargo test. Talks to: one server.
//! Invariants: what counts is how much of the large tenant's work went first, never the time.

use crate::harness::Home;
use crate::harness::crowd::{FEW, MANY, few_beside_many};

#[test]
fn twenty_files_do_not_wait_for_the_twenty_thousand_of_another_tenant() {
    let home = Home::new();
    let crowd = few_beside_many(&home);
    eprintln!(
        "{FEW} files took {:?} alone, {:?} beside {MANY} of which {} waited and {} were done meanwhile",
        crowd.alone, crowd.beside, crowd.queue, crowd.done_meanwhile
    );
    // In the order of their arrival all of the queue would have come first.
    assert!(
        crowd.done_meanwhile < crowd.queue / 2,
        "{} of {} that waited were done first",
        crowd.done_meanwhile,
        crowd.queue
    );
    assert!(crowd.done < MANY / 4, "{} of {MANY} were done already", crowd.done);
}
