//! Tenants and all their stores.
//!
//! Called by: `app`. Talks to: one directory per tenant.
//! Invariants: a store opens only through a [`TenantHandle`], and a handle only through
//! [`Registry::open`] with a grant; the directory's path never leaves this module but for the drop
//! folder. A projection shows nothing that the catalogue does not name as ready. Every file of a
//! tenant is sealed under keys of its own, but for what waits in the drop folder.

mod blobs;
mod catalog;
mod fulltext;
mod handle;
mod latch;
mod migration;
mod registry;
mod reseal;
mod rotation;
mod stores;
#[cfg(test)]
mod testing;
mod vectors;

pub use blobs::{BlobError, BlobReader, BlobStream, BlobWriter, Blobs, StoredBlob};
pub use catalog::{
    Accepted, Amounts, AuditReader, CatalogError, CatalogReader, CatalogWriter, ChunkInput,
    ClaimedJob, CollectionRow, ContentSummary, DateMentionRow, DocumentRow, ExtractInput,
    ExtractionRecord, FinishedUpload, FoundItem, FulltextChunk, FulltextSource, HEADING_SEPARATOR,
    HitDocument, JobKind, LedgerPage, LedgerQuery, ListedItem, MissingItem, Nesting,
    NewDateMention, NewDrop, NewSource, NewTable, OCR_REMEDY, OcrPlan, OcrResult, OpenUploads,
    Outcome, OutlineEntry, PlacedItem, Projection, PurgeItem, ReadyItem, RowGroup, SimilarDocument,
    SourceChange, SourceRow, StoredChunk, StoredText, TableRow, ThreadMail, Unreadable, UploadPart,
    UploadRow, VectorSource, heading_path,
};
pub use fulltext::{
    Fulltext, FulltextEntry, FulltextError, KeywordHit, KeywordHits, ParsedQuery, Query,
};
pub use handle::{Departure, Leftover, StoreBytes, TenantEvent, TenantHandle};
pub use latch::Locked;
pub use registry::{Arrival, ArrivalError, Registry, RegistryError};
pub use vectors::{
    IndexChange, IndexKind, IndexState, Maintenance, ResidentBudget, VectorError, VectorHit,
    VectorPlace, VectorRow, VectorSettings, Vectors,
};
