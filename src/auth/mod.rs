//! Who is asking, and what they may do: an actor becomes a grant, or nothing at all.
//!
//! Called by: `tenant`, `app`, `http`, `worker`. Talks to: `system`.
//! Invariants: a `Grant` exists only after its check passed; nobody outside this module makes one.
//! Why: access is a value the stores demand, not a check that a handler has to remember.

mod actor;
mod grant;
mod sign_in;

pub use actor::{Actor, SystemActor};
pub use grant::{Access, CanRead, CanWrite, Grant, Manage, Read, Write, system_grant};
pub use sign_in::{AuthError, Authority, SignedIn};
