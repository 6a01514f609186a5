//! How much may come out of one archive.
//!
//! Called by: the readers of `extract::archive`. Talks to: nothing.
//! Invariants: once the budget is spent every further read fails with the same reason; the ratio
//! counts all entries together, so that many small bombs are one large bomb.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::super::clean::size;
use super::super::emit::Output;
use crate::types::{ExtractFailure, ExtractFailureCode};

/// Below this much nobody is hurt, whatever the ratio.
const FREE: u64 = 256 << 20;
/// Texts that repeat themselves reach 100; files made to fill a disk begin at about 1000.
const MOST_TIMES: u64 = 200;

/// Shared by all readers of one archive.
#[derive(Clone)]
pub(super) struct Budget(Rc<State>);

struct State {
    most: u64,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    spent: Cell<Option<Spent>>,
}

#[derive(Clone, Copy)]
enum Spent {
    Total,
    Ratio,
}

impl Budget {
    pub(super) fn new(out: &Output<'_>) -> Self {
        Self(Rc::new(State {
            most: out.limits().max_total_bytes,
            packed: Cell::new(0),
            unpacked: Cell::new(0),
            spent: Cell::new(None),
        }))
    }

    /// Counts what is read of the archive itself.
    pub(super) fn counted<R: Read>(&self, inner: R) -> Counted<R> {
        Counted { inner, budget: self.clone() }
    }

    /// Adds to the bytes of the archive itself.
    pub(super) fn add_packed(&self, bytes: u64) {
        self.0.packed.set(self.0.packed.get().saturating_add(bytes));
    }

    /// Counts what comes out, and fails once it is too much.
    pub(super) fn metered<R: Read>(&self, inner: R) -> Metered<R> {
        Metered { inner, budget: self.clone() }
    }

    /// Why nothing more is taken, if so.
    pub(super) fn spent(&self) -> Option<ExtractFailure> {
        let message = match self.0.spent.get()? {
            Spent::Total => format!(
                "The archive holds more than {}, the most that is taken out of one",
                size(self.0.most)
            ),
            Spent::Ratio => format!(
                "The archive grows to more than {MOST_TIMES} times its size, like those made to \
                 fill a disk; nothing more was taken out of it"
            ),
        };
        Some(super::failure(ExtractFailureCode::TooLarge, message))
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let unpacked = self.0.unpacked.get().saturating_add(bytes);
        self.0.unpacked.set(unpacked);
        if unpacked > self.0.most {
            self.0.spent.set(Some(Spent::Total));
        } else if unpacked > FREE && unpacked / MOST_TIMES > self.0.packed.get() {
            self.0.spent.set(Some(Spent::Ratio));
        }
        self.spent().map_or(Ok(()), |failure| Err(io::Error::other(failure)))
    }
}

/// See [`Budget::counted`].
pub(super) struct Counted<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.budget.add_packed(count as u64);
        Ok(count)
    }
}

/// See [`Budget::metered`].
pub(super) struct Metered<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.budget.take(0)?;
        let count = self.inner.read(out)?;
        self.budget.take(count as u64)?;
        Ok(count)
    }
}
