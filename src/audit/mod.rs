//! The audit trail as a value: what an entry says, and the chain that no entry can leave unseen.
//!
//! Called by: `system` and `tenant`, which keep one chain each; `app`; `cli` for exported files.
//! Talks to: nothing; it neither reads a database nor the clock.
//! Invariants: an entry's hash covers every field, the entry before it and the chain it belongs
//! to; the head of a chain is authenticated with a key, so that entries cannot be cut off its end
//! either; the hash is taken over length-prefixed fields and never over JSON, so that writing an
//! entry anew as JSON cannot change it.
//! Why: a plain table with triggers stops accidents only. Somebody who can write to the database
//! is found out by the chain, somebody who can also compute the chain anew by the head.

mod action;
mod chain;
mod detail;
mod entry;
mod event;
mod verify;

#[cfg(test)]
mod tests;

pub use action::{Action, Outcome};
pub use chain::{ChainEnd, ChainKeys, Head};
pub use detail::{Detail, Value};
pub use entry::{Entry, EntryHash, NotAHash, Party, Resource};
pub use event::{Event, Occasion, Origin, Record};
pub use verify::{Flaw, FlawKind, HeadCheck, Verdict, Verifier, verify};
