//! Who is asking, and what they may do: an actor becomes a grant, or nothing at all.
//!
//! Called by: `tenant`, `app`, `http`, `worker`. Talks to: `system`.
//! Invariants: a `Grant` exists only after its check passed; nobody outside this module makes one.
//! Why: access is a value the stores demand, not a check that a handler has to remember.

mod actor;
mod authority;
mod grant;
mod link;
mod password;
mod session;
mod sign_in;
mod totp;

#[cfg(test)]
mod tests;

pub use actor::{Actor, SystemActor};
pub use authority::{AuthError, Authority, SessionLimits};
pub use grant::{
    Access, Administer, Admit, Audit, CanRead, CanWrite, Grant, Level, Manage, Operate, Read,
    Write, system_grant,
};
pub use link::{LinkError, NewLink, Redemption};
pub use password::PasswordProblem;
pub use session::{ActiveSession, Peer, SignedIn, UseBy, csrf_token};
pub use sign_in::{Recording, SignInError};
pub use totp::{RecoveryCodes, TotpOffer};
