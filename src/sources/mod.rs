//! Places that documents come from by themselves. Today: each tenant's drop folder.
//!
//! Called by: `appliance`. Talks to: `app::ingest`.
//! Invariants: a source hands every file to `app::ingest` and keeps it until it is acknowledged.

mod inbox;
mod settle;

pub use inbox::Inboxes;
