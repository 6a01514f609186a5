//! The mark that a tenant was closed under whoever still holds something of it.
//!
//! Called by: every store of `tenant`, before it touches a file. Talks to: nothing.
//! Invariants: once closed it stays closed; a tenant that is opened again gets a new latch.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The tenant was locked, or closed to change its keys, while this was going on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its keys are put away")]
pub struct Locked;

impl From<Locked> for io::Error {
    fn from(locked: Locked) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, locked)
    }
}

/// Shared by all stores that were opened together.
#[derive(Clone, Debug, Default)]
pub(in crate::tenant) struct Latch(Arc<AtomicBool>);

impl Latch {
    /// Fails every check from now on.
    pub(in crate::tenant) fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// # Errors
    /// `Locked` once the tenant was closed.
    pub(in crate::tenant) fn check(&self) -> Result<(), Locked> {
        if self.0.load(Ordering::Acquire) { Err(Locked) } else { Ok(()) }
    }
}
