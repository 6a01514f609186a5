//! The one integration binary: behaviour through the public surface.
//!
//! Called by: cargo test. Talks to: the built `cairn` binary, over its command line and HTTP.
//! Invariants: every test has a home of its own and leaves nothing running.

mod architecture;
mod browser;
mod bundle;
mod dependencies;
mod evaluation;
mod extraction;
mod fixtures;
mod harness;
mod http;
mod inbox;
mod ledger;
mod main_job;
mod model;
mod robustness;
mod storage;
