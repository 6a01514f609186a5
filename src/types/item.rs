//! The ledger's words: what was dropped, what became of it, and why.
//!
//! Called by: `tenant`, `app`, `http`, `cli`. Talks to: nothing.
//! Invariants: every item is in exactly one state, so the totals add up to what was received.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{DocumentId, ItemId};

/// Where an item stands. `waiting` is the only state that work leaves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    Waiting,
    Indexed,
    Duplicate,
    Unsupported,
    Failed,
    Superseded,
    Deleted,
}

impl ItemState {
    /// All states, in the order the ledger shows them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Indexed,
        Self::Duplicate,
        Self::Unsupported,
        Self::Failed,
        Self::Superseded,
        Self::Deleted,
    ];

    /// The word used in SQL, JSON and the dashboard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Indexed => "indexed",
            Self::Duplicate => "duplicate",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
        }
    }

    /// The state a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// One ledger entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LedgerItem {
    #[schema(value_type = String)]
    pub id: ItemId,
    /// The item this one was found in.
    #[schema(value_type = Option<String>)]
    pub parent: Option<ItemId>,
    /// Path or source id under which it was dropped.
    pub source: String,
    pub state: ItemState,
    /// Stable code: `queued`, `awaiting_vectors`, `same_content`, `malformed`, ….
    pub reason: Option<String>,
    /// The same as a sentence.
    pub detail: Option<String>,
    #[schema(value_type = String)]
    pub document_id: DocumentId,
    pub revision: u32,
    pub media_type: Option<String>,
    pub size_bytes: u64,
    #[schema(value_type = String)]
    pub received_at: Timestamp,
}

/// Item counts by state; `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerTotals {
    pub received: u64,
    pub waiting: u64,
    pub indexed: u64,
    pub duplicate: u64,
    pub unsupported: u64,
    pub failed: u64,
    pub superseded: u64,
    pub deleted: u64,
}

impl LedgerTotals {
    /// Adds `count` items in `state`.
    pub fn add(&mut self, state: ItemState, count: u64) {
        self.received += count;
        *match state {
            ItemState::Waiting => &mut self.waiting,
            ItemState::Indexed => &mut self.indexed,
            ItemState::Duplicate => &mut self.duplicate,
            ItemState::Unsupported => &mut self.unsupported,
            ItemState::Failed => &mut self.failed,
            ItemState::Superseded => &mut self.superseded,
            ItemState::Deleted => &mut self.deleted,
        } += count;
    }
}

/// How fast waiting items are being worked off; absent numbers are not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Throughput {
    /// Items settled per second over the last half minute.
    pub documents_per_s: Option<f64>,
    /// Chunks embedded per second over the last half minute.
    pub chunks_per_s: Option<f64>,
    /// Chunks known to wait for a vector.
    pub chunks_waiting: u64,
    /// Seconds until nothing waits, at the present rate.
    pub eta_s: Option<u64>,
}

/// The four dates of a document, never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dates {
    /// Last modification according to the file system it came from.
    #[schema(value_type = Option<String>)]
    pub file: Option<Timestamp>,
    /// The date in the document itself or its mail header.
    #[schema(value_type = Option<String>)]
    pub content: Option<Timestamp>,
    /// The date of an event the text speaks of.
    #[schema(value_type = Option<String>)]
    pub event: Option<Timestamp>,
    /// When Cairn took it in.
    #[schema(value_type = String)]
    pub ingest: Timestamp,
}

/// Which of the four dates an answer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateBasis {
    Event,
    Content,
    File,
    Ingest,
}

impl Dates {
    /// The date to show and filter by: event, else content, else file, else ingest.
    pub fn effective(&self) -> (Timestamp, DateBasis) {
        if let Some(date) = self.event {
            (date, DateBasis::Event)
        } else if let Some(date) = self.content {
            (date, DateBasis::Content)
        } else if let Some(date) = self.file {
            (date, DateBasis::File)
        } else {
            (self.ingest, DateBasis::Ingest)
        }
    }
}
