//! Uploads that come in pieces: how far each is, and which blobs hold what is here of it.
//!
//! Called by: `app::uploads`. Talks to: `upload`, `upload_part`.
//! Invariants: the parts of an upload follow each other without a gap and add up to what was
//! received; a part is recorded only where the upload ended before it; a finished upload has no
//! parts and says which document it became, until it expires.

use jiff::Timestamp;
use rusqlite::params;

use super::{Accepted, CatalogError, CatalogReader, CatalogWriter};
use crate::types::{DocumentId, ItemId, UploadId};

/// An upload as it stands.
#[derive(Clone, Debug)]
pub struct UploadRow {
    pub key: i64,
    pub id: UploadId,
    pub length: u64,
    pub received: u64,
    pub metadata: String,
    pub expires_at: Timestamp,
    pub finished: Option<FinishedUpload>,
}

/// What an upload became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedUpload {
    pub document: DocumentId,
    pub item: ItemId,
    /// `accepted`, `duplicate` or `unchanged`.
    pub outcome: String,
}

/// A stretch of an upload.
#[derive(Clone, Debug)]
pub struct UploadPart {
    /// Digest of its bytes.
    pub blob: String,
    pub size_bytes: u64,
}

/// Uploads that are not finished, together.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenUploads {
    pub count: u64,
    /// Announced bytes.
    pub bytes: u64,
}

impl CatalogReader<'_> {
    /// An upload that has not expired.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn upload(&self, id: UploadId, now: Timestamp) -> Result<Option<UploadRow>, CatalogError> {
        self.one(
            "read an upload",
            "SELECT key, id, length, received, metadata, expires_at, document, item, outcome \
             FROM upload WHERE id = ?1 AND expires_at > ?2",
            params![id.to_string(), now.as_microsecond()],
            |row| {
                let finished = match row.get::<_, Option<String>>(8)? {
                    None => None,
                    Some(outcome) => Some(FinishedUpload {
                        document: super::rows::id(row, 6)?,
                        item: super::rows::id(row, 7)?,
                        outcome,
                    }),
                };
                Ok(UploadRow {
                    key: row.get(0)?,
                    id: super::rows::id(row, 1)?,
                    length: row.get::<_, i64>(2)?.unsigned_abs(),
                    received: row.get::<_, i64>(3)?.unsigned_abs(),
                    metadata: row.get(4)?,
                    expires_at: super::rows::time(row, 5)?,
                    finished,
                })
            },
        )
    }

    /// The parts of an upload, in order.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn upload_parts(&self, upload: i64) -> Result<Vec<UploadPart>, CatalogError> {
        self.all(
            "list the parts of an upload",
            "SELECT blob, size_bytes FROM upload_part WHERE upload = ?1 ORDER BY start",
            [upload],
            |row| {
                let size_bytes = row.get::<_, i64>(1)?.unsigned_abs();
                Ok(UploadPart { blob: row.get(0)?, size_bytes })
            },
        )
    }

    /// Uploads that are not finished.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn open_uploads(&self) -> Result<OpenUploads, CatalogError> {
        let found = self.one(
            "count uploads",
            "SELECT count(*), total(length) FROM upload WHERE outcome IS NULL",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?)),
        )?;
        let (count, bytes) = found.unwrap_or_default();
        Ok(OpenUploads { count: count.unsigned_abs(), bytes: bytes as u64 })
    }

    /// Uploads that are all here and have become no document yet.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn complete_uploads(&self) -> Result<Vec<UploadId>, CatalogError> {
        self.all(
            "list complete uploads",
            "SELECT id FROM upload WHERE outcome IS NULL AND received = length",
            [],
            |row| super::rows::id(row, 0),
        )
    }

    /// Uploads whose time is over.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn expired_uploads(&self, now: Timestamp) -> Result<Vec<(i64, UploadId)>, CatalogError> {
        self.all(
            "list expired uploads",
            "SELECT key, id FROM upload WHERE expires_at <= ?1",
            [now.as_microsecond()],
            |row| Ok((row.get(0)?, super::rows::id(row, 1)?)),
        )
    }
}

impl CatalogWriter<'_> {
    /// Begins an upload.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn begin_upload(
        &self,
        id: UploadId,
        length: u64,
        metadata: &str,
        expires_at: Timestamp,
    ) -> Result<(), CatalogError> {
        self.execute(
            "begin an upload",
            "INSERT INTO upload (id, length, metadata, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![
                id.to_string(),
                i64::try_from(length).unwrap_or(i64::MAX),
                metadata,
                expires_at.as_microsecond()
            ],
        )?;
        Ok(())
    }

    /// Records a part that begins where the upload ended so far; false where it ends elsewhere or
    /// is gone.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn add_upload_part(
        &self,
        upload: i64,
        start: u64,
        part: &UploadPart,
        expires_at: Timestamp,
    ) -> Result<bool, CatalogError> {
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let grown = self.execute(
            "advance an upload",
            "UPDATE upload SET received = received + ?3, expires_at = ?4 \
             WHERE key = ?1 AND received = ?2 AND outcome IS NULL",
            params![upload, number(start), number(part.size_bytes), expires_at.as_microsecond()],
        )?;
        if grown == 0 {
            return Ok(false);
        }
        self.execute(
            "record a part of an upload",
            "INSERT INTO upload_part (upload, start, blob, size_bytes) VALUES (?1, ?2, ?3, ?4)",
            params![upload, number(start), part.blob, number(part.size_bytes)],
        )?;
        Ok(true)
    }

    /// Records what an upload became and forgets its parts.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn finish_upload(&self, upload: i64, accepted: &Accepted) -> Result<(), CatalogError> {
        self.execute(
            "finish an upload",
            "UPDATE upload SET document = ?2, item = ?3, outcome = ?4 WHERE key = ?1",
            params![
                upload,
                accepted.document.to_string(),
                accepted.item.to_string(),
                accepted.outcome.as_str()
            ],
        )?;
        self.forget_upload_parts(upload)
    }

    /// Forgets an upload and its parts.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn remove_upload(&self, upload: i64) -> Result<(), CatalogError> {
        self.forget_upload_parts(upload)?;
        self.execute("remove an upload", "DELETE FROM upload WHERE key = ?1", [upload])?;
        Ok(())
    }

    fn forget_upload_parts(&self, upload: i64) -> Result<(), CatalogError> {
        self.execute(
            "forget the parts of an upload",
            "DELETE FROM upload_part WHERE upload = ?1",
            [upload],
        )?;
        Ok(())
    }
}
