//! Plain data shared by every layer: ids, documents, ledger items, search results.
//!
//! Called by: every layer. Talks to: nothing; imports no other module of this crate.
//! Invariants: serde only; no I/O, no clock, no business rule beyond what a value means.

mod account;
mod cells;
mod chunk;
mod extracted;
mod ids;
mod item;
mod language;
mod search;
mod source;
mod table;
mod tier;

pub use account::{
    ApplianceRole, CollectionScope, LinkPurpose, Role, TenantState, Tier, UnknownWord, is_user_name,
};
pub use cells::{CellRange, NoCells, SheetCells};
pub use chunk::{Chunk, ModelInfo, Voice};
pub use extracted::{
    Block, BlockKind, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument,
    FormatHint,
};
pub use ids::{
    ApiKeyId, ApplianceId, ChunkKey, CollectionId, DocumentId, DocumentKey, ItemId, ItemKey, JobId,
    SessionId, SourceId, TenantId, UploadId, UserId,
};
pub use item::{DateBasis, Dates, ItemState, LedgerItem, LedgerTotals, Throughput};
pub use language::Language;
pub use search::{
    Answer, Citation, Evidence, Passage, ScoreParts, SearchFilter, SearchMode, SearchResponse,
    SearchResult, SimilarResult, VisibleItems,
};
pub use source::{Deletions, RunCounts, RunOutcome, RunProblem, SourceKind, SourceRun};
pub use table::{Cell, CellKind, TablePart, bare_figure, dotted_date, figure, iso_date};
pub use tier::{Feature, LimitProblem, Limits, UNLIMITED, check_limits};
