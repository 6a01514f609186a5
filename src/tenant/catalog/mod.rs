//! A tenant's catalogue: the SQLite database that is the only truth about its documents.
//!
//! Called by: `tenant::handle`, which alone opens it. Talks to: `tenant.db`.
//! Invariants: one writer at a time, every write is one short transaction; a reader sees one
//! snapshot; `synchronous = FULL`, so a committed transaction survives power loss. No work other
//! than SQL happens inside a transaction.

mod accept;
mod amounts;
mod audit;
mod chunks;
mod collections;
mod copy;
mod documents;
mod ledger;
mod lifecycle;
mod mentions;
mod nesting;
mod ocr;
mod open;
mod queue;
mod rows;
mod scope;
mod similar;
mod snapshots;
mod source_items;
mod source_places;
mod sources;
mod stage;
mod tables;
mod threads;
mod uploads;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::scope::LimitedReaders;
use self::snapshots::Snapshots;
use super::latch::Locked;
use crate::audit::{ChainKeys, Record};
use crate::crypto::{RandomError, SecretKey};
use crate::database::{self, DatabaseError};

pub use accept::{Accepted, NewDrop, Outcome};
pub use amounts::{Amounts, ContentSummary};
pub use audit::AuditReader;
pub use chunks::{ChunkInput, HEADING_SEPARATOR, StoredChunk, VectorSource, heading_path};
pub use collections::CollectionRow;
pub(in crate::tenant) use copy::CatalogCopy;
pub use documents::{DocumentRow, HitDocument, OutlineEntry, ReadyItem, StoredText};
pub use ledger::{LedgerPage, LedgerQuery};
pub use lifecycle::{Projection, PurgeItem};
pub use mentions::{DateMentionRow, NewDateMention};
pub use nesting::Nesting;
pub use ocr::{OCR_REMEDY, OcrPlan, OcrResult};
pub use queue::{ClaimedJob, JobKind};
pub use similar::SimilarDocument;
pub use source_items::{FoundItem, ListedItem, MissingItem};
pub use source_places::PlacedItem;
pub use sources::{NewSource, SourceChange, SourceRow};
pub use stage::{ExtractInput, ExtractionRecord, FulltextChunk, FulltextSource, Unreadable};
pub use tables::{NewTable, RowGroup, TableRow};
pub use threads::ThreadMail;
pub use uploads::{FinishedUpload, OpenUploads, UploadPart, UploadRow};

/// Format of `tenant.db`.
const FORMAT: u32 = 3;
/// The format that lacks only tables, which are added when the catalogue is opened.
const WITHOUT_DERIVED: u32 = 2;
/// The format of releases that did not encrypt, which is brought to the present one when the tenant is opened.
const FORMER_FORMAT: u32 = 1;

/// The catalogue could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("the tenant is locked")]
    Locked(#[source] Locked),
    #[error("catalogue")]
    Database(#[source] DatabaseError),
    #[error("open catalogue {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("no key of the tenant opens its catalogue {path}")]
    WrongKey { path: PathBuf },
    #[error("make a key for the catalogue")]
    Random(#[source] RandomError),
    #[error("catalogue {path} has format {found}; this release reads format {FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error("catalogue: {operation}")]
    Sqlite { operation: &'static str, source: rusqlite::Error },
    #[error("catalogue holds a value that cannot be read in {what}")]
    Corrupt { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the audit trail cannot take more entries at present")]
    AuditFull,
    #[error("the task that ran a catalogue call ended early")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl CatalogError {
    /// True where the disk holding the catalogue is full.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Database(source) => source.is_storage_full(),
            Self::Open { source, .. } | Self::Sqlite { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            _ => false,
        }
    }
}

/// Connections to one `tenant.db`.
pub(in crate::tenant) struct Catalog {
    path: PathBuf,
    key: SecretKey,
    /// Read when it was opened.
    format: u32,
    limited: LimitedReaders,
    audit: ChainKeys,
    writer: Mutex<Connection>,
    snapshots: Snapshots,
}

impl Catalog {
    /// Runs `work` over one snapshot. Blocks.
    pub(in crate::tenant) fn read<T>(
        &self,
        work: impl FnOnce(&CatalogReader<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        self.snapshots.read(
            || self.connect(),
            |connection| work(&CatalogReader { connection, audit: &self.audit }),
        )
    }

    /// The same over the trail, with every entry that was committed before. Blocks.
    pub(in crate::tenant) fn read_trail<T>(
        &self,
        work: impl FnOnce(&AuditReader<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        self.snapshots.renew();
        self.read(|catalog| work(&AuditReader::new(catalog)))
    }

    /// Runs `work` in one transaction and commits it if it succeeds. Blocks.
    pub(in crate::tenant) fn write<T>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&CatalogWriter<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let _changing = self.limited.changing();
        let outcome = self.commit(now, true, work);
        self.snapshots.renew();
        outcome
    }

    /// Commits entries of the trail that tell of no change. Blocks.
    pub(in crate::tenant) fn append_to_trail(
        &self,
        now: Timestamp,
        records: Vec<Record>,
    ) -> Result<(), CatalogError> {
        let renew = self.snapshots.trail_grows();
        self.commit(now, renew, |catalog| catalog.record(records))
    }

    fn commit<T>(
        &self,
        now: Timestamp,
        renew: bool,
        work: impl FnOnce(&CatalogWriter<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("begin transaction"))?;
        let reader = CatalogReader { connection: &transaction, audit: &self.audit };
        let writer = CatalogWriter { reader, transaction: &transaction, now };
        let value = work(&writer)?;
        if renew {
            // A commit moves the log into the database where it has grown long and nobody reads.
            self.snapshots.renew();
        }
        transaction.commit().map_err(failed("commit"))?;
        Ok(value)
    }

    /// Gives back the space of the write-ahead log, which stays as long as it once was. Blocks.
    pub(in crate::tenant) fn shrink_log(&self) -> Result<(), CatalogError> {
        let connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.snapshots.renew();
        database::shrink_log(&connection).map_err(failed("shrink the log"))
    }
}

/// Queries over one snapshot of the catalogue.
pub struct CatalogReader<'a> {
    connection: &'a Connection,
    audit: &'a ChainKeys,
}

/// Changes inside one transaction; reads see the changes made so far.
pub struct CatalogWriter<'a> {
    reader: CatalogReader<'a>,
    transaction: &'a Transaction<'a>,
    now: Timestamp,
}

impl<'a> std::ops::Deref for CatalogWriter<'a> {
    type Target = CatalogReader<'a>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl CatalogWriter<'_> {
    fn now_us(&self) -> i64 {
        self.now.as_microsecond()
    }

    fn execute(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, CatalogError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(failed(operation))
    }
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> CatalogError {
    move |source| CatalogError::Sqlite { operation, source }
}
