//! The tenant's job queue: durable work, claimed under a lease.
//!
//! Called by: `app::index`, `worker`. Talks to: the `job` table.
//! Invariants: a job is enqueued in the transaction that makes it necessary and deleted in the one
//! that makes it done; a claim is one short statement; `lease` is a fencing token, so a worker
//! whose lease ran out cannot finish somebody else's job.

use jiff::SignedDuration;
use rusqlite::params;

use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{ItemKey, JobId};

/// What a job does to its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Bytes to text and chunks, in a child process.
    Extract,
    /// Chunks into the full-text index.
    Fulltext,
    /// Chunks into the vector table, embedding what has no vector yet.
    Embed,
    /// Pictures to text, where an OCR program is there; behind everything else.
    Ocr,
    /// A superseded or deleted revision out of every projection.
    Purge,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Extract, Self::Fulltext, Self::Embed, Self::Ocr, Self::Purge];

    /// The word used in SQL and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Fulltext => "fulltext",
            Self::Embed => "embed",
            Self::Ocr => "ocr",
            Self::Purge => "purge",
        }
    }
}

/// A job under lease.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    pub key: i64,
    pub id: JobId,
    pub item: ItemKey,
    /// Claims so far, this one included.
    pub attempts: u32,
    /// Fencing token of this claim.
    pub lease: i64,
}

impl CatalogReader<'_> {
    /// True where a job of `kind` could be claimed now.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn has_ready_job(&self, kind: JobKind, now: jiff::Timestamp) -> Result<bool, CatalogError> {
        let found = self.one(
            "look for a job",
            "SELECT 1 FROM job WHERE kind = ?1 AND run_after <= ?2 \
             AND (lease_until IS NULL OR lease_until < ?2) LIMIT 1",
            params![kind.as_str(), now.as_microsecond()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Jobs that wait or run, of any kind.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn jobs_pending(&self) -> Result<u64, CatalogError> {
        self.count("count jobs", "SELECT count(*) FROM job", [])
    }
}

impl CatalogWriter<'_> {
    /// Puts a job in the queue; one that is queued already is made ready at once, and whoever
    /// holds it can no longer finish it.
    pub(super) fn enqueue(&self, kind: JobKind, item: ItemKey) -> Result<JobId, CatalogError> {
        let id = JobId::generate();
        self.execute(
            "enqueue a job",
            "INSERT INTO job (id, kind, item, queued_at, run_after) VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (kind, item) DO UPDATE SET run_after = excluded.run_after, attempts = 0, \
             lease = lease + 1, lease_until = NULL",
            params![id.to_string(), kind.as_str(), item.0, self.now_us()],
        )?;
        Ok(id)
    }

    /// Claims up to `limit` jobs of `kind`, oldest first, for `lease_for`.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn claim_jobs(
        &self,
        kind: JobKind,
        limit: usize,
        lease_for: SignedDuration,
    ) -> Result<Vec<ClaimedJob>, CatalogError> {
        let until = self.now.saturating_add(lease_for).unwrap_or(self.now);
        let mut claimed = self.all(
            "claim jobs",
            "UPDATE job SET lease_until = ?3, lease = lease + 1, attempts = attempts + 1 \
             WHERE key IN (SELECT key FROM job WHERE kind = ?1 AND run_after <= ?2 \
                           AND (lease_until IS NULL OR lease_until < ?2) ORDER BY key LIMIT ?4) \
             RETURNING key, id, item, attempts, lease",
            params![kind.as_str(), self.now_us(), until.as_microsecond(), limit as i64],
            |row| {
                Ok(ClaimedJob {
                    key: row.get(0)?,
                    id: super::rows::id(row, 1)?,
                    item: ItemKey(row.get(2)?),
                    attempts: row.get(3)?,
                    lease: row.get(4)?,
                })
            },
        )?;
        claimed.sort_by_key(|job| job.key);
        Ok(claimed)
    }

    /// Extends the lease of jobs that are still being worked on; returns how many are still held.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn renew_jobs(
        &self,
        jobs: &[ClaimedJob],
        lease_for: SignedDuration,
    ) -> Result<usize, CatalogError> {
        let until = self.now.saturating_add(lease_for).unwrap_or(self.now);
        let mut held = 0;
        for job in jobs {
            held += self.execute(
                "renew a lease",
                "UPDATE job SET lease_until = ?3 WHERE key = ?1 AND lease = ?2",
                params![job.key, job.lease, until.as_microsecond()],
            )?;
        }
        Ok(held)
    }

    /// Gives a job back to be tried again after `delay`. `counts` says whether the attempt counts
    /// towards giving up; waiting for disk space or for a model does not.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn return_job(
        &self,
        job: &ClaimedJob,
        delay: SignedDuration,
        error: &str,
        counts: bool,
    ) -> Result<(), CatalogError> {
        let run_after = self.now.saturating_add(delay).unwrap_or(self.now);
        self.execute(
            "return a job",
            "UPDATE job SET lease_until = NULL, run_after = ?3, last_error = ?4, \
             attempts = attempts - ?5 WHERE key = ?1 AND lease = ?2",
            params![job.key, job.lease, run_after.as_microsecond(), error, i64::from(!counts)],
        )?;
        Ok(())
    }

    /// Removes a finished job; false where its lease has passed to somebody else.
    pub(super) fn finish_job(&self, job: &ClaimedJob) -> Result<bool, CatalogError> {
        let finished = self.execute(
            "finish a job",
            "DELETE FROM job WHERE key = ?1 AND lease = ?2",
            params![job.key, job.lease],
        )?;
        Ok(finished > 0)
    }

    /// Drops every job of an item except its purge.
    pub(super) fn drop_jobs(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "drop the jobs of an item",
            "DELETE FROM job WHERE item = ?1 AND kind <> 'purge'",
            [item.0],
        )?;
        Ok(())
    }
}
