//! Places that documents come from by themselves: each tenant's drop folder, and the sources it is
//! kept in step with.
//!
//! Called by: `appliance`. Talks to: `app::ingest`, `app::sources`, and by [`imap`] to hosts that
//! the admin allowed.
//! Invariants: a source hands every file to `app::ingest` and keeps it until it is acknowledged;
//! nothing at a synchronised source is ever changed. A further kind of source offers a
//! [`feed::Feed`], and its settings in `app::sources`.

mod directory;
mod feed;
mod imap;
mod inbox;
mod run;
mod settle;
mod synchronise;
mod watching;

pub use inbox::Inboxes;
pub use synchronise::Synchroniser;
