//! Checking a chain, entry by entry: any edit, gap, reorder, repetition or cut is found.
//!
//! Called by: the stores over their own chain, `cli` over an exported file. Talks to: nothing.
//! Invariants: entries are looked at once, in order, and not kept; the first flaw is reported and
//! nothing behind it is judged, since it stands on broken ground.

use std::fmt;

use super::chain::{ChainKeys, Head};
use super::entry::{Entry, EntryHash};

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// It belongs to another chain.
    Foreign,
    /// Entries are missing before it.
    Gap,
    /// It comes again, or too late.
    Order,
    /// It does not follow the entry before it.
    Link,
    /// Its content is not what was written.
    Content,
    /// It cannot be read as an entry at all.
    Unreadable,
    /// Entries are missing at the end.
    Cut,
    /// Entries stand behind the end.
    Surplus,
    /// The whole chain, or its end, was written anew.
    Rewritten,
    /// The record of the newest entry is missing or was altered.
    Head,
    /// The chain was put back to an earlier state: it once had this many entries and more.
    PutBack { known: u64 },
}

/// The first flaw of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The first entry that is bad or missing.
    pub sequence: u64,
    pub kind: FlawKind,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence = self.sequence;
        match self.kind {
            FlawKind::Foreign => write!(f, "entry {sequence} belongs to another chain"),
            FlawKind::Gap => write!(f, "entry {sequence} is missing"),
            FlawKind::Order => write!(f, "an entry is repeated or out of order at {sequence}"),
            FlawKind::Link => {
                write!(f, "entry {sequence} does not follow the entry before it")
            }
            FlawKind::Content => write!(f, "entry {sequence} was changed after it was written"),
            FlawKind::Unreadable => write!(f, "entry {sequence} cannot be read"),
            FlawKind::Cut => write!(f, "entries are missing at the end, from {sequence} on"),
            FlawKind::Surplus => {
                write!(f, "entry {sequence} and later ones were not written by Cairn")
            }
            FlawKind::Rewritten => {
                write!(f, "the chain up to entry {sequence} was not written by Cairn")
            }
            FlawKind::Head => {
                write!(f, "the record of the newest entry was altered before entry {sequence}")
            }
            FlawKind::PutBack { known } => write!(
                f,
                "entries are missing from {sequence} on: the appliance knows of entry {known}, so an \
                 earlier state was put back"
            ),
        }
    }
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that are sound, from the first on.
    pub entries: u64,
    pub flaw: Option<Flaw>,
}

/// What is known about the end of a chain.
#[derive(Clone, Copy)]
pub enum HeadCheck<'a> {
    /// Nothing: an exported file cannot show whether its end is missing.
    Unknown,
    /// The stored head, with the keys that prove it.
    Stored(Option<&'a Head>, &'a ChainKeys),
}

/// A check in progress.
pub struct Verifier {
    scope: String,
    sequence: u64,
    hash: EntryHash,
    flaw: Option<Flaw>,
}

impl Verifier {
    /// A check of the chain named `scope`, from its first entry on.
    pub fn new(scope: &str) -> Self {
        Self { scope: scope.to_owned(), sequence: 0, hash: EntryHash::genesis(scope), flaw: None }
    }

    /// Looks at the next entry; false once a flaw is found, when nothing more need be shown.
    pub fn check(&mut self, entry: &Entry) -> bool {
        if self.flaw.is_some() {
            return false;
        }
        let expected = self.sequence + 1;
        let flaw = if entry.scope != self.scope {
            Some((expected, FlawKind::Foreign))
        } else if entry.sequence > expected {
            Some((expected, FlawKind::Gap))
        } else if entry.sequence < expected {
            Some((expected, FlawKind::Order))
        } else if entry.previous != self.hash {
            Some((expected, FlawKind::Link))
        } else if entry.hash != entry.computed_hash() {
            Some((expected, FlawKind::Content))
        } else {
            None
        };
        match flaw {
            Some((sequence, kind)) => self.flaw = Some(Flaw { sequence, kind }),
            None => {
                self.sequence = entry.sequence;
                self.hash = entry.hash;
            }
        }
        self.flaw.is_none()
    }

    /// Notes that the next entry cannot be read.
    pub fn unreadable(&mut self) {
        let sequence = self.sequence + 1;
        self.flaw.get_or_insert(Flaw { sequence, kind: FlawKind::Unreadable });
    }

    /// The outcome, the end of the chain included as far as it is known.
    pub fn finish(self, head: HeadCheck<'_>) -> Verdict {
        let end = match head {
            HeadCheck::Unknown => None,
            HeadCheck::Stored(head, keys) => self.flaw_at_end(head, keys),
        };
        Verdict { entries: self.sequence, flaw: self.flaw.or(end) }
    }

    fn flaw_at_end(&self, head: Option<&Head>, keys: &ChainKeys) -> Option<Flaw> {
        let next = self.sequence + 1;
        let flaw = |sequence, kind| Some(Flaw { sequence, kind });
        let Some(head) = head.filter(|head| keys.is_genuine(head)) else {
            return flaw(next, FlawKind::Head);
        };
        if let Some(sequence) = head.altered_at {
            return flaw(sequence, FlawKind::Head);
        }
        if head.sequence > self.sequence {
            return flaw(next, FlawKind::Cut);
        }
        if head.sequence < self.sequence {
            return flaw(head.sequence + 1, FlawKind::Surplus);
        }
        if head.hash != self.hash {
            return flaw(self.sequence, FlawKind::Rewritten);
        }
        None
    }
}

/// Checks the entries of the chain named `scope`, given in order.
pub fn verify<'a>(
    scope: &str,
    entries: impl IntoIterator<Item = &'a Entry>,
    head: HeadCheck<'_>,
) -> Verdict {
    let mut verifier = Verifier::new(scope);
    for entry in entries {
        if !verifier.check(entry) {
            break;
        }
    }
    verifier.finish(head)
}
